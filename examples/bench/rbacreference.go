package main

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/rbac"
)

// allowed is the answer to a query, by three sentences. A deny that holds always wins. Where an allow
// statement of a policy names action and resource, conditions aside, one such statement must hold, whatever
// roles say. Where none does, roles decide.
func (w *workload) allowed(q loadQuery) bool {
	speaks, holds := false, false
	for _, st := range w.policies {
		switch {
		case !about(st, q.action, q.resource):
		case st.Effect == rbac.EffectAllow:
			speaks = true
			holds = holds || met(st.Conditions, q.in)
		case met(st.Conditions, q.in):
			return false
		}
	}
	if speaks {
		return holds
	}
	return w.granted(q)
}

// granted is what roles say: the role's permissions and what the team adds, without what the team removes.
func (w *workload) granted(q loadQuery) bool {
	user := w.orgs[q.org].users[q.user]
	team := w.orgs[q.org].teams[user.team]
	if covers(team.remove, q.action) {
		return false
	}
	if covers(team.add, q.action) {
		return true
	}
	return slices.ContainsFunc(w.roles[user.role].permissions, func(permission string) bool {
		pattern, own := strings.CutSuffix(permission, ":own")
		return covers(pattern, q.action) && (q.in.own || !own)
	})
}

// pooled is the answer of engines that have a single pool of allows, and denies: there a team's removal is
// a deny, and a policy's allow is one of many.
func (w *workload) pooled(q loadQuery) bool {
	o := w.orgs[q.org]
	if covers(o.teams[o.users[q.user].team].remove, q.action) {
		return false
	}
	allow := w.granted(q)
	for _, st := range w.policies {
		if about(st, q.action, q.resource) && met(st.Conditions, q.in) {
			if st.Effect == rbac.EffectDeny {
				return false
			}
			allow = true
		}
	}
	return allow
}

// depends says whether other inputs would change the answer. That the resource is the user's own is none:
// it goes with the resource.
func (w *workload) depends(q loadQuery) bool {
	var allowed, denied bool
	for _, ip := range []string{"10.0.0.1", "192.0.2.1"} {
		for _, score := range []float64{0, 1} {
			q.in.ip, q.in.anomaly = netip.MustParseAddr(ip), score
			if w.allowed(q) {
				allowed = true
			} else {
				denied = true
			}
		}
	}
	return allowed && denied
}

// about says whether a statement is about the action and the resource.
func about(st rbac.Statement, action, resource string) bool {
	return slices.ContainsFunc(st.Actions, func(pattern string) bool { return covers(pattern, action) }) &&
		slices.ContainsFunc(st.Resources, func(pattern string) bool { return glob(pattern, resource) })
}

// covers compares segments: a * is one of them, as the last one it is one or more.
func covers(pattern, action string) bool {
	if pattern == "*" || pattern == action {
		return true
	}
	segment, patterns, more := strings.Cut(pattern, ".")
	first, actions, left := strings.Cut(action, ".")
	return more && left && (segment == "*" || segment == first) && covers(patterns, actions)
}

// glob compares whole names: a * is any run of characters, also none.
func glob(pattern, name string) bool {
	head, tail, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	rest, ok := strings.CutPrefix(name, head)
	if !ok || tail == "" {
		return ok
	}
	for i := range len(rest) + 1 {
		if glob(tail, rest[i:]) {
			return true
		}
	}
	return false
}

// met says whether all conditions hold. It knows those on the client's address and the anomaly score.
func met(c rbac.Conditions, in loadInputs) bool {
	if ip := c.IPAddress; ip != nil {
		inside := slices.ContainsFunc(ip.Value.Ranges, func(r string) bool { return netip.MustParsePrefix(r).Contains(in.ip) })
		if inside != (ip.Type == rbac.IPInRange) {
			return false
		}
	}
	if score := c.AnomalyScore; score != nil {
		switch score.Type {
		case rbac.GreaterThan:
			return in.anomaly > score.Value
		case rbac.LessThan:
			return in.anomaly < score.Value
		}
		return in.anomaly == score.Value
	}
	return true
}
