// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applydiscovery "k8s.io/client-go/applyconfigurations/discovery/v1"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

const fieldManager = "skerry-pool"

// applyEndpoints leads the Services of the home namespace (NAME and dns, without
// selectors) to this member. The names of the ports are the Services'.
func (r *runner) applyEndpoints(ctx context.Context, ports Ports) error {
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error {
		return r.applySlice(ctx, r.name, slicePort("https", ports.API, corev1.ProtocolTCP))
	})
	both.Go(func() error {
		return r.applySlice(ctx, platformv1alpha1.DNSService,
			slicePort("dns", ports.DNSUDP, corev1.ProtocolUDP), slicePort("dns-tcp", ports.DNSTCP, corev1.ProtocolTCP))
	})
	return both.Wait()
}

func slicePort(name string, port int, protocol corev1.Protocol) *applydiscovery.EndpointPortApplyConfiguration {
	return applydiscovery.EndpointPort().WithName(name).WithPort(int32(port)).WithProtocol(protocol)
}

func (r *runner) applySlice(ctx context.Context, service string, ports ...*applydiscovery.EndpointPortApplyConfiguration) error {
	family := discoveryv1.AddressTypeIPv4
	if r.Address.To4() == nil {
		family = discoveryv1.AddressTypeIPv6
	}
	slice := applydiscovery.EndpointSlice(service, r.name).
		WithLabels(map[string]string{
			discoveryv1.LabelServiceName:         service,
			discoveryv1.LabelManagedBy:           fieldManager,
			platformv1alpha1.LabelVirtualCluster: r.name,
		}).
		WithAddressType(family).
		WithEndpoints(applydiscovery.Endpoint().
			WithAddresses(r.Address.String()).
			WithConditions(applydiscovery.EndpointConditions().WithReady(true))).
		WithPorts(ports...)
	_, err := r.clients.DiscoveryV1().EndpointSlices(r.name).Apply(ctx, slice, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	if err != nil {
		return fmt.Errorf("applying EndpointSlice %s/%s: %w", r.name, service, err)
	}
	return nil
}

func (r *runner) deleteEndpoints(ctx context.Context) error {
	var errs []error
	for _, name := range []string{r.name, platformv1alpha1.DNSService} {
		err := r.clients.DiscoveryV1().EndpointSlices(r.name).Delete(ctx, name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("deleting EndpointSlice %s/%s: %w", r.name, name, err))
		}
	}
	return errors.Join(errs...)
}
