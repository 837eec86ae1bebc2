// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"
	"testing"

	"helm.sh/helm/v4/pkg/release/common"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

// slowChart has a hook, a Pod, that runs before each upgrade when .Values.slow is set.
func slowChart() Options {
	return Options{Catalog: tinyChart(map[string]string{"hook.yaml": `{{ if .Values.slow }}
apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-migrate
  annotations: {helm.sh/hook: pre-upgrade}
spec:
  automountServiceAccountToken: false
  restartPolicy: Never
  containers: [{name: migrate, image: x}]
{{ end }}
`}, "1.0.0")}
}

// deployedAt waits for a revision that is deployed and what the Release asks for.
func deployedAt(revision int) func(*helmv1beta1.Release) error {
	return all(condition("Synced", "True", fmt.Sprintf("revision %d ", revision)), func(rel *helmv1beta1.Release) error {
		if at := rel.Status.AtProvider; at.Revision != revision || at.State != "deployed" || rel.Status.Failed != 0 {
			return fmt.Errorf("it is not deployed at revision %d", revision)
		}
		return nil
	})
}

// The engine is stopped in the middle of an upgrade, while a hook runs. The next one goes on with the
// upgrade: going back first would restart the workload for nothing, and nobody's attempt failed.
func TestAStoppedEngineGoesOnWithTheUpgrade(t *testing.T) {
	w := newWorld(t, slowChart()).allow()
	w.serviceAccount()
	w.create(w.releaseOf("app", "tiny", "1.0.0", `{"text":"one"}`))
	w.until("app", deployedAt(1))
	w.change("app", func(rel *helmv1beta1.Release) {
		rel.Spec.ForProvider.Values.Raw = []byte(`{"text":"two","slow":true}`)
	})
	first := w.hookPod("app-migrate", "")
	w.kill()
	w.start()
	again := w.hookPod("app-migrate", first.UID)
	again.Status.Phase = corev1.PodSucceeded
	if err := w.Client.Status().Update(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	w.until("app", deployedAt(3))
	if text := w.configMap("app").Data["text"]; text != "two" {
		t.Errorf("the text is %q", text)
	}
}

// A crash leaves an upgrade pending, and nobody changes anything afterwards.
func TestACrashedUpgradeIsNotRolledBack(t *testing.T) {
	w := newWorld(t, Options{Catalog: tinyChart(nil, "1.0.0")}).allow()
	w.create(w.releaseOf("app", "tiny", "1.0.0", `{"text":"one"}`))
	w.until("app", deployedAt(1))
	w.change("app", func(rel *helmv1beta1.Release) { rel.Spec.ForProvider.Values.Raw = []byte(`{"text":"two"}`) })
	w.until("app", deployedAt(2))
	w.kill()
	w.setState("app", common.StatusPendingUpgrade)
	w.start()
	w.until("app", deployedAt(3))
	if text := w.configMap("app").Data["text"]; text != "two" {
		t.Errorf("the text is %q", text)
	}
}

// serviceAccount that Pods of the tenant's namespace need.
func (w *world) serviceAccount() {
	w.t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "default"}}
	if err := w.Client.Create(w.t.Context(), account); client.IgnoreAlreadyExists(err) != nil {
		w.t.Fatal(err)
	}
}

// hookPod waits for a Pod of the name that is another than before.
func (w *world) hookPod(name string, before types.UID) *corev1.Pod {
	w.t.Helper()
	pod := &corev1.Pod{}
	testenv.Eventually(w.t, func(ctx context.Context) error {
		if err := w.Client.Get(ctx, client.ObjectKey{Namespace: w.ns, Name: name}, pod); err != nil {
			return err
		}
		if pod.UID == before {
			return fmt.Errorf("Pod %s is still the one from before", name)
		}
		return nil
	})
	return pod
}
