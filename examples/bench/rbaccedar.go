package main

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/types"

	"github.com/orgkit/orgkit/rbac"
)

// cedarEntities are those of one organization, with the actions that all have in common.
type cedarEntities struct{ users, actions types.EntityMap }

// Get finds an entity by its id.
func (e cedarEntities) Get(uid types.EntityUID) (types.Entity, bool) {
	if uid.Type == "Action" {
		return e.actions.Get(uid)
	}
	return e.users.Get(uid)
}

// loadCedar has one PolicySet of 16 policies for each organization. Wildcards are groups of actions; the
// requests, with the records of their inputs, are made beforehand.
func loadCedar(w *workload) (check, error) {
	type engine struct {
		policies *cedar.PolicySet
		entities cedarEntities
	}
	actions := w.cedarActions()
	var engines []engine
	for _, o := range w.orgs {
		policies, err := w.cedarPolicies(o)
		if err != nil {
			return nil, err
		}
		users := make(types.EntityMap, len(o.users))
		for _, u := range o.users {
			uid := types.NewEntityUID("User", types.String(u.id))
			users[uid] = types.Entity{UID: uid, Parents: types.NewEntityUIDSet(cedarRole(w.roles[u.role]), cedarTeam(o.teams[u.team]))}
		}
		engines = append(engines, engine{policies, cedarEntities{users, actions}})
	}
	requests := make([]cedar.Request, len(w.queries))
	for i, q := range w.queries {
		var err error
		if requests[i], err = cedarRequest(w.orgs[q.org].users[q.user].id, q.action, q.resource, q.in); err != nil {
			return nil, err
		}
	}
	return func(i int) (bool, error) {
		e := &engines[w.queries[i].org]
		return cedarAsk(e.policies, &e.entities, requests[i])
	}, nil
}

// cedarPolicies are a permit for each role, a permit and a forbid for each team, and the policies.
func (w *workload) cedarPolicies(o loadOrg) (*cedar.PolicySet, error) {
	set := cedar.NewPolicySet()
	add := func(id string, p *ast.Policy) { set.Add(types.PolicyID(id), cedar.NewPolicyFromAST(p)) }
	for _, r := range w.roles {
		p := ast.Permit().PrincipalIn(cedarRole(r))
		var actions []string
		for _, permission := range r.permissions {
			action, own := strings.CutSuffix(permission, ":own")
			actions = append(actions, action)
			if own {
				p.When(ast.Action().NotEqual(ast.Value(cedarAction(action))).Or(ast.Context().Access("own")))
			}
		}
		cedarScope(p, actions)
		add(r.slug, p)
	}
	for _, t := range o.teams {
		add(t.id+" adds", ast.Permit().PrincipalIn(cedarTeam(t)).ActionEq(cedarAction(t.add)))
		add(t.id+" removes", ast.Forbid().PrincipalIn(cedarTeam(t)).ActionEq(cedarAction(t.remove)))
	}
	for i, st := range w.policies {
		p := cedarEffect(st.Effect)
		cedarScope(p, st.Actions)
		if err := cedarWhen(p, st); err != nil {
			return nil, err
		}
		add(fmt.Sprint("policy ", i), p)
	}
	return set, nil
}

// cedarActions are the actions, each in the groups that are the wildcards of roles which cover it.
func (w *workload) cedarActions() types.EntityMap {
	all := types.EntityMap{}
	for _, action := range w.actions {
		var groups []types.EntityUID
		for _, r := range w.roles {
			for _, permission := range r.permissions {
				if strings.Contains(permission, "*") && permission != "*" && covers(permission, action) {
					groups = append(groups, cedarAction(permission))
				}
			}
		}
		all[cedarAction(action)] = types.Entity{UID: cedarAction(action), Parents: types.NewEntityUIDSet(groups...)}
	}
	return all
}

func cedarRole(r loadRole) types.EntityUID { return types.NewEntityUID("Role", types.String(r.slug)) }
func cedarTeam(t loadTeam) types.EntityUID { return types.NewEntityUID("Team", types.String(t.id)) }
func cedarAction(action string) types.EntityUID {
	return types.NewEntityUID("Action", types.String(action))
}

