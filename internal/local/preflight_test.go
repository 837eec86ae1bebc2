// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skerry-platform/skerry/internal/image"
)

// probes is a machine as a test describes it; its zero value is not fit for anything.
type probes struct {
	os           string
	euid         int
	noProgram    []string
	noKernel     []string
	disk, memory uint64
	namespaces   []string
	listening    []int
}

func (p probes) OS() string { return p.os }
func (p probes) EUID() int  { return p.euid }
func (p probes) HasProgram(name string) bool {
	return !slices.Contains(p.noProgram, filepath.Base(name))
}
func (p probes) HasKernel(f string) bool              { return !slices.Contains(p.noKernel, f) }
func (p probes) FreeDisk(string) (uint64, error)      { return p.disk, nil }
func (p probes) FreeMemory() (uint64, error)          { return p.memory, nil }
func (p probes) NamespaceInUse(name string) bool      { return slices.Contains(p.namespaces, name) }
func (p probes) ListeningPorts(string) ([]int, error) { return p.listening, nil }

func fitMachine() probes { return probes{os: "linux", disk: 100 << 30, memory: 8 << 30} }

func TestPreflight(t *testing.T) {
	newInstance := preflightInput{options: Options{Name: "skerry", StateDir: "/state", ImageCache: "/cache"}, version: "2"}
	type wanted struct {
		Check  Check
		WayOut string
	}
	cases := map[string]struct {
		reason  string
		machine func(*probes)
		input   func(*preflightInput)
		want    []wanted
	}{
		"Fit": {reason: "nothing to say about a machine that is fit"},
		"NotLinux": {
			reason:  "no other question makes sense elsewhere",
			machine: func(p *probes) { p.os, p.euid = "darwin", 501 },
			want:    []wanted{{CheckLinux, "run it in a Linux virtual machine, or use a cluster that you have: skerry install --kubeconfig FILE"}},
		},
		"NotRoot": {
			reason:  "the rest cannot be found out without root",
			machine: func(p *probes) { p.euid, p.disk = 1000, 0 },
			want:    []wanted{{CheckRoot, "run it again with sudo"}},
		},
		"Programs": {
			reason:  "each package is named once, in a line to copy",
			machine: func(p *probes) { p.noProgram = []string{"containerd", "ctr", "nft", "ptp"} },
			want:    []wanted{{CheckPrograms, "apt-get install --no-install-recommends -y containerd nftables containernetworking-plugins"}},
		},
		"NodeOnlyNeedsNoPackages": {
			reason:  "without application images nothing is built from packages",
			machine: func(p *probes) { p.noProgram = []string{"mmdebstrap"} },
			input:   func(in *preflightInput) { in.options.NodeOnly = true },
		},
		"Kernel": {
			reason:  "modules are named in a line to copy",
			machine: func(p *probes) { p.noKernel = []string{"overlay", "veth"} },
			want:    []wanted{{CheckKernel, "modprobe -a overlay veth"}},
		},
		"SeveralAtOnce": {
			reason:  "a person repairs all in one go",
			machine: func(p *probes) { p.disk, p.memory = 4<<30, 512<<20 },
			want: []wanted{
				{CheckDisk, "make room, or name a folder elsewhere with --state or --image-cache"},
				{CheckMemory, "end other programs, or give the machine more memory"},
			},
		},
		"RunningNeedsNoMemory": {
			reason:  "an instance that is up has its memory already",
			machine: func(p *probes) { p.memory = 512 << 20 },
			input:   func(in *preflightInput) { in.running, in.owner = true, "/state" },
		},
		"ForeignNamespace": {
			reason:  "a namespace that somebody else made is not taken over",
			machine: func(p *probes) { p.namespaces = []string{"skerry"} },
			want:    []wanted{{CheckNamespace, "give another --name, or remove it: ip netns delete skerry"}},
		},
		"OwnNamespace": {
			reason:  "the instance's own namespace is found again",
			machine: func(p *probes) { p.namespaces = []string{"skerry"} },
			input:   func(in *preflightInput) { in.owner = "/state" },
		},
		"OtherState": {
			reason: "one name is one instance",
			input:  func(in *preflightInput) { in.owner = "/elsewhere" },
			want:   []wanted{{CheckNamespace, "give --state /elsewhere, or another --name"}},
		},
		"PortTaken": {
			reason:  "a stray program in the namespace would answer in place of the node",
			machine: func(p *probes) { p.listening = []int{22, 6443} },
			input:   func(in *preflightInput) { in.owner = "/state" },
			want:    []wanted{{CheckPorts, "find it with `nsenter --net=/run/netns/skerry ss -ltnp` and end it, or bring up another instance with --name"}},
		},
		"PortsOfOurOwn": {
			reason:  "unwatched components are adopted, not complained about",
			machine: func(p *probes) { p.listening = []int{6443} },
			input:   func(in *preflightInput) { in.owner, in.components = "/state", true },
		},
		"OtherVersionRuns": {
			reason: "a running instance is not mixed from two versions",
			input: func(in *preflightInput) {
				in.owner, in.running, in.known = "/state", true, &Instance{Name: "skerry", Version: "1"}
			},
			want: []wanted{{CheckState, "take it down first: skerry down --name skerry (its data stays)"}},
		},
		"OtherVersionDown": {
			reason: "the data of an older version is taken up again",
			input:  func(in *preflightInput) { in.known = &Instance{Name: "skerry", Version: "1"} },
		},
		"OtherName": {
			reason: "a state folder belongs to one name",
			input:  func(in *preflightInput) { in.known = &Instance{Name: "other", Version: "2"} },
			want:   []wanted{{CheckState, "give --name other, or another --state"}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			machine, input := fitMachine(), newInstance
			if c.machine != nil {
				c.machine(&machine)
			}
			if c.input != nil {
				c.input(&input)
			}
			var got []wanted
			for _, problem := range problems(preflight(machine, input)) {
				got = append(got, wanted{problem.Check, problem.WayOut})
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// problems takes a joined error apart.
func problems(err error) []*PreflightError {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*PreflightError
		for _, e := range joined.Unwrap() {
			all = append(all, problems(e)...)
		}
		return all
	}
	var p *PreflightError
	if errors.As(err, &p) {
		return []*PreflightError{p}
	}
	return nil
}

func TestPreflightNamesMissingPrograms(t *testing.T) {
	in := preflightInput{options: Options{Name: "skerry", BinDir: t.TempDir()}, images: []string{image.Pause()}}
	got := problems(preflight(fitMachine(), in))
	if len(got) != 1 || got[0].Check != CheckImages || !strings.Contains(got[0].Error(), "make build") {
		t.Errorf("got %v, want one problem that names `make build`", got)
	}
}

func TestMemAvailable(t *testing.T) {
	got, err := memAvailable("MemTotal:       24684084 kB\nMemAvailable:   2048 kB\n")
	if err != nil || got != 2<<20 {
		t.Errorf("got %d, %v; want 2 MiB", got, err)
	}
	if _, err := memAvailable("MemTotal: 1 kB\n"); err == nil {
		t.Error("a kernel that does not tell must be an error")
	}
}

func TestListening(t *testing.T) {
	table := `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0200620A:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 0100007F:094B 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 2 1
`
	if diff := cmp.Diff([]int{6443}, listening(table)); diff != "" {
		t.Errorf("established connections do not count (-want +got):\n%s", diff)
	}
}
