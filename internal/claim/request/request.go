// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package request says what one may ask for (station 1 of docs/flow.md): it checks an
// ApplicationClaim before anything is made. The CLI asks it before it speaks to a cluster, the
// operator before it acts, so that both give the same answer in the same words.
package request

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/catalog"
)

// Problem is one field that cannot stay as it is.
type Problem struct {
	// Field as a person finds it in the claim: spec.name.
	Field string
	// Message says what is wrong and what to do.
	Message string
}

// Error lists everything that is wrong with a request. It is never empty.
type Error struct{ Problems []Problem }

func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		lines = append(lines, p.Field+": "+p.Message)
	}
	return strings.Join(lines, "; ")
}

// Words that a claim may say.
var (
	languages  = []string{"python", "java", "nodejs", "go"}
	databases  = []string{"postgres", "none"}
	caches     = []string{"redis", "none"}
	sizes      = []string{"small", "medium", "large", "xlarge"}
	frameworks = map[string][]string{
		"python": {"fastapi", "flask", "django"},
		"java":   {"springboot", "quarkus", "micronaut"},
		"nodejs": {"express", "nestjs", "fastify"},
		"go":     {"nethttp", "gin", "echo"},
	}
	// otherNames are what people call a thing whose name here is another.
	otherNames = map[string]string{
		"golang": "go", "node": "nodejs", "node.js": "nodejs", "javascript": "nodejs", "js": "nodejs", "py": "python",
		"postgresql": "postgres", "pg": "postgres", "psql": "postgres", "spring": "springboot", "spring-boot": "springboot",
		"net/http": "nethttp", "s": "small", "m": "medium", "l": "large", "xl": "xlarge", "valkey": "redis",
	}
	// reserved names are, or may become, namespaces of the host with a meaning of their own.
	reserved = []string{"default", "argocd", v1alpha1.DefinitionNamespace, v1alpha1.SystemNamespace}
)

// Languages, Databases, Caches and Sizes are what each field may say, for help texts.
func Languages() []string { return slices.Clone(languages) }
func Databases() []string { return slices.Clone(databases) }
func Caches() []string    { return slices.Clone(caches) }
func Sizes() []string     { return slices.Clone(sizes) }

const (
	mostName = 40
	// mostApplication leaves room for what is made for an application: its cache's StatefulSet
	// is called NAME-cache-redis-master, and a StatefulSet's name may have 52 characters,
	// because its Pods carry it with a hash in a label.
	mostApplication = 52 - len("-cache-redis-master")
)

var nameShape = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)

// CheckName returns what is wrong with a name for an application or an environment, or "".
func CheckName(name string) string {
	switch {
	case name == "":
		return "a name is needed"
	case len(name) > mostName:
		return fmt.Sprintf("%q has %d characters; at most %d are possible", name, len(name), mostName)
	case !nameShape.MatchString(name):
		return fmt.Sprintf("%q must be lower-case letters, digits and '-', starting with a letter and not ending with '-'%s",
			name, proposal(name))
	case strings.Contains(name, "--"):
		return fmt.Sprintf("%q may not contain '--', which separates a virtual cluster's name from its namespaces on the host%s",
			name, proposal(name))
	case slices.Contains(reserved, name), strings.HasPrefix(name, "kube-"):
		return fmt.Sprintf("%q is reserved for the platform; choose another name", name)
	}
	return ""
}

// checkApplication is CheckName with the limit of an application's name.
func checkApplication(name string) string {
	if len(name) > mostApplication {
		return fmt.Sprintf("%q has %d characters; an application's name may have at most %d, because its database and cache are called after it",
			name, len(name), mostApplication)
	}
	return CheckName(name)
}

var (
	notInName = regexp.MustCompile(`[^a-z0-9]+`)
	leading   = regexp.MustCompile(`^[^a-z]+`)
)

// proposal is the nearest name that is allowed, as the end of a sentence.
func proposal(name string) string {
	near := notInName.ReplaceAllString(strings.ToLower(name), "-")
	near = strings.Trim(leading.ReplaceAllString(near, ""), "-")
	if near == "" || CheckName(near) != "" {
		return ""
	}
	return fmt.Sprintf("; try %q", near)
}

// CheckSize returns what is wrong with an environment's size, or "".
func CheckSize(size string) string { return checkWord(size, sizes) }

// Check returns an *Error with everything that is wrong with the claim, or nil. Defaults that
// the API server fills in may be missing.
func Check(spec v1alpha1.ApplicationClaimSpec) error {
	c := &checker{}
	c.add("spec.name", checkApplication(spec.Name))
	c.language(spec)
	if spec.Database != "" {
		c.add("spec.database", checkWord(spec.Database, databases))
	}
	if spec.Cache != "" {
		c.add("spec.cache", checkWord(spec.Cache, caches))
	}
	if spec.TargetVCluster != "" {
		c.add("spec.targetVCluster", CheckName(spec.TargetVCluster))
	}
	c.size(spec)
	if spec.AppContainer != "" && spec.AppContainer != spec.Name {
		c.add("spec.appContainer", "this version gives every application repositories of its own; leave the field out")
	}
	if strings.ContainsAny(spec.Image, " \t\n\"'") {
		c.add("spec.image", fmt.Sprintf("%q is not an image name", spec.Image))
	}
	c.services(spec)
	if len(c.problems) == 0 {
		return nil
	}
	return &Error{Problems: c.problems}
}

