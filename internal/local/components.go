// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"

	"github.com/skerry-platform/skerry/internal/local/supervise"
)

// Names of the processes, as Status shows them.
const (
	procContainerd        = "containerd"
	procEtcd              = "etcd"
	procAPIServer         = "kube-apiserver"
	procControllerManager = "kube-controller-manager"
	procScheduler         = "kube-scheduler"
	procKubelet           = "kubelet"
	procProxy             = "kube-proxy"
	procProvisioner       = "provisioner"
)

// The order in which Down ends the processes: first those that would start containers
// again; then the Pods are stopped, while their logs and addresses are still looked
// after; the API server before etcd, which it writes to until its end.
var (
	stopBeforePods = []string{procKubelet, procControllerManager, procScheduler, procProvisioner, procProxy}
	stopAfterPods  = []string{procAPIServer, procContainerd}
	stopLast       = []string{procEtcd}
)

// components are the processes of a node. The programs' paths are looked up by the caller;
// environ is the environment to pick theirs from.
func components(l layout, a Addresses, executable, containerd string, environ []string) []supervise.Spec {
	// Not before the API server serves: each of these gives up or backs off when it
	// cannot reach it, and would only take its processor time from it.
	afterAPI := []string{procAPIServer}
	specs := []supervise.Spec{
		{Name: procContainerd, Argv: []string{executable, "node", "exec", containerd, "--config", l.in("containerd.toml")}, Notifies: true},
		{Name: procEtcd, Argv: node(executable, procEtcd, etcdFlags(l)), Notifies: true},
		{Name: procAPIServer, Argv: node(executable, procAPIServer, apiServerFlags(l, a)), Notifies: true, After: []string{procEtcd}},
		{Name: procControllerManager, Argv: node(executable, procControllerManager, controllerManagerFlags(l, a)), After: afterAPI},
		{Name: procScheduler, Argv: node(executable, procScheduler, schedulerFlags(l)), After: afterAPI},
		{Name: procKubelet, Argv: node(executable, procKubelet, kubeletFlags(l, a)), After: []string{procAPIServer, procContainerd}},
		{Name: procProxy, Argv: node(executable, procProxy, proxyFlags(l, a)), After: afterAPI},
		{Name: procProvisioner, Argv: []string{executable, "provisioner",
			"--kubeconfig=" + l.clientConfig(clientProvisioner), "--volumes=" + l.volumes()}, After: afterAPI},
	}
	for i := range specs {
		specs[i].Log = l.log(specs[i].Name)
		specs[i].Env = componentEnv(environ)
		if specs[i].Name == procContainerd {
			specs[i].Env = containerdEnv(environ, a)
		}
	}
	return specs
}

func node(executable, component string, flags []string) []string {
	return append([]string{executable, "node", component}, flags...)
}

func etcdFlags(l layout) []string {
	client := fmt.Sprintf("https://127.0.0.1:%d", etcdPort)
	peer := fmt.Sprintf("https://127.0.0.1:%d", etcdPeerPort)
	return []string{
		"--name=" + l.name,
		"--data-dir=" + l.in("etcd"),
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=" + l.name + "=" + peer,
		"--client-cert-auth", "--trusted-ca-file=" + l.pki("etcd-ca.crt"),
		"--cert-file=" + l.pki("etcd.crt"), "--key-file=" + l.pki("etcd.key"),
		"--peer-client-cert-auth", "--peer-trusted-ca-file=" + l.pki("etcd-ca.crt"),
		"--peer-cert-file=" + l.pki("etcd.crt"), "--peer-key-file=" + l.pki("etcd.key"),
		// An API server's history of five minutes is enough to resume watches.
		"--auto-compaction-mode=periodic", "--auto-compaction-retention=5m",
		"--quota-backend-bytes=8589934592",
		"--log-level=warn",
	}
}