// cedarScope limits a policy to actions, or groups of them.
func cedarScope(p *ast.Policy, actions []string) {
	var all []types.EntityUID
	for _, action := range actions {
		all = append(all, cedarAction(action))
	}
	switch {
	case slices.Contains(actions, "*"):
	case len(all) == 1 && strings.Contains(actions[0], "*"):
		p.ActionIn(all[0])
	case len(all) == 1:
		p.ActionEq(all[0])
	default:
		p.ActionInSet(all...)
	}
}

func cedarEffect(e rbac.Effect) *ast.Policy {
	if e == rbac.EffectDeny {
		return ast.Forbid()
	}
	return ast.Permit()
}

// cedarWhen demands one of the resources of a statement and its conditions.
func cedarWhen(p *ast.Policy, st rbac.Statement) error {
	if !slices.Contains(st.Resources, "*") {
		p.When(cedarAny(st.Resources, func(pattern string) ast.Node {
			var parts []any
			for i, literal := range strings.Split(pattern, "*") {
				if i > 0 {
					parts = append(parts, types.Wildcard{})
				}
				parts = append(parts, literal)
			}
			return ast.Context().Access("resource").Like(types.NewPattern(parts...))
		}))
	}
	if ip := st.Conditions.IPAddress; ip != nil {
		var ranges []netip.Prefix
		for _, text := range ip.Value.Ranges {
			r, err := netip.ParsePrefix(text)
			if err != nil {
				return err
			}
			ranges = append(ranges, r)
		}
		inside := cedarAny(ranges, func(r netip.Prefix) ast.Node { return ast.Context().Access("ip").IsInRange(ast.IPAddr(r)) })
		if ip.Type == rbac.IPInRange {
			p.When(inside)
		} else {
			p.Unless(inside)
		}
	}
	if score := st.Conditions.AnomalyScore; score != nil {
		limit, err := cedarScore(score.Value)
		if err != nil {
			return err
		}
		anomaly := ast.Context().Access("anomaly")
		switch score.Type {
		case rbac.GreaterThan:
			p.When(anomaly.DecimalGreaterThan(ast.Value(limit)))
		case rbac.LessThan:
			p.When(anomaly.DecimalLessThan(ast.Value(limit)))
		default:
			p.When(anomaly.Equal(ast.Value(limit)))
		}
	}
	return nil
}

// cedarAny is true where any is.
func cedarAny[T any](of []T, test func(T) ast.Node) ast.Node {
	one := test(of[0])
	for _, t := range of[1:] {
		one = one.Or(test(t))
	}
	return one
}

// cedarScore is a score as a decimal: exact for four digits, which is all that Cedar has.
func cedarScore(score float64) (types.Decimal, error) {
	return types.NewDecimal(int64(math.Round(score*1e4)), -4)
}

// cedarRequest has the name of the resource among the inputs, since like takes no entity.
func cedarRequest(user, action, resource string, in loadInputs) (cedar.Request, error) {
	score, err := cedarScore(in.anomaly)
	return cedar.Request{
		Principal: types.NewEntityUID("User", types.String(user)),
		Action:    cedarAction(action),
		Resource:  types.NewEntityUID("Resource", types.String(resource)),
		Context: types.NewRecord(types.RecordMap{
			"resource": types.String(resource),
			"ip":       types.IPAddr(netip.PrefixFrom(in.ip, in.ip.BitLen())),
			"anomaly":  score,
			"own":      types.Boolean(in.own),
		}),
	}, err
}

// cedarAsk answers a request. Cedar leaves out policies that it cannot evaluate; here that is an error.
func cedarAsk(policies *cedar.PolicySet, entities types.EntityGetter, r cedar.Request) (bool, error) {
	decision, why := cedar.Authorize(policies, entities, r)
	if len(why.Errors) > 0 {
		return false, errors.New(why.Errors[0].Message)
	}
	return decision == cedar.Allow, nil
}
