// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package template

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Origin is what a tenant's prefix was found to hold.
type Origin int

const (
	// Foreign was made by something else than this version of the template, wholly or
	// in part: the API server has all of its start-up work before it.
	Foreign Origin = iota
	// Fresh was empty and has just been filled: nothing is left to do.
	Fresh
	// Complete was filled or completed for this version at an earlier start, and may
	// have been changed since by those who may.
	Complete
)

// markerKey, below the prefix, holds the version; no API server looks at it.
const markerKey = "platform.skerry.dev/template"

// MaxObjects that one transaction writes: etcd must allow that many operations and one
// more for the marker (its --max-txn-ops, by default 128).
const MaxObjects = 1023

// Fill writes the objects below an empty prefix, which is the tenant's own and is not in
// use. It is one transaction: whoever is killed here leaves everything or nothing.
func (t *Template) Fill(ctx context.Context, kv clientv3.KV, prefix string) (Origin, error) {
	marker, err := kv.Get(ctx, below(prefix, markerKey))
	if err != nil {
		return Foreign, fmt.Errorf("reading which template %s was filled from: %w", prefix, err)
	}
	if len(marker.Kvs) > 0 {
		if string(marker.Kvs[0].Value) == t.version {
			return Complete, nil
		}
		return Foreign, nil
	}
	objects, err := t.instantiate(time.Now())
	if err != nil {
		return Foreign, err
	}
	puts := []clientv3.Op{t.mark(prefix)}
	for _, o := range objects {
		puts = append(puts, clientv3.OpPut(below(prefix, o.key), string(o.value)))
	}
	empty := clientv3.Compare(clientv3.CreateRevision(below(prefix, "")).WithPrefix(), "=", 0)
	got, err := kv.Txn(ctx).If(empty).Then(puts...).Commit()
	switch {
	case errors.Is(err, rpctypes.ErrTooManyOps):
		return Foreign, nil // an etcd with its default limit; slower, that is all
	case err != nil:
		return Foreign, fmt.Errorf("filling %s: %w", prefix, err)
	case !got.Succeeded:
		return Foreign, nil
	}
	return Fresh, nil
}

// Mark remembers that the prefix has everything that the template has, because an API
// server did its start-up work there.
func (t *Template) Mark(ctx context.Context, kv clientv3.KV, prefix string) error {
	if _, err := kv.Do(ctx, t.mark(prefix)); err != nil {
		return fmt.Errorf("marking %s as complete: %w", prefix, err)
	}
	return nil
}

func (t *Template) mark(prefix string) clientv3.Op {
	return clientv3.OpPut(below(prefix, markerKey), t.version)
}

// below joins as the API server does, whose prefix may or may not begin and end with a slash.
func below(prefix, key string) string { return path.Join("/", prefix) + "/" + key }
