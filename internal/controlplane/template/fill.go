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

// storeTimeout bounds one request to the tenant's store.
const storeTimeout = 30 * time.Second

// Source gives the template of one version. What a store was filled from can be told without
// the template itself: only a new tenant waits for that.
type Source struct {
	// Version of the template, controlplane.TemplateVersion.
	Version string
	// Get returns the template, and waits for it if need be; nil when there is none.
	Get func(context.Context) (*Template, error)
}

// Source of a template that is there.
func (t *Template) Source() Source {
	return Source{Version: t.version, Get: func(context.Context) (*Template, error) { return t, nil }}
}

// Fill finds out what a prefix holds, and writes the template's objects below it if that is nothing. The
// prefix is the tenant's own and is not in use.
func (s Source) Fill(ctx context.Context, kv clientv3.KV, prefix string) (Origin, error) {
	found, empty, err := s.look(ctx, kv, prefix)
	if err != nil || !empty {
		return found, err
	}
	t, err := s.Get(ctx)
	if err != nil {
		return Foreign, fmt.Errorf("waiting for the template of new virtual clusters: %w", err)
	}
	if t == nil {
		return Foreign, nil
	}
	return t.fill(ctx, kv, prefix)
}

// look reads the marker, and whether there is anything below the prefix.
func (s Source) look(ctx context.Context, kv clientv3.KV, prefix string) (found Origin, empty bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	got, err := kv.Txn(ctx).Then(
		clientv3.OpGet(below(prefix, markerKey)),
		clientv3.OpGet(below(prefix, ""), clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly()),
	).Commit()
	if err != nil {
		return Foreign, false, fmt.Errorf("reading which template %s was filled from: %w", prefix, err)
	}
	marker, anything := got.Responses[0].GetResponseRange().Kvs, got.Responses[1].GetResponseRange().Kvs
	if len(marker) > 0 && string(marker[0].Value) == s.Version {
		return Complete, false, nil
	}
	return Foreign, len(anything) == 0, nil
}

// Mark remembers that the prefix has everything that the template has, because an API
// server did its start-up work there.
func (s Source) Mark(ctx context.Context, kv clientv3.KV, prefix string) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if _, err := kv.Put(ctx, below(prefix, markerKey), s.Version); err != nil {
		return fmt.Errorf("marking %s as complete: %w", prefix, err)
	}
	return nil
}

// fill is one transaction: whoever is killed here leaves everything or nothing.
func (t *Template) fill(ctx context.Context, kv clientv3.KV, prefix string) (Origin, error) {
	objects, err := t.instantiate(time.Now())
	if err != nil {
		return Foreign, err
	}
	puts := []clientv3.Op{clientv3.OpPut(below(prefix, markerKey), t.version)}
	for _, o := range objects {
		puts = append(puts, clientv3.OpPut(below(prefix, o.key), string(o.value)))
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
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

// below joins as the API server does, whose prefix may or may not begin and end with a slash.
func below(prefix, key string) string { return path.Join("/", prefix) + "/" + key }
