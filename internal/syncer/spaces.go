// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// space is one open host namespace: its objects are watched.
type space struct {
	virtual, host string // the namespace's two names
	cache         cache.Cache
	cancel        context.CancelFunc
}

// spaceState says what a virtual namespace has on the host.
type spaceState int

const (
	spaceAbsent  spaceState = iota // no VirtualNamespace: nothing of it is on the host
	spacePending                   // a VirtualNamespace, not yet watched: wait for word
	spaceOpen
)

// spaces are the tenant's host namespaces. Each is watched by itself, because the tenant may see
// nothing else; subscribers hear of changes in every one.
type spaces struct {
	translator
	config   *rest.Config
	http     *http.Client
	client   client.WithWatch
	releases bool // the host serves Releases
	patience time.Duration

	home cache.Cache // VirtualNamespaces; nil until start

	mu            sync.Mutex
	open          map[string]*space // by virtual name
	granted       map[string]bool   // virtual names whose host namespace let us in once
	subscriptions []*subscription
	wanted        map[string]bool        // virtual namespaces with something to sync, not yet open
	notify        func(namespace string) // wakes the Namespace controller; nil until it runs
	ended         map[string]bool        // virtual names whose VirtualNamespace went, and nobody has been told
	closed        bool
	cancelHome    context.CancelFunc
}

func newSpaces(t translator, config *rest.Config, http *http.Client, c client.WithWatch) *spaces {
	return &spaces{translator: t, config: config, http: http, client: c,
		open: map[string]*space{}, granted: map[string]bool{}, wanted: map[string]bool{}, ended: map[string]bool{}, patience: syncPatience}
}

// start watches the home namespace's VirtualNamespaces.
func (s *spaces) start(ctx context.Context) error {
	home, err := cache.New(s.config, cache.Options{
		HTTPClient: s.http, Scheme: scheme, Mapper: restMapper(),
		DefaultNamespaces: map[string]cache.Config{s.cluster: {}},
		DefaultTransform:  cache.TransformStripManagedFields(),
	})
	if err != nil {
		return err
	}
	if _, err := home.GetInformer(ctx, &platformv1alpha1.VirtualNamespace{}, cache.BlockUntilSynced(false)); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() { _ = home.Start(ctx) }() // returns nil when the context ends
	if !home.WaitForCacheSync(ctx) {
		cancel()
		return errors.New("stopped before the VirtualNamespaces were read")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.home, s.cancelHome = home, cancel
	s.closed = false
	return nil
}

// stop ends every watch.
func (s *spaces) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sp := range s.open {
		sp.cancel()
	}
	s.open = map[string]*space{}
	s.subscriptions = nil
	s.closed = true
	s.home, s.notify = nil, nil
	s.cancelHome()
}

