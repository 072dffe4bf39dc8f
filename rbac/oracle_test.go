package rbac_test

import (
	"slices"
	"strings"
	"time"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"

	"github.com/orgkit/orgkit/rbac"
)

// reference decides straight from the three sentences.
func reference(rules []rbac.Rule, q rbac.Question, in rbac.Inputs) bool {
	speaks, policy, grant := false, false, false
	for _, r := range rules {
		if !names(r, q) {
			continue
		}
		t := truth(r, q, in)
		switch {
		case r.Statement.Effect == rbac.EffectDeny:
			if t != rbac.False { // a deny always wins, and holds while nobody can tell
				return false
			}
		case r.Pool == rbac.PoolPolicy:
			speaks = true
			policy = policy || t == rbac.True
		default:
			grant = grant || t == rbac.True
		}
	}
	if speaks { // where a policy speaks, it decides
		return policy
	}
	return grant // where no policy speaks, roles decide
}

func names(r rbac.Rule, q rbac.Question) bool {
	covers := func(list []string) bool {
		return slices.ContainsFunc(list, func(s string) bool { return coversAction(strings.TrimSuffix(s, ":own"), q.Action) })
	}
	matches := func(list []string, resource string) bool {
		return slices.ContainsFunc(list, func(glob string) bool { return matchesGlob(glob, resource) })
	}
	st := r.Statement
	hit := matches(st.Resources, q.Resource)
	if q.Asked != "" && st.Effect == rbac.EffectDeny && len(st.NotResources) == 0 {
		hit = hit || matches(st.Resources, q.Asked)
	}
	return covers(st.Actions) && !covers(r.Except) && hit && !matches(st.NotResources, q.Resource)
}

// coversAction compares segment by segment, the slow way.
func coversAction(pattern, action string) bool {
	p, a := strings.Split(strings.ReplaceAll(pattern, ":", "."), "."), strings.Split(action, ".")
	for i, seg := range p {
		switch {
		case i >= len(a):
			return false
		case seg == "*" && i == len(p)-1:
			return true
		case seg != "*" && seg != a[i]:
			return false
		}
	}
	return len(p) == len(a)
}

// matchesGlob tries everything that a * may stand for.
func matchesGlob(glob, s string) bool {
	before, after, star := strings.Cut(glob, "*")
	if !star {
		return glob == s
	}
	rest, ok := strings.CutPrefix(s, before)
	if !ok {
		return false
	}
	for i := range len(rest) + 1 {
		if matchesGlob(after, rest[i:]) {
			return true
		}
	}
	return false
}

// truth is the least of the truths of all conditions.
func truth(r rbac.Rule, q rbac.Question, in rbac.Inputs) rbac.Truth {
	all := conditions(r.Statement.Conditions, in)
	unscoped := slices.ContainsFunc(r.Statement.Actions, func(s string) bool { return !strings.HasSuffix(s, ":own") && coversAction(s, q.Action) })
	if !unscoped {
		all = min(all, in.Own)
	}
	return all
}

func conditions(c rbac.Conditions, in rbac.Inputs) rbac.Truth {
	all := rbac.True
	and := func(unknown, is bool) {
		switch {
		case unknown:
			all = min(all, rbac.Unknown)
		case !is:
			all = rbac.False
		}
	}
	if ip := c.IPAddress; ip != nil {
		and(!in.IP.IsValid(), rbac.InRanges(in.IP, ip.Value.Ranges) == (ip.Type == rbac.IPInRange))
	}
	if t := c.Time; t != nil {
		and(in.Now.IsZero(), onTheClock(t, in.Now))
	}
	if m := c.MFA; m != nil {
		switch {
		case in.MFAAt == nil:
			and(!in.MFAKnown, false)
		default:
			and(in.Now.IsZero() || in.MFAAt.After(in.Now), m.MaxAgeMinutes == nil || in.Now.Sub(*in.MFAAt) <= time.Duration(*m.MaxAgeMinutes)*time.Minute)
		}
	}
	if a := c.Approval; a != nil {
		t := rbac.Unknown
		if in.Approved != nil {
			t = in.Approved(rbac.ApprovalNeed{})
		}
		and(t == rbac.Unknown, (t == rbac.True) == (a.Type != rbac.ApprovalMissing))
	}
	if l := c.CostLimit; l != nil {
		and(in.Cost == nil || in.Cost.IsNegative(), in.Cost != nil && in.Cost.LessThanOrEqual(l.MaxAmount))
	}
	if s := c.AnomalyScore; s != nil {
		score := in.Anomaly.Score
		bad := in.Anomaly.Registered && (in.Anomaly.Err != nil || !(score >= 0 && score <= 1))
		and(bad, map[string]bool{rbac.GreaterThan: score > s.Value, rbac.LessThan: score < s.Value, rbac.Equals: score == s.Value}[s.Type])
	}
	return all
}

