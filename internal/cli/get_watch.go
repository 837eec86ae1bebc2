// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// watcher prints claims as they are and again after every change.
type watcher struct {
	*common
	host *host
	// namespace and name narrow what is shown; empty means all.
	namespace, name string
	namespaces      bool
	// seen is each claim's version, so that one that is listed again is not printed again.
	seen   map[client.ObjectKey]string
	widths []int
}

// run ends when the person stops it. A watch that breaks is begun anew.
func (w *watcher) run(ctx context.Context) error {
	for {
		if err := w.once(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return &exitError{code: ExitInterrupted}
		case <-time.After(reconnect):
		}
	}
}

func (w *watcher) once(ctx context.Context) error {
	list := &v1alpha1.ApplicationClaimList{}
	opts := []client.ListOption{client.InNamespace(w.namespace)}
	if w.name != "" {
		opts = append(opts, client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", w.name)})
	}
	if err := w.host.client.List(ctx, list, opts...); err != nil {
		if lasting(err) || w.seen == nil {
			return explain(err, client.ObjectKey{Namespace: w.namespace, Name: w.name})
		}
		return nil
	}
	if w.seen == nil && w.name != "" && len(list.Items) == 0 {
		return &noClaimError{client.ObjectKey{Namespace: w.namespace, Name: w.name}}
	}
	if err := w.show(list.Items...); err != nil {
		return err
	}
	watched, err := w.host.client.Watch(ctx, &v1alpha1.ApplicationClaimList{}, append(opts, fromVersion(list.ResourceVersion))...)
	if err != nil {
		return nil
	}
	defer watched.Stop()
	for event := range watched.ResultChan() {
		claim, ok := event.Object.(*v1alpha1.ApplicationClaim)
		if !ok {
			return nil
		}
		if err := w.show(*claim); err != nil {
			return err
		}
		if event.Type == watch.Deleted {
			say(w.people(), "%s is gone.", claim.Name)
		}
	}
	return nil
}

// show prints those of the claims that changed: as rows below one head, or as -o says.
func (w *watcher) show(claims ...v1alpha1.ApplicationClaim) error {
	first := w.seen == nil
	if first {
		w.seen = map[client.ObjectKey]string{}
	}
	var changed []v1alpha1.ApplicationClaim
	for _, claim := range claims {
		key := client.ObjectKeyFromObject(&claim)
		if w.seen[key] != claim.ResourceVersion {
			w.seen[key] = claim.ResourceVersion
			typed(&claim)
			changed = append(changed, claim)
		}
	}
	if w.output != "" && w.output != "wide" {
		for i := range changed {
			if w.output == "yaml" {
				fmt.Fprintln(w.program.Out, "---")
			}
			if err := w.print(&changed[i], nil); err != nil {
				return err
			}
		}
		return nil
	}
	rows := w.rows(changed, w.namespaces)
	if !first {
		rows = rows[1:]
	}
	return w.columns(w.program.Out, rows)
}

// columns keeps the widths of the rows before, as nothing that is printed can be moved.
func (w *watcher) columns(out io.Writer, rows [][]string) error {
	for _, row := range rows {
		for i, cell := range row {
			if i == len(w.widths) {
				w.widths = append(w.widths, 0)
			}
			w.widths[i] = max(w.widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&line, "%-*s   ", w.widths[i], cell)
		}
		if _, err := fmt.Fprintln(out, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}
