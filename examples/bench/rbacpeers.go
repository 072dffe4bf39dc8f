package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"

	"github.com/orgkit/orgkit/rbac"
)

// peer is an engine that answers the queries of a workload.
type peer struct {
	name string
	load func(w *workload) (check, error)
}

// check answers query i of the workload that was loaded. It is safe for concurrent use.
type check func(i int) (bool, error)

// peers are the engines to compare with, each set up as favourably as it allows.
var peers = []peer{
	{"casbin", func(w *workload) (check, error) { return loadCasbin(w, casbinPlain) }},
	{"casbin, tuned matcher", func(w *workload) (check, error) { return loadCasbin(w, casbinTuned) }},
	{"casbin, cached", loadCasbinCached},
	{"cedar", loadCedar},
}

// verify asks all queries once. An answer that is wrong is an error.
func (w *workload) verify(c check) error {
	for i, q := range w.queries {
		got, err := c(i)
		if err != nil {
			return fmt.Errorf("query %d: %w", i, err)
		}
		if got != q.want {
			role := w.roles[w.orgs[q.org].users[q.user].role].slug
			return fmt.Errorf("query %d: a %s, %s on %s from %s at score %.2f: %t is wrong",
				i, role, q.action, q.resource, q.in.ip, q.in.anomaly, got)
		}
	}
	return nil
}

// casbinText is the model of an organization, but for the matcher: users are members of a role and of a team,
// and subject * is everybody. In is what conditions are tested with.
const casbinText = `
[request_definition]
r = sub, act, res, in

[policy_definition]
p = sub, act, res, eft, cond

[role_definition]
g = _, _

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = `

// The matchers. The patterns and conditions are ours: keyMatch finds billing.delete in *.read, and eval runs
// text. One asks in the order in which Casbin's documentation does, the other asks first what rejects most.
const (
	casbinPlain = `(p.sub == "*" || g(r.sub, p.sub)) && covers(p.act, r.act) && (p.res == "*" || glob(p.res, r.res)) && (p.cond == "" || holds(p.cond, r.in))`
	casbinTuned = `covers(p.act, r.act) && (p.sub == "*" || g(r.sub, p.sub)) && (p.res == "*" || glob(p.res, r.res)) && (p.cond == "" || holds(p.cond, r.in))`
)

// casbinModel is the model of an organization with its lines: 33 p, denies first since they end a scan, and
// two g for each user.
func (w *workload) casbinModel(o loadOrg, matcher string) (model.Model, error) {
	m, err := model.NewModelFromString(casbinText + matcher)
	if err != nil {
		return nil, err
	}
	var lines [][]string
	for i, st := range w.policies {
		for _, action := range st.Actions {
			for _, resource := range st.Resources {
				cond := ""
				if st.Conditions != (rbac.Conditions{}) {
					cond = strconv.Itoa(i)
				}
				lines = append(lines, []string{"*", action, resource, string(st.Effect), cond})
			}
		}
	}
	for _, t := range o.teams {
		lines = append(lines, []string{t.id, t.remove, "*", "deny", ""}, []string{t.id, t.add, "*", "allow", ""})
	}
	for _, r := range w.roles {
		for _, permission := range r.permissions {
			action, own := strings.CutSuffix(permission, ":own")
			cond := ""
			if own {
				cond = "own"
			}
			lines = append(lines, []string{r.slug, action, "*", "allow", cond})
		}
	}
	for _, effect := range []string{"deny", "allow"} {
		for _, line := range lines {
			if line[3] == effect {
				err = errors.Join(err, m.AddPolicy("p", "p", line))
			}
		}
	}
	for _, u := range o.users {
		for _, of := range []string{w.roles[u.role].slug, o.teams[u.team].id} {
			err = errors.Join(err, m.AddPolicy("g", "g", []string{u.id, of}))
		}
	}
	return m, err
}

