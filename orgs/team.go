package orgs

import (
	"context"
	"errors"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Team is a part of an organization with settings, members and keys of its own.
type Team struct {
	store.Meta
	OrgID       string       `json:"organization_id"`
	Name        string       `json:"name"`
	Slug        string       `json:"slug"` // as first written; unique in the organization by its key
	SlugKey     string       `json:"-"`
	Description string       `json:"description"`
	Settings    TeamSettings `json:"settings"`
	State       rbac.State   `json:"status"` // active or archived
}

var teams = store.Define[Team]("teams", "team",
	store.Unique("org_id", "slug_key"), store.Index("slug_key"))

// AuditResource is how the log names the team.
func (t Team) AuditResource() audit.Resource {
	return audit.Resource{Type: "team", ID: t.ID, Slug: t.Slug}
}

// NewTeam is the input of [Manager.CreateTeam].
type NewTeam struct {
	Name        string
	Slug        string // "" takes it from the name
	Description string
	Settings    TeamSettings
}

func (in *NewTeam) validate() error {
	in.Name = strings.TrimSpace(in.Name)
	if in.Slug == "" {
		in.Slug = store.SlugFrom(in.Name)
	}
	in.Slug = strings.ToLower(in.Slug)
	if err := rbac.CheckText("name", in.Name, 1, rbac.MaxName); err != nil {
		return err
	}
	if err := store.CheckSlug("slug", in.Slug); err != nil {
		return err
	}
	if err := rbac.CheckText("description", in.Description, 0, rbac.MaxDescription); err != nil {
		return err
	}
	return in.Settings.Validate()
}

// CreateTeam makes a team with its settings, which act from the next request on.
func (m *Manager) CreateTeam(ctx context.Context, org string, in NewTeam) (t Team, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return t, err
	}
	err = m.Change(ctx, rbac.Op{Action: "teams.create", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if err := in.validate(); err != nil {
			return audit.Change{}, err
		}
		t = Team{OrgID: orgID, Name: in.Name, Slug: in.Slug, SlugKey: store.SlugKey(in.Slug),
			Description: in.Description, Settings: in.Settings, State: rbac.Active}
		if err := teams.Insert(ctx, tx, &t); errors.Is(err, store.ErrExists) {
			return audit.Change{}, &store.ConflictError{Code: "slug_taken", Message: "a team with this slug exists in the organization"}
		} else if err != nil {
			return audit.Change{}, err
		}
		return audit.Created(&t).In(t.ID), m.applySettings(ctx, tx, t, true)
	})
	return t, err
}

// applySettings writes what the settings mean to the floors below: what decisions forbid, and the
// team's budget.
func (m *Manager) applySettings(ctx context.Context, tx *store.Tx, t Team, fresh bool) error {
	r := t.Settings.restriction()
	r.OrgID, r.State = t.OrgID, t.State
	if fresh {
		r.ID = t.ID
		if err := rbac.Restrictions.Insert(ctx, tx, &r); err != nil {
			return err
		}
	} else {
		old, err := rbac.Restrictions.Get(ctx, tx, t.ID)
		if err != nil {
			return err
		}
		r.Meta = old.Meta
		if err := rbac.Restrictions.Update(ctx, tx, &r); err != nil {
			return err
		}
	}
	b := t.Settings.Budget
	if b == nil || b.MonthlyLimit == nil {
		return m.Drop(ctx, tx, t.OrgID, billing.ScopeTeam, t.ID, monthly)
	}
	scope, err := rbac.Scopes.Get(ctx, tx, t.OrgID)
	if err != nil {
		return err
	}
	return m.Put(ctx, tx, &billing.Budget{OrgID: t.OrgID, Scope: billing.ScopeTeam, ScopeID: t.ID, Name: monthly,
		Limit: b.MonthlyLimit.Decimal(), Window: "calendar_month", Zone: scope.Zone,
		Hard: is(b.HardLimit), Rollover: is(b.Rollover), AlertThreshold: b.threshold()})
}

// monthly is the name of the budget that a team's settings make.
const monthly = "settings"

