// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/claim/request"
)

type schemaKind = schema.GroupVersionKind

// answer is GET /api/roundtrip of the demo application and of the source templates.
type answer struct {
	Value    string      `json:"value"`
	Pod      string      `json:"pod"`
	Postgres storeAnswer `json:"postgres"`
	Redis    storeAnswer `json:"redis"`
}

type storeAnswer struct {
	Configured    bool   `json:"configured"`
	Host          string `json:"host"`
	ServerVersion string `json:"server_version"`
	Written       string `json:"written"`
	Read          string `json:"read"`
	Error         string `json:"error"`
}

// holds says whether the value came back.
func (s storeAnswer) holds(store, value string) (string, error) {
	switch {
	case !s.Configured:
		return "", fmt.Errorf("the application has no %s: %s", store, s.Error)
	case s.Error != "":
		return "", errors.New(s.Error)
	case s.Written != value || s.Read != value:
		return "", fmt.Errorf("%s at %s: wrote %q, read %q", store, s.Host, s.Written, s.Read)
	}
	return fmt.Sprintf("%s %s at %s returned %q", store, s.ServerVersion, s.Host, s.Read), nil
}

// roundtrip is point 3: a value that nobody can have stored before.
func (v *verifier) roundtrip(ctx context.Context) ([]string, error) {
	pod, evidence, err := v.applicationPod(ctx)
	if err != nil {
		return evidence, err
	}
	value := "verify-" + rand.Text()
	body, err := v.get(ctx, pod, "api/roundtrip", map[string]string{"value": value})
	if err != nil {
		return evidence, err
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return evidence, fmt.Errorf("GET /api/roundtrip of Pod %s: the answer is not JSON: %w", pod, err)
	}
	evidence = append(evidence, fmt.Sprintf("GET /api/roundtrip?value=%s, answered by Pod %s", value, a.Pod))
	for _, s := range []struct {
		name   string
		wanted bool
		answer storeAnswer
	}{
		{"PostgreSQL", v.claim.Spec.Database == "postgres", a.Postgres}, {"Redis", v.claim.Spec.Cache == "redis", a.Redis},
	} {
		if !s.wanted {
			continue
		}
		line, err := s.answer.holds(s.name, value)
		if err != nil {
			return evidence, err
		}
		evidence = append(evidence, line)
	}
	page, err := v.get(ctx, pod, "", nil)
	if err != nil {
		return evidence, err
	}
	return append(evidence, fmt.Sprintf("GET / is a page of %d bytes%s", len(page), pageValue(string(page)))), nil
}

// pageValue is the value that the page shows, with how often: written, and read back from each store.
func pageValue(page string) string {
	_, rest, found := strings.Cut(page, "<code>")
	if !found {
		return ""
	}
	value, _, _ := strings.Cut(rest, "</code>")
	return fmt.Sprintf(" that shows %q %d times", html.UnescapeString(value), strings.Count(page, value))
}

// applicationPod is a ready Pod that was created in the virtual cluster, and the proof of that.
func (v *verifier) applicationPod(ctx context.Context) (string, []string, error) {
	name := v.claim.Spec.Name
	pods, err := list(ctx, v.virtual, kindPod, client.InNamespace(request.ApplicationNamespace), client.MatchingLabels{labelComponent: name})
	if err != nil {
		return "", nil, err
	}
	why := fmt.Errorf("there is no Pod with label %s=%s in virtual cluster %s", labelComponent, name, v.cluster)
	for i := range pods {
		pod := &pods[i]
		if verdict := judge(pod); verdict.state != stateOK || pod.GetDeletionTimestamp() != nil {
			why = fmt.Errorf("Pod %s in virtual cluster %s: %s", pod.GetName(), v.cluster, verdict.message)
			continue
		}
		twin, err := read(ctx, v.host, kindPod, v.hostNamespace(), pod.GetName())
		if err != nil {
			return "", nil, err
		}
		if twin == nil || twin.GetAnnotations()[v1alpha1.AnnotationVirtualUID] != string(pod.GetUID()) {
			why = fmt.Errorf("Pod %s/%s of the host is not the one that was created in the virtual cluster", v.hostNamespace(), pod.GetName())
			continue
		}
		return pod.GetName(), []string{fmt.Sprintf("Pod %s was created in the virtual cluster (by %s) and runs as %s/%s on the host",
			pod.GetName(), controller(pod), v.hostNamespace(), pod.GetName())}, nil
	}
	return "", nil, why
}

func controller(o *unstructured.Unstructured) string {
	for _, ref := range o.GetOwnerReferences() {
		if ref.Controller != nil && *ref.Controller {
			return ref.Kind + " " + ref.Name
		}
	}
	return "a person"
}

