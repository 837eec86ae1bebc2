// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// connectTimeout is how long a registry may take to accept a connection before it
// counts as not to be had.
const connectTimeout = 3 * time.Second

// pull finds an official image (docker.io/...) in a registry; its layers are read
// while it is imported.
func pull(ctx context.Context, registry, image string) (v1.Image, error) {
	ref, err := name.ParseReference(registry + strings.TrimPrefix(image, "docker.io"))
	if err != nil {
		return nil, fmt.Errorf("registry %q: %w", registry, err)
	}
	transport := remote.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: connectTimeout}).DialContext
	transport.TLSHandshakeTimeout = connectTimeout
	transport.ResponseHeaderTimeout = 10 * time.Second
	img, err := remote.Image(ref,
		remote.WithContext(ctx), remote.WithTransport(transport), remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}))
	if err != nil {
		return nil, fmt.Errorf("pulling %s: %w", ref, err)
	}
	return img, nil
}
