package rbac

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// tests are conditions, compiled. They never change; what they remember is only how they were judged last.
type tests struct {
	ip       *ipTest
	time     *timeTest
	mfa      *mfaTest
	approval *approvalTest
	cost     *costTest
	score    *ScoreCondition
}

// unread are conditions of which one is of a type that this version does not know: neither they nor their contrary
// hold (F141).
var unread = new(tests)

// compile reads conditions; zone is that of business hours without one, nil for UTC.
func (c Conditions) compile(zone *time.Location) (t *tests, err error) {
	if !c.known() {
		return unread, nil
	}
	t = &tests{}
	if c.IPAddress != nil {
		if t.ip, err = c.IPAddress.compile(); err != nil {
			return t, err
		}
	}
	if c.Time != nil {
		if t.time, err = c.Time.compile(zone); err != nil {
			return t, err
		}
	}
	if c.MFA != nil {
		t.mfa = &mfaTest{MFACondition: *c.MFA, age: math.MaxInt64}
		if m := c.MFA.MaxAgeMinutes; m != nil {
			t.mfa.age = time.Duration(*m) * time.Minute
		}
	}
	if c.Approval != nil {
		t.approval = &approvalTest{c.Approval.need(), c.Approval.Type == ApprovalMissing}
	}
	if c.CostLimit != nil {
		t.cost = newCostTest(c.CostLimit.MaxAmount)
	}
	t.score = c.AnomalyScore
	return t, nil
}

// known says whether all types are known. A record may be of a newer version.
func (c Conditions) known() bool {
	is := func(typ string, known ...string) bool { return slices.Contains(known, typ) }
	return (c.IPAddress == nil || is(c.IPAddress.Type, IPInRange, IPNotInRange)) &&
		(c.Time == nil || is(c.Time.Type, BusinessHours, TimeBetween)) &&
		(c.MFA == nil || is(c.MFA.Type, Required)) &&
		(c.Approval == nil || is(c.Approval.Type, Required, ApprovalMissing)) &&
		(c.CostLimit == nil || is(c.CostLimit.Type, PerRequest)) &&
		(c.AnomalyScore == nil || is(c.AnomalyScore.Type, GreaterThan, LessThan, Equals))
}

// truth judges all of them, up to the first that is false.
func (t *tests) truth(e *evaluation) Truth {
	if t == unread {
		return Unknown
	}
	all := True
	if t.ip != nil {
		if all = t.ip.truth(e); all == False {
			return False
		}
	}
	if t.time != nil {
		if all = all.and(t.time.truth(e)); all == False {
			return False
		}
	}
	if t.score != nil {
		if all = all.and(t.score.truth(e)); all == False {
			return False
		}
	}
	if t.cost != nil {
		if all = all.and(t.cost.truth(e)); all == False {
			return False
		}
	}
	if t.mfa != nil {
		if all = all.and(t.mfa.truth(e)); all == False {
			return False
		}
	}
	if t.approval != nil {
		all = all.and(t.approval.truth(e))
	}
	return all
}

// part is one condition of a statement, by itself: what can fail, and what would mend it.
type part struct {
	input string // name of the condition
	truth Truth
	code  string // refusal code when only this fails
	fix   way    // what makes it true
	undo  way    // what makes it false; without a step where nobody would be told to
}

// parts judges every condition, for an explanation.
func (t *tests) parts(e *evaluation) (parts []part) {
	if t == nil {
		return nil
	}
	if t == unread {
		return []part{{input: "conditions", truth: Unknown, code: "policy_denied"}}
	}
	if t.ip != nil {
		parts = append(parts, part{"ip_address", t.ip.truth(e), "policy_denied", t.ip.from(t.ip.inside), t.ip.from(!t.ip.inside)})
	}
	if t.time != nil {
		parts = append(parts, part{"time", t.time.truth(e), "policy_denied",
			way{"call within " + t.time.text, "within " + t.time.text}, way{"call outside of " + t.time.text, "outside of " + t.time.text}})
	}
	if t.mfa != nil {
		parts = append(parts, part{"mfa", t.mfa.truth(e), "mfa_required", t.mfa.fix(), way{phrase: strings.Replace(t.mfa.fix().phrase, "with", "without", 1)}})
	}
	if t.approval != nil {
		fix, undo := t.approval.need.way(), way{phrase: "without an approval by " + strings.Join(t.approval.need.Approvers, " or ")}
		if e.asker != nil && e.asker.person == "" { // nobody could ask for it
			fix, undo = way{}, way{}
		}
		if t.approval.missing {
			fix, undo = undo, fix
		}
		parts = append(parts, part{"approval", t.approval.truth(e), "approval_required", fix, undo})
	}
	if t.cost != nil {
		parts = append(parts, part{"cost_limit", t.cost.truth(e), "cost_limit_exceeded",
			way{"keep the call at or below " + t.cost.most.String() + " USD", "at up to " + t.cost.most.String() + " USD per call"},
			way{phrase: "above " + t.cost.most.String() + " USD per call"}})
	}
	if t.score != nil {
		parts = append(parts, part{"anomaly_score", t.score.truth(e), "policy_denied", t.score.way(true), t.score.way(false)})
	}
	return parts
}

