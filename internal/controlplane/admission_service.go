// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/storage/names"
	core "k8s.io/kubernetes/pkg/apis/core"
	corev1conversion "k8s.io/kubernetes/pkg/apis/core/v1"
)

// servicePlugin lets the host make a Service first, so that the virtual one has the
// right address from its first write.
type servicePlugin struct {
	*admission.Handler
	hooks Hooks
}

var _ admission.MutationInterface = &servicePlugin{}

func newServicePlugin(hooks Hooks) *servicePlugin {
	return &servicePlugin{admission.NewHandler(admission.Create), hooks}
}

// Admit asks the hook for the host's Service and copies what the host allocated.
func (p *servicePlugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().GroupResource() != core.Resource("services") || a.GetSubresource() != "" ||
		a.IsDryRun() || isOurs(a.GetUserInfo()) {
		return nil
	}
	internal, ok := a.GetObject().(*core.Service)
	if !ok {
		return apierrors.NewInternalError(fmt.Errorf("admission of a Service got a %T", a.GetObject()))
	}
	// The API server would choose this name after admission; the host needs it now.
	if internal.Name == "" && internal.GenerateName != "" {
		internal.Name = names.SimpleNameGenerator.GenerateName(internal.GenerateName)
	}
	virtual := &corev1.Service{}
	if err := corev1conversion.Convert_core_Service_To_v1_Service(internal, virtual, nil); err != nil {
		return apierrors.NewInternalError(fmt.Errorf("converting Service %s/%s: %w", a.GetNamespace(), internal.Name, err))
	}
	virtual = virtual.DeepCopy() // the conversion shares memory
	virtual.Namespace = a.GetNamespace()
	host, err := p.hooks.AllocateService(ctx, virtual)
	if err != nil {
		return hookError(virtual, err)
	}
	if host != nil {
		copyAllocation(&internal.Spec, &host.Spec)
	}
	return nil
}

// copyAllocation copies what only an API server's allocators can know. Ports are matched by
// their number and protocol, the key of a Service's ports.
func copyAllocation(virtual *core.ServiceSpec, host *corev1.ServiceSpec) {
	virtual.ClusterIP = host.ClusterIP
	virtual.ClusterIPs = append([]string(nil), host.ClusterIPs...)
	virtual.IPFamilies = nil
	for _, f := range host.IPFamilies {
		virtual.IPFamilies = append(virtual.IPFamilies, core.IPFamily(f))
	}
	if host.IPFamilyPolicy != nil {
		policy := core.IPFamilyPolicy(*host.IPFamilyPolicy)
		virtual.IPFamilyPolicy = &policy
	}
	virtual.HealthCheckNodePort = host.HealthCheckNodePort
	for i := range virtual.Ports {
		port := &virtual.Ports[i]
		for _, h := range host.Ports {
			if h.Port == port.Port && h.Protocol == corev1.Protocol(port.Protocol) {
				port.NodePort = h.NodePort
			}
		}
	}
}

// hookError keeps what the hook meant for the user.
func hookError(s *corev1.Service, err error) error {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return err
	}
	return apierrors.NewInternalError(fmt.Errorf("making Service %s/%s on the host: %w", s.Namespace, s.Name, err))
}
