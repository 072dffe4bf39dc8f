package rbac

import (
	"slices"
	"strings"
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
	VerdictAllow       Verdict = "allow"       // whatever the call is like
	VerdictConditional Verdict = "conditional" // if conditions hold
	VerdictDeny        Verdict = "deny"        // whatever the call is like
)

// Decision is an answer and its reasons.
type Decision struct {
	ID       string
	Revision Revision // of the rules that it rests on
	Verdict  Verdict
	Allowed  bool   // this very call, now
	Code     string // why not; "" when allowed

	Reasons    []Reason
	Conditions Conditions   // of the alternative that comes closest; what a conditional verdict asks
	Others     []Conditions // further alternatives: any one will do
	Missing    []string     // inputs that were unknown
	Remedy     []string     // what would make the call pass
	Approvals  []ApprovalNeed

	NotOwn            bool   // what was asked for is somebody else's, and only one's own is granted
	MissingPermission string // no role, grant or policy gives it
	Alarm             error  // Casbin failed: refused, and somebody should look
}

// Reason is one thing that the decision rests on.
type Reason struct {
	Kind string `json:"kind"` // the pool: policy, settings, role, member or key; or none
	ID   string `json:"id"`   // of the rule
	Text string `json:"text"`
}

// Decide answers a question for one call.
func (rs *Ruleset) Decide(q Question, in Inputs) Decision {
	s, err := rs.casbin.ask(rs, q)
	if err != nil {
		return Decision{Verdict: VerdictDeny, Code: "permission_denied", Alarm: err,
			Reasons: []Reason{{Kind: "none", Text: "the rules could not be evaluated"}}}
	}
	defer rs.casbin.done(s)
	if s.deny != nil {
		return denied(s.deny, nil, VerdictDeny)
	}
	speaking, granted := alternatives(s)
	pool := granted
	if len(speaking) > 0 { // a policy speaks, so it decides
		pool = speaking
	}
	if len(pool) == 0 {
		return Decision{Verdict: VerdictDeny, Code: "permission_denied", MissingPermission: q.Action,
			Reasons: []Reason{{Kind: "none", Text: "no role, grant or policy gives " + q.Action}},
			Remedy:  []string{"have somebody grant " + q.Action}}
	}
	d := rs.choose(q, in, pool)
	rs.forbid(&d, s, q, in)
	return d
}

// alternatives are the allows of attached policies and those of grants.
func alternatives(s *sink) (speaking, granted []*rule) {
	for _, r := range slices.Concat(s.allow, s.live) {
		switch {
		case r.Statement.Effect == EffectDeny:
		case r.Pool == PoolPolicy:
			speaking = append(speaking, r)
		default:
			granted = append(granted, r)
		}
	}
	return speaking, granted
}

// choose takes the first alternative that holds, else the one with the fewest conditions open.
func (rs *Ruleset) choose(q Question, in Inputs, pool []*rule) Decision {
	type option struct {
		rule *rule
		open []part
		t    Truth
	}
	var options []option
	for _, r := range pool {
		t, parts := r.test(q, in, rs.zone)
		open := slices.DeleteFunc(parts, func(p part) bool { return p.truth == True })
		options = append(options, option{r, open, t})
	}
	slices.SortStableFunc(options, func(a, b option) int { return len(a.open) - len(b.open) })
	best := options[0]
	d := Decision{Verdict: VerdictAllow, Allowed: best.t == True, Reasons: []Reason{reason(best.rule)}}
	free := slices.ContainsFunc(pool, func(r *rule) bool { return !r.live(q) })
	if !free {
		d.Verdict, d.Conditions = VerdictConditional, best.rule.Statement.Conditions
		for _, o := range options[1:] {
			d.Others = append(d.Others, o.rule.Statement.Conditions)
		}
		if d.Conditions == (Conditions{}) && !d.Allowed { // only :own is open, and that is no input of the call
			d.Verdict = VerdictDeny
		}
	}
	if !d.Allowed {
		d.NotOwn = slices.ContainsFunc(best.open, func(p part) bool { return p.input == "own" })
		d.explain(best.open)
		if d.Code == "permission_denied" {
			d.MissingPermission = q.Action
		}
	}
	return d
}

// forbid applies the denies that depend on the call: one that holds, or cannot be judged, refuses.
func (rs *Ruleset) forbid(d *Decision, s *sink, q Question, in Inputs) {
	for _, r := range s.live {
		if r.Statement.Effect != EffectDeny {
			continue
		}
		t, parts := r.test(q, in, rs.zone)
		if a := r.Statement.Conditions.Approval; a != nil && a.Type == ApprovalMissing {
			// The team asks for approval: a condition of the call, whether or not it is met.
			if d.Verdict == VerdictAllow {
				d.Verdict = VerdictConditional
			}
			if d.Conditions.Approval == nil {
				d.Conditions.Approval = &ApprovalCondition{Type: Required, Approvers: a.need().Approvers}
			}
		}
		if t == False {
			continue
		}
		refused := denied(r, parts, d.Verdict)
		refused.Conditions, refused.Others = d.Conditions, d.Others
		if r.Code != "approval_required" {
			*d = refused
			return
		}
		if !d.Allowed && d.Code != "approval_required" {
			continue // something else is missing as well, and is said first
		}
		// The settings and the policies may ask for different approvals: both are needed.
		need := r.Statement.Conditions.Approval.need()
		refused.Remedy, refused.Approvals = d.Remedy, d.Approvals
		if !slices.ContainsFunc(d.Approvals, func(n ApprovalNeed) bool { return slices.Equal(n.Approvers, need.Approvers) }) {
			refused.Approvals = append(refused.Approvals, need)
			refused.Remedy = append(refused.Remedy, "obtain an approval from "+strings.Join(need.Approvers, " or "))
		}
		*d = refused
	}
}

func denied(r *rule, parts []part, v Verdict) Decision {
	d := Decision{Verdict: v, Code: r.Code, Reasons: []Reason{reason(r)}}
	if d.Code == "" {
		d.Code = "policy_denied"
	}
	for _, p := range parts {
		if p.truth == Unknown {
			d.Missing = append(d.Missing, p.input)
		}
		if p.truth != False {
			d.Remedy = append(d.Remedy, p.fix)
		}
	}
	return d
}

// explain says what is open. When one kind of thing is open its code is the answer's; of several,
// what the caller cannot mend by a step of their own comes first.
func (d *Decision) explain(open []part) {
	for _, p := range open {
		if p.truth == Unknown {
			d.Missing = append(d.Missing, p.input)
		}
		d.Remedy = append(d.Remedy, p.fix)
		if p.input == "approval" && d.Conditions.Approval != nil {
			d.Approvals = append(d.Approvals, d.Conditions.Approval.need())
		}
	}
	for _, code := range []string{"permission_denied", "policy_denied", "cost_limit_exceeded", "mfa_required", "approval_required"} {
		if slices.ContainsFunc(open, func(p part) bool { return p.code == code }) {
			d.Code = code
			return
		}
	}
	d.Code = "permission_denied"
}

func reason(r *rule) Reason {
	verb := "allowed"
	if r.Statement.Effect == EffectDeny {
		verb = "denied"
	}
	return Reason{Kind: string(r.Pool), ID: r.ID, Text: verb + " by " + string(r.Pool) + " (" + r.Source + ")"}
}
