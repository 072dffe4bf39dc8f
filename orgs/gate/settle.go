package gate

import (
	"context"
	"errors"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
)

// path is where the call spends, and by which price.
func path(adm Admission, price *billing.PriceVersion) billing.Path {
	k := adm.Caller.Key
	return billing.Path{OrgID: k.OrgID, TeamID: k.TeamID, ProjectID: k.ProjectID, UserID: adm.Caller.Actor.Person(), KeyID: k.ID, Model: adm.Model.ID, Price: price}
}

// Settle charges what the call did cost: by Usage.Cost when the upstream told it, else by the price of
// the moment in which it was admitted, and else what was held. It counts once; see
// billing.Reservation.Settle. It does not stop when ctx is cancelled: a client that goes away has still
// used what it used.
//
// A call that cost more than a cost limit of a policy or approval lets one of its kind cost, where the
// estimate was within it, is charged and leaves the event budget.cost_limit_exceeded.
func (a *Admission) Settle(ctx context.Context, u billing.Usage) error {
	if u.Validate() == nil { // whatever becomes of the charge
		a.settleRates(u)
	}
	ctx = context.WithoutCancel(ctx)
	s, err := a.hold.SettleUsage(ctx, u)
	a.record(ctx, u, s, err)
	if err != nil || s.Again || a.Cost == nil || !s.Overrun().IsPositive() {
		return err
	}
	return a.gate.m.Store().Update(ctx, func(ctx context.Context, tx *store.Tx) error { return a.judge(ctx, tx, s) })
}

// judge asks again what admitted the call, with what it came to (F153). The rules may have changed
// meanwhile: the cost is to blame where the estimate would still be admitted, and nothing else.
func (a *Admission) judge(ctx context.Context, tx *store.Tx, s billing.Settlement) error {
	estimated, actual := a.asked, a.asked
	actual.Cost = &s.Actual
	before, err := a.gate.decide(ctx, tx, a.Caller, &estimated, a.features)
	if errors.Is(err, store.ErrNotFound) || err == nil && !before.Allowed { // the key is gone, or what it held
		return nil
	} else if err != nil {
		return err
	}
	after, err := a.gate.decide(ctx, tx, a.Caller, &actual, a.features)
	if err != nil || after.Allowed {
		return err
	}
	_, err = a.gate.m.Audit().Append(audit.WithActor(ctx, audit.System("gate")), tx, a.asked.OrgID, a.asked.Action, audit.Change{
		Type: "budget.cost_limit_exceeded", Resource: audit.Resource{Type: "model", ID: a.Model.ID}, TeamID: a.Caller.Key.TeamID,
		Data: map[string]any{"decision_id": a.DecisionID, "reservation_id": a.hold.ID, "key_id": a.Caller.Key.ID,
			"estimated": s.Held.String(), "cost": s.Actual.String(), "code": after.Code}})
	return err
}
