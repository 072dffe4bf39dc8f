package billing_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

type ctx = context.Context

// books is a ledger with budgets of organization org_1, whose zone is New York.
type books struct {
	*billing.Ledger
	t     testing.TB
	store *store.Store
	guard *rbac.Guard
}

func newBooks(t testing.TB, s *store.Store) books {
	g, err := rbac.NewGuard(s, nil)
	require.NoError(t, err)
	require.NoError(t, s.Update(t.Context(), func(ctx ctx, tx *store.Tx) error {
		scope := rbac.Scope{Zone: "America/New_York", State: rbac.Active}
		scope.ID = "org_1"
		if err := rbac.Scopes.Insert(ctx, tx, &scope); err != nil {
			return err
		}
		for _, id := range []string{"team_1", "proj_1"} {
			part := rbac.Restriction{OrgID: "org_1", State: rbac.Active}
			part.ID = id
			if err := rbac.Restrictions.Insert(ctx, tx, &part); err != nil {
				return err
			}
		}
		for _, a := range []rbac.Assignment{{Subject: "usr_1", Kind: rbac.Member}, {Subject: "usr_1", Kind: rbac.Member, TeamID: "team_1"}, {Subject: "key_1", Kind: rbac.Key, TeamID: "team_1"}} {
			a.OrgID, a.State = "org_1", rbac.Active
			if err := rbac.Assignments.Insert(ctx, tx, &a); err != nil {
				return err
			}
		}
		return nil
	}))
	l := billing.NewLedger(s, g, nil)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return books{l, t, s, g}
}

func each(t *testing.T, fn func(t *testing.T, b books, clock *storetest.Clock)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) { fn(t, newBooks(t, s), clock) })
}

func usd(s string) decimal.Decimal { return decimal.RequireFromString(s) }

func amount(s string) *decimal.Decimal {
	d := usd(s)
	return &d
}

func (b books) budget(budget billing.Budget) {
	b.t.Helper()
	budget.OrgID = "org_1"
	if budget.Scope == billing.ScopeUser {
		budget.OrgID = ""
	}
	if budget.Window == "" {
		budget.Window = billing.CalendarMonth
	}
	_, err := b.SetBudget(audit.WithActor(b.t.Context(), audit.PlatformAdmin()), budget)
	require.NoError(b.t, err)
}

var path = billing.Path{OrgID: "org_1", TeamID: "team_1", UserID: "usr_1", KeyID: "key_1", Model: "gpt-4o"}

func (b books) states() map[billing.ScopeKind]billing.BudgetState {
	b.t.Helper()
	out := map[billing.ScopeKind]billing.BudgetState{}
	require.NoError(b.t, b.Flush(b.t.Context()))
	require.NoError(b.t, b.store.View(b.t.Context(), func(ctx ctx, tx *store.Tx) error {
		states, err := b.States(ctx, tx, path)
		for _, s := range states {
			out[s.Budget.Scope] = s
		}
		return err
	}))
	return out
}

