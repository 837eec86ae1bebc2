// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"
	"slices"
	"time"

	"helm.sh/helm/v4/pkg/release/common"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv1beta1 "github.com/skerry-platform/skerry/api/helm.m.crossplane.io/v1beta1"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func (w *world) secret(name string) *corev1.Secret {
	w.t.Helper()
	secret := &corev1.Secret{}
	if err := w.Client.Get(w.t.Context(), client.ObjectKey{Namespace: w.ns, Name: name}, secret); err != nil {
		w.t.Fatal(err)
	}
	return secret
}

func (w *world) configMap(name string) *corev1.ConfigMap {
	w.t.Helper()
	cm := &corev1.ConfigMap{}
	if err := w.Client.Get(w.t.Context(), client.ObjectKey{Namespace: w.ns, Name: name}, cm); err != nil {
		w.t.Fatal(err)
	}
	return cm
}

func (w *world) delete(name string) {
	w.t.Helper()
	rel := &helmv1beta1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name}}
	if err := w.Client.Delete(w.t.Context(), rel); client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
}

func (w *world) untilGone(name string) {
	w.t.Helper()
	testenv.Eventually(w.t, func(ctx context.Context) error {
		rel := &helmv1beta1.Release{}
		err := w.Client.Get(ctx, client.ObjectKey{Namespace: w.ns, Name: name}, rel)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("still there (%v): %+v", err, rel.Status)
	})
}

// empty fails when something of a chart is in the tenant's namespace, or soon appears.
func (w *world) empty() {
	w.t.Helper()
	testenv.Always(w.t, 200*time.Millisecond, func(ctx context.Context) error {
		for _, list := range []client.ObjectList{&corev1.SecretList{}, &corev1.ConfigMapList{}, &corev1.ServiceList{}, &appsv1.StatefulSetList{}} {
			if err := w.Client.List(ctx, list, client.InNamespace(w.ns)); err != nil {
				return err
			}
			if err := meta.EachListItem(list, notOurs); err != nil {
				return err
			}
		}
		return nil
	})
}

// notOurs fails for an object that is not every namespace's own.
func notOurs(obj runtime.Object) error {
	accessor, err := meta.Accessor(obj)
	if err != nil || accessor.GetName() == "kube-root-ca.crt" {
		return err
	}
	return fmt.Errorf("%T %s is there", obj, accessor.GetName())
}

// told waits until there are events about a Release with all the reasons.
func (w *world) told(name string, reasons ...string) {
	w.t.Helper()
	testenv.Eventually(w.t, func(ctx context.Context) error {
		events := &corev1.EventList{}
		if err := w.Client.List(ctx, events, client.InNamespace(w.ns), client.MatchingFields{"involvedObject.name": name}); err != nil {
			return err
		}
		missing := slices.Clone(reasons)
		for i := range events.Items {
			missing = slices.DeleteFunc(missing, func(reason string) bool { return reason == events.Items[i].Reason })
		}
		if len(missing) > 0 {
			return fmt.Errorf("there is no event %v", missing)
		}
		return nil
	})
}

// job is how the engine sees a Helm release, as an administrator.
func (w *world) job(name string) *job {
	w.t.Helper()
	c, err := newDirectClient(w.Config)
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := newSDK(w.Config, c.RESTMapper())
	if err != nil {
		w.t.Fatal(err)
	}
	cfg, err := s.configuration(w.Config, w.ns)
	if err != nil {
		w.t.Fatal(err)
	}
	return &job{cfg: cfg, name: name}
}

// records are Helm's, oldest first.
func (w *world) records(name string) []*releasev1.Release {
	w.t.Helper()
	releases, err := history(w.job(name).cfg, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return releases
}

// setState rewrites the state of Helm's last record, as a crash would leave it.
func (w *world) setState(name string, state common.Status) {
	w.t.Helper()
	j := w.job(name)
	last, err := j.last()
	if err != nil {
		w.t.Fatal(err)
	}
	last.Info.Status = state
	if err := j.cfg.Releases.Update(last); err != nil {
		w.t.Fatal(err)
	}
}
