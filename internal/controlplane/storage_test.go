// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	etcdkubernetes "go.etcd.io/etcd/client/v3/kubernetes"

	"github.com/skerry-platform/skerry/internal/controlplane/etcd"
)

// A watch cache asks etcd how far its watch is, and waits for the answer before it serves a
// list. On an etcd where nobody writes any more, the watch of another kind that begins after the
// last write must not keep the answer back.
func TestWatchesOfTwoKindsDoNotHoldEachOtherUp(t *testing.T) {
	server, err := etcd.Start(t.Context(), etcd.Config{Name: "test", DataDir: t.TempDir(), ListenClient: "http://127.0.0.1:0", UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	shared, err := etcdkubernetes.New(clientv3.Config{Endpoints: []string{server.Endpoint()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shared.Close() })
	written, err := shared.Put(t.Context(), "/tenant/pods/default/web", "a pod")
	if err != nil {
		t.Fatal(err)
	}
	now := written.Header.Revision
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	pods, services := withOwnStream(shared), withOwnStream(shared)
	listed := pods.Watch(ctx, "/tenant/pods/", clientv3.WithPrefix(), clientv3.WithRev(now), clientv3.WithCreatedNotify(), clientv3.WithProgressNotify())
	later := services.Watch(ctx, "/tenant/services/", clientv3.WithPrefix(), clientv3.WithRev(now+1), clientv3.WithCreatedNotify())
	if created := <-later; !created.Created {
		t.Fatalf("the second watch was not created: %v", created.Err())
	}
	for asked := false; ; {
		answer, ok := <-listed
		switch {
		case !ok || answer.Err() != nil:
			t.Fatalf("no answer to how far the watch is: %v", answer.Err())
		case answer.IsProgressNotify():
			if answer.Header.Revision < now {
				t.Errorf("the watch is said to be at %d, want %d", answer.Header.Revision, now)
			}
			return
		case len(answer.Events) > 0 && !asked: // the watch has caught up
			asked = true
			if err := pods.RequestProgress(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
}
