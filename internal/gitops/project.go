// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"net/url"
	"strings"

	"github.com/gobwas/glob"
	"k8s.io/apimachinery/pkg/runtime/schema"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
)

// matches compares a text with one pattern of an AppProject: * stands for any run of
// characters (not over a separator, when there are some), a lone * for everything.
func matches(pattern, text string, separators ...rune) bool {
	if pattern == "*" || pattern == text {
		return true
	}
	g, err := glob.Compile(pattern, separators...)
	return err == nil && g.Match(text)
}

// checkSource decides whether the project lets the repository in.
func checkSource(p *argov1alpha1.AppProject, repoURL string) error {
	allowed := false
	normal := normalURL(repoURL)
	for _, pattern := range p.Spec.SourceRepos {
		if denied, ok := strings.CutPrefix(pattern, "!"); ok {
			if matches(normalURL(denied), normal, '/') {
				return invalidSpec("spec.source.repoURL: AppProject %s takes %s out (spec.sourceRepos has %q)", p.Name, repoURL, pattern)
			}
			continue
		}
		allowed = allowed || pattern == "*" || matches(normalURL(pattern), normal, '/')
	}
	if !allowed {
		return invalidSpec("spec.source.repoURL: %s is not among spec.sourceRepos of AppProject %s", repoURL, p.Name)
	}
	return nil
}

// checkDestination decides whether the project lets a namespace of a cluster be written to.
// namespace "" asks for the cluster alone: it may be, when any of its namespaces may.
func checkDestination(p *argov1alpha1.AppProject, name, server, namespace string) error {
	allowed := false
	for _, d := range p.Spec.Destinations {
		d, denied := negation(d)
		cluster := d.Name != "" && matches(d.Name, name) || d.Server != "" && matches(d.Server, server)
		inside := namespace == "" || matches(d.Namespace, namespace)
		if denied && namespace == "" {
			inside = d.Namespace == "" || d.Namespace == "*"
		}
		if !cluster || !inside {
			continue
		}
		if denied {
			return invalidSpec("spec.destination: AppProject %s takes cluster %s, namespace %q out of spec.destinations", p.Name, name, namespace)
		}
		allowed = true
	}
	switch {
	case allowed:
		return nil
	case namespace == "":
		return invalidSpec("spec.destination: cluster %s is not among spec.destinations of AppProject %s", name, p.Name)
	}
	return invalidSpec("namespace %s of cluster %s is not among spec.destinations of AppProject %s", namespace, name, p.Name)
}

// negation takes the ! off a destination that denies.
func negation(d argov1alpha1.ApplicationDestination) (argov1alpha1.ApplicationDestination, bool) {
	denied := false
	for _, field := range []*string{&d.Name, &d.Server, &d.Namespace} {
		if rest, ok := strings.CutPrefix(*field, "!"); ok {
			*field, denied = rest, true
		}
	}
	return d, denied
}

// checkKind decides whether the project lets a kind be delivered.
func checkKind(p *argov1alpha1.AppProject, gk schema.GroupKind, namespaced bool) error {
	spec := p.Spec
	if namespaced {
		if listed(spec.NamespaceResourceBlacklist, gk) ||
			len(spec.NamespaceResourceWhitelist) > 0 && !listed(spec.NamespaceResourceWhitelist, gk) {
			return invalidSpec("%s may not be delivered: see spec.namespaceResourceWhitelist and spec.namespaceResourceBlacklist of AppProject %s", gk, p.Name)
		}
		return nil
	}
	if !listed(spec.ClusterResourceWhitelist, gk) || listed(spec.ClusterResourceBlacklist, gk) {
		return invalidSpec("%s is cluster-scoped and may not be delivered: add it to spec.clusterResourceWhitelist of AppProject %s", gk, p.Name)
	}
	return nil
}

func listed(list []argov1alpha1.GroupKind, gk schema.GroupKind) bool {
	for _, e := range list {
		if matches(e.Group, gk.Group) && matches(e.Kind, gk.Kind) {
			return true
		}
	}
	return false
}

// normalURL makes two spellings of one repository equal: host in small letters, no
// credentials, no default port, no .git, no trailing slash, no scheme; git@HOST:PATH is HOST/PATH.
func normalURL(raw string) string {
	s := strings.TrimSpace(raw)
	if !strings.Contains(s, "://") {
		if user, rest, ok := strings.Cut(s, "@"); ok && !strings.Contains(user, "/") {
			s = "ssh://" + user + "@" + strings.Replace(rest, ":", "/", 1)
		}
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return strings.TrimSuffix(strings.TrimRight(s, "/"), ".git")
	}
	host := strings.ToLower(u.Host)
	for scheme, port := range map[string]string{"http": ":80", "https": ":443", "ssh": ":22"} {
		if u.Scheme == scheme {
			host = strings.TrimSuffix(host, port)
		}
	}
	return host + strings.TrimSuffix(strings.TrimRight(u.Path, "/"), ".git")
}
