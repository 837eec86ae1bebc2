// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// capabilitiesLifetime is how long what the API server serves is believed. A chart that
// brings its own CRDs makes Helm look again by itself.
const capabilitiesLifetime = 5 * time.Minute

// sdk makes Helm's action.Configuration. What is the same for all tenants (discovery,
// the REST mapper, the capabilities that templates ask about) is shared, because
// finding it out takes Helm more calls than a small install.
type sdk struct {
	mapper    meta.RESTMapper
	discovery discovery.CachedDiscoveryInterface

	mu           sync.Mutex
	capabilities *common.Capabilities
	read         time.Time
}

// newSDK makes no call yet.
func newSDK(config *rest.Config, mapper meta.RESTMapper) (*sdk, error) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("preparing a discovery client: %w", err)
	}
	return &sdk{mapper: mapper, discovery: memory.NewMemCacheClient(client)}, nil
}

// configuration acts with config in one namespace.
func (s *sdk) configuration(config *rest.Config, namespace string) (*action.Configuration, error) {
	caps, err := s.caps(time.Now())
	if err != nil {
		return nil, err
	}
	cfg := action.NewConfiguration(action.ConfigurationSetLogger(&errorLog{}))
	getter := &clientGetter{config: config, mapper: s.mapper, discovery: s.discovery, namespace: namespace}
	if err := cfg.Init(getter, namespace, "secret"); err != nil {
		return nil, fmt.Errorf("preparing Helm for namespace %s: %w", namespace, err)
	}
	cfg.Capabilities = caps
	return cfg, nil
}

// caps reads the capabilities when they are missing or old; everybody gets a copy.
func (s *sdk) caps(now time.Time) (*common.Capabilities, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.capabilities == nil || now.Sub(s.read) > capabilitiesLifetime {
		s.discovery.Invalidate()
		version, err := s.discovery.ServerVersion()
		if err != nil {
			return nil, fmt.Errorf("reading the API server's version: %w", err)
		}
		apis, err := action.GetVersionSet(s.discovery)
		if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
			return nil, fmt.Errorf("reading what the API server serves: %w", err)
		}
		s.capabilities = &common.Capabilities{
			APIVersions: apis,
			KubeVersion: common.KubeVersion{Version: version.GitVersion, Major: version.Major, Minor: version.Minor},
			HelmVersion: common.DefaultCapabilities.HelmVersion,
		}
		s.read = now
	}
	return s.capabilities.Copy(), nil
}

// history reads all revisions of a release, oldest first; none is no error.
func history(cfg *action.Configuration, name string) ([]*releasev1.Release, error) {
	found, err := cfg.Releases.History(name)
	if err != nil && !errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, fmt.Errorf("reading Helm's records of release %s: %w", name, err)
	}
	releases := make([]*releasev1.Release, 0, len(found))
	for _, f := range found {
		rel, ok := f.(*releasev1.Release)
		if !ok {
			return nil, fmt.Errorf("reading Helm's records of release %s: a record has the unknown form %T", name, f)
		}
		if rel.Info == nil {
			return nil, fmt.Errorf("reading Helm's records of release %s: revision %d has no state", name, rel.Version)
		}
		releases = append(releases, rel)
	}
	slices.SortFunc(releases, func(a, b *releasev1.Release) int { return a.Version - b.Version })
	return releases, nil
}

// clientGetter is the genericclioptions.RESTClientGetter through which Helm makes all
// its clients.
type clientGetter struct {
	config    *rest.Config
	mapper    meta.RESTMapper
	discovery discovery.CachedDiscoveryInterface
	namespace string
}

func (g *clientGetter) ToRESTConfig() (*rest.Config, error) { return rest.CopyConfig(g.config), nil }

func (g *clientGetter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return g.discovery, nil
}

func (g *clientGetter) ToRESTMapper() (meta.RESTMapper, error) { return g.mapper, nil }

// ToRawKubeConfigLoader is asked for the namespace only.
func (g *clientGetter) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	return clientcmd.NewDefaultClientConfig(clientcmdapi.Config{}, &clientcmd.ConfigOverrides{
		Context: clientcmdapi.Context{Namespace: g.namespace},
	})
}
