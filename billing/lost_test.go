package billing_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestADatabaseThatHasLostGrantsIsPaidAllTheSame has commits that were confirmed be lost, as they are when a standby takes
// over which has not got them, or a backup is put back: what calls hold, and nobody but their process knows of, is
// charged as soon as that process writes again, and what it only kept ready is gone.
func TestADatabaseThatHasLostGrantsIsPaidAllTheSame(t *testing.T) { // billing edge 31
	for name, first := range map[string]bool{"the first write": true, "a later write": false} {
		for _, database := range []string{"memory", "sqlite", "postgres"} {
			t.Run(database+"/"+name, func(t *testing.T) {
				s, d := newDown(t, database, storetest.NewClock())
				b := newBooks(t, s)
				b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("100"), Hard: true})
				var early, late, more billing.Hold
				p := b.Purse(path)
				if !first {
					require.NoError(t, p.Reserve(t.Context(), &early, 10e12))
				}
				d.lose.Store(true)
				require.NoError(t, p.Reserve(t.Context(), &late, 80e12))
				d.lose.Store(false)

				other := billing.NewLedger(s, b.guard, nil)
				defer func() { require.NoError(t, other.Close()) }()
				require.NoError(t, b.Flush(t.Context())) // it finds out
				require.NoError(t, b.Flush(t.Context()))
				require.NoError(t, b.Reclaim(t.Context()))
				left := billing.Pico(20e12)
				if !first {
					left = 10e12
				}
				require.ErrorIs(t, other.Purse(path).Reserve(t.Context(), new(billing.Hold), left+1), billing.ErrExceeded)
				require.ErrorIs(t, p.Reserve(t.Context(), new(billing.Hold), left+1), billing.ErrExceeded)
				require.NoError(t, other.Purse(path).Reserve(t.Context(), &more, left))
				require.NoError(t, more.Settle(left))
				require.NoError(t, other.Flush(t.Context()))
				if !first {
					require.NoError(t, early.Settle(10e12))
				}
				require.NoError(t, late.Settle(80e12))
				is := b.states()[billing.ScopeOrg]
				require.Equal(t, "100", is.Spent.String())
				require.Equal(t, "0", is.Reserved.String())
				require.Equal(t, "0", is.Over.String())
			})
		}
	}
}

// TestWhatOthersTookOfALostGrantIsShown is the same where somebody else was faster.
func TestWhatOthersTookOfALostGrantIsShown(t *testing.T) { // billing edge 31
	for _, database := range []string{"memory", "sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			s, d := newDown(t, database, storetest.NewClock())
			b := newBooks(t, s)
			b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("100"), Hard: true})
			var lost, theirs billing.Hold
			d.lose.Store(true)
			require.NoError(t, b.Purse(path).Reserve(t.Context(), &lost, 60e12))
			d.lose.Store(false)
			other := billing.NewLedger(s, b.guard, nil)
			defer func() { require.NoError(t, other.Close()) }()
			require.NoError(t, other.Purse(path).Reserve(t.Context(), &theirs, 70e12))
			require.NoError(t, b.Flush(t.Context())) // it finds out
			require.NoError(t, b.Flush(t.Context()))
			require.NoError(t, lost.Settle(60e12))
			require.NoError(t, theirs.Settle(70e12))
			require.NoError(t, other.Flush(t.Context()))
			is := b.states()[billing.ScopeOrg]
			require.Equal(t, "30", is.Over.String())
			require.Equal(t, "130", is.Spent.String())
			require.Equal(t, "0", is.Remaining.String())
			require.ErrorIs(t, other.Purse(path).Reserve(t.Context(), new(billing.Hold), 1), billing.ErrExceeded)
		})
	}
}
