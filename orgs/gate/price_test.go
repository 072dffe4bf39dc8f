package gate_test

import (
	"context"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

func spent(t *testing.T, a acme) string {
	states, err := a.Overview(a.Platform(), a.org.ID)
	require.NoError(t, err)
	require.Len(t, states, 1)
	return states[0].Spent.String()
}

func TestCallIsChargedByThePriceOfItsAdmission(t *testing.T) { // billing edge 25
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		turbo := func(in, out string, from time.Time) billing.ModelPrice {
			return billing.ModelPrice{Model: "gpt-4-turbo", From: from, Components: []billing.Component{ // an alias
				{Unit: billing.InputToken, Price: decimal.RequireFromString(in)}, {Unit: billing.OutputToken, Price: decimal.RequireFromString(out)}}}
		}
		old, raised := turbo("0.00001", "0.00003", time.Time{}), turbo("0.001", "0.003", tuesday.Add(time.Hour))
		set := func(prices ...billing.ModelPrice) {
			b, err := billing.NewBook("USD", prices...)
			require.NoError(t, err)
			require.NoError(t, a.Catalogue().SetPrices(b))
		}
		set(old)
		first := a.passes(t, a.call("gpt-4-turbo-preview"))
		set(old, raised)
		second := a.call("gpt-4-turbo-preview")
		second.Now = tuesday.Add(2 * time.Hour)
		dear := a.passes(t, second)
		require.Equal(t, "0.04", first.Cost().String())
		require.Equal(t, "4", dear.Cost().String())

		require.NoError(t, first.Settle(t.Context(), billing.Usage{InputTokens: 1000, OutputTokens: 500}))
		require.Equal(t, "0.025", spent(t, a))
		require.NoError(t, dear.Settle(t.Context(), billing.Usage{InputTokens: 1000, OutputTokens: 500}))
		require.Equal(t, "2.525", spent(t, a))
	})
}

func TestFreeModelPassesAnEmptyBudget(t *testing.T) { // billing edge 22
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, `{"budget": {"monthly_limit": 0.04, "hard_limit": true}}`, nil)
		adm := a.passes(t, a.call("gpt-4-turbo-preview"))
		require.NoError(t, adm.Settle(t.Context(), billing.Usage{InputTokens: 1000, OutputTokens: 1000}))
		a.refuses(t, a.call("gpt-4-turbo-preview"), "budget_exceeded")
		free := a.passes(t, a.call("dall-e-3"))
		require.True(t, free.Cost().IsZero())
		require.NoError(t, free.Settle(t.Context(), billing.Usage{InputTokens: 1000, OutputTokens: 1000}))
		require.Equal(t, "0.04", spent(t, a))
	})
}

func TestAdmissionSaysHowLongTheAnswerMayBe(t *testing.T) { // S10.4
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		c := a.call("gpt-4-turbo-preview")
		for wish, tokens := range map[int64]int64{0: 4096, 10: 10, 999_999_999: 4096} {
			c.MaxOutputTokens = wish
			adm := a.passes(t, c)
			require.Equal(t, tokens, adm.MaxOutputTokens)
			require.NoError(t, adm.Release(t.Context()))
		}
		c.MaxOutputTokens = 1 << 60
		a.refuses(t, c, "invalid_request")
		bomb := decimal.New(1, 1_000_000_000) // billing edge 20
		c = a.call("gpt-4-turbo-preview")
		c.MaxCost = &bomb
		a.refuses(t, c, "invalid_request")
	})
}

// costPolicy lets the seed's models be used by calls of at most 0.05 USD.
const costPolicy = `[{"effect": "allow", "actions": ["models:use"], "resources": ["model:*"],
	"conditions": {"cost_limit": {"type": "per_request", "max_amount": 0.05}}}]`

func TestRealCostIsHeldAgainstTheLimit(t *testing.T) { // F153
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		p, _, err := a.CreatePolicy(a.Platform(), a.org.ID, a.eng.ID, rbac.NewPolicy{Name: "cost", Statements: statements(t, costPolicy)})
		require.NoError(t, err)
		dear := a.call("gpt-4-turbo-preview")
		dear.MaxOutputTokens = 2000 // 0.07
		a.refuses(t, dear, "cost_limit_exceeded")

		told := func() []audit.Event {
			log, err := a.AuditLog(a.Platform(), a.org.ID, audit.Filter{Types: []string{"budget.cost_limit_exceeded"}})
			require.NoError(t, err)
			return log.Items
		}
		settle := func(cost string) {
			adm := a.passes(t, a.call("gpt-4-turbo-preview")) // 0.04
			c := decimal.RequireFromString(cost)
			for range 2 { // the second time is none
				require.NoError(t, adm.Settle(t.Context(), billing.Usage{Cost: &c}))
			}
		}
		settle("0.03")
		settle("0.05") // more than was held, and within the limit
		require.Empty(t, told())
		settle("0.050000000001")
		require.Len(t, told(), 1)
		e := told()[0]
		require.Equal(t, "gpt-4-turbo-preview", e.ResourceID)
		require.Equal(t, a.eng.ID, e.TeamID)
		require.Contains(t, string(e.Data), `"cost":"0.050000000001"`)
		require.Contains(t, string(e.Data), `"code":"cost_limit_exceeded"`)
		require.Equal(t, "0.130000000001", spent(t, a), "and charged all the same")

		late := a.passes(t, a.call("gpt-4-turbo-preview"))
		_, err = a.UpdateTeam(a.Platform(), a.eng.ID, set(settings(t, engineering))) // what it rests on has to be read again
		require.NoError(t, err)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		dearer := decimal.RequireFromString("0.06")
		require.NoError(t, late.Settle(gone, billing.Usage{Cost: &dearer}), "a client that is gone has spent it")
		require.Len(t, told(), 2)

		_, err = a.DeletePolicy(a.Platform(), a.org.ID, a.eng.ID, p.ID)
		require.NoError(t, err)
		settle("9") // nothing limits it any more
		adm := a.passes(t, a.call("gpt-4-turbo-preview"))
		_, err = a.RevokeAPIKey(a.Platform(), adm.Caller.Key.ID, "lost")
		require.NoError(t, err)
		nine := decimal.NewFromInt(9)
		require.NoError(t, adm.Settle(t.Context(), billing.Usage{Cost: &nine}), "a key that is gone has spent it")
		require.Equal(t, "18.190000000001", spent(t, a))
		require.Len(t, told(), 2)
	})
}

func TestRealCostIsHeldAgainstTheCapOfAnApproval(t *testing.T) { // F153
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		a.allowApprovals(t)
		asked := a.refuses(t, a.call("gpt-4-32k"), "approval_required") // 0.18
		most := decimal.RequireFromString("0.2")
		_, err := a.DecideApproval(a.As(a.lead), a.org.ID, asked.ApprovalID, rbac.ApprovalDecision{Approve: true, MaxAmount: &most})
		require.NoError(t, err)
		for _, cost := range []string{"0.2", "0.21"} {
			c := decimal.RequireFromString(cost)
			require.NoError(t, a.passes(t, a.call("gpt-4-32k")).Settle(t.Context(), billing.Usage{Cost: &c}))
		}
		log, err := a.AuditLog(a.Platform(), a.org.ID, audit.Filter{Types: []string{"budget.cost_limit_exceeded"}})
		require.NoError(t, err)
		require.Len(t, log.Items, 1)
		require.Contains(t, string(log.Items[0].Data), `"cost":"0.21"`)
	})
}
