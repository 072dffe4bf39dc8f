package rest

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
)

type policyView struct {
	base
	OrganizationID string           `json:"organization_id"`
	TeamID         *string          `json:"team_id"`
	Name           string           `json:"name"`
	Description    string           `json:"description"`
	Statements     []rbac.Statement `json:"statements"`
	Enabled        bool             `json:"enabled"`
	Warnings       []rbac.Warning   `json:"warnings,omitempty"`
}

func renderPolicy(p rbac.Policy) policyView {
	return policyView{base: baseOf(p.Meta), OrganizationID: p.OrgID, TeamID: optional(p.TeamID), Name: p.Name, Description: p.Description,
		Statements: p.Statements, Enabled: p.Enabled}
}

type newPolicy struct {
	Name        string      `json:"name"`
	Description string      `json:"description,omitempty"`
	Statements  []statement `json:"statements"`
	Enabled     *bool       `json:"enabled,omitempty"` // absent: true
}

// policies serves the policies of teams and of organizations alike.
func (a *api) policies() {
	type ofTeam struct {
		Team   string `path:"team"`
		Policy string `path:"policy"`
	}
	type ofOrg struct {
		Org    string `path:"org"`
		Policy string `path:"policy"`
	}
	policiesAt(a, "/v1/teams/{team}/policies",
		func(ctx context.Context, in *teamPath) (orgs.Place, error) { return a.TeamPlace(ctx, in.Team) },
		func(ctx context.Context, in *ofTeam) (orgs.Place, string, error) {
			at, err := a.TeamPlace(ctx, in.Team)
			return at, in.Policy, err
		},
		func(ctx context.Context, in *teamList) (orgs.Place, paging, error) {
			at, err := a.TeamPlace(ctx, in.Team)
			return at, paging{in.Limit, in.After}, err
		})
	policiesAt(a, "/v1/organizations/{org}/policies",
		func(ctx context.Context, in *orgPath) (orgs.Place, error) { return a.OrgPlace(ctx, in.Org) },
		func(ctx context.Context, in *ofOrg) (orgs.Place, string, error) {
			at, err := a.OrgPlace(ctx, in.Org)
			return at, in.Policy, err
		},
		func(ctx context.Context, in *orgList) (orgs.Place, paging, error) {
			at, err := a.OrgPlace(ctx, in.Org)
			return at, paging{in.Limit, in.After}, err
		})
}

func policiesAt[At, One, Many any](a *api, path string, place func(context.Context, *At) (orgs.Place, error),
	one func(context.Context, *One) (orgs.Place, string, error), many func(context.Context, *Many) (orgs.Place, paging, error)) {
	add[At, newPolicy](a, http.MethodPost, path, "Attach a policy", func(ctx context.Context, in *At) (*answer[policyView], error) {
		at, err := place(ctx, in)
		if err != nil {
			return nil, err
		}
		n, err := a.readPolicy(ctx)
		if err != nil {
			return nil, err
		}
		p, warnings, err := a.CreatePolicy(ctx, at.OrgID, at.TeamID, n)
		view := renderPolicy(p)
		view.Warnings = warnings
		where := "/v1/organizations/" + at.OrgID
		if at.TeamID != "" {
			where = "/v1/teams/" + at.TeamID
		}
		return &answer[policyView]{Status: 201, Location: a.created(where + "/policies/" + p.ID), ETag: etag(p.Version), Body: view}, err
	})
	add[Many, struct{}](a, http.MethodGet, path, "List policies", func(ctx context.Context, in *Many) (*answer[list[policyView]], error) {
		at, p, err := many(ctx, in)
		if err != nil {
			return nil, err
		}
		page, err := a.Policies(ctx, at.OrgID, at.TeamID, p.Limit, p.After)
		return listOf(page, renderPolicy), err
	})
	add[One, struct{}](a, http.MethodGet, path+"/{policy}", "Get a policy", func(ctx context.Context, in *One) (*answer[policyView], error) {
		at, id, err := one(ctx, in)
		if err != nil {
			return nil, err
		}
		p, err := a.Policy(ctx, at.OrgID, at.TeamID, id)
		return &answer[policyView]{Status: 200, ETag: etag(p.Version), Body: renderPolicy(p)}, err
	})
	add[One, struct{}](a, http.MethodDelete, path+"/{policy}", "Detach and delete a policy", func(ctx context.Context, in *One) (*answer[policyView], error) {
		at, id, err := one(ctx, in)
		if err != nil {
			return nil, err
		}
		p, err := a.DeletePolicy(ctx, at.OrgID, at.TeamID, id)
		if err != nil {
			return nil, err
		}
		return ok(renderPolicy(p))
	})
}

// readPolicy leaves the statements to rbac, whose errors name the condition that is wrong.
func (a *api) readPolicy(ctx context.Context) (rbac.NewPolicy, error) {
	in, err := read[newPolicy](ctx, a, false)
	if err != nil {
		return rbac.NewPolicy{}, err
	}
	n := rbac.NewPolicy{Name: in.Name, Description: in.Description, Disabled: in.Enabled != nil && !*in.Enabled}
	for i, raw := range in.Statements {
		var st rbac.Statement
		if err := json.Unmarshal(raw, &st); err != nil {
			return n, indexed(err, "statements", i)
		}
		n.Statements = append(n.Statements, st)
	}
	return n, nil
}
