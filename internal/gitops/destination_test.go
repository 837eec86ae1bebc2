// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func TestATokenIsReplacedWithoutCuttingConnections(t *testing.T) {
	env := testenv.Start(t)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace(t), Name: "c", Labels: map[string]string{argov1alpha1.LabelSecretType: argov1alpha1.SecretTypeCluster}},
		StringData: map[string]string{"name": "shop", "server": "https://shop.shop.svc:443", "config": `{"bearerToken":"one","tlsClientConfig":{}}`},
	}
	if err := env.Client.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	all := &destinations{secrets: env.Client, namespace: secret.Namespace}
	get := func(config string) *destination {
		t.Helper()
		if config != "" {
			secret.Data["config"] = []byte(config)
			if err := env.Client.Update(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
		}
		d, err := all.get(t.Context(), argov1alpha1.ApplicationDestination{Name: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	first := get("")
	second := get(`{"bearerToken":"two","tlsClientConfig":{}}`)
	if first != second || *first.token.token.Load() != "two" {
		t.Error("a new token made new connections, or is not used")
	}
	if third := get(`{"bearerToken":"two","tlsClientConfig":{"serverName":"shop"}}`); third == second {
		t.Error("other TLS settings did not make new connections")
	}
	if _, err := all.get(t.Context(), argov1alpha1.ApplicationDestination{Name: "shop", Server: "https://x"}); err == nil {
		t.Error("name and server together were taken")
	}
}

// The connections to a cluster go with its Secret.
func TestAClusterWithoutItsSecretIsForgotten(t *testing.T) {
	env := testenv.Start(t, testenv.WithScheme(argov1alpha1.AddToScheme))
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: env.Namespace(t), Name: "c", Labels: map[string]string{argov1alpha1.LabelSecretType: argov1alpha1.SecretTypeCluster},
	}}
	r := &reconciler{client: env.Client, opts: Options{Namespace: secret.Namespace}, destinations: &destinations{
		open: map[string]*destination{"c": {http: &http.Client{}}, "other": {http: &http.Client{}}},
	}}
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()
	r.secretEvents().Delete(t.Context(), event.TypedDeleteEvent[*corev1.Secret]{Object: secret}, queue)
	if len(r.destinations.open) != 1 || r.destinations.open["other"] == nil {
		t.Errorf("open are %v, want the other one", r.destinations.open)
	}
}
