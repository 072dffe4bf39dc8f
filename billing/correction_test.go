package billing_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestOnlyACorrectionGivesBack(t *testing.T) { // billing edge 19, and 48
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		clock.Set(at(t, "2024-01-10T12:00:00Z"))
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true})
		b.budget(billing.Budget{Scope: billing.ScopeTeam, ScopeID: "team_1", Limit: usd("8"), Hard: true})
		r, err := b.Hold(t.Context(), path, amount("8"))
		require.NoError(t, err)
		correct := func(reference, amount string) (billing.Correction, error) {
			return b.Correct(asPlatform(t), billing.Correction{OrgID: "org_1", ReservationID: r.ID, Reference: reference, Amount: usd(amount), Reason: "wrong price"})
		}
		_, err = correct("early", "-1")
		require.ErrorIs(t, err, store.ErrConflict, "nothing is charged yet")
		require.ErrorIs(t, b.Settle(t.Context(), r.ID, usd("-1")), store.ErrInvalid)
		require.NoError(t, b.Settle(t.Context(), r.ID, usd("8")))
		b.refuses("1")

		clock.Set(at(t, "2024-02-10T12:00:00Z")) // it is January that gets it back
		first, err := correct("ticket 1", "-3.0000000000009")
		require.NoError(t, err)
		require.Equal(t, "-3", first.Amount.String(), "no more than was said")
		again, err := correct("ticket 1", "-3.0000000000009")
		require.NoError(t, err)
		require.Equal(t, first.ID, again.ID)
		_, err = correct("ticket 1", "-2")
		require.ErrorIs(t, err, store.ErrConflict)
		_, err = correct("ticket 2", "-5.01")
		require.ErrorIs(t, err, store.ErrInvalid, "no more than was charged")
		for reference, amount := range map[string]string{"": "1", "zero": "0", "less": "-0.0000000000001"} {
			_, err = correct(reference, amount)
			require.ErrorIs(t, err, store.ErrInvalid, amount)
		}
		require.True(t, b.states()[billing.ScopeTeam].Spent.IsZero())
		clock.Set(at(t, "2024-01-20T12:00:00Z"))
		s := b.states()
		require.Equal(t, []string{"5", "3", "0"}, []string{s[billing.ScopeTeam].Spent.String(), s[billing.ScopeTeam].Remaining.String(), s[billing.ScopeTeam].Over.String()})
		require.Equal(t, "5", s[billing.ScopeOrg].Spent.String())
		require.NoError(t, b.Settle(t.Context(), r.ID, usd("8")), "what was settled stays what it was")

		_, err = correct("ticket 3", "4.5") // it was dearer after all, dearer than the budget is large
		require.NoError(t, err)
		s = b.states()
		require.Equal(t, []string{"9.5", "1.5"}, []string{s[billing.ScopeTeam].Spent.String(), s[billing.ScopeTeam].Over.String()})
		log, err := b.guard.Audit().List(asPlatform(t), "org_1", audit.Filter{Types: []string{"budget.corrected", "budget.exceeded"}})
		require.NoError(t, err)
		require.Len(t, log.Items, 3, "two corrections, and the team's budget was full once")

		_, err = b.Correct(asPlatform(t), billing.Correction{OrgID: "org_1", ReservationID: "res_none", Reference: "x", Amount: usd("-1"), Reason: "x"})
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

func TestACorrectionIsDoneOnce(t *testing.T) { // billing edge 19
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true})
		r, err := b.Hold(t.Context(), path, amount("8"))
		require.NoError(t, err)
		require.NoError(t, r.Settle(t.Context(), usd("8")))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, err := b.Correct(asPlatform(t), billing.Correction{OrgID: "org_1", ReservationID: r.ID, Reference: "webhook 7", Amount: usd("-3"), Reason: "refund"})
				if err != nil && !errors.Is(err, store.ErrExists) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, "5", b.states()[billing.ScopeOrg].Spent.String())
	})
}

func TestNoTimeFreesWhatABatchHolds(t *testing.T) { // billing edge 18
	each(t, func(t *testing.T, b books, clock *storetest.Clock) {
		clock.Set(at(t, "2024-03-05T12:00:00Z"))
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true})
		b.budget(billing.Budget{Scope: billing.ScopeTeam, ScopeID: "team_1", Limit: usd("9"), Hard: true, Window: billing.CalendarDay})
		r, err := b.Hold(t.Context(), path, amount("8"))
		require.NoError(t, err)
		for range 5 { // days, and processes
			clock.Advance(25 * time.Hour)
			l := billing.NewLedger(b.store, b.guard, &billing.Options{Silence: time.Millisecond})
			require.NoError(t, l.Reclaim(t.Context()))
			_, err = l.Reserve(t.Context(), path, amount("2.01"))
			require.ErrorIs(t, err, billing.ErrExceeded)
			require.NoError(t, l.Close())
			require.Equal(t, "8", b.states()[billing.ScopeOrg].Reserved.String())
		}
		require.True(t, b.states()[billing.ScopeTeam].Reserved.IsZero(), "it is of another day")
		require.NoError(t, b.Settle(t.Context(), r.ID, usd("3")))
		s := b.states()
		require.Equal(t, []string{"3", "0"}, []string{s[billing.ScopeOrg].Spent.String(), s[billing.ScopeOrg].Reserved.String()})
		require.True(t, s[billing.ScopeTeam].Spent.IsZero(), "that day has paid")
	})
}
