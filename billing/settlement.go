package billing

import (
	"context"
	"errors"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// Settlement is how a reservation was settled.
type Settlement struct {
	Held   decimal.Decimal // USD
	Actual decimal.Decimal // USD, rounded up to 12 places
	Again  bool            // it was settled before, with the same amount
}

// Overrun is what the call cost beyond what was held; never negative.
func (s Settlement) Overrun() decimal.Decimal {
	return decimal.Max(decimal.Zero, s.Actual.Sub(s.Held))
}

// Settle replaces the hold by actual (USD) and frees the rest. More than was reserved is charged
// too. Settling twice with the same amount is a no-op; with another amount, or after a Release, it
// is [ErrSettled].
func (r *Reservation) Settle(ctx context.Context, actual decimal.Decimal) error {
	if err := checkAmount("actual", actual); err != nil {
		return err
	}
	_, err := r.settle(ctx, Ceil12(actual))
	return err
}

// SettleUsage is [Reservation.Settle] with what was used: at Usage.Cost where the upstream told it, else by
// the price that was pinned when the reservation was made, whatever the price is by now (billing edge
// 25). Where that has no price for something that was used, what was held is charged, or what the rest
// costs where that is more.
func (r *Reservation) SettleUsage(ctx context.Context, u Usage) (Settlement, error) {
	if err := u.Validate(); err != nil {
		return Settlement{}, err
	}
	return r.settle(ctx, due(u, r.Price, r.Amount))
}

func (r *Reservation) settle(ctx context.Context, actual decimal.Decimal) (s Settlement, err error) {
	if r.ID != "" {
		return r.ledger.end(ctx, r.ID, settled, func(*reservation) (decimal.Decimal, error) { return actual, nil })
	}
	s = Settlement{Held: r.Amount, Actual: actual}
	s.Again, err = r.ledger.settleHold(ctx, &r.hold, actual)
	return s, err
}

// SettleHold settles a hold with what a usage costs by the estimate that admitted it: [Hold.Settle] with [Estimate.Due] for
// any amount.
func (l *Ledger) SettleHold(ctx context.Context, h *Hold, e Estimate, u Usage) (s Settlement, err error) {
	if err := u.Validate(); err != nil {
		return s, err
	}
	s.Held = h.Amount().Decimal()
	s.Actual = due(u, e.Price, s.Held)
	s.Again, err = l.settleHold(ctx, h, s.Actual)
	return s, err
}

func (l *Ledger) settleHold(ctx context.Context, h *Hold, actual decimal.Decimal) (again bool, err error) {
	n, err := CeilPico(actual)
	if err == nil && n <= MaxHold {
		return h.settle(n)
	}
	// What memory cannot count is charged in the database, and of memory what it holds.
	n = MaxHold
	if again, err = h.settle(n); err != nil || again {
		return again, err
	}
	f := h.fund
	return false, l.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		return l.charge(ctx, tx, f, actual.Sub(n.Decimal()))
	})
}

// charge charges the accounts of a fund directly.
func (l *Ledger) charge(ctx context.Context, tx *store.Tx, f *fund, spent decimal.Decimal) error {
	var lines []line
	var ids []string
	l.engine.mu.Lock()
	for _, t := range f.tills {
		lines, ids = append(lines, line{till: t, budget: t.budget, end: t.end}), append(ids, t.account)
	}
	l.engine.mu.Unlock()
	s, err := l.sheet(ctx, tx, ids)
	if err != nil {
		return err
	}
	for _, ln := range lines {
		a, err := s.of(ctx, tx, ln.budget, ln.till.start, ln.end)
		if err != nil {
			return err
		}
		if err := a.pay(decimal.Zero, spent); err != nil {
			return err
		}
	}
	return s.keep(ctx, tx)
}

// Release frees the hold: the call cost nothing. After a Settle it does nothing, so that it can be
// deferred.
func (r *Reservation) Release(ctx context.Context) error {
	if r.ID == "" {
		r.hold.Release()
		return nil
	}
	_, err := r.ledger.end(ctx, r.ID, released, func(*reservation) (decimal.Decimal, error) { return decimal.Zero, nil })
	if errors.Is(err, ErrSettled) {
		return nil
	}
	return err
}

// Settle settles a reservation that is kept by its id; see [Ledger.Hold] and [Reservation.Settle]. An unknown id is
// store.ErrNotFound.
func (l *Ledger) Settle(ctx context.Context, id string, actual decimal.Decimal) error {
	if err := checkAmount("actual", actual); err != nil {
		return err
	}
	_, err := l.end(ctx, id, settled, func(*reservation) (decimal.Decimal, error) { return Ceil12(actual), nil })
	return err
}

// SettleUsage settles a reservation that is kept by its id, in whatever process it was made; see
// [Reservation.SettleUsage]. When the book does not have the version of the price that the reservation
// pins, it is [ErrUnpriced]: the reservation stays as it is, and counts.
func (l *Ledger) SettleUsage(ctx context.Context, id string, u Usage, b *Book) (Settlement, error) {
	if err := u.Validate(); err != nil {
		return Settlement{}, err
	}
	return l.end(ctx, id, settled, func(rec *reservation) (decimal.Decimal, error) {
		v, known := b.Version(rec.PriceVersion)
		if !known && rec.PriceVersion != "" && u.Cost == nil {
			return decimal.Decimal{}, ErrUnpriced
		}
		return due(u, v, rec.Amount), nil
	})
}

// due is what a usage is charged with, rounded up: by the version, which is nil when no price is known.
func due(u Usage, v *PriceVersion, held decimal.Decimal) decimal.Decimal {
	switch {
	case u.Cost != nil:
		return Ceil12(*u.Cost)
	case v == nil:
		return held
	}
	cost, err := v.Cost(u)
	if err != nil { // of a part of it no price is known
		return decimal.Max(held, Ceil12(cost))
	}
	return Ceil12(cost)
}
