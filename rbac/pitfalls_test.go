package rbac_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/casbin/casbin/v2"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// sources are the files of this module without its tests, by their paths from its root.
func sources(t *testing.T) map[string]*ast.File {
	files := map[string]*ast.File{}
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != ".." {
				return filepath.SkipDir // a module of its own
			}
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			files[filepath.ToSlash(path)[len("../"):]] = f
		}
		return nil
	}))
	require.Greater(t, len(files), 50)
	return files
}

// C1, C2, C3, C7, C8, C13, C15, C16, C20, C22, C23, C24, C25: none of them is met where nothing else is called.
func TestOfCasbinNothingIsUsedButAnEnforcerThatIsBuiltAndAsked(t *testing.T) {
	used := map[string]bool{}
	for path, file := range sources(t) {
		for _, i := range file.Imports {
			if strings.Contains(i.Path.Value, "casbin") {
				require.Equal(t, "rbac/casbin.go", path, i.Path.Value)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			of := ""
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			switch x := s.X.(type) {
			case *ast.SelectorExpr:
				of = x.Sel.Name
			case *ast.Ident:
				of = x.Name
			}
			if of == "enforcer" && strings.HasPrefix(path, "rbac/") || path == "rbac/casbin.go" && slices.Contains([]string{"casbin", "model", "m"}, of) {
				used[of+"."+s.Sel.Name] = true
			}
			return true
		})
	}
	require.Equal(t, map[string]bool{"model.NewModelFromString": true, "m.AddPolicy": true, "casbin.NewEnforcer": true, "casbin.Enforcer": true,
		"enforcer.AddFunction": true, "enforcer.Enforce": true}, used)
	mod, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	require.Contains(t, string(mod), "github.com/casbin/casbin/v2 v2.135.0\n", "C25: what is said about Casbin here was tested with this version")
}

func TestModelOfCasbinLeavesItNothingToDecide(t *testing.T) {
	text := ""
	ast.Inspect(sources(t)["rbac/casbin.go"], func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && v.Names[0].Name == "casbinModel" {
			text, _ = strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		}
		return true
	})
	require.Contains(t, text, "collect(r.sink, p.place)", "C12: the matcher names the policy")
	for bad, why := range map[string]string{"\"": "C19: no literals", "'": "C19: no literals", "eval": "C7", "g = _": "C10, C21, C24: no subjects in it", "g(": "C10, C24",
		"p2": "C14: effects beyond the first section are ignored", "eyMatch": "C2, C3", "globMatch": "C4", "regexMatch": "C5"} {
		require.NotContains(t, text, bad, why)
	}
}

// heap is how much is in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestCasbinRemembersEveryStranger(t *testing.T) { // C10: why no subject is a word of Casbin's
	e, err := casbin.NewEnforcer(casbinModel(t, "g(r.sub, p.sub) && r.act == p.act"))
	require.NoError(t, err)
	for i := range 10 {
		_, err := e.AddPolicy(fmt.Sprint("role", i), "read", "allow")
		require.NoError(t, err)
	}
	before := heap()
	for i := range 2000 {
		ok, err := e.Enforce(fmt.Sprint("stranger", i), "read")
		require.NoError(t, err)
		require.False(t, ok)
	}
	require.Greater(t, heap()-before, int64(1<<20), "of 2000 who were refused")
	runtime.KeepAlive(e)
}

