package rbac

import (
	"context"
	"errors"
	"slices"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

// Override changes what a role means inside one team.
type Override struct {
	store.Meta
	OrgID  string   `json:"organization_id"`
	TeamID string   `json:"team_id"`
	RoleID string   `json:"role_id"`
	Role   string   `json:"role"` // its slug
	Add    []string `json:"add"`
	Remove []string `json:"remove"`
}

var overrides = store.Define[Override]("overrides", "ovr", store.Traced("id"),
	store.Unique("team_id", "role_id"), store.Index("org_id", "created_at"))

// SetOverride gives a role its override in a team, replacing the one before. It says whether it
// is new. Nobody adds, removes or gives back by it what they do not hold in the team.
func (g *Guard) SetOverride(ctx context.Context, orgID, teamID, role string, add, remove []string) (o Override, created bool, err error) {
	err = g.Change(ctx, Op{Action: "roles.update", OrgID: orgID, TeamID: teamID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if err := CheckPermissions("permissions_override.add", add); err != nil {
			return audit.Change{}, err
		}
		if err := CheckPermissions("permissions_override.remove", remove); err != nil {
			return audit.Change{}, err
		}
		r, err := FindRole(ctx, tx, orgID, role)
		if errors.Is(err, store.ErrNotFound) {
			return audit.Change{}, store.Invalid("role", "unknown", "is no role of the organization")
		} else if err != nil {
			return audit.Change{}, err
		}
		if err := g.Ceiling(ctx, tx, Handout{OrgID: orgID, TeamID: teamID, Permissions: add, Field: "permissions_override.add"}); err != nil {
			return audit.Change{}, err
		}
		if err := g.Ceiling(ctx, tx, Handout{OrgID: orgID, TeamID: teamID, Permissions: remove, Field: "permissions_override.remove"}); err != nil {
			return audit.Change{}, err
		}
		change := audit.Change{Type: "team.role_override", Resource: audit.Resource{Type: "team", ID: teamID}, TeamID: teamID}
		o, err = overrides.Find(ctx, tx, store.Eq("team_id", teamID), store.Eq("role_id", r.ID))
		if err == nil { // what it removed is given back
			err = g.Ceiling(ctx, tx, Handout{OrgID: orgID, TeamID: teamID, Permissions: o.Remove, Field: "permissions_override.remove"})
			if err != nil {
				return audit.Change{}, err
			}
		}
		switch {
		case errors.Is(err, store.ErrNotFound):
			created = true
			o = Override{OrgID: orgID, TeamID: teamID, RoleID: r.ID, Role: r.Slug, Add: add, Remove: remove}
			err = overrides.Insert(ctx, tx, &o)
		case err == nil:
			created, change.Before = false, o
			o.Add, o.Remove, o.Role = add, remove, r.Slug
			err = overrides.Update(ctx, tx, &o)
		}
		change.After = o
		return change, err
	})
	return o, created, err
}

// Overrides lists the overrides of a team.
func (g *Guard) Overrides(ctx context.Context, orgID, teamID string, limit int, after string) (page store.Page[Override], err error) {
	err = g.Read(ctx, Op{Action: "roles.read", OrgID: orgID, TeamID: teamID}, func(ctx context.Context, tx *store.Tx) error {
		page, err = overrides.List(ctx, tx, store.Query{
			Where: []store.Cond{store.Eq("org_id", orgID), store.Eq("team_id", teamID)}, Limit: limit, After: after})
		return err
	})
	return page, err
}

// DeleteOverride lets a role mean in a team what it means elsewhere. Nobody gives back by it what they do
// not hold in the team.
func (g *Guard) DeleteOverride(ctx context.Context, orgID, teamID, role string) (o Override, err error) {
	err = g.Change(ctx, Op{Action: "roles.update", OrgID: orgID, TeamID: teamID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		r, err := FindRole(ctx, tx, orgID, role)
		if err != nil {
			return audit.Change{}, err
		}
		if o, err = overrides.Find(ctx, tx, store.Eq("team_id", teamID), store.Eq("role_id", r.ID)); err != nil {
			return audit.Change{}, err
		}
		if err := g.Ceiling(ctx, tx, Handout{OrgID: orgID, TeamID: teamID, Permissions: o.Remove, Field: "role"}); err != nil {
			return audit.Change{}, err
		}
		return audit.Change{Type: "team.role_override", Resource: audit.Resource{Type: "team", ID: teamID}, TeamID: teamID, Before: o},
			overrides.Delete(ctx, tx, o.ID)
	})
	return o, err
}

// OverrideMeans returns what a role means in a team by its override, in canonical form, sorted. Everybody who
// holds something in the organization may ask.
func (g *Guard) OverrideMeans(ctx context.Context, o Override) (means []string, err error) {
	err = g.Read(ctx, Op{Action: "roles.read", OrgID: o.OrgID, TeamID: o.TeamID, Answer: o.TeamID, Self: true}, func(ctx context.Context, tx *store.Tx) error {
		r, err := roles.Get(ctx, tx, o.RoleID)
		if err == nil && r.OrgID != o.OrgID {
			err = store.ErrNotFound
		}
		if err != nil {
			return err
		}
		h, err := newHolding(slices.Concat(r.Permissions, o.Add), o.Remove)
		means = holdings{h}.list(g.vocabulary)
		return err
	})
	return means, err
}
