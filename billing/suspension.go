package billing

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// A budget that an alert has suspended is open again by itself: with its next period, which is arithmetic and waits for no
// job, or when its limit is raised above what is spent. One that a person has suspended is not (billing edge 53).

// Stopped says whether the budget is suspended at that time.
func (b *Budget) Stopped(now time.Time) bool { return b.Suspended && !b.over(now) }

// over says whether the suspension of an alert has ended with its period.
func (b *Budget) over(now time.Time) bool {
	return b.Suspended && b.SuspendedUntil != nil && !now.Before(*b.SuspendedUntil)
}

// exceed fires the alerts of the settings of an organization that one of its budgets has been exceeded (F222 to F224).
func (l *Ledger) exceed(ctx context.Context, tx *store.Tx, b Budget, a *account) error {
	if b.Scope != ScopeOrg && b.Scope != ScopeTeam && b.Scope != ScopeProject {
		return nil
	}
	s, err := SettingsOf(ctx, tx, b.OrgID)
	if err != nil {
		return err
	}
	var list []*FiredAlert
	for _, alert := range s.Alerts {
		if alert.Type == ExceededAlert {
			list = append(list, &FiredAlert{OrgID: b.OrgID, AlertID: alert.ID, Kind: alert.Type, BudgetID: b.ID, Scope: b.Scope, ScopeID: b.ScopeID, TeamID: b.place(),
				Spent: a.Spent, Reference: a.Limit, Suspended: alert.Action == SuspendAction, PeriodStart: a.PeriodStart, PeriodEnd: a.PeriodEnd, LimitVersion: a.LimitVersion})
		}
	}
	fresh, err := l.fire(ctx, tx, list)
	if err != nil {
		return err
	}
	for _, f := range fresh {
		if f.Suspended {
			return l.stop(ctx, tx, b, f)
		}
	}
	return nil
}

// stop suspends a budget until its period ends.
func (l *Ledger) stop(ctx context.Context, tx *store.Tx, b Budget, f *FiredAlert) error {
	is, err := Budgets.Lock(ctx, tx, b.ID)
	if errors.Is(err, store.ErrNotFound) { // it was dropped meanwhile
		return nil
	} else if err != nil || is.Suspended || !f.PeriodEnd.IsZero() && !tx.Now().Before(f.PeriodEnd) { // what came late stops nothing any more
		return err
	}
	is.Suspended, is.SuspendedBy = true, f.AlertID
	if end := f.PeriodEnd; !end.IsZero() {
		is.SuspendedUntil = &end
	}
	return l.turn(ctx, tx, &is, "budget.suspended", map[string]any{"alert_id": f.AlertID, "spent": f.Spent.String(), "limit": f.Reference.String()})
}

// reopen ends the suspension of an alert where the limit is above what is spent again.
func (l *Ledger) reopen(ctx context.Context, tx *store.Tx, b Budget, a *account) error {
	if b.SuspendedBy == "" || !a.Limit.GreaterThan(a.Spent) {
		return nil
	}
	return l.resumeBySelf(ctx, tx, b.ID, "raise")
}

// resumeBySelf ends the suspension of an alert, unless somebody else has.
func (l *Ledger) resumeBySelf(ctx context.Context, tx *store.Tx, id, because string) error {
	is, err := Budgets.Lock(ctx, tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	} else if err != nil || is.SuspendedBy == "" || because == "period" && !is.over(tx.Now()) {
		return err
	}
	data := map[string]any{"alert_id": is.SuspendedBy, "because": because}
	is.Suspended, is.SuspendedBy, is.SuspendedUntil = false, "", nil
	return l.turn(ctx, tx, &is, "budget.resumed", data)
}

func (l *Ledger) turn(ctx context.Context, tx *store.Tx, b *Budget, event string, data map[string]any) error {
	if err := Budgets.Update(ctx, tx, b); err != nil {
		return err
	}
	ctx = audit.WithActor(ctx, audit.System("ledger"))
	c := audit.Change{Type: event, Resource: b.AuditResource(), TeamID: b.place(), Data: data}
	if _, err := l.guard.Audit().Append(ctx, tx, b.OrgID, modifyBudget, c); err != nil {
		return err
	}
	return l.Touch(ctx, tx, b.OrgID)
}

// ResumeDue notes on budgets that alerts have suspended that this has ended with their period, each with an event, and says
// on how many. It is the platform's, to be called now and then: calls pass without it.
func (l *Ledger) ResumeDue(ctx context.Context) (n int, err error) {
	var due []string
	err = l.guard.Read(ctx, rbac.Op{Action: modifyBudget}, func(ctx context.Context, tx *store.Tx) error {
		due = nil
		for b, err := range Budgets.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("suspended", true)}}) {
			if err != nil {
				return err
			}
			if b.over(tx.Now()) {
				due = append(due, b.ID)
			}
		}
		return nil
	})
	failed := []error{err}
	for _, id := range due {
		err := l.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error { return l.resumeBySelf(ctx, tx, id, "period") })
		if failed = append(failed, err); err == nil {
			n++
		}
	}
	return n, errors.Join(failed...)
}

// alertAll fires for what is exceeded when alerts are set: they are not only for what comes (billing edge 50).
func (l *Ledger) alertAll(ctx context.Context, tx *store.Tx, orgID string) error {
	q := store.Query{Where: []store.Cond{store.Eq("org_id", orgID), store.In("scope", []ScopeKind{ScopeOrg, ScopeTeam, ScopeProject})}}
	by := map[string]Budget{}
	var ids []string
	for b, err := range Budgets.All(ctx, tx, q) {
		if err != nil {
			return err
		}
		start, _, err := b.running(ctx, tx)
		if err != nil {
			return err
		}
		id := accountID(b, start)
		by[id], ids = b, append(ids, id)
	}
	slices.Sort(ids)
	for some := range slices.Chunk(ids, store.MaxLimit) {
		list, err := accounts.LockMany(ctx, tx, some) // who is about to exceed one does not know the alerts yet, or is waited for
		if err != nil {
			return err
		}
		for i := range list {
			a := &list[i]
			if a.lapse(tx.Now()); !a.Spent.IsPositive() || a.Spent.LessThan(a.Limit) {
				continue
			}
			if err := l.exceed(ctx, tx, by[a.ID], a); err != nil {
				return err
			}
		}
	}
	return nil
}
