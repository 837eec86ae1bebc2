// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/internal/gitops"
	"github.com/skerry-platform/skerry/internal/repo/gitserver"
	"github.com/skerry-platform/skerry/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	cluster = "shop"
	project = "shop"
	appName = "shop-oam"
	path    = "oam/applications"
)

// world is a host with the engine, a second cluster as the destination, and a Git server
// whose pushes reach the engine's webhook.
type world struct {
	t      *testing.T
	host   *testenv.Env
	dest   *testenv.Env
	ns     string // of Argo CD's objects, on the host
	target string // namespace on the destination
	git    string
	work   string // a person's clone

	hook       *httptest.Server
	stopEngine func()
}

// newWorld starts everything but the Application. webhook false: pushes are told to nobody.
// The destination is the host's own API server, reached through a cluster Secret as any
// other; twoClusters starts a second one.
func newWorld(t *testing.T, webhook bool) *world {
	t.Helper()
	host := testenv.Start(t, testenv.WithScheme(argov1alpha1.AddToScheme))
	return newWorldOf(t, webhook, host, host)
}

func twoClusters(t *testing.T) *world {
	t.Helper()
	return newWorldOf(t, true, testenv.Start(t, testenv.WithScheme(argov1alpha1.AddToScheme)), testenv.StartOwn(t))
}

func newWorldOf(t *testing.T, webhook bool, host, dest *testenv.Env) *world {
	t.Helper()
	w := &world{t: t, host: host, dest: dest}
	w.ns, w.target = w.host.Namespace(t), w.dest.Namespace(t)
	// The receiver outlives an engine, as an operator's Service does.
	w.hook = httptest.NewServer(nil)
	t.Cleanup(w.hook.Close)
	w.startEngine()
	ctx, cancel := context.WithCancel(t.Context())
	secrets := t.TempDir()
	for name, content := range map[string]string{"username": "admin", "password": "secret", "key": "key"} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.git = "http://" + l.Addr().String()
	opts := gitserver.Options{Listener: l, DataDir: t.TempDir(), CredentialsDir: secrets, WebhookSecretFile: filepath.Join(secrets, "key"), Log: logr.Discard()}
	if webhook {
		opts.WebhookURL = w.hook.URL
	}
	served := make(chan error, 1)
	go func() { served <- gitserver.Run(ctx, opts) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("stopping the Git server: %v", err)
		}
	})
	w.createRepository()
	w.createArgoObjects()
	return w
}

