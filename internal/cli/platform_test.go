// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// TestMain lets the test binary play skerry-kube, which ends in order when it is asked to.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "skerry-kube" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fmt.Println("begun")
	<-ctx.Done()
	fmt.Println("ended in order")
}

// writer calls a function with what is written.
type writer func(text string)

func (w writer) Write(p []byte) (int, error) {
	w(string(p))
	return len(p), nil
}

// Ctrl-C reaches the local platform's program as such: killed, it would leave its work where it was.
func TestStoppingEndsTheLocalPlatformsProgramInOrder(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "skerry-kube")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var said strings.Builder
	out := writer(func(text string) {
		said.WriteString(text)
		cancel()
	})
	p := Program{IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: out, ErrOut: &bytes.Buffer{}}, Getenv: os.Getenv}
	if code := p.Main(ctx, []string{"skerry", "down"}); code != ExitInterrupted || !strings.Contains(said.String(), "ended in order") {
		t.Errorf("ended with %d: %s", code, said.String())
	}
}

// removes is a Charts that tells whether something was removed.
type removes struct {
	Charts
	done bool
}

func (r *removes) Uninstall(context.Context, ChartRequest) error {
	r.done = true
	return nil
}

// Nothing is removed from a cluster that does not say whether it has virtual clusters.
func TestUninstallWantsToKnowOfVirtualClusters(t *testing.T) {
	for name, c := range map[string]struct {
		answer  int
		removes bool
	}{
		"forbidden": {http.StatusForbidden, false},
		"broken":    {http.StatusInternalServerError, false},
		"no kind":   {http.StatusNotFound, true},
	} {
		t.Run(name, func(t *testing.T) {
			answers := map[string]string{
				"/api": `{"kind":"APIVersions","versions":["v1"]}`,
				"/apis": `{"kind":"APIGroupList","apiVersion":"v1","groups":[` +
					`{"name":"platform.skerry.dev","versions":[{"groupVersion":"platform.skerry.dev/v1alpha1","version":"v1alpha1"}]},` +
					`{"name":"apiextensions.k8s.io","versions":[{"groupVersion":"apiextensions.k8s.io/v1","version":"v1"}]}]}`,
				"/apis/platform.skerry.dev/v1alpha1": `{"kind":"APIResourceList","groupVersion":"platform.skerry.dev/v1alpha1",` +
					`"resources":[{"name":"virtualclusters","kind":"VirtualCluster","verbs":["list"]}]}`,
				"/apis/apiextensions.k8s.io/v1": `{"kind":"APIResourceList","groupVersion":"apiextensions.k8s.io/v1",` +
					`"resources":[{"name":"customresourcedefinitions","kind":"CustomResourceDefinition","verbs":["get"]}]}`,
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if text, found := answers[r.URL.Path]; found {
					fmt.Fprint(w, text)
					return
				}
				code := http.StatusNotFound
				if strings.HasSuffix(r.URL.Path, "/virtualclusters") {
					code = c.answer
				}
				http.Error(w, http.StatusText(code), code)
			}))
			defer server.Close()
			file := filepath.Join(t.TempDir(), "kubeconfig")
			if err := writeContext(file, "host", &clientcmdapi.Cluster{Server: server.URL}, credential{}); err != nil {
				t.Fatal(err)
			}
			var errs bytes.Buffer
			charts := &removes{}
			p := Program{IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &bytes.Buffer{}, ErrOut: &errs}, Getenv: os.Getenv, Charts: charts}
			code := p.Main(t.Context(), []string{"skerry", "uninstall", "--kubeconfig", file, "--context", "host"})
			if charts.done != c.removes || (code == 0) != c.removes {
				t.Errorf("ended with %d, removed: %t\n%s", code, charts.done, errs.String())
			}
		})
	}
}
