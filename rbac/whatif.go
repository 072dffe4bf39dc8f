package rbac

import (
	"context"
	"errors"
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
	Changes []AccessChange `json:"changes"` // in the order of actions and resources
	// Widens says that somebody may do something that they might not before, or under conditions that were
	// not enough before.
	Widens bool `json:"widens"`
}

// AccessChange is one answer that becomes another.
type AccessChange struct {
	Subjects []string `json:"subjects"` // users and API keys, in no order; several changes may share the list
	Contexts []string `json:"contexts"` // teams and projects, "" for the context of the organization; sorted
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

type rehearsalKey struct{}

// Rehearsed says whether ctx is that of a change that is only looked at and will be taken back: what is not
// stored, such as a mail, must not happen.
func Rehearsed(ctx context.Context) bool {
	is, _ := ctx.Value(rehearsalKey{}).(bool)
	return is
}

// errRehearsed takes a change back that was looked at.
var errRehearsed = errors.New("rbac: rehearsed")

// WhatIf makes a change, looks at the difference that it makes to every member and API key of an organization,
// in each of its contexts, for all actions on all resources that rules name, and takes it back: nothing is
// stored, nobody is told. The change is that of the service itself, with its checks and its permission, by
// whatever methods; the difference is found by the code that decides, and is exact for what was asked about.
//
// It needs members.read in the organization, beside what the change needs. It holds the locks of the change no
// longer than the change does, and is not run inside of a unit.
func (g *Guard) WhatIf(ctx context.Context, q WhatIfQuery, change func(ctx context.Context) error) (d Difference, err error) {
	var before, after *view
	err = g.propose(context.WithValue(ctx, rehearsalKey{}, true), q, change, func(b, a *view) error {
		before, after = b, a
		return errRehearsed
	})
	if !errors.Is(err, errRehearsed) {
		return d, err
	}
	return compare(ctx, before, after, q.Resources)
}

// Narrowing makes a change that may take rights away and grants nothing new; the difference says what it did.
// One that widens anything is a *store.ConflictError grants_new and stores nothing: the difference says what it
// would have done. See [Guard.WhatIf]; here the locks are held until that is known.
func (g *Guard) Narrowing(ctx context.Context, q WhatIfQuery, change func(ctx context.Context) error) (d Difference, err error) {
	err = g.propose(ctx, q, change, func(before, after *view) (err error) {
		if d, err = compare(ctx, before, after, q.Resources); err == nil && d.Widens {
			err = &store.ConflictError{Code: "grants_new", Message: "the change would grant something new"}
		}
		return err
	})
	return d, err
}

// maxAsked is about how many resources a what-if may ask beside those that rules name.
const maxAsked = 1000

// propose makes a change and shows the organization before and after it; an error of look takes it back.
func (g *Guard) propose(ctx context.Context, q WhatIfQuery, change func(context.Context) error, look func(before, after *view) error) error {
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
		before, err := g.settled(ctx, tx, committed)
		if err != nil {
			return err
		}
		if err := change(ctx); err != nil {
			return err
		}
		after, err := g.settled(ctx, tx, before)
		if err != nil {
			return err
		}
		return look(before, after)
	})
	return g.recordDenial(ctx, err)
}

// settled returns the view of the records that tx sees, by what is known from another view of the same
// organization. It is kept nowhere.
func (g *Guard) settled(ctx context.Context, tx *store.Tx, from *view) (*view, error) {
	chain, err := Lineage(ctx, tx, from.states[0].scope.ID)
	if err != nil {
		return nil, err
	}
	v := &view{guard: g, states: make([]*state, len(chain)), gone: Effective(chain) == Gone}
	layers := make([]*layer, len(chain))
	for i, scope := range chain {
		at := slices.IndexFunc(from.states, func(s *state) bool { return s.scope.ID == scope.ID })
		switch {
		case at < 0:
			v.states[i], err = load(ctx, tx, scope, true)
		case from.states[at].scope.Revision == scope.Revision:
			v.states[i] = from.states[at]
		default:
			v.states[i], err = from.states[at].advance(ctx, tx, scope)
		}
		if err != nil {
			return nil, err
		}
		layers[i] = v.states[i].layer
	}
	v.members = v.states[0].members
	if slices.Equal(layers, from.snap.layers) {
		v.snap = from.snap
	} else {
		v.snap = newSnapshot(g.memory.vocabulary, g.memory.compile, layers)
		changes := changesOf(from.snap.layers, layers)
		v.snap.takeOver(from.snap, &changes)
	}
	return v, nil
}
