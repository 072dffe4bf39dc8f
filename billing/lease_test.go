package billing_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestAPurseThatWasIdleTakesAgain waits until a process has returned everything and forgotten what it was of.
func TestAPurseThatWasIdleTakesAgain(t *testing.T) {
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("10"), Hard: true})
		l := billing.NewLedger(b.store, b.guard, &billing.Options{Flush: time.Millisecond, Idle: time.Millisecond})
		defer func() { require.NoError(t, l.Close()) }()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for range 3 {
			var h billing.Hold
			require.NoError(t, l.Purse(path).Reserve(ctx, &h, 1e12))
			require.NoError(t, h.Settle(1e12))
			require.Eventually(t, func() bool { return l.Idle() }, 20*time.Second, time.Millisecond)
		}
		require.Equal(t, "3", b.states()[billing.ScopeOrg].Spent.String())
	})
}

func (b books) leases() (rows map[[2]string]billing.Pico) {
	b.t.Helper()
	require.NoError(b.t, b.store.View(b.t.Context(), func(ctx ctx, tx *store.Tx) (err error) {
		rows, err = billing.LeaseRows(ctx, tx)
		return err
	}))
	return rows
}

// TestAHundredProcessesFindSomethingEach: who comes takes its share of one half of what is left, so that whoever comes after it
// finds something too, and what nobody uses is had by anybody.
func TestAHundredProcessesFindSomethingEach(t *testing.T) { // billing edge 34
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("1000"), Hard: true})
		left, ledgers := billing.Pico(1000e12), []*billing.Ledger{}
		for n := billing.Pico(1); n <= 100; n++ {
			l := billing.NewLedger(b.store, b.guard, &billing.Options{Flush: time.Hour}) // it writes when it has to
			defer func() { require.NoError(t, l.Close()) }()
			require.NoError(t, l.Purse(path).Reserve(t.Context(), new(billing.Hold), 1e12))
			require.EqualValues(t, n, l.Nodes().Live())
			ledgers = append(ledgers, l)
			var lease billing.Pico
			for of, amount := range b.leases() {
				if of[0] == l.Nodes().Node() {
					lease = amount
				}
			}
			require.GreaterOrEqual(t, lease, billing.Pico(1e12))
			require.LessOrEqual(t, lease, max(1e12, left/(2*n)), "process %d, where %d are left", n, left)
			left -= lease
		}
		for _, l := range ledgers {
			require.NoError(t, l.Flush(t.Context()))
		}
		last := ledgers[0].Purse(path)
		require.ErrorIs(t, last.Reserve(t.Context(), new(billing.Hold), 900e12+1), billing.ErrExceeded)
		require.NoError(t, last.Reserve(t.Context(), new(billing.Hold), 900e12))
	})
}

func TestNoLeaseOfNothingIsLeft(t *testing.T) {
	each(t, func(t *testing.T, b books, _ *storetest.Clock) {
		for _, on := range onThePath("10") {
			b.budget(on)
		}
		for range 3 {
			var h billing.Hold
			require.NoError(t, b.Purse(path).Reserve(t.Context(), &h, 2e12))
			require.Len(t, b.leases(), 5)
			require.NoError(t, h.Settle(1e12))
			require.NoError(t, b.Flush(t.Context()))
			require.Empty(t, b.leases())
		}
		require.Equal(t, "3", b.states()[billing.ScopeOrg].Spent.String())
	})
}
