// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/skerry-platform/skerry/charts"
	"github.com/skerry-platform/skerry/internal/version"
)

func TestCredentialFits(t *testing.T) {
	const ours = "http://10.96.0.20:80/skerry/shop-gitops.git"
	for name, c := range map[string]struct {
		wanted map[string]string
		fits   bool
	}{
		"the host":                    {map[string]string{"protocol": "http", "host": "10.96.0.20"}, true},
		"with the port that it has":   {map[string]string{"protocol": "http", "host": "10.96.0.20:80"}, true},
		"another port":                {map[string]string{"protocol": "http", "host": "10.96.0.20:8080"}, false},
		"another protocol":            {map[string]string{"protocol": "https", "host": "10.96.0.20"}, false},
		"the repository":              {map[string]string{"protocol": "http", "host": "10.96.0.20", "path": "skerry/shop-gitops.git"}, true},
		"another repository":          {map[string]string{"protocol": "http", "host": "10.96.0.20", "path": "skerry/shop.git"}, false},
		"a host that starts the same": {map[string]string{"protocol": "http", "host": "10.96.0.2"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := credentialFits(c.wanted, ours); got != c.fits {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestChartValues(t *testing.T) {
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte("pool: {replicas: 2, memory: 1Gi}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := installOptions{common: &common{}, values: []string{file}, set: []string{"pool.replicas=3", "image.tag=next", "a.b=true"}}
	got, err := o.chartValues()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"image":     map[string]any{"tag": "next"},
		"gitServer": map[string]any{"image": map[string]any{"tag": version.Version}},
		"catalog":   map[string]any{"demoImage": "skerry.dev/demo:" + version.Version},
		"pool":      map[string]any{"replicas": float64(3), "memory": "1Gi"},
		"a":         map[string]any{"b": true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	o.set = []string{"nonsense"}
	if _, err := o.chartValues(); err == nil {
		t.Error("--set without = is accepted")
	}
}

// A real Argo CD keeps its kinds.
func TestChartWithoutArgo(t *testing.T) {
	chart, err := charts.Skerry()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := without{FS: chart, prefix: "argoproj.io_"}.ReadDir("crds")
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "argoproj.io_") {
			t.Errorf("%s is still there", e.Name())
		}
	}
}

// A context is added to a person's file, and what was in it stays.
func TestWriteContext(t *testing.T) {
	file := filepath.Join(t.TempDir(), "deep", "config")
	cluster := &clientcmdapi.Cluster{Server: "https://127.0.0.1:4443", TLSServerName: "shop.shop.svc", CertificateAuthorityData: []byte("ca")}
	cred := credential{cert: []byte("cert"), key: []byte("key"), expires: time.Now()}
	if err := writeContext(file, "skerry-shop", cluster, cred); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	config, err := clientcmd.LoadFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	config.CurrentContext, config.Contexts["mine"] = "mine", config.Contexts["skerry-shop"].DeepCopy()
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	cluster.Server = "https://10.96.3.4:443"
	if err := writeContext(file, "skerry-shop", cluster, cred); err != nil {
		t.Fatal(err)
	}
	config, err = clientcmd.LoadFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	written := config.Clusters["skerry-shop"]
	if config.CurrentContext != "mine" || config.Contexts["mine"] == nil || written.Server != "https://10.96.3.4:443" || written.TLSServerName != "shop.shop.svc" {
		t.Errorf("%+v %+v", config, written)
	}
}

func TestProgressWithoutTerminal(t *testing.T) {
	var out bytes.Buffer
	now := time.Now()
	p := newProgress(&out, now)
	p.done(line{key: "a", text: "repositories", took: 1500 * time.Millisecond})
	p.done(line{key: "a", text: "repositories", took: 1500 * time.Millisecond})
	p.wait("VirtualCluster shop:\n waiting")
	p.draw(now.Add(time.Second))
	p.draw(now.Add(time.Minute))
	p.draw(now.Add(2 * time.Minute))
	p.close()
	want := "  ✓ repositories                                                  1.5 s\n  … VirtualCluster shop: waiting (60 s)\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

// The local platform's program is named when it is not there.
func TestWithoutSkerryKube(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var out, errs bytes.Buffer
	p := Program{IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errs}, Getenv: os.Getenv}
	if code := p.Main(t.Context(), []string{"skerry", "up"}); code != ExitUsage || !strings.Contains(errs.String(), "make build") {
		t.Errorf("ended with %d: %s", code, errs.String())
	}
}

// FuzzCredentialRequest: whatever Git sends, reading it ends.
func FuzzCredentialRequest(f *testing.F) {
	f.Add("protocol=http\nhost=git.test\n\n")
	f.Add("=\n\x00")
	f.Fuzz(func(t *testing.T, text string) {
		if wanted, err := credentialRequest(strings.NewReader(text)); err == nil {
			credentialFits(wanted, "http://git.test/a/b.git")
		}
	})
}
