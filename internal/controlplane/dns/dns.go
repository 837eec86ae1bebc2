// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dns serves the names of one virtual cluster's Services and Pods: CoreDNS,
// inside the calling process, once for each virtual cluster. It belongs to the control plane
// (station 4 of docs/flow.md); Pods reach it through Service dns in the home namespace.
package dns

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync"
	"text/template"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	// The plugins that the Corefile below names.
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/rewrite"
)

// corefile is kubeadm's, without what the pool member's own probes do, and with
// addresses of its own. Names of the virtual cluster end here; all others are the host's. A Pod learns its
// own full name from its node (hostname -f), and a chart's Pods learn theirs on the host: both with the host namespace,
// NAME.SERVICE.VIRTUALCLUSTER--NAMESPACE.svc.cluster.local. It means the same Pod here.
//
// At its start it does not wait for the API server, which takes 100 ms or more: until it has read all
// Services, the names that it does not know yet are a failure to be tried again (SERVFAIL).
var corefile = template.Must(template.New("Corefile").Parse(`.:0 {
	bind {{.BindAddress}}
	errors
{{- if .VirtualCluster}}
	rewrite stop {
		name regex ^(.+)\.{{.VirtualCluster}}--([^.]+)\.svc\.cluster\.local\.$ {1}.{2}.svc.cluster.local
		answer auto
	}
{{- end}}
	kubernetes cluster.local in-addr.arpa ip6.arpa {
		kubeconfig {{.Kubeconfig}}
		pods insecure
		fallthrough in-addr.arpa ip6.arpa
		ttl 30
		startup_timeout 1ms
	}
	forward . {{.Forward}} {
		max_concurrent 1000
	}
	cache 30 {
		disable success cluster.local
		disable denial cluster.local
	}
	loadbalance
}
`))

// Config of one virtual cluster's DNS.
type Config struct {
	// VirtualCluster is the name, to understand names with its host namespaces; those whose name had to
	// be shortened (v1alpha1.HostNamespace) are not. Empty: none are.
	VirtualCluster string
	// Kubeconfig is the path of a kubeconfig that may list and watch Services,
	// EndpointSlices and namespaces.
	Kubeconfig string
	// BindAddress to serve on, on any free port.
	BindAddress string
	// Forward is where other names are asked for: a resolv.conf or an address.
	// Default /etc/resolv.conf.
	Forward string
	// Log is where klog writes in this process. Zero: to standard error.
	Log logr.Logger
}

// Server is a running DNS.
type Server struct {
	instance *caddy.Instance
	udp, tcp int
}

// starting guards what CoreDNS keeps for the whole process while it starts a server.
var starting sync.Mutex

// Start returns when DNS is served.
func Start(cfg Config) (*Server, error) {
	if cfg.Forward == "" {
		cfg.Forward = "/etc/resolv.conf"
	}
	var contents bytes.Buffer
	if err := corefile.Execute(&contents, cfg); err != nil {
		return nil, fmt.Errorf("writing the Corefile: %w", err)
	}
	starting.Lock()
	defer starting.Unlock()
	caddy.Quiet, dnsserver.Quiet = true, true
	instance, err := caddy.Start(caddy.CaddyfileInput{Contents: contents.Bytes(), Filepath: "Corefile", ServerTypeName: "dns"})
	// The kubernetes plugin takes klog for itself. klog's own current logger cannot be read
	// and put back: it would write to itself.
	if cfg.Log.IsZero() {
		klog.ClearLogger()
	} else {
		klog.SetLogger(cfg.Log)
	}
	if err != nil {
		return nil, fmt.Errorf("starting DNS on %s: %w", cfg.BindAddress, errors.Join(err, stop(instance)))
	}
	s := &Server{instance: instance}
	for _, l := range instance.Servers() {
		if a, ok := l.LocalAddr().(*net.UDPAddr); ok {
			s.udp = a.Port
		}
		if a, ok := l.Addr().(*net.TCPAddr); ok {
			s.tcp = a.Port
		}
	}
	return s, nil
}

// UDPPort that it serves on.
func (s *Server) UDPPort() int { return s.udp }

// TCPPort that it serves on; another than UDPPort.
func (s *Server) TCPPort() int { return s.tcp }

// Stop ends it and its watches.
func (s *Server) Stop() error { return stop(s.instance) }

func stop(instance *caddy.Instance) error {
	if instance == nil {
		return nil
	}
	return errors.Join(append(instance.ShutdownCallbacks(), instance.Stop())...)
}
