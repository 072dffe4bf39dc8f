package orgs

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// AllowanceState is an allowance and where an organization stands in it.
type AllowanceState struct {
	Allowance *Allowance      // nil: it has none
	Spent     decimal.Decimal // USD in the period that runs
	Total     decimal.Decimal // USD ever
	Since     time.Time       // the beginning of the period; zero: it has none
	ResetAt   time.Time       // its end; zero: it has none
}

// AllowanceOf returns the allowance of an organization and what it has spent. Everybody who holds something there is bound
// by it, and may see it.
func (m *Manager) AllowanceOf(ctx context.Context, org string) (s AllowanceState, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return s, err
	}
	if err := errors.Join(m.Flush(ctx), m.metering.Flush(ctx)); err != nil {
		return s, err
	}
	err = m.Read(ctx, rbac.Op{Action: "organizations.read", OrgID: orgID, Answer: orgID, Self: true}, func(ctx context.Context, tx *store.Tx) error {
		s, err = m.allowanceState(ctx, tx, orgID)
		return err
	})
	return s, err
}

func (m *Manager) allowanceState(ctx context.Context, tx *store.Tx, orgID string) (s AllowanceState, err error) {
	o, err := organizations.Get(ctx, tx, orgID)
	if err != nil {
		return s, err
	}
	used := func(from time.Time) (decimal.Decimal, error) { return m.spentSince(ctx, tx, orgID, from) }
	if s.Total, err = used(time.Unix(0, 0).UTC()); err != nil || o.AllowanceID == "" {
		s.Spent = s.Total
		return s, err
	}
	a, err := allowances.Get(ctx, tx, o.AllowanceID)
	if err != nil {
		return s, err
	}
	s.Allowance = &a
	switch b, err := m.State(ctx, tx, orgID, billing.ScopeOrg, orgID, billing.OfSettings); {
	case err != nil:
		return s, err
	case b != nil:
		if s.Spent, s.ResetAt = b.Spent, b.PeriodEnd; !s.ResetAt.IsZero() {
			s.Since = b.PeriodStart
		}
		return s, nil
	}
	if a.Window == "" {
		s.Spent = s.Total
		return s, nil
	}
	scope, err := rbac.Scopes.Get(ctx, tx, orgID)
	if err != nil {
		return s, err
	}
	zone, err := time.LoadLocation(scope.Zone)
	if err != nil {
		return s, err
	}
	w, err := billing.ParseWindow(a.Window)
	if err != nil {
		return s, err
	}
	var from time.Time
	from, s.ResetAt = w.Period(zone, a.Anchor, tx.Now())
	s.Since = from
	s.Spent, err = used(from)
	return s, err
}

// allow writes the budgets that an organization has by its allowance, and drops those that it had by another one.
func (m *Manager) allow(ctx context.Context, tx *store.Tx, o Organization, a *Allowance) error {
	var wanted []billing.Budget
	if a != nil {
		scope, err := rbac.Scopes.Get(ctx, tx, o.ID)
		if err != nil {
			return err
		}
		wanted = a.budgets(o.ID, scope.Zone)
	}
	var kept []billing.Budget
	for b, err := range billing.Budgets.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", o.ID), store.Eq("name", billing.OfSettings),
		store.In("scope", []billing.ScopeKind{billing.ScopeOrg, billing.ScopeModel})}}) {
		if err != nil {
			return err
		}
		stays := slices.ContainsFunc(wanted, func(w billing.Budget) bool {
			return w.Scope == b.Scope && w.ScopeID == b.ScopeID && w.Window == b.Window && w.Anchor.Equal(b.Anchor)
		})
		if stays { // else another window begins anew
			kept = append(kept, b)
			continue
		}
		if err := m.Drop(ctx, tx, o.ID, b.Scope, b.ScopeID, b.Name); err != nil {
			return err
		}
	}
	for i := range wanted {
		w := &wanted[i]
		had := slices.ContainsFunc(kept, func(b billing.Budget) bool { return w.Scope == b.Scope && w.ScopeID == b.ScopeID })
		if had || w.Scope != billing.ScopeOrg || w.Window != billing.Lifetime {
			if err := m.Put(ctx, tx, w); err != nil {
				return err
			}
			continue
		}
		ever, err := m.spentSince(ctx, tx, o.ID, time.Unix(0, 0).UTC())
		if err != nil {
			return err
		}
		if err := m.PutSpent(ctx, tx, w, ever); err != nil {
			return err
		}
	}
	return nil
}

// spentSince is what an organization has spent, as far as it is written.
func (m *Manager) spentSince(ctx context.Context, tx *store.Tx, orgID string, from time.Time) (decimal.Decimal, error) {
	below := tx.Now().Truncate(time.Hour).Add(time.Hour) // sums are kept of whole hours
	c, err := m.metering.Consumption(ctx, tx, []string{orgID}, billing.Span{From: from, Below: below})
	return c.Cost, err
}

// together are the rate limits of settings and of an allowance, of which both hold: of two on one glob the smaller ones, which
// admit what cannot be asked about where both do.
func together(settings, allowance []billing.RateLimit) []billing.RateLimit {
	for _, r := range allowance {
		at := slices.IndexFunc(settings, func(s billing.RateLimit) bool { return globOf(s) == globOf(r) })
		if at < 0 {
			settings = append(settings, r)
			continue
		}
		s := &settings[at]
		s.TokensPerMinute, s.RequestsPerMinute = least(s.TokensPerMinute, r.TokensPerMinute), least(s.RequestsPerMinute, r.RequestsPerMinute)
		s.MaxParallelRequests = least(s.MaxParallelRequests, r.MaxParallelRequests)
		s.FailOpen = s.FailOpen && r.FailOpen
	}
	return settings
}

func globOf(r billing.RateLimit) string {
	if r.Model == "" {
		return "*"
	}
	return r.Model
}

func least(a, b *int64) *int64 {
	if a == nil || b != nil && *b < *a {
		return b
	}
	return a
}
