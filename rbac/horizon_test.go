package rbac_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/rbac"
)

func conditional(c rbac.Conditions) rbac.Rule {
	return rbac.Rule{ID: "p", Pool: rbac.PoolPolicy, Statement: rbac.Statement{Effect: rbac.EffectAllow,
		Actions: []string{"models.use"}, Resources: []string{"*"}, Conditions: c}}
}

// An answer says until when it holds, so that a caller may keep it that long and no longer.
func TestAnswersSayHowLongTheyHold(t *testing.T) {
	office := &rbac.TimeCondition{Type: rbac.BusinessHours, Timezone: "America/New_York", Hours: &rbac.Hours{Start: "09:00", End: "18:00"}}
	campaign := &rbac.TimeCondition{Type: rbac.TimeBetween, Start: "2024-03-01T00:00:00Z", End: "2024-04-01T00:00:00Z"}
	factor := &rbac.MFACondition{Type: rbac.Required, MaxAgeMinutes: ptr(480)}
	friday := newYork(t, "2024-03-08 17:30")
	for name, c := range map[string]struct {
		conditions rbac.Conditions
		now        time.Time
		verified   time.Duration // ago
		allowed    bool
		until      string // in New York, "" for ever
	}{
		"until the office closes":                   {rbac.Conditions{Time: office}, friday, 0, true, "2024-03-08 18:00"},
		"until it opens, over a change of clocks":   {rbac.Conditions{Time: office}, newYork(t, "2024-03-10 03:30"), 0, false, "2024-03-11 09:00"},
		"until the clocks change, at the latest":    {rbac.Conditions{Time: office}, newYork(t, "2024-03-08 18:00"), 0, false, "2024-03-10 03:00"},
		"until the factor is too old":               {rbac.Conditions{MFA: factor}, friday, 479 * time.Minute, true, "2024-03-08 17:31"},
		"until the first of several":                {rbac.Conditions{MFA: factor, Time: office}, friday, 465 * time.Minute, true, "2024-03-08 17:45"},
		"for ever, once it is too old":              {rbac.Conditions{MFA: factor}, friday, 481 * time.Minute, false, ""},
		"until a campaign begins":                   {rbac.Conditions{Time: campaign}, newYork(t, "2024-02-01 00:00"), 0, false, "2024-02-29 19:00"},
		"until it ends":                             {rbac.Conditions{Time: campaign}, friday, 0, true, "2024-03-31 20:00"},
		"for ever, after it":                        {rbac.Conditions{Time: campaign}, newYork(t, "2024-05-01 00:00"), 0, false, ""},
		"for ever, where time is not asked":         {rbac.Conditions{}, friday, 0, true, ""},
		"until the future in which it was verified": {rbac.Conditions{MFA: factor}, friday, -time.Minute, false, "2024-03-08 17:31"},
	} {
		rs := ruleset(t, conditional(c.conditions))
		in := rbac.Inputs{Now: c.now, MFAKnown: true}
		if c.verified != 0 {
			in.MFAAt = ptr(c.now.Add(-c.verified))
		}
		d := rs.Decide(question("models.use", "model:m"), in)
		require.Equal(t, c.allowed, d.Allowed, name)
		if c.until == "" {
			require.True(t, d.Until.IsZero(), "%s: %s", name, d.Until)
			continue
		}
		want := newYork(t, c.until)
		require.LessOrEqual(t, d.Until.Sub(want), time.Nanosecond, name) // a factor of exactly its age still holds
		require.GreaterOrEqual(t, d.Until.Sub(want), time.Duration(0), "%s: %s", name, d.Until)
	}
}

// A remedy of a deny says what takes it away, not what it asks for.
func TestRemedyOfADenyLeadsOutOfIt(t *testing.T) {
	r := conditional(rbac.Conditions{Time: &rbac.TimeCondition{Type: rbac.BusinessHours, Timezone: "UTC", Hours: &rbac.Hours{Start: "00:00", End: "06:00"}}})
	r.Statement.Effect = rbac.EffectDeny
	rs := ruleset(t, r, allow("role", "models.use"))
	d := rs.Decide(question("models.use", "model:m"), rbac.Inputs{Now: time.Date(2024, 3, 5, 3, 0, 0, 0, time.UTC)})
	require.False(t, d.Allowed)
	require.Equal(t, []string{"call outside of 00:00 to 06:00 UTC, mon tue wed thu fri"}, d.Remedy)
	require.Equal(t, time.Date(2024, 3, 5, 6, 0, 0, 0, time.UTC), d.Until)
}