func apiServerFlags(l layout, a Addresses) []string {
	const issuer = "https://kubernetes.default.svc.cluster.local"
	return []string{
		"--bind-address=" + a.Node().String(), "--advertise-address=" + a.Node().String(),
		fmt.Sprintf("--secure-port=%d", apiServerPort),
		"--tls-cert-file=" + l.pki("apiserver.crt"), "--tls-private-key-file=" + l.pki("apiserver.key"),
		"--client-ca-file=" + l.pki("ca.crt"),
		"--cert-dir=" + l.in("pki"),
		fmt.Sprintf("--etcd-servers=https://127.0.0.1:%d", etcdPort),
		"--etcd-cafile=" + l.pki("etcd-ca.crt"),
		"--etcd-certfile=" + l.pki("etcd-client.crt"), "--etcd-keyfile=" + l.pki("etcd-client.key"),
		"--kubelet-certificate-authority=" + l.pki("ca.crt"),
		"--kubelet-client-certificate=" + l.pki("apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + l.pki("apiserver-kubelet-client.key"),
		// The node's name is in no DNS.
		"--kubelet-preferred-address-types=InternalIP",
		"--proxy-client-cert-file=" + l.pki("front-proxy-client.crt"),
		"--proxy-client-key-file=" + l.pki("front-proxy-client.key"),
		"--requestheader-client-ca-file=" + l.pki("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--service-account-issuer=" + issuer,
		"--service-account-key-file=" + l.pki("service-account.key"),
		"--service-account-signing-key-file=" + l.pki("service-account.key"),
		"--service-cluster-ip-range=" + a.Services.String(),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--anonymous-auth=false",
		// Watches would otherwise hold up its end for a minute.
		"--shutdown-watch-termination-grace-period=1s",
		"--allow-privileged=true",
		"--profiling=false",
	}
}

func controllerManagerFlags(l layout, a Addresses) []string {
	config := l.clientConfig(clientControllerManager)
	return []string{
		"--kubeconfig=" + config,
		"--use-service-account-credentials",
		"--root-ca-file=" + l.pki("ca.crt"),
		"--service-account-private-key-file=" + l.pki("service-account.key"),
		"--cluster-signing-cert-file=" + l.pki("ca.crt"), "--cluster-signing-key-file=" + l.pki("ca.key"),
		"--allocate-node-cidrs", "--cluster-cidr=" + a.Pods.String(),
		// One node has the whole range.
		fmt.Sprintf("--node-cidr-mask-size=%d", a.Pods.Bits()),
		"--service-cluster-ip-range=" + a.Services.String(),
		"--flex-volume-plugin-dir=" + l.in("kubelet", "volume-plugins"),
		"--leader-elect=false", "--secure-port=0", "--profiling=false",
	}
}

func schedulerFlags(l layout) []string {
	return []string{
		"--kubeconfig=" + l.clientConfig(clientScheduler),
		"--leader-elect=false", "--secure-port=0", "--profiling=false",
	}
}

func kubeletFlags(l layout, a Addresses) []string {
	return []string{
		"--config=" + l.in("kubelet.yaml"),
		"--kubeconfig=" + l.clientConfig(clientKubelet),
		"--root-dir=" + l.in("kubelet"),
		"--cert-dir=" + l.in("kubelet", "pki"),
		"--hostname-override=" + l.name,
		"--node-ip=" + a.Node().String(),
	}
}

func proxyFlags(l layout, a Addresses) []string {
	return []string{
		"--kubeconfig=" + l.clientConfig(clientProxy),
		"--hostname-override=" + l.name,
		"--proxy-mode=nftables",
		"--cluster-cidr=" + a.Pods.String(),
		"--bind-address=" + a.Node().String(),
		"--healthz-bind-address=127.0.0.1:10256", "--metrics-bind-address=127.0.0.1:10249",
		// The limits of connection tracking belong to the machine, not to this
		// network namespace.
		"--conntrack-max-per-core=0",
		"--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0",
		"--oom-score-adj=0",
	}
}
