package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
)

type approvalView struct {
	Base
	OrganizationID string              `json:"organization_id"`
	TeamID         *string             `json:"team_id"`
	Requester      string              `json:"requester"`
	Action         string              `json:"action"`
	Resource       string              `json:"resource"`
	Reason         string              `json:"reason"`
	Status         rbac.ApprovalStatus `json:"status"`
	Requirements   []rbac.ApprovalNeed `json:"requirements"`
	Approver       *string             `json:"approver"`
	EndsAt         string              `json:"expires_at"`
	MaxAmount      *billing.Amount     `json:"max_amount"`
}

func renderApproval(p rbac.Approval) approvalView {
	v := approvalView{Base: baseOf(p.Meta), OrganizationID: p.OrgID, TeamID: optional(p.TeamID), Requester: p.Requester, Action: p.Action,
		Resource: p.Resource, Reason: p.Reason, Status: p.Status, Requirements: p.Requirements, Approver: optional(p.Approver), EndsAt: stamp(p.EndsAt)}
	if p.MaxAmount != nil {
		m := billing.NewAmount(*p.MaxAmount)
		v.MaxAmount = &m
	}
	return v
}

type newDecision struct {
	Decision       string          `json:"decision" enum:"approve,deny"`
	Reason         string          `json:"reason,omitempty" maxLength:"2000"`
	ExpiresInHours int             `json:"expires_in_hours,omitempty" minimum:"1" maximum:"8760"`
	MaxAmount      *billing.Amount `json:"max_amount,omitempty"`
}

func (a *api) approvals() {
	add[none, newDecision](a, http.MethodPost, "/v1/approvals/{approval}/decision", "Approve or deny", func(ctx context.Context, _ *none) (*answer[approvalView], error) {
		id := param(ctx, "approval")
		orgID, err := a.ApprovalOrg(ctx, id)
		if err != nil {
			return nil, err
		}
		body, err := read[newDecision](ctx, a, false)
		if err != nil {
			return nil, err
		}
		d := rbac.ApprovalDecision{Approve: body.Decision == "approve", Reason: body.Reason, Lasts: time.Duration(body.ExpiresInHours) * time.Hour}
		if body.MaxAmount != nil {
			m := body.MaxAmount.Decimal()
			d.MaxAmount = &m
		}
		p, err := a.DecideApproval(ctx, orgID, id, d)
		return one(p.Version, renderApproval(p), err)
	})
}
