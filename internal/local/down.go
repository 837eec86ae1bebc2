// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skerry-platform/skerry/internal/local/supervise"
)

// DownOptions say what Down removes beside the processes.
type DownOptions struct {
	// Purge removes the state folder, and the image cache with the last instance.
	Purge bool
	// KeepImageCache keeps the cache also then.
	KeepImageCache bool
}

// grace is how long a process of the node may take to end by itself.
const grace = 10 * time.Second

// Down ends all of the instance and puts the machine back as it was. The state folder
// stays unless it is purged. It works on what is there, so also on an instance that was
// killed or did not come up.
func Down(ctx context.Context, o Options, d DownOptions) error {
	if err := basics(thisMachine{}); err != nil {
		return err
	}
	l := o.layout()
	if there, err := isThere(l); err != nil || !there {
		if err == nil {
			fmt.Fprintf(o.Out, "There is no local platform %q\n", o.Name)
		}
		return err
	}
	if err := checkOwner(l); err != nil {
		return err
	}
	unlock, err := lockState(l)
	if err != nil {
		return err
	}
	defer unlock()
	began := time.Now()
	fmt.Fprintf(o.Out, "Taking down the local platform %q\n", o.Name)
	if _, err := runActions(ctx, o.Out, downActions(l, o, d), nil); err != nil {
		return fmt.Errorf("%w\nrun the same command again to go on", err)
	}
	if d.Purge {
		fmt.Fprintf(o.Out, "The local platform is gone after %.1fs\n", seconds(time.Since(began)))
	} else {
		fmt.Fprintf(o.Out, "The local platform is down after %.1fs; its data is kept in %s\n", seconds(time.Since(began)), l.state)
	}
	return nil
}

// isThere says whether there is anything of the instance on this machine.
func isThere(l layout) (bool, error) {
	for _, path := range []string{l.state, l.run(), l.netns()} {
		if _, err := os.Lstat(path); err == nil {
			return true, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return false, nil
}

// checkOwner refuses to take down an instance through a foreign state folder.
func checkOwner(l layout) error {
	record, err := loadMachine()
	if err != nil {
		return err
	}
	if owner := record.Instances[l.name]; owner != "" && owner != l.state {
		return fmt.Errorf("instance %q runs with the state folder %s; give --state %s", l.name, owner, owner)
	}
	known, err := loadInstance(l)
	if err == nil && known != nil && known.Name != l.name {
		return fmt.Errorf("state folder %s belongs to instance %q; give --name %s", l.state, known.Name, known.Name)
	}
	return nil
}

func downActions(l layout, o Options, d DownOptions) []action {
	actions := []action{
		{"Ending supervision", 100 * time.Millisecond, time.Minute, func(ctx context.Context) error {
			return supervise.StopSupervision(ctx, l.run())
		}},
		{"Stopping kubelet and controllers", time.Second, time.Minute, func(ctx context.Context) error {
			return stopProcesses(ctx, l, stopBeforePods)
		}},
		{"Stopping Pods", 2 * time.Second, 2 * time.Minute, func(ctx context.Context) error { return stopPods(ctx, l) }},
		{"Stopping API server, etcd and containerd", time.Second, time.Minute, func(ctx context.Context) error {
			return errors.Join(stopProcesses(ctx, l, stopAfterPods), stopProcesses(ctx, l, stopLast))
		}},
		{"Restoring the machine", 200 * time.Millisecond, time.Minute, func(ctx context.Context) error { return restore(ctx, l) }},
	}
	if d.Purge {
		actions = append(actions, action{"Forgetting the data", time.Second, 5 * time.Minute, func(context.Context) error {
			return forget(l, o, d)
		}})
	}
	return actions
}

// stopProcesses ends recorded processes, all at the same time.
func stopProcesses(ctx context.Context, l layout, names []string) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range names {
		group.Go(func() error {
			record, err := supervise.Load(l.run(), name)
			if err != nil {
				return err
			}
			return record.Stop(ctx, grace)
		})
	}
	return group.Wait()
}

// restore removes what is on the machine outside of the state folder.
func restore(ctx context.Context, l layout) error {
	if err := sweepProcesses(ctx, l); err != nil {
		return err
	}
	if err := unmountBelow(l.state, l.run()); err != nil {
		return err
	}
	err := errors.Join(disconnect(l), removeTraces(l))
	if err != nil {
		return err
	}
	if err := os.RemoveAll(l.run()); err != nil {
		return err
	}
	return withMachine(func(m *machineRecord) error { return m.leave(l) })
}

// forget removes the state folder and, with the last instance, the image cache.
func forget(l layout, o Options, d DownOptions) error {
	if err := removeState(l); err != nil {
		return err
	}
	removeEmpty(filepath.Dir(l.state), DefaultStateRoot)
	if d.KeepImageCache {
		return nil
	}
	// No instance registers meanwhile and begins to use the cache.
	return withMachine(func(m *machineRecord) error {
		if len(m.Instances) > 0 || othersRemain() {
			return nil
		}
		if err := os.RemoveAll(o.ImageCache); err != nil {
			return fmt.Errorf("removing the image cache: %w", err)
		}
		removeEmpty(filepath.Dir(o.ImageCache), filepath.Dir(DefaultImageCache))
		return nil
	})
}

// purging is there from the first file of the state folder that is removed to the last.
func (l layout) purging() string { return l.in("purging") }

// removeState removes the state folder, its mark last: half of the data is worse than none.
func removeState(l layout) error {
	if err := writeFile(l.purging(), nil, 0o600); err != nil {
		return fmt.Errorf("removing the state folder: %w", err)
	}
	entries, err := os.ReadDir(l.state)
	if err != nil {
		return fmt.Errorf("removing the state folder: %w", err)
	}
	for _, e := range entries {
		if path := l.in(e.Name()); path != l.purging() {
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("removing the state folder: %w", err)
			}
		}
	}
	if err := os.RemoveAll(l.state); err != nil {
		return fmt.Errorf("removing the state folder: %w", err)
	}
	return nil
}

// lockWholeState locks a state folder and finishes a purge of it that was broken off.
func lockWholeState(l layout) (unlock func(), err error) {
	for {
		unlock, err := lockState(l)
		if err != nil {
			return nil, err
		}
		if _, err := os.Lstat(l.purging()); errors.Is(err, fs.ErrNotExist) {
			return unlock, nil
		}
		err = removeState(l)
		unlock()
		if err != nil {
			return nil, err
		}
	}
}

// othersRemain says whether instances that are down keep their state in the usual place.
func othersRemain() bool {
	entries, err := os.ReadDir(DefaultStateRoot)
	return err == nil && len(entries) > 0
}

// removeEmpty removes a folder of ours when it is empty, and only that very folder.
func removeEmpty(path, ours string) {
	if path == ours {
		os.Remove(path)
	}
}
