package rest

import (
	"context"
	"net/http"

	"github.com/orgkit/orgkit/rbac"
)

type roleView struct {
	Base
	OrganizationID string   `json:"organization_id"`
	Name           string   `json:"name"`
	Slug           string   `json:"slug"`
	Description    string   `json:"description"`
	Permissions    []string `json:"permissions"`
	Inherited      bool     `json:"inherited"`
	IsSystem       bool     `json:"is_system"`
	MembersCount   int      `json:"members_count"`

	Warnings []rbac.Warning `json:"warnings,omitempty"` // in the answer to a change
}

func (a *api) renderRole(ctx context.Context, r rbac.Role) (roleView, error) {
	holders, err := a.RoleHolders(ctx, r)
	return roleView{Base: baseOf(r.Meta), OrganizationID: r.OrgID, Name: r.Name, Slug: r.Slug, Description: r.Description,
		Permissions: filled(r.Permissions), Inherited: r.Inherited, IsSystem: r.IsSystem, MembersCount: holders}, err
}

func (a *api) role(ctx context.Context, r rbac.Role, err error) (*answer[roleView], error) {
	if err != nil {
		return nil, err
	}
	view, err := a.renderRole(ctx, r)
	return one(r.Version, view, err)
}

// RoleBody is what a role can be changed to.
type RoleBody struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Permissions []string `json:"permissions"`
	Inherited   bool     `json:"inherited,omitempty" doc:"held at the level of the organization it acts below it too"`
}

type newRole struct {
	RoleBody
	Slug     string `json:"slug,omitempty"`
	IsSystem bool   `json:"is_system,omitempty"`
}

func (a *api) roles() {
	const path = "/v1/organizations/{org}/roles"
	create[newRole](a, path, "Create a role", func(ctx context.Context, _ *none) (*answer[roleView], error) {
		at, in, err := placed[newRole](ctx, a)
		if err != nil {
			return nil, err
		}
		r, err := a.CreateRole(ctx, at.OrgID, rbac.NewRole{Name: in.Name, Slug: in.Slug, Description: in.Description,
			Permissions: in.Permissions, Inherited: in.Inherited, IsSystem: in.IsSystem})
		if err != nil {
			return nil, err
		}
		view, err := a.renderRole(ctx, r)
		view.Warnings = a.LintPermissions("permissions", r.Permissions)
		return made(a, pathOf(at)+"/roles/"+r.ID, r.Version, view, err)
	})
	add[paging, none](a, http.MethodGet, path, "List roles", func(ctx context.Context, q *paging) (*answer[list[roleView]], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		page, err := a.Roles(ctx, at.OrgID, q.Limit, q.After)
		return listOf(page, err, func(r rbac.Role) (roleView, error) { return a.renderRole(ctx, r) })
	})
	get := func(ctx context.Context) (rbac.Role, error) {
		at, err := a.place(ctx)
		if err != nil {
			return rbac.Role{}, err
		}
		return a.Role(ctx, at.OrgID, param(ctx, "role"))
	}
	add[none, none](a, http.MethodGet, path+"/{role}", "Get a role", func(ctx context.Context, _ *none) (*answer[roleView], error) {
		r, err := get(ctx)
		return a.role(ctx, r, err)
	})
	add[none, RoleBody](a, http.MethodPatch, path+"/{role}", "Change a role", func(ctx context.Context, _ *none) (*answer[roleView], error) {
		r, err := patch(ctx, a, editing[rbac.Role, RoleBody]{
			get:     get,
			version: func(r rbac.Role) int64 { return r.Version },
			view:    func(ctx context.Context, r rbac.Role) (any, error) { return a.renderRole(ctx, r) },
			body: func(r rbac.Role) RoleBody {
				return RoleBody{r.Name, r.Description, filled(r.Permissions), r.Inherited}
			},
			put: func(ctx context.Context, r rbac.Role, b RoleBody, has fields) (rbac.Role, error) {
				return a.UpdateRole(ctx, r.OrgID, r.ID, rbac.RoleUpdate{Name: given(has, "name", b.Name), Description: given(has, "description", b.Description),
					Permissions: given(has, "permissions", b.Permissions), Inherited: given(has, "inherited", b.Inherited)})
			}})
		out, err := a.role(ctx, r, err)
		if err == nil {
			out.Body.Warnings = a.LintPermissions("permissions", r.Permissions)
		}
		return out, err
	})
	type replacement struct {
		ReplaceWith string `query:"replace_with" doc:"id or slug of the role that takes its place"`
	}
	add[replacement, none](a, http.MethodDelete, path+"/{role}", "Delete a role", func(ctx context.Context, q *replacement) (*answer[deletedView], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		r, err := a.DeleteRole(ctx, at.OrgID, param(ctx, "role"), q.ReplaceWith)
		return deleted(r.ID, err)
	})
	a.overrides()
}

type overrideView struct {
	Base
	TeamID    string     `json:"team_id"`
	Role      string     `json:"role"`
	Overrides grantsView `json:"permissions_override"`
	Effective []string   `json:"effective_permissions"` // what the role means in the team

	Warnings []rbac.Warning `json:"warnings,omitempty"` // in the answer to a change
}

func (a *api) renderOverride(ctx context.Context, o rbac.Override) (overrideView, error) {
	means, err := a.OverrideMeans(ctx, o)
	return overrideView{Base: baseOf(o.Meta), TeamID: o.TeamID, Role: o.Role, Overrides: grantsView{filled(o.Add), filled(o.Remove)},
		Effective: filled(means)}, err
}

type newOverride struct {
	Role      string `json:"role"`
	Overrides grants `json:"permissions_override"`
}

func (a *api) overrides() {
	const path = "/v1/teams/{team}/roles"
	create[newOverride](a, path, "Set what a role means in a team", func(ctx context.Context, _ *none) (*answer[overrideView], error) {
		at, in, err := placed[newOverride](ctx, a)
		if err != nil {
			return nil, err
		}
		o, fresh, err := a.SetOverride(ctx, at.OrgID, at.TeamID, in.Role, in.Overrides.Add, in.Overrides.Remove)
		if err != nil {
			return nil, err
		}
		view, err := a.renderOverride(ctx, o)
		view.Warnings = append(a.LintPermissions("permissions_override.add", o.Add), a.LintPermissions("permissions_override.remove", o.Remove)...)
		if fresh {
			return made(a, pathOf(at)+"/roles", o.Version, view, err)
		}
		return one(o.Version, view, err)
	})
	add[paging, none](a, http.MethodGet, path, "List what roles mean in a team", func(ctx context.Context, q *paging) (*answer[list[overrideView]], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		page, err := a.Overrides(ctx, at.OrgID, at.TeamID, q.Limit, q.After)
		return listOf(page, err, func(o rbac.Override) (overrideView, error) { return a.renderOverride(ctx, o) })
	})
	add[none, none](a, http.MethodDelete, path+"/{role}", "Let a role mean in a team what it means elsewhere", func(ctx context.Context, _ *none) (*answer[deletedView], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		o, err := a.DeleteOverride(ctx, at.OrgID, at.TeamID, param(ctx, "role"))
		return deleted(o.ID, err)
	})
}
