// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

const (
	fieldOwner = client.FieldOwner("skerry-vcluster")
	// annotationHash is the hash of what ensure sent last.
	annotationHash = "platform.skerry.dev/hash"
)

// store writes the objects that this package makes. Its client reads them from a cache
// that holds only those; Secrets are always read from the API server, so that no key of a
// tenant stays in memory and a new certificate is decided on what is really there.
type store struct {
	client.Client
	direct client.Reader
}

// ensure brings one object to the given state with at most one request, none when the
// cache shows it in that state, and leaves what the API server has in obj. Fields that
// somebody else added stay; fields that we no longer want go. What is sent is completed with fields
// that alone are no reason to write.
func (s store) ensure(ctx context.Context, obj client.Object, complete ...func(*unstructured.Unstructured) error) error {
	want, err := s.desired(obj)
	if err != nil {
		return err
	}
	live := obj.DeepCopyObject().(client.Object)
	err = s.Get(ctx, client.ObjectKeyFromObject(obj), live)
	if client.IgnoreNotFound(err) != nil {
		return wrap(err, "reading", obj)
	}
	if err == nil {
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
		if err != nil {
			return wrap(err, "converting", obj)
		}
		if has(fields, withoutKind(want.Object)) {
			return wrap(runtime.DefaultUnstructuredConverter.FromUnstructured(fields, obj), "converting", obj)
		}
	}
	for _, f := range complete {
		if err := f(want); err != nil {
			return wrap(err, "completing", obj)
		}
	}
	if err := s.Apply(ctx, client.ApplyConfigurationFromUnstructured(want), fieldOwner, client.ForceOwnership); err != nil {
		return wrap(err, "applying", obj)
	}
	return wrap(runtime.DefaultUnstructuredConverter.FromUnstructured(want.Object, obj), "converting", obj)
}

// desired is the object as it is sent, with a hash of itself: a field that was dropped
// since the last time shows in the hash alone.
func (s store) desired(obj client.Object) (*unstructured.Unstructured, error) {
	gvk, err := apiutil.GVKForObject(obj, s.Scheme())
	if err != nil {
		return nil, wrap(err, "naming the kind of", obj)
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, wrap(err, "converting", obj)
	}
	u := &unstructured.Unstructured{Object: fields}
	u.SetGroupVersionKind(gvk)
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	data, err := json.Marshal(u.Object)
	if err != nil {
		return nil, wrap(err, "encoding", obj)
	}
	sum := sha256.Sum256(data)
	u.SetAnnotations(map[string]string{annotationHash: hex.EncodeToString(sum[:8])})
	return u, nil
}

// only lets ensure write to the object that has the UID, never make another in its place: the
// cache may hear between two reads that it is gone.
func only(live client.Object) func(*unstructured.Unstructured) error {
	return func(u *unstructured.Unstructured) error {
		u.SetUID(live.GetUID())
		return nil
	}
}

// withoutKind drops what a typed object from a cache does not carry.
func withoutKind(fields map[string]any) map[string]any {
	out := maps.Clone(fields)
	delete(out, "apiVersion")
	delete(out, "kind")
	return out
}

// has reports whether live holds everything that want says: maps may have more keys,
// lists are equal in length.
func has(live, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		if !ok {
			return len(w) == 0 && live == nil
		}
		for k, v := range w {
			if !has(l[k], v) {
				return false
			}
		}
		return true
	case []any:
		l, ok := live.([]any)
		if !ok || len(l) != len(w) {
			return len(w) == 0 && live == nil
		}
		for i, v := range w {
			if !has(l[i], v) {
				return false
			}
		}
		return true
	}
	return live == want
}

// claimNamespace creates the namespace. One that exists and does not carry the labels of
// the wanted one belongs to somebody else and is left alone: see blocked.
func (s store) claimNamespace(ctx context.Context, want *corev1.Namespace) error {
	live := &corev1.Namespace{}
	err := s.Get(ctx, client.ObjectKeyFromObject(want), live) // the cache: only ours
	if apierrors.IsNotFound(err) {
		err = s.Create(ctx, want.DeepCopy(), fieldOwner)
		if !apierrors.IsAlreadyExists(err) {
			return wrap(err, "creating", want)
		}
		err = s.direct.Get(ctx, client.ObjectKeyFromObject(want), live)
	}
	if err != nil {
		return wrap(err, "reading", want)
	}
	for _, key := range []string{v1alpha1.LabelVirtualCluster, v1alpha1.LabelVirtualNamespace} {
		if live.Labels[key] != want.Labels[key] {
			return namespaceTaken(want)
		}
	}
	if !live.DeletionTimestamp.IsZero() {
		return blocked{reason: reasonTerminating, message: fmt.Sprintf("namespace %s is being deleted; it is made again once it is gone", want.Name)}
	}
	return s.ensure(ctx, want, only(live))
}

// writeSecret creates the Secret or replaces the given keys. live is what was read before, with no
// resourceVersion when it did not exist; somebody else's write in between is a conflict.
func (s store) writeSecret(ctx context.Context, live *corev1.Secret, data map[string][]byte) error {
	if live.ResourceVersion == "" {
		live.Data = data
		return wrap(s.Create(ctx, live, fieldOwner), "creating", live)
	}
	if covers(live.Data, data) {
		return nil
	}
	if live.Data == nil {
		live.Data = map[string][]byte{}
	}
	for k, v := range data {
		live.Data[k] = v
	}
	return wrap(s.Update(ctx, live, fieldOwner), "updating", live)
}

// readSecret reads from the API server; one that does not exist comes back empty.
func (s store) readSecret(ctx context.Context, virtualCluster, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := s.direct.Get(ctx, client.ObjectKey{Namespace: virtualCluster, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return &corev1.Secret{ObjectMeta: meta(virtualCluster, virtualCluster, name)}, nil
	}
	return secret, wrap(err, "reading", &corev1.Secret{ObjectMeta: meta(virtualCluster, virtualCluster, name)})
}

func wrap(err error, doing string, obj client.Object) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", doing, describe(obj), err)
}

// describe is an object's kind and name for an error.
func describe(obj client.Object) string {
	return fmt.Sprintf("%T %s", obj, client.ObjectKeyFromObject(obj))[len("*v1."):]
}
