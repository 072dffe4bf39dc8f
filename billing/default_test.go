package billing_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestFirstCallsOfSomebodyUnknownFindTheDefaultBudget has an end user, whom nobody has ever heard of, call many times at once
// through several processes.
func TestFirstCallsOfSomebodyUnknownFindTheDefaultBudget(t *testing.T) { // billing edge 43
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		b.budget(billing.Budget{Scope: billing.ScopeUser, ScopeID: billing.Each, Limit: usd("5"), Hard: true})
		b.budget(billing.Budget{Scope: billing.ScopeKey, ScopeID: billing.Each, Limit: usd("100"), Hard: true})
		var passed atomic.Int64
		var all sync.WaitGroup
		for range 3 {
			l := billing.NewLedger(b.store, b.guard, nil)
			defer func() { require.NoError(t, l.Close()) }()
			for range 5 {
				all.Go(func() {
					for refused := 0; refused < 2; {
						r, err := l.Reserve(t.Context(), billing.Path{OrgID: "org_1", UserID: "somebody", KeyID: "key_9", Model: "m"}, amount("0.5"))
						switch {
						case err == nil:
							passed.Add(1)
							if err := r.Settle(t.Context(), usd("0.5")); err != nil {
								t.Error(err)
							}
						case errors.Is(err, billing.ErrExceeded):
							if refused++; refused == 1 {
								if err := l.Flush(t.Context()); err != nil { // for the others
									t.Error(err)
								}
							}
						default:
							t.Error(err)
							return
						}
					}
				})
			}
		}
		all.Wait()
		require.LessOrEqual(t, passed.Load(), int64(10))
		require.Positive(t, passed.Load())
		states := b.statesOn(billing.Path{OrgID: "org_1", UserID: "somebody", KeyID: "key_9", Model: "m"})
		require.Equal(t, "5", states[billing.ScopeUser].Limit.String())
		require.Equal(t, usd("0.5").Mul(usd(fmt.Sprint(passed.Load()))).String(), states[billing.ScopeKey].Spent.String())
		page, err := audit.New(b.store, nil).List(t.Context(), "org_1", audit.Filter{Types: []string{"budget.updated"}})
		require.NoError(t, err)
		require.Len(t, page.Items, 2, "the default, and that of the key, which was made once")
		require.Equal(t, "ledger", page.Items[0].ActorID)
	})
}

// statesOn are where the budgets on a path stand.
func (b books) statesOn(p billing.Path) map[billing.ScopeKind]billing.BudgetState {
	b.t.Helper()
	out := map[billing.ScopeKind]billing.BudgetState{}
	require.NoError(b.t, b.Flush(b.t.Context()))
	require.NoError(b.t, b.store.View(b.t.Context(), func(ctx ctx, tx *store.Tx) error {
		states, err := b.States(ctx, tx, p)
		for _, s := range states {
			out[s.Budget.Scope] = s
		}
		return err
	}))
	return out
}

func TestADefaultBudgetIsForThoseWhoHaveNone(t *testing.T) {
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		of := func(user, key string) billing.Path {
			return billing.Path{OrgID: "org_1", TeamID: "team_1", UserID: user, KeyID: key, Model: "m"}
		}
		takes := func(p billing.Path, most string) {
			t.Helper()
			r, err := b.Reserve(t.Context(), p, amount(most))
			require.NoError(t, err)
			_, err = b.Reserve(t.Context(), p, amount("0.000000000001"))
			require.ErrorIs(t, err, billing.ErrExceeded)
			require.NoError(t, r.Release(t.Context()))
		}
		first := b.Purse(of("usr_1", "key_1"))
		require.NoError(t, first.Reserve(t.Context(), new(billing.Hold), 1e12), "nothing limits it yet")
		b.budget(billing.Budget{Scope: billing.ScopeKey, ScopeID: billing.Each, Limit: usd("2"), Hard: true})
		b.budget(billing.Budget{Scope: billing.ScopeMember, ScopeID: billing.Each, TeamID: "team_1", Limit: usd("3"), Hard: true})
		require.ErrorIs(t, first.Reserve(t.Context(), new(billing.Hold), 2e12+1), billing.ErrExceeded, "one that was there before")
		takes(of("usr_1", "key_1"), "2")
		takes(of("usr_1", ""), "3")
		takes(of("usr_2", "key_2"), "2") // each has its own
		_, err := b.Reserve(t.Context(), billing.Path{OrgID: "org_2", UserID: "usr_1", KeyID: "key_3", Model: "m"}, amount("1000"))
		require.NoError(t, err, "another organization's")

		own := b.statesOn(of("usr_2", "key_2"))[billing.ScopeKey].Budget // which is one like any other
		require.NoError(t, b.store.Update(t.Context(), func(ctx ctx, tx *store.Tx) error {
			own.Limit = usd("7")
			return b.Put(ctx, tx, &own)
		}))
		takes(of("", "key_2"), "7")
		b.budget(billing.Budget{Scope: billing.ScopeKey, ScopeID: billing.Each, Limit: usd("4"), Hard: true})
		takes(of("", "key_2"), "7")
		takes(of("", "key_1"), "2")
		takes(of("", "key_4"), "4") // who comes later

		r, err := b.Hold(t.Context(), of("", "key_5"), amount("4"))
		require.NoError(t, err)
		_, err = b.Hold(t.Context(), of("", "key_5"), amount("1"))
		require.ErrorIs(t, err, billing.ErrExceeded)
		require.NoError(t, r.Release(t.Context()))

		for _, wrong := range []billing.Budget{{Scope: billing.ScopeTeam, ScopeID: billing.Each}, {Scope: billing.ScopeProject, ScopeID: billing.Each}} {
			wrong.OrgID, wrong.Limit, wrong.Window, wrong.Zone = "org_1", usd("1"), billing.CalendarMonth, "UTC"
			require.ErrorIs(t, wrong.Validate(), store.ErrInvalid)
		}
	})
}