func TestCasbinMeetsWhatItHasNoAnswerFor(t *testing.T) {
	exact := "r.sub == p.sub && r.act == p.act"
	enforcer := func(t *testing.T, matcher string, rules ...[]any) *casbin.Enforcer {
		e, err := casbin.NewEnforcer(casbinModel(t, matcher))
		require.NoError(t, err)
		for _, rule := range rules {
			_, err := e.AddPolicy(rule...)
			require.NoError(t, err)
		}
		return e
	}
	t.Run("C8: a cached enforcer still allows what is denied by now", func(t *testing.T) {
		e, err := casbin.NewSyncedCachedEnforcer(casbinModel(t, "r.act == p.act"))
		require.NoError(t, err)
		_, err = e.AddPolicy("lead", "read", "allow")
		require.NoError(t, err)
		for range 2 {
			ok, err := e.Enforce("alice", "read")
			require.NoError(t, err)
			require.True(t, ok)
			_, err = e.RemovePolicy("lead", "read", "allow")
			require.NoError(t, err)
			_, err = e.AddPolicy("lead", "read", "deny")
			require.NoError(t, err)
		}
	})
	t.Run("C9: different questions have one key", func(t *testing.T) {
		a, _ := casbin.GetCacheKey("a$$b", "c")
		b, _ := casbin.GetCacheKey("a", "b$$c")
		require.Equal(t, a, b)
	})
	t.Run("C13: reverse questions fail where requests have other fields than rules", func(t *testing.T) {
		_, err := enforcer(t, exact, []any{"alice", "read", "allow"}).GetImplicitUsersForPermission("read", "allow")
		require.Error(t, err)
	})
	t.Run("C14: a deny in another spelling is none", func(t *testing.T) {
		ok, err := enforcer(t, exact, []any{"alice", "read", "allow"}, []any{"alice", "read", "Deny"}).Enforce("alice", "read")
		require.NoError(t, err)
		require.True(t, ok)
	})
	t.Run("C16: it names one rule of several, and nothing for a refusal by default", func(t *testing.T) {
		e := enforcer(t, "r.act == p.act", []any{"a", "read", "allow"}, []any{"b", "read", "allow"})
		_, why, err := e.EnforceEx("alice", "read")
		require.NoError(t, err)
		require.Equal(t, []string{"a", "read", "allow"}, why)
		ok, why, err := e.EnforceEx("alice", "write")
		require.NoError(t, err)
		require.False(t, ok)
		require.Empty(t, why)

		d := decide(t, question("m.read", "x"), allow("a", "m.use"), allow("b", "x.y"))
		require.Equal(t, "m.read", d.MissingPermission)
		require.NotEmpty(t, d.Reasons)
		require.NotEmpty(t, d.Remedy)
	})
	t.Run("C17: a panic becomes an error with a stack in it", func(t *testing.T) {
		e := enforcer(t, "boom(p.sub)", []any{"alice", "read", "allow"})
		e.AddFunction("boom", func(...any) (any, error) { panic("at the disco") })
		ok, err := e.Enforce("alice", "read")
		require.False(t, ok)
		require.ErrorContains(t, err, "goroutine ")
	})
	t.Run("C19: literals are rewritten", func(t *testing.T) {
		ok, err := enforcer(t, "r.act == '(p.d)' && p.sub == p.sub", []any{"alice", "read", "allow"}).Enforce("alice", "(p.d)")
		require.NoError(t, err)
		require.False(t, ok)
	})
	t.Run("C23: a text of the caller becomes a structure", func(t *testing.T) {
		e := enforcer(t, "r.sub.Role == p.sub", []any{"admin", "read", "allow"})
		e.EnableAcceptJsonRequest(true)
		ok, err := e.Enforce(`{"Role": "admin"}`, "read")
		require.NoError(t, err)
		require.True(t, ok)
	})
}

// C5: what is accepted when it is written neither fails later nor takes others with it.
func TestNoPatternThatIsAcceptedFails(t *testing.T) {
	name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z.:*\[\]{}\\?()|^$]{0,8}`))
	rapid.Check(t, func(t *rapid.T) {
		st := rbac.Statement{Effect: rapid.SampledFrom([]rbac.Effect{rbac.EffectAllow, rbac.EffectDeny}).Draw(t, "effect"),
			Actions:   []string{rapid.OneOf(rapid.Just("m.use"), rapid.Just("*"), name).Draw(t, "action")},
			Resources: []string{name.Draw(t, "resource")}}
		if st.Validate("") != nil {
			return
		}
		odd := rbac.Rule{ID: "odd", Pool: rbac.PoolPolicy, Statement: st}
		asked := question("m.use", name.Draw(t, "asked"))
		d := decide(t, asked, odd, allow("fine", "*"))
		require.NoError(t, d.Alarm)
		require.Equal(t, st.Effect == rbac.EffectAllow || !names(odd, asked), d.Allowed)
		require.True(t, decide(t, question("x.y", "team:x"), odd, allow("fine", "x.y")).Allowed || st.Effect == rbac.EffectDeny && names(odd, question("x.y", "team:x")))
	})
}

// C9: patterns of which one list reads like another when they are joined.
func TestPatternsThatReadAlikeAreKeptApart(t *testing.T) {
	lists := [][]string{{"model:a", "model:b"}, {"model:a model:b"}, {`model:a" "model:b`}, {"model:a", `"model:b`}, {"model:a/", "model:b"}, {"model:a$$", "model:b"}, {"model:a$$model:b"}}
	all := slices.Concat(lists...)
	for _, effect := range []rbac.Effect{rbac.EffectAllow, rbac.EffectDeny} {
		for i := range lists {
			var rules []rbac.Rule // each gives, or takes, an action of its own
			actions := []string{"a.b", "c.d", "m.use", "m.read", "x.y", "billing.delete", "things.write"}
			for j := range lists {
				r := allow(fmt.Sprint(j), actions[j])
				r.Statement.Effect, r.Statement.Resources = effect, lists[(i+j)%len(lists)]
				rules = append(rules, r)
			}
			if effect == rbac.EffectDeny {
				rules = append(rules, allow("all", "*"))
			}
			rs := ruleset(t, rules...)
			for j := range lists {
				for _, name := range all {
					is := rs.Allows(question(actions[j], name), &rbac.Inputs{})
					require.Equal(t, slices.Contains(lists[(i+j)%len(lists)], name) == (effect == rbac.EffectAllow), is, "%s of %q on %q", effect, lists[(i+j)%len(lists)], name)
				}
			}
		}
	}
}

