// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// secretTimeout is how long a prepared virtual cluster may be without its Secret.
const secretTimeout = 30 * time.Second

// watchSecret sends the control plane Secret's data, now and whenever it changes. It
// watches this one object: a member has no business with a tenant's other Secrets.
func (r *runner) watchSecret(ctx context.Context) <-chan map[string][]byte {
	secrets := r.clients.CoreV1().Secrets(r.name)
	one := fields.OneTermEqualSelector(metav1.ObjectNameField, platformv1alpha1.ControlPlaneSecret(r.name)).String()
	latest := make(chan map[string][]byte, 1)
	send := func(obj any) {
		secret, ok := obj.(*corev1.Secret)
		if !ok {
			return
		}
		select {
		case <-latest: // not fetched yet and already old
		default:
		}
		latest <- secret.Data
	}
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				o.FieldSelector = one
				return secrets.List(ctx, o)
			},
			WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				o.FieldSelector = one
				return secrets.Watch(ctx, o)
			},
		},
		ObjectType: &corev1.Secret{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    send,
			UpdateFunc: func(_, after any) { send(after) },
		},
	})
	go informer.RunWithContext(ctx)
	return latest
}

func firstSecret(ctx context.Context, secrets <-chan map[string][]byte) (map[string][]byte, error) {
	select {
	case data := <-secrets:
		return data, nil
	case <-time.After(secretTimeout):
		return nil, errors.New("it is not there, or the pool may not watch it: the operator makes both the Secret and RoleBinding skerry-pool-home")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
