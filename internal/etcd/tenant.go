// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/authpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

// TenantRoot is the prefix that all tenants' prefixes begin with.
const TenantRoot = "/skerry/"

// Tenant is one virtual cluster's place in etcd.
type Tenant struct {
	// User is the etcd user and the name of its only role: NAME-UID8.
	User string
	// Prefix of all its keys, /skerry/NAME-UID8/.
	Prefix string
}

// TenantOf is the place of the virtual cluster with this name and UID. The UID's first
// 8 characters keep a cluster apart from an earlier one of the same name.
func TenantOf(name, uid string) Tenant {
	if len(uid) > 8 {
		uid = uid[:8]
	}
	id := name + "-" + uid
	return Tenant{User: id, Prefix: TenantRoot + id + "/"}
}

// validate refuses everything that could reach beyond one tenant: an empty prefix
// would be the whole store.
func (t Tenant) validate() error {
	id, ok := strings.CutPrefix(t.Prefix, TenantRoot)
	id, closed := strings.CutSuffix(id, "/")
	if !ok || !closed || id == "" || strings.Contains(id, "/") {
		return fmt.Errorf("etcd prefix %q is not of the form %sNAME-UID/", t.Prefix, TenantRoot)
	}
	if t.User == "" || t.User == RootUser || t.User != id {
		return fmt.Errorf("etcd user %q does not belong to prefix %q", t.User, t.Prefix)
	}
	return nil
}

// EnsureTenant makes the tenant's user and role, and lets it read and write its prefix
// and nothing else. Enables authentication first when this process has not seen it
// enabled. Two round trips when nothing exists yet.
func (a *Admin) EnsureTenant(ctx context.Context, t Tenant) error {
	if err := t.validate(); err != nil {
		return err
	}
	if err := a.EnableAuth(ctx); err != nil {
		return err
	}
	made, mctx := errgroup.WithContext(ctx)
	made.Go(func() error { return a.addRole(mctx, t.User) })
	made.Go(func() error { return a.addUser(mctx, t.User) })
	if err := made.Wait(); err != nil {
		return err
	}
	granted, gctx := errgroup.WithContext(ctx)
	granted.Go(func() error { return a.grantPrefix(gctx, t) })
	granted.Go(func() error { return a.grantRole(gctx, t.User, t.User) })
	return granted.Wait()
}

// HasTenant tells whether the tenant's user and role exist, are bound together, and reach the prefix: everything
// that EnsureTenant makes, which may have been cut off before its last step.
func (a *Admin) HasTenant(ctx context.Context, t Tenant) (bool, error) {
	if err := a.EnableAuth(ctx); err != nil {
		return false, err
	}
	user, err := call(ctx, a, func(ctx context.Context) (*clientv3.AuthUserGetResponse, error) {
		return a.client.UserGet(ctx, t.User)
	})
	switch {
	case errors.Is(rpctypes.Error(err), rpctypes.ErrUserNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading etcd user %s: %w", t.User, err)
	case !slices.Contains(user.Roles, t.User):
		return false, nil
	}
	role, err := call(ctx, a, func(ctx context.Context) (*clientv3.AuthRoleGetResponse, error) {
		return a.client.RoleGet(ctx, t.User)
	})
	switch {
	case errors.Is(rpctypes.Error(err), rpctypes.ErrRoleNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading etcd role %s: %w", t.User, err)
	}
	return slices.ContainsFunc(role.Perm, func(p *authpb.Permission) bool {
		return string(p.Key) == t.Prefix && string(p.RangeEnd) == clientv3.GetPrefixRangeEnd(t.Prefix) && p.PermType == authpb.READWRITE
	}), nil
}

// DeleteTenant removes the tenant's user and role, and every key under its prefix. The
// user goes first, so that nobody writes behind the deletion. Missing parts are fine.
func (a *Admin) DeleteTenant(ctx context.Context, t Tenant) error {
	if err := t.validate(); err != nil {
		return err
	}
	_, err := call(ctx, a, func(ctx context.Context) (*clientv3.AuthUserDeleteResponse, error) {
		return a.client.UserDelete(ctx, t.User)
	})
	if err := ignore(err, rpctypes.ErrUserNotFound); err != nil {
		return fmt.Errorf("deleting etcd user %s: %w", t.User, err)
	}
	_, err = call(ctx, a, func(ctx context.Context) (*clientv3.AuthRoleDeleteResponse, error) {
		return a.client.RoleDelete(ctx, t.User)
	})
	if err := ignore(err, rpctypes.ErrRoleNotFound); err != nil {
		return fmt.Errorf("deleting etcd role %s: %w", t.User, err)
	}
	_, err = call(ctx, a, func(ctx context.Context) (*clientv3.DeleteResponse, error) {
		return a.client.Delete(ctx, t.Prefix, clientv3.WithPrefix())
	})
	if err != nil {
		return fmt.Errorf("deleting the keys under %s in etcd: %w", t.Prefix, err)
	}
	return nil
}

func (a *Admin) addRole(ctx context.Context, role string) error {
	_, err := call(ctx, a, func(ctx context.Context) (*clientv3.AuthRoleAddResponse, error) {
		return a.client.RoleAdd(ctx, role)
	})
	if err := ignore(err, rpctypes.ErrRoleAlreadyExist); err != nil {
		return fmt.Errorf("adding etcd role %s: %w", role, err)
	}
	return nil
}

func (a *Admin) addUser(ctx context.Context, user string) error {
	_, err := call(ctx, a, func(ctx context.Context) (*clientv3.AuthUserAddResponse, error) {
		return a.client.UserAddWithOptions(ctx, user, "", &clientv3.UserAddOptions{NoPassword: true})
	})
	if err := ignore(err, rpctypes.ErrUserAlreadyExist); err != nil {
		return fmt.Errorf("adding etcd user %s: %w", user, err)
	}
	return nil
}

func (a *Admin) grantPrefix(ctx context.Context, t Tenant) error {
	_, err := call(ctx, a, func(ctx context.Context) (*clientv3.AuthRoleGrantPermissionResponse, error) {
		return a.client.RoleGrantPermission(ctx, t.User, t.Prefix, clientv3.GetPrefixRangeEnd(t.Prefix), clientv3.PermissionType(clientv3.PermReadWrite))
	})
	if err != nil {
		return fmt.Errorf("granting etcd role %s the prefix %s: %w", t.User, t.Prefix, err)
	}
	return nil
}

func (a *Admin) grantRole(ctx context.Context, user, role string) error {
	_, err := call(ctx, a, func(ctx context.Context) (*clientv3.AuthUserGrantRoleResponse, error) {
		return a.client.UserGrantRole(ctx, user, role)
	})
	if err != nil {
		return fmt.Errorf("granting etcd user %s the role %s: %w", user, role, err)
	}
	return nil
}
