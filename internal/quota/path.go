// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import "strings"

// namespaceOf is the namespace in the path of a request to an API server,
// /api/v1/namespaces/NAMESPACE/... or /apis/GROUP/VERSION/namespaces/NAMESPACE/...; empty for any other.
func namespaceOf(path string) string {
	_, rest, found := strings.Cut(path, "/namespaces/")
	if !found {
		return ""
	}
	namespace, _, more := strings.Cut(rest, "/")
	if !more {
		return "" // the namespace itself
	}
	return namespace
}

// prefixOf is what stands before /api or /apis in the path: an API server behind a proxy.
func prefixOf(path string) string {
	for _, root := range []string{"/api/", "/apis/"} {
		if i := strings.Index(path, root); i >= 0 {
			return path[:i]
		}
	}
	return ""
}
