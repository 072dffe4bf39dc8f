package billing

import (
	"context"
	"errors"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Ledger reserves and charges. It is safe for concurrent use, and so are any number of ledgers, in
// any number of processes, over one database.
type Ledger struct {
	store *store.Store
	guard *rbac.Guard
}

// NewLedger returns a ledger over the records of the store.
func NewLedger(s *store.Store, g *rbac.Guard) *Ledger { return &Ledger{store: s, guard: g} }

// BudgetState shows a budget in the period that runs.
type BudgetState struct {
	Budget      Budget
	PeriodStart time.Time
	PeriodEnd   time.Time
	Limit       decimal.Decimal // effective
	Spent       decimal.Decimal
	Reserved    decimal.Decimal
	Remaining   decimal.Decimal // never negative
	Over        decimal.Decimal
	State       string // ok, alerted or over
}

// States returns the budgets on a path and where they stand, in the order of the path. It asks no
// permission: it serves the floors above.
func (l *Ledger) States(ctx context.Context, tx *store.Tx, p Path) ([]BudgetState, error) {
	path, err := p.resolve(ctx, tx)
	if err != nil {
		return nil, err
	}
	states := make([]BudgetState, 0, len(path))
	for _, b := range path {
		s, err := stateOf(ctx, tx, b)
		if err != nil {
			return nil, err
		}
		states = append(states, s)
	}
	return states, nil
}

// Overview lists the budgets of an organization and where they stand. It needs billing.read.
func (l *Ledger) Overview(ctx context.Context, orgID string) (states []BudgetState, err error) {
	err = l.guard.Read(ctx, rbac.Op{Action: "billing.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) error {
		states = nil
		for b, err := range Budgets.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID)}}) {
			if err != nil {
				return err
			}
			s, err := stateOf(ctx, tx, b)
			if err != nil {
				return err
			}
			states = append(states, s)
		}
		return nil
	})
	return states, err
}

// State returns the budget of that scope and name and where it stands, nil when there is none. It asks no
// permission: it serves the floors above.
func (l *Ledger) State(ctx context.Context, tx *store.Tx, orgID string, scope ScopeKind, scopeID, name string) (*BudgetState, error) {
	b, err := Budgets.Find(ctx, tx, store.Eq("org_id", orgID), store.Eq("scope", scope),
		store.Eq("scope_id", scopeID), store.Eq("team_id", ""), store.Eq("name", name))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	s, err := stateOf(ctx, tx, b)
	return &s, err
}

func stateOf(ctx context.Context, tx *store.Tx, b Budget) (BudgetState, error) {
	start, end, err := b.period(tx.Now())
	if err != nil {
		return BudgetState{}, err
	}
	a, err := accounts.Get(ctx, tx, accountID(b, start))
	if errors.Is(err, store.ErrNotFound) {
		a, err = account{Limit: b.Limit, Hard: b.Hard}, nil
		if b.Rollover {
			if a.Carried, err = carried(ctx, tx, b, start); err == nil {
				a.Limit = a.Limit.Add(a.Carried)
			}
		}
	}
	if err != nil {
		return BudgetState{}, err
	}
	s := BudgetState{Budget: b, PeriodStart: start, PeriodEnd: end, Limit: a.Limit, Spent: a.Spent,
		Reserved: a.Reserved, Remaining: a.room(), Over: a.Over, State: "ok"}
	switch {
	case a.Spent.GreaterThanOrEqual(a.Limit) && a.Spent.IsPositive():
		s.State = "over"
	case a.Alerted:
		s.State = "alerted"
	}
	return s, nil
}
