package gate_test

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/store"
)

// TestWhateverACallIsForItsBudgetHoldsIt: a host that serves embeddings, images or what it only passes through asks for
// other actions, models and features, by estimates of its own. Nothing of that goes round the budgets.
func TestWhateverACallIsForItsBudgetHoldsIt(t *testing.T) { // billing edge 44
	each(t, func(t *testing.T, s *store.Store) {
		a := newAcme(t, s, engineering, nil)
		all := decimal.NewFromInt(5000)
		whole := a.call("gpt-3.5-turbo")
		whole.MaxCost = &all
		adm := a.passes(t, whole)
		cent := decimal.New(1, -2)
		for name, change := range map[string]func(*gate.Call){
			"a chat":              func(*gate.Call) {},
			"another model":       func(c *gate.Call) { c.Model = "gpt-4-turbo" },
			"another provider":    func(c *gate.Call) { c.Model = "opus" },
			"another action":      func(c *gate.Call) { c.Action = "models.read" },
			"a feature":           func(c *gate.Call) { c.Features = []string{"vision"} },
			"an estimate":         func(c *gate.Call) { c.MaxCost, c.InputTokens, c.MaxOutputTokens = &cent, 0, 0 },
			"input alone":         func(c *gate.Call) { c.MaxOutputTokens = 0 },
			"a tag":               func(c *gate.Call) { c.Tags = map[string]string{"team": "other"} },
			"who would wait":      func(c *gate.Call) { c.MaxWait = 1 },
			"nothing to estimate": func(c *gate.Call) { c.InputTokens, c.MaxOutputTokens = 0, 0 },
		} {
			t.Run(name, func(t *testing.T) {
				c := a.call("gpt-3.5-turbo")
				change(&c)
				a.refuses(t, c, "budget_exceeded")
			})
		}
		require.NoError(t, adm.Release(t.Context()))
		a.passes(t, a.call("gpt-3.5-turbo"))
	})
}
