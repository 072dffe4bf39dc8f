package orgs

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Place is where somebody is a member: an organization, or a team or project of it.
type Place struct {
	OrgID  string
	TeamID string // of the team or project; "" for the organization itself
}

// IsProject says whether the place is a project.
func (at Place) IsProject() bool { return strings.HasPrefix(at.TeamID, projects.Kind().Prefix+"_") }

// budgetScope is what the budget of a team or project is called.
func (at Place) budgetScope() billing.ScopeKind {
	if at.IsProject() {
		return billing.ScopeProject
	}
	return billing.ScopeTeam
}

func (at Place) handout(field string, permissions ...string) rbac.Handout {
	return rbac.Handout{OrgID: at.OrgID, TeamID: at.TeamID, Permissions: permissions, Field: field}
}

func (at Place) roleHandout(field string, role rbac.Role, permissions ...string) rbac.Handout {
	h := at.handout(field, permissions...)
	h.Role = &role
	return h
}

// TeamPlace resolves a reference to a team, its id, its alias id or a slug. A slug is taken when exactly one team
// that the actor can see has it; several are a *store.ConflictError ambiguous_slug.
func (m *Manager) TeamPlace(ctx context.Context, ref string) (at Place, err error) {
	by, ok := audit.ActorFrom(ctx)
	if !ok {
		return at, rbac.ErrNoActor
	}
	err = m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		t, err := m.findTeam(ctx, tx, by, ref)
		if err == nil {
			err = m.mustBelong(ctx, tx, by, t.OrgID)
		}
		if err != nil {
			return err
		}
		at = Place{t.OrgID, t.ID}
		return nil
	})
	return at, err
}

// findTeam finds a team by a reference. By an id it finds that of anybody.
func (m *Manager) findTeam(ctx context.Context, tx *store.Tx, by audit.Actor, ref string) (found Team, err error) {
	if strings.HasPrefix(ref, teams.Kind().Prefix+"_") {
		return teams.Get(ctx, tx, ref)
	}
	if t, err := teams.Find(ctx, tx, store.Eq("alias_id", ref)); !errors.Is(err, store.ErrNotFound) {
		return t, err
	}
	for t, err := range teams.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("slug_key", store.SlugKey(ref))}}) {
		if err == nil {
			err = m.mustBelong(ctx, tx, by, t.OrgID)
		}
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return found, err
		case found.ID != "":
			return found, &store.ConflictError{Code: "ambiguous_slug", Message: "several teams have this slug; use the id"}
		default:
			found = t
		}
	}
	if found.ID == "" {
		return found, store.ErrNotFound
	}
	return found, nil
}

// ProjectPlace resolves a reference to a project of an organization, its id or slug.
func (m *Manager) ProjectPlace(ctx context.Context, org, ref string) (at Place, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return at, err
	}
	err = m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		p, err := findProject(ctx, tx, orgID, ref)
		at = Place{orgID, p.ID}
		return err
	})
	return at, err
}

// PlaceOfProject is where the project of an id is; one of an organization that is deleted is not there. It asks no permission:
// it serves the floors above.
func PlaceOfProject(ctx context.Context, tx *store.Tx, id string) (Place, error) {
	p, err := projects.Get(ctx, tx, id)
	if err != nil {
		return Place{}, err
	}
	if gone, err := isGone(ctx, tx, p.OrgID); err != nil || gone {
		return Place{}, cmp.Or(err, store.ErrNotFound)
	}
	return Place{p.OrgID, p.ID}, nil
}

// OrgPlace resolves a reference to an organization, its id or slug.
func (m *Manager) OrgPlace(ctx context.Context, ref string) (Place, error) {
	id, err := m.OrgID(ctx, ref)
	return Place{OrgID: id}, err
}

// mustBeIn answers store.ErrNotFound unless the actor is a member of the team or project: to who sees only
// their own there, somebody else's does not exist.
func mustBeIn(ctx context.Context, tx *store.Tx, at Place) error {
	if at.TeamID == "" {
		return nil
	}
	_, err := rbac.Assignments.Find(ctx, tx, store.Eq("subject", actor(ctx).Person()), store.Eq("org_id", at.OrgID), store.Eq("team_id", at.TeamID))
	return err
}
