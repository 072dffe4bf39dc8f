package gate

import (
	"context"
	"errors"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
)

// Settle charges what the call did cost: by Usage.Cost when the upstream told it, else by the price of
// the moment in which it was admitted, and else what was held. It counts once; see
// billing.Hold.Settle. It does not stop when ctx is cancelled: a client that goes away has still
// used what it used.
//
// A call that cost more than a cost limit of a policy or approval lets one of its kind cost, where the
// estimate was within it, is charged and leaves the event budget.cost_limit_exceeded.
func (a *Admission) Settle(ctx context.Context, u billing.Usage) error {
	if err := u.Validate(); err != nil {
		return err
	}
	a.settleRates(u) // whatever becomes of the charge
	if a.kept == nil {
		held := a.hold.Amount()
		cost, err := a.estimate.Due(u, held)
		if err == nil && cost <= billing.MaxHold {
			if err := a.hold.Settle(cost); err != nil {
				return err
			}
			a.record(ctx, u, cost)
			if cost <= held {
				return nil
			}
			return a.overran(ctx, billing.Settlement{Held: held.Decimal(), Actual: cost.Decimal()})
		}
	}
	return a.settleAbove(context.WithoutCancel(ctx), u)
}

// Charge is what the call is charged that has used so much, in USD: what [Admission.Settle] charges, for who tells it in the
// answer before that. ok is false where no price is known.
func (a *Admission) Charge(u billing.Usage) (cost decimal.Decimal, ok bool) {
	if u.Cost == nil && a.estimate.Price == nil {
		return cost, false
	}
	due, err := a.estimate.Due(u, 0)
	return due.Decimal(), err == nil
}

// settleAbove settles what memory does not count.
func (a *Admission) settleAbove(ctx context.Context, u billing.Usage) (err error) {
	var s billing.Settlement
	if a.kept != nil {
		s, err = a.kept.SettleUsage(ctx, u)
	} else {
		s, err = a.gate.m.SettleHold(ctx, &a.hold, a.estimate, u)
	}
	if err != nil || s.Again {
		return err
	}
	a.recordAbove(ctx, u, s)
	if a.Cost() == nil || !s.Overrun().IsPositive() {
		return nil
	}
	return a.overran(ctx, s)
}

// settleRates counts the tokens that were used. Where only a cost was told, those stay that the call might have used.
func (a *Admission) settleRates(u billing.Usage) {
	tokens, input := u.InputTokens+u.OutputTokens, u.InputTokens
	if tokens == 0 && u.Cost != nil && u.Images == 0 {
		tokens, input = a.rates.Tokens()
	}
	a.rates.SettleInput(tokens, input)
}

// overran asks again what admitted the call, with what it came to (F153). The rules may have changed
// meanwhile: the cost is to blame where the estimate would still be admitted, and nothing else.
func (a *Admission) overran(ctx context.Context, s billing.Settlement) error {
	if !a.judged.CompareAndSwap(false, true) {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	g, n := a.gate, a.known
	call := Call{Action: a.action, Features: a.features, Now: a.now, IP: a.ip, RequestID: a.requestID}
	_, before, err := g.decide(ctx, n, a.lane, &call, a.Cost())
	if errors.Is(err, store.ErrNotFound) || err == nil && !before.Allowed { // the key is gone, or what it held
		return nil
	} else if err != nil {
		return err
	}
	ask, after, err := g.decide(ctx, n, a.lane, &call, &s.Actual)
	if err != nil || after.Allowed {
		return err
	}
	reservation := ""
	if a.kept != nil {
		reservation = a.kept.ID
	}
	ctx = audit.WithActor(ctx, audit.System("gate"))
	return g.m.Store().Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := g.m.Audit().Append(ctx, tx, ask.OrgID, a.action, audit.Change{
			Type: "budget.cost_limit_exceeded", Resource: audit.Resource{Type: "model", ID: a.Model.ID}, TeamID: a.Caller.Key.TeamID,
			Data: map[string]any{"decision_id": a.DecisionID(), "reservation_id": reservation, "key_id": a.Caller.Key.ID,
				"estimated": s.Held.String(), "cost": s.Actual.String(), "code": after.Code}})
		return err
	})
}
