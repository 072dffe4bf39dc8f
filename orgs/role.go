package orgs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// DeleteRole deletes a role. While somebody holds it, or an invitation, policy or alert names it, that is a
// *store.ConflictError in_use, unless another role (slug or id) takes its place everywhere. Nobody takes
// away or hands out by it what they do not hold.
func (m *Manager) DeleteRole(ctx context.Context, orgID, ref, replaceWith string) (role rbac.Role, err error) {
	at := Place{OrgID: orgID}
	err = m.Change(ctx, rbac.Op{Action: "roles.delete", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if role, err = rbac.FindRole(ctx, tx, orgID, ref); err != nil {
			return audit.Change{}, err
		}
		var other *rbac.Role
		if replaceWith != "" {
			r, err := rbac.FindRole(ctx, tx, orgID, replaceWith)
			if errors.Is(err, store.ErrNotFound) || err == nil && r.ID == role.ID {
				return audit.Change{}, store.Invalid("replace_with", "unknown", "is no other role of the organization")
			} else if err != nil {
				return audit.Change{}, err
			}
			other = &r
			if err := m.Ceiling(ctx, tx, at.roleHandout("replace_with", r)); err != nil {
				return audit.Change{}, err
			}
		}
		if err := m.Ceiling(ctx, tx, at.roleHandout("", role)); err != nil {
			return audit.Change{}, err
		}
		uses, err := m.retireRole(ctx, tx, role, other)
		if err != nil {
			return audit.Change{}, err
		}
		if uses > 0 {
			return audit.Change{}, &store.ConflictError{Code: "in_use",
				Message: fmt.Sprintf("the role is in use in %d places; replace_with puts another in its place", uses)}
		}
		change := audit.Deleted(role)
		if other != nil {
			change.Data = map[string]string{"replaced_with": other.Slug}
		}
		return change, nil
	})
	return role, err
}

// retireRole puts the other role in the place of the role everywhere and removes it, or, without another,
// says in how many places it stands.
func (m *Manager) retireRole(ctx context.Context, tx *store.Tx, role rbac.Role, other *rbac.Role) (uses int, err error) {
	for inv, err := range invitations.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", role.OrgID)}}) {
		if err != nil {
			return 0, err
		}
		if inv.RoleID != role.ID || inv.Status != InvitationPending {
			continue
		}
		uses++
		if other != nil {
			inv.RoleID, inv.Role = other.ID, other.Slug
			if err := invitations.Update(ctx, tx, &inv); err != nil {
				return 0, err
			}
		}
	}
	for t, err := range teams.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", role.OrgID)}}) {
		if err != nil {
			return 0, err
		}
		if !t.Settings.Notifications.names(role, other) {
			continue
		}
		uses++
		if other != nil {
			if err := teams.Update(ctx, tx, &t); err != nil {
				return 0, err
			}
		}
	}
	s, err := billing.SettingsOf(ctx, tx, role.OrgID)
	if err != nil {
		return 0, err
	}
	alerts := 0
	for i := range s.Alerts {
		if named(s.Alerts[i].Notify, role, other) {
			alerts++
		}
	}
	if uses += alerts; alerts > 0 && other != nil {
		if err := billing.SettingsRecords.Update(ctx, tx, &s); err != nil {
			return 0, err
		}
	}
	p, err := provisioningOf(ctx, tx, role.OrgID)
	if err != nil {
		return 0, err
	}
	if p.names(role, other) {
		uses++
		if other != nil {
			if err := provisionings.Update(ctx, tx, &p); err != nil {
				return 0, err
			}
		}
	}
	if other == nil && uses > 0 {
		return uses, nil
	}
	return m.RetireRole(ctx, tx, role, other)
}

// names says whether the role is to be told of something, and puts the other in its place, if there is one.
// An entry may name a role in the plural (F319).
func (n *NotificationSettings) names(role rbac.Role, other *rbac.Role) (found bool) {
	if n == nil {
		return false
	}
	for _, list := range [][]string{n.UsageAlerts, n.ApprovalRequests} {
		found = named(list, role, other) || found
	}
	return found
}

// named does so with one list.
func named(list []string, role rbac.Role, other *rbac.Role) (found bool) {
	for i, entry := range list {
		key := store.SlugKey(entry)
		if strings.Contains(entry, "@") || key != role.SlugKey && strings.TrimSuffix(key, "s") != role.SlugKey {
			continue
		}
		found = true
		if other != nil {
			list[i] = other.Slug
		}
	}
	return found
}

// RoleHolders counts those who hold the role. It needs roles.read.
func (m *Manager) RoleHolders(ctx context.Context, role rbac.Role) (n int, err error) {
	err = m.Read(ctx, rbac.Op{Action: "roles.read", OrgID: role.OrgID, Answer: role.ID}, func(ctx context.Context, tx *store.Tx) error {
		n, err = rbac.HeldBy(ctx, tx, role)
		return err
	})
	return n, err
}
