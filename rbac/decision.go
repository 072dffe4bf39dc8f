package rbac

import (
	"cmp"
	"slices"
	"time"
)

// Question is what a ruleset is asked.
type Question struct {
	Action   string // canonical
	Resource string
	Asked    string // the resource as the client named it, where an alias was resolved
}

// Verdict is a decision with the conditions left open.
type Verdict string

// The verdicts.
const (
	VerdictAllow       Verdict = "allow"       // unless the conditions of a deny hold
	VerdictConditional Verdict = "conditional" // if conditions hold
	VerdictDeny        Verdict = "deny"        // whatever the call is like
)

// Decision is an answer and its reasons.
type Decision struct {
	ID       string
	Revision Revision // of the rules that it rests on
	Verdict  Verdict
	Allowed  bool // this very call, now
	// Until is the first moment at which the answer to the very same call may be another although no rule
	// was changed: business hours end, a second factor grows too old. Zero is never.
	Until time.Time
	Code  string // why not; "" when allowed

	Reasons    []Reason
	Conditions Conditions   // of the alternative that comes closest; what a conditional verdict asks
	Others     []Conditions // further alternatives: any one will do
	Missing    []string     // inputs that were unknown
	Remedy     []string     // what somebody has to do to make the call pass, step by step
	// Would is that as one sentence, with the alternatives: "allowed with MFA under 480 minutes". "" when the
	// call is allowed, and when no call like it would be.
	Would     string
	Approvals []ApprovalNeed // what rules want of an approval that the call lacks

	NotOwn            bool   // what was asked for is somebody else's, and only one's own is granted
	Anomalous         bool   // it is refused for the anomaly score
	MissingPermission string // no role, grant or policy gives it
	Alarm             error  // Casbin failed: refused, and somebody should look
}

// Reason is one thing that the decision rests on.
type Reason struct {
	Kind string `json:"kind"` // the pool: policy, settings, role, member or key; or none
	ID   string `json:"id"`   // of the rule
	Text string `json:"text"`
}

// Decide answers a question for one call. An action that the vocabulary does not have is refused.
func (rs *Ruleset) Decide(q Question, in Inputs) Decision {
	e := in.evaluation()
	return rs.decide(&question{rs.vocabulary.Action(q.Action), q.Resource, q.Asked}, &e)
}

// Allows is Decide without reasons, and without an allocation.
func (rs *Ruleset) Allows(q Question, in *Inputs) bool {
	e := in.evaluation()
	return rs.find(&question{rs.vocabulary.Action(q.Action), q.Resource, q.Asked}).holds(&e)
}

// decide answers with reasons. Whether it allows is what cell.holds says, and when that may change is noted
// in the evaluation.
func (rs *Ruleset) decide(q *question, e *evaluation) Decision {
	c, action := rs.find(q), rs.vocabulary.Name(q.action)
	switch {
	case q.action == Action{}:
		return Decision{Verdict: VerdictDeny, Code: "permission_denied",
			Reasons: []Reason{{Kind: "unknown_action", Text: "no such action is registered"}}}
	case c.deny != nil:
		return denied(c.deny, nil, VerdictDeny)
	case c.failed != nil:
		return Decision{Verdict: VerdictDeny, Code: "permission_denied", Alarm: c.failed,
			Reasons: []Reason{{Kind: "none", Text: "the rules could not be evaluated"}}}
	case len(c.pool()) == 0:
		return Decision{Verdict: VerdictDeny, Code: "permission_denied", MissingPermission: action,
			Reasons: []Reason{{Kind: "none", Text: "no role, grant or policy gives " + action}},
			Remedy:  []string{"have somebody grant " + action}}
	}
	var says sentence
	d := c.choose(action, e, &says)
	c.forbid(&d, e, &says)
	if !d.Allowed {
		d.Would = says.String()
	}
	d.Until = until(e.now, e.lasts)
	return d
}

// parts are the conditions of an alternative.
func (e *evaluation) parts(a alternative) []part {
	parts := a.rule.tests.parts(e)
	if a.own {
		parts = append(parts, part{"own", e.own(), "permission_denied", way{"ask for what is your own", "on what is your own"}, way{}})
	}
	return parts
}

