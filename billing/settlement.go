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
	return r.ledger.Settle(ctx, r.ID, actual)
}

// SettleUsage is [Reservation.Settle] with what was used: at Usage.Cost where the upstream told it, else by
// the price that was pinned when the reservation was made, whatever the price is by now (billing edge
// 25). Where that has no price for something that was used, what was held is charged, or what the rest
// costs where that is more.
func (r *Reservation) SettleUsage(ctx context.Context, u Usage) (Settlement, error) {
	if err := u.Validate(); err != nil {
		return Settlement{}, err
	}
	return r.ledger.end(ctx, r.ID, settled, func(rec *reservation) (decimal.Decimal, error) { return due(u, r.Price, rec.Amount), nil })
}

// Release frees the hold: the call cost nothing. After a Settle it does nothing, so that it can be
// deferred.
func (r *Reservation) Release(ctx context.Context) error {
	_, err := r.ledger.end(ctx, r.ID, released, func(*reservation) (decimal.Decimal, error) { return decimal.Zero, nil })
	if errors.Is(err, ErrSettled) {
		return nil
	}
	return err
}

// Settle settles a reservation by its id; see [Reservation.Settle]. An unknown id is
// store.ErrNotFound.
func (l *Ledger) Settle(ctx context.Context, id string, actual decimal.Decimal) error {
	if err := checkAmount("actual", actual); err != nil {
		return err
	}
	_, err := l.end(ctx, id, settled, func(*reservation) (decimal.Decimal, error) { return Ceil12(actual), nil })
	return err
}

// SettleUsage settles a reservation by its id, in whatever process it was made; see
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

func (l *Ledger) end(ctx context.Context, id string, as reservationState, actual func(*reservation) (decimal.Decimal, error)) (s Settlement, err error) {
	err = l.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		rec, err := reservations.Lock(ctx, tx, id)
		if err != nil {
			return err
		}
		s = Settlement{Held: rec.Amount, Again: rec.State != held}
		if s.Actual, err = actual(&rec); err != nil {
			return err
		}
		if s.Again {
			if rec.State == as && rec.Actual.Equal(s.Actual) {
				return nil
			}
			return ErrSettled
		}
		for _, id := range rec.Accounts {
			if err := l.charge(ctx, tx, id, rec.Amount, s.Actual); err != nil {
				return err
			}
		}
		rec.State, rec.Actual = as, s.Actual
		return reservations.Update(ctx, tx, &rec)
	})
	return s, err
}

// charge replaces what a reservation holds of an account by what it came to.
func (l *Ledger) charge(ctx context.Context, tx *store.Tx, accountID string, reserved, actual decimal.Decimal) error {
	if reserved.IsZero() && actual.IsZero() {
		return nil
	}
	a, err := accounts.Lock(ctx, tx, accountID)
	if err != nil {
		return err
	}
	a.Reserved = a.Reserved.Sub(reserved)
	a.Spent = a.Spent.Add(actual)
	a.balance()
	b, err := Budgets.Get(ctx, tx, a.BudgetID)
	switch {
	case err == nil:
		if err := l.tell(ctx, tx, b, &a); err != nil {
			return err
		}
	case !errors.Is(err, store.ErrNotFound): // dropped meanwhile: nobody is told
		return err
	}
	return accounts.Update(ctx, tx, &a)
}
