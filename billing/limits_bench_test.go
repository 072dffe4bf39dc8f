package billing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// BenchmarkLimits takes from three limits, one of requests, one of tokens and one of slots, and settles.
func BenchmarkLimits(b *testing.B) {
	s := storetest.Open(b, "memory", store.Options{})
	g, err := rbac.NewGuard(s, nil)
	require.NoError(b, err)
	l := billing.NewLimiter(s, g, &billing.LimiterOptions{Nodes: billing.Alone(time.Now().Add(-48 * time.Hour))})
	defer l.Close()
	much := n(1_000_000_000_000)
	for _, r := range []billing.RateLimit{{OrgID: "org_1", Scope: billing.ScopeTeam, ScopeID: "team_1", RequestsPerDay: much},
		{OrgID: "org_1", Scope: billing.ScopeKey, ScopeID: "key_1", TokensPerDay: much}, {OrgID: "org_1", Scope: billing.ScopeOrg, ScopeID: "org_1", MaxParallelRequests: much}} {
		require.NoError(b, s.Update(b.Context(), func(ctx ctx, tx *store.Tx) error {
			return l.ApplyRateLimits(ctx, tx, r.OrgID, r.Scope, r.ScopeID, []billing.RateLimit{r})
		}))
	}
	var limits *billing.Limits
	require.NoError(b, s.View(b.Context(), func(ctx ctx, tx *store.Tx) (err error) {
		limits, err = l.Limits(ctx, tx, path1, false)
		return err
	}))
	var at time.Duration // 0: every call reads the clock
	ctx := b.Context()
	call := func() {
		h, err := limits.Take(ctx, billing.Ask{Tokens: 1000, At: at})
		if err != nil {
			b.Fatal(err)
		}
		h.Settle(400)
	}
	call()
	require.Zero(b, testing.AllocsPerRun(1000, call))
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			call()
		}
	})
	b.Run("clock read before", func(b *testing.B) {
		at = l.Elapsed()
		for b.Loop() {
			call()
		}
		at = 0
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				call()
			}
		})
	})
}
