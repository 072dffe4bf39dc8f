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
	State       rbac.State   `json:"status"`             // active or archived
	AliasID     *string      `json:"alias_id,omitempty"` // an id that a client of another system has chosen; unique over all
}

var teams = store.Define[Team]("teams", "team",
	store.Unique("org_id", "slug_key"), store.Unique("alias_id"), store.Index("slug_key"))

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
	// AliasID is an id of the client's own choice, under which the team is found beside its own; for the platform only, unless
	// Options.Enlisting.
	AliasID string
}

// validate checks what the team is to be.
func (t *Team) validate() error {
	if err := checkNamed(&t.Name, &t.Slug, t.Description); err != nil {
		return err
	}
	t.SlugKey = store.SlugKey(t.Slug)
	return t.Settings.Validate()
}

// checkNamed checks what everything with a slug has.
func checkNamed(name, slug *string, description string) error {
	*name = strings.TrimSpace(*name)
	if *slug == "" {
		*slug = store.SlugFrom(*name)
	}
	*slug = strings.ToLower(*slug)
	if err := rbac.CheckText("name", *name, 1, rbac.MaxName); err != nil {
		return err
	}
	if err := store.CheckSlug("slug", *slug); err != nil {
		return err
	}
	return rbac.CheckText("description", description, 0, rbac.MaxDescription)
}

// slugTaken turns the error of a unique set into that of a slug.
func slugTaken(err error, noun string) error {
	if errors.Is(err, store.ErrExists) {
		return &store.ConflictError{Code: "slug_taken", Message: "a " + noun + " with this slug exists in the organization"}
	}
	return err
}

// CreateTeam makes a team with its settings, which act from the next request on.
func (m *Manager) CreateTeam(ctx context.Context, org string, in NewTeam) (t Team, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return t, err
	}
	err = m.Change(ctx, rbac.Op{Action: "teams.create", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if t, err = m.makeTeam(ctx, tx, orgID, in); err != nil {
			return audit.Change{}, err
		}
		return audit.Created(&t).In(t.ID), nil
	})
	return t, err
}

// makeTeam makes a team for whoever has asked already.
func (m *Manager) makeTeam(ctx context.Context, tx *store.Tx, orgID string, in NewTeam) (Team, error) {
	t := Team{OrgID: orgID, Name: in.Name, Slug: in.Slug, Description: in.Description, Settings: in.Settings, State: rbac.Active}
	if err := t.validate(); err != nil {
		return t, err
	}
	if err := t.Settings.Notifications.known(ctx, tx, orgID); err != nil {
		return t, err
	}
	if err := m.mayBill(ctx, tx, orgID, nil, t.Settings.Billing); err != nil {
		return t, err
	}
	if in.AliasID != "" {
		if !actor(ctx).Sovereign() && !m.opt.Enlisting {
			return t, store.Invalid("alias_id", "forbidden", "only the platform chooses ids")
		}
		if err := checkTeamAlias(ctx, tx, in.AliasID); err != nil {
			return t, err
		}
		t.AliasID = &in.AliasID
	}
	if err := slugTaken(teams.Insert(ctx, tx, &t), "team"); err != nil {
		return t, err
	}
	return t, m.applySettings(ctx, tx, t, true)
}

// applySettings writes what the settings mean to the floors below: what decisions forbid, rate limits, and the
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
	if err := m.ApplyRateLimits(ctx, tx, t.OrgID, billing.ScopeTeam, t.ID, t.Settings.limits()); err != nil {
		return err
	}
	return m.applyBudget(ctx, tx, Place{t.OrgID, t.ID}, t.Settings.Budget)
}

// TeamUpdate changes a team; nil leaves as it is.
type TeamUpdate struct {
	Name        *string
	Slug        *string
	Description *string
	Settings    *TeamSettings
}

// UpdateTeam changes a team. Changing its budget needs budget.modify too.
func (m *Manager) UpdateTeam(ctx context.Context, ref string, in TeamUpdate) (t Team, err error) {
	return m.changeTeam(ctx, ref, "teams.update", "", func(ctx context.Context, tx *store.Tx, t *Team) error {
		before := *t
		if in.Name != nil && *in.Name != t.Name {
			if err := m.managedTeam(ctx, tx, *t); err != nil {
				return err
			}
		}
		set(&t.Name, in.Name)
		set(&t.Slug, in.Slug)
		set(&t.Description, in.Description)
		set(&t.Settings, in.Settings)
		if err := t.validate(); err != nil {
			return err
		}
		if in.Settings != nil {
			if err := t.Settings.Notifications.known(ctx, tx, t.OrgID); err != nil {
				return err
			}
		}
		if err := m.mayBill(ctx, tx, t.OrgID, before.Settings.Billing, t.Settings.Billing); err != nil {
			return err
		}
		return m.mayBudget(ctx, tx, Place{t.OrgID, t.ID}, before.Settings.Budget, t.Settings.Budget)
	})
}

