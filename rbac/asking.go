package rbac

import (
	"cmp"
	"slices"
	"strings"
)

// asking is a resource that is asked about.
type asking struct {
	shown           string
	resource, alias string
	model, other    bool // of which actions it is a resource
}

// whatever stands for what a * of a pattern may stand for: nothing is named so.
const whatever = "\x1f"

// used are the kinds of what calls of models use.
var used = []string{"model", "feature", "vector_store", "mcp_server", "mcp_tool", "tool", "search_tool", "agent", "skill"}

// itself is the resource of an action where none is named.
func (d *difference) itself(action, team string) string {
	switch {
	case strings.HasPrefix(action, "models."):
		return "model:" + whatever
	case team != "":
		return placeType(team) + ":" + team
	}
	return "organization:" + d.before.snap.orgID()
}

// named are the resources that rules name in a context, and those that were asked for.
func (d *difference) named(team string) []asking {
	if known, ok := d.resources[team]; ok {
		return known
	}
	seen := map[string]bool{"*": true}
	list := []asking{{shown: "*", model: true, other: true}}
	add := func(names ...string) {
		for _, name := range names {
			if seen[name] || strings.Trim(name, "*:") == "" {
				continue
			}
			seen[name] = true
			a := asking{shown: name, model: true, other: true}
			a.resource, a.alias = d.before.guard.named(strings.ReplaceAll(name, "*", whatever))
			if typ, _, typed := strings.Cut(name, ":"); typed && !strings.Contains(typ, "*") {
				a.model = slices.Contains(used, typ)
				a.other = !a.model
			}
			list = append(list, a)
		}
	}
	add(d.asked...)
	for _, v := range []*view{d.before, d.after} {
		for i, l := range v.snap.layers {
			places := []string{""}
			if i == 0 && team != "" {
				places = append(places, team)
			}
			for _, place := range places {
				for _, p := range l.policies[place] {
					for _, st := range p.Statements {
						add(st.Resources...)
					}
				}
				for _, rule := range l.settingsRules(cmp.Or(place, l.orgID), "") {
					add(rule.Statement.Resources...)
					add(rule.Statement.NotResources...)
				}
			}
		}
	}
	d.resources[team] = list
	return list
}

// maxMeetings is how many patterns that come of two others are looked at in one context.
const maxMeetings = 1000

// meeting are resources that a pattern of a rule and another one both match: a change may be seen where two
// patterns meet and nowhere else.
func (d *difference) meeting(rules []*rule, team string) (list []asking) {
	seen := map[string]bool{}
	for _, rule := range rules {
		if rule.where == nil {
			continue
		}
		for _, a := range d.meetings(rule, team) {
			if seen[a.shown] {
				continue
			}
			if len(list) == maxMeetings {
				d.partial = true
				return list
			}
			seen[a.shown] = true
			list = append(list, a)
		}
	}
	return list
}

// meetings are those of one rule, which many groups have in common; one more than are looked at at most.
func (d *difference) meetings(rule *rule, team string) []asking {
	at := ruleIn{rule, team}
	if list, known := d.met[at]; known {
		return list
	}
	resources := d.named(team)
	seen := make(map[string]bool, len(resources))
	for _, r := range resources {
		seen[r.shown] = true
	}
	var list []asking
	for _, p := range slices.Concat(rule.where.on.wild(), rule.where.not.wild()) {
		for _, r := range resources {
			if !strings.Contains(r.shown, "*") || r.shown == "*" || r.shown == p || len(list) > maxMeetings {
				continue
			}
			name, meet := meet(p, r.shown)
			shown := strings.ReplaceAll(name, whatever, "*")
			if meet && !seen[shown] {
				seen[shown] = true
				list = append(list, asking{shown, name, "", r.model, r.other})
			}
		}
	}
	d.met[at] = list
	return list
}

// ruleIn is a rule in a context.
type ruleIn struct {
	rule *rule
	team string
}

// wild are the patterns with a *, but for that which matches everything.
func (g *globs) wild() (list []string) {
	for _, s := range g.starts {
		list = append(list, s+"*")
	}
	for _, p := range g.others {
		list = append(list, p.glob)
	}
	return list
}

// meet returns a name that two patterns both match, with what may be anything where both leave it open.
func meet(p, q string) (string, bool) {
	dead := map[[2]int]bool{}
	var from func(i, j int) (string, bool)
	from = func(i, j int) (string, bool) {
		at := [2]int{i, j}
		if dead[at] {
			return "", false
		}
		starP, starQ := i < len(p) && p[i] == '*', j < len(q) && q[j] == '*'
		switch {
		case i == len(p) && j == len(q):
			return "", true
		case starP && starQ:
			if rest, ok := from(i+1, j+1); ok {
				return whatever + rest, true
			}
			if rest, ok := from(i+1, j); ok {
				return rest, true
			}
			if rest, ok := from(i, j+1); ok {
				return rest, true
			}
		case starP:
			if j < len(q) {
				if rest, ok := from(i, j+1); ok {
					return q[j:j+1] + rest, true
				}
			}
			if rest, ok := from(i+1, j); ok {
				return rest, true
			}
		case starQ:
			if i < len(p) {
				if rest, ok := from(i+1, j); ok {
					return p[i:i+1] + rest, true
				}
			}
			if rest, ok := from(i, j+1); ok {
				return rest, true
			}
		case i < len(p) && j < len(q) && p[i] == q[j]:
			if rest, ok := from(i+1, j+1); ok {
				return p[i:i+1] + rest, true
			}
		}
		dead[at] = true
		return "", false
	}
	return from(0, 0)
}
