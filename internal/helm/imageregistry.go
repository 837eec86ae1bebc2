// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"fmt"
	"io/fs"

	"sigs.k8s.io/yaml"
)

// readFile reads a file of a chart of the catalog. In its values.yaml, image.registry becomes the
// registry when one is given: the default of every Release of the chart, which a Release's own values
// still override. The chart's digest follows, so that Releases are upgraded when it changes.
func readFile(root fs.FS, path, registry string) ([]byte, error) {
	data, err := fs.ReadFile(root, path)
	if err != nil || registry == "" || path != "values.yaml" {
		return data, err
	}
	values := map[string]any{}
	if err := yaml.Unmarshal(data, &values); err != nil {
		return nil, fmt.Errorf("reading values.yaml: %w", err)
	}
	image, ok := values["image"].(map[string]any)
	if !ok {
		return data, nil
	}
	if _, ok := image["registry"]; !ok {
		return data, nil
	}
	image["registry"] = registry
	return yaml.Marshal(values)
}
