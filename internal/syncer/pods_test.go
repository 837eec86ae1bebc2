// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func podRunsAndEnds(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "runs")
	create(t, w.virtual.Client, simplePod(ns, "web"))

	host := await(t, w.host.Client, hostNS, "web", func(pod *corev1.Pod) error { return nil })
	if host.Labels["app"] != "web" || host.Labels[platformv1alpha1.LabelVirtualCluster] != "east" {
		t.Errorf("host labels are %v", host.Labels)
	}
	await(t, w.virtual.Client, "", ns, func(n *corev1.Namespace) error {
		return want(len(n.Finalizers) == 1, "finalizers of the namespace are %v", n.Finalizers)
	})

	if err := w.host.Client.SubResource("binding").Create(t.Context(), host, &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: "node-1"}}); err != nil {
		t.Fatal(err)
	}
	setStatus(t, w.host.Client, host, func() {
		host.Status.Phase = corev1.PodRunning
		host.Status.PodIP = "10.1.0.7"
		host.Status.PodIPs = []corev1.PodIP{{IP: "10.1.0.7"}}
		now := metav1.Now()
		host.Status.StartTime = &now
	})
	virtual := await(t, w.virtual.Client, ns, "web", func(pod *corev1.Pod) error {
		return want(pod.Status.PodIP == "10.1.0.7" && pod.Spec.NodeName == "node-1", "virtual Pod on %q has IP %q", pod.Spec.NodeName, pod.Status.PodIP)
	})

	if err := w.virtual.Client.Delete(t.Context(), virtual); err != nil {
		t.Fatal(err)
	}
	host = await(t, w.host.Client, hostNS, "web", func(pod *corev1.Pod) error {
		return want(pod.DeletionTimestamp != nil, "host Pod is not being deleted")
	})
	if *host.DeletionGracePeriodSeconds != 5 {
		t.Errorf("host Pod has %d s to end, want 5", *host.DeletionGracePeriodSeconds)
	}
	if err := w.host.Client.Delete(t.Context(), host, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	gone(t, w.virtual.Client, &corev1.Pod{}, ns, "web")
}

func podHasTokens(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "tokens")
	ca := await[corev1.ConfigMap](t, w.virtual.Client, ns, virtualRootCA, nil)
	virtual := simplePod(ns, "web")
	create(t, w.virtual.Client, virtual)

	host := await[corev1.Pod](t, w.host.Client, hostNS, "web", nil)
	secret := await[corev1.Secret](t, w.host.Client, hostNS, tokenSecretName(virtual), nil)
	if len(secret.OwnerReferences) != 1 || secret.OwnerReferences[0].UID != host.UID {
		t.Errorf("the token Secret belongs to %v, want the host Pod", secret.OwnerReferences)
	}
	sources := tokenSources(virtual)
	if len(sources) != 1 {
		t.Fatalf("the API server gave the Pod %d token volumes, want 1", len(sources))
	}
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: string(secret.Data[sources[0].key])}}
	create(t, w.virtual.Client, review)
	if user := review.Status.User.Username; user != "system:serviceaccount:tokens:default" {
		t.Errorf("the token is of %q (%s)", user, review.Status.Error)
	}
	await(t, w.host.Client, hostNS, hostRootCA, func(onHost *corev1.ConfigMap) error {
		return want(onHost.Data["ca.crt"] == ca.Data["ca.crt"], "the CA on the host is %q", onHost.Data["ca.crt"])
	})

	// An early refresh time stands for an old token.
	update(t, w.host.Client, secret, func() { secret.Annotations[annotationTokenRefresh] = "2020-01-01T00:00:00Z" })
	touched := 0
	await(t, w.host.Client, hostNS, secret.Name, func(s *corev1.Secret) error {
		if refreshAt(s).Year() > 2020 {
			return nil
		}
		// Again and again, because the Pod's change may come to the syncer before the Secret's.
		touched++
		update(t, w.host.Client, host, func() { host.Labels["touched"] = strconv.Itoa(touched) })
		return errors.New("the tokens were not refreshed")
	})
}

