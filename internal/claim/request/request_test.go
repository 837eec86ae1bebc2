// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package request

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

func valid() v1alpha1.ApplicationClaimSpec {
	return v1alpha1.ApplicationClaimSpec{Name: "customer-service", Language: "go", Database: "postgres", Cache: "redis"}
}

func TestApplicationsAreFoundByTheirObjects(t *testing.T) {
	for _, name := range []string{"shop", "shop-oam", "shop-gitops", "shop-gitops-oam"} {
		for _, object := range []string{SourceRepository(name), GitOpsRepository(name), Delivery(name)} {
			if !slices.Contains(Applications(object), name) {
				t.Errorf("%s is not found by %s", name, object)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	type spec = v1alpha1.ApplicationClaimSpec
	cases := map[string]struct {
		change       func(*spec)
		field, wants string
	}{
		"what the demo asks":         {change: func(*spec) {}},
		"defaults not yet filled in": {change: func(s *spec) { s.Database, s.Cache = "", "" }},
		"no name":                    {change: func(s *spec) { s.Name = "" }, field: "spec.name", wants: "a name is needed"},
		"upper case":                 {change: func(s *spec) { s.Name = "Customer_Service" }, field: "spec.name", wants: `try "customer-service"`},
		"starts with a digit":        {change: func(s *spec) { s.Name = "1st" }, field: "spec.name", wants: `try "st"`},
		"the host's separator":       {change: func(s *spec) { s.Name = "a--b" }, field: "spec.name", wants: `try "a-b"`},
		"too long":                   {change: func(s *spec) { s.Name = strings.Repeat("a", 41) }, field: "spec.name", wants: "at most 33"},
		"too long for its cache":     {change: func(s *spec) { s.Name = strings.Repeat("a", 34) }, field: "spec.name", wants: "at most 33"},
		"the longest there is":       {change: func(s *spec) { s.Name = strings.Repeat("a", 33) }},
		"the host's own namespace":   {change: func(s *spec) { s.Name = "kube-system" }, field: "spec.name", wants: "reserved"},
		"the platform's namespace":   {change: func(s *spec) { s.TargetVCluster = "skerry-system" }, field: "spec.targetVCluster", wants: "reserved"},
		"another word for it":        {change: func(s *spec) { s.Language = "golang" }, field: "spec.language", wants: `did you mean "go"`},
		"a slip of the finger":       {change: func(s *spec) { s.Language = "pyhton" }, field: "spec.language", wants: `did you mean "python"`},
		"nothing near it":            {change: func(s *spec) { s.Language = "cobol" }, field: "spec.language", wants: "there are: python, java, nodejs, go"},
		"another language's":         {change: func(s *spec) { s.Framework = "express" }, field: "spec.framework", wants: "does not fit language go"},
		"no template for it":         {change: func(s *spec) { s.Framework = "gin" }, field: "spec.framework", wants: "no source template"},
		"PostgreSQL by its long name": {change: func(s *spec) { s.Database = "postgresql" }, field: "spec.database",
			wants: `did you mean "postgres"`},
		"a database of later": {change: func(s *spec) { s.Database = "mongodb" }, field: "spec.database", wants: "there are: postgres, none"},
		"someone else's repositories": {change: func(s *spec) { s.AppContainer = "shop" }, field: "spec.appContainer",
			wants: "leave the field out"},
		"a service named as the database": {change: func(s *spec) {
			s.Services = []v1alpha1.ServiceRequest{{Name: "customer-service-db", Type: "redis"}}
		}, field: "spec.services[0].name", wants: "its database"},
		"a service with no type": {change: func(s *spec) {
			s.Services = []v1alpha1.ServiceRequest{{Name: "queue"}}
		}, field: "spec.services[0].type", wants: "ComponentDefinition"},
		"a size of its own":        {change: func(s *spec) { s.Size = "large" }},
		"its own name as target":   {change: func(s *spec) { s.Size, s.TargetVCluster = "large", s.Name }},
		"a size that there is not": {change: func(s *spec) { s.Size = "xl" }, field: "spec.size", wants: `did you mean "xlarge"`},
		"a size for another's environment": {change: func(s *spec) { s.Size, s.TargetVCluster = "large", "shop" }, field: "spec.size",
			wants: "set it in VClusterEnvironmentClaim shop"},
		"an image with a space": {change: func(s *spec) { s.Image = "my image" }, field: "spec.image", wants: "not an image name"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := valid()
			c.change(&s)
			err := Check(s)
			if c.field == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || len(e.Problems) != 1 {
				t.Fatalf("got %v, want one problem of %s", err, c.field)
			}
			if p := e.Problems[0]; p.Field != c.field || !strings.Contains(p.Message, c.wants) {
				t.Errorf("got %s: %s\nwant %s: ...%s...", p.Field, p.Message, c.field, c.wants)
			}
		})
	}
}

// FuzzCheckName: whatever a person types, a proposal is itself a good name.
func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"", "a", "Customer Service", "--", "a--b", "1", "kube-x", "ä-b", "-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		_, try, found := strings.Cut(CheckName(name), "; try \"")
		if found && CheckName(strings.TrimSuffix(try, "\"")) != "" {
			t.Errorf("%q: the proposal %s is refused too", name, try)
		}
	})
}
