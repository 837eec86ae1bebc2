// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func TestMountPoints(t *testing.T) {
	info := `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 22 0:29 / /run/a\040b rw - tmpfs none rw
`
	if diff := cmp.Diff([]string{"/", "/run/a b"}, mountPoints([]byte(info))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNameservers(t *testing.T) {
	text := "# made by somebody\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 192.0.2.1\nsearch example\nnameserver 192.0.2.2 \n"
	want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
	got := nameservers([]byte(text))
	if !slices.Equal(want, got) {
		t.Errorf("got %v, want %v: the node cannot reach the machine's loopback", got, want)
	}
}

func TestConfigFiles(t *testing.T) {
	data := configData{State: "/s", Run: "/r", Socket: "/r/containerd.sock", Runc: "/usr/sbin/runc", CNIPlugins: "/usr/lib/cni",
		CNINetwork: "skerry-x", PauseImage: "skerry.dev/pause:1", RestrictOOM: true, MTU: 1400, KubeletPort: 10250,
		Node: netip.MustParseAddr("10.98.0.2"), DNS: netip.MustParseAddr("10.96.0.10"), Pods: netip.MustParsePrefix("10.244.0.0/16")}
	kubelet, err := fill("kubelet.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Authentication struct {
			Anonymous, Webhook struct{ Enabled bool }
		}
		Authorization struct{ Mode string }
		OOMScoreAdj   *int `json:"oomScoreAdj"`
	}
	if err := yaml.Unmarshal(kubelet, &config); err != nil {
		t.Fatal(err)
	}
	if config.Authentication.Anonymous.Enabled || config.Authorization.Mode != "Webhook" {
		t.Errorf("the kubelet must ask the API server who may do what: %+v", config)
	}
	if config.OOMScoreAdj == nil || *config.OOMScoreAdj != 0 {
		t.Error("without CAP_SYS_RESOURCE the kubelet must not lower its own OOM score")
	}
	network, err := fill("pods.conflist", data)
	if err != nil {
		t.Fatal(err)
	}
	var parsed map[string]any
	if err := yaml.UnmarshalStrict(network, &parsed); err != nil || parsed["name"] != "skerry-x" {
		t.Errorf("CNI configuration: %v, %v", parsed, err)
	}
	containerd, err := fill("containerd.toml", data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(containerd, []byte("restrict_oom_score_adj = true")) {
		t.Errorf("containerd's configuration:\n%s", containerd)
	}
}

func TestAddonObjects(t *testing.T) {
	objects, err := addonObjects(addressSet(0), false)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, o := range objects {
		kinds = append(kinds, o.GetKind()+"/"+o.GetName())
		corefile, _, _ := strings.Cut(o.GetName(), "/")
		if o.GetKind() == "ConfigMap" && corefile == "coredns" {
			data := o.Object["data"].(map[string]any)["Corefile"].(string)
			if strings.Contains(data, "forward") {
				t.Errorf("without name servers there is nothing to forward to:\n%s", data)
			}
		}
	}
	for _, want := range []string{"Deployment/coredns", "Service/kube-dns", "StorageClass/local-path"} {
		if !slices.Contains(kinds, want) {
			t.Errorf("%s is missing in %v", want, kinds)
		}
	}
}

func TestComponentsAskOnlyForThoseThatExist(t *testing.T) {
	specs := components(layout{name: "skerry", state: "/s"}, addressSet(0), "/bin/skerry-kube", "/usr/bin/containerd", nil)
	var names []string
	for _, s := range specs {
		names = append(names, s.Name)
	}
	for _, s := range specs {
		for _, after := range s.After {
			if !slices.Contains(names, after) {
				t.Errorf("%s comes after %s, which is not there", s.Name, after)
			}
		}
	}
	stopped := slices.Concat(stopBeforePods, stopAfterPods, stopLast)
	slices.Sort(names)
	slices.Sort(stopped)
	if diff := cmp.Diff(names, stopped); diff != "" {
		t.Errorf("down must stop what up starts (-started +stopped):\n%s", diff)
	}
}

func TestRunActions(t *testing.T) {
	var out bytes.Buffer
	broken := errors.New("no power")
	var done []string
	step := func(name string, err error) action {
		return action{title: name, usual: 3 * time.Second, do: func(context.Context) error {
			done = append(done, name)
			return err
		}}
	}
	took, err := runActions(t.Context(), &out, []action{step("one", nil), step("two", broken), step("three", nil)}, map[string]float64{"three": 7})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the error of the second action", err)
	}
	if diff := cmp.Diff([]string{"one", "two"}, done); diff != "" {
		t.Errorf("nothing comes after a failed action (-want +got):\n%s", diff)
	}
	want := " ✓ one (0.0s), about 10s left\n ✗ two (0.0s)\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(took) != 2 {
		t.Errorf("times are %v, want one for each action that ran", took)
	}
}

