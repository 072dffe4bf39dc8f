package opengatellm

import (
	"context"
	"net/http"
	"slices"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// keepAdmin refuses, where the host wants that, a change of who was an admin, or of what made people admins, after which there
// is none for good. It comes after the change, in its unit; of several such changes one goes after the other.
func (a *api) keepAdmin(ctx context.Context, tx *store.Tx, was bool) error {
	if !was || !a.opt.ProtectLastAdmin {
		return nil
	}
	if err := orgs.LockNumbers(ctx, tx, "admin"); err != nil {
		return err
	}
	for role, err := range orgs.PlatformRoles.All(ctx, tx, store.Query{}) {
		if err != nil {
			return err
		}
		if !a.isAdminRole(role) {
			continue
		}
		held, err := orgs.PlatformRoleHeldBy(ctx, tx, role.ID)
		if err != nil {
			return err
		}
		for _, u := range held {
			if u.ExpiresAt != nil || u.State != rbac.Active {
				continue
			}
			if is, err := a.standing(ctx, tx, u); err != nil || is != unknown {
				return err
			}
		}
	}
	return &refusal{http.StatusConflict, "Last admin user cannot be removed."}
}

// isAdminRole says whether who holds the role acts for the platform, and the role is one of those that this handler has.
func (a *api) isAdminRole(role orgs.PlatformRole) bool {
	return role.OrgID == a.root && slices.Contains(role.Permissions, adminPermission)
}
