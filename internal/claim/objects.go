// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package claim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/apply"
	"github.com/skerry-platform/skerry/internal/claim/request"
)

const (
	// fieldOwner of everything that this package applies.
	fieldOwner = "skerry-claim"
	// annotationPlan, on a child, is a hash of what was planned for it: it tells a
	// field that left the plan from one that was never in it.
	annotationPlan = "platform.skerry.dev/plan"
)

// label is the value of v1alpha1.LabelClaim for the children of a claim.
func label(claim client.Object) string { return request.Label(claim.GetNamespace(), claim.GetName()) }

// made reports whether a child was made for the claim.
func made(child, claim client.Object) bool {
	return child.GetLabels()[v1alpha1.LabelClaim] == label(claim)
}

// writer brings planned objects to the cluster.
type writer struct {
	applier *apply.Applier
	live    client.Reader
	scheme  *runtime.Scheme
}

// write applies each wanted object that is missing from have or differs from it. A watch brings
// every change of a child here, so comparing with the cache first saves a request for
// each child that is as it should be.
//
// What the cache does not have may be there all the same, made by somebody else a moment ago: it is looked for
// in the API server, because applying would take it over. The error then is for another try, which knows it.
func (w writer) write(ctx context.Context, wanted, have []client.Object) error {
	var objs []*unstructured.Unstructured
	for _, o := range wanted {
		want, err := rendered(o, w.scheme)
		if err != nil {
			return err
		}
		current, err := w.matching(want, have)
		if err != nil {
			return err
		}
		if current == nil {
			if err := w.free(ctx, want); err != nil {
				return err
			}
		}
		if current == nil || !within(want.Object, current.Object) {
			objs = append(objs, want)
		}
	}
	if len(objs) == 0 {
		return nil
	}
	_, err := w.applier.Apply(ctx, objs...)
	return err
}

// free returns an error when the API server has an object of that name which was made for another claim, or
// for none.
func (w writer) free(ctx context.Context, want *unstructured.Unstructured) error {
	is := &unstructured.Unstructured{}
	is.SetGroupVersionKind(want.GroupVersionKind())
	err := w.live.Get(ctx, client.ObjectKeyFromObject(want), is)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for %s %s: %w", want.GetKind(), client.ObjectKeyFromObject(want), err)
	}
	if is.GetLabels()[v1alpha1.LabelClaim] != want.GetLabels()[v1alpha1.LabelClaim] {
		return fmt.Errorf("%s %s was made by somebody else just now", want.GetKind(), client.ObjectKeyFromObject(want))
	}
	return nil
}

func (w writer) matching(want *unstructured.Unstructured, have []client.Object) (*unstructured.Unstructured, error) {
	for _, o := range have {
		if o.GetName() != want.GetName() || o.GetNamespace() != want.GetNamespace() {
			continue
		}
		current, err := rendered(o, w.scheme)
		if err != nil {
			return nil, err
		}
		if current.GroupVersionKind() == want.GroupVersionKind() {
			return current, nil
		}
	}
	return nil, nil
}

// rendered is an object as it is applied: typed, without status, with the hash of its plan
// unless it has one.
func rendered(o client.Object, scheme *runtime.Scheme) (*unstructured.Unstructured, error) {
	gvk, err := apiutil.GVKForObject(o, scheme)
	if err != nil {
		return nil, fmt.Errorf("finding the kind of %T: %w", o, err)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, fmt.Errorf("writing %s %s: %w", gvk.Kind, o.GetName(), err)
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(gvk)
	delete(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	annotations := u.GetAnnotations()
	if annotations[annotationPlan] == "" {
		text, err := json.Marshal(u.Object)
		if err != nil {
			return nil, fmt.Errorf("writing %s %s: %w", gvk.Kind, o.GetName(), err)
		}
		sum := sha256.Sum256(text)
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[annotationPlan] = hex.EncodeToString(sum[:8])
		u.SetAnnotations(annotations)
	}
	return u, nil
}

// within reports whether every field of want has the same value in have. A list is one value, but for
// finalizers, which others may add to.
func within(want, have any) bool {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			return len(w) == 0 && have == nil
		}
		for k, v := range w {
			if k == "finalizers" && contained(v, h[k]) {
				continue
			}
			if !within(v, h[k]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(want, have)
}

// contained reports whether every one of want is among have.
func contained(want, have any) bool {
	all, ok := want.([]any)
	among, ok2 := have.([]any)
	return ok && ok2 && !slices.ContainsFunc(all, func(w any) bool { return !slices.Contains(among, w) })
}

// eachItem calls f for every object of a list.
func eachItem(list client.ObjectList, f func(client.Object) error) error {
	return meta.EachListItem(list, func(o runtime.Object) error {
		object, ok := o.(client.Object)
		if !ok {
			return fmt.Errorf("%T is not an object with metadata", o)
		}
		return f(object)
	})
}
