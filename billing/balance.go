package billing

import (
	"context"
	"errors"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// SetBalance gives the budget of that scope and name, which is made if there is none, so much (USD) from now on: what was
// spent before no longer counts, and what calls hold that are under way is paid out of it. Its window is
// [Lifetime]. It needs budget.modify. What was settled in this process is written before; what other processes
// have settled in the last flush interval is paid out of the new balance.
func (l *Ledger) SetBalance(ctx context.Context, b Budget, left decimal.Decimal) (Budget, error) {
	if err := checkAmount("balance", left); err != nil {
		return b, err
	}
	if err := l.Flush(ctx); err != nil {
		return b, err
	}
	b.Window = Lifetime
	return l.change(ctx, b, "budget.updated", func(ctx context.Context, tx *store.Tx, b *Budget) error {
		b.Limit = left.RoundFloor(12)
		if err := l.put(ctx, tx, b, false); err != nil {
			return err
		}
		start, _, err := b.running(ctx, tx)
		if err != nil {
			return err
		}
		a, err := accounts.Lock(ctx, tx, accountID(*b, start))
		if errors.Is(err, store.ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		b.Limit = b.Limit.Add(a.Spent)
		return l.Put(ctx, tx, b)
	})
}

// SuspendBudget stops everything that costs on the budget's path until [Ledger.ResumeBudget]; calls under way go on, and settle. It
// needs budget.modify. One that is suspended already is a *store.ConflictError.
func (l *Ledger) SuspendBudget(ctx context.Context, b Budget) (Budget, error) {
	return l.suspend(ctx, b, true, "budget.suspended")
}

// ResumeBudget ends what [Ledger.SuspendBudget] began.
func (l *Ledger) ResumeBudget(ctx context.Context, b Budget) (Budget, error) {
	return l.suspend(ctx, b, false, "budget.resumed")
}

// ResumePlace resumes every suspended budget of a team or project, each with its event. Where none is suspended it is a
// *store.ConflictError.
func (l *Ledger) ResumePlace(ctx context.Context, orgID, teamID string) error {
	var stopped []Budget
	op := rbac.Op{Action: modifyBudget, OrgID: orgID, TeamID: teamID}
	err := l.guard.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		stopped = nil
		for b, err := range Budgets.All(ctx, tx, store.Query{Where: ofPlace(orgID, teamID)}) {
			if err != nil {
				return err
			}
			if b.Stopped(tx.Now()) {
				stopped = append(stopped, b)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(stopped) == 0 {
		return &store.ConflictError{Code: "conflict", Message: "no budget is suspended"}
	}
	return l.guard.Together(ctx, func(ctx context.Context) error {
		for _, b := range stopped {
			if _, err := l.ResumeBudget(ctx, b); err != nil {
				return err
			}
		}
		return nil
	})
}

// suspend changes the budget of that scope and name, or answers store.ErrNotFound.
func (l *Ledger) suspend(ctx context.Context, b Budget, to bool, event string) (Budget, error) {
	return l.change(ctx, b, event, func(ctx context.Context, tx *store.Tx, b *Budget) (err error) {
		if *b, err = l.find(ctx, tx, *b); err != nil {
			return err
		}
		if b.Stopped(tx.Now()) == to {
			return &store.ConflictError{Code: "conflict", Message: "the budget is in this state already"}
		}
		b.Suspended, b.SuspendedBy, b.SuspendedUntil = to, "", nil
		if err := Budgets.Update(ctx, tx, b); err != nil {
			return err
		}
		return l.Touch(ctx, tx, b.OrgID)
	})
}

// find is the budget of the same scope and name.
func (l *Ledger) find(ctx context.Context, tx *store.Tx, b Budget) (Budget, error) {
	return Budgets.Find(ctx, tx, store.Eq("org_id", b.OrgID), store.Eq("scope", b.Scope),
		store.Eq("scope_id", b.ScopeID), store.Eq("team_id", b.TeamID), store.Eq("name", b.Name))
}

// change is the one way in which callers outside change a budget: with permission, and with an event.
func (l *Ledger) change(ctx context.Context, b Budget, event string, fn func(ctx context.Context, tx *store.Tx, b *Budget) error) (Budget, error) {
	asked := b
	if b.Name == OfSettings && event == "budget.updated" {
		return b, errOfSettings
	}
	err := l.guard.Change(ctx, rbac.Op{Action: modifyBudget, OrgID: b.OrgID, TeamID: asked.place()}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		b = asked
		if b.Zone == "" {
			b.Zone = "UTC"
			if b.OrgID != "" {
				scope, err := rbac.Scopes.Get(ctx, tx, b.OrgID)
				if err != nil {
					return audit.Change{}, err
				}
				b.Zone = scope.Zone
			}
		}
		if event == "budget.updated" {
			if err := b.Validate(); err != nil {
				return audit.Change{}, err
			}
			if err := b.belongs(ctx, tx); err != nil {
				return audit.Change{}, err
			}
		}
		err := fn(ctx, tx, &b)
		return audit.Created(&b).As(event).In(asked.place()), err
	})
	return b, err
}

// ReserveUpTo is [Ledger.Reserve] of what is there: as much as every hard budget on the path has left, at most most
// and at least least (USD), or nothing. It says how much in Reservation.Amount; [Catalogue.MaxTokensFor] says how long an
// answer may be for that, and the upstream has to be told. What the call costs beyond is charged all the same.
func (l *Ledger) ReserveUpTo(ctx context.Context, p Path, least, most decimal.Decimal) (*Reservation, error) {
	if err := checkAmount("least", least); err != nil {
		return nil, err
	}
	for {
		r, err := l.Reserve(ctx, p, &most)
		var ex *Exceeded
		if !errors.As(err, &ex) || ex.Suspended || most.LessThanOrEqual(least) {
			return r, err
		}
		// The budget that refused has less. Another one may have even less, and both may have less by now.
		if most = decimal.Max(least, decimal.Min(ex.Remaining, most.Sub(decimal.New(1, -12)))); most.IsZero() {
			return nil, err
		}
	}
}
