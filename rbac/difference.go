package rbac

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/store"
)

// difference finds out where two views of one organization answer differently. It asks only where a rule differs
// that names the question: everywhere else the same rules name it, and their answer is the same.
type difference struct {
	ctx           context.Context
	before, after *view
	rules         layerChanges
	asked         []string // resources

	resources map[string][]asking // by context
	met       map[ruleIn][]asking
	texts     map[*rule]string
	found     map[bothBounds][]*answerChange
	equal     map[string]*answerChange // one of those that are written alike
	partial   bool                     // there were more patterns than could be put together
}

// bothBounds are what members decide by, before and after, in one context.
type bothBounds struct {
	before, after [2]*Ruleset // and, of an owner, for the editing of policies
	team          string
	in            [2]bool // the subject is a member of the team
}

// answerChange is what becomes of one question.
type answerChange struct {
	action, resource string
	before, after    Terms
	widens           bool
}

// compare is the difference between two views.
func compare(ctx context.Context, before, after *view, resources []string) (Difference, error) {
	d := difference{ctx: ctx, before: before, after: after, asked: resources, resources: map[string][]asking{}, met: map[ruleIn][]asking{},
		texts: map[*rule]string{}, found: map[bothBounds][]*answerChange{}, equal: map[string]*answerChange{}}
	d.rules = changesOf(before.snap.layers, after.snap.layers)
	d.rules.all = d.rules.all || before.gone != after.gone
	contexts := d.contexts()
	rows := map[string]*row{}
	groups := d.groups()
	for i, group := range groups {
		if err := ctx.Err(); err != nil {
			return Difference{}, err
		}
		stand, err := d.stand(group.subjects[0])
		if err != nil {
			return Difference{}, err
		}
		is := map[*answerChange][]string{}
		for _, team := range contexts {
			if !d.affects(group, team) {
				continue
			}
			changes, err := d.changes(stand, team)
			if err != nil {
				return Difference{}, err
			}
			for _, c := range changes {
				is[c] = append(is[c], team)
			}
		}
		for c, teams := range is {
			key := fmt.Sprintf("%p %s", c, strings.Join(teams, " "))
			if rows[key] == nil {
				rows[key] = &row{c, teams, nil}
			}
			rows[key].groups = append(rows[key].groups, i)
		}
	}
	out := Difference{Changes: make([]AccessChange, 0, len(rows)), Widens: d.partial}
	people := map[string][]string{} // of groups: most changes are of the same
	for _, r := range rows {
		who := fmt.Sprint(r.groups)
		if people[who] == nil {
			subjects := make([][]string, len(r.groups))
			for j, i := range r.groups {
				subjects[j] = groups[i].subjects
			}
			people[who] = slices.Concat(subjects...)
		}
		c := r.change
		out.Changes = append(out.Changes, AccessChange{before.snap.orgID(), people[who], r.contexts, c.action, c.resource, c.before, c.after, c.widens})
		out.Widens = out.Widens || c.widens
	}
	slices.SortFunc(out.Changes, func(a, b AccessChange) int {
		return cmp.Or(cmp.Compare(a.Action, b.Action), cmp.Compare(a.Resource, b.Resource), slices.Compare(a.Contexts, b.Contexts),
			cmp.Compare(a.After.Verdict, b.After.Verdict), cmp.Compare(a.Before.Verdict, b.Before.Verdict), cmp.Compare(len(a.Subjects), len(b.Subjects)))
	})
	return out, nil
}

// row is one answer that becomes another, for groups of subjects in some contexts.
type row struct {
	change   *answerChange
	contexts []string
	groups   []int
}

