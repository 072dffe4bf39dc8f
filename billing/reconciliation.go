package billing

import (
	"context"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Reconciliation holds a budget of an organization against the events of it and those below it, in the period that runs.
type Reconciliation struct {
	Budget Budget
	Span
	Spent     decimal.Decimal // by the budget
	Forfeited decimal.Decimal // of that, what was in the memory of processes that died
	Events    decimal.Decimal // what the events cost
	// Unaccounted is Spent less Events: what processes had not written when they were killed, what found no room, and what
	// corrections have taken back, which budgets do not.
	Unaccounted decimal.Decimal
}

// Unaccounted reconciles the budgets of an organization as a whole. Calls that ended in this process are in it after
// [Ledger.Flush] and [Metering.Flush]. It asks no permission: it serves the floors above.
func (m *Metering) Unaccounted(ctx context.Context, tx *store.Tx, orgID string) (list []Reconciliation, err error) {
	below, err := rbac.Descendants(ctx, tx, orgID)
	if err != nil {
		return nil, err
	}
	orgs := []string{orgID}
	for _, scope := range slices.Concat(below...) {
		orgs = append(orgs, scope.ID)
	}
	q := store.Query{Where: []store.Cond{store.Eq("org_id", orgID), store.Eq("scope", ScopeOrg), store.Eq("scope_id", orgID)}}
	for b, err := range Budgets.All(ctx, tx, q) {
		if err != nil {
			return nil, err
		}
		s, err := stateOf(ctx, tx, b)
		if err != nil {
			return nil, err
		}
		r := Reconciliation{Budget: b, Span: Span{s.PeriodStart, s.PeriodEnd}, Spent: s.Spent, Forfeited: s.Forfeited}
		if r.Below.IsZero() { // it has no end
			r.Below = tx.Now().Add(eventAhead)
		}
		for _, id := range orgs {
			got, err := m.covering(tx, id, r.Span).read(ctx, wanted{dim: ByOrg})
			if err != nil {
				return nil, err
			}
			r.Events = r.Events.Add(got[0].sum("").cost())
		}
		r.Unaccounted = r.Spent.Sub(r.Events)
		list = append(list, r)
	}
	return list, nil
}
