// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/kube"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// goneInterval is how often it is looked again for what no watch tells to be gone.
const goneInterval = 2 * time.Second

// remove uninstalls the release, waits until everything is really gone, forgets Helm's
// record and lets the Release go. A crash at any point continues where it was: the
// record says what was installed until the end.
func (r *Reconciler) remove(ctx context.Context, rel *helmv1beta1.Release, t *tenant, cfg *action.Configuration) (ctrl.Result, error) {
	if orphaned(rel.Spec) {
		return ctrl.Result{}, r.release(ctx, rel)
	}
	j := &job{cfg: cfg, name: helmName(rel), namespace: t.Namespace, spec: rel.Spec.ForProvider, want: wantedOf(rel)}
	waits, err := r.uninstalled(ctx, rel, t, j)
	rel.Status.ObservedGeneration = rel.Generation
	switch {
	case err != nil:
		why := explain(err, t)
		rel.Status.Synced = false
		setSynced(rel, metav1.ConditionFalse, platformv1alpha1.ReasonReconcileError, why)
		setReady(rel, metav1.ConditionFalse, platformv1alpha1.ReasonDeleting, why)
		return ctrl.Result{}, err
	case len(waits) > 0:
		setReady(rel, metav1.ConditionFalse, platformv1alpha1.ReasonDeleting, "waiting until these are gone: "+listed(waits))
		return ctrl.Result{RequeueAfter: goneInterval}, nil
	}
	return ctrl.Result{}, r.release(ctx, rel)
}

// uninstalled takes the next step and returns what is still there.
func (r *Reconciler) uninstalled(ctx context.Context, rel *helmv1beta1.Release, t *tenant, j *job) ([]string, error) {
	releases, err := history(j.cfg, j.name)
	if err != nil || len(releases) == 0 {
		return nil, err
	}
	last := toRevision(releases[len(releases)-1])
	if last.State != stateUninstalled {
		d := decision{Do: doUninstall, Why: "the Release is being deleted"}
		if err := r.perform(ctx, rel, j, &uninstall{job: j}, d); err != nil {
			return nil, fmt.Errorf("uninstalling release %s: %w", j.name, err)
		}
	}
	waits, err := t.remaining(ctx, last.Manifest, j.name)
	if err != nil || len(waits) > 0 {
		return waits, err
	}
	return nil, j.purge()
}

// madeBy reports whether a Pod comes from one of the objects: straight, or by a ReplicaSet or a Job, whose
// name then begins with that of the Deployment or CronJob. Anybody's Pod may carry the release's label.
func madeBy(pod *corev1.Pod, objects []*unstructured.Unstructured) bool {
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return false
	}
	between := map[string]string{"ReplicaSet": "Deployment", "Job": "CronJob"}[owner.Kind]
	return slices.ContainsFunc(objects, func(o *unstructured.Unstructured) bool {
		return o.GetKind() == owner.Kind && o.GetName() == owner.Name ||
			o.GetKind() == between && strings.HasPrefix(owner.Name, o.GetName()+"-")
	})
}

// remaining names what is left of a release: its objects, its Pods, and the volume claims
// that go with its StatefulSets. What the chart or the claim's owner keeps does not count.
func (t *tenant) remaining(ctx context.Context, manifest, release string) ([]string, error) {
	objects, err := parseManifest(manifest, t.Namespace)
	if err != nil {
		return nil, err
	}
	var left []string
	for _, obj := range objects {
		if strings.EqualFold(strings.TrimSpace(obj.GetAnnotations()[kube.ResourcePolicyAnno]), kube.KeepPolicy) {
			continue
		}
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(obj.GroupVersionKind())
		err := t.client.Get(ctx, client.ObjectKeyFromObject(obj), live)
		if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s %s: %w", obj.GetKind(), obj.GetName(), err)
		}
		left = append(left, obj.GetKind()+" "+obj.GetName())
	}
	ofRelease := []client.ListOption{client.InNamespace(t.Namespace), client.MatchingLabels{labelInstance: release}}
	var pods corev1.PodList
	if err := t.client.List(ctx, &pods, ofRelease...); err != nil {
		return nil, fmt.Errorf("listing the Pods of release %s: %w", release, err)
	}
	for i := range pods.Items {
		if madeBy(&pods.Items[i], objects) {
			left = append(left, "Pod "+pods.Items[i].Name)
		}
	}
	var claims corev1.PersistentVolumeClaimList
	if err := t.client.List(ctx, &claims, ofRelease...); err != nil {
		return nil, fmt.Errorf("listing the volume claims of release %s: %w", release, err)
	}
	for i := range claims.Items {
		if c := &claims.Items[i]; c.DeletionTimestamp != nil || len(c.OwnerReferences) > 0 {
			left = append(left, "PersistentVolumeClaim "+c.Name)
		}
	}
	return left, nil
}
