package rest

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
)

type projectView struct {
	Base
	OrganizationID string               `json:"organization_id"`
	Name           string               `json:"name"`
	Slug           string               `json:"slug"`
	Description    string               `json:"description"`
	Settings       orgs.ProjectSettings `json:"settings"`
	Metadata       json.RawMessage      `json:"metadata"`
	Tags           []string             `json:"tags"`
	Status         rbac.State           `json:"status"`
	MembersCount   int                  `json:"members_count"`
	BudgetState    *BudgetState         `json:"budget_state"`
}

func (a *api) renderProject(ctx context.Context, p orgs.Project) (projectView, error) {
	f, err := a.PlaceFigures(ctx, orgs.Place{OrgID: p.OrgID, TeamID: p.ID})
	return projectView{Base: baseOf(p.Meta), OrganizationID: p.OrgID, Name: p.Name, Slug: p.Slug, Description: p.Description, Settings: p.Settings,
		Metadata: p.Metadata, Tags: filled(p.Tags), Status: p.State, MembersCount: f.Members, BudgetState: renderBudgetState(f.Budget)}, err
}

func (a *api) project(ctx context.Context, p orgs.Project, err error) (*answer[projectView], error) {
	if err != nil {
		return nil, err
	}
	view, err := a.renderProject(ctx, p)
	return one(p.Version, view, err)
}

// ProjectBody is what a project is made of.
type ProjectBody struct {
	Name        string               `json:"name"`
	Slug        string               `json:"slug,omitempty"`
	Description string               `json:"description,omitempty"`
	Settings    orgs.ProjectSettings `json:"settings,omitzero"`
	Metadata    object               `json:"metadata,omitempty"`
	Tags        []string             `json:"tags,omitempty"`
}

// projectChange is what a project can be changed to.
type projectChange struct {
	ProjectBody
	Status rbac.State `json:"status,omitempty" enum:"active,archived" doc:"an archived project refuses its keys"`
}

func (a *api) projects() {
	const path = "/v1/organizations/{org}/projects"
	create[ProjectBody](a, path, "Create a project", func(ctx context.Context, _ *none) (*answer[projectView], error) {
		at, in, err := placed[ProjectBody](ctx, a)
		if err != nil {
			return nil, err
		}
		p, err := a.CreateProject(ctx, at.OrgID, orgs.NewProject{Name: in.Name, Slug: in.Slug, Description: in.Description, Settings: in.Settings,
			Metadata: json.RawMessage(in.Metadata), Tags: in.Tags})
		if err != nil {
			return nil, err
		}
		view, err := a.renderProject(ctx, p)
		return made(a, pathOf(orgs.Place{OrgID: p.OrgID, TeamID: p.ID}), p.Version, view, err)
	})
	add[partQuery, none](a, http.MethodGet, path, "List projects", func(ctx context.Context, q *partQuery) (*answer[list[projectView]], error) {
		page, err := a.Projects(ctx, param(ctx, "org"), q.filter())
		return listOf(page, err, func(p orgs.Project) (projectView, error) { return a.renderProject(ctx, p) })
	})
	get := func(ctx context.Context) (orgs.Project, error) {
		return a.Project(ctx, param(ctx, "org"), param(ctx, "project"))
	}
	add[none, none](a, http.MethodGet, path+"/{project}", "Get a project", func(ctx context.Context, _ *none) (*answer[projectView], error) {
		p, err := get(ctx)
		return a.project(ctx, p, err)
	})
	add[none, projectChange](a, http.MethodPatch, path+"/{project}", "Change a project", func(ctx context.Context, _ *none) (*answer[projectView], error) {
		p, err := patch(ctx, a, editing[orgs.Project, projectChange]{
			get:     get,
			version: func(p orgs.Project) int64 { return p.Version },
			view:    func(ctx context.Context, p orgs.Project) (any, error) { return a.renderProject(ctx, p) },
			body: func(p orgs.Project) projectChange {
				return projectChange{ProjectBody{p.Name, p.Slug, p.Description, p.Settings, object(p.Metadata), p.Tags}, p.State}
			},
			put: func(ctx context.Context, p orgs.Project, b projectChange, has fields) (orgs.Project, error) {
				return a.UpdateProject(ctx, p.OrgID, p.ID, orgs.ProjectUpdate{Name: given(has, "name", b.Name), Slug: given(has, "slug", b.Slug),
					Description: given(has, "description", b.Description), Settings: given(has, "settings", b.Settings),
					Metadata: given(has, "metadata", json.RawMessage(b.Metadata)), Tags: given(has, "tags", b.Tags), Status: given(has, "status", cmp.Or(b.Status, rbac.Active))})
			}})
		return a.project(ctx, p, err)
	})
	add[cascade, none](a, http.MethodDelete, path+"/{project}", "Delete a project", func(ctx context.Context, q *cascade) (*answer[deletedView], error) {
		p, err := a.DeleteProject(ctx, param(ctx, "org"), param(ctx, "project"), q.Cascade)
		return deleted(p.ID, err)
	})
}
