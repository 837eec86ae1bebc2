// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Check names a condition that must hold before anything is started.
type Check string

// The checks of Preflight.
const (
	CheckLinux     Check = "linux"
	CheckRoot      Check = "root"
	CheckPrograms  Check = "programs"
	CheckKernel    Check = "kernel"
	CheckDisk      Check = "disk"
	CheckMemory    Check = "memory"
	CheckNamespace Check = "network-namespace"
	CheckPorts     Check = "ports"
	CheckState     Check = "state"
	CheckAddresses Check = "addresses"
	CheckImages    Check = "images"
)

// PreflightError is a condition that does not hold.
type PreflightError struct {
	Check Check
	// Problem is what is wrong, WayOut what to do about it.
	Problem, WayOut string
}

func (e *PreflightError) Error() string { return e.Problem + "\n    " + e.WayOut }

// Least space that an instance needs, in bytes.
const (
	minDisk   = 5 << 30
	minMemory = 1 << 30
)

// requirement is a program that is run, and the Debian package that has it.
type requirement struct{ program, pkg string }

var requirements = []requirement{
	{"containerd", "containerd"}, {"ctr", "containerd"}, {"containerd-shim-runc-v2", "containerd"},
	{"runc", "runc"},
	{"nft", "nftables"}, {"conntrack", "conntrack"}, {"iptables", "iptables"},
	{"mount", "mount"}, {"umount", "mount"},
	{"mmdebstrap", "mmdebstrap"},
	{cniPlugins + "/ptp", "containernetworking-plugins"},
	{cniPlugins + "/host-local", "containernetworking-plugins"},
	{cniPlugins + "/loopback", "containernetworking-plugins"},
	{cniPlugins + "/portmap", "containernetworking-plugins"},
}

// kernelFeature is something of the kernel that may be a module that is not loaded.
type kernelFeature string

var kernelFeatures = []kernelFeature{"overlay", "veth", "nf_tables"}

// Machine is what Preflight asks about this machine.
type Machine interface {
	// OS is as runtime.GOOS, EUID as geteuid(2).
	OS() string
	EUID() int
	// HasProgram looks in PATH, or at the path when it is one.
	HasProgram(name string) bool
	// HasKernel tries the feature.
	HasKernel(feature string) bool
	// FreeDisk is for the file system that path is or would be on, FreeMemory for new
	// processes; in bytes.
	FreeDisk(path string) (uint64, error)
	FreeMemory() (uint64, error)
	// NamespaceInUse says whether a network namespace of that name exists.
	NamespaceInUse(name string) bool
	// ListeningPorts are the TCP ports that are served in a network namespace; none
	// when it does not exist.
	ListeningPorts(namespace string) ([]int, error)
}

// preflightInput is what is known of the instance before it starts.
type preflightInput struct {
	options Options
	version string
	// known is what the state folder remembers, nil for a new one.
	known *Instance
	// running says that this instance's supervisor is at work; owner is the state
	// folder of a running instance of this name, "" when there is none.
	running bool
	owner   string
	// components says that processes of the instance are at work, supervised or not.
	components bool
	images     []string
}

// nodePorts are the TCP ports that the node serves in its network namespace.
var nodePorts = []int{apiServerPort, etcdPort, etcdPeerPort, kubeletPort}

// basics are checked first: without them nothing else can be found out.
func basics(m Machine) error {
	if m.OS() != "linux" {
		return &PreflightError{CheckLinux, fmt.Sprintf("the local platform needs Linux; this is %s", m.OS()),
			"run it in a Linux virtual machine, or use a cluster that you have: skerry install --kubeconfig FILE"}
	}
	if m.EUID() != 0 {
		return &PreflightError{CheckRoot, "the local platform needs root: it starts containers and a network of its own",
			"run it again with sudo"}
	}
	return nil
}

// preflight checks all that can be found out before anything is started and returns
// every problem, joined; each is a *PreflightError.
func preflight(m Machine, in preflightInput) error {
	if err := basics(m); err != nil {
		return err
	}
	checks := []func(Machine, preflightInput) *PreflightError{
		checkPrograms, checkKernel, checkDisk, checkMemory, checkNamespace, checkPorts, checkState,
	}
	var errs []error
	for _, check := range checks {
		if err := check(m, in); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, checkImages(in))...)
}