func TestWhatIsEmptyAllowsNothing(t *testing.T) { // C11
	without := func(change func(*rbac.Rule)) rbac.Rule {
		r := allow("r", "m.use")
		change(&r)
		return r
	}
	for name, c := range map[string]struct {
		rules    []rbac.Rule
		action   string
		resource string
	}{
		"no rules":                      {nil, "m.use", "model:x"},
		"no actions":                    {[]rbac.Rule{without(func(r *rbac.Rule) { r.Statement.Actions = nil })}, "m.use", "model:x"},
		"no resources":                  {[]rbac.Rule{without(func(r *rbac.Rule) { r.Statement.Resources = nil })}, "m.use", "model:x"},
		"a deny alone":                  {[]rbac.Rule{without(func(r *rbac.Rule) { r.Statement.Effect = rbac.EffectDeny })}, "m.read", "model:x"},
		"everything but it":             {[]rbac.Rule{without(func(r *rbac.Rule) { r.Statement.Actions, r.Except = []string{"*"}, []string{"*"} })}, "m.use", "model:x"},
		"no action":                     {[]rbac.Rule{allow("r", "*")}, "", "model:x"},
		"an action that is none":        {[]rbac.Rule{allow("r", "*", "no.such")}, "no.such", "model:x"},
		"a pattern in place of one":     {[]rbac.Rule{allow("r", "*")}, "*", "model:x"},
		"an action in another spelling": {[]rbac.Rule{allow("r", "*")}, "M.use", "model:x"},
	} {
		rs, q := ruleset(t, c.rules...), question(c.action, c.resource)
		d := rs.Decide(q, rbac.Inputs{})
		require.False(t, d.Allowed, name)
		require.Equal(t, []any{rbac.VerdictDeny, "permission_denied"}, []any{d.Verdict, d.Code}, name)
		require.NotEmpty(t, d.Reasons, name)
		require.False(t, rs.Allows(q, &rbac.Inputs{}), name)
	}
}

// knownCall is a call that meets every condition of the tests below.
func knownCall() rbac.Inputs {
	now := time.Date(2024, 3, 5, 12, 0, 0, 0, time.UTC)
	return rbac.Inputs{Now: now, IP: netip.MustParseAddr("10.1.2.3"), MFAAt: ptr(now.Add(-time.Minute)), MFAKnown: true, Cost: ptr(decimal.NewFromInt(1)),
		Anomaly: rbac.Anomaly{Registered: true, Score: 0.5}, Approved: func(rbac.ApprovalNeed) rbac.Truth { return rbac.True }, Own: rbac.True}
}