// get sends a request to the application through the virtual cluster's API server.
func (v *verifier) get(ctx context.Context, pod, path string, query map[string]string) ([]byte, error) {
	set, err := kubernetes.NewForConfig(v.config)
	if err != nil {
		return nil, fmt.Errorf("preparing a client of virtual cluster %s: %w", v.cluster, err)
	}
	r := set.CoreV1().RESTClient().Get().Namespace(request.ApplicationNamespace).Resource("pods").
		Name(pod + ":" + strconv.Itoa(request.ApplicationPort)).SubResource("proxy").Suffix(path)
	for k, value := range query {
		r = r.Param(k, value)
	}
	body, err := r.DoRaw(ctx)
	if apierrors.IsNotFound(err) && path != "" {
		return nil, fmt.Errorf("Pod %s does not serve /%s: this check knows the platform's demo application and its source templates", pod, path)
	}
	if err != nil {
		return nil, fmt.Errorf("GET /%s of Pod %s through the virtual cluster's API server: %w%s", path, pod, err, after(": ", shortened(string(body), 300)))
	}
	return body, nil
}

// gitops is point 4.
func (v *verifier) gitops(ctx context.Context) ([]string, error) {
	delivery, err := healthy(ctx, v.host, kindDelivery, argoNamespace, request.Delivery(v.claim.Spec.Name))
	if err != nil {
		return nil, err
	}
	destination, _, _ := unstructured.NestedString(delivery.Object, "spec", "destination", "name")
	if destination != v.cluster {
		return nil, fmt.Errorf("Application %s/%s delivers to %q, not to %s", argoNamespace, delivery.GetName(), destination, v.cluster)
	}
	repo, _, _ := unstructured.NestedString(delivery.Object, "spec", "source", "repoURL")
	revision, _, _ := unstructured.NestedString(delivery.Object, "status", "sync", "revision")
	evidence := []string{fmt.Sprintf("Application %s/%s: %s at %s is Synced and Healthy in %s",
		argoNamespace, delivery.GetName(), repo, revision[:min(8, len(revision))], destination)}
	line, err := v.registration(ctx)
	if err != nil {
		return evidence, err
	}
	evidence = append(evidence, line)
	line, err = v.nothingElsewhere(ctx)
	if err != nil {
		return evidence, err
	}
	return append(evidence, line), nil
}

// registration checks the Argo CD cluster Secret, without its token.
func (v *verifier) registration(ctx context.Context) (string, error) {
	secrets, err := list(ctx, v.host, kindSecret, client.InNamespace(argoNamespace), client.MatchingLabels{"argocd.argoproj.io/secret-type": "cluster"})
	if err != nil {
		return "", err
	}
	text := func(o *unstructured.Unstructured, key string) string {
		encoded, _, _ := unstructured.NestedString(o.Object, "data", key)
		decoded, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return ""
		}
		return string(decoded)
	}
	want := fmt.Sprintf("https://%s.%s.svc:443", v.cluster, v.cluster)
	for i := range secrets {
		if text(&secrets[i], "name") != v.cluster {
			continue
		}
		if server := text(&secrets[i], "server"); server != want {
			return "", fmt.Errorf("the cluster Secret %s/%s names server %s, not %s", argoNamespace, secrets[i].GetName(), server, want)
		}
		return fmt.Sprintf("cluster Secret %s/%s: %s", argoNamespace, secrets[i].GetName(), want), nil
	}
	return "", fmt.Errorf("there is no Argo CD cluster Secret for %s in namespace %s", v.cluster, argoNamespace)
}

// nothingElsewhere looks for the application's workloads in namespaces of the host that belong to no
// virtual cluster.
func (v *verifier) nothingElsewhere(ctx context.Context) (string, error) {
	namespaces, err := list(ctx, v.host, kindNamespace)
	if err != nil {
		return "", err
	}
	searched := 0
	tenants := map[string]bool{}
	for i := range namespaces {
		tenants[namespaces[i].GetName()] = ours(&namespaces[i])
		if !tenants[namespaces[i].GetName()] {
			searched++
		}
	}
	name := v.claim.Spec.Name
	for _, gvk := range []schemaKind{kindDeployment, kindStatefulSet, kindPod, kindService, kindRelease} {
		items, err := list(ctx, v.host, gvk)
		if err != nil {
			return "", err
		}
		for i := range items {
			o := &items[i]
			if !tenants[o.GetNamespace()] && (o.GetName() == name || strings.HasPrefix(o.GetName(), name+"-")) {
				return "", fmt.Errorf("%s %s/%s of the host belongs to the application and is in no virtual cluster's namespace", gvk.Kind, o.GetNamespace(), o.GetName())
			}
		}
	}
	return fmt.Sprintf("no Deployment, StatefulSet, Pod, Service or Release of it in the host's %d other namespaces", searched), nil
}
