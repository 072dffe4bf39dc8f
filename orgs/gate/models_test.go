package gate_test

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/store"
)

// TestModelsAreThoseThatAreAdmitted asks for each model of the catalogue both ways.
func TestModelsAreThoseThatAreAdmitted(t *testing.T) { // F090
	for _, settings := range []string{engineering, `{}`, `{"models": {"allowed": []}}`, `{"models": {"allowed": ["gpt-*"], "require_approval": ["gpt-4-32k"]}}`} {
		each(t, func(t *testing.T, s *store.Store) {
			a := newAcme(t, s, settings, nil)
			listed := map[string]bool{}
			list, err := a.gate.Models(t.Context(), a.call(""))
			require.NoError(t, err)
			for _, m := range list {
				listed[m.ID] = true
			}
			for _, m := range a.Catalogue().Models() {
				c := a.call(m.ID)
				free := decimal.Zero
				c.MaxCost = &free
				_, err := a.gate.Admit(t.Context(), c)
				if err != nil {
					require.ErrorIs(t, err, gate.ErrDenied)
				}
				require.Equal(t, err == nil, listed[m.ID], "%s: %v", m.ID, err)
			}
			require.Empty(t, used(t, a), "nothing of it is a call")
			_, err = a.gate.Models(t.Context(), gate.Call{Secret: "ok_live_nobody"})
			require.ErrorIs(t, err, gate.ErrDenied)
		})
	}
}

func TestSeveralAnswersAndNone(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		c := a.call("gpt-4-turbo") // 1000 tokens of input at 10 and 1000 of output at 30 a million
		c.Answers = 3
		adm := a.passes(t, c)
		require.Equal(t, "0.1", adm.Cost().String())
		require.EqualValues(t, 1000, adm.MaxOutputTokens, "of each")
		c.MaxOutputTokens = 1 << 20
		require.EqualValues(t, 4096, a.passes(t, c).MaxOutputTokens)
		c.MaxOutputTokens = gate.NoOutput
		adm = a.passes(t, c)
		require.Equal(t, "0.01", adm.Cost().String())
		require.Zero(t, adm.MaxOutputTokens)
		require.NoError(t, adm.Settle(t.Context(), billing.Usage{InputTokens: 500}))
		for _, n := range []int64{-1, 129} {
			c.Answers = n
			a.refuses(t, c, "invalid_request")
		}
		c.Answers, c.MaxOutputTokens = 1, -2
		a.refuses(t, c, "invalid_request")
	})
}