// An allow does not hold by what nobody can tell, and a deny does.
func TestWhatIsUnknownNeverOpens(t *testing.T) {
	type hide = func(*rbac.Inputs)
	score := func(test string) rbac.Conditions {
		return rbac.Conditions{AnomalyScore: &rbac.ScoreCondition{Type: test, Value: 0.5}}
	}
	scores := map[string]hide{
		"fails":    func(in *rbac.Inputs) { in.Anomaly.Err = errors.New("down") },
		"is none":  func(in *rbac.Inputs) { in.Anomaly.Score = math.NaN() },
		"too low":  func(in *rbac.Inputs) { in.Anomaly.Score = -0.1 },
		"too high": func(in *rbac.Inputs) { in.Anomaly.Score = 1.1 },
	}
	addresses := map[string]hide{"absent": func(in *rbac.Inputs) { in.IP = netip.Addr{} }}
	clocks := map[string]hide{"absent": func(in *rbac.Inputs) { in.Now = time.Time{} }}
	factors := map[string]hide{
		"of nobody":     func(in *rbac.Inputs) { in.MFAAt, in.MFAKnown = nil, false },
		"in the future": func(in *rbac.Inputs) { in.MFAAt = ptr(in.Now.Add(time.Second)) },
		"at no time":    func(in *rbac.Inputs) { in.Now = time.Time{} },
	}
	all := []string{"0.0.0.0/0", "::/0"}
	for _, c := range []struct {
		name       string
		conditions rbac.Conditions
		input      string
		hidden     map[string]hide
	}{
		{"in range", rbac.Conditions{IPAddress: &rbac.IPCondition{Type: rbac.IPInRange, Value: rbac.IPRanges{Ranges: all}}}, "ip_address", addresses},
		{"not in range", rbac.Conditions{IPAddress: &rbac.IPCondition{Type: rbac.IPNotInRange, Value: rbac.IPRanges{Ranges: []string{"192.0.2.0/24"}}}}, "ip_address", addresses},
		{"hours", rbac.Conditions{Time: &rbac.TimeCondition{Type: rbac.BusinessHours, Hours: &rbac.Hours{Start: "00:00", End: "23:59"}, Days: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}}}, "time", clocks},
		{"a period", rbac.Conditions{Time: &rbac.TimeCondition{Type: rbac.TimeBetween, Start: "0001-01-01T00:00:00Z", End: "9999-01-01T00:00:00Z"}}, "time", clocks},
		{"a factor", rbac.Conditions{MFA: &rbac.MFACondition{Type: rbac.Required}}, "mfa", factors},
		{"a recent factor", rbac.Conditions{MFA: &rbac.MFACondition{Type: rbac.Required, MaxAgeMinutes: ptr(480)}}, "mfa", factors},
		{"a cost", rbac.Conditions{CostLimit: &rbac.CostCondition{Type: rbac.PerRequest, MaxAmount: decimal.NewFromInt(10)}}, "cost_limit", map[string]hide{
			"absent": func(in *rbac.Inputs) { in.Cost = nil }, "negative": func(in *rbac.Inputs) { in.Cost = ptr(decimal.NewFromInt(-1)) }}},
		{"a score above", rbac.Conditions{AnomalyScore: &rbac.ScoreCondition{Type: rbac.GreaterThan, Value: 0.4}}, "anomaly_score", scores},
		{"a score below", rbac.Conditions{AnomalyScore: &rbac.ScoreCondition{Type: rbac.LessThan, Value: 0.6}}, "anomaly_score", scores},
		{"a score", score(rbac.Equals), "anomaly_score", scores},
		{"an approval", rbac.Conditions{Approval: &rbac.ApprovalCondition{Type: rbac.Required}}, "approval", map[string]hide{
			"nobody asked":  func(in *rbac.Inputs) { in.Approved = nil },
			"nobody knows":  func(in *rbac.Inputs) { in.Approved = func(rbac.ApprovalNeed) rbac.Truth { return rbac.Unknown } },
			"nobody at all": func(in *rbac.Inputs) { *in = rbac.Inputs{} }}},
	} {
		for _, pool := range []rbac.Pool{rbac.PoolPolicy, rbac.PoolRole} {
			opens, closes := conditional(c.conditions), conditional(c.conditions)
			opens.Pool, closes.Statement.Effect, closes.Pool = pool, rbac.EffectDeny, pool
			allows, denies := ruleset(t, opens), ruleset(t, closes, allow("role", "models.use"))
			q, known := question("models.use", "model:m"), knownCall()
			require.True(t, allows.Allows(q, &known), c.name)
			require.False(t, denies.Allows(q, &known), c.name)
			for how, hide := range c.hidden {
				in := knownCall()
				hide(&in)
				for what, rs := range map[string]*rbac.Ruleset{"allow": allows, "deny": denies} {
					require.False(t, rs.Allows(q, &in), "%s of %s, %s", what, c.name, how)
					d := rs.Decide(q, in)
					require.False(t, d.Allowed, "%s of %s, %s", what, c.name, how)
					require.Equal(t, []string{c.input}, d.Missing, "%s of %s, %s", what, c.name, how)
				}
			}
		}
	}
}

// Without a detector a score is not unknown: nobody is anomalous (F458).
func TestWithoutADetectorEveryScoreIsZero(t *testing.T) {
	for test, is := range map[rbac.ScoreCondition]bool{{Type: rbac.GreaterThan, Value: 0}: false, {Type: rbac.LessThan, Value: 0.1}: true, {Type: rbac.Equals, Value: 0}: true} {
		r := conditional(rbac.Conditions{AnomalyScore: &test})
		require.Equal(t, is, decide(t, question("models.use", "model:m"), r).Allowed, test)
		r.Statement.Effect = rbac.EffectDeny
		require.Equal(t, !is, decide(t, question("models.use", "model:m"), r, allow("role", "models.use")).Allowed, test)
	}
}