type checker struct{ problems []Problem }

func (c *checker) add(field, message string) {
	if message != "" {
		c.problems = append(c.problems, Problem{Field: field, Message: message})
	}
}

func (c *checker) size(spec v1alpha1.ApplicationClaimSpec) {
	switch {
	case spec.Size == "":
	case Target(spec) != spec.Name:
		c.add("spec.size", fmt.Sprintf("environment %s has a size of its own; leave the field out, and set it in VClusterEnvironmentClaim %s instead",
			spec.TargetVCluster, spec.TargetVCluster))
	default:
		c.add("spec.size", CheckSize(spec.Size))
	}
}

// CheckJoin returns an *Error when the claim asks for another size than that of an environment
// which is there and was not made for it: that one is never rewritten.
func CheckJoin(spec v1alpha1.ApplicationClaimSpec, env *v1alpha1.VClusterEnvironmentClaim) error {
	if spec.Size == "" || spec.Size == env.Spec.Size {
		return nil
	}
	return &Error{Problems: []Problem{{Field: "spec.size", Message: fmt.Sprintf(
		"environment %s is there and its size is %s, not %s; leave the field out, or resize it: skerry kubectl -n %s edit vclusterenvironmentclaim %s",
		env.Spec.Name, env.Spec.Size, spec.Size, env.Namespace, env.Name)}}}
}

func (c *checker) language(spec v1alpha1.ApplicationClaimSpec) {
	if problem := checkWord(spec.Language, languages); problem != "" {
		c.add("spec.language", problem)
		return
	}
	known := frameworks[spec.Language]
	if spec.Framework != "" && !slices.Contains(known, spec.Framework) {
		c.add("spec.framework", fmt.Sprintf("%q does not fit language %s%s", spec.Framework, spec.Language, suggestion(spec.Framework, known)))
		return
	}
	if spec.Repository != nil && spec.Repository.Template != "" {
		if !slices.ContainsFunc(catalog.Templates(), func(t catalog.Template) bool { return t.Name == spec.Repository.Template }) {
			c.add("spec.repository.template", fmt.Sprintf("there is no source template %q", spec.Repository.Template))
		}
		return
	}
	if _, err := catalog.TemplateFor(spec.Language, spec.Framework); err != nil {
		c.add("spec.framework", err.Error())
	}
}

// Components are the names of an application's OAM components: it, its database, its cache, and its
// further services.
func Components(spec v1alpha1.ApplicationClaimSpec) []string {
	out := []string{spec.Name}
	if spec.Database == "postgres" {
		out = append(out, DatabaseName(spec.Name))
	}
	if spec.Cache == "redis" {
		out = append(out, CacheName(spec.Name))
	}
	for _, s := range spec.Services {
		out = append(out, s.Name)
	}
	return out
}

// services checks that the components of the application will have names of their own.
func (c *checker) services(spec v1alpha1.ApplicationClaimSpec) {
	taken := map[string]string{
		spec.Name: "the application itself", DatabaseName(spec.Name): "its database", CacheName(spec.Name): "its cache",
	}
	for i, s := range spec.Services {
		field := fmt.Sprintf("spec.services[%d].name", i)
		if what, found := taken[s.Name]; found {
			c.add(field, fmt.Sprintf("%q is the name of %s; choose another", s.Name, what))
			continue
		}
		taken[s.Name] = "another service"
		c.add(field, CheckName(s.Name))
		if s.Type == "" {
			c.add(fmt.Sprintf("spec.services[%d].type", i), "the name of a ComponentDefinition is needed")
		}
	}
}

func checkWord(word string, known []string) string {
	if slices.Contains(known, word) {
		return ""
	}
	if word == "" {
		return "one of " + strings.Join(known, ", ") + " is needed"
	}
	return fmt.Sprintf("%q is not known here%s", word, suggestion(word, known))
}

// suggestion ends a sentence about a word that is not known: with the one that was meant when
// that is clear, and with all that there are.
func suggestion(word string, known []string) string {
	word = strings.ToLower(word)
	if other := otherNames[word]; slices.Contains(known, other) {
		return fmt.Sprintf("; did you mean %q?", other)
	}
	for _, k := range known {
		if distance(word, k) <= max(1, len(k)/3) || strings.HasPrefix(k, word) {
			return fmt.Sprintf("; did you mean %q?", k)
		}
	}
	return "; there are: " + strings.Join(known, ", ")
}

// distance is Levenshtein's: the fewest insertions, deletions and replacements of a byte
// between two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = min(diagonal, row[j], row[j+1]) + 1
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
