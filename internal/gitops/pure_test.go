// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
)

const configMapText = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"

func TestParseManifests(t *testing.T) {
	one, two := fmt.Sprintf(configMapText, "one"), fmt.Sprintf(configMapText, "two")
	cases := map[string]struct {
		content string
		want    []string // FILE:LINE NAME
		errs    []string
	}{
		"one":                    {one, []string{"f.yaml:1 one"}, nil},
		"nothing":                {"# only a comment\n---\n\n", nil, nil},
		"two documents":          {one + "---\n" + two, []string{"f.yaml:1 one", "f.yaml:5 two"}, nil},
		"a marker first":         {"---\n" + one + "--- # next\n" + two, []string{"f.yaml:2 one", "f.yaml:5 two"}, nil},
		"a directive":            {"%YAML 1.2\n---\n" + one, []string{"f.yaml:3 one"}, nil},
		"Windows line ends":      {strings.ReplaceAll(one+"---\n"+two, "\n", "\r\n"), []string{"f.yaml:1 one", "f.yaml:5 two"}, nil},
		"a byte order mark":      {"\ufeff" + one, []string{"f.yaml:1 one"}, nil},
		"markers in a text":      {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  a: |\n    ---\n    b\n", []string{"f.yaml:1 one"}, nil},
		"JSON":                   {`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"one"}}`, []string{"f.yaml:1 one"}, nil},
		"a List":                 {"apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(one, "\n", "\n  "), []string{"f.yaml:1 one"}, nil},
		"skipped":                {"# +argocd:skip-file-rendering\nnonsense: [", nil, nil},
		"all mistakes are named": {"a: [\n---\n" + one + "---\nkind: X\n", []string{"f.yaml:3 one"}, []string{"f.yaml:1: this is no YAML", "f.yaml:7: apiVersion: a text is expected; found nothing"}},
		"no object":              {"just a text\n", nil, []string{`f.yaml:1: a Kubernetes object is expected, with apiVersion, kind and metadata; found the text "just a text"`}},
		"no name":                {"apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n", nil, []string{"metadata.name: a text is expected; found nothing"}},
		"generateName":           {"apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: x-}\n", nil, []string{"metadata.generateName"}},
		"a number for a text":    {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, annotations: {a: 1}}\n", nil, []string{"metadata.annotations[a]: a text is expected (put it in quotes); found 1"}},
		"a hook":                 {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, annotations: {argocd.argoproj.io/hook: PreSync}}\n", nil, []string{"resource hooks are not run"}},
		"a bad item":             {"apiVersion: v1\nkind: List\nitems: [{apiVersion: v1}]\n", nil, []string{"items[0].kind: a text is expected"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			manifests, err := parseManifests([]sourceFile{{Path: "f.yaml", Content: c.content}})
			var got []string
			for _, m := range manifests {
				got = append(got, m.String()+" "+m.Object.GetName())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("manifests (-want +got):\n%s", diff)
			}
			if (err != nil) != (len(c.errs) > 0) {
				t.Fatalf("error = %v, want %q", err, c.errs)
			}
			for _, want := range c.errs {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
		})
	}
}

// FuzzParseManifests: whatever comes out can be applied, and its file and line are inside
// the file.
func FuzzParseManifests(f *testing.F) {
	f.Add(fmt.Sprintf(configMapText, "one") + "---\n" + fmt.Sprintf(configMapText, "two"))
	f.Add("apiVersion: v1\nkind: List\nitems: [{}, 1]\n")
	f.Add("%YAML 1.2\n--- \n{\"a\": 1}\n...\n")
	f.Add("apiVersion: v1\nkind: ConfigMapList\nitems: {}\nmetadata: [1]\n")
	f.Fuzz(func(t *testing.T, content string) {
		manifests, err := parseManifests([]sourceFile{{Path: "f.yaml", Content: content}})
		if err != nil && !strings.Contains(err.Error(), "f.yaml") {
			t.Errorf("the error %q does not name the file", err)
		}
		for _, m := range manifests {
			if m.Object.GetName() == "" || m.Object.GetKind() == "" || m.Object.GetAPIVersion() == "" {
				t.Errorf("an object without identity came out of %q: %v", content, m.Object)
			}
			if m.Line < 1 || m.Line > strings.Count(content, "\n")+1 {
				t.Errorf("line %d of %q", m.Line, content)
			}
			_ = observe(m.Object)
		}
	})
}

func TestDecide(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	policy := &argov1alpha1.SyncPolicy{
		Automated: &argov1alpha1.SyncPolicyAutomated{Prune: true, SelfHeal: true},
		Retry:     &argov1alpha1.RetryStrategy{Limit: 2, Backoff: &argov1alpha1.Backoff{Duration: "5s", Factor: ptr.To[int64](2), MaxDuration: "1m"}},
	}
	without := func(change func(*argov1alpha1.SyncPolicy)) *argov1alpha1.SyncPolicy {
		p := policy.DeepCopy()
		change(p)
		return p
	}
	noHeal := without(func(p *argov1alpha1.SyncPolicy) { p.Automated.SelfHeal = false })
	noPrune := without(func(p *argov1alpha1.SyncPolicy) { p.Automated.Prune = false })
	disabled := without(func(p *argov1alpha1.SyncPolicy) { p.Automated.Enabled = ptr.To(false) })
	ended := func(phase argov1alpha1.OperationPhase, ago time.Duration, count int64) *argov1alpha1.OperationState {
		finished := metav1.NewTime(now.Add(-ago))
		return &argov1alpha1.OperationState{
			Phase: phase, FinishedAt: &finished, RetryCount: count,
			Operation: argov1alpha1.Operation{Sync: &argov1alpha1.SyncOperation{Prune: true}, InitiatedBy: argov1alpha1.OperationInitiator{Automated: true}},
		}
	}
	byHand := ended(argov1alpha1.OperationFailed, 6*time.Second, 0)
	byHand.Operation.InitiatedBy.Automated, byHand.Operation.Retry = false, argov1alpha1.RetryStrategy{Limit: 1}
	ok, failed := argov1alpha1.OperationSucceeded, argov1alpha1.OperationFailed

	cases := map[string]struct {
		s    situation
		want verdict
	}{
		"first time":                  {situation{Policy: policy, Differs: true}, verdict{Sync: true, Prune: true}},
		"all is well":                 {situation{Policy: policy}, verdict{}},
		"no automation":               {situation{Policy: disabled, Differs: true}, verdict{}},
		"asked for":                   {situation{Requested: &argov1alpha1.SyncOperation{}}, verdict{Sync: true}},
		"a new revision":              {situation{Policy: noHeal, Differs: true, Last: ended(ok, 0, 0)}, verdict{Sync: true, Prune: true}},
		"drift, healed":               {situation{Policy: policy, Differs: true, Last: ended(ok, 0, 0), SameSource: true}, verdict{Sync: true, Prune: true, Heal: true}},
		"drift, not healed":           {situation{Policy: noHeal, Differs: true, Last: ended(ok, 0, 0), SameSource: true}, verdict{}},
		"drift again and again":       {situation{Policy: policy, Differs: true, Last: ended(ok, 0, 0), SameSource: true, Heals: 3, HealedAt: now.Add(-time.Second)}, verdict{Wait: 7 * time.Second}},
		"only leftovers":              {situation{Policy: policy, Leftover: true, Last: ended(ok, 0, 0)}, verdict{Sync: true, Prune: true}},
		"leftovers, no pruning":       {situation{Policy: noPrune, Leftover: true, Last: ended(ok, 0, 0)}, verdict{}},
		"failed, waiting":             {situation{Policy: policy, Differs: true, Last: ended(failed, 2*time.Second, 0), SameSource: true}, verdict{Wait: 3 * time.Second}},
		"failed, again":               {situation{Policy: policy, Differs: true, Last: ended(failed, 6*time.Second, 0), SameSource: true}, verdict{Sync: true, Prune: true, Retry: 1}},
		"failed twice, waits longer":  {situation{Policy: policy, Differs: true, Last: ended(failed, 6*time.Second, 1), SameSource: true}, verdict{Wait: 4 * time.Second}},
		"failed too often":            {situation{Policy: policy, Differs: true, Last: ended(failed, time.Hour, 2), SameSource: true}, verdict{}},
		"failed, then a new revision": {situation{Policy: policy, Differs: true, Last: ended(failed, 0, 2)}, verdict{Sync: true, Prune: true}},
		"cut off by a restart":        {situation{Policy: policy, Differs: true, Last: &argov1alpha1.OperationState{Phase: argov1alpha1.OperationRunning, RetryCount: 1}, SameSource: true}, verdict{Sync: true, Prune: true, Retry: 1}},
		"by hand, failed, again":      {situation{Differs: true, Last: byHand, SameSource: true}, verdict{Sync: true, Prune: true, Retry: 1}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.s.Now = now
			if diff := cmp.Diff(c.want, decide(c.s)); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	argo := &argov1alpha1.Backoff{Duration: "5s", Factor: ptr.To[int64](2), MaxDuration: "3m"}
	for _, c := range []struct {
		b     *argov1alpha1.Backoff
		count int64
		want  time.Duration
	}{
		{argo, 0, 5 * time.Second}, {argo, 1, 10 * time.Second}, {argo, 4, 80 * time.Second}, {argo, 5, 160 * time.Second}, {argo, 9, 3 * time.Minute}, {argo, 5000, 3 * time.Minute},
		{nil, 0, 5 * time.Second}, {&argov1alpha1.Backoff{Duration: "7"}, 0, 7 * time.Second}, {&argov1alpha1.Backoff{Duration: "x", Factor: ptr.To[int64](0)}, 3, 5 * time.Second},
	} {
		if got := backoff(c.b, c.count); got != c.want {
			t.Errorf("backoff(%+v, %d) = %s, want %s", c.b, c.count, got, c.want)
		}
	}
}

func TestProject(t *testing.T) {
	p := &argov1alpha1.AppProject{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: argov1alpha1.AppProjectSpec{
		SourceRepos:                []string{"https://git.example.org/team/*", "!https://git.example.org/team/secret", "http://10.0.0.1:80/skerry/a.git"},
		Destinations:               []argov1alpha1.ApplicationDestination{{Name: "shop", Namespace: "*"}, {Name: "shop", Namespace: "!kube-system"}, {Server: "https://x", Namespace: "team-*"}},
		ClusterResourceWhitelist:   []argov1alpha1.GroupKind{{Kind: "Namespace"}},
		NamespaceResourceBlacklist: []argov1alpha1.GroupKind{{Group: "*", Kind: "Role*"}},
	}}
	for url, want := range map[string]bool{
		"https://git.example.org/team/app": true, "https://GIT.example.org:443/team/app.git": true, "git@git.example.org:team/app.git": true,
		"https://git.example.org/team/deep/app": false, "https://git.example.org/team/secret.git": false, "https://git.example.org/other/app": false,
		"http://10.0.0.1/skerry/a": true, "http://10.0.0.1:81/skerry/a": false,
	} {
		if err := checkSource(p, url); (err == nil) != want {
			t.Errorf("checkSource(%s) = %v, want allowed=%t", url, err, want)
		}
	}
	for _, c := range []struct {
		name, server, namespace string
		want                    bool
	}{
		{"shop", "https://s", "default", true}, {"shop", "https://s", "kube-system", false}, {"shop", "https://s", "", true},
		{"other", "https://s", "default", false}, {"x", "https://x", "team-a", true}, {"x", "https://x", "default", false},
	} {
		if err := checkDestination(p, c.name, c.server, c.namespace); (err == nil) != c.want {
			t.Errorf("checkDestination(%+v) = %v", c, err)
		}
	}
	for _, c := range []struct {
		gk         schema.GroupKind
		namespaced bool
		want       bool
	}{
		{schema.GroupKind{Kind: "Namespace"}, false, true}, {schema.GroupKind{Kind: "Node"}, false, false},
		{schema.GroupKind{Kind: "ConfigMap"}, true, true}, {schema.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}, true, false},
	} {
		if err := checkKind(p, c.gk, c.namespaced); (err == nil) != c.want {
			t.Errorf("checkKind(%s) = %v", c.gk, err)
		}
	}
	var invalid *problem
	if err := checkSource(p, "https://x"); !errors.As(err, &invalid) || invalid.condition != argov1alpha1.ConditionInvalidSpecError {
		t.Errorf("a refused repository is %v, want InvalidSpecError", err)
	}
}

func TestHealth(t *testing.T) {
	cases := map[string]struct{ content, want string }{
		"OAM without status":  {"apiVersion: core.oam.dev/v1beta1\nkind: Application", "Progressing no status yet"},
		"OAM running":         {"apiVersion: core.oam.dev/v1beta1\nkind: Application\nstatus: {status: running}", "Healthy "},
		"OAM running, stale":  {"apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {generation: 2}\nstatus: {status: running, observedGeneration: 1}", "Progressing the newest change is not rendered yet"},
		"OAM unhealthy":       {"apiVersion: core.oam.dev/v1beta1\nkind: Application\nstatus: {status: unhealthy, services: [{name: a, healthy: true, message: fine}, {name: b, healthy: false, message: no image}]}", "Degraded b: no image"},
		"OAM trait":           {"apiVersion: core.oam.dev/v1beta1\nkind: Application\nstatus: {status: unhealthy, services: [{name: a, healthy: false, traits: [{type: x, healthy: false, message: no route}]}]}", "Degraded a: no route"},
		"OAM failed":          {"apiVersion: core.oam.dev/v1beta1\nkind: Application\nstatus: {status: workflowFailed, conditions: [{type: Render, status: 'False', message: 'a.cue:3: x'}]}", "Degraded Render: a.cue:3: x"},
		"OAM waiting":         {"apiVersion: core.oam.dev/v1beta1\nkind: Application\nstatus: {status: runningWorkflow, services: [{name: a, healthy: false, message: starting}]}", "Progressing a: starting"},
		"Release new":         {"apiVersion: helm.m.crossplane.io/v1beta1\nkind: Release", "Progressing no status yet"},
		"Release ready":       {"apiVersion: helm.crossplane.io/v1beta1\nkind: Release\nstatus: {conditions: [{type: Ready, status: 'True'}, {type: Synced, status: 'True'}]}", "Healthy "},
		"Release out of sync": {"apiVersion: helm.crossplane.io/v1beta1\nkind: Release\nstatus: {conditions: [{type: Ready, status: 'True'}, {type: Synced, status: 'False', message: no such chart}]}", "Degraded no such chart"},
		"Release starting":    {"apiVersion: helm.crossplane.io/v1beta1\nkind: Release\nstatus: {conditions: [{type: Ready, status: 'False', message: 0 of 1 pods}, {type: Synced, status: 'True'}]}", "Progressing 0 of 1 pods"},
		"ConfigMap":           {"apiVersion: v1\nkind: ConfigMap", "Healthy "},
		"being deleted":       {"apiVersion: v1\nkind: ConfigMap\nmetadata: {deletionTimestamp: '2026-01-01T00:00:00Z'}", "Progressing is being deleted"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			content, err := parseYAML(c.content)
			if err != nil {
				t.Fatal(err)
			}
			h := healthOf(&unstructured.Unstructured{Object: content.(map[string]any)})
			if got := string(h.Status) + " " + h.Message; got != c.want {
				t.Errorf("health = %q, want %q", got, c.want)
			}
		})
	}
}

func TestSelected(t *testing.T) {
	type dir = argov1alpha1.ApplicationSourceDirectory
	for _, c := range []struct {
		name string
		d    dir
		want bool
	}{
		{"a.yaml", dir{}, true}, {"a.yml", dir{}, true}, {"a.json", dir{}, true}, {"README.md", dir{}, false}, {"sub/a.yaml", dir{}, false},
		{"sub/a.yaml", dir{Recurse: true}, true}, {"a.yaml", dir{Exclude: "a.*"}, false}, {"b.yaml", dir{Include: "{a,b}.yaml"}, true}, {"c.yaml", dir{Include: "{a,b}.yaml"}, false},
	} {
		if got := selected(c.name, c.d); got != c.want {
			t.Errorf("selected(%s, %+v) = %t", c.name, c.d, got)
		}
	}
}

func TestConcerns(t *testing.T) {
	push := pushPayload{Ref: "refs/heads/main"}
	push.Repository.CloneURL, push.Repository.DefaultBranch = "http://10.0.0.1/skerry/a.git", "main"
	for _, c := range []struct {
		url, revision string
		want          bool
	}{
		{"http://10.0.0.1:80/skerry/a", "main", true}, {"http://10.0.0.1/skerry/a.git", "", true}, {"http://10.0.0.1/skerry/a.git", "HEAD", true},
		{"http://10.0.0.1/skerry/a.git", "other", false}, {"http://10.0.0.1/skerry/b.git", "main", false},
	} {
		if got := push.concerns(argov1alpha1.ApplicationSource{RepoURL: c.url, TargetRevision: c.revision}); got != c.want {
			t.Errorf("concerns(%+v) = %t", c, got)
		}
	}
}

// However much is wrong, what is told fits into a status.
func TestMistakesAreTold(t *testing.T) {
	bad := strings.Repeat("---\napiVersion: v1\nmetadata: {name: x}\n", 3000)
	_, err := parseManifests([]sourceFile{{Path: "all.yaml", Content: bad}})
	if err == nil || len(err.Error()) > 2000 || !strings.HasSuffix(err.Error(), "and 2990 more") || !strings.Contains(err.Error(), "all.yaml:2: kind") {
		t.Errorf("told: %.300v", err)
	}
	good := strings.Repeat("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n", mostObjects+1)
	if _, err = parseManifests([]sourceFile{{Path: "all.yaml", Content: good}}); err == nil || !strings.Contains(err.Error(), "split it") {
		t.Errorf("told: %v", err)
	}
}