// Every set of up to three denies and three allows of which each is true, false or unknown, on every base: the
// table by which the three sentences are combined (F136 to F138).
func TestEveryCombinationOfStatementsIsDecidedByTheTable(t *testing.T) {
	office := rbac.Conditions{IPAddress: &rbac.IPCondition{Type: rbac.IPInRange, Value: rbac.IPRanges{Ranges: []string{"10.0.0.0/8"}}}}
	factor := rbac.Conditions{MFA: &rbac.MFACondition{Type: rbac.Required}}
	cheap := rbac.Conditions{CostLimit: &rbac.CostCondition{Type: rbac.PerRequest, MaxAmount: decimal.NewFromInt(1)}}
	odd := rbac.Conditions{AnomalyScore: &rbac.ScoreCondition{Type: rbac.GreaterThan, Value: 0.5}}
	approved := rbac.Conditions{Approval: &rbac.ApprovalCondition{Type: rbac.Required}}
	rule := func(id string, pool rbac.Pool, effect rbac.Effect, c rbac.Conditions) rbac.Rule {
		return rbac.Rule{ID: id, Pool: pool, Statement: rbac.Statement{Effect: effect, Actions: []string{"m.use"}, Resources: []string{"*"}, Conditions: c}}
	}
	statements := []rbac.Rule{
		rule("deny 1", rbac.PoolPolicy, rbac.EffectDeny, office), rule("deny 2", rbac.PoolSettings, rbac.EffectDeny, factor), rule("deny 3", rbac.PoolPolicy, rbac.EffectDeny, cheap),
		rule("allow 1", rbac.PoolPolicy, rbac.EffectAllow, odd), rule("allow 2", rbac.PoolPolicy, rbac.EffectAllow, approved), rule("allow 3", rbac.PoolRole, rbac.EffectAllow, rbac.Conditions{})}
	statements[5].Statement.Actions = []string{"m.use:own"}
	inputs := func(truths []rbac.Truth) (in rbac.Inputs) { // each statement has an input of its own
		in.Now, in.Anomaly.Registered = time.Date(2024, 3, 5, 12, 0, 0, 0, time.UTC), true
		in.IP = map[rbac.Truth]netip.Addr{rbac.True: netip.MustParseAddr("10.0.0.1"), rbac.False: netip.MustParseAddr("192.0.2.1")}[truths[0]]
		in.MFAKnown = truths[1] != rbac.Unknown
		in.MFAAt = map[rbac.Truth]*time.Time{rbac.True: &in.Now}[truths[1]]
		in.Cost = map[rbac.Truth]*decimal.Decimal{rbac.True: ptr(decimal.NewFromInt(1)), rbac.False: ptr(decimal.NewFromInt(2))}[truths[2]]
		in.Anomaly.Score = map[rbac.Truth]float64{rbac.True: 1, rbac.False: 0, rbac.Unknown: math.NaN()}[truths[3]]
		in.Approved = func(rbac.ApprovalNeed) rbac.Truth { return truths[4] }
		in.Own = truths[5]
		return in
	}
	bases := map[string][]rbac.Rule{"none": nil, "deny": {rule("base", rbac.PoolPolicy, rbac.EffectDeny, rbac.Conditions{})},
		"allow by a role": {rule("base", rbac.PoolRole, rbac.EffectAllow, rbac.Conditions{})}, "allow by a policy": {rule("base", rbac.PoolPolicy, rbac.EffectAllow, rbac.Conditions{})}}
	table := func(base string, set int, truths []rbac.Truth) bool {
		has := func(i int) bool { return set>>i&1 == 1 }
		policy, held := base == "allow by a policy", base == "allow by a policy"
		for i := range 3 {
			if base == "deny" || has(i) && truths[i] != rbac.False {
				return false
			}
		}
		for _, i := range []int{3, 4} {
			policy, held = policy || has(i), held || has(i) && truths[i] == rbac.True
		}
		if policy {
			return held
		}
		return base == "allow by a role" || has(5) && truths[5] == rbac.True
	}
	for name, base := range bases {
		for set := range 1 << len(statements) {
			rules := slices.Clone(base)
			for i, r := range statements {
				if set>>i&1 == 1 {
					rules = append(rules, r)
				}
			}
			rs := ruleset(t, rules...)
			for n := range 729 { // three to the power of six
				truths := make([]rbac.Truth, 6)
				for i := range truths {
					truths[i], n = []rbac.Truth{rbac.False, rbac.Unknown, rbac.True}[n%3], n/3
				}
				in := inputs(truths)
				want := table(name, set, truths)
				if d, fast := rs.Decide(question("m.use", "x"), in), rs.Allows(question("m.use", "x"), &in); d.Allowed != want || fast != want {
					t.Fatalf("base %s, statements %06b, truths %v: %t, fast %t instead of %t", name, set, truths, d.Allowed, fast, want)
				}
			}
		}
	}
}

// F136: in what order statements are written decides nothing.
func TestOrderOfStatementsDecidesNothing(t *testing.T) {
	rules := seedPolicy(t)
	rules = append(rules, rbac.Rule{ID: "blocked", Pool: rbac.PoolSettings, Code: "model_not_allowed", Statement: rbac.Statement{Effect: rbac.EffectDeny, Actions: []string{"models.use"}, Resources: []string{"model:dall-e-*"}}})
	calls := map[string]rbac.Inputs{"known": knownCall(), "unknown": {}, "odd": knownCall()}
	odd := calls["odd"]
	odd.Anomaly.Score = 0.9
	calls["odd"] = odd
	type key struct{ call, model string }
	first := map[key]rbac.Decision{}
	var permute func(n int)
	permute = func(n int) {
		for i := range n {
			rules[i], rules[n-1] = rules[n-1], rules[i]
			permute(n - 1)
			rules[i], rules[n-1] = rules[n-1], rules[i]
		}
		if n > 0 {
			return
		}
		rs := ruleset(t, rules...)
		for name, in := range calls {
			for _, m := range []string{"model:gpt-4-turbo-preview", "model:gpt-4-32k", "model:dall-e-3", "model:other"} {
				d := rs.Decide(question("models.use", m), in)
				want, seen := first[key{name, m}]
				if !seen {
					first[key{name, m}], want = d, d
				}
				require.Equal(t, []any{want.Allowed, want.Verdict}, []any{d.Allowed, d.Verdict}, "%s call of %s", name, m)
			}
		}
	}
	permute(len(rules))
	require.True(t, first[key{"unknown", "model:other"}].Allowed)
	require.True(t, first[key{"known", "model:gpt-4-32k"}].Allowed)
	require.False(t, first[key{"odd", "model:other"}].Allowed)
	require.False(t, first[key{"known", "model:dall-e-3"}].Allowed)
}