// choose takes the first alternative that holds, else the one with the fewest conditions open.
func (c *cell) choose(action string, e *evaluation, says *sentence) Decision {
	type option struct {
		alternative
		open []part // the conditions that do not hold
	}
	var options []option
	for _, a := range c.pool() {
		parts := e.parts(a)
		if !c.free {
			says.way(parts)
		}
		open := slices.DeleteFunc(slices.Clone(parts), func(p part) bool { return !p.open() })
		options = append(options, option{a, open})
	}
	slices.SortStableFunc(options, func(a, b option) int {
		return cmp.Or(cmp.Compare(len(a.open), len(b.open)), cmp.Compare(number(a.live()), number(b.live())), cmp.Compare(urgent(b.open), urgent(a.open)))
	})
	best := options[0]
	d := Decision{Verdict: VerdictAllow, Allowed: len(best.open) == 0, Reasons: []Reason{reason(best.rule)}}
	if !c.free {
		d.Verdict, d.Conditions = VerdictConditional, best.rule.asked()
		for _, o := range options[1:] {
			d.Others = append(d.Others, o.rule.asked())
		}
		if d.Conditions == (Conditions{}) && !d.Allowed { // only :own is open, and that is no input of the call
			d.Verdict = VerdictDeny
		}
	}
	if !d.Allowed {
		d.Reasons[0].Text = "allowed under conditions only, by " + string(best.rule.Pool) + " (" + best.rule.Source + ")"
		d.NotOwn = slices.ContainsFunc(best.open, func(p part) bool { return p.input == "own" })
		d.explain(best.open)
		for _, o := range options {
			d.miss(o.open)
		}
		if d.Code == "permission_denied" {
			d.MissingPermission = action
		}
	}
	return d
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// forbid applies the denies that depend on the call: one that holds, or cannot be judged, refuses.
func (c *cell) forbid(d *Decision, e *evaluation, says *sentence) {
	asked, outright := *d, false // as it was chosen; a deny refuses that no approval undoes
	for _, a := range c.all[:c.denies] {
		r, t := a.rule, e.truth(a)
		if a := r.asked().Approval; a != nil && a.Type == ApprovalMissing {
			// The team asks for approval: a condition of the call, whether or not it is met.
			if asked.Verdict == VerdictAllow {
				asked.Verdict = VerdictConditional
			}
			if asked.Conditions.Approval == nil {
				asked.Conditions.Approval = &ApprovalCondition{Type: Required, Approvers: a.need().Approvers}
			}
			d.Verdict, d.Conditions = asked.Verdict, asked.Conditions
		}
		parts := r.tests.parts(e)
		says.out(parts, t != False)
		if t == False {
			continue
		}
		refused := denied(r, parts, asked.Verdict)
		refused.Conditions, refused.Others = asked.Conditions, asked.Others
		refused.Approvals = d.Approvals
		switch {
		case r.Code != "approval_required" && !outright:
			*d, outright = refused, true
		case r.Code != "approval_required": // what refuses first is the answer
			d.Remedy = append(d.Remedy, refused.Remedy...)
			d.miss(parts)
		case !d.Allowed && d.Code != "approval_required": // something else is missing as well, and is said first
			d.lack(r.asked().Approval.need())
		default: // the settings and the policies may ask for different approvals: both are needed
			refused.Remedy = d.Remedy
			*d = refused
			d.lack(r.asked().Approval.need())
		}
	}
}

// lack notes an approval that is missing.
func (d *Decision) lack(need ApprovalNeed) {
	for i, n := range d.Approvals {
		if slices.Equal(n.Approvers, need.Approvers) {
			d.Approvals[i].ReasonRequired = n.ReasonRequired || need.ReasonRequired
			return
		}
	}
	d.Approvals = append(d.Approvals, need)
	if step := need.way().step; !slices.Contains(d.Remedy, step) {
		d.Remedy = append(d.Remedy, step)
	}
}

func denied(r *rule, parts []part, v Verdict) Decision {
	d := Decision{Verdict: v, Code: r.Code, Reasons: []Reason{reason(r)}}
	if d.Code == "" {
		d.Code = "policy_denied"
	}
	d.miss(parts)
	for _, p := range parts {
		d.Anomalous = d.Anomalous || p.input == "anomaly_score"
		if p.truth != False && p.undo.step != "" {
			d.Remedy = append(d.Remedy, p.undo.step)
		}
	}
	return d
}

// codes are those of conditions that do not hold. When one kind of thing is open its code is the answer's; of
// several, what the caller cannot mend by a step of their own comes first.
var codes = []string{"permission_denied", "policy_denied", "cost_limit_exceeded", "mfa_required", "approval_required"}

// urgent is the place of the code among them.
func urgent(open []part) int {
	for i, code := range codes {
		if slices.ContainsFunc(open, func(p part) bool { return p.code == code }) {
			return i
		}
	}
	return -1
}

// explain says what is open.
func (d *Decision) explain(open []part) {
	for _, p := range open {
		if p.fix.step != "" {
			d.Remedy = append(d.Remedy, p.fix.step)
		}
		if p.input == "approval" && d.Conditions.Approval != nil {
			d.Approvals = append(d.Approvals, d.Conditions.Approval.need())
		}
	}
	d.Code = "permission_denied"
	if i := urgent(open); i >= 0 {
		d.Code = codes[i]
	}
}

// miss notes which inputs were unknown, each once.
func (d *Decision) miss(parts []part) {
	for _, p := range parts {
		if p.truth == Unknown && !slices.Contains(d.Missing, p.input) {
			d.Missing = append(d.Missing, p.input)
		}
	}
}

// asked are the conditions as they were written.
func (r *rule) asked() Conditions {
	if r.conditions == nil {
		return Conditions{}
	}
	return *r.conditions
}

func reason(r *rule) Reason {
	verb := "allowed"
	if r.deny {
		verb = "denied"
	}
	return Reason{Kind: string(r.Pool), ID: r.ID, Text: verb + " by " + string(r.Pool) + " (" + r.Source + ")"}
}
