package billing

import (
	"context"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// reservation is what a call in flight holds of each account on its path. The accounts are pinned
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

// Reservation is the handle of an amount that is held. Its methods are safe for concurrent use.
type Reservation struct {
	ID       string
	Amount   decimal.Decimal // USD
	Price    *PriceVersion   // that it settles by; nil: none is known
	Unpriced bool            // nothing was known of what the call may cost, and yet every budget let it pass

	ledger *Ledger
}

// Reserve holds the amount (USD, an upper bound of what the call will cost) in every budget on the
// path, or in none. Where a hard budget has not that much left it is a *[Exceeded]. An amount of 0 touches no
// budget: what is free is not refused, and waits for nobody (billing edge 22).
//
// A nil amount means that the cost cannot be known: each budget on the path does as its [UnknownPrice]
// says. An amount that is negative or out of all bounds is store.ErrInvalid, as is a price that is not in
// USD.
func (l *Ledger) Reserve(ctx context.Context, p Path, amount *decimal.Decimal) (*Reservation, error) {
	rec := reservation{OrgID: p.OrgID, TeamID: p.TeamID, ProjectID: p.ProjectID, UserID: p.UserID, KeyID: p.KeyID, Model: p.Model,
		Unpriced: amount == nil, State: held}
	if v := p.Price; v != nil {
		if v.Currency != budgetCurrency {
			return nil, errCurrency
		}
		rec.PriceVersion = v.ID
	}
	if amount != nil {
		if err := checkAmount("amount", *amount); err != nil {
			return nil, err
		}
		rec.Amount = Ceil12(*amount)
	}
	err := l.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		rec.Meta, rec.Accounts = store.Meta{}, nil
		path, err := p.resolve(ctx, tx)
		if err != nil {
			return err
		}
		if rec.Unpriced {
			rec.Amount = minimum(path)
		}
		for _, b := range path {
			id, err := rec.hold(ctx, tx, b)
			if err != nil {
				return err
			}
			rec.Accounts = append(rec.Accounts, id)
		}
		return reservations.Insert(ctx, tx, &rec)
	})
	if err != nil {
		return nil, err
	}
	return &Reservation{ID: rec.ID, Amount: rec.Amount, Price: p.Price, Unpriced: rec.Unpriced, ledger: l}, nil
}

// hold takes the amount from the budget's account of now, whose id it returns.
func (rec *reservation) hold(ctx context.Context, tx *store.Tx, b Budget) (string, error) {
	get := lockAccount
	if rec.Amount.IsZero() {
		get = readAccount
	}
	a, err := get(ctx, tx, b)
	if err != nil {
		return "", err
	}
	if rec.Unpriced && b.rejectsUnknown() || b.Hard && rec.Amount.IsPositive() && a.room().LessThan(rec.Amount) {
		return "", &Exceeded{BudgetID: b.ID, Scope: b.Scope, ScopeID: b.ScopeID, Limit: a.Limit,
			Remaining: a.room(), ResetAt: a.PeriodEnd, Unpriced: rec.Unpriced && b.rejectsUnknown()}
	}
	if rec.Amount.IsZero() {
		return a.ID, nil
	}
	a.Reserved = a.Reserved.Add(rec.Amount)
	a.balance()
	return a.ID, accounts.Update(ctx, tx, &a)
}
