package rest

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/orgkit/orgkit/rbac"
)

type policyView struct {
	Base
	OrganizationID string           `json:"organization_id"`
	TeamID         *string          `json:"team_id"`
	Name           string           `json:"name"`
	Description    string           `json:"description"`
	Statements     []rbac.Statement `json:"statements"`
	Enabled        bool             `json:"enabled"`
	Warnings       []rbac.Warning   `json:"warnings,omitempty"` // in the answer to a change
}

func renderPolicy(p rbac.Policy) policyView {
	return policyView{Base: baseOf(p.Meta), OrganizationID: p.OrgID, TeamID: optional(p.TeamID), Name: p.Name, Description: p.Description,
		Statements: p.Statements, Enabled: p.Enabled}
}

type policyBody struct {
	Name        string      `json:"name"`
	Description string      `json:"description,omitempty"`
	Statements  []statement `json:"statements"`
	Enabled     *bool       `json:"enabled,omitempty"` // absent: true
}

// input leaves the statements to rbac, whose errors name the condition that is wrong.
func (in policyBody) input() (rbac.NewPolicy, error) {
	n := rbac.NewPolicy{Name: in.Name, Description: in.Description, Disabled: !or(in.Enabled, true)}
	for i, raw := range in.Statements {
		var st rbac.Statement
		if err := json.Unmarshal(raw, &st); err != nil {
			return n, indexed(err, "statements", i)
		}
		n.Statements = append(n.Statements, st)
	}
	return n, nil
}

// policies serves the policies of teams and of organizations alike.
func (a *api) policies() {
	for _, place := range []string{"/v1/teams/{team}", "/v1/organizations/{org}"} {
		a.policiesAt(place + "/policies")
		a.onePolicyAt(place + "/policies/{policy}")
	}
}

func (a *api) policiesAt(path string) {
	create[policyBody](a, path, "Attach a policy", func(ctx context.Context, _ *none) (*answer[policyView], error) {
		at, in, err := placed[policyBody](ctx, a)
		if err != nil {
			return nil, err
		}
		n, err := in.input()
		if err != nil {
			return nil, err
		}
		p, warnings, err := a.CreatePolicy(ctx, at.OrgID, at.TeamID, n)
		view := renderPolicy(p)
		view.Warnings = warnings
		return made(a, pathOf(at)+"/policies/"+p.ID, p.Version, view, err)
	})
	add[paging, none](a, http.MethodGet, path, "List policies", func(ctx context.Context, q *paging) (*answer[list[policyView]], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		page, err := a.Policies(ctx, at.OrgID, at.TeamID, q.Limit, q.After)
		return listOf(page, err, always(renderPolicy))
	})
}

func (a *api) onePolicyAt(path string) {
	get := func(ctx context.Context) (rbac.Policy, error) {
		at, err := a.place(ctx)
		if err != nil {
			return rbac.Policy{}, err
		}
		return a.Policy(ctx, at.OrgID, at.TeamID, param(ctx, "policy"))
	}
	add[none, none](a, http.MethodGet, path, "Get a policy", func(ctx context.Context, _ *none) (*answer[policyView], error) {
		p, err := get(ctx)
		return one(p.Version, renderPolicy(p), err)
	})
	add[none, policyBody](a, http.MethodPut, path, "Replace a policy", func(ctx context.Context, _ *none) (*answer[policyView], error) {
		at, in, err := placed[policyBody](ctx, a)
		if err != nil {
			return nil, err
		}
		n, err := in.input()
		if err != nil {
			return nil, err
		}
		p, warnings, err := a.UpdatePolicy(ctx, at.OrgID, at.TeamID, param(ctx, "policy"), n)
		view := renderPolicy(p)
		view.Warnings = warnings
		return one(p.Version, view, err)
	})
	add[none, policyBody](a, http.MethodPatch, path, "Change a policy", func(ctx context.Context, _ *none) (*answer[policyView], error) {
		var warnings []rbac.Warning
		p, err := patch(ctx, a, editing[rbac.Policy, policyBody]{
			get:     get,
			version: func(p rbac.Policy) int64 { return p.Version },
			view:    func(_ context.Context, p rbac.Policy) (any, error) { return renderPolicy(p), nil },
			body:    bodyOfPolicy,
			put: func(ctx context.Context, p rbac.Policy, b policyBody, _ fields) (rbac.Policy, error) {
				n, err := b.input()
				if err != nil {
					return p, err
				}
				p, warnings, err = a.UpdatePolicy(ctx, p.OrgID, p.TeamID, p.ID, n)
				return p, err
			}})
		view := renderPolicy(p)
		view.Warnings = warnings
		return one(p.Version, view, err)
	})
	add[none, none](a, http.MethodDelete, path, "Detach and delete a policy", func(ctx context.Context, _ *none) (*answer[deletedView], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		p, err := a.DeletePolicy(ctx, at.OrgID, at.TeamID, param(ctx, "policy"))
		return deleted(p.ID, err)
	})
}

func bodyOfPolicy(p rbac.Policy) policyBody {
	b := policyBody{Name: p.Name, Description: p.Description, Enabled: &p.Enabled}
	for _, st := range p.Statements {
		text, err := json.Marshal(st)
		if err != nil {
			panic(err) // it was read from JSON
		}
		b.Statements = append(b.Statements, text)
	}
	return b
}
