// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"bytes"
	"embed"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/skerry-platform/skerry/internal/image"
)

//go:embed config
var configFiles embed.FS

// cniPlugins is where Debian's containernetworking-plugins are.
const cniPlugins = "/usr/lib/cni"

// configData is what the templates in config/ are filled with.
type configData struct {
	State, Run, Socket, Runc, CNIPlugins, CNINetwork string
	PauseImage                                       string
	// RestrictOOM is set where this machine may not lower a process's OOM score;
	// runc then fails with "can't get final child's PID from pipe: EOF" when asked to.
	RestrictOOM      bool
	MTU, KubeletPort int
	Node, DNS        netip.Addr
	Pods             netip.Prefix
}

// writeConfig writes the configuration files of containerd, CNI and the kubelet.
func writeConfig(l layout, a Addresses) error {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return err
	}
	link, err := netlink.LinkByName(l.hostLink())
	if err != nil {
		return err
	}
	restricted, err := lacksSysResource()
	if err != nil {
		return err
	}
	data := configData{
		State: l.state, Run: l.run(), Socket: l.containerdSocket(), Runc: runc,
		CNIPlugins: cniPlugins, CNINetwork: l.cniNetwork(), PauseImage: image.Pause(),
		RestrictOOM: restricted, MTU: link.Attrs().MTU, KubeletPort: kubeletPort,
		Node: a.Node(), DNS: a.DNS(), Pods: a.Pods,
	}
	files := map[string]string{
		"containerd.toml": l.in("containerd.toml"),
		"kubelet.yaml":    l.in("kubelet.yaml"),
		"pods.conflist":   l.in("cni", "conf", "10-pods.conflist"),
	}
	for name, path := range files {
		text, err := fill(name, data)
		if err != nil {
			return err
		}
		if err := writeFile(path, text, 0o600); err != nil {
			return err
		}
	}
	servers, err := machineNameservers()
	if err != nil {
		return err
	}
	return writeFile(l.in("resolv.conf"), resolvConf(servers), 0o644)
}

func fill(name string, data any) ([]byte, error) {
	t, err := template.ParseFS(configFiles, "config/"+name)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		return nil, fmt.Errorf("filling %s: %w", name, err)
	}
	return out.Bytes(), nil
}

// lacksSysResource says whether CAP_SYS_RESOURCE is missing from the bounding set, so
// that no process here can lower an OOM score.
func lacksSysResource() (bool, error) {
	has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, unix.CAP_SYS_RESOURCE, 0, 0, 0)
	return has == 0, err
}

// machineNameservers are the name servers of the machine that the node can reach: a
// local stub on loopback (systemd-resolved) is replaced by the servers behind it.
func machineNameservers() ([]netip.Addr, error) {
	for _, path := range []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"} {
		data, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the machine's name servers: %w", err)
		}
		if servers := nameservers(data); len(servers) > 0 {
			return servers, nil
		}
	}
	return nil, nil
}

// nameservers reads resolv.conf(5) and leaves out loopback and IPv6 servers.
func nameservers(data []byte) []netip.Addr {
	var servers []netip.Addr
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if addr, err := netip.ParseAddr(fields[1]); err == nil && addr.Is4() && !addr.IsLoopback() {
			servers = append(servers, addr)
		}
	}
	return servers
}

func resolvConf(servers []netip.Addr) []byte {
	var out bytes.Buffer
	for _, s := range servers {
		fmt.Fprintf(&out, "nameserver %s\n", s)
	}
	return out.Bytes()
}

// programPath is the path of a program that preflight has found.
func programPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}
