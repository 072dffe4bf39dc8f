package rest

import (
	"context"
	"net/http"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

type roleView struct {
	base
	OrganizationID string   `json:"organization_id"`
	Name           string   `json:"name"`
	Slug           string   `json:"slug"`
	Description    string   `json:"description"`
	Permissions    []string `json:"permissions"`
	IsSystem       bool     `json:"is_system"`
}

func renderRole(r rbac.Role) roleView {
	return roleView{base: baseOf(r.Meta), OrganizationID: r.OrgID, Name: r.Name, Slug: r.Slug, Description: r.Description,
		Permissions: none(r.Permissions), IsSystem: r.IsSystem}
}

type newRole struct {
	Name        string   `json:"name"`
	Slug        string   `json:"slug,omitempty"`
	Description string   `json:"description,omitempty"`
	Permissions []string `json:"permissions"`
	IsSystem    bool     `json:"is_system,omitempty"`
}

type overrideView struct {
	base
	TeamID    string     `json:"team_id"`
	Role      string     `json:"role"`
	Overrides grantsView `json:"permissions_override"`
}

func renderOverride(o rbac.Override) overrideView {
	return overrideView{base: baseOf(o.Meta), TeamID: o.TeamID, Role: o.Role, Overrides: grantsView{none(o.Add), none(o.Remove)}}
}

type newOverride struct {
	Role      string `json:"role"`
	Overrides grants `json:"permissions_override"`
}

func (a *api) roles() {
	add[orgPath, newRole](a, http.MethodPost, "/v1/organizations/{org}/roles", "Create a role", func(ctx context.Context, in *orgPath) (*answer[roleView], error) {
		id, err := a.OrgID(ctx, in.Org)
		if err != nil {
			return nil, err
		}
		body, err := read[newRole](ctx, a, false)
		if err != nil {
			return nil, err
		}
		r, err := a.CreateRole(ctx, id, rbac.NewRole{Name: body.Name, Slug: body.Slug, Description: body.Description, Permissions: body.Permissions, IsSystem: body.IsSystem})
		return &answer[roleView]{Status: 201, Location: a.created("/v1/organizations/" + id + "/roles/" + r.ID), ETag: etag(r.Version), Body: renderRole(r)}, err
	})
	add[orgList, struct{}](a, http.MethodGet, "/v1/organizations/{org}/roles", "List roles", func(ctx context.Context, in *orgList) (*answer[list[roleView]], error) {
		id, err := a.OrgID(ctx, in.Org)
		if err != nil {
			return nil, err
		}
		page, err := a.Roles(ctx, id, in.Limit, in.After)
		return listOf(page, renderRole), err
	})
	type rolePath struct {
		Org  string `path:"org"`
		Role string `path:"role"`
	}
	add[rolePath, struct{}](a, http.MethodGet, "/v1/organizations/{org}/roles/{role}", "Get a role", func(ctx context.Context, in *rolePath) (*answer[roleView], error) {
		id, err := a.OrgID(ctx, in.Org)
		if err != nil {
			return nil, err
		}
		r, err := a.Role(ctx, id, in.Role)
		return &answer[roleView]{Status: 200, ETag: etag(r.Version), Body: renderRole(r)}, err
	})
	a.overrides()
}

func (a *api) overrides() {
	add[teamPath, newOverride](a, http.MethodPost, "/v1/teams/{team}/roles", "Set what a role means in a team", func(ctx context.Context, in *teamPath) (*answer[overrideView], error) {
		at, err := a.TeamPlace(ctx, in.Team)
		if err != nil {
			return nil, err
		}
		body, err := read[newOverride](ctx, a, false)
		if err != nil {
			return nil, err
		}
		o, fresh, err := a.SetOverride(ctx, at.OrgID, at.TeamID, body.Role, body.Overrides.Add, body.Overrides.Remove)
		out := &answer[overrideView]{Status: 200, ETag: etag(o.Version), Body: renderOverride(o)}
		if fresh {
			out.Status, out.Location = 201, a.created("/v1/teams/"+at.TeamID+"/roles")
		}
		return out, err
	})
	add[teamList, struct{}](a, http.MethodGet, "/v1/teams/{team}/roles", "List what roles mean in a team", func(ctx context.Context, in *teamList) (*answer[list[overrideView]], error) {
		at, err := a.TeamPlace(ctx, in.Team)
		if err != nil {
			return nil, err
		}
		var page store.Page[rbac.Override]
		page, err = a.Overrides(ctx, at.OrgID, at.TeamID, in.Limit, in.After)
		return listOf(page, renderOverride), err
	})
}
