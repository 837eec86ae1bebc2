// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
	"github.com/skerry-platform/skerry/api/platform/v1alpha1"
	"github.com/skerry-platform/skerry/internal/cli/tunnel"
	"github.com/skerry-platform/skerry/internal/version"
)

const (
	defaultInstance = "skerry"
	stateRoot       = "/var/lib/skerry"
)

// stateOf is the state folder of a local platform unless --state says otherwise.
func stateOf(instance string) string { return filepath.Join(stateRoot, instance) }

// host is the host cluster, and the namespace that claims go into.
type host struct {
	config    *rest.Config
	client    client.WithWatch
	namespace string
	// kubeconfig is the explicit file in use, empty when the usual rules found it.
	kubeconfig string
}

func (h *host) tunnelHost() tunnel.Host { return tunnel.Host{Config: h.config, Client: h.client} }

// where are the flags that bring another command to the same claims, with a space before.
func (c *common) where(namespace string) string {
	out := " -n " + namespace
	if c.context != "" {
		out += " --context " + c.context
	}
	if c.kubeconfig != "" {
		out += " --kubeconfig " + c.kubeconfig
	}
	return out
}

// loader finds the kubeconfig: --kubeconfig, $KUBECONFIG, ~/.kube/config when it has a current
// context, else the local platform's, which it says.
func (c *common) loader() (clientcmd.ClientConfig, string) {
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: c.kubeconfig, DefaultClientConfig: &clientcmd.DefaultClientConfig}
	if c.kubeconfig == "" {
		if env := c.program.Getenv(clientcmd.RecommendedConfigPathEnvVar); env != "" {
			rules.Precedence = filepath.SplitList(env)
		} else if own := c.ownKubeconfig(); c.context != "" || hasCurrentContext(own) {
			rules.Precedence = []string{own}
		} else if local := c.localKubeconfig(); readable(local) {
			fmt.Fprintf(c.program.ErrOut, "Using the local platform (%s).\n", local)
			rules.ExplicitPath = local
		}
	}
	overrides := &clientcmd.ConfigOverrides{CurrentContext: c.context}
	overrides.Context.Namespace = c.namespace
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides), rules.ExplicitPath
}

// localKubeconfig is where the local platform of the default name leaves its kubeconfig.
func (c *common) localKubeconfig() string {
	return filepath.Join(stateOf(defaultInstance), "kubeconfig")
}

// ownKubeconfig is the person's own file.
func (c *common) ownKubeconfig() string {
	if c.program.Home == "" {
		return ""
	}
	return filepath.Join(c.program.Home, ".kube", "config")
}

func readable(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	_ = f.Close()
	return true
}

func hasCurrentContext(path string) bool {
	if path == "" {
		return false
	}
	config, err := clientcmd.LoadFromFile(path)
	return err == nil && config.CurrentContext != ""
}

// host opens the host cluster.
func (c *common) host() (*host, error) {
	loader, explicit := c.loader()
	config, err := loader.ClientConfig()
	if err != nil {
		if clientcmd.IsEmptyConfig(err) || errors.Is(err, os.ErrNotExist) {
			return nil, usage("no cluster: name a kubeconfig with --kubeconfig or $KUBECONFIG, or start a local platform with `skerry up` (%w)", err)
		}
		if all := c.contexts(); c.context != "" && len(all) > 0 && !slices.Contains(all, c.context) {
			return nil, usage("--context: there is no context %q; there are: %s", c.context, strings.Join(all, ", "))
		}
		return nil, usage("reading the kubeconfig: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, usage("reading the kubeconfig: %w", err)
	}
	config.UserAgent = "skerry/" + version.Version
	config.QPS = -1
	config = straight(config, stateRoot)
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	cl, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("reaching the host cluster at %s: %w", config.Host, err)
	}
	return &host{config: config, client: cl, namespace: namespace, kubeconfig: explicit}, nil
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, argov1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("preparing the kinds of objects: %w", err)
		}
	}
	return scheme, nil
}
