// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/skerry-platform/skerry/internal/etcd"
	"github.com/skerry-platform/skerry/internal/etcd/etcdtest"
)

func TestTenantsAreKeptApart(t *testing.T) {
	s, ctx := etcdtest.Start(t), t.Context()
	a := s.Admin()
	one, two := etcd.TenantOf("one", "0123456789"), etcd.TenantOf("one", "fedcba9876")
	for _, tenant := range []etcd.Tenant{one, two, one} { // the third time nothing is left to do
		if err := a.EnsureTenant(ctx, tenant); err != nil {
			t.Fatal(err)
		}
	}
	mine, theirs := s.As(one.User), s.As(two.User)
	put(t, mine, one.Prefix+"registry/pods/a", nil)
	put(t, theirs, two.Prefix+"registry/pods/a", nil)
	put(t, theirs, one.Prefix+"registry/pods/a", rpctypes.ErrPermissionDenied)
	put(t, s.As("nobody"), one.Prefix+"x", rpctypes.ErrPermissionDenied)
	for reason, key := range map[string]string{
		"another tenant's prefix": one.Prefix, "all tenants": etcd.TenantRoot, "everything": "\x00",
	} {
		if _, err := theirs.Get(ctx, key, clientv3.WithFromKey()); !errors.Is(rpctypes.Error(err), rpctypes.ErrPermissionDenied) {
			t.Errorf("reading %s: got %v, want permission denied", reason, err)
		}
	}

	if err := a.DeleteTenant(ctx, one); err != nil {
		t.Fatal(err)
	}
	if err := a.DeleteTenant(ctx, one); err != nil {
		t.Fatalf("deleting what is gone: %v", err)
	}
	put(t, mine, one.Prefix+"late", rpctypes.ErrPermissionDenied)
	left, err := s.As(etcd.RootUser).Get(ctx, etcd.TenantRoot, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	if len(left.Kvs) != 1 || string(left.Kvs[0].Key) != two.Prefix+"registry/pods/a" {
		t.Errorf("keys left: %v, want the other tenant's only", left.Kvs)
	}
	if has, err := a.HasTenant(ctx, one); has || err != nil {
		t.Errorf("HasTenant of a deleted one = %v, %v", has, err)
	}
	if has, err := a.HasTenant(ctx, two); !has || err != nil {
		t.Errorf("HasTenant = %v, %v", has, err)
	}
}

// TestEnableAuthGoesOn stands for an operator killed after each step of the bootstrap.
func TestEnableAuthGoesOn(t *testing.T) {
	steps := []func(context.Context, *clientv3.Client) error{
		func(ctx context.Context, c *clientv3.Client) error {
			_, err := c.RoleAdd(ctx, etcd.RootUser)
			return err
		},
		func(ctx context.Context, c *clientv3.Client) error {
			_, err := c.UserAddWithOptions(ctx, etcd.RootUser, "", &clientv3.UserAddOptions{NoPassword: true})
			return err
		},
		func(ctx context.Context, c *clientv3.Client) error {
			_, err := c.UserGrantRole(ctx, etcd.RootUser, etcd.RootUser)
			return err
		},
		func(ctx context.Context, c *clientv3.Client) error { _, err := c.AuthEnable(ctx); return err },
	}
	for done := 0; done <= len(steps); done++ {
		t.Run(fmt.Sprintf("killed after %d", done), func(t *testing.T) {
			s, ctx := etcdtest.Start(t), t.Context()
			for _, step := range steps[:done] {
				if err := step(ctx, s.As(etcd.RootUser)); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				if err := s.Admin().EnableAuth(ctx); err != nil {
					t.Fatal(err)
				}
			}
			put(t, s.As("stranger"), "/x", rpctypes.ErrPermissionDenied)
		})
	}
}

// TestATenantThatLacksAPartIsNone: whoever asks goes on to make the rest, which a killed or failed EnsureTenant left.
func TestATenantThatLacksAPartIsNone(t *testing.T) {
	s, ctx := etcdtest.Start(t), t.Context()
	a := s.Admin()
	tenant := etcd.TenantOf("part", "01234567")
	for part, remove := range map[string]func(root *clientv3.Client) error{
		"its user":           func(c *clientv3.Client) error { _, err := c.UserDelete(ctx, tenant.User); return err },
		"its role":           func(c *clientv3.Client) error { _, err := c.RoleDelete(ctx, tenant.User); return err },
		"the role's binding": func(c *clientv3.Client) error { _, err := c.UserRevokeRole(ctx, tenant.User, tenant.User); return err },
		"the role's prefix": func(c *clientv3.Client) error {
			_, err := c.RoleRevokePermission(ctx, tenant.User, tenant.Prefix, clientv3.GetPrefixRangeEnd(tenant.Prefix))
			return err
		},
	} {
		if err := a.EnsureTenant(ctx, tenant); err != nil {
			t.Fatal(err)
		}
		if has, err := a.HasTenant(ctx, tenant); !has || err != nil {
			t.Errorf("with everything: %v, %v", has, err)
		}
		if err := remove(s.As(etcd.RootUser)); err != nil {
			t.Fatal(err)
		}
		if has, err := a.HasTenant(ctx, tenant); has || err != nil {
			t.Errorf("without %s: %v, %v", part, has, err)
		}
	}
}

// TestTenantsDoNotDisturb writes as one tenant while others come and go: each change of
// users makes etcd refuse what was in flight, and the client must carry on.
func TestTenantsDoNotDisturb(t *testing.T) {
	s, ctx := etcdtest.Start(t), t.Context()
	a := s.Admin()
	steady := etcd.TenantOf("steady", "00000000")
	if err := a.EnsureTenant(ctx, steady); err != nil {
		t.Fatal(err)
	}
	writing, stop := context.WithCancel(ctx)
	failed := make(chan error, 1)
	c := s.As(steady.User)
	go func() {
		n := 0
		for writing.Err() == nil {
			if _, err := c.Put(writing, fmt.Sprintf("%s%d", steady.Prefix, n%100), "x"); err != nil && writing.Err() == nil {
				failed <- err
				return
			}
			n++
		}
		t.Logf("%d writes went through meanwhile", n)
		failed <- nil
	}()
	began := time.Now()
	const tenants = 40
	for i := range tenants {
		if err := a.EnsureTenant(ctx, etcd.TenantOf(fmt.Sprintf("t%d", i), "00000000")); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%s for each new tenant", time.Since(began)/tenants)
	stop()
	if err := <-failed; err != nil {
		t.Errorf("the steady tenant's write failed: %v", err)
	}
}

func TestDeleteTenantRefusesToReachFurther(t *testing.T) {
	a, err := etcd.New(etcd.Config{Endpoints: []string{"http://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for reason, tenant := range map[string]etcd.Tenant{
		"everything":           {User: "a", Prefix: ""},
		"all tenants":          {User: "a", Prefix: "/skerry/"},
		"a prefix of prefixes": {User: "a", Prefix: "/skerry/a"},
		"inside a tenant":      {User: "a", Prefix: "/skerry/a/b/"},
		"the host's own state": {User: "registry", Prefix: "/registry/"},
		"root":                 {User: "root", Prefix: "/skerry/root/"},
		"somebody else's":      {User: "a", Prefix: "/skerry/b/"},
	} {
		if err := a.DeleteTenant(t.Context(), tenant); err == nil {
			t.Errorf("%s: %+v was accepted", reason, tenant)
		}
	}
}

func put(t *testing.T, c *clientv3.Client, key string, want error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := c.Put(ctx, key, "v")
	if !errors.Is(rpctypes.Error(err), want) {
		t.Errorf("writing %s: got %v, want %v", key, err, want)
	}
}
