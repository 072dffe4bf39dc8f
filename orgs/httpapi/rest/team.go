package rest

import (
	"context"
	"net/http"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
)

type teamView struct {
	Base
	OrganizationID string            `json:"organization_id"`
	Name           string            `json:"name"`
	Slug           string            `json:"slug"`
	Description    string            `json:"description"`
	Settings       orgs.TeamSettings `json:"settings"`
	Effective      effectiveView     `json:"effective"`
	Status         rbac.State        `json:"status"`
	MembersCount   int               `json:"members_count"`
	BudgetState    *BudgetState      `json:"budget_state"`
}

func (a *api) renderTeam(ctx context.Context, t orgs.Team) (teamView, error) {
	f, err := a.PlaceFigures(ctx, orgs.Place{OrgID: t.OrgID, TeamID: t.ID})
	return viewTeam(t, f), err
}

func viewTeam(t orgs.Team, f orgs.PlaceFigures) teamView {
	return teamView{Base: baseOf(t.Meta), OrganizationID: t.OrgID, Name: t.Name, Slug: t.Slug, Description: t.Description, Settings: t.Settings,
		Effective: effectiveOf(t.Settings), Status: t.State, MembersCount: f.Members, BudgetState: renderBudgetState(f.Budget)}
}

func (a *api) team(ctx context.Context, t orgs.Team, err error) (*answer[teamView], error) {
	if err != nil {
		return nil, err
	}
	view, err := a.renderTeam(ctx, t)
	return one(t.Version, view, err)
}

// teamBody is what a team is made of and can be changed to.
type teamBody struct {
	Name        string            `json:"name"`
	Slug        string            `json:"slug,omitempty"`
	Description string            `json:"description,omitempty"`
	Settings    orgs.TeamSettings `json:"settings,omitzero"`
}

// partQuery is the query of a list of teams or projects.
type partQuery struct {
	Slug   string     `query:"slug"`
	Status rbac.State `query:"status" enum:"active,archived"`
	Limit  int        `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After  string     `query:"after" maxLength:"1000"`
}

func (q *partQuery) filter() orgs.PartFilter {
	return orgs.PartFilter{Slug: q.Slug, Status: q.Status, Limit: q.Limit, After: q.After}
}

func (a *api) teams() {
	create[teamBody](a, "/v1/organizations/{org}/teams", "Create a team", func(ctx context.Context, _ *none) (*answer[teamView], error) {
		at, in, err := placed[teamBody](ctx, a)
		if err != nil {
			return nil, err
		}
		t, err := a.CreateTeam(ctx, at.OrgID, orgs.NewTeam{Name: in.Name, Slug: in.Slug, Description: in.Description, Settings: in.Settings})
		if err != nil {
			return nil, err
		}
		view, err := a.renderTeam(ctx, t)
		return made(a, "/v1/teams/"+t.ID, t.Version, view, err)
	})
	add[partQuery, none](a, http.MethodGet, "/v1/organizations/{org}/teams", "List teams", func(ctx context.Context, q *partQuery) (*answer[list[teamView]], error) {
		page, err := a.Teams(ctx, param(ctx, "org"), q.filter())
		return listOf(page, err, func(t orgs.Team) (teamView, error) { return a.renderTeam(ctx, t) })
	})
	const path = "/v1/teams/{team}"
	get := func(ctx context.Context) (orgs.Team, error) { return a.Team(ctx, param(ctx, "team")) }
	add[none, none](a, http.MethodGet, path, "Get a team", func(ctx context.Context, _ *none) (*answer[teamView], error) {
		t, f, err := a.TeamFigures(ctx, param(ctx, "team"))
		return one(t.Version, viewTeam(t, f), err)
	})
	add[none, teamBody](a, http.MethodPatch, path, "Change a team", func(ctx context.Context, _ *none) (*answer[teamView], error) {
		t, err := patch(ctx, a, editing[orgs.Team, teamBody]{
			get:     get,
			version: func(t orgs.Team) int64 { return t.Version },
			view:    func(ctx context.Context, t orgs.Team) (any, error) { return a.renderTeam(ctx, t) },
			body:    func(t orgs.Team) teamBody { return teamBody{t.Name, t.Slug, t.Description, t.Settings} },
			put: func(ctx context.Context, t orgs.Team, b teamBody, has fields) (orgs.Team, error) {
				return a.UpdateTeam(ctx, t.ID, orgs.TeamUpdate{Name: given(has, "name", b.Name), Slug: given(has, "slug", b.Slug),
					Description: given(has, "description", b.Description), Settings: given(has, "settings", b.Settings)})
			}})
		return a.team(ctx, t, err)
	})
	add[cascade, none](a, http.MethodDelete, path, "Delete a team", func(ctx context.Context, q *cascade) (*answer[deletedView], error) {
		t, err := a.DeleteTeam(ctx, param(ctx, "team"), q.Cascade)
		return deleted(t.ID, err)
	})
	add[none, none](a, http.MethodPost, path+"/archive", "Stop the keys of a team", func(ctx context.Context, _ *none) (*answer[teamView], error) {
		t, err := a.ArchiveTeam(ctx, param(ctx, "team"))
		return a.team(ctx, t, err)
	})
	add[none, none](a, http.MethodPost, path+"/unarchive", "Let the keys of an archived team work again", func(ctx context.Context, _ *none) (*answer[teamView], error) {
		t, err := a.UnarchiveTeam(ctx, param(ctx, "team"))
		return a.team(ctx, t, err)
	})
}