// lookup says what a virtual namespace has on the host, and its space when that is open.
func (s *spaces) lookup(ctx context.Context, namespace string) (*space, spaceState, error) {
	s.mu.Lock()
	sp, home := s.open[namespace], s.home
	s.mu.Unlock()
	if sp != nil {
		return sp, spaceOpen, nil
	}
	if home == nil {
		return nil, spacePending, nil
	}
	err := home.Get(ctx, s.key(namespace), &platformv1alpha1.VirtualNamespace{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, spaceAbsent, nil
	case err != nil:
		return nil, spacePending, fmt.Errorf("reading VirtualNamespace %s: %w", namespace, err)
	}
	return nil, spacePending, nil
}

func (s *spaces) key(namespace string) client.ObjectKey {
	return client.ObjectKey{Namespace: s.cluster, Name: namespace}
}

// ask has the host namespace made. Every object of the namespace is looked at again once it is open.
func (s *spaces) ask(namespace string) {
	if notify := s.want(namespace); notify != nil {
		notify(namespace)
	}
}

// want is ask for when the Namespace controller will look anyway; it gives what wakes that.
func (s *spaces) want(namespace string) (notify func(string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted[namespace] = true
	return s.notify
}

// onWanted has ask call a function, at once for what was asked before.
func (s *spaces) onWanted(notify func(namespace string)) {
	s.mu.Lock()
	s.notify = notify
	before := slices.Collect(maps.Keys(s.wanted))
	s.mu.Unlock()
	for _, namespace := range before {
		notify(namespace)
	}
}

func (s *spaces) isWanted(namespace string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wanted[namespace]
}

// unwant says whether the namespace was wanted.
func (s *spaces) unwant(namespace string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.wanted[namespace]
	delete(s.wanted, namespace)
	return was
}

// virtualNamespace reads the VirtualNamespace from the API server; nil when there is none.
func (s *spaces) virtualNamespace(ctx context.Context, namespace string) (*platformv1alpha1.VirtualNamespace, error) {
	vns := &platformv1alpha1.VirtualNamespace{}
	err := s.client.Get(ctx, s.key(namespace), vns)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading VirtualNamespace %s/%s: %w", s.cluster, namespace, err)
	}
	return vns, nil
}

// create makes the VirtualNamespace; one that exists is fine.
func (s *spaces) create(ctx context.Context, namespace string) error {
	vns := &platformv1alpha1.VirtualNamespace{ObjectMeta: metav1.ObjectMeta{
		Namespace: s.cluster, Name: namespace,
		Labels: map[string]string{platformv1alpha1.LabelVirtualCluster: s.cluster},
	}}
	err := s.client.Create(ctx, vns, client.FieldOwner(fieldOwner))
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("creating VirtualNamespace %s/%s: %w", s.cluster, namespace, err)
	}
	log.FromContext(ctx).Info("asked for a host namespace", "namespace", namespace, "hostNamespace", s.hostNamespace(namespace))
	return nil
}

// ready makes the host namespace and waits for it, for callers that hold a request open.
func (s *spaces) ready(ctx context.Context, namespace string) error {
	s.mu.Lock()
	granted := s.granted[namespace]
	s.mu.Unlock()
	if granted {
		return nil
	}
	watcher, err := s.client.Watch(ctx, &platformv1alpha1.VirtualNamespaceList{}, client.InNamespace(s.cluster),
		client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", namespace)})
	if err != nil {
		return fmt.Errorf("watching VirtualNamespace %s/%s: %w", s.cluster, namespace, err)
	}
	defer watcher.Stop()
	if err := s.create(ctx, namespace); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the host namespace %s: VirtualNamespace %s/%s is not Ready: %w",
				s.hostNamespace(namespace), s.cluster, namespace, ctx.Err())
		case event, open := <-watcher.ResultChan():
			if !open {
				return fmt.Errorf("waiting for VirtualNamespace %s/%s: the watch ended", s.cluster, namespace)
			}
			if vns, isVNS := event.Object.(*platformv1alpha1.VirtualNamespace); isVNS && usable(vns) {
				return s.enter(ctx, namespace)
			}
		}
	}
}

// usable says whether the operator has made the host namespace and means to keep it.
func usable(vns *platformv1alpha1.VirtualNamespace) bool {
	return vns.DeletionTimestamp == nil && isReady(vns)
}

// roleBackoff is for the time that the host's authorizer needs to see a new RoleBinding, about 1.3 s in all.
var roleBackoff = wait.Backoff{Duration: 5 * time.Millisecond, Factor: 2, Steps: 9}

// enter makes one request into a host namespace, so that later ones are not refused only
// because the authorizer has not seen the new RoleBinding yet.
func (s *spaces) enter(ctx context.Context, namespace string) error {
	stopped := func(err error) bool { return apierrors.IsForbidden(err) && ctx.Err() == nil }
	err := retry.OnError(roleBackoff, stopped, func() error {
		return s.client.List(ctx, &corev1.ServiceList{}, client.InNamespace(s.hostNamespace(namespace)), client.Limit(1))
	})
	if err != nil {
		return fmt.Errorf("entering host namespace %s: %w", s.hostNamespace(namespace), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.granted[namespace] = true
	return nil
}
