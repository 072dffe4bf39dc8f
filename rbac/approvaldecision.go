package rbac

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

// ApprovalDecision is the input of [Guard.DecideApproval].
type ApprovalDecision struct {
	Approve   bool
	Reason    string
	Lasts     time.Duration    // of the grant, 1 h to 365 d; 0 is 30 days
	MaxAmount *decimal.Decimal // USD: cost cap per call, or how much of what is asked for

	// What the request is of; any other is store.ErrNotFound. "" is anything.
	Action, TeamID, Resource string
}

// means says whether it is the request that the decision is about.
func (in ApprovalDecision) means(a *Approval) bool {
	return (in.Action == "" || in.Action == a.Action) && (in.TeamID == "" || in.TeamID == a.TeamID) && (in.Resource == "" || in.Resource == a.Resource)
}

func (in ApprovalDecision) validate(a *Approval) error {
	if in.Lasts != 0 && (in.Lasts < time.Hour || in.Lasts > 365*24*time.Hour) {
		return store.Invalid("expires_in_hours", "range", "must be from 1 to 8760")
	}
	if in.MaxAmount != nil && in.MaxAmount.IsNegative() {
		return store.Invalid("max_amount", "range", "must not be negative")
	}
	if in.MaxAmount != nil && a.Amount != nil && (in.MaxAmount.IsZero() || in.MaxAmount.GreaterThan(*a.Amount)) {
		return store.Invalid("max_amount", "range", "must be above 0 and at most what is asked for")
	}
	return CheckText("reason", in.Reason, 0, MaxDescription)
}

// DecideApproval approves or denies a pending request. The approver must hold members.approve_requests in the
// team and be somebody whom a requirement names that is still open, by a role or themselves, and is never the
// requester; on a request of a [Matter] they hold the permission of that instead. Once every requirement is met the request is approved; until then it stays pending. A grant lasts
// as long, and opens calls that cost as much, as the strictest of those who approved it has said. One denial
// is enough.
//
// Of two decisions at once that leave room for one, one wins and the other is store.ErrConflict.
func (g *Guard) DecideApproval(ctx context.Context, orgID, id string, in ApprovalDecision) (a Approval, err error) {
	seen, err := g.pending(ctx, orgID, id)
	if err == nil && !in.means(&seen) {
		err = store.ErrNotFound
	}
	if err != nil {
		return a, err
	}
	op := Op{Action: seen.permission(), OrgID: orgID, TeamID: seen.TeamID, Past: true}
	err = g.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if a, err = ownApproval(ctx, tx, orgID, id); err != nil {
			return audit.Change{}, err
		}
		if err := in.validate(&a); err != nil {
			return audit.Change{}, err
		}
		if a.StatusAt(tx.Now()) != ApprovalPending {
			return audit.Change{}, &store.ConflictError{Code: "conflict", Message: "the request is not pending any more", ID: a.ID}
		}
		before := a
		chain, err := Lineage(ctx, tx, orgID)
		if err != nil {
			return audit.Change{}, err
		}
		w := &records{guard: g, tx: tx, chain: chain, locked: true}
		if err := a.mayDecide(ctx, w, actor(ctx), in.Approve); err != nil {
			return audit.Change{}, err
		}
		a.Decisions = append(slices.Clip(a.Decisions), Vote{By: actor(ctx).ID, Approve: in.Approve, Reason: in.Reason,
			At: tx.Now(), Lasts: cmp.Or(in.Lasts, a.lasts()), MaxAmount: in.MaxAmount})
		event := "approval.denied"
		if in.Approve {
			open, err := a.open(ctx, w)
			if err != nil {
				return audit.Change{}, err
			}
			if event = "approval.partly_approved"; len(open) == 0 {
				event = "approval.approved"
				a.grant(tx.Now())
				if err := g.apply(ctx, tx, &a); err != nil {
					return audit.Change{}, err
				}
			}
		} else {
			a.Status, a.EndsAt = ApprovalDenied, tx.Now().Add(approvalDenial)
		}
		if err := approvals.Update(ctx, tx, &a); err != nil {
			return audit.Change{}, err
		}
		return g.step(ctx, tx, event, &before, &a, in.Reason)
	})
	return a, err
}

// grant makes the request approved, on the strictest terms.
func (a *Approval) grant(now time.Time) {
	lasts := a.Decisions[0].Lasts
	for _, v := range a.Decisions {
		lasts = min(lasts, v.Lasts)
		if v.MaxAmount != nil && (a.MaxAmount == nil || v.MaxAmount.LessThan(*a.MaxAmount)) {
			a.MaxAmount = v.MaxAmount
		}
	}
	a.Status, a.EndsAt = ApprovalApproved, now.Add(lasts)
}

// mayDecide is nil for who may say the next word.
func (a *Approval) mayDecide(ctx context.Context, w world, by audit.Actor, approve bool) error {
	refused := &Denied{Code: "permission_denied", Action: a.permission(), TeamID: a.TeamID, Resource: "approval:" + a.ID}
	if by.Type != audit.User || by.ID == a.Requester {
		refused.Decision.Remedy = []string{"let an approver decide who is not the requester"}
		return refused
	}
	ok, err := qualifiesForAny(ctx, w, a.TeamID, by.ID, a.Requirements)
	if err != nil {
		return err
	}
	if !ok {
		for _, need := range a.Requirements {
			if len(need.Approvers) == 0 {
				refused.Decision.Remedy = append(refused.Decision.Remedy, "let a holder of the permission "+need.permission()+" decide")
				continue
			}
			refused.Decision.Remedy = append(refused.Decision.Remedy, "let a holder of "+strings.Join(need.Approvers, " or ")+" decide")
		}
		return refused
	}
	if !approve {
		return nil
	}
	open, err := a.open(ctx, w)
	if err != nil {
		return err
	}
	if ok, err = qualifiesForAny(ctx, w, a.TeamID, by.ID, open); err == nil && !ok {
		return &store.ConflictError{Code: "conflict", Message: "what is theirs to approve is approved; it needs somebody else's word", ID: a.ID}
	}
	return err
}

// pending is the request that somebody is about to end: what is asked of them depends on it.
func (g *Guard) pending(ctx context.Context, orgID, id string) (a Approval, err error) {
	err = g.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		a, err = ownApproval(ctx, tx, orgID, id)
		return err
	})
	return a, err
}