// F139, F140: what a statement names, by its actions and resources.
func TestStatementsNameActionsAndResources(t *testing.T) {
	for _, c := range []struct {
		action, resource string // of the statement
		of, on           string // the question
		want             bool
	}{
		{"models:use", "model:gpt-4", "models.use", "model:gpt-4", true},
		{"models.use", "model:gpt-4", "models.use", "model:gpt-4", true},
		{"models:use", "model:gpt-4", "models.use", "model:gpt-4o", false},
		{"models:use", "model:gpt-4", "models.use", "feature:gpt-4", false},
		{"models:use", "gpt-4", "models.use", "model:gpt-4", false},
		{"models:use", "model:claude-3-*", "models.use", "model:claude-3-opus", true},
		{"models:use", "model:claude-3-*", "models.use", "model:claude-2", false},
		{"models:use", "*", "models.use", "team:x", true},
		{"models:use", "*:x", "models.use", "team:x", true},
		{"models:list", "*", "models.read", "model:x", true}, // F326
		{"models:list", "*", "models.use", "model:x", false},
		{"api_keys:use", "*", "api_keys.use", "api_key:x", true},
		{"api_keys:use", "*", "api_keys.create", "api_key:x", false},
		{"usage:read", "*", "usage.read", "usage:x", true},
		{"usage:*", "*", "usage.write", "usage:x", true},
		{"*:read", "*", "usage.read", "usage:x", true},
		{"*:read", "*", "usage.write", "usage:x", false},
		{"*", "*", "payment_methods.read", "x", true},
	} {
		for _, effect := range []rbac.Effect{rbac.EffectAllow, rbac.EffectDeny} {
			st := rbac.Statement{Effect: effect, Actions: []string{c.action}, Resources: []string{c.resource}}
			require.NoError(t, st.Validate(""))
			rules := []rbac.Rule{{ID: "p", Pool: rbac.PoolPolicy, Statement: st}}
			if effect == rbac.EffectDeny {
				rules = append(rules, allow("role", "*"))
			}
			d := decide(t, question(c.of, c.on), rules...)
			require.Equal(t, c.want == (effect == rbac.EffectAllow), d.Allowed, "%+v, %s", c, effect)
		}
	}
}

