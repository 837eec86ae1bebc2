// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/apply"
)

// deletionCheck is how often a deletion is looked at when no watch tells of an end.
const deletionCheck = 5 * time.Second

// delete takes back everything that the Application applied, when it has Argo CD's finalizer,
// and then lets it go.
func (r *reconciler) delete(ctx context.Context, app *argov1alpha1.Application) (ctrl.Result, error) {
	if !slices.ContainsFunc(app.Finalizers, isResourcesFinalizer) {
		r.forget(client.ObjectKeyFromObject(app))
		return ctrl.Result{}, nil
	}
	limited, cancel := context.WithTimeout(ctx, passLimit)
	defer cancel()
	p := &pass{reconciler: r, tracked: r.tracked(client.ObjectKeyFromObject(app)), app: app, before: app.DeepCopy(), now: time.Now()}
	remaining, err := p.takeBack(limited)
	switch {
	case !isProblem(err):
		p.silentSince = time.Time{}
	case p.silentSince.IsZero():
		p.silentSince = p.now
	}
	switch {
	case errors.Is(err, errNoCluster) && r.isClusterGone(limited, app):
		return ctrl.Result{}, p.release(ctx, "its cluster is gone")
	case err != nil && p.mayGiveUp(limited, err):
		return ctrl.Result{}, p.release(ctx, "its cluster cannot be reached: "+err.Error())
	case err == nil && len(remaining) == 0:
		return ctrl.Result{}, p.release(ctx, "everything is deleted")
	}
	p.app.Status.Conditions = nil
	if err != nil {
		p.condition(argov1alpha1.ConditionDeletionError, err.Error())
	} else {
		p.condition(argov1alpha1.ConditionDeletionProgress, "waiting for "+p.waitingFor(remaining))
	}
	return ctrl.Result{RequeueAfter: deletionCheck}, p.save(ctx)
}

// takeBack asks for the deletion of the inventory and returns what is still there.
func (p *pass) takeBack(ctx context.Context) (apply.Inventory, error) {
	inv := inventoryOf(p.app)
	if len(inv) == 0 {
		return nil, nil
	}
	dest, err := p.destinations.get(ctx, p.app.Spec.Destination)
	if err != nil {
		return nil, err
	}
	if dest != p.dest {
		p.connect(dest)
	}
	p.follow()
	var doomed apply.Inventory
	for _, e := range inv {
		live := e.Object()
		err := dest.client.Get(ctx, client.ObjectKeyFromObject(live), live)
		switch {
		case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
			continue
		case err != nil && isUnreachable(err):
			return nil, unreachable(dest, err)
		case err != nil:
			return nil, fmt.Errorf("reading %s: %w", e, err)
		}
		owner, _, _ := strings.Cut(live.GetAnnotations()[argov1alpha1.AnnotationTrackingID], ":")
		if observe(live).noDelete || owner != "" && owner != p.app.Name {
			continue
		}
		doomed = append(doomed, e)
	}
	remaining, err := dest.applier.Prune(ctx, doomed, nil)
	if err != nil && isUnreachable(err) {
		return remaining, unreachable(dest, err)
	}
	return remaining, err
}

// isClusterGone asks the API server: the cache may be behind a Secret that was replaced, and what is let go is
// never deleted.
func (r *reconciler) isClusterGone(ctx context.Context, app *argov1alpha1.Application) bool {
	now := &destinations{secrets: r.reader, namespace: r.opts.Namespace}
	_, err := now.find(ctx, app.Spec.Destination)
	return errors.Is(err, errNoCluster)
}

// mayGiveUp decides whether to let go although the destination could not be cleaned: the
// virtual cluster behind it is gone, or it has not answered for as long as Options allow. How old the
// deletion is says nothing: the engine may have been away, and the cluster with it.
// A cluster that answers and refuses is waited for.
func (p *pass) mayGiveUp(ctx context.Context, err error) bool {
	if !isProblem(err) {
		return false
	}
	if p.now.Sub(p.silentSince) > p.opts.DeletionPatience {
		return true
	}
	if p.dest == nil || p.dest.virtualCluster == "" {
		return false
	}
	vc := &platformv1alpha1.VirtualCluster{}
	err = p.reader.Get(ctx, client.ObjectKey{Name: p.dest.virtualCluster}, vc)
	return apierrors.IsNotFound(err)
}

// waitingFor names what is still being deleted, with what is known of the first.
func (p *pass) waitingFor(remaining apply.Inventory) string {
	var names []string
	for _, e := range remaining {
		name := e.String()
		if seen, exists, _ := p.watches.lookup(e); exists && seen.health.Message != "" {
			name += " (" + seen.health.Message + ")"
		}
		names = append(names, name)
	}
	return some(names, ", ")
}

// release removes the finalizer.
func (p *pass) release(ctx context.Context, why string) error {
	p.app.Finalizers = slices.DeleteFunc(p.app.Finalizers, isResourcesFinalizer)
	if err := p.save(ctx); err != nil {
		return err
	}
	log.FromContext(ctx).Info("let the Application go", "reason", why)
	p.forget(client.ObjectKeyFromObject(p.app))
	return nil
}

// isResourcesFinalizer knows Argo CD's spellings: plain, /foreground and /background.
func isResourcesFinalizer(finalizer string) bool {
	return finalizer == argov1alpha1.ResourcesFinalizer || strings.HasPrefix(finalizer, argov1alpha1.ResourcesFinalizer+"/")
}
