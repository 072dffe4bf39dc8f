package rbac

import (
	"cmp"
	"maps"
	"slices"

	"github.com/orgkit/orgkit/store"
)

// layerChanges are the records that are not the same in two states of an organization and those above it.
type layerChanges struct {
	all       bool // it cannot be said
	wide      bool // policies or settings of an organization, which speak in every context
	roles     map[string]bool
	overrides map[[2]string]bool // by team and role
	teams     map[string]bool    // and projects whose policies or settings changed
}

func changesOf(before, after []*layer) layerChanges {
	c := layerChanges{roles: map[string]bool{}, overrides: map[[2]string]bool{}, teams: map[string]bool{}}
	if len(before) != len(after) {
		c.all = true
		return c
	}
	for i, b := range before {
		a := after[i]
		if a == b {
			continue
		}
		if a.orgID != b.orgID || a.zone.String() != b.zone.String() {
			c.all = true
			return c
		}
		changed(b.roles, a.roles, func(x, y Role) bool { return same(x.Meta, y.Meta) }, c.roles)
		changed(b.overrides, a.overrides, func(x, y meaning) bool {
			return x.id == y.id && slices.Equal(x.add, y.add) && slices.Equal(x.remove, y.remove)
		}, c.overrides)
		places := map[string]bool{}
		changed(b.restrictions, a.restrictions, func(x, y Restriction) bool { return same(x.Meta, y.Meta) }, places)
		changed(b.policies, a.policies, func(x, y []Policy) bool {
			return slices.EqualFunc(x, y, func(p, q Policy) bool { return same(p.Meta, q.Meta) })
		}, places)
		c.wide = c.wide || places[""] || places[b.orgID]
		if i == 0 {
			c.teams = places
		}
	}
	return c
}

// same says whether a record is the one that it was.
func same(a, b store.Meta) bool {
	return a.ID == b.ID && a.Version == b.Version && a.UpdatedAt.Equal(b.UpdatedAt)
}

// changed notes the keys under which two maps differ.
func changed[K comparable, V any](before, after map[K]V, same func(V, V) bool, in map[K]bool) {
	for k, b := range before {
		if a, there := after[k]; !there || !same(a, b) {
			in[k] = true
		}
	}
	for k := range after {
		if _, there := before[k]; !there {
			in[k] = true
		}
	}
}

// role says whether what a role gives in a context may have changed.
func (c *layerChanges) role(team, roleID string) bool {
	return c.roles[roleID] || c.overrides[[2]string{team, roleID}]
}

// concerns says whether rules that were compiled may be others now.
func (c *layerChanges) concerns(key partKey) bool {
	switch key.kind {
	case policyPart, settingsPart:
		return c.wide || c.teams[key.id]
	}
	return c.roles[key.id]
}

// ruleChanges are the rules that are not the same in two bounds.
type ruleChanges struct {
	conditions func(*rule) string // those that mean the same are written alike
	all        bool               // it cannot be said by rules
	rules      []*rule
}

func (c *ruleChanges) bounds(b, a *bound) {
	if b == nil {
		b = &bound{}
	}
	if a == nil {
		a = &bound{}
	}
	c.rulesets(b.rules, a.rules)
	if b.editing != nil || a.editing != nil {
		c.rulesets(cmp.Or(b.editing, b.rules), cmp.Or(a.editing, a.rules))
	}
	switch {
	case b.key == nil && a.key == nil:
	case b.key == nil || a.key == nil || b.key.orphan != a.key.orphan || len(b.key.persons) != len(a.key.persons):
		c.all = true
	default:
		if b.key.asTeam != nil || a.key.asTeam != nil {
			c.rulesets(cmp.Or(b.key.asTeam, b.rules), cmp.Or(a.key.asTeam, a.rules))
		}
		for i := range b.key.persons {
			c.bounds(b.key.persons[i], a.key.persons[i])
		}
	}
}

func (c *ruleChanges) rulesets(before, after *Ruleset) {
	if before == after {
		return
	}
	old := map[string]*rule{}
	if before != nil {
		for _, r := range before.rules {
			old[r.ID] = r
		}
	}
	if after != nil {
		for _, r := range after.rules {
			if was := old[r.ID]; was != nil && c.same(was, r) {
				delete(old, r.ID)
				continue
			}
			c.rules = append(c.rules, r)
		}
	}
	for _, r := range old {
		c.rules = append(c.rules, r)
	}
}

// same says whether two rules say the same.
func (c *ruleChanges) same(a, b *rule) bool {
	return a == b || a.deny == b.deny && a.Pool == b.Pool && slices.Equal(a.named, b.named) && slices.Equal(a.scoped, b.scoped) &&
		a.where.same(b.where) && c.conditions(a) == c.conditions(b)
}

func (t *target) same(o *target) bool {
	if t == nil || o == nil {
		return t == o
	}
	return t.asked == o.asked && t.on.same(&o.on) && t.not.same(&o.not)
}

func (g *globs) same(o *globs) bool {
	return g.any == o.any && slices.Equal(g.names, o.names) && slices.Equal(g.starts, o.starts) && slices.Equal(g.others, o.others) && maps.Equal(g.many, o.many)
}