// F142 to F149, F153 to F157: where each condition begins and ends.
func TestConditionsHoldFromOneEdgeToTheOther(t *testing.T) {
	noon := time.Date(2024, 3, 5, 12, 0, 0, 0, time.UTC) // a Tuesday
	at := func(now time.Time) rbac.Inputs { return rbac.Inputs{Now: now} }
	from := func(ip string) rbac.Inputs { return rbac.Inputs{IP: netip.MustParseAddr(ip)} }
	verified := func(ago time.Duration) rbac.Inputs {
		return rbac.Inputs{Now: noon, MFAAt: ptr(noon.Add(-ago)), MFAKnown: true}
	}
	costs := func(text string) rbac.Inputs { return rbac.Inputs{Cost: ptr(decimal.RequireFromString(text))} }
	scored := func(s float64) rbac.Inputs { return rbac.Inputs{Anomaly: rbac.Anomaly{Registered: true, Score: s}} }
	minute := func(hour, minute int) rbac.Inputs {
		return at(time.Date(2024, 3, 5, hour, minute, 0, 0, time.UTC))
	}
	for text, cases := range map[string]map[bool][]rbac.Inputs{
		`{"ip_address": {"type": "ip_in_range", "value": "10.0.1.0/24"}}`: {true: {from("10.0.1.0"), from("10.0.1.255"), from("::ffff:10.0.1.7")},
			false: {from("10.0.0.255"), from("10.0.2.0"), from("::1")}},
		`{"ip_address": {"type": "ip_in_range", "value": ["10.0.1.7", "2001:db8::/32"]}}`: {true: {from("10.0.1.7"), from("2001:db8::1"), from("2001:db8::1%eth0")},
			false: {from("10.0.1.8"), from("2001:db9::")}},
		`{"ip_address": {"type": "ip_not_in_range", "value": ["10.0.1.7", "2001:db8::/32"]}}`: {true: {from("10.0.1.8"), from("2001:db9::")},
			false: {from("10.0.1.7"), from("::ffff:10.0.1.7"), from("2001:db8::1%eth0")}},
		`{"time": {"type": "business_hours", "hours": {"start": "09:00", "end": "18:00"}}}`: {
			true:  {minute(9, 0), minute(17, 59), at(noon.AddDate(0, 0, -1)), at(noon.AddDate(0, 0, 3))}, // without days it is Monday to Friday
			false: {minute(8, 59), minute(18, 0), at(noon.AddDate(0, 0, -2)), at(noon.AddDate(0, 0, 4))}},
		`{"time": {"type": "business_hours", "timezone": "America/New_York", "hours": {"start": "09:00", "end": "18:00"}}}`: {true: {minute(14, 0), minute(22, 59)}, false: {minute(13, 59), minute(23, 0)}},
		// A day is one of the zone: 5 March begins in Auckland at 11:00 UTC on the 4th.
		`{"time": {"type": "business_hours", "timezone": "Pacific/Auckland", "days": ["tue"], "hours": {"start": "00:00", "end": "23:59"}}}`: {
			true: {at(time.Date(2024, 3, 4, 11, 0, 0, 0, time.UTC))}, false: {at(time.Date(2024, 3, 4, 10, 59, 0, 0, time.UTC)), at(noon)}},
		`{"time": {"type": "business_hours", "days": ["tue"], "hours": {"start": "22:00", "end": "02:00"}}}`: {true: {minute(22, 0), at(time.Date(2024, 3, 6, 1, 59, 59, 0, time.UTC))},
			false: {minute(1, 0), minute(21, 59), at(time.Date(2024, 3, 6, 2, 0, 0, 0, time.UTC))}},
		`{"time": {"type": "time_between", "start": "2024-03-05T12:00:00Z", "end": "2024-03-05T14:00:00+01:00"}}`: {true: {at(noon), at(noon.Add(time.Hour - 1))}, false: {at(noon.Add(-1)), at(noon.Add(time.Hour))}},
		`{"mfa": {"type": "required"}}`:                                {true: {verified(0), verified(10000 * time.Hour)}, false: {{Now: noon, MFAKnown: true}}},
		`{"mfa": {"type": "required", "max_age_minutes": 480}}`:        {true: {verified(0), verified(480 * time.Minute)}, false: {verified(480*time.Minute + 1), {Now: noon, MFAKnown: true}}},
		`{"cost_limit": {"type": "per_request", "max_amount": 10.00}}`: {true: {costs("0"), costs("10"), costs("10.000")}, false: {costs("10.000000000001"), costs("11")}},
		`{"cost_limit": {"type": "per_request", "max_amount": 0}}`:     {true: {costs("0")}, false: {costs("0.000000000001")}},
		`{"anomaly_score": {"type": "greater_than", "value": 0.8}}`:    {true: {scored(0.81), scored(1)}, false: {scored(0.8), scored(0), {}}},
		`{"anomaly_score": {"type": "less_than", "value": 0.8}}`:       {true: {scored(0.79), scored(0), {}}, false: {scored(0.8), scored(1)}},
		`{"anomaly_score": {"type": "equals", "value": 1}}`:            {true: {scored(1)}, false: {scored(0.99), {}}},
		`{"cost_limit": {"type": "per_request", "max_amount": 1}, "mfa": {"type": "required"}}`: { // F141: all of them
			true: {{Now: noon, MFAAt: &noon, Cost: ptr(decimal.NewFromInt(1))}}, false: {{Now: noon, MFAAt: &noon, Cost: ptr(decimal.NewFromInt(2))}, {Now: noon, MFAKnown: true, Cost: ptr(decimal.NewFromInt(1))}}},
	} {
		var c rbac.Conditions
		require.NoError(t, c.UnmarshalJSON([]byte(text)))
		opens, closes := conditional(c), conditional(c)
		closes.Statement.Effect = rbac.EffectDeny
		require.NoError(t, opens.Statement.Validate(""))
		allows, denies := ruleset(t, opens), ruleset(t, closes, allow("role", "models.use"))
		for want, inputs := range cases {
			for i, in := range inputs {
				q := question("models.use", "model:m")
				require.Equal(t, want, allows.Allows(q, &in), "%s, %t %d", text, want, i)
				require.Equal(t, !want, denies.Allows(q, &in), "%s, %t %d", text, want, i)
			}
		}
	}
}

