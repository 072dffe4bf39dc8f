package rbac_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/rbac"
)

// drawn makes random rules and questions out of a seed.
type drawn struct{ *rand.Rand }

func pick[T any](d drawn, from ...T) T { return from[d.IntN(len(from))] }

// some returns one to three of them.
func some[T any](d drawn, from ...T) []T {
	list := make([]T, 1+d.IntN(3))
	for i := range list {
		list[i] = pick(d, from...)
	}
	return list
}

func (d drawn) oneIn(n int) bool { return d.IntN(n) == 0 }

func (d drawn) rule(id string) rbac.Rule {
	r := rbac.Rule{ID: id, Pool: pick(d, rbac.PoolPolicy, rbac.PoolPolicy, rbac.PoolRole, rbac.PoolMember, rbac.PoolSettings)}
	r.Statement = rbac.Statement{Effect: rbac.EffectAllow,
		Actions:   some(d, "*", "m.use", "m:use", "m.*", "*.read", "x.y", "billing.*", "*.*", "m.read"),
		Resources: some(d, "*", "model:a", "model:*", "model:b*", "*:a", "model:*/b", "m*d*l:a*", "team:x")}
	switch r.Pool {
	case rbac.PoolSettings:
		r.Statement.Effect = rbac.EffectDeny
		if d.oneIn(3) {
			r.Statement.NotResources = some(d, "model:a", "model:b*", "team:*")
		}
	case rbac.PoolPolicy:
		r.Statement.Effect = pick(d, rbac.EffectAllow, rbac.EffectAllow, rbac.EffectDeny)
	default:
		if d.oneIn(3) {
			r.Statement.Actions = some(d, "m.use:own", "*.read:own", "*:own", "m.use", "x.y")
		}
		if d.oneIn(3) {
			r.Except = some(d, "m.use", "*.read", "billing.*")
		}
	}
	if d.oneIn(2) {
		r.Statement.Conditions = d.conditions()
	}
	if r.Pool == rbac.PoolSettings && d.oneIn(3) {
		r.Code, r.Statement.Conditions = "approval_required", rbac.Conditions{Approval: &rbac.ApprovalCondition{Type: rbac.ApprovalMissing}}
	}
	return r
}

func (d drawn) conditions() (c rbac.Conditions) {
	for range 1 + d.IntN(2) {
		switch d.IntN(6) {
		case 0:
			c.IPAddress = &rbac.IPCondition{Type: pick(d, rbac.IPInRange, rbac.IPNotInRange),
				Value: rbac.IPRanges{Ranges: some(d, "10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::ffff:10.0.0.0/104")}}
		case 1:
			c.Time = d.time()
		case 2:
			c.MFA = &rbac.MFACondition{Type: rbac.Required}
			if d.oneIn(2) {
				c.MFA.MaxAgeMinutes = pick(d, ptr(1), ptr(60), ptr(480))
			}
		case 3:
			c.Approval = &rbac.ApprovalCondition{Type: rbac.Required}
		case 4:
			c.CostLimit = &rbac.CostCondition{Type: rbac.PerRequest, MaxAmount: d.amount()}
		case 5:
			c.AnomalyScore = &rbac.ScoreCondition{Type: pick(d, rbac.GreaterThan, rbac.LessThan, rbac.Equals), Value: pick(d, 0, 0.5, 0.8, 1)}
		}
	}
	return c
}

func ptr[T any](v T) *T { return &v }

func (d drawn) time() *rbac.TimeCondition {
	if d.oneIn(4) {
		return &rbac.TimeCondition{Type: rbac.TimeBetween, Start: "2024-03-10T06:30:00Z", End: "2024-11-03T06:30:00+01:00"}
	}
	clock := func() string { return fmt.Sprintf("%02d:%02d", d.IntN(24), pick(d, 0, 1, 30, 59)) }
	c := &rbac.TimeCondition{Type: rbac.BusinessHours, Hours: &rbac.Hours{Start: clock(), End: clock()},
		Timezone: pick(d, "America/New_York", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "UTC")}
	if c.Hours.Start == c.Hours.End {
		c.Hours.End = "00:07"
	}
	if d.oneIn(2) {
		c.Days = some(d, "sun", "mon", "tue", "wed", "thu", "fri", "sat")
	}
	return c
}

func (d drawn) amount() decimal.Decimal {
	return decimal.New(d.Int64N(2000), pick[int32](d, 1, 0, -1, -2, -3, -6, -12, -15))
}

