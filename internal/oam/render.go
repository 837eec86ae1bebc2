// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/internal/oam/render"
)

// render decides what is to run: the Application as it is now or, when that cannot be
// rendered, the last version on record. run.refused then says what is wrong.
func (r *reconciler) render(ctx context.Context, run *run) error {
	defer run.memory.keep(run)
	if pinned, err := r.renderPinned(ctx, run); pinned || err != nil {
		return err
	}
	_, run.unparsed = render.Parse(run.app, r.cluster)
	if run.unparsed == nil {
		err := r.renderCurrent(ctx, run)
		if !isRefusal(err) {
			return err
		}
		run.refused = err
	} else {
		run.refused = run.unparsed
	}
	latest := run.latest()
	if latest == nil {
		return nil
	}
	return r.renderRecorded(ctx, run, *latest)
}

// latest is the newest version on record. The status may be behind: its last write may have been refused, or not
// have reached the cache.
func (run *run) latest() *oamv1.Revision {
	told, known := run.app.Status.LatestRevision, run.memory.recorded
	if known != nil && (told == nil || told.Revision < known.Revision) {
		return known
	}
	return told
}

// renderPinned renders the latest version on record when the Application asks to stay with
// it: its annotation says the version that it was published as.
func (r *reconciler) renderPinned(ctx context.Context, run *run) (pinned bool, err error) {
	version, latest := run.app.Annotations[oamv1.AnnotationPublishVersion], run.latest()
	if version == "" || latest == nil {
		return false, nil
	}
	app, defs, published, err := r.recorded(ctx, run.app, *latest)
	if err != nil || published != version {
		return false, client.IgnoreNotFound(err)
	}
	result, key, err := r.rendered(ctx, run, app, defs, *latest)
	if isRefusal(err) {
		run.refused = err
		return true, nil
	}
	run.result, run.key, run.revision, run.pinned = result, key, *latest, version
	return true, err
}

func (r *reconciler) renderCurrent(ctx context.Context, run *run) error {
	defs, err := r.definitions(ctx, run.app.Namespace)
	if err != nil {
		return err
	}
	run.definitions = used(run.app, defs)
	rev, err := r.nextRevision(ctx, run.app, run.definitions)
	if err != nil {
		return err
	}
	result, key, err := r.rendered(ctx, run, run.app, defs, rev)
	if err != nil {
		return err
	}
	run.result, run.key, run.revision = result, key, rev
	return nil
}

// renderRecorded renders a version on record, so that it keeps running. When even that
// does not work, nothing is touched.
func (r *reconciler) renderRecorded(ctx context.Context, run *run, rev oamv1.Revision) error {
	app, defs, _, err := r.recorded(ctx, run.app, rev)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	result, key, err := r.rendered(ctx, run, app, defs, rev)
	if isRefusal(err) {
		return nil
	}
	if err != nil {
		return err
	}
	run.result, run.key, run.revision = result, key, rev
	return nil
}

// rendered renders, or returns what was rendered from the same input before.
func (r *reconciler) rendered(ctx context.Context, run *run, app *oamv1.Application, defs render.Definitions, rev oamv1.Revision) (*render.Result, string, error) {
	key, err := keyOf(app, rev)
	if err != nil {
		return nil, "", err
	}
	run.keys = append(run.keys, key)
	known, ok := run.memory.rendered[key]
	if !ok {
		known.result, err = render.Render(ctx, render.Input{
			Application: app, Definitions: defs, Cluster: r.cluster, ClusterVersion: r.version, Revision: rev,
			Namespaced: r.namespaced, Evaluator: r.evaluator,
		})
		if errors.As(err, &known.refused) && known.refused.Err == nil {
			err = nil // the same again would end the same
		}
		if err != nil {
			return nil, "", fmt.Errorf("rendering Application %s: %w", client.ObjectKeyFromObject(app), err)
		}
		run.memory.rendered[key] = known
	}
	if known.refused != nil {
		return nil, "", known.refused
	}
	return known.result, key, nil
}

// keyOf says what a render depends on that may change: the revision's content, and
// the labels and annotations that templates see.
func keyOf(app *oamv1.Application, rev oamv1.Revision) (string, error) {
	raw, err := json.Marshal([]any{rev, app.Labels, app.Annotations})
	if err != nil {
		return "", fmt.Errorf("hashing Application %s: %w", client.ObjectKeyFromObject(app), err)
	}
	sum := sha256.Sum256(raw)
	return string(sum[:]), nil
}

// isRefusal tells an Application that is wrong from a cluster that does not answer.
func isRefusal(err error) bool {
	var refused *render.Error
	return errors.As(err, &refused)
}

// namespaced asks the API server about a kind.
func (r *reconciler) namespaced(gvk schema.GroupVersionKind) (bool, error) {
	mapping, err := r.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return false, err
	}
	return mapping.Scope.Name() == meta.RESTScopeNameNamespace, nil
}
