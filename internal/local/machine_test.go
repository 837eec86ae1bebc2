// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
)

// The machine's folder goes with its last instance while others wait for its lock. Of those, only
// one at a time may go on.
func TestALockOnARemovedFolderKeepsNobodyOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	inside, most := make(chan struct{}, 100), make(chan int)
	for range 20 {
		go func() {
			n := 0
			for range 50 {
				unlock, err := lockFolder(path, 0o700)
				if err != nil {
					t.Error(err)
					break
				}
				inside <- struct{}{}
				for range 100 {
					runtime.Gosched()
					n = max(n, len(inside))
				}
				<-inside
				os.Remove(path)
				unlock()
			}
			most <- n
		}()
	}
	together := 0
	for range 20 {
		together = max(together, <-most)
	}
	if together > 1 {
		t.Errorf("%d have the lock", together)
	}
}

// Up must not take up what a purge that was killed has not come to.
func TestABrokenOffPurgeIsFinished(t *testing.T) {
	l := layout{name: "x", state: filepath.Join(t.TempDir(), "x")}
	for _, path := range []string{l.instanceFile(), l.in("etcd", "member"), l.purging()} {
		if err := writeFile(path, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	unlock, err := lockWholeState(l)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if left, err := os.ReadDir(l.state); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// Two new instances that come up at the same time see each other before either has a route.
func TestPlannedNetworksAreTaken(t *testing.T) {
	root := t.TempDir()
	first := layout{name: "bench", state: filepath.Join(root, "bench")}
	plan, err := PlanAddresses(first.name, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := (&Instance{Name: first.name, Addresses: plan}).save(first); err != nil {
		t.Fatal(err)
	}
	m := &machineRecord{Instances: map[string]string{first.name: first.state, "empty": root}}
	taken, err := m.networks(layout{name: "e2e"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := PlanAddresses("e2e", taken)
	if err != nil || second.Pods == plan.Pods {
		t.Errorf("both have %s, %v", second.Pods, err)
	}
	if own, err := m.networks(first); err != nil || len(own) > 0 {
		t.Errorf("an instance is in its own way: %v, %v", own, err)
	}
}

// A list that the kernel calls incomplete is no reason to fail, nor to go without the rest.
func TestInterruptedListsAreReadAgain(t *testing.T) {
	calls := 0
	got, err := whole(func() ([]int, error) {
		if calls++; calls < 3 {
			return []int{1}, netlink.ErrDumpInterrupted
		}
		return []int{1, 2}, nil
	})
	if err != nil || len(got) != 2 {
		t.Errorf("got %v, %v", got, err)
	}
	broken := errors.New("broken")
	if _, err := whole(func() ([]int, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
