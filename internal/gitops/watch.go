// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"strings"
	"sync"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/internal/apply"
)

// observed is all that is kept of an object on a destination: some hundred bytes.
type observed struct {
	// fingerprint changes with everything but the status and the server's bookkeeping.
	fingerprint uint64
	health      argov1alpha1.HealthStatus
	terminating bool
	// keepFrom are the sync options Prune=false and Delete=false.
	noPrune, noDelete bool
}

func observe(o *unstructured.Unstructured) observed {
	options := strings.ReplaceAll(o.GetAnnotations()[argov1alpha1.AnnotationSyncOptions], " ", "")
	options = "," + options + ","
	return observed{
		fingerprint: fingerprint(o), health: healthOf(o), terminating: !o.GetDeletionTimestamp().IsZero(),
		noPrune: strings.Contains(options, ",Prune=false,"), noDelete: strings.Contains(options, ",Delete=false,"),
	}
}

// fingerprint hashes what a manifest can say about an object.
func fingerprint(o *unstructured.Unstructured) uint64 {
	fields := make(map[string]any, len(o.Object))
	for k, v := range o.Object {
		if k != "status" && k != "metadata" {
			fields[k] = v
		}
	}
	fields["labels"], fields["annotations"] = o.GetLabels(), o.GetAnnotations()
	h := fnv.New64a()
	_ = json.NewEncoder(h).Encode(fields) // an object that came from JSON
	return h.Sum64()
}

// watches follow what one Application has applied: one watch per kind, selected by the
// Application's label, keeping an observed of each object and nothing else.
type watches struct {
	app  string
	dest *destination
	// changed is called after a change; drift says that more than a status changed.
	changed func(drift bool)
	log     logr.Logger

	mu    sync.Mutex
	kinds map[schema.GroupVersionKind]*kindWatch
}

// follow starts the watches for the kinds of the inventory and stops the others. A kind
// that the cluster does not serve yet is tried again at the next call.
func (w *watches) follow(ctx context.Context, inv apply.Inventory) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wanted := map[schema.GroupVersionKind]bool{}
	for _, e := range inv {
		wanted[schema.FromAPIVersionAndKind(e.APIVersion, e.Kind)] = true
	}
	for gvk, k := range w.kinds {
		if !wanted[gvk] {
			k.stop()
			delete(w.kinds, gvk)
		}
	}
	for gvk := range wanted {
		if w.kinds[gvk] != nil {
			continue
		}
		mapping, err := w.dest.client.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
		if err != nil {
			w.log.V(1).Info("cannot watch a kind yet", "kind", gvk.String(), "reason", err.Error())
			continue
		}
		if w.kinds == nil {
			w.kinds = map[schema.GroupVersionKind]*kindWatch{}
		}
		w.kinds[gvk] = startKindWatch(ctx, w.dest.dynamic.Resource(mapping.Resource), instanceLabel(w.app), w.changed)
	}
}

// lookup returns what is known of an object. known is false until its kind was listed; exists
// is then whether the object is there.
func (w *watches) lookup(e apply.Entry) (o observed, exists, known bool) {
	w.mu.Lock()
	k := w.kinds[schema.FromAPIVersionAndKind(e.APIVersion, e.Kind)]
	w.mu.Unlock()
	if k == nil {
		return observed{}, false, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	o, exists = k.objects[client.ObjectKey{Namespace: e.Namespace, Name: e.Name}]
	return o, exists, k.synced
}

// stop ends all watches.
func (w *watches) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.kinds {
		k.stop()
	}
	w.kinds = nil
}

// kindWatch is the store that a reflector writes to. It keeps an observed of each object.
type kindWatch struct {
	changed func(drift bool)
	stop    context.CancelFunc

	mu      sync.Mutex
	synced  bool
	objects map[client.ObjectKey]observed
}

func startKindWatch(ctx context.Context, resource dynamic.ResourceInterface, label string, changed func(bool)) *kindWatch {
	// A cluster that sleeps or is gone is no news: the conditions of the Application tell it.
	ctx, cancel := context.WithCancel(klog.NewContext(ctx, logr.Discard()))
	k := &kindWatch{changed: changed, stop: cancel, objects: map[client.ObjectKey]observed{}}
	selector := argov1alpha1.LabelInstance + "=" + label
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = selector
			return resource.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = selector
			return resource.Watch(ctx, o)
		},
	}
	r := cache.NewReflectorWithOptions(lw, &unstructured.Unstructured{}, k, cache.ReflectorOptions{Name: "gitops"})
	go r.RunWithContext(ctx)
	return k
}

// Add implements cache.ReflectorStore.
func (k *kindWatch) Add(obj any) error { return k.Update(obj) }

// Update implements cache.ReflectorStore.
func (k *kindWatch) Update(obj any) error {
	o := obj.(*unstructured.Unstructured)
	now := observe(o)
	k.mu.Lock()
	before, existed := k.objects[client.ObjectKeyFromObject(o)]
	k.objects[client.ObjectKeyFromObject(o)] = now
	k.mu.Unlock()
	if !existed || before != now {
		k.changed(!existed || before.fingerprint != now.fingerprint)
	}
	return nil
}

// Delete implements cache.ReflectorStore.
func (k *kindWatch) Delete(obj any) error {
	k.mu.Lock()
	delete(k.objects, client.ObjectKeyFromObject(obj.(*unstructured.Unstructured)))
	k.mu.Unlock()
	k.changed(true)
	return nil
}

// Replace implements cache.ReflectorStore: the first list, and each one after a watch
// that could not go on. What was changed before the first list, but after the comparison, is told by
// nothing else.
func (k *kindWatch) Replace(list []any, _ string) error {
	objects := make(map[client.ObjectKey]observed, len(list))
	for _, item := range list {
		o := item.(*unstructured.Unstructured)
		objects[client.ObjectKeyFromObject(o)] = observe(o)
	}
	k.mu.Lock()
	drift := !k.synced || len(objects) != len(k.objects)
	for key, now := range objects {
		before, existed := k.objects[key]
		drift = drift || !existed || before.fingerprint != now.fingerprint
	}
	k.objects, k.synced = objects, true
	k.mu.Unlock()
	k.changed(drift)
	return nil
}

// Resync implements cache.ReflectorStore; there is nothing to do.
func (k *kindWatch) Resync() error { return nil }
