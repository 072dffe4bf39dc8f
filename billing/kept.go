package billing

import (
	"context"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// reservation is what a call in flight holds of each account on its path, kept in the database. The accounts are pinned
// in it: whatever is moved or deleted meanwhile, it settles where it reserved, and in the period
// in which it did.
type reservation struct {
	store.Meta
	OrgID        string
	TeamID       string
	ProjectID    string
	UserID       string
	KeyID        string
	Model        string
	PriceVersion string   // id, that the call settles by; "" for none
	Unpriced     bool     // nothing was known of what it may cost
	Accounts     []string // in lock order
	Amount       decimal.Decimal
	Actual       decimal.Decimal
	State        reservationState
}

type reservationState string

const (
	held     reservationState = "held"
	settled  reservationState = "settled"
	released reservationState = "released"
)

var reservations = store.Define[reservation]("budget_reservations", "res",
	store.Index("org_id", "created_at"))

// Hold is [Ledger.Reserve] in the database, for calls that outlive their process, such as batches that take a day: the
// reservation has an id, by which any process settles it, whenever that is. No time-out frees it (billing edge 18). It
// costs a transaction, and joins the unit of its caller. What processes have in memory of a budget
// does not count as left.
func (l *Ledger) Hold(ctx context.Context, p Path, amount *decimal.Decimal) (*Reservation, error) {
	if err := p.check(amount); err != nil {
		return nil, err
	}
	if err := l.Flush(ctx); err != nil { // what is only kept ready here is left
		return nil, err
	}
	rec := reservation{OrgID: p.OrgID, TeamID: p.TeamID, ProjectID: p.ProjectID, UserID: p.UserID, KeyID: p.KeyID, Model: p.Model,
		Unpriced: amount == nil, State: held}
	if p.Price != nil {
		rec.PriceVersion = p.Price.ID
	}
	if amount != nil {
		rec.Amount = Ceil12(*amount)
	}
	err := l.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		rec.Meta, rec.Accounts = store.Meta{}, nil
		path, missing, _, err := p.resolve(ctx, tx)
		if err == nil && len(missing) > 0 {
			if err = l.settleIn(ctx, tx, p); err == nil {
				path, _, _, err = p.resolve(ctx, tx)
			}
		}
		if err != nil {
			return err
		}
		if rec.Unpriced {
			rec.Amount = minimum(path)
		}
		if err := l.take(ctx, tx, &rec, path); err != nil {
			return err
		}
		return reservations.Insert(ctx, tx, &rec)
	})
	if err != nil {
		return nil, err
	}
	return &Reservation{ID: rec.ID, Amount: rec.Amount, Price: p.Price, Unpriced: rec.Unpriced, ledger: l}, nil
}

// take takes the amount of a reservation from the accounts of now of all budgets on the path.
func (l *Ledger) take(ctx context.Context, tx *store.Tx, rec *reservation, path []Budget) error {
	for _, b := range path {
		start, _, err := b.running(ctx, tx)
		if err != nil {
			return err
		}
		rec.Accounts = append(rec.Accounts, accountID(b, start))
	}
	s, err := l.sheet(ctx, tx, rec.Accounts)
	if err != nil {
		return err
	}
	for _, b := range path {
		start, end, err := b.running(ctx, tx)
		if err != nil {
			return err
		}
		a, err := s.of(ctx, tx, b, start, end)
		if err != nil {
			return err
		}
		ex := b.exceeded()
		ex.Limit, ex.ResetAt = a.Limit, a.PeriodEnd
		switch {
		case b.Stopped(tx.Now()) && rec.Amount.IsPositive():
			ex.Suspended, ex.ByAlert = true, b.SuspendedBy != ""
			return ex
		case rec.Unpriced && b.rejectsUnknown(), b.Hard && rec.Amount.IsPositive() && a.room().LessThan(rec.Amount):
			ex.Remaining, ex.Unpriced = a.room(), rec.Unpriced && b.rejectsUnknown()
			return ex
		}
		a.Reserved = a.Reserved.Add(rec.Amount)
		a.balance()
	}
	return s.keep(ctx, tx)
}

// end settles or releases a reservation that is kept, once.
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
		if err := l.pay(ctx, tx, rec.Accounts, rec.Amount, s.Actual); err != nil {
			return err
		}
		rec.State, rec.Actual = as, s.Actual
		return reservations.Update(ctx, tx, &rec)
	})
	return s, err
}

// pay replaces what is reserved in accounts by what was spent.
func (l *Ledger) pay(ctx context.Context, tx *store.Tx, ids []string, reserved, spent decimal.Decimal) error {
	if reserved.IsZero() && spent.IsZero() {
		return nil
	}
	s, err := l.sheet(ctx, tx, ids)
	if err != nil {
		return err
	}
	for _, a := range s.by {
		if err := a.pay(reserved, spent); err != nil {
			return err
		}
	}
	return s.keep(ctx, tx)
}
