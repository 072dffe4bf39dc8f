package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/rbac"
)

// oracleRule is a statement of one pool.
type oracleRule struct {
	policy    bool           // of an attached policy; else a grant, whose actions may end in :own
	statement rbac.Statement // of its conditions only those on address and score
	except    []string       // permissions that a grant does not give
}

// oracleQuestion is what rules are asked.
type oracleQuestion struct {
	action, resource string
	in               loadInputs // all known
}

// cedarOracle answers by Cedar what rules say: every allow counts alike, whatever its pool, and a deny that
// holds beats them all. It expresses both effects, permissions with wildcards, :own and exceptions, globs of
// resources, and conditions on the client's address and the anomaly score (up to four decimals). It does not
// express that policies come before grants: rules whose allows are of one pool mean the same to it. Nor does
// it know unknown inputs, which Cedar lets pass by a forbid.
type cedarOracle struct{ policies *cedar.PolicySet }

// newCedarOracle reads rules. Actions are the closed vocabulary: Cedar has no wildcards, so each permission
// becomes the set of actions that it covers.
func newCedarOracle(rules []oracleRule, actions []string) (cedarOracle, error) {
	o := cedarOracle{cedar.NewPolicySet()}
	for i, r := range rules {
		var all, own []string
		for _, action := range actions {
			covered := func(permission string) bool { return covers(strings.TrimSuffix(permission, ":own"), action) }
			by := slices.DeleteFunc(slices.Clone(r.statement.Actions), func(permission string) bool { return !covered(permission) })
			switch {
			case len(by) == 0 || slices.ContainsFunc(r.except, covered):
			case slices.ContainsFunc(by, func(permission string) bool { return !strings.HasSuffix(permission, ":own") }):
				all = append(all, action)
			default:
				own = append(own, action)
			}
		}
		if err := o.add(fmt.Sprint(i), all, r.statement, false); err != nil {
			return o, err
		}
		if err := o.add(fmt.Sprint(i, " own"), own, r.statement, true); err != nil {
			return o, err
		}
	}
	return o, nil
}

// add adds a statement as far as it is about the actions.
func (o cedarOracle) add(id string, actions []string, st rbac.Statement, own bool) error {
	if len(actions) == 0 {
		return nil
	}
	p := cedarEffect(st.Effect)
	cedarScope(p, actions)
	if own {
		p.When(ast.Context().Access("own"))
	}
	if err := cedarWhen(p, st); err != nil {
		return err
	}
	o.policies.Add(types.PolicyID(id), cedar.NewPolicyFromAST(p))
	return nil
}

// allowed answers. It is safe for concurrent use.
func (o cedarOracle) allowed(q oracleQuestion) (bool, error) {
	r, err := cedarRequest("user", q.action, q.resource, q.in)
	if err != nil {
		return false, err
	}
	return cedarAsk(o.policies, nil, r)
}

// oracleActions are a vocabulary in which wildcards meet segments of all depths.
var oracleActions = []string{"billing.invoices.items.read", "billing.invoices.read", "billing.read", "billing.update",
	"billings.read", "models.read", "models.use", "teams.members.read", "teams.read", "usage.export", "usage.read"}

var (
	oraclePermissions = []string{"*", "billing.*", "*.read", "*.*.read", "billing.invoices.*", "*.invoices.read", "models.*",
		"*.*", "teams.*.read", "usage.read", "models.use", "models.read", "billing.read", "usage.*", "nothing.*"}
	oracleGlobs = []string{"*", "model:*", "model:claude-3-*", "model:*opus", "model:*-3-*", "m*:*/*", "model:gpt-4o",
		"model:gpt-4o*", "team:team_1", "*:*1", "model:a[1]?", "**", "usage"}
	oracleResources = []string{"model:claude-3-opus", "model:anthropic/claude-3-opus", "model:gpt-4o", "model:gpt-4o-mini", "model:",
		"model:a[1]?", "model:a1x", "team:team_1", "team:team_11", "user:user_1", "usage", "Model:gpt-4o"}
	oracleRanges = []string{"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "0.0.0.0/0", "192.0.2.0/25", "2001:db8::/32",
		"2001:db8::1/128", "::/0"}
	oracleIPs = []string{"10.1.2.3", "10.1.2.4", "10.2.0.0", "11.0.0.0", "9.255.255.255", "192.0.2.127", "192.0.2.128",
		"2001:db8::1", "2001:db9::", "::1"}
)

