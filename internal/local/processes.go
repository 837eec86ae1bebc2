// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/go-logr/logr"

	"github.com/skerry-platform/skerry/internal/local/supervise"
)

// Supervise runs the supervisor of an instance, in this process, until the context
// ends. It must already be in the node's network namespace.
func Supervise(ctx context.Context, o Options, log logr.Logger) error {
	l := o.layout()
	instance, err := loadInstance(l)
	if err != nil {
		return err
	}
	if instance == nil {
		return fmt.Errorf("%s holds no instance; bring one up with `skerry up`", l.state)
	}
	containerd, err := programPath("containerd")
	if err != nil {
		return err
	}
	specs := components(l, instance.Addresses, o.Executable, containerd, os.Environ())
	return supervise.Run(ctx, l.run(), o.watcherSpec(supervise.Guard), specs, log)
}

// Guard runs the supervisor's guard, in this process, until the context ends.
func Guard(ctx context.Context, o Options, log logr.Logger) error {
	return supervise.RunGuard(ctx, o.layout().run(), o.watcherSpec(supervise.Supervisor), log)
}

// watcherSpec is how the supervisor and its guard are started; name is which.
func (o *Options) watcherSpec(name string) supervise.Spec {
	return supervise.Spec{
		Name: name,
		Argv: []string{o.Executable, "local", "supervise", "--role=" + name,
			"--name=" + o.Name, "--state=" + o.StateDir},
		Env:           watcherEnv(os.Environ()),
		Log:           o.layout().log(name),
		SelfRecording: true,
	}
}

// startProcesses starts supervision in the node's network unless it runs.
func (o *Options) startProcesses(ctx context.Context) error {
	l := o.layout()
	return inNamespace(l.netns(), func() error {
		return supervise.Start(ctx, l.run(), o.watcherSpec(supervise.Supervisor))
	})
}

// anyAlive says whether a component of the node runs.
func anyAlive(l layout) (bool, error) {
	for _, name := range slices.Concat(stopBeforePods, stopAfterPods, stopLast) {
		record, err := supervise.Load(l.run(), name)
		if err != nil {
			return false, err
		}
		if record.Alive() {
			return true, nil
		}
	}
	return false, nil
}
