package rbac

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/store"
)

// WhatIfQuery says about what a change is to be looked at.
type WhatIfQuery struct {
	// OrgID is the organization whose people are looked at. The change may be made in it or, since rights flow
	// down, in one above it.
	OrgID string
	// Resources are asked about beside those that rules name, as "type:name": the models of a catalogue.
	Resources []string
}

// Difference is what a change does to who may do what.
type Difference struct {
	Changes []AccessChange `json:"changes"` // in the order of organizations, actions and resources
	// Widens says that somebody may do something that they might not before, or under conditions that were
	// not enough before. It is said where that cannot be ruled out, too.
	Widens bool `json:"widens"`
	// Opens names what else lets more through than before, which no answer shows: status (of an organization or
	// team that is active again), ip_allowlist, require_2fa, parent.
	Opens []string `json:"opens"`
	// Unlooked is how many organizations below were not looked at, though the change may reach them.
	Unlooked int `json:"unlooked"`
}

// AccessChange is one answer that becomes another.
type AccessChange struct {
	OrgID    string   `json:"organization_id"` // the one that was asked about, or one below it
	Subjects []string `json:"subjects"`        // users and API keys, in no order; several changes may share the list
	Contexts []string `json:"contexts"`        // teams and projects, "" for the context of the organization; sorted
	Action   string   `json:"action"`
	// Resource is one that was asked about or that a rule names, with a * for all others of the pattern; "*" alone
	// is the team, project or organization itself, and for models every one that no rule names.
	Resource string `json:"resource"`
	Before   Terms  `json:"before"`
	After    Terms  `json:"after"`
	Widens   bool   `json:"widens"`
}

// Terms are an answer with the conditions left open.
type Terms struct {
	Verdict Verdict `json:"decision"`
	When    []Term  `json:"when,omitempty"`   // conditional: any one of them has to hold
	Unless  []Term  `json:"unless,omitempty"` // and none of these
}

// Term is a set of conditions that hold together.
type Term struct {
	Own        bool       `json:"own,omitempty"` // and it is one's own
	Conditions Conditions `json:"conditions"`
}

// errRehearsed takes a change back that was looked at.
var errRehearsed = errors.New("rbac: rehearsed")

// WhatIf makes a change, looks at the difference that it makes to every member and API key of an organization,
// in each of its contexts, for all actions on all resources that rules name, and takes it back: nothing is
// stored, nobody is told. The change is that of the service itself, with its checks and its permission, by
// whatever methods; the difference is found by the code that decides, and is exact for what was asked about.
// What flows down is looked at in the organizations below as well.
//
// It needs members.read in the organization, beside what the change needs. It holds the locks of the change no
// longer than the change does, and is not run inside of a unit.
func (g *Guard) WhatIf(ctx context.Context, q WhatIfQuery, change func(ctx context.Context) error) (d Difference, err error) {
	var p proposed
	err = g.propose(ctx, q, change, func(made proposed) error {
		p = made
		return errRehearsed
	})
	if !errors.Is(err, errRehearsed) {
		return d, err
	}
	return p.difference(ctx, q.Resources)
}

// Narrowing makes a change that may take rights away and grants nothing new; the difference says what it did.
// One of which that cannot be said is a *store.ConflictError grants_new and stores nothing: the difference says
// what it would have done. See [Guard.WhatIf]; here the locks are held until that is known.
func (g *Guard) Narrowing(ctx context.Context, q WhatIfQuery, change func(ctx context.Context) error) (d Difference, err error) {
	err = g.propose(ctx, q, change, func(p proposed) (err error) {
		if d, err = p.difference(ctx, q.Resources); err == nil && d.Widens {
			err = &store.ConflictError{Code: "grants_new", Message: "the change would grant something new"}
		}
		return err
	})
	return d, err
}

const (
	maxAsked = 10_000 // about how many resources a what-if may ask beside those that rules name
	maxBelow = 100    // into how many organizations below it looks
)

// proposed are an organization and those below it that a change may reach, before and after it.
type proposed struct {
	pairs    [][2]*view
	unlooked int
}