// onTheClock reads the wall clock of the zone.
func onTheClock(c *rbac.TimeCondition, now time.Time) bool {
	if c.Type == rbac.TimeBetween {
		start, _ := time.Parse(time.RFC3339, c.Start)
		end, _ := time.Parse(time.RFC3339, c.End)
		return !now.Before(start) && now.Before(end)
	}
	zone, err := time.LoadLocation(c.Timezone)
	if err != nil {
		panic(err)
	}
	local := now.In(zone)
	on := func(d time.Weekday) bool {
		days := c.Days
		if len(days) == 0 {
			days = []string{"mon", "tue", "wed", "thu", "fri"}
		}
		return slices.Contains(days, strings.ToLower(d.String()[:3]))
	}
	at, today, yesterday := local.Format("15:04"), local.Weekday(), (local.Weekday()+6)%7
	if c.Hours.Start < c.Hours.End {
		return on(today) && c.Hours.Start <= at && at < c.Hours.End
	}
	return on(today) && at >= c.Hours.Start || on(yesterday) && at < c.Hours.End
}

// stock is Casbin asked directly: the same rules in one enforcer, their conditions judged in the matcher. So
// that a flat list of rules can say where a policy speaks, each question is asked of the pool that counts.
type stock struct {
	enforcer *casbin.Enforcer
	rules    []rbac.Rule
}

func newStock(rules []rbac.Rule) (*stock, error) {
	m, err := model.NewModelFromString(`
[request_definition]
r = q, pool
[policy_definition]
p = n, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = applies(r.q, r.pool, p.n)`)
	if err != nil {
		return nil, err
	}
	for i, r := range rules {
		if err := m.AddPolicy("p", "p", []string{string(rune('A' + i)), string(r.Statement.Effect)}); err != nil {
			return nil, err
		}
	}
	s := &stock{rules: rules}
	if s.enforcer, err = casbin.NewEnforcer(m); err != nil {
		return nil, err
	}
	s.enforcer.AddFunction("applies", func(args ...any) (any, error) {
		q, pool, r := args[0].(*asking), args[1].(bool), rules[[]rune(args[2].(string))[0]-'A']
		if !names(r, q.Question) {
			return false, nil
		}
		if r.Statement.Effect == rbac.EffectDeny {
			return truth(r, q.Question, q.in) != rbac.False, nil
		}
		return (r.Pool == rbac.PoolPolicy) == pool && truth(r, q.Question, q.in) == rbac.True, nil
	})
	return s, nil
}

type asking struct {
	rbac.Question
	in rbac.Inputs
}

func (s *stock) allows(q rbac.Question, in rbac.Inputs) (bool, error) {
	if len(s.rules) == 0 {
		return false, nil // C11
	}
	policy := slices.ContainsFunc(s.rules, func(r rbac.Rule) bool {
		return r.Pool == rbac.PoolPolicy && r.Statement.Effect == rbac.EffectAllow && names(r, q)
	})
	return s.enforcer.Enforce(&asking{q, in}, policy)
}
