// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Command demo is the demo application: see package demo.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/skerry-platform/skerry/internal/demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	if err := demo.Serve(ctx, ":"+port, demo.FromEnv(os.Getenv)); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}
