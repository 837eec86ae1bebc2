// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package local is the local platform: a real single-node Kubernetes on this machine,
// brought up, looked at and taken down. It is the ground under all stations of
// docs/flow.md when there is no other host cluster.
//
// Everything lives in one network namespace, one state folder and one run folder, so
// that several instances fit one machine and the machine's own network stays as it is:
//
//	machine ── veth ── network namespace NAME
//	  routes to Pods      supervisor and guard (package supervise)
//	  and Services          containerd, etcd, kube-apiserver, kube-controller-manager,
//	  nft table skerry-NAME kube-scheduler, kubelet, kube-proxy, provisioner
//
//	STATE/       survives down: certificates, etcd, images, volumes, logs
//	/run/skerry/ does not survive a boot: sockets, process records, what to restore
//
// Up and Down are ordered lists of actions; each may find its work done already.
package local