type ipTest struct {
	ranges []netip.Prefix
	inside bool   // the address has to lie in one of them; else in none
	text   string // the ranges as written
}

func (c *IPCondition) compile() (*ipTest, error) {
	t := &ipTest{inside: c.Type == IPInRange, text: strings.Join(c.Value.Ranges, " or ")}
	for _, r := range c.Value.Ranges {
		p, err := ParseRange(r)
		if err != nil {
			return nil, err
		}
		t.ranges = append(t.ranges, p)
	}
	return t, nil
}

func (t *ipTest) truth(e *evaluation) Truth {
	if !e.ip.IsValid() {
		return Unknown
	}
	return truth(inPrefixes(e.ip, t.ranges) == t.inside)
}

func (t *ipTest) from(inside bool) way {
	from := "from " + t.text
	if !inside {
		from = "from outside of " + t.text
	}
	return way{"call " + from, from}
}

type mfaTest struct {
	MFACondition
	age time.Duration
}

func (t *mfaTest) truth(e *evaluation) Truth {
	at, known := e.mfa()
	switch {
	case at == nil && known:
		return False
	case at == nil || e.now.IsZero():
		return Unknown
	}
	age := e.now.Sub(*at)
	switch {
	case age < 0: // the future cannot be judged
		e.holdsFor(-age)
		return Unknown
	case t.age == math.MaxInt64:
		return True
	case age > t.age:
		return False
	}
	e.holdsFor(t.age - age + 1) // at exactly this age it still holds
	return True
}

func (t *mfaTest) fix() way {
	if t.MaxAgeMinutes == nil {
		return way{"verify a second factor", "with MFA"}
	}
	return way{fmt.Sprintf("verify a second factor, not longer than %d minutes ago", *t.MaxAgeMinutes),
		fmt.Sprintf("with MFA under %d minutes", *t.MaxAgeMinutes)}
}

func (n ApprovalNeed) way() way {
	who := strings.Join(n.Approvers, " or ")
	return way{"obtain an approval from " + who, "after one approval by " + who}
}

type approvalTest struct {
	need    ApprovalNeed
	missing bool // true while there is none
}

func (t *approvalTest) truth(e *evaluation) Truth {
	is := e.approved(&t.need)
	if t.missing && is != Unknown {
		return True - is
	}
	return is
}

// costTest compares amounts without making any: the limit is kept once for each number of decimals that an
// amount may have, cut off to it, which for amounts of that many decimals says the same.
type costTest struct {
	most decimal.Decimal
	cut  [13]decimal.Decimal // by the number of decimals
}

func newCostTest(most decimal.Decimal) *costTest {
	t := &costTest{most: most}
	for i := range t.cut {
		cut := most.Truncate(int32(i))
		// Rescaled to exactly i decimals: an exponent alike is what spares the comparison a rescaling.
		t.cut[i] = decimal.NewFromBigInt(cut.Shift(int32(i)).BigInt(), -int32(i))
	}
	return t
}

func (t *costTest) truth(e *evaluation) Truth {
	if e.cost == nil || e.cost.IsNegative() {
		return Unknown
	}
	if i := -int(e.cost.Exponent()); i >= 0 && i < len(t.cut) {
		return truth(e.cost.Cmp(t.cut[i]) <= 0)
	}
	return truth(e.cost.Cmp(t.most) <= 0)
}

func (s *ScoreCondition) truth(e *evaluation) Truth {
	a := e.anomaly()
	if a.Registered && (a.Err != nil || math.IsNaN(a.Score) || a.Score < 0 || a.Score > 1) {
		return Unknown
	}
	switch s.Type {
	case GreaterThan:
		return truth(a.Score > s.Value)
	case LessThan:
		return truth(a.Score < s.Value)
	}
	return truth(a.Score == s.Value)
}

// way leads to a score for which the test comes out so.
func (s *ScoreCondition) way(is bool) way {
	relations := map[bool]map[string]string{
		true:  {GreaterThan: "above", LessThan: "below", Equals: "exactly"},
		false: {GreaterThan: "at most", LessThan: "at least", Equals: "not"},
	}
	return way{"wait until the anomaly score is judged normal", fmt.Sprintf("while the anomaly score is %s %v", relations[is][s.Type], s.Value)}
}
