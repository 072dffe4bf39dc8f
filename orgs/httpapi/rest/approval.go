package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
)

type approvalView struct {
	Base
	OrganizationID string              `json:"organization_id"`
	TeamID         *string             `json:"team_id"`
	ProjectID      *string             `json:"project_id"`
	Requester      string              `json:"requester"`
	Action         string              `json:"action"`
	Resource       string              `json:"resource"`
	Reason         string              `json:"reason"`
	Status         rbac.ApprovalStatus `json:"status"` // now
	Requirements   []rbac.ApprovalNeed `json:"requirements"`
	Decisions      []voteView          `json:"decisions"`
	ExpiresAt      string              `json:"expires_at"` // of the request, the grant or the denial
	Grant          *grantView          `json:"grant"`      // null: nothing was granted
}

type voteView struct {
	By        string          `json:"by"`
	Decision  string          `json:"decision"`
	Reason    string          `json:"reason"`
	At        string          `json:"at"`
	Hours     int             `json:"expires_in_hours"`
	MaxAmount *billing.Amount `json:"max_amount"`
}

type grantView struct {
	ExpiresAt string          `json:"expires_at"`
	MaxAmount *billing.Amount `json:"max_amount"` // per call; null: whatever it costs
}

func (a *api) renderApproval(p rbac.Approval) approvalView {
	v := approvalView{Base: baseOf(p.Meta), OrganizationID: p.OrgID, Requester: p.Requester, Action: p.Action, Resource: p.Resource, Reason: p.Reason,
		Status: p.StatusAt(a.Store().Now()), Requirements: p.Requirements, Decisions: make([]voteView, len(p.Decisions)), ExpiresAt: httpapi.Stamp(p.EndsAt)}
	v.TeamID, v.ProjectID = partOf(orgs.Place{OrgID: p.OrgID, TeamID: p.TeamID})
	for i, d := range p.Decisions {
		v.Decisions[i] = voteView{d.By, "deny", d.Reason, httpapi.Stamp(d.At), int(d.Lasts / time.Hour), amountOf(d.MaxAmount)}
		if d.Approve {
			v.Decisions[i].Decision = "approve"
		}
	}
	if v.Status == rbac.ApprovalApproved {
		v.Grant = &grantView{v.ExpiresAt, amountOf(p.MaxAmount)}
	}
	return v
}

func amountOf(d *decimal.Decimal) *billing.Amount {
	if d == nil {
		return nil
	}
	m := billing.NewAmount(*d)
	return &m
}

type newApproval struct {
	Action   string `json:"action,omitempty"` // absent: models.use
	Resource string `json:"resource"`
	Reason   string `json:"reason,omitempty" maxLength:"2000"`
}

type newDecision struct {
	Decision       string          `json:"decision" enum:"approve,deny"`
	Reason         string          `json:"reason,omitempty" maxLength:"2000"`
	ExpiresInHours int             `json:"expires_in_hours,omitempty" minimum:"1" maximum:"8760"`
	MaxAmount      *billing.Amount `json:"max_amount,omitempty"`
}

type withdrawal struct {
	Reason string `json:"reason,omitempty" maxLength:"2000"`
}

func (a *api) approvals() {
	for _, place := range places {
		a.approvalsAt(place + "/approvals")
	}
	const path = "/v1/approvals/{approval}"
	byID(a, http.MethodGet, path, "Get an approval request", func(ctx context.Context, orgID, id string, _ none) (rbac.Approval, error) {
		return a.Approval(ctx, orgID, id)
	})
	byID(a, http.MethodDelete, path, "Withdraw an approval request, or what was granted on it", func(ctx context.Context, orgID, id string, in withdrawal) (rbac.Approval, error) {
		return a.WithdrawApproval(ctx, orgID, id, in.Reason)
	})
	byID(a, http.MethodPost, path+"/decision", "Approve or deny", func(ctx context.Context, orgID, id string, in newDecision) (rbac.Approval, error) {
		d := rbac.ApprovalDecision{Approve: in.Decision == "approve", Reason: in.Reason, Lasts: time.Duration(in.ExpiresInHours) * time.Hour}
		if in.MaxAmount != nil {
			m := in.MaxAmount.Decimal()
			d.MaxAmount = &m
		}
		return a.DecideApproval(ctx, orgID, id, d)
	})
}

// byID registers an operation on one request, whose organization is found by its id.
func byID[B any](a *api, method, path, summary string, fn func(ctx context.Context, orgID, id string, in B) (rbac.Approval, error)) {
	add[none, B](a, method, path, summary, func(ctx context.Context, _ *none) (*answer[approvalView], error) {
		id := param(ctx, "approval")
		orgID, err := a.ApprovalOrg(ctx, id)
		if err != nil {
			return nil, err
		}
		in, err := read[B](ctx, a, false)
		if err != nil {
			return nil, err
		}
		p, err := fn(ctx, orgID, id, in)
		return one(p.Version, a.renderApproval(p), err)
	})
}

func (a *api) approvalsAt(path string) {
	create[newApproval](a, path, "Ask for an approval", func(ctx context.Context, _ *none) (*answer[approvalView], error) {
		at, in, err := placed[newApproval](ctx, a)
		if err != nil {
			return nil, err
		}
		if in.Action == "" {
			in.Action = "models.use"
		}
		p, opened, err := a.RequestApproval(ctx, rbac.Request{OrgID: at.OrgID, TeamID: at.TeamID, Action: in.Action, Call: rbac.Call{Resource: in.Resource}}, in.Reason)
		if err == nil && !opened { // it was asked for before
			return one(p.Version, a.renderApproval(p), nil)
		}
		return made(a, "/v1/approvals/"+p.ID, p.Version, a.renderApproval(p), err)
	})
	type query struct {
		Status    rbac.ApprovalStatus `query:"status" enum:"pending,approved,denied,expired,withdrawn"`
		Requester string              `query:"requester"`
		Limit     int                 `query:"limit" minimum:"1" maximum:"200" default:"50"`
		After     string              `query:"after" maxLength:"1000"`
	}
	add[query, none](a, http.MethodGet, path, "List approval requests", func(ctx context.Context, q *query) (*answer[list[approvalView]], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		page, err := a.Approvals(ctx, at.OrgID, at.TeamID, rbac.ApprovalFilter{Status: q.Status, Requester: q.Requester, Limit: q.Limit, After: q.After})
		return listOf(page, err, always(a.renderApproval))
	})
}