func TestReserveStopsAtTheLimitOfEveryScope(t *testing.T) {
	for _, scope := range []billing.Budget{
		{Scope: billing.ScopeOrg, ScopeID: "org_1"}, {Scope: billing.ScopeTeam, ScopeID: "team_1"}, {Scope: billing.ScopeUser, ScopeID: "usr_1"},
		{Scope: billing.ScopeMember, ScopeID: "usr_1", TeamID: "team_1"}, {Scope: billing.ScopeMember, ScopeID: "usr_1"},
		{Scope: billing.ScopeKey, ScopeID: "key_1"}, {Scope: billing.ScopeModel, ScopeID: "gpt-*"},
	} {
		t.Run(string(scope.Scope)+scope.TeamID, func(t *testing.T) {
			each(t, func(t *testing.T, b books, _ *storetest.Clock) {
				wide := billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Name: "wide", Limit: usd("1000"), Hard: true}
				b.budget(wide)
				scope.Limit, scope.Hard = usd("10.00"), true
				b.budget(scope)
				_, err := b.Reserve(t.Context(), path, amount("10.01"))
				var ex *billing.Exceeded
				require.ErrorAs(t, err, &ex)
				require.ErrorIs(t, err, billing.ErrExceeded)
				require.Equal(t, scope.Scope, ex.Scope)
				require.Equal(t, "10", ex.Remaining.String())
				for _, s := range b.states() {
					require.True(t, s.Reserved.IsZero(), "all or nothing")
				}
				_, err = b.Reserve(t.Context(), path, amount("10"))
				require.NoError(t, err)
				_, err = b.Reserve(t.Context(), path, amount("0.000000000001"))
				require.ErrorIs(t, err, billing.ErrExceeded)
				_, err = b.Reserve(t.Context(), path, amount("0")) // billing edge 22
				require.NoError(t, err)
				elsewhere := billing.Path{OrgID: "org_2", TeamID: "team_2", UserID: "usr_2", KeyID: "key_2", Model: "claude"}
				_, err = b.Reserve(t.Context(), elsewhere, amount("500"))
				require.NoError(t, err, "nobody else's calls are touched")
			})
		})
	}
}

func TestReservationSettlesOnce(t *testing.T) { // billing edge 13
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true})
		r, err := b.Reserve(t.Context(), path, amount("4"))
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { r.Settle(t.Context(), usd("1.5")) })
		}
		wg.Wait()
		require.NoError(t, r.Settle(t.Context(), usd("1.50")))
		require.ErrorIs(t, r.Settle(t.Context(), usd("2")), billing.ErrSettled)
		require.NoError(t, r.Release(t.Context()))
		require.ErrorIs(t, r.Settle(t.Context(), usd("-1")), store.ErrInvalid)
		s := b.states()[billing.ScopeOrg]
		require.Equal(t, "1.5", s.Spent.String())
		require.True(t, s.Reserved.IsZero())
		require.ErrorIs(t, b.Settle(t.Context(), "res_none", usd("1")), store.ErrNotFound)
	})
}

func TestOverrunIsChargedAndShown(t *testing.T) { // billing edge 14
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true})
		r, err := b.Reserve(t.Context(), path, amount("9"))
		require.NoError(t, err)
		require.NoError(t, r.Settle(t.Context(), usd("12.5")))
		s := b.states()[billing.ScopeOrg]
		require.Equal(t, "12.5", s.Spent.String())
		require.Equal(t, "2.5", s.Over.String())
		require.True(t, s.Remaining.IsZero())
		require.Equal(t, "over", s.State)
		_, err = b.Reserve(t.Context(), path, amount("0.01"))
		require.ErrorIs(t, err, billing.ErrExceeded)
	})
}

func TestReservationBelongsToItsPeriod(t *testing.T) { // billing edges 10 and 11
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		clock.Set(at(t, "2024-03-31T23:00:00Z")) // still March in New York
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true})
		r, err := b.Reserve(t.Context(), path, amount("10"))
		require.NoError(t, err)
		clock.Set(at(t, "2024-04-01T03:59:59Z"))
		_, err = b.Reserve(t.Context(), path, amount("1"))
		require.ErrorIs(t, err, billing.ErrExceeded)
		clock.Advance(time.Second) // midnight in New York
		_, err = b.Reserve(t.Context(), path, amount("10"))
		require.NoError(t, err)
		require.NoError(t, r.Settle(t.Context(), usd("10")))
		s := b.states()[billing.ScopeOrg]
		require.Equal(t, "10", s.Reserved.String())
		require.True(t, s.Spent.IsZero(), "March has paid")
	})
}

