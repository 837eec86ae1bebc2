// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Command skerry is the CLI: see package cli. Called as kubectl-skerry it is a plugin of kubectl.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/skerry-platform/skerry/internal/cli"
	"github.com/skerry-platform/skerry/internal/cli/charts"
)

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)   // a second Ctrl-C ends the program at once
	ctrl.SetLogger(logr.Discard()) // what a person needs to know is printed
	home, _ := os.UserHomeDir()
	executable, _ := os.Executable()
	program := cli.Program{
		IOStreams: genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr},
		Getenv:    os.Getenv, Home: home, Executable: executable, Charts: charts.Helm{},
	}
	return program.Main(ctx, os.Args)
}
