package rbac

import (
	"cmp"
	"context"
	"encoding/json"
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
	texts     map[*rule]string
	found     map[bothBounds][]*answerChange
	equal     map[string]*answerChange // one of those that are written alike
}

// asking is a resource that is asked about.
type asking struct {
	shown           string
	resource, alias string
	model, other    bool // of which actions it is a resource
}

// bothBounds are what members decide by, before and after, in one context.
type bothBounds struct {
	before, after [2]*Ruleset // and, of an owner, for the editing of policies
	team          string
}

// answerChange is what becomes of one question.
type answerChange struct {
	action, resource string
	before, after    Terms
	widens           bool
}

// compare is the difference between two views.
func compare(ctx context.Context, before, after *view, resources []string) (Difference, error) {
	d := difference{ctx: ctx, before: before, after: after, asked: resources, resources: map[string][]asking{},
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
		is := map[*answerChange][]string{}
		for _, team := range contexts {
			if !d.affects(group, team) {
				continue
			}
			changes, err := d.changes(group.subjects[0], team)
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
	out := Difference{Changes: make([]AccessChange, 0, len(rows))}
	people := map[string][]string{} // of groups: most changes are of the same
	for _, r := range rows {
		who := fmt.Sprint(r.groups)
		if people[who] == nil {
			for _, i := range r.groups {
				people[who] = append(people[who], groups[i].subjects...)
			}
		}
		c := r.change
		out.Changes = append(out.Changes, AccessChange{people[who], r.contexts, c.action, c.resource, c.before, c.after, c.widens})
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

// changes are the answers to a subject in a context that become others.
func (d *difference) changes(subject, team string) ([]*answerChange, error) {
	b, err := d.before.boundOf(d.ctx, subject, team)
	if err != nil {
		return nil, err
	}
	a, err := d.after.boundOf(d.ctx, subject, team)
	if err != nil {
		return nil, err
	}
	if b == nil && a == nil {
		return nil, nil
	}
	if b != nil && b.key != nil || a != nil && a.key != nil {
		return d.ask(b, a, team)
	}
	both := bothBounds{b.both(), a.both(), team}
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

// boundOf is [view.bound] without remembering it; nil where there is none.
func (v *view) boundOf(ctx context.Context, subject, team string) (*bound, error) {
	if _, there := v.snap.layers[0].restrictions[team]; v.gone || team != "" && !there {
		return nil, nil
	}
	st, err := v.stand(ctx, subject)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	b := new(bound)
	return b, v.guard.bind(ctx, v, st, team, b)
}

// ask asks about everything of which a rule speaks that is not the same before and after.
func (d *difference) ask(b, a *bound, team string) (changes []*answerChange, err error) {
	differ := ruleChanges{conditions: func(r *rule) string { return d.text(alternative{rule: r}) }}
	differ.bounds(b, a)
	if !differ.all && len(differ.rules) == 0 {
		return nil, nil
	}
	vocabulary := d.before.guard.vocabulary
	for i, name := range vocabulary.actions {
		action := Action{uint32(i + 1)}
		if !differ.all && !slices.ContainsFunc(differ.rules, func(r *rule) bool { return r.named.has(action) }) {
			continue
		}
		for _, r := range d.named(team) {
			if model := strings.HasPrefix(name, "models."); model && !r.model || !model && !r.other {
				continue
			}
			q := question{action, r.resource, r.alias}
			if r.shown == "*" {
				q.resource = d.itself(name, team)
			}
			if !differ.all && !slices.ContainsFunc(differ.rules, func(r *rule) bool { return r.names(&q) }) {
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

// whatever stands for what a * of a pattern may stand for: nothing is named so.
const whatever = "\x1f"

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
				a.model = typ == "model" || typ == "feature"
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

// change is what becomes of one question, nil for nothing.
func (d *difference) change(b, a *bound, q *question, action, shown string) (*answerChange, error) {
	before, is, err := d.terms(d.before, b, q)
	if err != nil {
		return nil, err
	}
	after, becomes, err := d.terms(d.after, a, q)
	if err != nil || is.equal(becomes) {
		return nil, err
	}
	key := strings.Join([]string{action, shown, is.String(), becomes.String()}, "\x00")
	if d.equal[key] == nil {
		d.equal[key] = &answerChange{action, shown, before, after, !becomes.within(is)}
	}
	return d.equal[key], nil
}

// written are terms as texts, to be compared.
type written struct {
	access       access
	when, unless []string // sorted
}

func (w written) equal(o written) bool {
	return w.access == o.access && slices.Equal(w.when, o.when) && slices.Equal(w.unless, o.unless)
}

func (w written) String() string {
	return fmt.Sprint(w.access, strings.Join(w.when, "\x01"), "\x02", strings.Join(w.unless, "\x01"))
}

// within says whether whatever passes by the terms passes by the others as well, as far as can be told without
// looking into conditions.
func (w written) within(o written) bool {
	if w.access != accessConditional || o.access != accessConditional {
		return w.access <= o.access
	}
	has := func(list []string) func(string) bool {
		return func(s string) bool { return !slices.Contains(list, s) }
	}
	return !slices.ContainsFunc(o.unless, has(w.unless)) && (slices.Contains(o.when, always) || !slices.ContainsFunc(w.when, has(o.when)))
}

// always is the term of an allow without conditions.
const always = "always"

// terms are the answer of a bound to a question.
func (d *difference) terms(v *view, b *bound, q *question) (Terms, written, error) {
	if b == nil {
		return Terms{Verdict: VerdictDeny}, written{}, nil
	}
	rs, alone := b.by(v.guard, q.action)
	c := rs.find(q)
	if c.failed != nil {
		return Terms{}, written{}, c.failed
	}
	t, w := d.cell(c)
	if alone || w.access == accessNever {
		return t, w, nil
	}
	if b.key.orphan {
		return Terms{Verdict: VerdictDeny}, written{}, nil
	}
	for _, p := range b.key.persons { // each of them has to be allowed as well
		pt, pw, err := d.terms(v, p, q)
		switch {
		case err != nil || pw.access == accessNever:
			return pt, pw, err
		case pw.access == accessAlways:
		case w.access == accessAlways:
			t, w = pt, pw
		default: // all of it has to hold: as one term, which is told apart and not looked into
			w = written{accessConditional, []string{w.String() + "\x03" + pw.String()}, nil}
			t.Unless = append(slices.Clip(t.Unless), pt.Unless...)
		}
	}
	return t, w, nil
}

func (d *difference) cell(c *cell) (Terms, written) {
	switch c.access() {
	case accessAlways:
		return Terms{Verdict: VerdictAllow}, written{access: accessAlways}
	case accessNever:
		return Terms{Verdict: VerdictDeny}, written{}
	}
	t, w := Terms{Verdict: VerdictConditional}, written{access: accessConditional}
	for _, a := range c.all[:c.denies] {
		t.Unless = append(t.Unless, Term{a.own, a.rule.asked()})
		w.unless = append(w.unless, d.text(a))
	}
	if c.free {
		w.when = []string{always}
		return t, w
	}
	for _, a := range c.pool() {
		t.When = append(t.When, Term{a.own, a.rule.asked()})
		w.when = append(w.when, d.text(a))
	}
	slices.Sort(w.when)
	slices.Sort(w.unless)
	w.when, w.unless = slices.Compact(w.when), slices.Compact(w.unless)
	return t, w
}

// text writes the conditions of an alternative so that those that mean the same are written alike.
func (d *difference) text(a alternative) string {
	text, known := d.texts[a.rule]
	if !known {
		b, err := json.Marshal(a.rule.asked())
		if text = string(b); err != nil {
			text = fmt.Sprintf("%p", a.rule) // like nothing else
		}
		if t := a.rule.tests; t != nil && t.time != nil {
			text += t.time.text // with the time zone that is meant
		}
		d.texts[a.rule] = text
	}
	if a.own {
		text += " own"
	}
	return text
}
