// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package request

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// Ends of names that are made from an application's.
const (
	endOfGitOps   = "-gitops"
	endOfDelivery = "-oam"
)

const (
	// AnnotationRequestedAt, on an ApplicationClaim, is when somebody asked, in RFC 3339 with
	// nanoseconds. Kubernetes keeps whole seconds only, too coarse for an account of where the time went.
	AnnotationRequestedAt = "platform.skerry.dev/requested-at"
	// ApplicationNamespace, inside the virtual cluster, is where the application runs.
	ApplicationNamespace = "default"
	// ApplicationPort is what the service listens on.
	ApplicationPort = 8080
	// GitOpsPath is the folder of the GitOps repository that is delivered.
	GitOpsPath = "oam/applications"
)

// Label is the value of v1alpha1.LabelClaim for the children of a claim:
// NAMESPACE.NAME, with the end replaced by 10 hexadecimal digits of its SHA-256 when it would be longer
// than the 63 characters of a label value.
func Label(namespace, name string) string {
	const most, digits = 63, 10
	s := namespace + "." + name
	if len(s) <= most {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return s[:most-digits-1] + "-" + hex.EncodeToString(sum[:])[:digits]
}

// SourceRepository and GitOpsRepository are the Repository objects of an application, in its
// claim's namespace; they are also the names of the repositories themselves.
func SourceRepository(application string) string { return application }
func GitOpsRepository(application string) string { return application + endOfGitOps }

// Delivery is the argoproj.io Application that delivers the GitOps repository.
func Delivery(application string) string { return application + endOfDelivery }

// Applications are the names that an application may have of which an object of this name is, or would be, a
// Repository, an AppProject or an argoproj.io Application.
func Applications(object string) []string {
	out := []string{object}
	for _, end := range []string{endOfGitOps, endOfDelivery} {
		if name, is := strings.CutSuffix(object, end); is {
			out = append(out, name)
		}
	}
	return out
}

// DatabaseName and CacheName are the OAM components of an application's own services.
func DatabaseName(application string) string { return application + "-db" }
func CacheName(application string) string    { return application + "-cache" }

// Target is the virtual cluster that an application runs in.
func Target(spec v1alpha1.ApplicationClaimSpec) string {
	if spec.TargetVCluster != "" {
		return spec.TargetVCluster
	}
	return spec.Name
}
