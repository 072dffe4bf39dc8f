package orgs

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// PlatformRole is what people may do with the host as a whole, whatever organizations they are in: a name for words that
// mean something to the dialect that keeps them.
type PlatformRole struct {
	store.Meta
	Name        string   `json:"name"` // unique
	Permissions []string `json:"permissions"`
}

// PlatformRoles holds all of them. The floor above writes it inside rbac.Guard.Change, for the platform.
var PlatformRoles = store.Define[PlatformRole]("platform_roles", "prole",
	store.Unique("name"))

// AuditResource is how the log names the role.
func (r PlatformRole) AuditResource() audit.Resource {
	return audit.Resource{Type: "role", ID: r.ID, Slug: r.Name}
}

// EnsurePlatformRole returns the role of that name, which is made where there is none. One that has other permissions is a
// *store.ConflictError. Only the platform can.
func (m *Manager) EnsurePlatformRole(ctx context.Context, name string, permissions ...string) (r PlatformRole, err error) {
	if err := rbac.CheckText("name", name, 1, rbac.MaxName); err != nil {
		return r, err
	}
	find := func(ctx context.Context, tx *store.Tx) error {
		r, err = PlatformRoles.Find(ctx, tx, store.Eq("name", name))
		if err == nil && !slices.Equal(r.Permissions, permissions) {
			err = &store.ConflictError{Code: "conflict", Message: "a role with this name exists, which means something else", ID: r.ID}
		}
		return err
	}
	op := rbac.Op{Action: "roles.create", Platform: true}
	if err = m.Read(ctx, op, find); !errors.Is(err, store.ErrNotFound) {
		return r, err
	}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		r = PlatformRole{Name: name, Permissions: permissions}
		err := PlatformRoles.Insert(ctx, tx, &r)
		if errors.Is(err, store.ErrExists) {
			err = fmt.Errorf("%w: another call has made the role", store.ErrTransient)
		}
		return audit.Created(&r), err
	})
	return r, err
}

// PlatformRoleOf is the role that a user has, the zero one for none. Anybody may ask about themselves, all others are the
// platform's.
func (m *Manager) PlatformRoleOf(ctx context.Context, ref string) (r PlatformRole, err error) {
	u, err := m.User(ctx, ref)
	if err != nil || u.PlatformRoleID == "" {
		return r, err
	}
	err = m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err = PlatformRoles.Get(ctx, tx, u.PlatformRoleID)
		return err
	})
	return r, err
}

// PlatformRoleHolders is how many people hold the role. It asks no permission: it serves the floors above.
func PlatformRoleHolders(ctx context.Context, tx *store.Tx, roleID string) (int, error) {
	return users.Count(ctx, tx, store.Eq("platform_role_id", roleID))
}
