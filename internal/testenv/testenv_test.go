// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestStoresBuiltInKindsAndOurs(t *testing.T) {
	env := testenv.Start(t)
	ns := env.Namespace(t)

	objects := []client.Object{
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "config"}, Data: map[string]string{"k": "v"}},
		&platformv1alpha1.VirtualNamespace{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "default"}},
	}
	for _, o := range objects {
		if err := env.Client.Create(t.Context(), o); err != nil {
			t.Fatalf("creating %T: %v", o, err)
		}
		if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			t.Fatalf("reading %T back: %v", o, err)
		}
	}
}
