// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// refusal is an error that only a change of the Release, of what it refers to or of the
// platform's options heals. Its message is for the person who wrote the Release.
type refusal struct{ message string }

func (r *refusal) Error() string { return r.message }

// errNoChart: an action needs the chart, which cannot be fetched now.
var errNoChart = errors.New("the chart is not there")

// refusef makes a refusal.
func refusef(format string, args ...any) *refusal {
	return &refusal{message: fmt.Sprintf(format, args...)}
}

// explain turns an error of an action into what the condition says: a denial names the
// identity that was denied and who grants it.
func explain(err error, t *tenant) string {
	if apierrors.IsForbidden(err) {
		return fmt.Sprintf("the chart acts as ServiceAccount %s of virtual cluster %s, which may not do this in namespace %s: %v. "+
			"A tenant's chart may only make namespaced objects of the kinds in ClusterRole skerry-tenant",
			t.serviceAccount(), t.VirtualCluster, t.Namespace, err)
	}
	return err.Error()
}

// isRefusal reports whether err heals only by a change.
func isRefusal(err error) bool {
	var r *refusal
	return errors.As(err, &r)
}