// F157: there are these tests and no others; what is mistyped is refused when it is written.
func TestConditionsThatDoNotExistAreRefused(t *testing.T) {
	for conditions, field := range map[string]string{
		`"ip_address": {"type": "ip_in_country", "value": "10.0.0.0/8"}`:                                             "conditions.ip_address.type",
		`"ip_address": {"type": "ip_in_range"}`:                                                                      "conditions.ip_address.value",
		`"ip_address": {"type": "ip_in_range", "value": []}`:                                                         "conditions.ip_address.value",
		`"ip_address": {"type": "ip_in_range", "value": ["10.0.0.0/8", "nowhere"]}`:                                  "conditions.ip_address.value",
		`"time": {"type": "night"}`:                                                                                  "conditions.time.type",
		`"time": {"type": "business_hours"}`:                                                                         "conditions.time.hours",
		`"time": {"type": "business_hours", "timezone": "Mars/Base", "hours": {"start": "09:00", "end": "18:00"}}`:   "conditions.time.timezone",
		`"time": {"type": "business_hours", "timezone": "Local", "hours": {"start": "09:00", "end": "18:00"}}`:       "conditions.time.timezone",
		`"time": {"type": "business_hours", "days": ["mon", "monday"], "hours": {"start": "09:00", "end": "18:00"}}`: "conditions.time.days[1]",
		`"time": {"type": "business_hours", "hours": {"start": "24:00", "end": "18:00"}}`:                            "conditions.time.hours.start",
		`"time": {"type": "business_hours", "hours": {"start": "09:00", "end": "18:60"}}`:                            "conditions.time.hours.end",
		`"time": {"type": "business_hours", "hours": {"start": "09:00", "end": "09:00"}}`:                            "conditions.time.hours.end",
		`"time": {"type": "time_between", "start": "2024-01-01", "end": "2024-02-01T00:00:00Z"}`:                     "conditions.time.start",
		`"time": {"type": "time_between", "start": "2024-02-01T00:00:00Z", "end": "2024-02-01T00:00:00Z"}`:           "conditions.time.end",
		`"mfa": {"type": "optional"}`:                                                                                "conditions.mfa.type",
		`"mfa": {"type": "required", "max_age_minutes": 0}`:                                                          "conditions.mfa.max_age_minutes",
		`"cost_limit": {"type": "per_month", "max_amount": 1}`:                                                       "conditions.cost_limit.type",
		`"cost_limit": {"type": "per_request"}`:                                                                      "conditions.cost_limit.max_amount",
		`"anomaly_score": {"type": "at_least", "value": 0.8}`:                                                        "conditions.anomaly_score.type",
		`"anomaly_score": {"type": "greater_than", "value": -0.1}`:                                                   "conditions.anomaly_score.value",
		`"anomaly_score": {"type": "greater_than", "value": "0.8"}`:                                                  "conditions.anomaly_score.value",
		`"anomaly": {"type": "greater_than", "value": 0.8}`:                                                          "conditions.anomaly",
	} {
		var st rbac.Statement
		err := st.UnmarshalJSON([]byte(`{"effect": "deny", "actions": ["*"], "resources": ["*"], "conditions": {` + conditions + `}}`))
		if err == nil {
			err = st.Validate("")
		}
		var f *store.FieldError
		require.ErrorAs(t, err, &f, conditions)
		require.Equal(t, field, f.Field, conditions)
	}
}

func TestRefusalsSayWhichStepHelps(t *testing.T) { // F149, F154
	now := time.Date(2024, 3, 5, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		conditions   rbac.Conditions
		in           rbac.Inputs
		code, remedy string
	}{
		{rbac.Conditions{MFA: &rbac.MFACondition{Type: rbac.Required, MaxAgeMinutes: ptr(480)}}, rbac.Inputs{Now: now, MFAKnown: true}, "mfa_required", "verify a second factor, not longer than 480 minutes ago"},
		{rbac.Conditions{MFA: &rbac.MFACondition{Type: rbac.Required}}, rbac.Inputs{}, "mfa_required", "verify a second factor"},
		{rbac.Conditions{CostLimit: &rbac.CostCondition{Type: rbac.PerRequest, MaxAmount: decimal.RequireFromString("10.00")}}, rbac.Inputs{Cost: ptr(decimal.NewFromInt(11))}, "cost_limit_exceeded", "keep the call at or below 10 USD"},
	} {
		d := ruleset(t, conditional(c.conditions)).Decide(question("models.use", "model:m"), c.in)
		require.Equal(t, c.code, d.Code)
		require.Equal(t, []string{c.remedy}, d.Remedy)
	}
}

func TestAConditionOfAnUnknownTypeOpensNothing(t *testing.T) { // F141
	for _, text := range []string{`{"ip_address": {"type": "ip_in_country", "value": "192.0.2.0/24"}}`, `{"anomaly_score": {"type": "at_least", "value": 0.5}}`,
		`{"mfa": {"type": "optional"}}`, `{"cost_limit": {"type": "per_month", "max_amount": 10}}`, `{"approval": {"type": "two"}}`, `{"time": {"type": "full_moon"}}`} {
		var c rbac.Conditions
		require.NoError(t, c.UnmarshalJSON([]byte(text)))
		opens, closes := conditional(c), conditional(c)
		closes.Statement.Effect = rbac.EffectDeny
		for _, rules := range [][]rbac.Rule{{opens}, {closes, allow("role", "models.use")}} {
			rs, err := rbac.NewRuleset(rules, &rbac.RulesetOptions{Vocabulary: words})
			require.NoError(t, err)
			for _, ip := range []string{"10.1.2.3", "192.0.2.1"} {
				for _, score := range []float64{0.5, 0.9} {
					in := knownCall()
					in.IP, in.Anomaly.Score = netip.MustParseAddr(ip), score
					require.False(t, rs.Allows(question("models.use", "model:m"), &in), text)
					require.Equal(t, []string{"conditions"}, rs.Decide(question("models.use", "model:m"), in).Missing)
				}
			}
		}
	}
}
