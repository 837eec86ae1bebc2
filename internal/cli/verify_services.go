// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/claim/request"
)

// releasesOnHost is point 1.
func (v *verifier) releasesOnHost(ctx context.Context) ([]string, error) {
	if len(v.services()) == 0 {
		return []string{"the application asks for no service"}, nil
	}
	var evidence []string
	for _, s := range v.services() {
		release, err := healthy(ctx, v.host, kindRelease, v.hostNamespace(), s.release)
		if err != nil {
			return evidence, err
		}
		evidence = append(evidence, fmt.Sprintf("Release %s/%s: %s", v.hostNamespace(), s.release, releaseFacts(release)))
		workloads, err := list(ctx, v.host, kindStatefulSet, client.InNamespace(v.hostNamespace()), client.MatchingLabels{labelRelease: s.release})
		if err != nil {
			return evidence, err
		}
		if len(workloads) == 0 {
			return evidence, fmt.Errorf("no StatefulSet with label %s=%s in host namespace %s", labelRelease, s.release, v.hostNamespace())
		}
		for i := range workloads {
			w := &workloads[i]
			if verdict := judge(w); verdict.state != stateOK {
				return evidence, fmt.Errorf("StatefulSet %s/%s on the host: %s", w.GetNamespace(), w.GetName(), verdict.message)
			}
			ready, _, _ := unstructured.NestedInt64(w.Object, "status", "readyReplicas")
			wants, _, _ := unstructured.NestedInt64(w.Object, "spec", "replicas")
			if ready < max(wants, 1) {
				return evidence, fmt.Errorf("StatefulSet %s/%s on the host: %d of %d ready", w.GetNamespace(), w.GetName(), ready, wants)
			}
			evidence = append(evidence, fmt.Sprintf("StatefulSet %s/%s: %d of %d ready", w.GetNamespace(), w.GetName(), ready, wants))
		}
	}
	return evidence, nil
}

// healthy reads an object and fails unless its own status says that it is fine.
func healthy(ctx context.Context, c client.Reader, gvk schemaKind, namespace, name string) (*unstructured.Unstructured, error) {
	o, err := read(ctx, c, gvk, namespace, name)
	if err != nil {
		return nil, err
	}
	where := strings.TrimPrefix(namespace+"/"+name, "/")
	if o == nil {
		return nil, fmt.Errorf("%s %s is not there", gvk.Kind, where)
	}
	if v := judge(o); v.state != stateOK {
		return nil, fmt.Errorf("%s %s: %s", gvk.Kind, where, v.message)
	}
	return o, nil
}

// releaseFacts are the chart and what Helm recorded.
func releaseFacts(o *unstructured.Unstructured) string {
	chart, _, _ := unstructured.NestedString(o.Object, "spec", "forProvider", "chart", "name")
	version, _, _ := unstructured.NestedString(o.Object, "spec", "forProvider", "chart", "version")
	state, _, _ := unstructured.NestedString(o.Object, "status", "atProvider", "state")
	revision, _, _ := unstructured.NestedInt64(o.Object, "status", "atProvider", "revision")
	return fmt.Sprintf("chart %s %s, %s, revision %d, Ready", chart, version, state, revision)
}

// visibleInside is point 2.
func (v *verifier) visibleInside(ctx context.Context) ([]string, error) {
	if len(v.services()) == 0 {
		return []string{"the application asks for no service"}, nil
	}
	var evidence []string
	for _, s := range v.services() {
		for _, look := range []func(context.Context, service) (string, error){v.mirroredRelease, v.mirroredService, v.mirroredPods, v.mirroredBinding} {
			line, err := look(ctx, s)
			if err != nil {
				return evidence, fmt.Errorf("in virtual cluster %s: %w", v.cluster, err)
			}
			evidence = append(evidence, line)
		}
	}
	return evidence, nil
}

// mirroredRelease looks for the Release in either scope.
func (v *verifier) mirroredRelease(ctx context.Context, s service) (string, error) {
	o, err := read(ctx, v.virtual, kindClusterRelease, "", s.release)
	if err != nil {
		return "", err
	}
	if o == nil {
		if o, err = healthy(ctx, v.virtual, kindRelease, request.ApplicationNamespace, s.release); err != nil {
			return "", err
		}
	}
	if verdict := judge(o); verdict.state != stateOK {
		return "", fmt.Errorf("Release %s: %s", s.release, verdict.message)
	}
	return fmt.Sprintf("Release %s (%s): %s", s.release, o.GetAPIVersion(), releaseFacts(o)), nil
}

