package rbac_test

import (
	"encoding/json"
	"errors"
	"math"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// words are the actions of these tests, beside the library's.
var words = func() *rbac.Vocabulary {
	v, err := rbac.NewVocabulary("a.b", "c.d", "m.use", "m.read", "x.y", "billing.delete", "usagexread", "things.write")
	if err != nil {
		panic(err)
	}
	return v
}()

func question(action, resource string) rbac.Question {
	return rbac.Question{Action: action, Resource: resource}
}

func allow(id string, actions ...string) rbac.Rule {
	return rbac.Rule{ID: id, Pool: rbac.PoolRole, Statement: rbac.Statement{Effect: rbac.EffectAllow, Actions: actions, Resources: []string{"*"}}}
}

func ruleset(t require.TestingT, rules ...rbac.Rule) *rbac.Ruleset {
	rs, err := rbac.NewRuleset(rules, &rbac.RulesetOptions{Vocabulary: words})
	require.NoError(t, err)
	return rs
}

func decide(t require.TestingT, q rbac.Question, rules ...rbac.Rule) rbac.Decision {
	return ruleset(t, rules...).Decide(q, rbac.Inputs{})
}

// seedStatements are those of the policy in the first document, as the quickstart keeps it.
func seedStatements(t *testing.T) json.RawMessage {
	b, err := os.ReadFile("../examples/quickstart/seed/policy.json")
	require.NoError(t, err)
	var policy struct{ Statements json.RawMessage }
	require.NoError(t, json.Unmarshal(b, &policy))
	return policy.Statements
}

// seedPolicy is the Engineering Policy of the first document, attached to the team.
func seedPolicy(t *testing.T) []rbac.Rule {
	var statements []rbac.Statement
	require.NoError(t, json.Unmarshal(seedStatements(t), &statements))
	rules := []rbac.Rule{allow("developer", "api_keys.use", "models.read", "models.use", "usage.read:own", "teams.read:own")}
	for i, st := range statements {
		require.NoError(t, st.Validate("statements"))
		rules = append(rules, rbac.Rule{ID: string(rune('a' + i)), Pool: rbac.PoolPolicy, Source: "Engineering Policy", Statement: st})
	}
	return rules
}

func newYork(t *testing.T, text string) time.Time {
	zone, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	at, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
	require.NoError(t, err)
	return at
}

func TestSeedPolicyConfinesTheTeam(t *testing.T) {
	rs := ruleset(t, seedPolicy(t)...)
	turbo := question("models.use", "model:gpt-4-turbo-preview")
	good := rbac.Inputs{Now: newYork(t, "2024-03-05 10:00"), IP: netip.MustParseAddr("10.0.1.7"), MFAKnown: true}
	verified := good.Now.Add(-479 * time.Minute)
	good.MFAAt = &verified

	d := rs.Decide(turbo, good)
	require.True(t, d.Allowed)
	require.Equal(t, rbac.VerdictConditional, d.Verdict)
	require.NotNil(t, d.Conditions.IPAddress)
	require.NotNil(t, d.Conditions.Time)
	require.NotNil(t, d.Conditions.MFA)

	for name, c := range map[string]struct {
		change func(*rbac.Inputs)
		code   string
	}{
		"in the evening":        {func(in *rbac.Inputs) { in.Now = newYork(t, "2024-03-05 20:00") }, "policy_denied"},
		"on Sunday":             {func(in *rbac.Inputs) { in.Now = newYork(t, "2024-03-03 10:00") }, "policy_denied"},
		"from elsewhere":        {func(in *rbac.Inputs) { in.IP = netip.MustParseAddr("192.0.2.1") }, "policy_denied"},
		"from nowhere":          {func(in *rbac.Inputs) { in.IP = netip.Addr{} }, "policy_denied"},
		"without second factor": {func(in *rbac.Inputs) { in.MFAAt = nil }, "mfa_required"},
		"of nobody":             {func(in *rbac.Inputs) { in.MFAAt, in.MFAKnown = nil, false }, "mfa_required"},
		"too long ago":          {func(in *rbac.Inputs) { old := in.Now.Add(-481 * time.Minute); in.MFAAt = &old }, "mfa_required"},
		"in the future":         {func(in *rbac.Inputs) { soon := in.Now.Add(time.Minute); in.MFAAt = &soon }, "mfa_required"},
		"anomalous":             {func(in *rbac.Inputs) { in.Anomaly = rbac.Anomaly{Registered: true, Score: 0.81} }, "policy_denied"},
		"anomaly unknown":       {func(in *rbac.Inputs) { in.Anomaly = rbac.Anomaly{Registered: true, Err: errors.New("down")} }, "policy_denied"},
		"anomaly not a number":  {func(in *rbac.Inputs) { in.Anomaly = rbac.Anomaly{Registered: true, Score: math.NaN()} }, "policy_denied"},
	} {
		in := good
		c.change(&in)
		d := rs.Decide(turbo, in)
		require.False(t, d.Allowed, name)
		require.Equal(t, c.code, d.Code, name)
		require.NotEmpty(t, d.Remedy, name)
	}
	mapped := good
	mapped.IP = netip.MustParseAddr("::ffff:10.0.1.7")
	require.True(t, rs.Decide(turbo, mapped).Allowed)
	require.True(t, rs.Decide(question("models.use", "model:gpt-4o"), rbac.Inputs{}).Allowed, "no policy names it: the role decides")
}

func TestApprovalAndCostLimitHoldTogether(t *testing.T) { // F321
	rules := append(seedPolicy(t), rbac.Rule{ID: "settings", Pool: rbac.PoolSettings, Code: "approval_required", Statement: rbac.Statement{
		Effect: rbac.EffectDeny, Actions: []string{"models.use"}, Resources: []string{"model:gpt-4-32k"},
		Conditions: rbac.Conditions{Approval: &rbac.ApprovalCondition{Type: rbac.ApprovalMissing}}}})
	rs := ruleset(t, rules...)
	ask := func(approved rbac.Truth, cost string) rbac.Decision {
		in := rbac.Inputs{Approved: func(rbac.ApprovalNeed) rbac.Truth { return approved }}
		if cost != "" {
			d := decimal.RequireFromString(cost)
			in.Cost = &d
		}
		return rs.Decide(question("models.use", "model:gpt-4-32k"), in)
	}
	d := ask(rbac.False, "1")
	require.Equal(t, "approval_required", d.Code)
	require.Len(t, d.Approvals, 1)
	require.True(t, d.Approvals[0].ReasonRequired)
	require.True(t, ask(rbac.True, "10.00").Allowed)
	require.Equal(t, "cost_limit_exceeded", ask(rbac.True, "10.01").Code)
	unknown := ask(rbac.True, "")
	require.Equal(t, "cost_limit_exceeded", unknown.Code)
	require.Equal(t, []string{"cost_limit"}, unknown.Missing)
	require.False(t, ask(rbac.Unknown, "1").Allowed)
}

func TestRemovedBeatsAddedBeatsWildcard(t *testing.T) { // F469
	r := allow("r", "*", "api_keys.create")
	r.Except = []string{"api_keys.create"}
	require.False(t, decide(t, question("api_keys.create", "team:x"), r).Allowed)
	require.True(t, decide(t, question("api_keys.read", "team:x"), r).Allowed)
}

func TestOwnIsOnlyOnesOwn(t *testing.T) { // F049
	rs := ruleset(t, allow("r", "usage.read:own", "*.write"))
	q := question("usage.read", "usage:x")
	require.True(t, rs.Decide(q, rbac.Inputs{Own: rbac.True}).Allowed)
	require.False(t, rs.Decide(q, rbac.Inputs{Own: rbac.False}).Allowed)
	require.False(t, rs.Decide(q, rbac.Inputs{Own: rbac.Unknown}).Allowed)
	require.True(t, decide(t, q, allow("r", "usage.read:own", "usage.read")).Allowed, "an unscoped grant beside it is wider")
}

func TestBusinessHoursFollowTheWallClock(t *testing.T) {
	rs := ruleset(t, rbac.Rule{ID: "p", Pool: rbac.PoolPolicy, Statement: rbac.Statement{Effect: rbac.EffectAllow, Actions: []string{"*"}, Resources: []string{"*"},
		Conditions: rbac.Conditions{Time: &rbac.TimeCondition{Type: rbac.BusinessHours, Timezone: "America/New_York",
			Days: []string{"sun", "mon"}, Hours: &rbac.Hours{Start: "09:00", End: "18:00"}}}}})
	for at, open := range map[string]bool{
		"2024-03-09T14:30:00Z": false, // Saturday
		"2024-03-10T13:00:00Z": true,  // Sunday, clocks went forward in the night: 09:00
		"2024-03-10T12:59:59Z": false,
		"2024-11-03T14:00:00Z": true, // clocks went back: 09:00
		"2024-11-03T13:59:59Z": false,
		"2024-11-03T22:59:59Z": true,
		"2024-11-03T23:00:00Z": false, // the end is exclusive
	} {
		now, err := time.Parse(time.RFC3339, at)
		require.NoError(t, err)
		require.Equal(t, open, rs.Decide(question("a.b", "x"), rbac.Inputs{Now: now}).Allowed, at)
	}
}

func TestHoursPastMidnightBelongToTheirFirstDay(t *testing.T) {
	night := &rbac.TimeCondition{Type: rbac.BusinessHours, Timezone: "Asia/Kathmandu", Days: []string{"fri"}, Hours: &rbac.Hours{Start: "22:00", End: "02:00"}}
	rs := ruleset(t, rbac.Rule{ID: "p", Pool: rbac.PoolPolicy, Statement: rbac.Statement{Effect: rbac.EffectAllow, Actions: []string{"*"}, Resources: []string{"*"}, Conditions: rbac.Conditions{Time: night}}})
	zone, err := time.LoadLocation("Asia/Kathmandu")
	require.NoError(t, err)
	for at, open := range map[string]bool{"2024-03-01 21:59": false, "2024-03-01 22:00": true, "2024-03-02 01:59": true, "2024-03-02 02:00": false, "2024-03-02 22:30": false, "2024-03-01 01:00": false} {
		now, err := time.ParseInLocation("2006-01-02 15:04", at, zone)
		require.NoError(t, err)
		require.Equal(t, open, rs.Decide(question("a.b", "x"), rbac.Inputs{Now: now}).Allowed, at)
	}
}

func TestWrongConditionsAreNamed(t *testing.T) { // F141
	for text, field := range map[string]string{
		`{"effect":"allow","actions":["a.b"],"resources":["*"],"conditions":{"weather":{}}}`:                                                         "conditions.weather",
		`{"effect":"allow","actions":["a.b"],"resources":["*"],"conditions":{"mfa":{"type":"required","max":3}}}`:                                    "conditions.mfa.max",
		`{"effect":"allow","actions":["a.b"],"resources":["*"],"conditions":{"mfa":{"type":"maybe"}}}`:                                               "s.conditions.mfa.type",
		`{"effect":"allow","actions":["a.b"],"resources":["*"],"conditions":{"ip_address":{"type":"ip_in_range","value":"10.0.0.0/40"}}}`:            "s.conditions.ip_address.value",
		`{"effect":"allow","actions":["a.b"],"resources":["*"],"conditions":{"ip_address":{"type":"ip_in_range","value":7}}}`:                        "conditions.ip_address.value",
		`{"effect":"allow","actions":["a.b"],"resources":["*"],"conditions":{"cost_limit":{"type":"per_request","max_amount":-1}}}`:                  "conditions.cost_limit.max_amount",
		`{"effect":"allow","actions":["a.b"],"resources":["*"],"conditions":{"anomaly_score":{"type":"greater_than","value":2}}}`:                    "s.conditions.anomaly_score.value",
		`{"effect":"allow","actions":["a.b"],"resources":["*"],"conditions":{"time":{"type":"business_hours","hours":{"start":"9","end":"18:00"}}}}`: "s.conditions.time.hours.start",
		`{"effect":"allow","actions":["a.b"],"resources":["*"],"conditions":{"approval":{"type":"missing"}}}`:                                        "s.conditions.approval.type",
		`{"effect":"perhaps","actions":["a.b"],"resources":["*"]}`:                                                                                   "s.effect",
		`{"effect":"allow","actions":["bill*"],"resources":["*"]}`:                                                                                   "s.actions[0]",
		`{"effect":"allow","actions":["a.b"],"resources":[]}`:                                                                                        "s.resources",
		`{"effect":"allow","actions":["a.b"],"resources":["*"],"not_resources":["x"]}`:                                                               "not_resources",
	} {
		var st rbac.Statement
		err := json.Unmarshal([]byte(text), &st)
		if err == nil {
			err = st.Validate("s")
		}
		var f *store.FieldError
		require.ErrorAs(t, err, &f, text)
		require.Equal(t, field, f.Field, text)
	}
}

func TestStatementComesBackAsItWasWritten(t *testing.T) { // F326
	b := seedStatements(t)
	var statements []rbac.Statement
	require.NoError(t, json.Unmarshal(b, &statements))
	again, err := json.Marshal(statements)
	require.NoError(t, err)
	require.JSONEq(t, string(b), string(again))
}
