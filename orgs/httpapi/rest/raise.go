package rest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

type raiseView struct {
	Base
	OrganizationID string              `json:"organization_id"`
	BudgetID       string              `json:"budget_id"`
	Requester      string              `json:"requester"`
	Amount         *billing.Amount     `json:"amount" doc:"that was asked for"`
	Until          *string             `json:"until" doc:"null: to the end of the period"`
	Reason         string              `json:"reason"`
	Status         rbac.ApprovalStatus `json:"status"`
	Decisions      []raiseVoteView     `json:"decisions"`
	ExpiresAt      string              `json:"expires_at" doc:"of the request, the raise or the denial"`
	Grant          *raiseGrantView     `json:"grant" doc:"null: no raise is in force"`
}

type raiseVoteView struct {
	By       string          `json:"by"`
	Decision string          `json:"decision"`
	Amount   *billing.Amount `json:"amount" doc:"null: all that was asked for"`
	Reason   string          `json:"reason"`
	At       string          `json:"at"`
}

type raiseGrantView struct {
	Amount    *billing.Amount `json:"amount"`
	ExpiresAt string          `json:"expires_at"`
}

func (a *api) renderRaise(p rbac.Approval) raiseView {
	v := raiseView{Base: baseOf(p.Meta), OrganizationID: p.OrgID, BudgetID: strings.TrimPrefix(p.Resource, "budget:"), Requester: p.Requester,
		Amount: amountOf(p.Amount), Until: httpapi.StampOf(p.Until), Reason: p.Reason, Status: p.StatusAt(a.Store().Now()),
		Decisions: make([]raiseVoteView, len(p.Decisions)), ExpiresAt: httpapi.Stamp(p.EndsAt)}
	for i, d := range p.Decisions {
		v.Decisions[i] = raiseVoteView{d.By, "deny", amountOf(d.MaxAmount), d.Reason, httpapi.Stamp(d.At)}
		if d.Approve {
			v.Decisions[i].Decision = "approve"
		}
	}
	if v.Status == rbac.ApprovalApproved {
		v.Grant = &raiseGrantView{v.Amount, v.ExpiresAt}
		if p.MaxAmount != nil {
			v.Grant.Amount = amountOf(p.MaxAmount)
		}
	}
	return v
}

type newRaise struct {
	Amount billing.Amount `json:"amount"`
	Reason string         `json:"reason,omitempty" maxLength:"2000"`
	Until  *time.Time     `json:"until,omitempty" doc:"absent: to the end of the period"`
}

type raiseDecision struct {
	Decision       string          `json:"decision" enum:"approve,deny"`
	Amount         *billing.Amount `json:"amount,omitempty" doc:"absent: all that was asked for"`
	Reason         string          `json:"reason,omitempty" maxLength:"2000"`
	ExpiresInHours int             `json:"expires_in_hours,omitempty" minimum:"1" maximum:"8760"`
}

// raises serves the requests for raises of the budget of a team's settings, and of any budget of an organization.
func (a *api) raises() {
	for _, budget := range []string{"/v1/teams/{team}/budget", "/v1/organizations/{org}/budgets/{budget}"} {
		a.raisesAt(budget + "/raises")
	}
}

func (a *api) raisesAt(path string) {
	create[newRaise](a, path, "Ask for a raise of a budget", func(ctx context.Context, _ *none) (*answer[raiseView], error) {
		at, in, err := placed[newRaise](ctx, a)
		if err != nil {
			return nil, err
		}
		p, opened, err := a.RequestRaise(ctx, at.OrgID, at.TeamID, param(ctx, "budget"), billing.RaiseRequest{Amount: in.Amount.Decimal(), Reason: in.Reason, Until: in.Until})
		switch {
		case err != nil:
			return nil, ofRaise(err)
		case !opened: // it was asked for before
			return one(p.Version, a.renderRaise(p), nil)
		}
		return made(a, "/v1/approvals/"+p.ID, p.Version, a.renderRaise(p), nil)
	})
	type query struct {
		Status    rbac.ApprovalStatus `query:"status" enum:"pending,approved,denied,expired,withdrawn"`
		Requester string              `query:"requester"`
		Limit     int                 `query:"limit" minimum:"1" maximum:"200" default:"50"`
		After     string              `query:"after" maxLength:"1000"`
	}
	add[query, none](a, http.MethodGet, path, "List requests for raises of a budget", func(ctx context.Context, q *query) (*answer[list[raiseView]], error) {
		at, err := a.place(ctx)
		if err != nil {
			return nil, err
		}
		page, err := a.Raises(ctx, at.OrgID, at.TeamID, param(ctx, "budget"), rbac.ApprovalFilter{Status: q.Status, Requester: q.Requester, Limit: q.Limit, After: q.After})
		return listOf(page, err, always(a.renderRaise))
	})
	add[none, raiseDecision](a, http.MethodPost, path+"/{raise}/decision", "Grant a raise, or less, or deny it", func(ctx context.Context, _ *none) (*answer[raiseView], error) {
		at, in, err := placed[raiseDecision](ctx, a)
		if err != nil {
			return nil, err
		}
		d := rbac.ApprovalDecision{Approve: in.Decision == "approve", Reason: in.Reason, Lasts: time.Duration(in.ExpiresInHours) * time.Hour,
			MaxAmount: decimalOf(in.Amount), Action: billing.RaiseAction, TeamID: at.TeamID}
		if budget := param(ctx, "budget"); budget != "" {
			d.Resource = "budget:" + budget
		}
		p, err := a.DecideApproval(ctx, at.OrgID, param(ctx, "raise"), d)
		return one(p.Version, a.renderRaise(p), ofRaise(err))
	})
}

// ofRaise names a wrong field as the bodies do.
func ofRaise(err error) error {
	var field *store.FieldError
	if !errors.As(err, &field) {
		return err
	}
	name := field.Field
	if name == "max_amount" {
		name = "amount"
	}
	return faulty("body."+name, field.Code, field.Message)
}