func TestWhatIsLeftRollsOver(t *testing.T) { // F087, F088, billing edge 9
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		clock.Set(at(t, "2024-01-10T12:00:00Z"))
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true, Rollover: true})
		r, err := b.Reserve(t.Context(), path, amount("3"))
		require.NoError(t, err)
		require.NoError(t, r.Settle(t.Context(), usd("3")))
		clock.Set(at(t, "2024-02-10T12:00:00Z"))
		require.Equal(t, "17", b.states()[billing.ScopeOrg].Limit.String())
		_, err = b.Reserve(t.Context(), path, amount("17"))
		require.NoError(t, err)
		require.Equal(t, "17", b.states()[billing.ScopeOrg].Reserved.String())
	})
}

func TestLimitChangesAtOnce(t *testing.T) { // billing edges 36 and 37
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		budget := billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true}
		b.budget(budget)
		_, err := b.Reserve(t.Context(), path, amount("8"))
		require.NoError(t, err)
		budget.Limit = usd("5")
		b.budget(budget)
		s := b.states()[billing.ScopeOrg]
		require.Equal(t, "3", s.Over.String())
		_, err = b.Reserve(t.Context(), path, amount("0.01"))
		require.ErrorIs(t, err, billing.ErrExceeded)
		budget.Limit = usd("9")
		b.budget(budget)
		_, err = b.Reserve(t.Context(), path, amount("1"))
		require.NoError(t, err)
	})
}

func TestSoftBudgetOnlyTells(t *testing.T) { // F086
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("1"), AlertThreshold: amount("0.5")})
		for range 3 {
			r, err := b.Reserve(t.Context(), path, amount("0.6"))
			require.NoError(t, err)
			require.NoError(t, r.Settle(t.Context(), usd("0.6")))
		}
		require.NoError(t, b.Flush(t.Context()))
		var types []string
		page, err := audit.New(b.store, nil).List(t.Context(), "org_1", audit.Filter{Types: []string{"budget.alert", "budget.exceeded"}})
		require.NoError(t, err)
		for _, e := range page.Items {
			types = append(types, e.Type)
		}
		require.ElementsMatch(t, []string{"budget.alert", "budget.exceeded"}, types, "each once")
		_, err = b.Reserve(t.Context(), path, nil) // billing edge 26: only hard budgets need a price
		require.NoError(t, err)
	})
}

func TestFaultyBudgetsAreRefused(t *testing.T) {
	ok := billing.Budget{OrgID: "org_1", Scope: billing.ScopeOrg, ScopeID: "org_1", Window: "30d", Zone: "UTC"}
	require.NoError(t, ok.Validate())
	for field, change := range map[string]func(*billing.Budget){
		"scope":           func(b *billing.Budget) { b.Scope = "planet" },
		"scope_id":        func(b *billing.Budget) { b.ScopeID = "" },
		"organization_id": func(b *billing.Budget) { b.OrgID = "" },
		"limit":           func(b *billing.Budget) { b.Limit = usd("-1") },
		"window":          func(b *billing.Budget) { b.Window = "fortnight" },
		"zone":            func(b *billing.Budget) { b.Zone = "Mars/Olympus" },
		"team_id":         func(b *billing.Budget) { b.TeamID = "team_1" },
		"alert_threshold": func(b *billing.Budget) { b.AlertThreshold = amount("1.1") },
	} {
		b := ok
		change(&b)
		var f *store.FieldError
		require.ErrorAs(t, b.Validate(), &f)
		require.Equal(t, field, f.Field)
	}
}

func TestManyCallsShareOneBudgetExactly(t *testing.T) { // S10.1
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true})
		b.budget(billing.Budget{Scope: billing.ScopeTeam, ScopeID: "team_1", Limit: usd("7"), Hard: true})
		var mu sync.Mutex
		var wg sync.WaitGroup
		admitted := 0
		for range 128 {
			wg.Go(func() {
				if r, err := b.Reserve(t.Context(), path, amount("1")); err == nil {
					mu.Lock()
					admitted++
					mu.Unlock()
					r.Settle(t.Context(), usd("1"))
				}
			})
		}
		wg.Wait()
		require.Equal(t, 7, admitted)
		require.Equal(t, "7", b.states()[billing.ScopeOrg].Spent.String())
	})
}
