// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/skerry-platform/skerry/internal/local/supervise"
)

// machineRecord is what has to be put back on the machine when its last instance goes
// down, in /run/skerry/machine.json. It does not survive a boot, and neither do the
// things in it.
type machineRecord struct {
	// Instances are the state folders of the instances that are up, by name.
	Instances map[string]string `json:"instances"`
	// Sysctls are the values from before the first instance, by path below /proc/sys.
	Sysctls map[string]string `json:"sysctls"`
	// Folders are the ones that did not exist before the first instance and are
	// removed when they are empty, in the order of removal.
	Folders []string `json:"folders"`
	// NamesMounted says that /run/netns was a mount before the first instance.
	NamesMounted bool `json:"namesMounted"`
	// Boot is the boot that all this is about.
	Boot string `json:"boot"`
}

const machineFile = runRoot + "/machine.json"

// forwarding is what we change ourselves. The others are changed by the kubelet
// (setupKernelTunables in k8s.io/kubernetes/pkg/kubelet/cm).
const forwarding = "net/ipv4/ip_forward"

var changedSysctls = []string{
	forwarding,
	"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
	"kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
}

// devicePlugins is where the kubelet keeps the socket and the checkpoint of its device
// manager; the path is fixed (k8s.io/kubelet/pkg/apis/deviceplugin).
const devicePlugins = "/var/lib/kubelet/device-plugins"

// sharedFolders are made by programs of the node outside of our own folders: containerd's
// shims and control groups, libcni's result cache, the kubelet's log links and device
// plugins, and the network namespaces' names. A folder comes before the one it is in.
func sharedFolders() []string {
	return append(containerGroups(),
		"/run/containerd/s", "/run/containerd",
		"/var/lib/cni/results", "/var/lib/cni",
		"/var/log/containers",
		devicePlugins, "/var/lib/kubelet",
		namesDir,
	)
}

// withMachine changes the machine's record under its lock.
func withMachine(change func(*machineRecord) error) error {
	unlock, err := lockFolder(runRoot, 0o755)
	if err != nil {
		return err
	}
	defer unlock()
	record, err := loadMachine()
	if err != nil {
		return err
	}
	if err := change(record); err != nil {
		return err
	}
	if len(record.Instances) == 0 {
		return removeMachine()
	}
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return writeFile(machineFile, data, 0o600)
}

func loadMachine() (*machineRecord, error) {
	fresh := &machineRecord{Instances: map[string]string{}, Sysctls: map[string]string{}, Boot: supervise.BootID()}
	data, err := os.ReadFile(machineFile)
	if errors.Is(err, fs.ErrNotExist) {
		return fresh, nil
	}
	if err != nil {
		return nil, err
	}
	record := &machineRecord{}
	if err := json.Unmarshal(data, record); err != nil {
		return nil, fmt.Errorf("reading %s: %w", machineFile, err)
	}
	if record.Boot != fresh.Boot {
		return fresh, nil
	}
	return record, nil
}

func removeMachine() error {
	if err := os.Remove(machineFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Fails while another instance's folder is there, as it should.
	if err := os.Remove(runRoot); err != nil && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// enter registers an instance and remembers what to restore.
func (m *machineRecord) enter(l layout) error {
	if other, ok := m.Instances[l.name]; ok && other != l.state {
		return fmt.Errorf("instance %q runs with the state folder %s; give --state %s, or another --name", l.name, other, other)
	}
	if len(m.Instances) == 0 {
		if err := m.remember(); err != nil {
			return err
		}
	}
	m.Instances[l.name] = l.state
	return nil
}

// networks are those of the other instances, also of one that has planned them and no route yet.
func (m *machineRecord) networks(but layout) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for name, state := range m.Instances {
		if name == but.name {
			continue
		}
		other, err := loadInstance(layout{name: name, state: state})
		if err != nil {
			return nil, err
		}
		if other != nil {
			all = append(all, other.Addresses.Link, other.Addresses.Pods, other.Addresses.Services)
		}
	}
	return all, nil
}

// remember notes how the machine is before its first instance.
func (m *machineRecord) remember() error {
	for _, name := range changedSysctls {
		value, err := readSysctl(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		m.Sysctls[name] = value
	}
	for _, path := range sharedFolders() {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			m.Folders = append(m.Folders, path)
		}
	}
	var err error
	m.NamesMounted, err = isMounted(namesDir)
	return err
}

// leave takes an instance out; the last one restores the machine.
func (m *machineRecord) leave(l layout) error {
	if _, ok := m.Instances[l.name]; !ok {
		return nil
	}
	delete(m.Instances, l.name)
	if len(m.Instances) > 0 {
		return nil
	}
	var errs []error
	for name, value := range m.Sysctls {
		if now, err := readSysctl(name); err == nil && now == value {
			continue
		}
		errs = append(errs, writeSysctl(name, value))
	}
	if !m.NamesMounted {
		errs = append(errs, unshareNames())
	}
	for _, path := range m.Folders {
		if path == devicePlugins {
			errs = append(errs, os.RemoveAll(path))
		}
		err := os.Remove(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EBUSY) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func readSysctl(name string) (string, error) {
	data, err := os.ReadFile(filepath.Join("/proc/sys", name))
	return strings.TrimSpace(string(data)), err
}

func writeSysctl(name, value string) error {
	if err := os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0); err != nil {
		return fmt.Errorf("setting %s=%s: %w", strings.ReplaceAll(name, "/", "."), value, err)
	}
	return nil
}
