package rbac_test

import (
	"testing"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	"github.com/casbin/casbin/v2/util"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/rbac"
)

// These tests hold the facts about Casbin that the design rests on. When one fails after an upgrade,
// something here can be simpler, or is in danger.

func TestCasbinPatternsAreNotOurs(t *testing.T) { // C2, C3, C4
	require.True(t, util.KeyMatch("billing.delete", "*.read"), "C2: why keyMatch decides nothing here")
	require.True(t, util.KeyMatch2("usageXread", "usage.read"), "C3")
	matched, err := util.GlobMatch("model:org/claude-3", "model:*")
	require.NoError(t, err)
	require.False(t, matched, "C4")
	_, err = util.GlobMatch("x", "[")
	require.Error(t, err, "C5: a malformed glob is an error of every request")

	require.False(t, decide(t, question("billing.delete", "billing:x"), allow("r", "*.read")).Allowed)
	require.False(t, decide(t, question("usagexread", "usage:x"), allow("r", "usage.read")).Allowed)
	rule := allow("r", "models.use")
	rule.Statement.Resources = []string{"model:*"}
	require.True(t, decide(t, question("models.use", "model:org/claude-3"), rule).Allowed)
}

func TestCasbinAsksTheMatcherWithoutPolicies(t *testing.T) { // C11
	m, err := model.NewModelFromString(`
[request_definition]
r = x
[policy_definition]
p = id, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = yes(r.x, p.id)`)
	require.NoError(t, err)
	e, err := casbin.NewEnforcer(m)
	require.NoError(t, err)
	e.AddFunction("yes", func(...any) (any, error) { return true, nil })
	allowed, err := e.Enforce("x")
	require.NoError(t, err)
	require.True(t, allowed, "an empty policy allows when the matcher says yes")

	require.False(t, decide(t, question("a.b", "x:y")).Allowed, "so a ruleset without rules is never asked")
}

func TestEffectThatIsNoneIsRefused(t *testing.T) { // C14
	r := allow("r", "a.b")
	r.Statement.Effect = "Deny"
	_, err := rbac.NewRuleset([]rbac.Rule{r}, nil)
	require.Error(t, err)
}

func TestRuleWithoutOwnIDIsRefused(t *testing.T) { // C11: ids are how Casbin's answers come back
	_, err := rbac.NewRuleset([]rbac.Rule{allow("", "a.b")}, nil)
	require.Error(t, err)
	_, err = rbac.NewRuleset([]rbac.Rule{allow("r", "a.b"), allow("r", "c.d")}, nil)
	require.Error(t, err)
}

func TestSeparatorsInIDsDoNotMeet(t *testing.T) { // C9, C20
	d := decide(t, question("a.b", "x:y"), allow("a$$b, c", "c.d"), allow("a$$b", "a.b"))
	require.True(t, d.Allowed)
	require.Equal(t, "a$$b", d.Reasons[0].ID)
}
