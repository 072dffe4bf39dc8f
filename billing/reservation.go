package billing

import (
	"context"
	"errors"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// reservation is what a call in flight holds of each account on its path. The accounts are pinned
// in it: whatever is moved or deleted meanwhile, it settles where it reserved, and in the period
// in which it did.
type reservation struct {
	store.Meta
	OrgID     string
	TeamID    string
	ProjectID string
	UserID    string
	KeyID     string
	Model     string
	Accounts  []string // in lock order
	Amount    decimal.Decimal
	Actual    decimal.Decimal
	State     reservationState
}

type reservationState string

const (
	held     reservationState = "held"
	settled  reservationState = "settled"
	released reservationState = "released"
)

var reservations = store.Define[reservation]("budget_reservations", "res",
	store.Index("org_id", "created_at"))

// Reservation is the handle of an amount that is held. Its methods are safe for concurrent use.
type Reservation struct {
	ID     string
	Amount decimal.Decimal // USD

	ledger *Ledger
}

// Reserve holds the amount (USD, an upper bound of what the call will cost) in every budget on the
// path, or in none. Where a hard budget has not that much left it is a *[Exceeded]. A nil amount
// means that the cost cannot be known: any hard budget on the path refuses it, soft ones hold
// nothing. A negative amount is store.ErrInvalid.
func (l *Ledger) Reserve(ctx context.Context, p Path, amount *decimal.Decimal) (*Reservation, error) {
	if amount != nil && amount.IsNegative() {
		return nil, store.Invalid("amount", "range", "must not be negative")
	}
	rec := reservation{OrgID: p.OrgID, TeamID: p.TeamID, ProjectID: p.ProjectID, UserID: p.UserID, KeyID: p.KeyID, Model: p.Model, State: held}
	if amount != nil {
		rec.Amount = Ceil12(*amount)
	}
	err := l.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		rec.Meta, rec.Accounts = store.Meta{}, nil
		path, err := p.resolve(ctx, tx)
		if err != nil {
			return err
		}
		for _, b := range path {
			a, err := lockAccount(ctx, tx, b)
			if err != nil {
				return err
			}
			if b.Hard && (amount == nil || rec.Amount.IsPositive() && a.room().LessThan(rec.Amount)) {
				return &Exceeded{BudgetID: b.ID, Scope: b.Scope, ScopeID: b.ScopeID, Limit: a.Limit,
					Remaining: a.room(), ResetAt: a.PeriodEnd, Unpriced: amount == nil}
			}
			a.Reserved = a.Reserved.Add(rec.Amount)
			a.balance()
			if err := accounts.Update(ctx, tx, &a); err != nil {
				return err
			}
			rec.Accounts = append(rec.Accounts, a.ID)
		}
		return reservations.Insert(ctx, tx, &rec)
	})
	if err != nil {
		return nil, err
	}
	return &Reservation{ID: rec.ID, Amount: rec.Amount, ledger: l}, nil
}

// Settle replaces the hold by actual (USD) and frees the rest. More than was reserved is charged
// too. Settling twice with the same amount is a no-op; with another amount, or after a Release, it
// is [ErrSettled].
func (r *Reservation) Settle(ctx context.Context, actual decimal.Decimal) error {
	return r.ledger.Settle(ctx, r.ID, actual)
}

// Release frees the hold: the call cost nothing. After a Settle it does nothing, so that it can be
// deferred.
func (r *Reservation) Release(ctx context.Context) error {
	err := r.ledger.end(ctx, r.ID, released, decimal.Zero)
	if errors.Is(err, ErrSettled) {
		return nil
	}
	return err
}

// Settle settles a reservation by its id; see [Reservation.Settle]. An unknown id is
// store.ErrNotFound.
func (l *Ledger) Settle(ctx context.Context, id string, actual decimal.Decimal) error {
	if actual.IsNegative() {
		return store.Invalid("actual", "range", "must not be negative")
	}
	return l.end(ctx, id, settled, Ceil12(actual))
}

func (l *Ledger) end(ctx context.Context, id string, as reservationState, actual decimal.Decimal) error {
	return l.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		rec, err := reservations.Lock(ctx, tx, id)
		if err != nil {
			return err
		}
		if rec.State != held {
			if rec.State == as && rec.Actual.Equal(actual) {
				return nil
			}
			return ErrSettled
		}
		for _, id := range rec.Accounts {
			if err := l.charge(ctx, tx, id, rec.Amount, actual); err != nil {
				return err
			}
		}
		rec.State, rec.Actual = as, actual
		return reservations.Update(ctx, tx, &rec)
	})
}

func (l *Ledger) charge(ctx context.Context, tx *store.Tx, accountID string, reserved, actual decimal.Decimal) error {
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
