package rbac

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Knowledge is what a lint holds statements against.
type Knowledge struct {
	Vocabulary    *Vocabulary
	AnomalySource bool      // the host has a detector
	Now           time.Time // zero: times are not looked at
	// Approves says whether whoever holds a role, or the user user:<id>, may decide approvals at all; nil:
	// approvers are not looked at.
	Approves func(approver string) bool
}

// Warning is something that was accepted and may surprise.
type Warning = store.Warning

// The codes of warnings.
const (
	WarnUnknownAction   = "unknown_action"    // no registered action matches: the entry does nothing
	WarnUntypedResource = "untyped_resource"  // a resource without its type, such as gpt-4o for model:gpt-4o
	WarnBareModelGlob   = "bare_model_glob"   // ids with a provider in front are not matched
	WarnShadowed        = "shadowed"          // another statement says all of it without conditions
	WarnNeverAllows     = "never_allows"      // a deny without conditions takes all of it
	WarnNeverHolds      = "never_holds"       // a condition that no call can meet
	WarnBroad           = "broad"             // everything, whatever the call is like
	WarnNoAnomalySource = "no_anomaly_source" // every score is 0
	WarnApprover        = "approver"          // who is named may not decide
	WarnSwallowed       = "swallowed"         // a deny without conditions takes all that a role gives
)

// Lint warns of statements of one policy that cannot do what they look like. Fields are paths from the policy
// on. What is malformed is not looked at: it is refused when it is written.
func Lint(statements []Statement, known Knowledge) []Warning {
	l := linter{known: known}
	for i, st := range statements {
		l.at = indexed("statements", i)
		l.patterns(st)
		l.conditions(st)
		l.others(st, i, statements)
		if slices.Contains(st.Actions, "*") && slices.Contains(st.Resources, "*") && st.Conditions == (Conditions{}) {
			l.warn(WarnBroad, "", string(st.Effect)+"s everything, whatever the call is like")
		}
	}
	return l.warnings
}

type linter struct {
	known    Knowledge
	at       string
	warnings []Warning
}

func (l *linter) warn(code, field, message string) {
	l.warnings = append(l.warnings, Warning{Code: code, Field: join(l.at, field), Message: message})
}

func (l *linter) patterns(st Statement) {
	l.actions("actions", st.Actions)
	l.resources("resources", st.Resources)
}

// actions warns of entries that match nothing that can be done.
func (l *linter) actions(field string, list []string) {
	for i, a := range list {
		if p, err := ParsePermission(a); err == nil && !slices.ContainsFunc(l.known.Vocabulary.actions, p.Covers) {
			l.warn(WarnUnknownAction, indexed(field, i), "no registered action matches")
		}
	}
}

func (l *linter) resources(field string, list []string) {
	for i, r := range list {
		typ, name, typed := strings.Cut(r, ":")
		switch {
		case !typed && !strings.HasPrefix(r, "*"):
			l.warn(WarnUntypedResource, indexed(field, i), "has no type in front, such as model:, and matches nothing that has")
		case typ == "model" && name != "" && name[0] != '*' && strings.Contains(name, "*") && !strings.Contains(name, "/"):
			l.warn(WarnBareModelGlob, indexed(field, i), "matches bare model ids only, not ids with a provider in front")
		}
	}
}

func (l *linter) conditions(st Statement) {
	c := st.Conditions
	if s := c.AnomalyScore; s != nil {
		if !l.known.AnomalySource {
			l.warn(WarnNoAnomalySource, "conditions.anomaly_score", "no anomaly source is registered: every score is 0")
		}
		if s.Type == GreaterThan && s.Value >= 1 || s.Type == LessThan && s.Value <= 0 {
			l.warn(WarnNeverHolds, "conditions.anomaly_score", "no score from 0 to 1 meets it")
		}
	}
	if ip := c.IPAddress; ip != nil && ip.Type == IPNotInRange && everyAddress(ip.Value.Ranges) {
		l.warn(WarnNeverHolds, "conditions.ip_address", "no address lies outside")
	}
	if t := c.Time; t != nil && t.Type == TimeBetween && !l.known.Now.IsZero() {
		if end, err := time.Parse(time.RFC3339, t.End); err == nil && !l.known.Now.Before(end) {
			l.warn(WarnNeverHolds, "conditions.time", "has ended")
		}
	}
	if a := c.Approval; a != nil && l.known.Approves != nil {
		l.approvers(*a)
	}
}

func (l *linter) approvers(a ApprovalCondition) {
	const cannot = " does not hold members.approve_requests here, and cannot decide"
	if len(a.Approvers) == 0 {
		if of := a.need().Approvers; !slices.ContainsFunc(of, l.known.Approves) {
			l.warn(WarnApprover, "conditions.approval", strings.Join(of, " or ")+cannot)
		}
		return
	}
	for i, who := range a.Approvers {
		if !l.known.Approves(who) {
			l.warn(WarnApprover, indexed("conditions.approval.approvers", i), who+cannot)
		}
	}
}

// everyAddress says whether ranges hold all addresses of both families.
func everyAddress(ranges []string) bool {
	four, six := false, false
	for _, r := range ranges {
		if p, err := netip.ParsePrefix(r); err == nil && p.Bits() == 0 {
			four, six = four || p.Addr().Is4(), six || p.Addr().Is6()
		}
	}
	return four && six
}

// others looks for a statement that leaves this one nothing to say.
func (l *linter) others(st Statement, i int, all []Statement) {
	for j, o := range all {
		if i == j || o.Conditions != (Conditions{}) || !o.covers(st) {
			continue
		}
		switch {
		case o.Effect != st.Effect && o.Effect == EffectDeny:
			l.warn(WarnNeverAllows, "", indexed("statements", j)+" denies all of it")
		case o.Effect == st.Effect && (j < i || !st.covers(o) || st.Conditions != (Conditions{})):
			l.warn(WarnShadowed, "", indexed("statements", j)+" says all of it without conditions")
		default:
			continue
		}
		return
	}
}

// covers says whether the statement names everything that another one names.
func (s Statement) covers(o Statement) bool {
	return !slices.ContainsFunc(o.Actions, func(a string) bool {
		want, err := ParsePermission(a)
		return err != nil || !slices.ContainsFunc(s.Actions, func(b string) bool {
			p, err := ParsePermission(b)
			return err == nil && p.Contains(want)
		})
	}) && !slices.ContainsFunc(o.Resources, func(r string) bool {
		return !slices.ContainsFunc(s.Resources, func(glob string) bool { return ResourcePattern{glob}.Contains(ResourcePattern{r}) })
	})
}
