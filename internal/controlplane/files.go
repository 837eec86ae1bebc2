// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	platformv1alpha1 "github.com/skerry-platform/skerry/api/platform/v1alpha1"
)

// files are the control plane Secret's values on disk, where the API server's own
// reloaders watch them.
type files struct{ dir string }

// requiredKeys of the control plane Secret; etcd's are needed only when etcd serves https.
var requiredKeys = []string{
	platformv1alpha1.KeyCACert, platformv1alpha1.KeyCAKey,
	platformv1alpha1.KeyServingCert, platformv1alpha1.KeyServingKey,
	platformv1alpha1.KeyServiceAccount,
	platformv1alpha1.KeyFrontProxyCA, platformv1alpha1.KeyFrontProxyCert, platformv1alpha1.KeyFrontProxyKey,
}

// path of a key of the control plane Secret.
func (f files) path(key string) string { return filepath.Join(f.dir, key) }

// write stores the Secret's values, each with one rename, leaving equal ones alone.
func (f files) write(data map[string][]byte) error {
	for _, key := range requiredKeys {
		if len(data[key]) == 0 {
			return fmt.Errorf("the control plane Secret has no key %q", key)
		}
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("creating the control plane's folder: %w", err)
	}
	for key, value := range data {
		if filepath.Base(key) != key {
			return fmt.Errorf("the control plane Secret's key %q is not a file name", key)
		}
		if err := writeFile(f.path(key), value); err != nil {
			return fmt.Errorf("writing %s of the control plane: %w", key, err)
		}
	}
	return nil
}

func writeFile(path string, value []byte) error {
	old, err := os.ReadFile(path)
	if err == nil && bytes.Equal(old, value) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	next := path + ".next"
	if err := os.WriteFile(next, value, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}
