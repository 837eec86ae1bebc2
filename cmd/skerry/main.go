// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Command skerry is the CLI: see package cli. Called as kubectl-skerry it is a plugin of kubectl.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/skerry-platform/skerry/internal/cli"
)

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	home, _ := os.UserHomeDir()
	executable, _ := os.Executable()
	program := cli.Program{
		IOStreams: genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr},
		Getenv:    os.Getenv, Home: home, Executable: executable, Charts: charts{},
	}
	return program.Main(ctx, os.Args)
}