func podReferencesFollow(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "references")
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "config"}, Data: map[string]string{"k": "1"}}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "secret"}, StringData: map[string]string{"k": "1"}}
	unused := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "unused"}}
	for _, obj := range []client.Object{config, secret, unused} {
		create(t, w.virtual.Client, obj)
	}
	pod := simplePod(ns, "web")
	pod.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{
		{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "config"}}},
		{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "secret"}}},
	}
	create(t, w.virtual.Client, pod)

	await[corev1.Pod](t, w.host.Client, hostNS, "web", nil)
	// They were there before the Pod, so they are there now.
	for name, obj := range map[string]client.Object{"config": &corev1.ConfigMap{}, "secret": &corev1.Secret{}} {
		if err := w.host.Client.Get(t.Context(), client.ObjectKey{Namespace: hostNS, Name: name}, obj); err != nil {
			t.Error(err)
		}
	}
	update(t, w.virtual.Client, config, func() { config.Data["k"] = "2" })
	await(t, w.host.Client, hostNS, "config", func(c *corev1.ConfigMap) error { return want(c.Data["k"] == "2", "host has %v", c.Data) })
	if err := w.host.Client.Get(t.Context(), client.ObjectKey{Namespace: hostNS, Name: "unused"}, &corev1.Secret{}); err == nil {
		t.Error("a Secret that nothing uses is on the host")
	}

	if err := w.virtual.Client.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	gone(t, w.host.Client, &corev1.ConfigMap{}, hostNS, "config")
	gone(t, w.host.Client, &corev1.Secret{}, hostNS, "secret")
}

func podRefused(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "refused")
	create(t, w.virtual.Client, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "first"}, Spec: corev1.ServiceSpec{ClusterIP: "None"}})
	await[corev1.Service](t, w.host.Client, hostNS, "first", nil)
	host := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: hostNS}}
	const policy = "pod-security.kubernetes.io/enforce"
	update(t, w.host.Client, host, func() { host.Labels[policy] = "restricted" })
	awaitRefused(t, w, simplePod(hostNS, "probe"))

	create(t, w.virtual.Client, simplePod(ns, "web"))
	await(t, w.virtual.Client, ns, "web", func(pod *corev1.Pod) error {
		scheduled := findCondition(pod.Status.Conditions, corev1.PodScheduled)
		return want(scheduled != nil && scheduled.Status == corev1.ConditionFalse && scheduled.Reason == "Forbidden",
			"the Pod says %+v", scheduled)
	})
	testenv.Eventually(t, func(ctx context.Context) error {
		events := &corev1.EventList{}
		if err := w.virtual.Client.List(ctx, events, client.InNamespace(ns)); err != nil {
			return err
		}
		for _, event := range events.Items {
			if event.Reason == "HostRefused" && event.InvolvedObject.Name == "web" {
				return nil
			}
		}
		return fmt.Errorf("no event HostRefused among %d", len(events.Items))
	})

	update(t, w.host.Client, host, func() { host.Labels[policy] = "privileged" })
	await[corev1.Pod](t, w.host.Client, hostNS, "web", nil)
}

// awaitRefused waits until the host refuses a Pod: its admission hears of a namespace's policy a moment after the label is set.
func awaitRefused(t *testing.T, w *world, pod *corev1.Pod) {
	t.Helper()
	testenv.Eventually(t, func(ctx context.Context) error {
		err := w.host.Client.Create(ctx, pod.DeepCopy(), client.DryRunAll)
		return want(apierrors.IsForbidden(err), "the host answers %v, want Forbidden", err)
	})
}

func podEvicted(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "evicted")
	create(t, w.virtual.Client, simplePod(ns, "web"))
	host := await[corev1.Pod](t, w.host.Client, hostNS, "web", nil)
	if err := w.host.Client.Delete(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	gone(t, w.virtual.Client, &corev1.Pod{}, ns, "web")
}

