// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	utilquota "k8s.io/apiserver/pkg/quota/v1"
	core "k8s.io/kubernetes/pkg/apis/core"
	corev1conversion "k8s.io/kubernetes/pkg/apis/core/v1"
	evaluators "k8s.io/kubernetes/pkg/quota/v1/evaluator/core"
	"k8s.io/utils/clock"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/quota"
)

const pluginQuota = "SkerryQuota"

// Quota is what the virtual cluster may use on the host, and what it uses: spec.quota and
// status.quota of its VirtualCluster. nil, nil: there is no limit.
type Quota func() (*platformv1alpha1.Quota, *platformv1alpha1.QuotaStatus)

// quotaPlugin refuses what cannot fit into the total of the virtual cluster, at once and with
// the whole story. It is a courtesy: what holds the total is the host's own admission, which
// also sees what charts make there, and what two namespaces do at the same time.
type quotaPlugin struct {
	*admission.Handler
	virtualCluster string
	quota          Quota
	claims         utilquota.Evaluator
}

var _ admission.ValidationInterface = &quotaPlugin{}

func newQuotaPlugin(virtualCluster string, q Quota) *quotaPlugin {
	return &quotaPlugin{
		Handler:        admission.NewHandler(admission.Create, admission.Update),
		virtualCluster: virtualCluster, quota: q, claims: evaluators.NewPersistentVolumeClaimEvaluator(nil),
	}
}

// Validate refuses a Pod or a claim for which the total has no room.
func (p *quotaPlugin) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if isOurs(a.GetUserInfo()) || hostOwned(a.GetObject()) || !counted(a) {
		return nil
	}
	limits, status := p.quota()
	if limits == nil || status == nil {
		return nil
	}
	requested, err := p.more(a, limits)
	if err != nil {
		return admission.NewForbidden(a, fmt.Errorf("counting what it may use: %w", err))
	}
	// spec.quota is newer than the total that status.quota repeats.
	now := *status
	now.Hard = quota.Total(limits)
	if len(quota.Exceeded(now.Hard, now.Used, requested)) == 0 {
		return nil
	}
	return admission.NewForbidden(a, errors.New(quota.Explain(p.virtualCluster, a.GetNamespace(), &now, requested)))
}

// counted are the requests that can use more of the host: those that ResourceQuota counts too.
func counted(a admission.Attributes) bool {
	switch a.GetResource().GroupResource() {
	case core.Resource("pods"):
		return a.GetOperation() == admission.Create && a.GetSubresource() == "" ||
			a.GetOperation() == admission.Update && a.GetSubresource() == "resize"
	case core.Resource("persistentvolumeclaims"):
		return a.GetSubresource() == ""
	}
	return false
}

// more is what the object uses beyond what it used before.
func (p *quotaPlugin) more(a admission.Attributes, limits *platformv1alpha1.Quota) (corev1.ResourceList, error) {
	after, err := p.usage(a.GetObject(), limits)
	if err != nil || a.GetOperation() == admission.Create {
		return after, err
	}
	before, err := p.usage(a.GetOldObject(), limits)
	if err != nil {
		return nil, err
	}
	return utilquota.SubtractWithNonNegativeResult(after, before), nil
}

func (p *quotaPlugin) usage(obj runtime.Object, limits *platformv1alpha1.Quota) (corev1.ResourceList, error) {
	internal, isPod := obj.(*core.Pod)
	if !isPod {
		return p.claims.Usage(obj)
	}
	pod := &corev1.Pod{}
	if err := corev1conversion.Convert_core_Pod_To_v1_Pod(internal, pod, nil); err != nil {
		return nil, err
	}
	pod = pod.DeepCopy() // the conversion shares memory
	withDefaults(&pod.Spec, limits)
	return evaluators.PodUsageFunc(pod, clock.RealClock{})
}

// withDefaults gives containers what the host's LimitRange will give them.
func withDefaults(spec *corev1.PodSpec, q *platformv1alpha1.Quota) {
	limits, _ := quota.Defaults(q)
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			r := &containers[i].Resources
			if r.Limits == nil {
				r.Limits = corev1.ResourceList{}
			}
			for name, q := range limits {
				if _, has := r.Limits[name]; !has {
					r.Limits[name] = q
				}
			}
		}
	}
}