// UpdateTeamSettings replaces the settings of a team. Changing its budget needs budget.modify too.
func (m *Manager) UpdateTeamSettings(ctx context.Context, ref string, settings TeamSettings) (t Team, err error) {
	at, err := m.TeamPlace(ctx, ref)
	if err != nil {
		return t, err
	}
	op := rbac.Op{Action: "teams.update", OrgID: at.OrgID, TeamID: at.TeamID}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if err := settings.Validate(); err != nil {
			return audit.Change{}, err
		}
		if t, err = teams.Lock(ctx, tx, at.TeamID); err != nil {
			return audit.Change{}, err
		}
		before := t
		if !before.Settings.Budget.equal(settings.Budget) {
			if err := m.Ceiling(ctx, tx, at.handout("settings.budget", "budget.modify")); err != nil {
				return audit.Change{}, err
			}
		}
		t.Settings = settings
		if err := teams.Update(ctx, tx, &t); err != nil {
			return audit.Change{}, err
		}
		return audit.Updated(before, &t).In(t.ID), m.applySettings(ctx, tx, t, false)
	})
	return t, err
}

// Team returns a team by id, or by a slug that only one visible team has. It needs teams.read, or
// teams.read:own and membership.
func (m *Manager) Team(ctx context.Context, ref string) (t Team, err error) {
	at, err := m.TeamPlace(ctx, ref)
	if err != nil {
		return t, err
	}
	err = m.Read(ctx, rbac.Op{Action: "teams.read", OrgID: at.OrgID, TeamID: at.TeamID}, func(ctx context.Context, tx *store.Tx) error {
		t, err = teams.Get(ctx, tx, at.TeamID)
		return err
	})
	return t, err
}

// Teams lists the teams of an organization by their slugs: all, or, for teams.read:own, the
// caller's.
func (m *Manager) Teams(ctx context.Context, org string, limit int, after string) (page store.Page[Team], err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return page, err
	}
	op := rbac.Op{Action: "teams.read", OrgID: orgID}
	err = m.Visible(ctx, op, func(ctx context.Context, tx *store.Tx, all bool) error {
		q := store.Query{Where: []store.Cond{store.Eq("org_id", orgID)},
			Order: []store.Order{store.Asc("slug_key")}, Limit: limit, After: after}
		if !all {
			held, err := rbac.Held(ctx, tx, orgID, actor(ctx).Person())
			if err != nil {
				return err
			}
			var own []string
			for _, a := range held {
				own = append(own, a.TeamID)
			}
			q.Where = append(q.Where, store.In("id", own))
		}
		page, err = teams.List(ctx, tx, q)
		return err
	})
	return page, err
}

// Place is where somebody is a member: an organization, or a team of it.
type Place struct {
	OrgID  string
	TeamID string // "" for the organization itself
}

func (at Place) handout(field string, permissions ...string) rbac.Handout {
	return rbac.Handout{OrgID: at.OrgID, TeamID: at.TeamID, Permissions: permissions, Field: field}
}

func (at Place) roleHandout(field string, role rbac.Role, permissions ...string) rbac.Handout {
	h := at.handout(field, permissions...)
	h.Role = &role
	return h
}

// TeamPlace resolves a reference to a team, its id or a slug. A slug is taken when exactly one team
// that the actor can see has it; several are a *store.ConflictError ambiguous_slug.
func (m *Manager) TeamPlace(ctx context.Context, ref string) (at Place, err error) {
	by, ok := audit.ActorFrom(ctx)
	if !ok {
		return at, rbac.ErrNoActor
	}
	err = m.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		var found []Team
		if strings.HasPrefix(ref, teams.Kind().Prefix+"_") {
			t, err := teams.Get(ctx, tx, ref)
			if err != nil {
				return err
			}
			found = []Team{t}
		} else {
			page, err := teams.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("slug_key", store.SlugKey(ref))}})
			if err != nil {
				return err
			}
			found = page.Items
		}
		var visible []Team
		for _, t := range found {
			switch err := m.mustBelong(ctx, tx, by, t.OrgID); {
			case err == nil:
				visible = append(visible, t)
			case !errors.Is(err, store.ErrNotFound):
				return err
			}
		}
		switch len(visible) {
		case 0:
			return store.ErrNotFound
		case 1:
			at = Place{visible[0].OrgID, visible[0].ID}
			return nil
		}
		return &store.ConflictError{Code: "ambiguous_slug", Message: "several teams have this slug; use the id"}
	})
	return at, err
}

// OrgPlace resolves a reference to an organization, its id or slug.
func (m *Manager) OrgPlace(ctx context.Context, ref string) (Place, error) {
	id, err := m.OrgID(ctx, ref)
	return Place{OrgID: id}, err
}
