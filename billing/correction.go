package billing

import (
	"context"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Correction changes what a call was charged after it was settled: a refund of its upstream, or a price that was wrong.
// It is the only way by which a budget gets money back that was spent.
type Correction struct {
	store.Meta
	OrgID         string          `json:"organization_id"`
	ReservationID string          `json:"reservation_id"` // the original, kept by [Ledger.Hold] and settled
	Reference     string          `json:"reference"`      // by which whoever corrects knows it; the same one is done once
	Amount        decimal.Decimal `json:"amount"`         // USD, beside what was charged; below 0: given back
	Reason        string          `json:"reason"`
}

var corrections = store.Define[Correction]("budget_corrections", "corr",
	store.Unique("org_id", "reference"), store.Index("reservation_id", "id"))

// AuditResource is how the log names the correction.
func (c Correction) AuditResource() audit.Resource {
	return audit.Resource{Type: "correction", ID: c.ID}
}

// validate rounds the amount up to 12 places: no more is given back than was said, and no less charged.
func (c *Correction) validate() error {
	if err := checkAmount("amount", c.Amount.Abs()); err != nil {
		return err
	}
	if c.Amount = c.Amount.RoundCeil(12); c.Amount.IsZero() {
		return store.Invalid("amount", "range", "must not be 0")
	}
	if err := rbac.CheckText("reference", c.Reference, 1, rbac.MaxName); err != nil {
		return err
	}
	return rbac.CheckText("reason", c.Reason, 1, rbac.MaxDescription)
}

// Correct charges the budgets that paid for a call what the correction says, in the period of the call, or gives it back:
// no more in all than the call was charged. The same reference again answers the correction that was made; with another
// reservation or amount it is a *store.ConflictError, as is a reservation that is not settled. Of two at once with one
// reference one may be store.ErrExists.
//
// It is the platform's: budgets of organizations above pay for the call too, and get back with the others.
func (l *Ledger) Correct(ctx context.Context, in Correction) (c Correction, err error) {
	if err := in.validate(); err != nil {
		return c, err
	}
	op := rbac.Op{Action: "budget.correct", OrgID: in.OrgID, Resource: "reservation:" + in.ReservationID, Platform: true}
	err = l.guard.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		c, err = in.made(ctx, tx)
		return err
	})
	if err != nil || c.ID != "" {
		return c, err
	}
	err = l.guard.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		c = in
		c.Meta = store.Meta{}
		rec, err := reservations.Lock(ctx, tx, c.ReservationID)
		switch {
		case err != nil:
			return audit.Change{}, err
		case rec.OrgID != c.OrgID:
			return audit.Change{}, store.ErrNotFound
		case rec.State != settled:
			return audit.Change{}, &store.ConflictError{Code: "conflict", Message: "the reservation is " + string(rec.State) + ", not settled", ID: rec.ID}
		}
		charged, err := rec.charged(ctx, tx)
		if err != nil {
			return audit.Change{}, err
		}
		if charged.Add(c.Amount).IsNegative() {
			return audit.Change{}, store.Invalid("amount", "range", "must not give back more than was charged")
		}
		if err := corrections.Insert(ctx, tx, &c); err != nil { // of two with one reference one is made
			return audit.Change{}, err
		}
		return audit.Created(&c).As("budget.corrected").In(rec.context()).Because(c.Reason), l.pay(ctx, tx, rec.Accounts, decimal.Zero, c.Amount)
	})
	return c, err
}

// made is the correction of that reference, if there is one already; its id is empty if not.
func (c Correction) made(ctx context.Context, tx *store.Tx) (Correction, error) {
	page, err := corrections.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", c.OrgID), store.Eq("reference", c.Reference)}})
	if err != nil || len(page.Items) == 0 {
		return Correction{}, err
	}
	is := page.Items[0]
	if is.ReservationID != c.ReservationID || !is.Amount.Equal(c.Amount) {
		return Correction{}, &store.ConflictError{Code: "conflict", Message: "another correction has this reference", ID: is.ID}
	}
	return is, nil
}

// charged is what a settled reservation was charged, with all corrections.
func (r reservation) charged(ctx context.Context, tx *store.Tx) (decimal.Decimal, error) {
	sum := r.Actual
	for c, err := range corrections.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("reservation_id", r.ID)}}) {
		if err != nil {
			return sum, err
		}
		sum = sum.Add(c.Amount)
	}
	return sum, nil
}

// context is the team or project in which the call was made.
func (r reservation) context() string {
	if r.TeamID == "" {
		return r.ProjectID
	}
	return r.TeamID
}