// mirroredService looks for the release's Services with the host's own addresses.
func (v *verifier) mirroredService(ctx context.Context, s service) (string, error) {
	hosts, err := list(ctx, v.host, kindService, client.InNamespace(v.hostNamespace()), client.MatchingLabels{labelRelease: s.release})
	if err != nil {
		return "", err
	}
	if len(hosts) == 0 {
		return "", fmt.Errorf("release %s has no Service on the host", s.release)
	}
	var seen []string
	for i := range hosts {
		mine, err := read(ctx, v.virtual, kindService, request.ApplicationNamespace, hosts[i].GetName())
		if err != nil {
			return "", err
		}
		if mine == nil {
			return "", fmt.Errorf("Service %s of the host is not there", hosts[i].GetName())
		}
		hostIP, _, _ := unstructured.NestedString(hosts[i].Object, "spec", "clusterIP")
		virtualIP, _, _ := unstructured.NestedString(mine.Object, "spec", "clusterIP")
		if hostIP != virtualIP {
			return "", fmt.Errorf("Service %s has address %s, on the host %s", mine.GetName(), virtualIP, hostIP)
		}
		seen = append(seen, fmt.Sprintf("%s at %s", mine.GetName(), virtualIP))
	}
	return "Services " + strings.Join(seen, ", ") + ", as on the host", nil
}

func (v *verifier) mirroredPods(ctx context.Context, s service) (string, error) {
	hosts, err := list(ctx, v.host, kindPod, client.InNamespace(v.hostNamespace()), client.MatchingLabels{labelRelease: s.release})
	if err != nil {
		return "", err
	}
	if len(hosts) == 0 {
		return "", fmt.Errorf("release %s has no Pod on the host", s.release)
	}
	var seen []string
	for i := range hosts {
		if _, err := healthy(ctx, v.virtual, kindPod, request.ApplicationNamespace, hosts[i].GetName()); err != nil {
			return "", err
		}
		seen = append(seen, hosts[i].GetName())
	}
	return "Pods " + strings.Join(seen, ", ") + ": Ready", nil
}

// mirroredBinding looks at the names of the binding Secret's keys, never at their values.
func (v *verifier) mirroredBinding(ctx context.Context, s service) (string, error) {
	name := s.component + "-binding"
	secret, err := read(ctx, v.virtual, kindSecret, request.ApplicationNamespace, name)
	if err != nil {
		return "", err
	}
	if secret == nil {
		return "", fmt.Errorf("Secret %s is not there", name)
	}
	data, _, _ := unstructured.NestedMap(secret.Object, "data")
	keys := []string{"type", "provider", "host", "port", "username", "password", "database", "uri"}
	for _, key := range keys {
		if _, found := data[key]; !found {
			return "", fmt.Errorf("Secret %s has no key %s", name, key)
		}
	}
	typ, _, _ := unstructured.NestedString(secret.Object, "type")
	return fmt.Sprintf("Secret %s (%s) with keys %s", name, typ, strings.Join(keys, " ")), nil
}

// processed is point 5.
func (v *verifier) processed(ctx context.Context) ([]string, error) {
	name := v.claim.Spec.Name
	app, err := healthy(ctx, v.virtual, kindApplication, request.ApplicationNamespace, name)
	if err != nil {
		return nil, fmt.Errorf("in virtual cluster %s: %w", v.cluster, err)
	}
	revision, _, _ := unstructured.NestedString(app.Object, "status", "latestRevision", "name")
	evidence := []string{fmt.Sprintf("Application %s/%s: running, revision %s", app.GetNamespace(), name, revision)}
	services, _, _ := unstructured.NestedSlice(app.Object, "status", "services")
	components, _, _ := unstructured.NestedSlice(app.Object, "spec", "components")
	for _, item := range services {
		s, _ := item.(map[string]any)
		if ok, _ := s["healthy"].(bool); !ok {
			return evidence, fmt.Errorf("component %v is not healthy: %v", s["name"], s["message"])
		}
		evidence = append(evidence, fmt.Sprintf("component %v: healthy", s["name"]))
	}
	if len(services) < len(components) {
		return evidence, fmt.Errorf("Application %s has %d components, its status %d", name, len(components), len(services))
	}
	elsewhere, err := list(ctx, v.host, kindApplication)
	if err != nil {
		return evidence, err
	}
	for i := range elsewhere {
		if elsewhere[i].GetName() == name {
			return evidence, fmt.Errorf("the host has an OAM Application %s/%s too", elsewhere[i].GetNamespace(), name)
		}
	}
	return append(evidence, "the host has no OAM Application of this name"), nil
}

// ours reports whether a namespace of the host belongs to a virtual cluster.
func ours(o *unstructured.Unstructured) bool {
	return o.GetLabels()[v1alpha1.LabelVirtualCluster] != ""
}
