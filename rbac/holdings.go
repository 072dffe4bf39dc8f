package rbac

import (
	"context"
	"errors"
	"slices"

	"github.com/orgkit/orgkit/store"
)

// holdings is what a subject was granted in a context, each grant with what is taken from it.
type holdings []holding

type holding struct {
	granted []Permission
	removed []Permission
}

// holdings of a subject in a context; with inherited only those that it holds in everything below the
// organization as well.
func (g *Guard) holdings(ctx context.Context, tx *store.Tx, orgID, teamID, subject string, inherited bool) (holdings, error) {
	st, err := g.standingOf(ctx, tx, orgID, subject)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return st.holdings(teamID, inherited)
}

func (st standing) holdings(teamID string, inherited bool) (holdings, error) {
	p := st.profile(teamID)
	if key, ok := st.key(); ok {
		p.Grants = nil
		if key.active {
			p.Grants = []grant{{Key: true, Add: key.add}}
		}
	}
	if inherited {
		p.Grants = slices.DeleteFunc(p.Grants, func(g grant) bool { return !st.snap.role(g.Role).Inherited })
	}
	var h holdings
	for i, grant := range p.Grants {
		if inherited {
			grant.Add = nil // what is given to the member beside the role acts in the organization alone
		}
		for _, rule := range st.snap.grantRules(teamID, i, grant, p.Removed) {
			one, err := newHolding(rule.Statement.Actions, rule.Except)
			if err != nil {
				return nil, err
			}
			h = append(h, one)
		}
	}
	return h, nil
}

// Holds returns what the subject may do in the context by its roles and grants, policies and
// settings aside: permissions in canonical form, sorted. It is what the grant ceiling compares.
func (g *Guard) Holds(ctx context.Context, tx *store.Tx, orgID, teamID, subject string) ([]string, error) {
	h, err := g.holdings(ctx, tx, orgID, teamID, subject, false)
	if err != nil {
		return nil, err
	}
	return h.list(g.vocabulary), nil
}

// Handout is what somebody is about to get: permissions in a context, and a role, if it comes by one.
type Handout struct {
	OrgID, TeamID string
	Role          *Role
	Permissions   []string // beside those of the role
	Field         string   // of the input that asks for it
}

// Ceiling returns a *[Denied] with code grant_ceiling unless the actor holds, in the context, everything
// that is handed out; of an inherited role at the level of the organization also in everything below. The
// platform and the system hold everything.
func (g *Guard) Ceiling(ctx context.Context, tx *store.Tx, h Handout) error {
	by := actor(ctx)
	if by.Sovereign() {
		return nil
	}
	return g.CeilingOf(ctx, tx, by.ID, h)
}

// CeilingOf is [Guard.Ceiling] for somebody else than the actor, such as the inviter at the moment
// in which the invitation is accepted.
func (g *Guard) CeilingOf(ctx context.Context, tx *store.Tx, subject string, h Handout) error {
	wanted := h.Permissions
	if h.Role != nil {
		grants, err := roleGrants(ctx, tx, *h.Role, h.TeamID)
		if err != nil {
			return err
		}
		wanted = slices.Concat(wanted, grants)
	}
	if err := g.covers(ctx, tx, subject, h, wanted, false); err != nil {
		return err
	}
	// A key hands out no more than its maker and the person bound to it could.
	key, err := Assignments.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("subject", subject), store.Eq("org_id", h.OrgID), store.Eq("kind", Key)}, Limit: 1})
	if err != nil {
		return err
	}
	for _, a := range key.Items {
		for _, person := range []string{a.CreatedBy, a.Bound} {
			if person == "" {
				continue
			}
			if err := g.covers(ctx, tx, person, h, wanted, false); err != nil {
				return err
			}
		}
	}
	if h.Role == nil || !h.Role.Inherited || h.TeamID != "" {
		return nil
	}
	return g.covers(ctx, tx, subject, h, h.Role.Permissions, true)
}

func (g *Guard) covers(ctx context.Context, tx *store.Tx, subject string, h Handout, permissions []string, inherited bool) error {
	held, err := g.holdings(ctx, tx, h.OrgID, h.TeamID, subject, inherited)
	if err != nil {
		return err
	}
	for _, s := range permissions {
		want, err := ParsePermission(s)
		if err != nil {
			return err
		}
		if !held.contain(want) {
			return &Denied{Code: "grant_ceiling", Action: want.String(), TeamID: h.TeamID, Field: h.Field,
				Decision: Decision{MissingPermission: want.String(),
					Remedy: []string{"let somebody who holds " + want.String() + " grant it"}}}
		}
	}
	return nil
}

// roleGrants is what a role hands out in a team, overrides included.
func roleGrants(ctx context.Context, tx *store.Tx, role Role, teamID string) ([]string, error) {
	if teamID == "" {
		return role.Permissions, nil
	}
	o, err := overrides.Find(ctx, tx, store.Eq("team_id", teamID), store.Eq("role_id", role.ID))
	if errors.Is(err, store.ErrNotFound) {
		return role.Permissions, nil
	}
	return slices.Concat(role.Permissions, o.Add), err
}

// newHolding reads permissions that were checked when they were written.
func newHolding(granted, removed []string) (h holding, err error) {
	if h.granted, err = parsePermissions(granted); err == nil {
		h.removed, err = parsePermissions(removed)
	}
	return h, err
}

// contain says whether one grant holds all that the permission holds. A removal that touches the
// permission in any part takes it from that grant.
func (h holdings) contain(want Permission) bool {
	return slices.ContainsFunc(h, func(one holding) bool {
		touched := slices.ContainsFunc(one.removed, func(r Permission) bool {
			return r.Contains(want) || want.Contains(r) || r.Overlaps(want)
		})
		return !touched && slices.ContainsFunc(one.granted, func(p Permission) bool { return p.Contains(want) })
	})
}

// list writes the holdings as permissions. A wildcard from which something was removed is written
// out as the registered actions that are left of it.
func (h holdings) list(v *Vocabulary) []string {
	var out []string
	for _, one := range h {
		for _, p := range one.granted {
			if !slices.ContainsFunc(one.removed, p.Overlaps) {
				out = append(out, p.String())
				continue
			}
			for _, action := range v.Actions() {
				left := !slices.ContainsFunc(one.removed, func(r Permission) bool { return r.Covers(action) })
				if left && p.Covers(action) {
					if p.Own() {
						action += ":own"
					}
					out = append(out, action)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