// startEngine runs the engine until stopEngine or the test's end.
func (w *world) startEngine() {
	w.t.Helper()
	mgr, err := ctrl.NewManager(w.host.Config, ctrl.Options{
		Scheme: w.host.Scheme, Metrics: metricsserver.Options{BindAddress: "0"}, Logger: logr.Discard(),
		Cache: cache.Options{DefaultNamespaces: map[string]cache.Config{w.ns: {}}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	hook := gitops.NewWebhook(func(context.Context) ([]byte, error) { return []byte("key"), nil })
	w.hook.Config.Handler = hook
	err = gitops.SetupWithManager(mgr, gitops.Options{Namespace: w.ns, Webhook: hook, CacheDir: w.t.TempDir(), DeletionPatience: 2 * time.Second})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	stopped := make(chan error, 1)
	go func() { stopped <- mgr.Start(ctx) }()
	w.stopEngine = sync.OnceFunc(func() {
		cancel()
		if err := <-stopped; err != nil {
			w.t.Errorf("stopping the engine: %v", err)
		}
	})
	w.t.Cleanup(w.stopEngine)
}

func (w *world) repoURL() string { return w.git + "/skerry/shop-gitops.git" }

// createRepository makes the repository, with a first commit, and a person's clone.
func (w *world) createRepository() {
	w.t.Helper()
	req, err := http.NewRequest("POST", w.git+"/api/v1/repos", strings.NewReader(`{"owner":"skerry","name":"shop-gitops","managedBy":"test"}`))
	if err != nil {
		w.t.Fatal(err)
	}
	req.SetBasicAuth("admin", "secret")
	testenv.Eventually(w.t, func(context.Context) error {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		return err
	})
	u, err := url.Parse(w.repoURL())
	if err != nil {
		w.t.Fatal(err)
	}
	u.User = url.UserPassword("admin", "secret")
	w.work = filepath.Join(w.t.TempDir(), "work")
	w.run(".", "clone", "--quiet", u.String(), w.work)
}

// createArgoObjects writes the cluster Secret, the repository Secret and the AppProject.
func (w *world) createArgoObjects() {
	w.t.Helper()
	tls := w.dest.Config.TLSClientConfig
	config, err := json.Marshal(map[string]any{"bearerToken": w.dest.Config.BearerToken, "tlsClientConfig": map[string]any{
		"caData": bytesOf(w.t, tls.CAData, tls.CAFile), "certData": bytesOf(w.t, tls.CertData, tls.CertFile), "keyData": bytesOf(w.t, tls.KeyData, tls.KeyFile),
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, o := range []client.Object{
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "cluster-shop", Labels: map[string]string{argov1alpha1.LabelSecretType: argov1alpha1.SecretTypeCluster}},
			StringData: map[string]string{"name": cluster, "server": w.dest.Config.Host, "config": string(config)},
		},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "repo-shop", Labels: map[string]string{argov1alpha1.LabelSecretType: argov1alpha1.SecretTypeRepository}},
			StringData: map[string]string{"type": "git", "url": w.repoURL(), "username": "skerry", "password": gitserver.Token("secret", gitserver.ScopeRead, "skerry", "shop-gitops")},
		},
		&argov1alpha1.AppProject{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: project},
			Spec: argov1alpha1.AppProjectSpec{
				SourceRepos:              []string{w.repoURL()},
				Destinations:             []argov1alpha1.ApplicationDestination{{Name: cluster, Namespace: "*"}},
				ClusterResourceWhitelist: []argov1alpha1.GroupKind{{Kind: "Namespace"}},
			},
		},
	} {
		if err := w.host.Client.Create(w.t.Context(), o); err != nil {
			w.t.Fatal(err)
		}
	}
}

func bytesOf(t *testing.T, data []byte, file string) []byte {
	if len(data) > 0 || file == "" {
		return data
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// deliver creates the Application, as the claim stage does, with changes.
func (w *world) deliver(change ...func(*argov1alpha1.Application)) {
	w.t.Helper()
	app := &argov1alpha1.Application{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: appName, Finalizers: []string{argov1alpha1.ResourcesFinalizer}},
		Spec: argov1alpha1.ApplicationSpec{
			Project:     project,
			Source:      &argov1alpha1.ApplicationSource{RepoURL: w.repoURL(), Path: path, TargetRevision: "main"},
			Destination: argov1alpha1.ApplicationDestination{Name: cluster, Namespace: w.target},
			SyncPolicy: &argov1alpha1.SyncPolicy{
				Automated:   &argov1alpha1.SyncPolicyAutomated{Prune: true, SelfHeal: true},
				SyncOptions: []string{"CreateNamespace=true"},
				Retry:       &argov1alpha1.RetryStrategy{Limit: 5, Backoff: &argov1alpha1.Backoff{Duration: "200ms"}},
			},
		},
	}
	for _, c := range change {
		c(app)
	}
	if err := w.host.Client.Create(w.t.Context(), app); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) app(ctx context.Context) (*argov1alpha1.Application, error) {
	app := &argov1alpha1.Application{}
	return app, w.host.Client.Get(ctx, client.ObjectKey{Namespace: w.ns, Name: appName}, app)
}

// edit changes the Application against whatever the engine writes at the same time.
func (w *world) edit(change func(*argov1alpha1.Application)) {
	w.t.Helper()
	testenv.Eventually(w.t, func(ctx context.Context) error {
		app, err := w.app(ctx)
		if err != nil {
			return err
		}
		change(app)
		return w.host.Client.Update(ctx, app)
	})
}

// await waits until the Application is as described, and returns it.
func (w *world) await(check func(*argov1alpha1.Application) error) *argov1alpha1.Application {
	w.t.Helper()
	var app *argov1alpha1.Application
	testenv.Eventually(w.t, func(ctx context.Context) (err error) {
		if app, err = w.app(ctx); err != nil {
			return err
		}
		if err := check(app); err != nil {
			status, _ := json.Marshal(app.Status)
			return fmt.Errorf("%w\n%s", err, status)
		}
		return nil
	})
	return app
}

// awaitSynced waits until the revision is delivered and healthy.
func (w *world) awaitSynced(revision string) *argov1alpha1.Application {
	w.t.Helper()
	return w.await(func(app *argov1alpha1.Application) error {
		s := app.Status
		if s.Sync.Revision != revision || s.Sync.Status != argov1alpha1.SyncStatusSynced || s.Health.Status != argov1alpha1.HealthHealthy || len(s.Conditions) > 0 {
			return errors.New("it is not synced and healthy at " + revision)
		}
		return nil
	})
}

// awaitCondition waits for a condition whose message holds all the texts.
func (w *world) awaitCondition(typ string, texts ...string) *argov1alpha1.Application {
	w.t.Helper()
	return w.await(func(app *argov1alpha1.Application) error {
		for _, c := range app.Status.Conditions {
			if c.Type != typ {
				continue
			}
			for _, text := range texts {
				if !strings.Contains(c.Message, text) {
					return fmt.Errorf("%s says %q, want %q in it", typ, c.Message, text)
				}
			}
			return nil
		}
		return errors.New("there is no condition " + typ)
	})
}

// push replaces the given files (nil content removes) and returns the new revision.
func (w *world) push(files map[string]string) string {
	w.t.Helper()
	for name, content := range files {
		full := filepath.Join(w.work, name)
		if content == "" {
			w.run(w.work, "rm", "--quiet", name)
			continue
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o700), os.WriteFile(full, []byte(content), 0o600)); err != nil {
			w.t.Fatal(err)
		}
	}
	w.run(w.work, "add", "-A")
	w.run(w.work, "commit", "--quiet", "--allow-empty", "-m", "Change")
	w.run(w.work, "push", "--quiet", "origin", "HEAD:main")
	return w.run(w.work, "rev-parse", "HEAD")
}

func (w *world) run(dir string, args ...string) string {
	w.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.org", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// configMap returns a manifest.
func configMap(name, value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\ndata:\n  value: " + value + "\n"
}

// value reads a ConfigMap of the destination; "" when it is not there.
func (w *world) value(ctx context.Context, name string) (string, error) {
	cm := &corev1.ConfigMap{}
	err := w.dest.Client.Get(ctx, client.ObjectKey{Namespace: w.target, Name: name}, cm)
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	return cm.Data["value"], err
}

func (w *world) awaitValue(name, want string) {
	w.t.Helper()
	testenv.Eventually(w.t, func(ctx context.Context) error {
		got, err := w.value(ctx, name)
		if err == nil && got != want {
			err = fmt.Errorf("ConfigMap %s holds %q, want %q", name, got, want)
		}
		return err
	})
}