func checkPrograms(m Machine, in preflightInput) *PreflightError {
	var programs, packages []string
	for _, r := range requirements {
		// Without application images nothing is built from packages.
		if m.HasProgram(r.program) || (r.program == "mmdebstrap" && in.options.NodeOnly) {
			continue
		}
		programs = append(programs, r.program)
		if !slices.Contains(packages, r.pkg) {
			packages = append(packages, r.pkg)
		}
	}
	if len(programs) == 0 {
		return nil
	}
	return &PreflightError{CheckPrograms, "not installed: " + strings.Join(programs, ", "),
		"apt-get install --no-install-recommends -y " + strings.Join(packages, " ")}
}

func checkKernel(m Machine, _ preflightInput) *PreflightError {
	var missing []string
	for _, f := range kernelFeatures {
		if !m.HasKernel(string(f)) {
			missing = append(missing, string(f))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &PreflightError{CheckKernel, "the kernel lacks: " + strings.Join(missing, ", "),
		"modprobe -a " + strings.Join(missing, " ")}
}

func checkDisk(m Machine, in preflightInput) *PreflightError {
	for _, path := range []string{in.options.StateDir, in.options.ImageCache} {
		free, err := m.FreeDisk(path)
		if err != nil {
			return &PreflightError{CheckDisk, fmt.Sprintf("finding out the free space of %s: %v", path, err), "name another folder with --state or --image-cache"}
		}
		if free < minDisk {
			return &PreflightError{CheckDisk, fmt.Sprintf("%s has %.1f GiB free, less than %d GiB", path, float64(free)/(1<<30), minDisk>>30),
				"make room, or name a folder elsewhere with --state or --image-cache"}
		}
	}
	return nil
}

func checkMemory(m Machine, in preflightInput) *PreflightError {
	free, err := m.FreeMemory()
	if err != nil || in.running || free >= minMemory {
		// A machine that does not tell is not refused.
		return nil
	}
	return &PreflightError{CheckMemory, fmt.Sprintf("%.1f GiB of memory are available, less than %d GiB", float64(free)/(1<<30), minMemory>>30),
		"end other programs, or give the machine more memory"}
}

func checkNamespace(m Machine, in preflightInput) *PreflightError {
	name := in.options.Name
	if in.owner != "" && in.owner != in.options.StateDir {
		return &PreflightError{CheckNamespace, fmt.Sprintf("instance %q runs already, with the state folder %s", name, in.owner),
			fmt.Sprintf("give --state %s, or another --name", in.owner)}
	}
	if in.owner == "" && m.NamespaceInUse(name) {
		return &PreflightError{CheckNamespace, fmt.Sprintf("a network namespace %q exists and is not of this platform", name),
			fmt.Sprintf("give another --name, or remove it: ip netns delete %s", name)}
	}
	return nil
}

// checkPorts looks into the instance's network namespace, which is left by one that was
// killed. On the machine itself the instance serves no port.
func checkPorts(m Machine, in preflightInput) *PreflightError {
	if in.owner == "" || in.running || in.components {
		return nil
	}
	name := in.options.Name
	ports, err := m.ListeningPorts(name)
	if err != nil {
		return &PreflightError{CheckPorts, fmt.Sprintf("finding out the ports in use in network namespace %q: %v", name, err), "skerry down --name " + name}
	}
	for _, port := range nodePorts {
		if slices.Contains(ports, port) {
			return &PreflightError{CheckPorts, fmt.Sprintf("port %d in network namespace %q is taken by a program that is not of this platform", port, name),
				fmt.Sprintf("find it with `nsenter --net=/run/netns/%s ss -ltnp` and end it, or bring up another instance with --name", name)}
		}
	}
	return nil
}

func checkState(_ Machine, in preflightInput) *PreflightError {
	known := in.known
	if known == nil {
		return nil
	}
	if known.Name != in.options.Name {
		return &PreflightError{CheckState, fmt.Sprintf("state folder %s belongs to instance %q", in.options.StateDir, known.Name),
			fmt.Sprintf("give --name %s, or another --state", known.Name)}
	}
	if in.running && known.Version != in.version {
		return &PreflightError{CheckState, fmt.Sprintf("state folder %s is in use by version %s; this is %s", in.options.StateDir, known.Version, in.version),
			fmt.Sprintf("take it down first: skerry down --name %s (its data stays)", known.Name)}
	}
	return nil
}
