// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/skerry-platform/skerry/internal/image"
	"github.com/skerry-platform/skerry/internal/version"
)

// chartValues are, later ones first: --set, the files, the registry's, the local platform's, this version's, and those that
// the release was given earlier.
func (o *installOptions) chartValues(earlier map[string]any, local bool) (map[string]any, error) {
	values := map[string]any{}
	merge(values, earlier)
	merge(values, thisVersion(values))
	if local {
		values["local"] = true
	}
	if o.local {
		build, err := o.build()
		if err != nil {
			return nil, err
		}
		values["build"] = build
	}
	merge(values, o.registryValues())
	for _, file := range o.values {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, usage("-f: %w", err)
		}
		more := map[string]any{}
		if err := yaml.Unmarshal(text, &more); err != nil {
			return nil, usage("-f %s: %w", file, err)
		}
		merge(values, more)
	}
	for _, s := range o.set {
		path, text, found := strings.Cut(s, "=")
		if !found || path == "" {
			return nil, usage("--set %s: write it as a.b=c", s)
		}
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			return nil, usage("--set %s: %w", s, err)
		}
		keys := strings.Split(path, ".")
		for _, key := range slices.Backward(keys) {
			value = map[string]any{key: value}
		}
		merge(values, value.(map[string]any))
	}
	return values, nil
}

// thisVersion are the images of this version. The demo application follows when it was one of the platform's images, in
// whatever registry; another of the person's own stays.
func thisVersion(earlier map[string]any) map[string]any {
	out := map[string]any{
		"image": map[string]any{"tag": version.Version}, "gitServer": map[string]any{"image": map[string]any{"tag": version.Version}},
	}
	catalog, _ := earlier["catalog"].(map[string]any)
	platform, _ := earlier["image"].(map[string]any)
	demo, _ := catalog["demoImage"].(string)
	place, tag := demo, ""
	if i := strings.LastIndex(demo, ":"); i > strings.LastIndex(demo, "/") {
		place, tag = demo[:i], demo[i+1:]
	}
	switch {
	case demo == "":
		out["catalog"] = map[string]any{"demoImage": image.Demo()}
	case tag != "" && tag == platform["tag"]:
		out["catalog"] = map[string]any{"demoImage": place + ":" + version.Version}
	}
	return out
}

// registryValues are those of --registry and --service-registry.
func (o *installOptions) registryValues() map[string]any {
	values := map[string]any{}
	if o.registry != "" {
		merge(values, map[string]any{
			"image":     map[string]any{"repository": repository(image.Skerry(), o.registry)},
			"gitServer": map[string]any{"image": map[string]any{"repository": repository(image.Git(), o.registry)}},
			"catalog":   map[string]any{"demoImage": image.Rename(image.Demo(), o.registry)},
		})
	}
	if o.serviceRegistry != "" {
		merge(values, map[string]any{"catalog": map[string]any{"imageRegistry": o.serviceRegistry}})
	}
	return values
}

// repository is an image's place below a prefix, without its tag.
func repository(name, prefix string) string {
	renamed := image.Rename(name, prefix)
	return renamed[:strings.LastIndex(renamed, ":")]
}

// isLocal reports whether a cluster is one of `skerry up`: those leave their kubeconfig in their state
// folder, which is one under root unless --state said otherwise. A cluster is known by its authority.
func isLocal(config *rest.Config, root string) bool {
	ca := config.CAData
	if len(ca) == 0 && config.CAFile != "" {
		ca, _ = os.ReadFile(config.CAFile)
	}
	files, _ := filepath.Glob(filepath.Join(root, "*", "kubeconfig"))
	for _, file := range files {
		loaded, err := clientcmd.LoadFromFile(file)
		if err != nil {
			continue
		}
		for _, cluster := range loaded.Clusters {
			if len(ca) > 0 && bytes.Equal(cluster.CertificateAuthorityData, ca) {
				return true
			}
		}
	}
	return false
}

// straight reaches a cluster of `skerry up` without the proxy that the environment names: that one is for what is
// not on this machine.
func straight(config *rest.Config, root string) *rest.Config {
	if isLocal(config, root) {
		config.Proxy = http.ProxyURL(nil)
	}
	return config
}

// build identifies the programs that the local images were made of. The images keep their tag
// when the programs are built again, so it is this that brings new ones to work.
func (o *installOptions) build() (string, error) {
	sum := sha256.New()
	for _, name := range []string{"skerry-operator", "skerry-kube"} {
		path, err := o.program.sibling(name)
		if err != nil {
			return "", err
		}
		if err := addFile(sum, path); err != nil {
			return "", fmt.Errorf("reading what the platform's image is made of: %w", err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

func addFile(sum hash.Hash, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(sum, file)
	return err
}

// merge puts b over a, map by map.
func merge(a, b map[string]any) {
	for k, v := range b {
		inner, isMap := v.(map[string]any)
		below, wasMap := a[k].(map[string]any)
		if isMap && wasMap {
			merge(below, inner)
			continue
		}
		a[k] = v
	}
}
