package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
)

func parseInt(s string) (int, error) { return strconv.Atoi(s) }

type organizationView struct {
	base
	Name        string           `json:"name"`
	Slug        string           `json:"slug"`
	Description string           `json:"description"`
	Settings    orgs.OrgSettings `json:"settings"`
	Metadata    json.RawMessage  `json:"metadata"`
	Status      rbac.State       `json:"status"`
	SSOStatus   string           `json:"sso_status"`
}

// renderOrganization says of single sign-on what is true: it is not configured yet, and so not in
// force (F323).
func renderOrganization(o orgs.Organization) organizationView {
	return organizationView{base: baseOf(o.Meta), Name: o.Name, Slug: o.Slug, Description: o.Description, Settings: o.Settings,
		Metadata: o.Metadata, Status: o.State, SSOStatus: "not_configured"}
}

type newOrganization struct {
	Name        string           `json:"name"`
	Slug        string           `json:"slug,omitempty"`
	Description string           `json:"description,omitempty"`
	Settings    orgs.OrgSettings `json:"settings,omitzero"`
	Metadata    object           `json:"metadata,omitempty"`
	Owner       *owner           `json:"owner,omitempty"`
}

type owner struct {
	Email  string `json:"email,omitempty"`
	UserID string `json:"user_id,omitempty"`
}

type orgPath struct {
	Org string `path:"org"`
}

type orgList struct {
	Org   string `path:"org"`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After string `query:"after" maxLength:"1000"`
}

func (a *api) organizations() {
	add[struct{}, newOrganization](a, http.MethodPost, "/v1/organizations", "Create an organization", func(ctx context.Context, _ *struct{}) (*answer[organizationView], error) {
		in, err := read[newOrganization](ctx, a, false)
		if err != nil {
			return nil, err
		}
		n := orgs.NewOrganization{Name: in.Name, Slug: in.Slug, Description: in.Description, Settings: in.Settings, Metadata: json.RawMessage(in.Metadata)}
		if in.Owner != nil {
			if n.Owner = in.Owner.UserID; n.Owner == "" {
				n.Owner = in.Owner.Email
			}
		}
		o, err := a.CreateOrganization(ctx, n)
		return &answer[organizationView]{Status: 201, Location: a.created("/v1/organizations/" + o.ID), ETag: etag(o.Version), Body: renderOrganization(o)}, err
	})
	add[paging, struct{}](a, http.MethodGet, "/v1/organizations", "List organizations", func(ctx context.Context, in *paging) (*answer[list[organizationView]], error) {
		page, err := a.Organizations(ctx, in.Limit, in.After)
		return listOf(page, renderOrganization), err
	})
	add[orgPath, struct{}](a, http.MethodGet, "/v1/organizations/{org}", "Get an organization", func(ctx context.Context, in *orgPath) (*answer[organizationView], error) {
		o, err := a.Organization(ctx, in.Org)
		return &answer[organizationView]{Status: 200, ETag: etag(o.Version), Body: renderOrganization(o)}, err
	})
	a.budgets()
}

type budgetView struct {
	ID             string         `json:"id"`
	Scope          string         `json:"scope"`
	ScopeID        string         `json:"scope_id"`
	Window         string         `json:"window"`
	Hard           bool           `json:"hard_limit"`
	Currency       string         `json:"currency"`
	PeriodStart    string         `json:"period_start"`
	PeriodEnd      string         `json:"period_end"`
	Limit          billing.Amount `json:"limit"`
	EffectiveLimit billing.Amount `json:"effective_limit"`
	Spent          billing.Amount `json:"spent"`
	Reserved       billing.Amount `json:"reserved"`
	Remaining      billing.Amount `json:"remaining"`
	State          string         `json:"state"`
}

func (a *api) budgets() {
	add[orgPath, struct{}](a, http.MethodGet, "/v1/organizations/{org}/budgets", "List budgets and where they stand", func(ctx context.Context, in *orgPath) (*answer[list[budgetView]], error) {
		id, err := a.OrgID(ctx, in.Org)
		if err != nil {
			return nil, err
		}
		states, err := a.Overview(ctx, id)
		if err != nil {
			return nil, err
		}
		out := list[budgetView]{Data: []budgetView{}}
		for _, s := range states {
			out.Data = append(out.Data, budgetView{ID: s.Budget.ID, Scope: string(s.Budget.Scope), ScopeID: s.Budget.ScopeID, Window: s.Budget.Window,
				Hard: s.Budget.Hard, Currency: "USD", PeriodStart: stamp(s.PeriodStart), PeriodEnd: stamp(s.PeriodEnd), Limit: billing.NewAmount(s.Budget.Limit),
				EffectiveLimit: billing.NewAmount(s.Limit), Spent: billing.NewAmount(s.Spent), Reserved: billing.NewAmount(s.Reserved), Remaining: billing.NewAmount(s.Remaining), State: s.State})
		}
		return ok(out)
	})
}
