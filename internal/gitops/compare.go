// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/internal/apply"
)

// compareConcurrency is how many objects of one Application are compared at once.
const compareConcurrency = 8

// target is one object as it is to be on the destination.
type target struct {
	manifest
	entry apply.Entry
}

// instanceLabel is the value of the label that selects what an Application applied.
func instanceLabel(app string) string {
	if len(app) <= 63 {
		return app
	}
	sum := sha256.Sum256([]byte(app))
	return app[:52] + "-" + hex.EncodeToString(sum[:5])
}

// trackingID is the value of Argo CD's tracking annotation. A cluster-scoped object has
// the destination's namespace in it, as there.
// Source: https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
func trackingID(app string, o *unstructured.Unstructured, defaultNamespace string) string {
	gk := o.GroupVersionKind().GroupKind()
	return fmt.Sprintf("%s:%s/%s:%s/%s", app, gk.Group, gk.Kind, firstText(o.GetNamespace(), defaultNamespace), o.GetName())
}

// prepare turns manifests into targets: it puts each object into its namespace, marks it
// as the Application's, and checks it against the project. Of an object that is there
// twice the last one counts, as in Argo CD; repeated names them.
func prepare(app *argov1alpha1.Application, project *argov1alpha1.AppProject, dest *destination, manifests []manifest) (targets []target, repeated []string, err error) {
	index := map[apply.Entry]int{}
	provided := providedKinds(manifests)
	var errs []error
	for _, m := range manifests {
		o := m.Object.DeepCopy()
		gvk := o.GroupVersionKind()
		namespaced, err := isNamespaced(dest, gvk, provided)
		if isProblem(err) {
			return nil, nil, err
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: kind: %w", m, err))
			continue
		}
		switch {
		case !namespaced:
			o.SetNamespace("")
		case o.GetNamespace() == "":
			o.SetNamespace(app.Spec.Destination.Namespace)
		}
		if err := permitted(app, project, dest, o, namespaced); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m, err))
			continue
		}
		setMap(o.GetLabels(), o.SetLabels, argov1alpha1.LabelInstance, instanceLabel(app.Name))
		setMap(o.GetAnnotations(), o.SetAnnotations, argov1alpha1.AnnotationTrackingID, trackingID(app.Name, o, app.Spec.Destination.Namespace))
		t := target{manifest: manifest{File: m.File, Line: m.Line, Object: o}, entry: apply.EntryOf(o)}
		if i, twice := index[t.entry]; twice {
			repeated = append(repeated, fmt.Sprintf("%s (%s and %s)", t.entry, targets[i].manifest, m))
			targets[i] = t
			continue
		}
		index[t.entry] = len(targets)
		targets = append(targets, t)
	}
	return targets, repeated, joinErrors(errs)
}

func setMap(m map[string]string, set func(map[string]string), key, value string) {
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	set(m)
}

func permitted(app *argov1alpha1.Application, project *argov1alpha1.AppProject, dest *destination, o *unstructured.Unstructured, namespaced bool) error {
	if err := checkKind(project, o.GroupVersionKind().GroupKind(), namespaced); err != nil {
		return err
	}
	if !namespaced {
		return nil
	}
	if o.GetNamespace() == "" {
		return errors.New("metadata.namespace: there is none, and spec.destination.namespace of Application " + app.Name + " is empty")
	}
	return checkDestination(project, dest.name, dest.server, o.GetNamespace())
}

// providedKinds are the kinds whose CustomResourceDefinition is part of the revision, and
// whether they are namespaced.
func providedKinds(manifests []manifest) map[schema.GroupKind]bool {
	out := map[schema.GroupKind]bool{}
	for _, m := range manifests {
		if m.Object.GroupVersionKind().GroupKind() != (schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}) {
			continue
		}
		group, _, _ := unstructured.NestedString(m.Object.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(m.Object.Object, "spec", "names", "kind")
		scope, _, _ := unstructured.NestedString(m.Object.Object, "spec", "scope")
		out[schema.GroupKind{Group: group, Kind: kind}] = scope == "Namespaced"
	}
	return out
}

