// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/skerry-platform/skerry/test/platform"
)

// A Service of either side leads to its Pods on both: the application's, which the virtual cluster made, and the
// database's, which a chart made on the host. And it goes on leading there: what the controllers of each side
// computed stays.
func TestServicesLeadToTheirPods(t *testing.T) {
	name := theEnvironment(t)
	host := func(args ...string) (string, error) {
		return platform.Try(t, append([]string{"kubectl", "--kubeconfig", platform.Host.Kubeconfig}, args...)...)
	}
	virtual := func(args ...string) (string, error) { return platform.Kubectl(t, name, "", args...) }
	for _, side := range []struct {
		name, namespace string
		kubectl         func(args ...string) (string, error)
	}{{"host", name + "--default", host}, {"virtual cluster", "default", virtual}} {
		t.Run(side.name, func(t *testing.T) {
			endpoints := func(service string) (string, error) {
				out, err := side.kubectl("get", "endpointslices", "-n", side.namespace, "-l", "kubernetes.io/service-name="+service,
					"-o", "jsonpath={range .items[*]}{.metadata.uid}: {.endpoints[*].addresses} {end}")
				if err == nil && !strings.Contains(out, `["10.`) {
					err = fmt.Errorf("the EndpointSlices of Service %s are %q", service, out)
				}
				return out, err
			}
			services := []string{name, name + "-db-postgresql", name + "-cache-redis-master"}
			before := map[string]string{}
			for _, service := range services {
				platform.Eventually(t, time.Minute, service+" has endpoints", func() (err error) {
					before[service], err = endpoints(service)
					return err
				})
			}
			// The API server asks a Pod that the Service leads to.
			path := fmt.Sprintf("/api/v1/namespaces/%s/services/%s:8080/proxy/readyz", side.namespace, name)
			if out, err := side.kubectl("get", "--raw", path); err != nil {
				t.Errorf("through Service %s: %v\n%s", name, err, out)
			}
			for _, service := range services {
				if after, err := endpoints(service); err != nil || after != before[service] {
					t.Errorf("Service %s had %s and has %s (error %v)", service, before[service], after, err)
				}
			}
		})
	}
}