// randomRules draws up to eight rules. Their allows are all of one pool; grants never deny.
func randomRules(r *rand.Rand) []oracleRule {
	rules := make([]oracleRule, 1+r.IntN(8))
	grants := r.IntN(2) == 0
	for i := range rules {
		st := rbac.Statement{Effect: rbac.EffectAllow, Actions: draw(r, oraclePermissions), Resources: draw(r, oracleGlobs),
			Conditions: randomConditions(r)}
		if r.IntN(3) == 0 {
			st.Effect = rbac.EffectDeny
		}
		rules[i] = oracleRule{policy: !grants || st.Effect == rbac.EffectDeny, statement: st}
		if rules[i].policy {
			continue
		}
		for a := range st.Actions {
			if r.IntN(4) == 0 {
				st.Actions[a] += ":own"
			}
		}
		if r.IntN(3) == 0 {
			rules[i].except = draw(r, oraclePermissions[1:])
		}
	}
	return rules
}

// randomConditions draws none half of the time.
func randomConditions(r *rand.Rand) (c rbac.Conditions) {
	if r.IntN(10) < 3 {
		c.IPAddress = &rbac.IPCondition{Type: pick(r, []string{rbac.IPInRange, rbac.IPNotInRange}),
			Value: rbac.IPRanges{Ranges: draw(r, oracleRanges)}}
	}
	if r.IntN(10) < 3 {
		c.AnomalyScore = &rbac.ScoreCondition{Type: pick(r, []string{rbac.GreaterThan, rbac.LessThan, rbac.Equals}),
			Value: randomScore(r)}
	}
	return c
}

// randomQuestion draws a question of the vocabulary oracleActions.
func randomQuestion(r *rand.Rand) oracleQuestion {
	ip := netip.MustParseAddr(pick(r, oracleIPs))
	return oracleQuestion{pick(r, oracleActions), pick(r, oracleResources), loadInputs{loadNow, ip, randomScore(r), r.IntN(2) == 0}}
}

// randomScore draws few different scores, so that they meet.
func randomScore(r *rand.Rand) float64 { return float64(r.IntN(11)) / 10 }

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// draw picks one, two or three.
func draw(r *rand.Rand, of []string) []string {
	some := make([]string, 1+r.IntN(3))
	for i := range some {
		some[i] = pick(r, of)
	}
	return some
}

// naive answers from the rules as they are.
func naive(rules []oracleRule, q oracleQuestion) (allow bool) {
	for _, r := range rules {
		gives := func(permission string) bool {
			pattern, own := strings.CutSuffix(permission, ":own")
			return covers(pattern, q.action) && (q.in.own || !own)
		}
		if !slices.ContainsFunc(r.statement.Actions, gives) || slices.ContainsFunc(r.except, gives) ||
			!slices.ContainsFunc(r.statement.Resources, func(pattern string) bool { return glob(pattern, q.resource) }) ||
			!met(r.statement.Conditions, q.in) {
			continue
		}
		if r.statement.Effect == rbac.EffectDeny {
			return false
		}
		allow = true
	}
	return allow
}

// TestOrgkitAgreesWithCedar asks the same of compiled rules, of Cedar and of the rules themselves.
func TestOrgkitAgreesWithCedar(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	v, err := rbac.NewVocabulary(oracleActions...)
	require.NoError(t, err)
	const sets, questions = 4000, 25
	allows := 0
	for range sets {
		rules := randomRules(r)
		oracle, err := newCedarOracle(rules, oracleActions)
		require.NoError(t, err)
		compiled, err := rbac.NewRuleset(orgkitRules(rules), &rbac.RulesetOptions{Vocabulary: v})
		require.NoError(t, err)
		for range questions {
			q := randomQuestion(r)
			byCedar, err := oracle.allowed(q)
			require.NoError(t, err)
			in := q.in.inputs()
			ours := compiled.Allows(rbac.Question{Action: q.action, Resource: q.resource}, &in)
			if want := naive(rules, q); byCedar != want || ours != want {
				t.Fatalf("seed %d: cedar %t, orgkit %t, by the rules %t\n%+v\nasked %+v", seed, byCedar, ours, want, rules, q)
			}
			if ours {
				allows++
			}
		}
	}
	require.InDelta(t, 0.4, float64(allows)/(sets*questions), 0.25, "both answers occur")
}

func orgkitRules(rules []oracleRule) []rbac.Rule {
	var all []rbac.Rule
	for i, r := range rules {
		pool := rbac.PoolRole
		if r.policy {
			pool = rbac.PoolPolicy
		}
		all = append(all, rbac.Rule{ID: strconv.Itoa(i), Pool: pool, Statement: r.statement, Except: r.except})
	}
	return all
}

// inputs are what orgkit is told.
func (in loadInputs) inputs() rbac.Inputs {
	own := rbac.False
	if in.own {
		own = rbac.True
	}
	return rbac.Inputs{Now: in.now, IP: in.ip, Own: own, Anomaly: rbac.Anomaly{Registered: true, Score: in.anomaly}}
}
