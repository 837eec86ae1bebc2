// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package testenv gives tests a real API server: it starts the built skerry-kube
// (etcd, one API server, every CRD of the install chart) once for each test package. Kubernetes
// is not linked into the test, which would cost half a minute each.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
//
// and calls Start in its tests. The cluster has no nodes, and of Kubernetes' controllers
// only those that keep a cluster in order (namespaces, garbage, ServiceAccounts, quota):
// a Deployment makes no Pods, so that tests write the status of workloads themselves.
package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	k8sruntime "k8s.io/apimachinery/pkg/runtime"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

const (
	// BinaryVariable names another skerry-kube than the repository's bin/skerry-kube.
	BinaryVariable = "SKERRY_KUBE"

	startTimeout = 2 * time.Minute
	stopTimeout  = 10 * time.Second
)

// Env is a running API server.
type Env struct {
	// Config acts as an administrator (group system:masters), without client-side
	// rate limits. Copy it before changing it.
	Config *rest.Config
	// Client reads and writes directly, without a cache.
	Client client.Client
	// Scheme knows the built-in kinds, CRDs, the kinds of platform.skerry.dev and what
	// WithScheme added.
	Scheme *k8sruntime.Scheme
	// Kubeconfig is the path of a kubeconfig file for Config.
	Kubeconfig string
}

// Option of Start.
type Option func(*k8sruntime.Scheme) error

// WithScheme adds kinds to Env.Scheme, and so to Env.Client.
func WithScheme(add ...func(*k8sruntime.Scheme) error) Option {
	return func(s *k8sruntime.Scheme) error {
		for _, f := range add {
			if err := f(s); err != nil {
				return err
			}
		}
		return nil
	}
}

// server is the process that the tests of one package share. It is a package variable
// because testing.M offers no other way from TestMain to a test.
var server struct {
	once       sync.Once
	process    *process
	kubeconfig string
	err        error
}

// Main runs a package's tests and then stops the API server, when one was started.
func Main(m *testing.M) {
	code := m.Run()
	if server.process != nil {
		server.process.stop()
	}
	os.Exit(code)
}

// Start returns the package's API server, starting it for the first caller.
func Start(t testing.TB, opts ...Option) *Env {
	t.Helper()
	server.once.Do(func() { server.process, server.kubeconfig, server.err = start(context.Background()) })
	if server.err != nil {
		t.Fatal(server.err)
	}
	env, err := newEnv(server.kubeconfig, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// StartOwn starts an API server for this test alone, for tests of two clusters or of
// a restart. It ends with the test.
func StartOwn(t testing.TB, opts ...Option) *Env {
	t.Helper()
	process, kubeconfig, err := start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(process.stop)
	env, err := newEnv(kubeconfig, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func newEnv(kubeconfig string, opts ...Option) (*Env, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the test cluster's kubeconfig: %w", err)
	}
	config.QPS = -1
	scheme := k8sruntime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(apiextensionsv1.AddToScheme(scheme))
	utilruntime.Must(platformv1alpha1.AddToScheme(scheme))
	for _, o := range opts {
		if err := o(scheme); err != nil {
			return nil, fmt.Errorf("adding to the test's scheme: %w", err)
		}
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making the test's client: %w", err)
	}
	return &Env{Config: config, Client: c, Scheme: scheme, Kubeconfig: kubeconfig}, nil
}

// process is one skerry-kube standalone.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	dir    string
}

func start(ctx context.Context) (*process, string, error) {
	binary, err := findBinary()
	if err != nil {
		return nil, "", err
	}
	dir, err := os.MkdirTemp("", "skerry-testenv-")
	if err != nil {
		return nil, "", fmt.Errorf("making the test cluster's folder: %w", err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, "", fmt.Errorf("making the test cluster's log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(binary, "standalone", "--dir", dir, "--until-stdin-closes")
	cmd.Stdout, cmd.Stderr = log, log
	// The pipe closes when this process ends, however it ends; Pdeathsig would
	// follow the thread that started the command instead.
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, "", fmt.Errorf("starting %s: %w", binary, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("starting %s: %w", binary, err)
	}
	p := &process{cmd: cmd, exited: make(chan struct{}), dir: dir}
	go func() {
		defer close(p.exited)
		_ = cmd.Wait()
	}()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := p.waitFor(ctx, kubeconfig); err != nil {
		tail, _ := os.ReadFile(log.Name())
		p.stop()
		return nil, "", fmt.Errorf("starting the test cluster: %w\n%s", err, lastBytes(tail, 4096))
	}
	return p, kubeconfig, nil
}

// waitFor a file that appears with one rename.
func (p *process) waitFor(ctx context.Context, file string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(file); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.exited:
			return fmt.Errorf("it ended: %s", p.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("waiting for it to serve: %w", ctx.Err())
		}
	}
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
	_ = os.RemoveAll(p.dir)
}

func findBinary() (string, error) {
	path := os.Getenv(BinaryVariable)
	if path == "" {
		_, file, _, _ := runtime.Caller(0)
		path = filepath.Join(filepath.Dir(file), "..", "..", "bin", "skerry-kube")
	}
	if _, err := os.Stat(path); err != nil {
		return "", errors.Join(fmt.Errorf("tests with an API server need %s: run `make build`, or set %s to a skerry-kube", filepath.Clean(path), BinaryVariable), err)
	}
	return path, nil
}

func lastBytes(b []byte, n int) []byte {
	if len(b) > n {
		return b[len(b)-n:]
	}
	return b
}
