package rbac_test

import (
	"errors"
	"fmt"
	"sync"
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

func casbinModel(t *testing.T, matcher string) model.Model {
	m, err := model.NewModelFromString(`
[request_definition]
r = sub, act
[policy_definition]
p = sub, act, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = ` + matcher)
	require.NoError(t, err)
	return m
}

func TestCachedEnforcerAllowsWhatWasRevoked(t *testing.T) { // C8: why no cached enforcer is used
	e, err := casbin.NewSyncedCachedEnforcer(casbinModel(t, "g(r.sub, p.sub) && r.act == p.act"))
	require.NoError(t, err)
	_, err = e.AddPolicy("lead", "read", "allow")
	require.NoError(t, err)
	_, err = e.AddGroupingPolicy("alice", "lead")
	require.NoError(t, err)
	ok, err := e.Enforce("alice", "read")
	require.NoError(t, err)
	require.True(t, ok)
	_, err = e.RemoveGroupingPolicy("alice", "lead")
	require.NoError(t, err)
	ok, err = e.Enforce("alice", "read")
	require.NoError(t, err)
	require.True(t, ok, "the cache still answers")
}

func TestOneFailingRuleFailsEveryRequest(t *testing.T) { // C6: why no condition is in the matcher
	e, err := casbin.NewEnforcer(casbinModel(t, "broken(p.sub) || r.act == p.act"))
	require.NoError(t, err)
	e.AddFunction("broken", func(args ...any) (any, error) {
		if args[0] == "bad" {
			return nil, errors.New("no such attribute")
		}
		return false, nil
	})
	for _, rule := range [][]any{{"bad", "write", "allow"}, {"good", "read", "allow"}} {
		_, err = e.AddPolicy(rule...)
		require.NoError(t, err)
	}
	_, err = e.Enforce("x", "read")
	require.Error(t, err)

	// Here a condition that cannot be judged is unknown, and the others go on.
	broken := allow("a", "m.use")
	broken.Pool, broken.Statement.Conditions.IPAddress = rbac.PoolPolicy, &rbac.IPCondition{Type: rbac.IPInRange, Value: rbac.IPRanges{Ranges: []string{"10.0.0.0/8"}}}
	fine := allow("b", "m.use")
	fine.Pool = rbac.PoolPolicy
	d := decide(t, question("m.use", "model:x"), broken, fine)
	require.True(t, d.Allowed)
	require.NoError(t, d.Alarm)
}

func TestEvalRunsStoredTextAsCode(t *testing.T) { // C7: why conditions are typed data
	m, err := model.NewModelFromString(`
[request_definition]
r = act
[policy_definition]
p = rule, eft
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = eval(p.rule)`)
	require.NoError(t, err)
	e, err := casbin.NewEnforcer(m)
	require.NoError(t, err)
	_, err = e.AddPolicy("r.act == 'never' || true", "allow")
	require.NoError(t, err)
	ok, err := e.Enforce("read")
	require.NoError(t, err)
	require.True(t, ok)
}

func TestMatcherMustNameThePolicy(t *testing.T) { // C12: why the model is a constant of this package
	e, err := casbin.NewEnforcer(casbinModel(t, "r.act == 'read'"))
	require.NoError(t, err)
	ok, err := e.Enforce("anybody", "read")
	require.NoError(t, err)
	require.True(t, ok, "no policy was asked")
}

func TestSwitchedOffEnforcerAllowsEverything(t *testing.T) { // C15: why nobody here holds an enforcer
	e, err := casbin.NewEnforcer(casbinModel(t, "r.sub == p.sub"))
	require.NoError(t, err)
	e.EnableEnforce(false)
	ok, err := e.Enforce("x", "y")
	require.NoError(t, err)
	require.True(t, ok)
}

func TestManyRulesAnswerRight(t *testing.T) { // C18, C21
	var rules []rbac.Rule
	for i := range 2000 {
		r := allow(fmt.Sprint("r", i), "models.use")
		r.Statement.Resources = []string{fmt.Sprint("model:m", i)}
		rules = append(rules, r)
	}
	rs := ruleset(t, rules...)
	require.True(t, rs.Decide(question("models.use", "model:m1999"), rbac.Inputs{}).Allowed)
	require.False(t, rs.Decide(question("models.use", "model:m2000"), rbac.Inputs{}).Allowed)
}

func TestRulesetIsAskedConcurrently(t *testing.T) { // C1: one unchanged enforcer, many readers
	rs := ruleset(t, allow("a", "models.*"), allow("b", "*.read"))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 300 {
				q := question("models.use", fmt.Sprint("model:", i))
				if i%2 == 0 {
					q.Action = "billing.delete"
				}
				if d := rs.Decide(q, rbac.Inputs{}); d.Allowed != (i%2 == 1) || d.Alarm != nil {
					t.Errorf("%v: %+v", q, d)
				}
			}
		})
	}
	wg.Wait()
}

func TestPolicyTextIsNeverParsedAsCasbin(t *testing.T) { // C19, C20, C23
	for _, odd := range []string{`{"sub": "x"}`, "a.p.p.l.e", `x, y, "z"`, "r.sink", "$$", "'; true //"} {
		r := allow(odd, "models.use")
		r.Statement.Resources = []string{"model:" + odd}
		require.True(t, decide(t, question("models.use", "model:"+odd), r).Allowed, odd)
		require.False(t, decide(t, question("models.use", "model:other"), r).Allowed, odd)
	}
}