func isNamespaced(dest *destination, gvk schema.GroupVersionKind, provided map[schema.GroupKind]bool) (bool, error) {
	mapping, err := dest.client.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
	if err == nil {
		return mapping.Scope.Name() == meta.RESTScopeNameNamespace, nil
	}
	if namespaced, ok := provided[gvk.GroupKind()]; ok {
		return namespaced, nil
	}
	if meta.IsNoMatchError(err) {
		return false, fmt.Errorf("cluster %s does not serve %s of %s", dest.name, gvk.Kind, gvk.GroupVersion())
	}
	return false, unreachable(dest, err)
}

// comparison is what the destination looks like beside the revision.
type comparison struct {
	// differs holds the targets that are missing or not as they should be.
	differs map[apply.Entry]bool
	// refused are the answers of the destination to a try (dry run) of what it would not
	// take, each with file and field.
	refused []error
	// shared are objects that another Application has applied.
	shared []string
}

// compare tries every target on the destination without writing (server-side apply, dry
// run) and compares the outcome with what is there. An error means that the destination
// could not be asked.
func compare(ctx context.Context, dest *destination, app string, targets []target, creates func(namespace string) bool) (*comparison, error) {
	c := &comparison{differs: map[apply.Entry]bool{}}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(compareConcurrency)
	for _, t := range targets {
		group.Go(func() error {
			differs, owner, err := compareOne(ctx, dest, t)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
			case isUnreachable(err):
				return unreachable(dest, err)
			case meta.IsNoMatchError(err), missingNamespace(err) && creates(t.entry.Namespace):
				differs = true // its kind or namespace comes with this revision; applying tries again
			default:
				c.refused = append(c.refused, fmt.Errorf("%s: %s: %w", t.manifest, t.entry, err))
			}
			c.differs[t.entry] = differs
			if owner != "" && owner != app {
				c.shared = append(c.shared, fmt.Sprintf("%s is part of Applications %s and %s", t.entry, owner, app))
			}
			return nil
		})
	}
	return c, group.Wait()
}

// compareOne reports whether an object differs, and which Application applied it last.
func compareOne(ctx context.Context, dest *destination, t target) (differs bool, owner string, err error) {
	live := t.entry.Object()
	err = dest.client.Get(ctx, client.ObjectKeyFromObject(live), live)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return false, "", err
	}
	tried := t.Object.DeepCopy()
	err = dest.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(tried), client.DryRunAll,
		client.FieldOwner(fieldOwner), client.ForceOwnership)
	if err != nil || missing {
		return true, "", err
	}
	owner, _, _ = strings.Cut(live.GetAnnotations()[argov1alpha1.AnnotationTrackingID], ":")
	return !equality.Semantic.DeepEqual(essence(live), essence(tried)), owner, nil
}

// essence leaves out what the server keeps for itself.
func essence(o *unstructured.Unstructured) map[string]any {
	out := o.DeepCopy()
	for _, path := range [][]string{{"status"}, {"metadata", "managedFields"}, {"metadata", "resourceVersion"}, {"metadata", "generation"}, {"metadata", "uid"}, {"metadata", "creationTimestamp"}} {
		unstructured.RemoveNestedField(out.Object, path...)
	}
	return out.Object
}

// missingNamespace reports whether the API server refused an object for want of its namespace.
func missingNamespace(err error) bool {
	var status apierrors.APIStatus
	return apierrors.IsNotFound(err) && errors.As(err, &status) && status.Status().Details != nil && status.Status().Details.Kind == "namespaces"
}

// isUnreachable tells a cluster that does not answer from one that says no.
func isUnreachable(err error) bool {
	var status apierrors.APIStatus
	if meta.IsNoMatchError(err) {
		return false
	}
	if !errors.As(err, &status) {
		return true
	}
	return apierrors.IsUnauthorized(err) || apierrors.IsServerTimeout(err) || apierrors.IsServiceUnavailable(err) ||
		apierrors.IsTooManyRequests(err) || apierrors.IsTimeout(err)
}

func unreachable(dest *destination, err error) error {
	if apierrors.IsUnauthorized(err) {
		return noAnswer(argov1alpha1.ConditionDestinationUnreachable, err, "cluster %s does not accept the token of its cluster Secret", dest.name)
	}
	return noAnswer(argov1alpha1.ConditionDestinationUnreachable, err, "cluster %s is not reachable: %v", dest.name, err)
}
