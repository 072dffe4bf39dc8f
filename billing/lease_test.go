package billing_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
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
