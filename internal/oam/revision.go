// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package oam

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
	"github.com/skerry-platform/skerry/internal/oam/render"
)

// hashOf is the content hash of a version of an Application: its spec, the specs of
// the definitions that it uses, and the version that it is published as, if any.
func hashOf(app *oamv1.Application, defs render.Definitions) (string, error) {
	all := []any{app.Spec, defs.Components, defs.Traits}
	if v := app.Annotations[oamv1.AnnotationPublishVersion]; v != "" {
		all = append(all, v)
	}
	content, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("hashing Application %s: %w", client.ObjectKeyFromObject(app), err)
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8]), nil
}

// nextRevision says which revision a version of an Application is: the latest one when
// nothing has changed since, else a new one. Going back to earlier content is a
// new revision too, as in KubeVela.
func (r *reconciler) nextRevision(ctx context.Context, app *oamv1.Application, defs render.Definitions) (oamv1.Revision, error) {
	hash, err := hashOf(app, defs)
	if err != nil {
		return oamv1.Revision{}, err
	}
	if latest := app.Status.LatestRevision; latest != nil && latest.RevisionHash == hash {
		return *latest, nil
	}
	// The status may be behind what a crashed or a competing reconcile recorded.
	recorded, err := r.revisions(ctx, app)
	if err != nil {
		return oamv1.Revision{}, err
	}
	number := int64(0)
	if n := len(recorded); n > 0 {
		number = revisionNumber(app.Name, recorded[n-1].Name)
		if recorded[n-1].Labels[oamv1.LabelAppRevisionHash] == hash {
			return revisionOf(app, number, hash), nil
		}
	}
	return revisionOf(app, number+1, hash), nil
}

func revisionOf(app *oamv1.Application, number int64, hash string) oamv1.Revision {
	return oamv1.Revision{Name: fmt.Sprintf("%s-v%d", app.Name, number), Revision: number, RevisionHash: hash}
}

// revisionNumber is N of NAME-vN, or 0.
func revisionNumber(app, name string) int64 {
	var n int64
	if _, err := fmt.Sscanf(name, app+"-v%d", &n); err != nil {
		return 0
	}
	return n
}

// revisions lists the recorded revisions, oldest first, from the API server.
func (r *reconciler) revisions(ctx context.Context, app *oamv1.Application) ([]oamv1.ApplicationRevision, error) {
	list := &oamv1.ApplicationRevisionList{}
	if err := r.direct.List(ctx, list, client.InNamespace(app.Namespace), client.MatchingLabels{oamv1.LabelAppName: app.Name}); err != nil {
		return nil, fmt.Errorf("listing the revisions of Application %s: %w", client.ObjectKeyFromObject(app), err)
	}
	slices.SortFunc(list.Items, func(a, b oamv1.ApplicationRevision) int {
		return int(revisionNumber(app.Name, a.Name) - revisionNumber(app.Name, b.Name))
	})
	return list.Items, nil
}