func podMadeAnew(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "anew")
	first := simplePod(ns, "web-0")
	create(t, w.virtual.Client, first)
	host := await[corev1.Pod](t, w.host.Client, hostNS, "web-0", nil)
	bindTo(t, w, host, "node-1")
	await(t, w.virtual.Client, ns, "web-0", func(pod *corev1.Pod) error { return want(pod.Spec.NodeName != "", "not bound") })

	if err := w.virtual.Client.Delete(t.Context(), first, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	second := simplePod(ns, "web-0")
	create(t, w.virtual.Client, second)
	await(t, w.host.Client, hostNS, "web-0", func(pod *corev1.Pod) error {
		return want(pod.UID == host.UID && pod.DeletionTimestamp != nil, "the first host Pod is not being deleted")
	})
	if err := w.host.Client.Delete(t.Context(), host, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	await(t, w.host.Client, hostNS, "web-0", func(pod *corev1.Pod) error {
		return want(virtualUID(pod) == second.UID, "the host Pod is of %s, want %s", virtualUID(pod), second.UID)
	})
	if err := w.virtual.Client.Get(t.Context(), client.ObjectKeyFromObject(second), second); err != nil {
		t.Error(err)
	}
}

func bindTo(t *testing.T, w *world, host *corev1.Pod, node string) {
	t.Helper()
	binding := &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: node}}
	if err := w.host.Client.SubResource("binding").Create(t.Context(), host, binding); err != nil {
		t.Fatal(err)
	}
}

func podChanges(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "changes")
	pod := simplePod(ns, "web")
	pod.Labels["old"] = "true"
	pod.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "example.com/gate"}}
	create(t, w.virtual.Client, pod)
	host := await[corev1.Pod](t, w.host.Client, hostNS, "web", nil)
	update(t, w.host.Client, host, func() { host.Labels["by-the-host"] = "true" })

	update(t, w.virtual.Client, pod, func() {
		delete(pod.Labels, "old")
		pod.Labels["new"] = "true"
		pod.Spec.Containers[0].Image = "example.com/app:2"
	})
	await(t, w.host.Client, hostNS, "web", func(pod *corev1.Pod) error {
		_, old := pod.Labels["old"]
		return want(!old && pod.Labels["new"] == "true" && pod.Labels["by-the-host"] == "true" && pod.Spec.Containers[0].Image == "example.com/app:2",
			"host Pod has labels %v and image %s", pod.Labels, pod.Spec.Containers[0].Image)
	})
	setStatus(t, w.virtual.Client, pod, func() {
		setCondition(&pod.Status.Conditions, corev1.PodCondition{Type: "example.com/gate", Status: corev1.ConditionTrue})
	})
	await(t, w.host.Client, hostNS, "web", func(pod *corev1.Pod) error {
		return want(findCondition(pod.Status.Conditions, "example.com/gate") != nil, "the gate is not on the host")
	})
	updateSubResource(t, w.virtual.Client, "ephemeralcontainers", pod, func() {
		pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: "debug", Image: "example.com/debug:1", TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		}}}
	})
	await(t, w.host.Client, hostNS, "web", func(pod *corev1.Pod) error {
		return want(len(pod.Spec.EphemeralContainers) == 1, "no ephemeral container on the host")
	})
}

func podMirrored(t *testing.T, w *world) {
	ns, hostNS := w.namespace(t, "mirrored")
	w.open(t, ns)
	host := simplePod(hostNS, "db-0")
	host.Spec.NodeName = "node-1"
	create(t, w.host.Client, host)
	create(t, w.host.Client, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: hostNS, Name: "db-0.started"},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: hostNS, Name: "db-0", UID: host.UID, APIVersion: "v1"},
		Reason:         "Started", Message: "Started in " + hostNS, Type: "Normal", Count: 1, LastTimestamp: metav1.Now(),
	})
	setStatus(t, w.host.Client, host, func() { host.Status.Phase = corev1.PodRunning })

	virtual := await(t, w.virtual.Client, ns, "db-0", func(pod *corev1.Pod) error {
		return want(pod.Status.Phase == corev1.PodRunning && pod.Spec.NodeName == "node-1", "the mirror is %s on %q", pod.Status.Phase, pod.Spec.NodeName)
	})
	if virtual.Labels[platformv1alpha1.LabelOwner] != platformv1alpha1.OwnerHost || virtual.Labels["app"] != "db-0" {
		t.Errorf("the mirror's labels are %v", virtual.Labels)
	}
	event := await[corev1.Event](t, w.virtual.Client, ns, "db-0.started", nil)
	if event.InvolvedObject.UID != virtual.UID || event.Message != "Started in mirrored" {
		t.Errorf("the event is about %s and says %q", event.InvolvedObject.UID, event.Message)
	}
	if err := w.host.Client.Delete(t.Context(), host, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	gone(t, w.virtual.Client, &corev1.Pod{}, ns, "db-0")
}