// changeTeam changes the record of a team and what follows from it. event is the type of the event, "" for
// team.updated.
func (m *Manager) changeTeam(ctx context.Context, ref, action, event string, fn func(ctx context.Context, tx *store.Tx, t *Team) error) (t Team, err error) {
	at, err := m.TeamPlace(ctx, ref)
	if err != nil {
		return t, err
	}
	op := rbac.Op{Action: action, OrgID: at.OrgID, TeamID: at.TeamID}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if t, err = teams.Lock(ctx, tx, at.TeamID); err != nil {
			return audit.Change{}, err
		}
		before := t
		if err := fn(ctx, tx, &t); err != nil {
			return audit.Change{}, err
		}
		if err := slugTaken(teams.Update(ctx, tx, &t), "team"); err != nil {
			return audit.Change{}, err
		}
		return audit.Updated(before, &t).As(event).In(t.ID), m.applySettings(ctx, tx, t, false)
	})
	return t, err
}

// ArchiveTeam stops the keys of a team and keeps everything else.
func (m *Manager) ArchiveTeam(ctx context.Context, ref string) (Team, error) {
	return m.changeTeam(ctx, ref, "teams.update", "team.archived", func(_ context.Context, _ *store.Tx, t *Team) error {
		return archive(&t.State, rbac.Archived, "team")
	})
}

// UnarchiveTeam lets the keys of an archived team work again.
func (m *Manager) UnarchiveTeam(ctx context.Context, ref string) (Team, error) {
	return m.changeTeam(ctx, ref, "teams.update", "team.unarchived", func(_ context.Context, _ *store.Tx, t *Team) error {
		return archive(&t.State, rbac.Active, "team")
	})
}

func archive(state *rbac.State, to rbac.State, noun string) error {
	if *state == to {
		return &store.ConflictError{Code: "conflict", Message: "the " + noun + " is " + string(to) + " already"}
	}
	*state = to
	return nil
}

// DeleteTeam deletes a team for good, with its memberships, invitations, policies and budgets. One with
// keys that work is a *store.ConflictError not_empty, unless cascade revokes them.
func (m *Manager) DeleteTeam(ctx context.Context, ref string, cascade bool) (t Team, err error) {
	at, err := m.TeamPlace(ctx, ref)
	if err != nil {
		return t, err
	}
	op := rbac.Op{Action: "teams.delete", OrgID: at.OrgID, TeamID: at.TeamID}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if t, err = teams.Lock(ctx, tx, at.TeamID); err != nil {
			return audit.Change{}, err
		}
		if err := m.managedTeam(ctx, tx, t); err != nil {
			return audit.Change{}, err
		}
		return audit.Deleted(t).In(t.ID), m.endTeam(ctx, tx, t, cascade)
	})
	return t, err
}

// endTeam deletes a team for whoever has asked already.
func (m *Manager) endTeam(ctx context.Context, tx *store.Tx, t Team, cascade bool) error {
	keys := []store.Cond{store.Eq("org_id", t.OrgID), store.Eq("team_id", t.ID)}
	if err := m.endPlace(ctx, tx, Place{t.OrgID, t.ID}, keys, cascade); err != nil {
		return err
	}
	if err := m.DropAll(ctx, tx, t.OrgID, t.ID); err != nil {
		return err
	}
	if err := m.DropRateLimits(ctx, tx, t.OrgID, t.ID); err != nil {
		return err
	}
	if err := unlinkGroup(ctx, tx, t.ID); err != nil {
		return err
	}
	return teams.Delete(ctx, tx, t.ID)
}

// Team returns a team by id, or by a slug that only one visible team has. It needs teams.read, or
// teams.read:own and membership.
func (m *Manager) Team(ctx context.Context, ref string) (t Team, err error) {
	return m.readTeam(ctx, ref, func(context.Context, *store.Tx, Place) error { return nil })
}

// TeamFigures is [Manager.Team] with [Manager.PlaceFigures], on one snapshot.
func (m *Manager) TeamFigures(ctx context.Context, ref string) (t Team, f PlaceFigures, err error) {
	if err := m.Flush(ctx); err != nil {
		return t, f, err
	}
	t, err = m.readTeam(ctx, ref, func(ctx context.Context, tx *store.Tx, at Place) error {
		f, err = m.placeFigures(ctx, tx, at)
		return err
	})
	return t, f, err
}

func (m *Manager) readTeam(ctx context.Context, ref string, fn func(ctx context.Context, tx *store.Tx, at Place) error) (t Team, err error) {
	err = m.ReadFound(ctx, func(ctx context.Context, tx *store.Tx) (op rbac.Op, err error) {
		t, err = m.findTeam(ctx, tx, actor(ctx), ref)
		return rbac.Op{Action: "teams.read", OrgID: t.OrgID, TeamID: t.ID, Past: true}, err // on this snapshot it is there
	}, func(ctx context.Context, tx *store.Tx) error { return fn(ctx, tx, Place{t.OrgID, t.ID}) })
	if err != nil {
		return Team{}, err
	}
	return t, nil
}

// Teams lists the teams of an organization by their slugs: all, or, for teams.read:own, the
// caller's.
func (m *Manager) Teams(ctx context.Context, org string, f PartFilter) (page store.Page[Team], err error) {
	orgID, err := m.partsOf(ctx, org, f)
	if err != nil {
		return page, err
	}
	err = m.Visible(ctx, rbac.Op{Action: "teams.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx, all bool) error {
		q, err := f.query(ctx, tx, orgID, all)
		if err != nil {
			return err
		}
		page, err = teams.Filter(ctx, tx, q, func(t *Team) bool { return f.keeps(t.State) })
		return err
	})
	return page, err
}
