package rest

import (
	"context"
	"net/http"
	"slices"

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

// access serves the questions that are asked the other way round.
func (a *api) access() {
	for _, place := range []string{"/v1/teams/{team}", "/v1/organizations/{org}"} {
		add[accessQuery, none](a, http.MethodGet, place+"/access", "Who may do this?", func(ctx context.Context, q *accessQuery) (*answer[accessView], error) {
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
	add[none, none](a, http.MethodGet, "/v1/organizations/{org}/casbin", "Export the rules for Casbin", func(ctx context.Context, _ *none) (*answer[casbinView], error) {
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
