package rbac_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/rbac"
)

// policy makes a rule of a statement on models.use.
func policy(t *testing.T, effect rbac.Effect, conditions string) rbac.Rule {
	t.Helper()
	st := rbac.Statement{Effect: effect, Actions: []string{"models.use"}, Resources: []string{"model:*"}}
	require.NoError(t, json.Unmarshal([]byte(conditions), &st.Conditions))
	require.NoError(t, st.Validate("statement"))
	return rbac.Rule{ID: "p", Pool: rbac.PoolPolicy, Source: "p", Statement: st}
}

func TestADenialSaysInOneSentenceWhatWouldPass(t *testing.T) {
	const (
		mfa      = `{"mfa": {"type": "required", "max_age_minutes": 480}}`
		office   = `{"ip_address": {"type": "ip_in_range", "value": "10.0.0.0/8"}}`
		guests   = `{"ip_address": {"type": "ip_in_range", "value": "10.1.0.0/16"}}`
		outside  = `{"ip_address": {"type": "ip_not_in_range", "value": "10.0.0.0/8"}}`
		approval = `{"approval": {"type": "required", "approvers": ["team_lead", "org_admin"]}}`
		night    = `{"time": {"type": "business_hours", "timezone": "UTC", "hours": {"start": "00:00", "end": "06:00"}}}`
		anomaly  = `{"anomaly_score": {"type": "greater_than", "value": 0.8}}`
	)
	allows := func(c ...string) (rules []rbac.Rule) {
		for _, c := range c {
			rules = append(rules, policy(t, rbac.EffectAllow, c))
		}
		return rules
	}
	denies := func(c string) rbac.Rule { return policy(t, rbac.EffectDeny, c) }
	setting := rbac.Rule{ID: "s", Pool: rbac.PoolSettings, Source: "team, models.require_approval", Code: "approval_required", Statement: rbac.Statement{
		Effect: rbac.EffectDeny, Actions: []string{"models.use"}, Resources: []string{"model:*"},
		Conditions: rbac.Conditions{Approval: &rbac.ApprovalCondition{Type: rbac.ApprovalMissing}}}}
	in := rbac.Inputs{Now: time.Date(2024, 3, 5, 3, 0, 0, 0, time.UTC), MFAKnown: true, Anomaly: rbac.Anomaly{Registered: true, Score: 0.9}}
	for want, rules := range map[string][]rbac.Rule{
		"allowed with MFA under 480 minutes":                                                  allows(mfa),
		"allowed after one approval by team_lead or org_admin":                                allows(approval),
		"allowed with MFA under 480 minutes, or after one approval by team_lead or org_admin": allows(mfa, approval),
		"allowed with MFA":                                                         allows(`{"mfa": {"type": "required"}}`),
		"allowed from 10.0.0.0/8":                                                  allows(office),
		"allowed from outside of 10.0.0.0/8":                                       allows(outside),
		"allowed at up to 0.5 USD per call":                                        allows(`{"cost_limit": {"type": "per_request", "max_amount": 0.5}}`),
		"allowed from 10.0.0.0/8 and with MFA under 480 minutes":                   allows(office[:len(office)-1] + "," + mfa[1:]),
		"allowed from 10.0.0.0/8 and after one approval by team_lead or org_admin": append(allows(office), setting),
		"allowed after one approval by team_lead or org_admin  ":                   append(allows(approval), setting),
		"allowed after one approval by team_lead or org_admin ":                    append(allows(`{}`), setting),
		"allowed outside of 00:00 to 06:00 UTC, mon tue wed thu fri":               append(allows(`{}`), denies(night)),
		"allowed with MFA, or from 10.0.0.0/8; in any case outside of 00:00 to 06:00 UTC, mon tue wed thu fri and while the anomaly score is at most 0.8": append(
			allows(`{"mfa": {"type": "required"}}`, office), denies(night), denies(anomaly)),
		"allowed from 10.0.0.0/8 or outside of 00:00 to 06:00 UTC, mon tue wed thu fri": append(allows(`{}`),
			denies(outside[:len(outside)-1]+","+night[1:])),
		"allowed from 10.0.0.0/8, or with MFA, or from 10.1.0.0/16, or in other ways": allows(office, `{"mfa": {"type": "required"}}`,
			`{"ip_address": {"type": "ip_in_range", "value": "10.1.0.0/16"}}`, `{"ip_address": {"type": "ip_in_range", "value": "10.2.0.0/16"}}`),
		"": append(allows(mfa), denies(`{}`)),
		// What holds now is said where it is changed, as is a deny that would hold then.
		"allowed from outside of 10.1.0.0/16 and while the anomaly score is at most 0.8": append(allows(`{}`), denies(guests), denies(anomaly)),
		"allowed from 10.0.0.0/8 and from outside of 10.1.0.0/16":                        append(allows(office), denies(guests)),
		" ": append(allows(office), denies(office)),
	} {
		for i := range rules {
			rules[i].ID = fmt.Sprint(i)
		}
		d := ruleset(t, rules...).Decide(question("models.use", "model:m"), in)
		require.False(t, d.Allowed, want)
		require.Equal(t, strings.TrimSpace(want), d.Would)
		require.True(t, strings.HasPrefix(d.Sentence(), d.Reasons[0].Text))
	}
	d := ruleset(t, allow("role", "models.use")).Decide(question("models.use", "model:m"), in)
	require.Equal(t, []string{"", "allowed by role ()"}, []string{d.Would, d.Sentence()})
	d = ruleset(t).Decide(question("models.use", "model:m"), in)
	require.Equal(t, []string{"", "no role, grant or policy gives models.use"}, []string{d.Would, d.Sentence()})
}

// Where any call like it would pass, the sentence is there.
func TestWhatCouldPassIsNeverDeniedWithoutASentence(t *testing.T) {
	d := drawn{rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))}
	said := 0
	for range 1000 {
		var rules []rbac.Rule
		for i := range 1 + d.IntN(6) {
			rules = append(rules, d.rule(fmt.Sprint("r", i)))
		}
		rs := ruleset(t, rules...)
		q := d.question()
		refused, passes := "", false
		for range 100 {
			in := d.inputs()
			switch is := rs.Decide(q, in); {
			case is.Allowed:
				passes = true
				require.Empty(t, is.Would)
			case is.Would == "":
				refused = fmt.Sprintf("%+v\n%+v\n%+v", rules, in, is)
			default:
				said++
			}
		}
		require.False(t, passes && refused != "", refused)
	}
	require.NotZero(t, said)
}