// casbinOrgs makes an enforcer for each organization. Plain is the Enforcer that is inside of one, read makes
// inputs of the request's last value.
func casbinOrgs[E any](
	w *workload, matcher string, open func(...any) (E, error), plain func(E) *casbin.Enforcer, read func(any) (loadInputs, error),
) ([]E, error) {
	tests, err := w.tests()
	if err != nil {
		return nil, err
	}
	holds := func(args ...any) (any, error) {
		in, err := read(args[1])
		if err != nil {
			return false, err
		}
		return tests[args[0].(string)](in), nil
	}
	var all []E
	for _, o := range w.orgs {
		m, err := w.casbinModel(o, matcher)
		if err != nil {
			return nil, err
		}
		e, err := open(m)
		if err != nil {
			return nil, err
		}
		plain(e).AddFunction("covers", func(args ...any) (any, error) { return covers(args[0].(string), args[1].(string)), nil })
		plain(e).AddFunction("glob", func(args ...any) (any, error) { return glob(args[0].(string), args[1].(string)), nil })
		plain(e).AddFunction("holds", holds)
		if err := plain(e).BuildRoleLinks(); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// tests are the conditions of the lines by the text in their last column, with all that can be read
// beforehand read.
func (w *workload) tests() (map[string]func(loadInputs) bool, error) {
	all := map[string]func(loadInputs) bool{"own": func(in loadInputs) bool { return in.own }}
	for i, st := range w.policies {
		switch c := st.Conditions; {
		case c.IPAddress != nil:
			inside, err := netip.ParsePrefix(c.IPAddress.Value.Ranges[0])
			if err != nil {
				return nil, err
			}
			all[strconv.Itoa(i)] = func(in loadInputs) bool { return inside.Contains(in.ip) }
		case c.AnomalyScore != nil:
			limit := c.AnomalyScore.Value
			all[strconv.Itoa(i)] = func(in loadInputs) bool { return in.anomaly > limit }
		}
	}
	return all, nil
}

// loadCasbin has one Enforcer for each organization.
func loadCasbin(w *workload, matcher string) (check, error) {
	all, err := casbinOrgs(w, matcher, casbin.NewEnforcer,
		func(e *casbin.Enforcer) *casbin.Enforcer { return e },
		func(in any) (loadInputs, error) { return *in.(*loadInputs), nil })
	if err != nil {
		return nil, err
	}
	requests := w.casbinRequests(func(in *loadInputs) any { return in })
	return func(i int) (bool, error) { return all[w.queries[i].org].Enforce(requests[i]...) }, nil
}

// loadCasbinCached has one SyncedCachedEnforcer for each organization, which has been asked everything once.
// Only strings are cached, so the inputs are one.
func loadCasbinCached(w *workload) (check, error) {
	all, err := casbinOrgs(w, casbinTuned, casbin.NewSyncedCachedEnforcer,
		func(e *casbin.SyncedCachedEnforcer) *casbin.Enforcer { return e.Enforcer },
		func(in any) (loadInputs, error) { return parseInputs(in.(string)) })
	if err != nil {
		return nil, err
	}
	requests := w.casbinRequests(func(in *loadInputs) any { return fmt.Sprintf("%s %.2f %t", in.ip, in.anomaly, in.own) })
	c := func(i int) (bool, error) { return all[w.queries[i].org].Enforce(requests[i]...) }
	return c, w.verify(c)
}

// casbinRequests are the values of all requests, made beforehand.
func (w *workload) casbinRequests(inputs func(*loadInputs) any) [][]any {
	all := make([][]any, len(w.queries))
	for i := range w.queries {
		q := &w.queries[i]
		all[i] = []any{w.orgs[q.org].users[q.user].id, q.action, q.resource, inputs(&q.in)}
	}
	return all
}

func parseInputs(text string) (in loadInputs, err error) {
	var ip string
	if _, err := fmt.Sscan(text, &ip, &in.anomaly, &in.own); err != nil {
		return in, err
	}
	in.ip, err = netip.ParseAddr(ip)
	return in, err
}