// contexts are that of the organization and those of its teams and projects, before or after.
func (d *difference) contexts() []string {
	all := map[string]bool{"": true}
	for _, v := range []*view{d.before, d.after} {
		for id := range v.snap.layers[0].restrictions {
			if id != v.snap.orgID() {
				all[id] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// group are subjects who hold the same, before and after.
type group struct {
	before, after *stake // in the organization itself, nil for nothing
	above         bool   // something counts that they hold above it
	subjects      []string
}

// groups puts those together who are answered alike. What an API key may do depends on others as well: each is
// a group of its own.
func (d *difference) groups() []*group {
	type footing struct {
		before, after *stake
		rest          string
	}
	all := map[footing]*group{}
	var last [256]*group // of those who hold what they held, by the number of their stake: nearly everybody
	add := func(subject string, b, a *stake, rest string, above bool) {
		s := cmp.Or(b, a)
		if s != nil && s.held[0].key != nil {
			rest = subject
		}
		slot := new(*group)
		if b == a && b != nil && rest == "" {
			slot = &last[b.number%uint32(len(last))]
		}
		if *slot == nil || (*slot).before != b {
			at := footing{b, a, rest}
			if all[at] == nil {
				all[at] = &group{before: b, after: a, above: above}
			}
			*slot = all[at]
		}
		(*slot).subjects = append((*slot).subjects, subject)
	}
	if len(d.before.states) == 1 && len(d.after.states) == 1 {
		for subject, b := range d.before.members.subjects.all {
			add(subject, b, d.after.members.get(subject), "", false)
		}
		for subject, a := range d.after.members.subjects.all {
			if d.before.members.get(subject) == nil {
				add(subject, nil, a, "", false)
			}
		}
	} else {
		subjects := append(d.before.subjects(), d.after.subjects()...)
		slices.Sort(subjects)
		for _, subject := range slices.Compact(subjects) {
			rest, above := d.footingAbove(subject)
			add(subject, d.before.members.get(subject), d.after.members.get(subject), rest, above)
		}
	}
	return slices.Collect(maps.Values(all))
}

// footingAbove tells apart those who hold different things above the organization.
func (d *difference) footingAbove(subject string) (rest string, above bool) {
	var b strings.Builder
	for _, v := range []*view{d.before, d.after} {
		for _, s := range v.states[1:] {
			stake := s.members.get(subject)
			above = above || stake != nil
			fmt.Fprintf(&b, "%p ", stake)
		}
		b.WriteByte('/')
	}
	return b.String(), above
}

// affects says whether anything that the group decides by in a context may have changed.
func (d *difference) affects(g *group, team string) bool {
	if d.rules.all || d.rules.wide || d.rules.teams[team] || g.above || g.before != g.after || g.before.held[0].key != nil {
		return true
	}
	return slices.ContainsFunc(in(g.before.held, team), func(s seat) bool { return d.rules.role(team, s.roleID) })
}

// stand is where a subject stands, before and after; nil where it does not.
func (d *difference) stand(subject string) (both [2]*standing, err error) {
	for i, v := range []*view{d.before, d.after} {
		st, err := v.stand(d.ctx, subject)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return both, err
		default:
			both[i] = &st
		}
	}
	return both, nil
}

// changes are the answers to a subject in a context that become others.
func (d *difference) changes(stand [2]*standing, team string) ([]*answerChange, error) {
	b, err := d.before.boundOf(d.ctx, stand[0], team)
	if err != nil {
		return nil, err
	}
	a, err := d.after.boundOf(d.ctx, stand[1], team)
	if err != nil {
		return nil, err
	}
	if b == nil && a == nil {
		return nil, nil
	}
	if b != nil && b.key != nil || a != nil && a.key != nil {
		return d.ask(b, a, team)
	}
	both := bothBounds{b.both(), a.both(), team, [2]bool{b.isIn(team), a.isIn(team)}}
	changes, known := d.found[both]
	if !known {
		changes, err = d.ask(b, a, team)
		d.found[both] = changes
	}
	return changes, err
}

func (b *bound) both() [2]*Ruleset {
	if b == nil {
		return [2]*Ruleset{}
	}
	return [2]*Ruleset{b.rules, b.editing}
}

func (b *bound) isIn(team string) bool { return b != nil && slices.Contains(b.places, team) }

// boundOf is [view.bound] without remembering it, of who stands there; nil where there is none.
func (v *view) boundOf(ctx context.Context, st *standing, team string) (*bound, error) {
	if _, there := v.snap.layers[0].restrictions[team]; st == nil || v.gone || team != "" && !there {
		return nil, nil
	}
	b := new(bound)
	return b, v.guard.bind(ctx, v, *st, team, b)
}

// ask asks about everything of which a rule speaks that is not the same before and after.
func (d *difference) ask(b, a *bound, team string) (changes []*answerChange, err error) {
	differ := ruleChanges{conditions: func(r *rule) string { return d.text(alternative{rule: r}) }}
	differ.bounds(b, a)
	moved := b.isIn(team) != a.isIn(team) // which is what is one's own there
	if !differ.all && !moved && len(differ.rules) == 0 {
		return nil, nil
	}
	resources := d.named(team)
	resources = append(resources[:len(resources):len(resources)], d.meeting(differ.rules, team)...)
	vocabulary := d.before.guard.vocabulary
	for i, name := range vocabulary.actions {
		action := Action{uint32(i + 1)}
		if !differ.all && !moved && !slices.ContainsFunc(differ.rules, func(r *rule) bool { return r.named.has(action) }) {
			continue
		}
		model := strings.HasPrefix(name, "models.")
		for _, r := range resources {
			q := question{action, r.resource, r.alias}
			if r.shown == "*" {
				q.resource = d.itself(name, team)
			}
			if (model && !r.model || !model && !r.other) && !b.aims(&q) && !a.aims(&q) {
				continue
			}
			if !differ.all && !(moved && r.shown == "*") && !slices.ContainsFunc(differ.rules, func(r *rule) bool { return r.names(&q) }) {
				continue
			}
			c, err := d.change(b, a, &q, name, r.shown)
			if err != nil {
				return nil, err
			}
			if c != nil {
				changes = append(changes, c)
			}
		}
	}
	return changes, nil
}

// aims says whether a rule names the question for its resource and not for all.
func (b *bound) aims(q *question) bool {
	if b == nil {
		return false
	}
	for _, rs := range b.rulesets() {
		if slices.ContainsFunc(rs.rules, func(r *rule) bool { return r.where != nil && r.names(q) }) {
			return true
		}
	}
	return false
}

// rulesets are all by which the bound decides.
func (b *bound) rulesets() (list []*Ruleset) {
	for _, rs := range []*Ruleset{b.rules, b.editing} {
		if rs != nil {
			list = append(list, rs)
		}
	}
	if b.key != nil {
		if b.key.asTeam != nil {
			list = append(list, b.key.asTeam)
		}
		for _, p := range b.key.persons {
			list = append(list, p.rulesets()...)
		}
	}
	return list
}

// change is what becomes of one question, nil for nothing.
func (d *difference) change(b, a *bound, q *question, action, shown string) (*answerChange, error) {
	place := "" // that the action is of, where it is asked about itself: what is one's own is known then
	if kind, id, _ := strings.Cut(q.resource, ":"); shown == "*" && strings.HasPrefix(action, kind+"s.") && kind == placeType(id) {
		place = id
	}
	before, is, err := d.terms(d.before, b, q, place)
	if err != nil {
		return nil, err
	}
	after, becomes, err := d.terms(d.after, a, q, place)
	if err != nil || is.equal(becomes) {
		return nil, err
	}
	key := strings.Join([]string{action, shown, is.String(), becomes.String()}, "\x00")
	if d.equal[key] == nil {
		d.equal[key] = &answerChange{action, shown, before, after, !becomes.within(is)}
	}
	return d.equal[key], nil
}
