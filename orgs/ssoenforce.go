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

// owners are the active owners of an organization, in the order in which they became members.
func owners(ctx context.Context, tx *store.Tx, orgID string) (ids []string, err error) {
	owner, err := rbac.FindRole(ctx, tx, orgID, rbac.OwnerRole)
	if err != nil {
		return nil, err
	}
	var held []rbac.Assignment
	for a, err := range rbac.Assignments.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID), store.Eq("role_id", owner.ID)}}) {
		if err != nil {
			return nil, err
		}
		if a.TeamID == "" && a.Kind == rbac.Member && a.State == rbac.Active {
			held = append(held, a)
		}
	}
	slices.SortFunc(held, func(a, b rbac.Assignment) int { return a.CreatedAt.Compare(b.CreatedAt) })
	for _, a := range held {
		ids = append(ids, a.Subject)
	}
	return ids, nil
}

// breakGlassOwners finds the owners who may always sign in by password.
func (m *Manager) breakGlassOwners(ctx context.Context, tx *store.Tx, orgID string, refs []string) (ids []string, err error) {
	if len(refs) > maxSSOEntries {
		return nil, store.Invalid("settings.break_glass", "range", "must have at most %d entries", maxSSOEntries)
	}
	all, err := owners(ctx, tx, orgID)
	if err != nil {
		return nil, err
	}
	for i, ref := range refs {
		u, err := findUser(ctx, tx, ref)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if err != nil || !slices.Contains(all, u.ID) {
			return nil, store.Invalid(fmt.Sprintf("settings.break_glass[%d]", i), "unknown", "must be an owner of the organization")
		}
		ids = append(ids, u.ID)
	}
	return ids, nil
}

// breaksGlass says whether a person may sign in by password: one of those that the configuration names and who are owners
// still, or else the first owner.
func (s SSO) breaksGlass(ctx context.Context, tx *store.Tx, userID string) (bool, error) {
	all, err := owners(ctx, tx, s.ID)
	if err != nil {
		return false, err
	}
	named := slices.DeleteFunc(slices.Clone(s.BreakGlass), func(id string) bool { return !slices.Contains(all, id) })
	if len(named) == 0 && len(all) > 0 {
		named = all[:1]
	}
	return slices.Contains(named, userID), nil
}

// PasswordRule says what the organizations of a person think of passwords.
type PasswordRule struct {
	RefusedBy  string   // an organization that demands its identity provider of them; "" is none
	BreakGlass []string // organizations that would, were the person not to break the glass there
}

// PasswordRuleOf returns the rule for a person (F323). It asks nobody, and is for who signs people in by password.
func (m *Manager) PasswordRuleOf(ctx context.Context, tx *store.Tx, userID string) (r PasswordRule, err error) {
	held, err := everywhere(ctx, tx, userID)
	if err != nil {
		return r, err
	}
	for _, a := range held {
		if a.State != rbac.Active {
			continue
		}
		if gone, err := isGone(ctx, tx, a.OrgID); err != nil {
			return r, err
		} else if gone {
			continue
		}
		status, err := m.ssoStatus(ctx, tx, a.OrgID)
		if err != nil {
			return r, err
		}
		if status != SSOEnforced {
			continue
		}
		s, err := ssoConfigs.Get(ctx, tx, a.OrgID)
		if err != nil {
			return r, err
		}
		switch may, err := s.breaksGlass(ctx, tx, userID); {
		case err != nil:
			return r, err
		case may:
			r.BreakGlass = append(r.BreakGlass, a.OrgID)
		case r.RefusedBy == "":
			r.RefusedBy = a.OrgID
		}
	}
	return r, nil
}

// BrokeGlass tells the log and all owners of the organizations that somebody has signed in by password where others may
// not. It is a part of the unit of the sign-in.
func (m *Manager) BrokeGlass(ctx context.Context, tx *store.Tx, s Session, orgIDs []string) error {
	for _, id := range orgIDs {
		about := BreakGlass{User: s.UserID, Reason: "signed in by password while single sign-on is in force", At: tx.Now(), IP: s.IP}
		c := audit.Created(&s).As(KindBreakGlass)
		if _, err := m.Audit().Append(ctx, tx, id, "sessions.create", c); err != nil {
			return err
		}
		if err := m.Tell(ctx, tx, Notification{Kind: KindBreakGlass, OrgID: id, About: about}); err != nil {
			return err
		}
	}
	return nil
}
