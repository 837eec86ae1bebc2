// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Node is a node's containerd, reached through ctr(1).
type Node struct {
	// Socket is the path of containerd's socket.
	Socket string
}

// Images returns the digests of the node's images by name.
func (n Node) Images(ctx context.Context) (map[string]string, error) {
	out, err := n.command(ctx, "images", "list").Output()
	if err != nil {
		return nil, fmt.Errorf("listing the node's images: %w", withStderr(err))
	}
	return parseList(out), nil
}

// parseList reads the table REF TYPE DIGEST ... of `ctr images list`.
func parseList(out []byte) map[string]string {
	images := map[string]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) >= 3 && strings.HasPrefix(fields[2], "sha256:") {
			images[fields[0]] = fields[2]
		}
	}
	return images
}

// Import brings an image to the node under a name and unpacks it.
func (n Node) Import(ctx context.Context, name string, img v1.Image) error {
	read, write := io.Pipe()
	defer read.Close()
	go func() { write.CloseWithError(writeArchive(write, name, img)) }()
	cmd := n.command(ctx, "images", "import", "-")
	cmd.Stdin = read
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("importing image %s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

// command is ctr in the namespace of Kubernetes.
func (n Node) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ctr", append([]string{"--address", n.Socket, "--namespace", "k8s.io"}, args...)...)
}

func withStderr(err error) error {
	if exit, ok := err.(*exec.ExitError); ok {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	return err
}
