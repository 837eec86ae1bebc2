// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"slices"
	"strings"
)

// proxyVariables say how to reach the outside, in either case; see
// golang.org/x/net/http/httpproxy.
var proxyVariables = []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}

// watcherEnv is what supervisor and guard get of a person's environment: what the
// components need of it, and nothing that happens to be in a shell.
func watcherEnv(environ []string) []string {
	return pick(environ, func(name string) bool {
		return isBase(name) || slices.Contains(proxyVariables, strings.ToUpper(name))
	})
}

// componentEnv is the environment of a component. Proxies are for images only: between
// the components of one machine there is none.
func componentEnv(environ []string) []string { return pick(environ, isBase) }

// containerdEnv is containerd's: with the proxies, but not for the instance's own networks.
func containerdEnv(environ []string, a Addresses) []string {
	env := pick(environ, func(name string) bool { return isBase(name) || isProxy(name) })
	noProxy := []string{"localhost", "127.0.0.1", a.Link.String(), a.Pods.String(), a.Services.String(), ".svc", ".cluster.local"}
	for _, v := range environ {
		if name, value, _ := strings.Cut(v, "="); strings.EqualFold(name, "NO_PROXY") && value != "" {
			noProxy = append(noProxy, value)
		}
	}
	return append(env, "NO_PROXY="+strings.Join(noProxy, ","))
}

func isBase(name string) bool { return name == "PATH" || name == "HOME" || name == "TZ" }

func isProxy(name string) bool {
	upper := strings.ToUpper(name)
	return upper == "HTTP_PROXY" || upper == "HTTPS_PROXY"
}

func pick(environ []string, wanted func(name string) bool) []string {
	var env []string
	for _, v := range environ {
		if name, _, ok := strings.Cut(v, "="); ok && wanted(name) {
			env = append(env, v)
		}
	}
	return env
}