func TestActionEndsAtItsLimit(t *testing.T) {
	a := action{title: "wait", limit: time.Millisecond, do: func(ctx context.Context) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}}
	if err := a.run(t.Context()); err == nil || !strings.Contains(err.Error(), "not done within 1ms") {
		t.Errorf("got %v, want the limit", err)
	}
}

func TestStatusSum(t *testing.T) {
	running := []ProcessStatus{{Name: "etcd", Running: true}}
	cases := map[string]struct {
		status Status
		want   Phase
	}{
		"AllWell":     {Status{Processes: running, Node: NodeStatus{Ready: true}, Addons: []AddonStatus{{Ready: true}}}, PhaseReady},
		"ProcessDown": {Status{Processes: append([]ProcessStatus{{Name: "kubelet"}}, running...), Node: NodeStatus{Ready: true}}, PhaseDegraded},
		"NodeDown":    {Status{Processes: running}, PhaseDegraded},
		"AddonDown":   {Status{Processes: running, Node: NodeStatus{Ready: true}, Addons: []AddonStatus{{Name: "dns"}}}, PhaseDegraded},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := c.status.sum(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestStatusPrint(t *testing.T) {
	s := &Status{Name: "skerry", Phase: PhaseDegraded, Server: "https://10.98.0.2:6443", Kubeconfig: "/s/kubeconfig",
		Processes: []ProcessStatus{{Name: "etcd", Running: true, PID: 7, UptimeSeconds: 61}, {Name: "kubelet", Restarts: 3, Log: "/s/logs/kubelet.log"}},
		Node:      NodeStatus{Name: "skerry", Message: "container runtime is down"}}
	var out bytes.Buffer
	if err := s.Print(&out, ""); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Degraded", "1m1s", "not running, see /s/logs/kubelet.log", "container runtime is down"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
	if err := s.Print(&out, "xml"); err == nil || !strings.Contains(err.Error(), "-o") {
		t.Errorf("got %v, want an error about -o", err)
	}
}

func TestAbsentInstance(t *testing.T) {
	o := Options{Name: "nobody", StateDir: t.TempDir()}
	s, err := GetStatus(t.Context(), o)
	if err != nil || s.Phase != PhaseAbsent {
		t.Errorf("got %v, %v; want phase Absent", s, err)
	}
}

func TestStateIsLockedForOne(t *testing.T) {
	l := layout{name: "x", state: t.TempDir()}
	unlock, err := lockState(l)
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan error, 1)
	go func() {
		unlock, err := lockState(l)
		if err == nil {
			unlock()
		}
		second <- err
	}()
	select {
	case err := <-second:
		t.Fatalf("two have the lock: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	unlock()
	if err := <-second; err != nil {
		t.Errorf("the second did not get the lock after the first: %v", err)
	}
}

func TestDamagedStateSaysTheWayOut(t *testing.T) {
	l := layout{name: "x", state: t.TempDir()}
	if err := writeFile(l.instanceFile(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadInstance(l); err == nil || !strings.Contains(err.Error(), "down --purge") {
		t.Errorf("got %v, want the way out", err)
	}
}

func TestNATRules(t *testing.T) {
	rules := natRules(layout{name: "skerry"}, addressSet(0))
	for _, want := range []string{
		`ip saddr { 10.98.0.0/30, 10.244.0.0/16 } oifname != "sky-skerry" masquerade`,
		`oifname "sky-skerry" drop`,
	} {
		if !strings.Contains(rules, want) {
			t.Errorf("%q is missing in\n%s", want, rules)
		}
	}
}