// difference compares all of them.
func (p *proposed) difference(ctx context.Context, resources []string) (Difference, error) {
	all := Difference{Changes: []AccessChange{}, Opens: opens(p.pairs[0][0], p.pairs[0][1]), Unlooked: p.unlooked}
	all.Widens = len(all.Opens) > 0 || p.unlooked > 0
	for _, pair := range p.pairs {
		d, err := compare(ctx, pair[0], pair[1], resources)
		if err != nil {
			return Difference{}, err
		}
		all.Changes, all.Widens = append(all.Changes, d.Changes...), all.Widens || d.Widens
	}
	return all, nil
}

// opens names what lets more through though no rule of a decision says so.
func opens(before, after *view) []string {
	is := map[string]bool{}
	for i := range min(len(before.states), len(after.states)) {
		b, a := before.states[i].scope, after.states[i].scope
		if b.ID != a.ID || b.ParentID != a.ParentID {
			is["parent"] = true
			break
		}
		is["status"] = is["status"] || b.State != Active && a.State == Active
		is["require_2fa"] = is["require_2fa"] || b.RequireMFA && !a.RequireMFA
		is["ip_allowlist"] = is["ip_allowlist"] || len(b.AllowedIPs) > 0 && (len(a.AllowedIPs) == 0 ||
			slices.ContainsFunc(a.AllowedIPs, func(r string) bool { return !slices.Contains(b.AllowedIPs, r) })) || b.AllowedIPsData && !a.AllowedIPsData
	}
	for id, a := range after.snap.layers[0].restrictions {
		b, was := before.snap.layers[0].restrictions[id]
		is["status"] = is["status"] || was && b.State != Active && a.State == Active
	}
	names := []string{}
	for name := range is {
		if is[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// propose makes a change and shows what it is made in before and after it; an error of look takes it back.
func (g *Guard) propose(ctx context.Context, q WhatIfQuery, change func(context.Context) error, look func(proposed) error) error {
	if g.store.InUnit(ctx) {
		return errors.New("rbac: what-if inside of a unit, which it would take back")
	}
	if len(q.Resources) > maxAsked {
		return store.Invalid("resources", "range", "must have at most %d entries", maxAsked)
	}
	for i, r := range q.Resources {
		if _, err := ParseResource(r); err != nil || strings.Contains(r, "*") {
			return store.Invalid(indexed("resources", i), "pattern", "must be type:name")
		}
	}
	committed, err := g.viewOf(ctx, q.OrgID, nil)
	if err != nil {
		return err
	}
	err = g.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := g.mayAsk(ctx, AccessQuery{OrgID: q.OrgID}); err != nil {
			return err
		}
		if _, err := Scopes.Lock(ctx, tx, q.OrgID); err != nil {
			return err
		}
		l := proposal{guard: g, tx: tx, known: map[string]*state{}}
		for _, s := range committed.states {
			l.known[s.scope.ID] = s
		}
		before, err := l.view(ctx, q.OrgID, committed)
		if err != nil {
			return err
		}
		below, err := l.below(ctx, q.OrgID)
		if err != nil {
			return err
		}
		if err := change(ctx); err != nil {
			return err
		}
		p, err := l.look(ctx, before, below)
		if err != nil {
			return err
		}
		return look(p)
	})
	return g.recordDenial(ctx, err)
}

// proposal looks at a change in its unit.
type proposal struct {
	guard *Guard
	tx    *store.Tx
	known map[string]*state // the newest that was seen, by organization
}

func (l *proposal) below(ctx context.Context, orgID string) (map[string]Scope, error) {
	levels, err := Descendants(ctx, l.tx, orgID)
	scopes := map[string]Scope{}
	for _, s := range slices.Concat(levels...) {
		scopes[s.ID] = s
	}
	return scopes, err
}

// look returns what the change may have reached; below are the organizations below as they were before it.
func (l *proposal) look(ctx context.Context, before *view, below map[string]Scope) (p proposed, err error) {
	orgID := before.states[0].scope.ID
	after, err := l.view(ctx, orgID, before)
	if err != nil {
		return p, err
	}
	p.pairs = [][2]*view{{before, after}}
	if len(below) == 0 || !reaches(before, after) {
		return p, nil
	}
	ids := slices.Sorted(maps.Keys(below))
	for i, id := range ids {
		if i == maxBelow {
			p.unlooked += len(ids) - i
			break
		}
		b, err := l.before(ctx, id, below, before)
		if err != nil {
			return p, err
		}
		if b == nil {
			p.unlooked++
			continue
		}
		a, err := l.view(ctx, id, b)
		if err != nil {
			return p, err
		}
		p.pairs = append(p.pairs, [2]*view{b, a})
	}
	return p, nil
}

// before returns the view that an organization below had before the change, nil if it cannot be told any more:
// the change has changed it, and it was not in memory.
func (l *proposal) before(ctx context.Context, id string, below map[string]Scope, above *view) (*view, error) {
	var states []*state
	for top := above.states[0].scope.ID; id != top; {
		was, there := below[id]
		if !there {
			return nil, nil
		}
		st, err := l.was(ctx, was)
		if st == nil || err != nil {
			return nil, err
		}
		states, id = append(states, st), was.ParentID
	}
	return l.guard.assembled(append(states, above.states...), above), nil
}

// was returns the state of a scope as it was, nil if that is not to be had.
func (l *proposal) was(ctx context.Context, was Scope) (*state, error) {
	if st := l.known[was.ID]; st != nil && st.scope.Revision == was.Revision {
		return st, nil
	}
	if _, st := l.guard.memory.peek(was.ID); st != nil && st.members != nil && st.scope.Revision == was.Revision {
		l.known[was.ID] = st
		return st, nil
	}
	now, err := Scopes.Get(ctx, l.tx, was.ID)
	if err != nil || now.Revision != was.Revision {
		return nil, err
	}
	st, err := load(ctx, l.tx, now, true)
	l.known[was.ID] = st
	return st, err
}

// view returns the view of the records that the unit sees now, by what is known already. It is kept nowhere.
func (l *proposal) view(ctx context.Context, orgID string, from *view) (*view, error) {
	chain, err := Lineage(ctx, l.tx, orgID)
	if err != nil {
		return nil, err
	}
	states := make([]*state, len(chain))
	for i, scope := range chain {
		switch st := l.known[scope.ID]; {
		case st == nil:
			states[i], err = load(ctx, l.tx, scope, true)
		case st.scope.Revision == scope.Revision:
			states[i] = st
		default:
			states[i], err = st.advance(ctx, l.tx, scope)
		}
		if err != nil {
			return nil, err
		}
		l.known[scope.ID] = states[i]
	}
	return l.guard.assembled(states, from), nil
}

// assembled puts states together, with what another view of much the same has compiled.
func (g *Guard) assembled(states []*state, from *view) *view {
	v := &view{guard: g, states: states, members: states[0].members}
	chain, layers := make([]Scope, len(states)), make([]*layer, len(states))
	for i, s := range states {
		chain[i], layers[i] = s.scope, s.layer
	}
	v.gone = Effective(chain) == Gone
	if v.snap = from.snap; !slices.Equal(layers, from.snap.layers) {
		v.snap = newSnapshot(g.memory.vocabulary, g.memory.compile, layers)
		changes := changesOf(from.snap.layers, layers)
		v.snap.takeOver(from.snap, &changes)
	}
	return v
}

// reaches says whether a change is of something that flows down: policies and settings of an organization, roles
// that are inherited, and who holds those.
func reaches(before, after *view) bool {
	c := changesOf(before.snap.layers, after.snap.layers)
	if c.all || c.wide || before.gone != after.gone {
		return true
	}
	for id := range c.roles {
		if before.snap.role(id).Inherited || after.snap.role(id).Inherited {
			return true
		}
	}
	for i, s := range before.states[1:] {
		if s.members != after.states[i+1].members {
			return true
		}
	}
	flows := func(v *view, s *stake) bool {
		return s != nil && slices.ContainsFunc(s.held, func(a seat) bool { return a.flowsDown() && v.snap.role(a.roleID).Inherited })
	}
	if before.members == after.members {
		return false
	}
	for subject, b := range before.members.subjects.all {
		if a := after.members.get(subject); a != b && (flows(before, b) || flows(after, a)) {
			return true
		}
	}
	for subject, a := range after.members.subjects.all {
		if before.members.get(subject) == nil && flows(after, a) {
			return true
		}
	}
	return false
}
