// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
)

// Defaults of the options.
const (
	DefaultName       = "skerry"
	DefaultStateRoot  = "/var/lib/skerry"
	DefaultImageCache = "/var/cache/skerry/images"
	// DefaultRegistry is where the official images of PostgreSQL and Redis come
	// from when it answers.
	DefaultRegistry = "docker.io"
)

// runRoot holds the run folder of every instance and the machine's record. It is
// short because a socket's path may have 107 bytes, and does not survive a boot.
const runRoot = "/run/skerry"

// Ports of the node, in its own network namespace.
const (
	apiServerPort = 6443
	etcdPort      = 2379
	etcdPeerPort  = 2380
	kubeletPort   = 10250
)

// maxStateDir is the longest path of a state folder in bytes: the kubelet keeps
// sockets up to 40 bytes deeper, and a socket's path may have 107.
const maxStateDir = 64

// Options say which instance and where its things are.
type Options struct {
	// Name of the instance, its node, its network namespace; a DNS label of at most
	// 32 characters.
	Name string
	// StateDir is the folder that holds all that outlives the instance's processes.
	StateDir string
	// BinDir is the folder of the built programs that go into the images.
	BinDir string
	// ImageCache is the folder of image file systems built from packages; shared by
	// all instances.
	ImageCache string
	// Registry answers for official images; "none" builds them from packages always.
	Registry string
	// NodeOnly leaves the application images (demo, Git, PostgreSQL, Redis) out.
	NodeOnly bool
	// Executable is this program, skerry-kube: it is what the processes run.
	Executable string
	// Out gets the progress and the result, Err warnings.
	Out, Err io.Writer
}

var nameRule = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$`)

// Complete fills what is not given and checks the rest.
func (o *Options) Complete() error {
	if o.Name == "" {
		o.Name = DefaultName
	}
	if !nameRule.MatchString(o.Name) {
		return fmt.Errorf("--name %q: must be lower-case letters, digits and '-', at most 32 characters", o.Name)
	}
	if o.StateDir == "" {
		o.StateDir = filepath.Join(DefaultStateRoot, o.Name)
	}
	state, err := filepath.Abs(o.StateDir)
	if err != nil {
		return fmt.Errorf("--state %q: %w", o.StateDir, err)
	}
	if len(state) > maxStateDir {
		return fmt.Errorf("--state %q: the path has %d characters, more than the %d that leave room for the sockets below it; choose a shorter one", state, len(state), maxStateDir)
	}
	o.StateDir = state
	if o.Executable == "" {
		if o.Executable, err = os.Executable(); err != nil {
			return fmt.Errorf("finding this program: %w", err)
		}
	}
	if o.BinDir == "" {
		o.BinDir = filepath.Dir(o.Executable)
	}
	if o.ImageCache == "" {
		o.ImageCache = DefaultImageCache
	}
	if o.Registry == "" {
		o.Registry = DefaultRegistry
	}
	return nil
}

// layout is where things of one instance are.
type layout struct{ name, state string }

func (o *Options) layout() layout { return layout{name: o.Name, state: o.StateDir} }

func (l layout) in(elements ...string) string {
	return filepath.Join(append([]string{l.state}, elements...)...)
}

// run is the run folder, with sockets and process records.
func (l layout) run(elements ...string) string {
	return filepath.Join(append([]string{runRoot, l.name}, elements...)...)
}

func (l layout) pki(file string) string            { return l.in("pki", file) }
func (l layout) kubeconfig() string                { return l.in("kubeconfig") }
func (l layout) clientConfig(client string) string { return l.in("pki", client+".kubeconfig") }
func (l layout) containerdSocket() string          { return l.run("containerd.sock") }
func (l layout) log(process string) string         { return l.in("logs", process+".log") }
func (l layout) volumes() string                   { return l.in("volumes") }

// netns is the path of the network namespace, as ip-netns(8) names it.
func (l layout) netns() string { return filepath.Join(namesDir, l.name) }

// containers holds a folder per container that containerd runs, named by its ID.
func (l layout) containers() string {
	return l.run("containerd", "io.containerd.runtime.v2.task", "k8s.io")
}

// nftTable is the name of the machine's table for this instance.
func (l layout) nftTable() string { return "skerry-" + l.name }

// cniNetwork is the name of the Pod network.
func (l layout) cniNetwork() string { return "skerry-" + l.name }