// record writes the revision when it is new, and forgets the oldest ones beyond limit.
func (r *reconciler) record(ctx context.Context, app *oamv1.Application, defs render.Definitions, rev oamv1.Revision, limit int) error {
	if latest := app.Status.LatestRevision; latest != nil && *latest == rev {
		return nil
	}
	o := &oamv1.ApplicationRevision{
		ObjectMeta: metav1.ObjectMeta{
			Name: rev.Name, Namespace: app.Namespace,
			Labels: map[string]string{
				oamv1.LabelAppName: app.Name, oamv1.LabelAppNamespace: app.Namespace, oamv1.LabelAppRevisionHash: rev.RevisionHash,
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: oamv1.GroupVersion.String(), Kind: "Application", Name: app.Name, UID: app.UID, Controller: ptr.To(true),
			}},
		},
		Spec: oamv1.ApplicationRevisionSpec{
			Application: oamv1.Application{
				TypeMeta:   metav1.TypeMeta{APIVersion: oamv1.GroupVersion.String(), Kind: "Application"},
				ObjectMeta: metav1.ObjectMeta{Name: app.Name, Namespace: app.Namespace, Labels: app.Labels},
				Spec:       *app.Spec.DeepCopy(),
			},
			ComponentDefinitions: defs.Components, TraitDefinitions: defs.Traits,
		},
	}
	// Of the annotations only the one that says where to is content.
	if cluster, ok := app.Annotations[oamv1.AnnotationCluster]; ok {
		o.Spec.Application.Annotations = map[string]string{oamv1.AnnotationCluster: cluster}
	}
	if v := app.Annotations[oamv1.AnnotationPublishVersion]; v != "" {
		o.Annotations = map[string]string{oamv1.AnnotationPublishVersion: v}
	}
	if err := r.createRevision(ctx, o); err != nil {
		return fmt.Errorf("recording revision %s of Application %s: %w", rev.Name, client.ObjectKeyFromObject(app), err)
	}
	if rev.Revision <= int64(limit) {
		return nil
	}
	return r.forgetRevisions(ctx, app, limit)
}

// createRevision creates a revision, or finds it with the same content.
func (r *reconciler) createRevision(ctx context.Context, o *oamv1.ApplicationRevision) error {
	hash := o.Labels[oamv1.LabelAppRevisionHash]
	err := r.direct.Create(ctx, o)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	if err := r.direct.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
		return err
	}
	if o.Labels[oamv1.LabelAppRevisionHash] != hash {
		return errors.New("it exists with another content; trying again with the next number")
	}
	return nil
}

func (r *reconciler) forgetRevisions(ctx context.Context, app *oamv1.Application, keep int) error {
	recorded, err := r.revisions(ctx, app)
	if err != nil {
		return err
	}
	for i := range recorded[:max(0, len(recorded)-keep)] {
		if err := r.direct.Delete(ctx, &recorded[i]); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting revision %s: %w", recorded[i].Name, err)
		}
	}
	return nil
}

// succeeded marks the revision that has been seen running.
func (r *reconciler) succeeded(ctx context.Context, app *oamv1.Application, rev oamv1.Revision) error {
	o := &oamv1.ApplicationRevision{}
	if err := r.direct.Get(ctx, client.ObjectKey{Namespace: app.Namespace, Name: rev.Name}, o); err != nil || o.Status.Succeeded {
		return client.IgnoreNotFound(err)
	}
	before := o.DeepCopy()
	o.Status.Succeeded = true
	if err := r.direct.Status().Patch(ctx, o, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("marking revision %s as succeeded: %w", rev.Name, err)
	}
	return nil
}

// recorded returns the Application and the definitions of a revision, to render it again, and
// the version that it was published as. The Application keeps the identity, labels and
// annotations that it has now, but for the one that says where to.
func (r *reconciler) recorded(ctx context.Context, app *oamv1.Application, rev oamv1.Revision) (old *oamv1.Application, defs render.Definitions, published string, err error) {
	o := &oamv1.ApplicationRevision{}
	if err := r.direct.Get(ctx, client.ObjectKey{Namespace: app.Namespace, Name: rev.Name}, o); err != nil {
		return nil, defs, "", fmt.Errorf("reading revision %s: %w", rev.Name, err)
	}
	old = app.DeepCopy()
	old.Spec = o.Spec.Application.Spec
	old.Annotations = maps.Clone(o.Spec.Application.Annotations)
	if old.Annotations == nil {
		old.Annotations = map[string]string{}
	}
	for name, value := range app.Annotations {
		if name != oamv1.AnnotationCluster {
			old.Annotations[name] = value
		}
	}
	defs = render.Definitions{Components: o.Spec.ComponentDefinitions, Traits: o.Spec.TraitDefinitions}
	return old, defs, o.Annotations[oamv1.AnnotationPublishVersion], nil
}
