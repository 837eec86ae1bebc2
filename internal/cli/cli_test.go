// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
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
	got, err := o.chartValues(nil, false)
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
	if _, err := o.chartValues(nil, false); err == nil {
		t.Error("--set without = is accepted")
	}
}

// What was given before stays, but for the images, which are of this version; what is given now wins.
func TestChartValuesOfAnEarlierInstallation(t *testing.T) {
	earlier := func() map[string]any {
		return map[string]any{
			"local": true, "build": "0123", "image": map[string]any{"repository": "registry.example.com/skerry", "tag": "0.0.1"},
			"catalog": map[string]any{"demoImage": "skerry.dev/demo:0.0.1"}, "pool": map[string]any{"replicas": 2, "memory": "1Gi"},
		}
	}
	o := installOptions{common: &common{}, set: []string{"pool.replicas=3"}}
	got, err := o.chartValues(earlier(), false)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"local": true, "build": "0123", "image": map[string]any{"repository": "registry.example.com/skerry", "tag": version.Version},
		"gitServer": map[string]any{"image": map[string]any{"tag": version.Version}},
		"catalog":   map[string]any{"demoImage": "skerry.dev/demo:" + version.Version}, "pool": map[string]any{"replicas": float64(3), "memory": "1Gi"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	moved := earlier()
	moved["catalog"] = map[string]any{"demoImage": "registry.example.com:5000/demo:0.0.1"}
	if got, err = o.chartValues(moved, false); err != nil || got["catalog"].(map[string]any)["demoImage"] != "registry.example.com:5000/demo:"+version.Version {
		t.Errorf("the demo image in a registry of the person's own: %v, %v", got["catalog"], err)
	}
	own := earlier()
	own["catalog"] = map[string]any{"demoImage": "registry.example.com/demo:7"}
	if got, err = o.chartValues(own, false); err != nil || got["catalog"].(map[string]any)["demoImage"] != "registry.example.com/demo:7" {
		t.Errorf("a demo image of the person's own: %v, %v", got["catalog"], err)
	}
	o.set = []string{"local=false"}
	if got, err = o.chartValues(nil, true); err != nil || got["local"] != false {
		t.Errorf("local that a person sets: %v, %v", got["local"], err)
	}
}

// A cluster of `skerry up` is known by its authority, whatever its address is called.
func TestIsLocal(t *testing.T) {
	root := t.TempDir()
	cluster := &clientcmdapi.Cluster{Server: "https://10.0.0.1:6443", CertificateAuthorityData: []byte("ca")}
	if err := writeContext(filepath.Join(root, "skerry", "kubeconfig"), "local", cluster, credential{}); err != nil {
		t.Fatal(err)
	}
	config := func(ca string) *rest.Config {
		return &rest.Config{Host: "https://localhost:6443", TLSClientConfig: rest.TLSClientConfig{CAData: []byte(ca)}}
	}
	if !isLocal(config("ca"), root) || isLocal(config("another"), root) || isLocal(config(""), root) || isLocal(config("ca"), t.TempDir()) {
		t.Error("the local platform is not told from another cluster")
	}
	// A proxy is for what is elsewhere.
	if proxy := straight(config("ca"), root).Proxy; proxy == nil {
		t.Error("the local platform would be reached by the environment's proxy")
	} else if by, err := proxy(&http.Request{}); by != nil || err != nil {
		t.Errorf("the local platform would be reached by %v (%v)", by, err)
	}
	if straight(config("another"), root).Proxy != nil {
		t.Error("another cluster would be reached without the environment's proxy")
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
	p := newProgress(&out, now, false)
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

// Every command says what it does in one line without a full stop, and shows how it is used.
func TestEveryCommandHasAnExample(t *testing.T) {
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || !strings.Contains(cmd.Example, "skerry") {
			t.Errorf("%s: %q, with the example %q", cmd.CommandPath(), cmd.Short, cmd.Example)
		}
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	check(Program{Getenv: os.Getenv}.command())
}

// Where escapes are not wanted, a terminal gets plain lines.
func TestPlainProgress(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("this machine has no terminals")
	}
	defer terminal.Close()
	for name, c := range map[string]struct {
		env   map[string]string
		plain bool
	}{
		"a terminal":      {map[string]string{"TERM": "xterm"}, false},
		"NO_COLOR":        {map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, true},
		"a dumb terminal": {map[string]string{"TERM": "dumb"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			c1 := &common{program: Program{Getenv: func(k string) string { return c.env[k] }}}
			p := c1.progress(terminal)
			p.close()
			if (p.width == 0) != c.plain {
				t.Errorf("width %d", p.width)
			}
		})
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
