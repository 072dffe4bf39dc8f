package rest

import (
	"context"
	"net/http"
	"slices"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
)

type accessQuery struct {
	Action   string `query:"action"`
	Resource string `query:"resource"`
}

// accessView says who may do something, by the ids of users and API keys, sorted.
type accessView struct {
	OrganizationID string   `json:"organization_id"`
	TeamID         *string  `json:"team_id"`
	Action         string   `json:"action"`
	Resource       string   `json:"resource"`
	Always         []string `json:"always"`      // whatever the call is like
	Conditional    []string `json:"conditional"` // if conditions hold, or on what is their own
	Never          int      `json:"never"`       // how many others hold something in the organization
}

type casbinView struct {
	Model  string `json:"model"`  // the text of a model.conf
	Policy string `json:"policy"` // and of a policy.csv
}

type exportQuery struct {
	Format string `query:"format" enum:"casbin" default:"casbin"`
}

type lintView struct {
	Findings []findingView `json:"findings"`
}

type findingView struct {
	Type   string  `json:"type"` // policy, role, override or settings
	ID     string  `json:"id"`
	TeamID *string `json:"team_id"`
	rbac.Warning
}

type actionsQuery struct {
	TeamID         string `query:"team_id" doc:"the context: this, or organization_id"`
	OrganizationID string `query:"organization_id"`
	Resource       string `query:"resource"`
}

type actionsView struct {
	Subject        string       `json:"subject"` // user or API key
	OrganizationID string       `json:"organization_id"`
	TeamID         *string      `json:"team_id"`
	Resource       string       `json:"resource"`
	Actions        []actionView `json:"actions"` // those that are refused whatever the call is like are left out
}

type actionView struct {
	Action   string       `json:"action"`
	Decision rbac.Verdict `json:"decision"`
}

// actions serves what one user, or API key, may do.
func (a *api) actions() {
	add[actionsQuery, none](a, http.MethodGet, "/v1/users/{user}/can", "What may the user do?", func(ctx context.Context, q *actionsQuery) (*answer[actionsView], error) {
		is, err := a.Actions(ctx, orgs.PermissionQuery{User: param(ctx, "user"), Team: q.TeamID, Organization: q.OrganizationID, Resource: q.Resource})
		if err != nil {
			return nil, err
		}
		v := actionsView{is.Subject, is.Place.OrgID, optional(is.Place.TeamID), q.Resource, make([]actionView, len(is.Actions))}
		for i, p := range is.Actions {
			v.Actions[i] = actionView{p.Action, p.Verdict}
		}
		return ok(v)
	})
}

// access serves the questions that are asked the other way round.
func (a *api) access() {
	for _, place := range []string{"/v1/teams/{team}", "/v1/organizations/{org}"} {
		add[accessQuery, none](a, http.MethodGet, place+"/who-can", "Who may do this?", func(ctx context.Context, q *accessQuery) (*answer[accessView], error) {
			at, err := a.place(ctx)
			if err != nil {
				return nil, err
			}
			h, err := a.WhoCan(ctx, rbac.AccessQuery{OrgID: at.OrgID, TeamID: at.TeamID, Action: q.Action, Resource: q.Resource})
			if err != nil {
				return nil, err
			}
			slices.Sort(h.Always)
			slices.Sort(h.Conditional)
			return ok(accessView{OrganizationID: at.OrgID, TeamID: optional(at.TeamID), Action: q.Action, Resource: q.Resource,
				Always: filled(h.Always), Conditional: filled(h.Conditional), Never: h.Never})
		})
	}
	a.actions()
	add[none, none](a, http.MethodGet, "/v1/organizations/{org}/lint", "What cannot do what it looks like", func(ctx context.Context, _ *none) (*answer[lintView], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		found, err := a.Lint(ctx, at.OrgID)
		if err != nil {
			return nil, err
		}
		v := lintView{Findings: make([]findingView, len(found))}
		for i, f := range found {
			v.Findings[i] = findingView{f.Type, f.ID, optional(f.TeamID), f.Warning}
		}
		return ok(v)
	})
	add[exportQuery, none](a, http.MethodGet, "/v1/organizations/{org}/policies/export", "Export the rules for Casbin", func(ctx context.Context, _ *exportQuery) (*answer[casbinView], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		x, err := a.CasbinExport(ctx, at.OrgID)
		if err != nil {
			return nil, err
		}
		return ok(casbinView{x.Model, x.Policy})
	})
}
