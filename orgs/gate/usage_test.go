package gate_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
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
		u := billing.Usage{InputTokens: 1000, CachedTokens: 10, OutputTokens: 500, Endpoint: "/v1/chat\n" + strings.Repeat("x", 300), Method: "POST", Latency: 2 * time.Second, TTFT: 300 * time.Millisecond}
		require.NoError(t, adm.Settle(t.Context(), u))
		require.NoError(t, adm.Settle(t.Context(), u), "again")
		require.NoError(t, adm.Release(t.Context()))

		list := used(t, a)
		require.Len(t, list, 1, "once")
		e := list[0]
		require.Equal(t, []any{gate.UsageSource, adm.DecisionID, a.org.ID, a.eng.ID, a.dev.ID, adm.Caller.Key.ID, "gpt-4-turbo-preview", 200},
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
