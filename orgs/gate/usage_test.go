package gate_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/store"
)

// used are the events of an organization, in the order of their times.
func used(t *testing.T, a acme) (list []billing.UsageEvent) {
	t.Helper()
	require.NoError(t, a.Metering().Flush(t.Context()))
	require.NoError(t, a.Store().View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		list = nil
		for e, err := range a.Metering().Events(ctx, tx, a.org.ID, time.Unix(0, 0), time.Now().AddDate(1, 0, 0)) {
			if err != nil {
				return err
			}
			list = append(list, e)
		}
		return nil
	}))
	return list
}

func TestWhatACallHasUsedIsKept(t *testing.T) { // F228: the tags are on the event
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		c := a.call("gpt-4-turbo")
		c.Tags = map[string]string{"environment": "prod", "team": "else", "odd": "a\x00b"}
		adm := a.passes(t, c)
		decision := adm.DecisionID()
		u := billing.Usage{InputTokens: 1000, CachedTokens: 10, OutputTokens: 500, Endpoint: "/v1/chat\n" + strings.Repeat("x", 300), Method: "POST", Latency: 2 * time.Second, TTFT: 300 * time.Millisecond}
		require.NoError(t, adm.Settle(t.Context(), u))
		require.NoError(t, adm.Settle(t.Context(), u), "again")
		require.NoError(t, adm.Release(t.Context()))

		list := used(t, a)
		require.Len(t, list, 1, "once")
		e := list[0]
		require.Equal(t, []any{gate.UsageSource, decision, a.org.ID, a.eng.ID, a.dev.ID, adm.Caller.Key.ID, "gpt-4-turbo-preview", 200},
			[]any{e.Source, e.ID, e.OrgID, e.TeamID, e.UserID, e.KeyID, e.Model, e.Status})
		require.Equal(t, []int64{1000, 10, 500}, []int64{e.InputTokens, e.CachedTokens, e.OutputTokens})
		require.Equal(t, spent(t, a), e.Cost.String(), "one figure in budgets and in usage")
		require.Equal(t, map[string]string{"environment": "prod", "team": "engineering", "odd": "ab"}, e.Tags)
		require.Equal(t, "/v1/chat"+strings.Repeat("x", 248), e.Endpoint)
		require.NotEmpty(t, e.PriceVersion)
		require.Equal(t, []time.Duration{2 * time.Second, 300 * time.Millisecond}, []time.Duration{e.Latency, e.TTFT})
		require.Equal(t, s.Now().Add(-2*time.Second), e.Time, "when the call was made")
	})
}

func TestACallOfWhichNothingCameBackIsAFailure(t *testing.T) { // F236, F242
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		adm := a.passes(t, a.call("gpt-4-turbo"))
		require.NoError(t, adm.Release(t.Context()))
		require.NoError(t, adm.Release(t.Context()))
		a.refuses(t, a.call("gpt-4-32k"), "approval_required")
		list := used(t, a)
		require.Len(t, list, 1, "refusals are no calls")
		require.Zero(t, list[0].Status)
		require.True(t, list[0].Cost.IsZero())
	})
}

// Whatever calls do, what budgets have spent is what the events cost; and what a process had not written when it died is
// the difference, to the last digit.
func TestBudgetsAndUsageAreOne(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		_, err := a.SetBudget(a.Platform(), billing.Budget{OrgID: a.org.ID, Scope: billing.ScopeOrg, ScopeID: a.org.ID, Limit: decimal.NewFromInt(1000), Window: billing.CalendarMonth, Hard: true})
		require.NoError(t, err)
		r := rand.New(rand.NewPCG(3, 3))
		call := func(g *gate.Gate) decimal.Decimal {
			adm, err := g.Admit(t.Context(), a.call([]string{"gpt-4-turbo", "gpt-3.5-turbo"}[r.IntN(2)]))
			require.NoError(t, err)
			u := billing.Usage{InputTokens: r.Int64N(1000), OutputTokens: r.Int64N(1000)}
			if r.IntN(4) == 0 {
				told := decimal.New(r.Int64N(1_000_000_000), -14) // more places than are charged
				u.Cost = &told
			}
			if r.IntN(5) == 0 {
				require.NoError(t, adm.Release(t.Context()))
				return decimal.Zero
			}
			require.NoError(t, adm.Settle(t.Context(), u))
			switch {
			case u.Cost != nil:
				return billing.Ceil12(*u.Cost)
			case adm.Model.ID == "gpt-3.5-turbo":
				return decimal.New(5*u.InputTokens+15*u.OutputTokens, -7)
			}
			return decimal.New(u.InputTokens+3*u.OutputTokens, -5)
		}
		cost := decimal.Zero
		for range 40 {
			cost = cost.Add(call(a.gate))
		}
		reconcile := func() billing.Reconciliation {
			require.NoError(t, a.Flush(t.Context()))
			require.NoError(t, a.Metering().Flush(t.Context()))
			var list []billing.Reconciliation
			require.NoError(t, s.View(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
				list, err = a.Metering().Unaccounted(ctx, tx, a.org.ID)
				return err
			}))
			require.Len(t, list, 1)
			return list[0]
		}
		got := reconcile()
		require.Equal(t, []string{cost.String(), cost.String(), "0"}, []string{got.Spent.String(), got.Events.String(), got.Unaccounted.String()})

		dies, err := orgs.New(s, &orgs.Options{Catalogue: catalogue(t), Metering: billing.MeteringOptions{Flush: time.Hour}})
		require.NoError(t, err)
		lost := call(gate.New(dies)).Add(call(gate.New(dies))).Add(call(gate.New(dies)))
		require.NoError(t, dies.Flush(t.Context())) // the ledger has written, the metering not
		require.True(t, lost.IsPositive())
		require.Equal(t, lost.String(), reconcile().Unaccounted.String())
		require.NoError(t, dies.Close())
		require.Equal(t, "0", reconcile().Unaccounted.String(), "it did not die after all")
	})
}
