// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package repo_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr/testr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/repo"
	"github.com/skerry-platform/skerry/internal/repo/gitserver"
	"github.com/skerry-platform/skerry/internal/status"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const file = "oam/applications/application.yaml"

// platform is a Git server and the repository stage, running.
type platform struct {
	t          *testing.T
	env        *testenv.Env
	ns, argoNS string
	git        string
	// sent counts the bytes that Git clients were sent for fetches.
	sent atomic.Int64
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	env := testenv.Start(t)
	p := &platform{t: t, env: env, ns: env.Namespace(t), argoNS: env.Namespace(t)}
	ctx, cancel := context.WithCancel(t.Context())

	secrets := t.TempDir()
	for name, content := range map[string]string{"username": "admin", "password": "secret"} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.git = p.count(t, "http://"+l.Addr().String())
	served := make(chan error, 2)
	go func() {
		served <- gitserver.Run(ctx, gitserver.Options{Listener: l, DataDir: t.TempDir(), CredentialsDir: secrets, Log: testr.New(t)})
	}()

	mgr, err := ctrl.NewManager(env.Config, ctrl.Options{
		Scheme: env.Scheme, Metrics: metricsserver.Options{BindAddress: "0"}, Logger: testr.New(t),
		Cache: cache.Options{DefaultNamespaces: map[string]cache.Config{p.ns: {}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	err = repo.SetupWithManager(mgr, repo.Options{
		ArgoNamespace: p.argoNS,
		Providers:     map[string]repo.Provider{"local": &repo.Local{URL: p.git, Credentials: repo.FileCredentials(secrets)}},
		Template: func(name, repository string) (map[string]string, error) {
			if name != "go" {
				return nil, fmt.Errorf("there is no template %s", name)
			}
			return map[string]string{"main.go": "package main // " + repository + "\n", "README.md": "template\n"}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { served <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-served; err != nil {
				t.Errorf("stopping: %v", err)
			}
		}
	})
	return p
}

// apply creates a Repository object, or changes its spec.
func (p *platform) apply(name string, spec platformv1alpha1.RepositorySpec) *platformv1alpha1.Repository {
	p.t.Helper()
	spec.Name, spec.Provider, spec.Owner = name, "local", "skerry"
	obj := &platformv1alpha1.Repository{ObjectMeta: metav1.ObjectMeta{Namespace: p.ns, Name: name}}
	testenv.Eventually(p.t, func(ctx context.Context) error {
		err := p.env.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)
		if apierrors.IsNotFound(err) {
			obj.Spec = spec
			return p.env.Client.Create(ctx, obj)
		}
		if err != nil {
			return err
		}
		obj.Spec = spec
		return p.env.Client.Update(ctx, obj)
	})
	return obj
}

// await waits until both conditions say the given reasons about the object's newest generation.
func (p *platform) await(obj *platformv1alpha1.Repository, ready, synced string) *platformv1alpha1.Repository {
	p.t.Helper()
	testenv.Eventually(p.t, func(ctx context.Context) error {
		if err := p.env.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		for typ, want := range map[string]string{platformv1alpha1.ConditionReady: ready, platformv1alpha1.ConditionSynced: synced} {
			c := status.Get(obj.Status.Conditions, typ)
			if c == nil || c.Reason != want || c.ObservedGeneration != obj.Generation {
				return fmt.Errorf("%s of %s is %+v, want reason %s", typ, obj.Name, c, want)
			}
		}
		return nil
	})
	return obj
}

// clone clones with the real Git, as the administrator, and returns the folder.
func (p *platform) clone(name string) string {
	p.t.Helper()
	u, err := url.Parse(p.git + "/skerry/" + name + ".git")
	if err != nil {
		p.t.Fatal(err)
	}
	u.User = url.UserPassword("admin", "secret")
	dir := filepath.Join(p.t.TempDir(), "clone")
	p.run(".", "clone", "--quiet", u.String(), dir)
	return dir
}

func (p *platform) run(dir string, args ...string) string {
	p.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.org", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// edit commits and pushes a person's change of one file.
func (p *platform) edit(dir, name, content string) {
	p.t.Helper()
	full := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o700), os.WriteFile(full, []byte(content), 0o600)); err != nil {
		p.t.Fatal(err)
	}
	p.run(dir, "add", "-A")
	p.run(dir, "commit", "--quiet", "-m", "Edit "+name)
	p.run(dir, "push", "--quiet", "origin", "HEAD:main")
}

// files returns what a fresh clone holds.
func (p *platform) files(name string) map[string]string {
	p.t.Helper()
	dir, out := p.clone(name), map[string]string{}
	for _, f := range strings.Fields(p.run(dir, "ls-files")) {
		content, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			p.t.Fatal(err)
		}
		out[f] = string(content)
	}
	return out
}

func (p *platform) wantFiles(name string, want map[string]string) {
	p.t.Helper()
	if diff := cmp.Diff(want, p.files(name)); diff != "" {
		p.t.Errorf("files of %s (-want +got):\n%s", name, diff)
	}
}

func gitops(content string) platformv1alpha1.RepositorySpec {
	return platformv1alpha1.RepositorySpec{Role: platformv1alpha1.RepositoryGitOps, Files: map[string]string{file: content}}
}

func TestCreateFillAndRegister(t *testing.T) {
	p := newPlatform(t)
	obj := p.await(p.apply("shop-gitops", gitops("a: 1\n")), "Available", "ReconcileSuccess")
	p.wantFiles("shop-gitops", map[string]string{file: "a: 1\n"})

	dir := p.clone("shop-gitops")
	if author := p.run(dir, "log", "-1", "--format=%an"); author != "Skerry" {
		t.Errorf("author = %q, want Skerry", author)
	}
	want := platformv1alpha1.RepositoryStatus{
		URL: p.git + "/skerry/shop-gitops", CloneURL: p.git + "/skerry/shop-gitops.git", Branch: "main",
		Revision: p.run(dir, "rev-parse", "HEAD"), Written: map[string]string{file: p.run(dir, "rev-parse", "HEAD:"+file)},
		Conditions: obj.Status.Conditions,
	}
	if diff := cmp.Diff(want, obj.Status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}

	secrets := &corev1.SecretList{}
	if err := p.env.Client.List(t.Context(), secrets, client.InNamespace(p.argoNS), client.MatchingLabels{"argocd.argoproj.io/secret-type": "repository"}); err != nil {
		t.Fatal(err)
	}
	if len(secrets.Items) != 1 || string(secrets.Items[0].Data["url"]) != obj.Status.CloneURL {
		t.Fatalf("repository Secrets = %v, want one for %s", secrets.Items, obj.Status.CloneURL)
	}
	data := secrets.Items[0].Data
	for service, want := range map[string]int{"git-upload-pack": http.StatusOK, "git-receive-pack": http.StatusForbidden} {
		req, _ := http.NewRequest("GET", obj.Status.CloneURL+"/info/refs?service="+service, nil)
		req.SetBasicAuth(string(data["username"]), string(data["password"]))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s with the engine's credentials answered %d, want %d", service, resp.StatusCode, want)
		}
	}
}

func TestAPersonsEditWins(t *testing.T) {
	p := newPlatform(t)
	first := "name: shop\nreplicas: 1\nimage: one\n\ncomponents:\n- web\n"
	p.await(p.apply("shop", gitops(first)), "Available", "ReconcileSuccess")

	p.edit(p.clone("shop"), file, strings.Replace(first, "replicas: 1", "replicas: 5", 1))
	p.edit(p.clone("shop"), "notes.md", "mine\n")

	t.Log("The platform adds a component: both changes stay.")
	second := first + "- db\n"
	p.await(p.apply("shop", gitops(second)), "Available", "ReconcileSuccess")
	merged := strings.Replace(second, "replicas: 1", "replicas: 5", 1)
	p.wantFiles("shop", map[string]string{file: merged, "notes.md": "mine\n"})

	t.Log("The platform changes the line that the person changed: the person's stays, and a condition says so.")
	third := strings.Replace(second, "replicas: 1", "replicas: 2", 1)
	obj := p.await(p.apply("shop", gitops(third)), "Available", "MergeConflict")
	p.wantFiles("shop", map[string]string{file: merged, "notes.md": "mine\n"})
	if c := status.Get(obj.Status.Conditions, "Synced"); !strings.Contains(c.Message, file) {
		t.Errorf("the message %q does not name %s", c.Message, file)
	}

	t.Log("The platform asks for what the person did: all agree again.")
	p.await(p.apply("shop", gitops(merged)), "Available", "ReconcileSuccess")
	p.wantFiles("shop", map[string]string{file: merged, "notes.md": "mine\n"})

	t.Log("The platform takes its file away.")
	p.await(p.apply("shop", platformv1alpha1.RepositorySpec{Role: platformv1alpha1.RepositorySource}), "Available", "ReconcileSuccess")
	p.wantFiles("shop", map[string]string{"notes.md": "mine\n"})
}

func TestTemplateFillsOnlyAnEmptyRepository(t *testing.T) {
	p := newPlatform(t)
	spec := platformv1alpha1.RepositorySpec{Role: platformv1alpha1.RepositorySource, Template: "go", Files: map[string]string{"README.md": "ours\n"}}
	p.await(p.apply("code", spec), "Available", "ReconcileSuccess")
	p.wantFiles("code", map[string]string{"main.go": "package main // code\n", "README.md": "ours\n"})

	dir := p.clone("code")
	p.run(dir, "rm", "--quiet", "main.go")
	p.edit(dir, "other.go", "package main\n")
	spec.Files = map[string]string{"README.md": "ours, again\n"}
	p.await(p.apply("code", spec), "Available", "ReconcileSuccess")
	p.wantFiles("code", map[string]string{"other.go": "package main\n", "README.md": "ours, again\n"})

	spec.Template = "cobol"
	obj := p.await(p.apply("more-code", spec), "InvalidSpec", "ReconcileError")
	if c := status.Get(obj.Status.Conditions, "Ready"); !strings.Contains(c.Message, "there is no template cobol") {
		t.Errorf("message = %q", c.Message)
	}
}

func TestAForeignRepositoryIsRefusedAndKept(t *testing.T) {
	p := newPlatform(t)
	req, _ := http.NewRequest("POST", p.git+"/api/v1/repos", strings.NewReader(`{"owner":"skerry","name":"theirs","managedBy":"somebody"}`))
	req.SetBasicAuth("admin", "secret")
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("creating a foreign repository: %v %v", resp, err)
	}
	resp.Body.Close()

	spec := gitops("a: 1\n")
	spec.DeletionPolicy = platformv1alpha1.DeletionDelete
	obj := p.await(p.apply("theirs", spec), "NotOurs", "ReconcileError")
	p.wantFiles("theirs", map[string]string{})
	if err := p.env.Client.Delete(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	p.awaitGone(obj)
	p.wantFiles("theirs", map[string]string{})
}

func TestDeletionPolicy(t *testing.T) {
	p := newPlatform(t)
	for policy, wantKept := range map[platformv1alpha1.DeletionPolicy]bool{platformv1alpha1.DeletionOrphan: true, platformv1alpha1.DeletionDelete: false} {
		t.Run(string(policy), func(t *testing.T) {
			name := "repo-" + strings.ToLower(string(policy))
			spec := gitops("a: 1\n")
			spec.DeletionPolicy = policy
			obj := p.await(p.apply(name, spec), "Available", "ReconcileSuccess")
			if err := p.env.Client.Delete(t.Context(), obj); err != nil {
				t.Fatal(err)
			}
			p.awaitGone(obj)
			secrets := &corev1.SecretList{}
			if err := p.env.Client.List(t.Context(), secrets, client.InNamespace(p.argoNS)); err != nil {
				t.Fatal(err)
			}
			for _, s := range secrets.Items {
				if string(s.Data["url"]) == obj.Status.CloneURL {
					t.Errorf("the repository Secret %s is left", s.Name)
				}
			}
			req, _ := http.NewRequest("GET", p.git+"/api/v1/repos/skerry/"+name, nil)
			req.SetBasicAuth("admin", "secret")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if kept := resp.StatusCode == http.StatusOK; kept != wantKept {
				t.Errorf("the repository is kept: %t, want %t", kept, wantKept)
			}
			if wantKept {
				p.await(p.apply(name, gitops("a: 2\n")), "Available", "ReconcileSuccess")
				p.wantFiles(name, map[string]string{file: "a: 2\n"})
			}
		})
	}
}

func (p *platform) awaitGone(obj client.Object) {
	p.t.Helper()
	testenv.Eventually(p.t, func(ctx context.Context) error {
		err := p.env.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("%s is still there (%v)", obj.GetName(), err)
	})
}