func (d drawn) inputs() (in rbac.Inputs) {
	if !d.oneIn(8) {
		in.Now = d.moment()
	}
	if !d.oneIn(8) {
		in.IP = netip.MustParseAddr(pick(d, "10.1.2.3", "::ffff:10.1.2.3", "192.0.2.7", "2001:db8::1%eth0", "198.51.100.1"))
	}
	switch d.IntN(4) {
	case 0:
		in.MFAKnown = true
	case 1:
		in.MFAAt = ptr(in.Now.Add(-pick(d, 0, time.Minute, time.Minute+1, time.Hour, 480*time.Minute, 9*time.Hour)))
	case 2:
		in.MFAAt = ptr(in.Now.Add(time.Second))
	}
	if !d.oneIn(6) {
		in.Cost = ptr(d.amount())
		if d.oneIn(20) {
			in.Cost = ptr(in.Cost.Neg())
		}
	}
	if in.Anomaly.Registered = !d.oneIn(3); in.Anomaly.Registered {
		in.Anomaly.Score = pick(d, 0, 0.5, 0.8, 0.81, 1, math.NaN(), -1, 2)
		if d.oneIn(10) {
			in.Anomaly.Err = errors.New("down")
		}
	}
	if t := pick(d, rbac.True, rbac.False, rbac.Unknown); !d.oneIn(6) {
		in.Approved = func(rbac.ApprovalNeed) rbac.Truth { return t }
	}
	in.Own = pick(d, rbac.True, rbac.False, rbac.Unknown)
	return in
}

// moment is mostly near to a change of clocks, in one of the zones.
func (d drawn) moment() time.Time {
	near := pick(d, "2024-03-10T07:00:00Z", "2024-11-03T06:00:00Z", "2024-03-31T01:00:00Z", "2024-10-27T01:00:00Z", "2024-04-06T15:00:00Z",
		"2024-10-05T15:30:00Z", "2018-11-04T03:00:00Z", "2011-12-30T10:00:00Z", "2024-06-12T12:00:00Z")
	t, err := time.Parse(time.RFC3339, near)
	if err != nil {
		panic(err)
	}
	return t.Add(time.Duration(d.Int64N(int64(96*time.Hour))) - 48*time.Hour).Truncate(pick(d, time.Nanosecond, time.Second, time.Minute, time.Hour))
}

func (d drawn) question() rbac.Question {
	q := rbac.Question{Action: pick(d, "m.use", "m.read", "x.y", "billing.read", "a.b"),
		Resource: pick(d, "model:a", "model:b", "model:bb", "model:x/b", "team:x", "", "*")}
	if d.oneIn(5) {
		q.Asked = pick(d, "model:b", "model:alias", "team:x")
	}
	return q
}

// asked is how many questions a set of rules is asked, so that most are answered by what was kept before.
const asked = 50

// TestAMillionDecisions compares what is compiled and kept with Casbin's own Enforce and with the three
// sentences. With the race detector, which is slow, they are fewer.
func TestAMillionDecisions(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var next, differences atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for n := next.Add(1); n <= decisions/asked && differences.Load() < 3; n = next.Add(1) {
				if text := differ(drawn{rand.New(rand.NewPCG(seed, uint64(n)))}); text != "" {
					differences.Add(1)
					t.Errorf("seed %d, %d: %s", seed, n, text)
				}
			}
		})
	}
	wg.Wait()
}

// differ says where answers differ, "" for nowhere.
func differ(d drawn) string {
	rules := make([]rbac.Rule, d.IntN(12))
	for i := range rules {
		rules[i] = d.rule(string(rune('a' + i)))
	}
	rs, err := rbac.NewRuleset(rules, &rbac.RulesetOptions{Vocabulary: words})
	if err != nil {
		return err.Error()
	}
	casbin, err := newStock(rules)
	if err != nil {
		return err.Error()
	}
	for range asked {
		q, in := d.question(), d.inputs()
		want := reference(rules, q, in)
		byCasbin, err := casbin.allows(q, in)
		full, fast := rs.Decide(q, in), rs.Allows(q, &in)
		ok := err == nil && full.Alarm == nil && full.Allowed == want && fast == want && byCasbin == want &&
			full.Allowed == (full.Code == "") && !(full.Allowed && full.Verdict == rbac.VerdictDeny)
		if ok && !full.Until.IsZero() { // what the clock alone can change is not changed before
			later := in
			later.Now = full.Until.Add(-1)
			ok = !later.Now.After(in.Now) || rs.Allows(q, &later) == want && reference(rules, q, later) == want
		}
		blind := in // what is allowed whatever the cost is stays allowed when it is known: the gate asks so first
		blind.Cost = nil
		ok = ok && (want || !rs.Allows(q, &blind))
		if !ok {
			text, _ := json.Marshal(rules)
			return fmt.Sprintf("%s\n%+v\n%+v\nreference %t, fast %t, casbin %t (%v), full %+v", text, q, in, want, fast, byCasbin, err, full)
		}
	}
	return ""
}
