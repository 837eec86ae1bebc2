// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/skerry-platform/skerry/internal/testenv"
)

// redisNode is a node with the master or a replica of a release.
type redisNode struct{ *node }

func newRedis(t *testing.T, role string) redisNode {
	t.Helper()
	needs(t, "apt-get install redis-server", "redis-server", "redis-cli")
	n := newNode(t, "redis")
	n.env["ROLE"], n.env["DATA"], n.env["RUN"] = role, n.dir("data"), n.dir("run")
	return redisNode{n}
}

func (r redisNode) install(values string) {
	r.t.Helper()
	objects, err := render(r.t, "redis", "cache-redis", values)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(r.opt, objects.files(r.t, "cache-redis"))
	if objects["Secret/cache-redis"] == nil {
		r.env["CREDENTIALS"] = ""
		return
	}
	r.write(r.cred, objects.secret(r.t, "cache-redis"))
}

func (r redisNode) client(password string) *redis.Client {
	c := redis.NewClient(&redis.Options{
		Addr: fmt.Sprintf("127.0.0.1:%d", r.port), Username: "default", Password: password,
		DialTimeout: soon, ReadTimeout: soon, MaxRetries: -1,
	})
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// A crash loses nothing that was acknowledged a second before, and a changed password is the
// only one that works.
func TestRedisScripts(t *testing.T) {
	r := newRedis(t, "master")
	const first, second = `it's "a" $(secret) \\ # x`, "another one"
	r.install(fmt.Sprintf("auth: {password: %q}\ncommonConfiguration: |-\n  appendonly yes\n  appendfsync always\n", first))
	r.start()
	r.untilReady()
	if err := r.client(first).Set(t.Context(), "note", "kept", 0).Err(); err != nil {
		t.Fatal(err)
	}
	r.kill()
	r.install(fmt.Sprintf("auth: {password: %q}", second))
	r.start()
	r.untilReady()
	if got, err := r.client(second).Get(t.Context(), "note").Result(); err != nil || got != "kept" {
		t.Errorf("after the crash the note is %q, %v", got, err)
	}
	if err := r.client(first).Ping(t.Context()).Err(); err == nil {
		t.Error("the old password still works")
	}
	r.saysNot(first)
}

// Without authentication everybody in the network may use it.
func TestRedisWithoutPassword(t *testing.T) {
	r := newRedis(t, "master")
	r.install("auth: {enabled: false}")
	r.start()
	r.untilReady()
	if err := r.client("").Set(t.Context(), "note", "x", 0).Err(); err != nil {
		t.Error(err)
	}
}

// A replica follows its master, password and all.
func TestRedisReplication(t *testing.T) {
	const values = "{architecture: replication, auth: {password: pw 1}}"
	master, replica := newRedis(t, "master"), newRedis(t, "replica")
	master.install(values)
	replica.install(values)
	replica.env["MASTER"] = fmt.Sprintf("127.0.0.1 %d", master.port)
	master.start()
	replica.start()
	master.untilReady()
	replica.untilReady()
	if err := master.client("pw 1").Set(t.Context(), "note", "followed", 0).Err(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func(ctx context.Context) error {
		got, err := replica.client("pw 1").Get(ctx, "note").Result()
		if err != nil || got != "followed" {
			return fmt.Errorf("the replica has %q, %v", got, err)
		}
		return nil
	})
}
