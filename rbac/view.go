package rbac

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/orgkit/orgkit/store"
)

// view is an organization and those above it in memory, as they are now. It never changes.
type view struct {
	guard   *Guard
	node    *node
	serial  uint64     // of this process; a later view of an organization has a higher one
	members *directory // of the organization
	snap    *snapshot
	states  []*state // the organization, then those above it
	gone    bool

	visitors *sync.Map // *bindings by the *stake that counts first, of those who hold something above only; nil: none is above
}

// viewOf returns the view of an organization, or store.ErrNotFound. It asks the store only for an
// organization that is not in memory, or while memory cannot be trusted.
func (g *Guard) viewOf(ctx context.Context, orgID string, least Revision) (*view, error) {
	if n := g.memory.node(orgID); n != nil && least == nil && g.live.trusted.Load() {
		if v := n.view.Load(); v != nil {
			return v, nil
		}
	}
	return g.assemble(ctx, orgID, least)
}

// outside is a context outside of any unit: what is kept is what was committed.
type outside struct{ context.Context }

func (outside) Value(any) any { return nil }

// assemble puts a view together, and loads what is missing for it.
func (g *Guard) assemble(ctx context.Context, orgID string, least Revision) (*view, error) {
	ctx = outside{ctx}
	if err := g.live.begin(g); err != nil {
		return nil, err
	}
	if !g.live.trusted.Load() {
		if err := g.confirm(ctx, orgID); err != nil {
			return nil, err
		}
	}
	var pinned []string
	defer func() { g.memory.unpin(pinned) }()
	for range 64 * MaxDepth { // each round loads one organization; more when they move meanwhile, or a load that was waited for has failed
		v, missing := g.memory.assemble(g, orgID)
		switch {
		case v == nil:
			if !slices.Contains(pinned, missing) {
				pinned = append(pinned, missing)
				g.memory.pin(missing)
			}
			if err := g.take(ctx, missing); err != nil {
				return nil, err
			}
		case v.gone:
			return nil, store.ErrNotFound
		default:
			older := v.olderThan(least)
			if older == "" {
				return v, nil
			}
			if err := g.refresh(ctx, older); err != nil {
				return nil, err
			}
			if _, st := g.memory.peek(older); st != nil && st.scope.Revision < least[older] {
				return nil, fmt.Errorf("%w: the revision that was asked for is not here yet", store.ErrTransient)
			}
		}
	}
	return nil, fmt.Errorf("organization %s does not come to rest", orgID)
}

// olderThan names an organization of the view that has not come as far as is demanded, "" for none.
func (v *view) olderThan(least Revision) string {
	if len(least) > 0 {
		for _, s := range v.states {
			if s.scope.Revision < least[s.scope.ID] {
				return s.scope.ID
			}
		}
	}
	return ""
}

// assemble returns the view of an organization, or which one has to be loaded for it.
func (m *memory) assemble(g *Guard, orgID string) (v *view, missing string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v = &view{guard: g}
	var nodes []*node
	var layers []*layer
	var chain []Scope
	for id := orgID; id != ""; {
		n := m.node(id)
		if n == nil || n.state == nil || n.state.members == nil || len(nodes) > 2*MaxDepth {
			return nil, id
		}
		nodes, layers, chain = append(nodes, n), append(layers, n.state.layer), append(chain, n.state.scope)
		v.states = append(v.states, n.state)
		id = n.state.scope.ParentID
	}
	if have := nodes[0].view.Load(); have != nil {
		return have, ""
	}
	if Effective(chain) == Gone { // never kept: to whom it is asked about it does not exist
		return &view{gone: true}, ""
	}
	v.snap = m.snapshotLocked(layers)
	v.members = v.states[0].members
	if len(v.states) > 1 {
		v.visitors = new(sync.Map)
	}
	m.serial++
	v.serial, v.node = m.serial, nodes[0]
	nodes[0].above = nodes[1:]
	for _, n := range nodes[1:] {
		if n.below == nil {
			n.below = map[*node]struct{}{}
		}
		n.below[nodes[0]] = struct{}{}
	}
	nodes[0].view.Store(v)
	nodes[0].serial.Store(v.serial)
	return v, ""
}

// take loads one organization with its members. Of those who ask at once one loads and the others wait; who
// has waited looks again.
func (g *Guard) take(ctx context.Context, orgID string) error {
	m := &g.memory
	m.mu.Lock()
	l := m.loading[orgID]
	if l != nil {
		m.mu.Unlock()
		select {
		case <-l.done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	l = &loading{done: make(chan struct{})}
	m.loading[orgID] = l
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.loading, orgID)
		m.mu.Unlock()
		close(l.done)
	}()
	for {
		var st *state
		err := g.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			scope, err := Scopes.Get(ctx, tx, orgID)
			if err != nil {
				return err
			}
			st, err = load(ctx, tx, scope, true)
			return err
		})
		if err != nil {
			return err
		}
		m.mu.Lock()
		seen := st.scope.Revision >= l.heard
		if seen {
			m.keepLocked(st)
		}
		m.mu.Unlock()
		if seen {
			return nil
		}
	}
}

// refresh brings an organization in memory forward to what the store has. What cannot be read is dropped: it
// is asked for again by the next question, and refuses if it is still not there.
func (g *Guard) refresh(ctx context.Context, orgID string) error {
	n := g.memory.node(orgID)
	if n == nil {
		return nil
	}
	n.refreshing.Lock()
	defer n.refreshing.Unlock()
	at, old := g.memory.peek(orgID)
	if at != n { // evicted, and perhaps read again since
		return g.refresh(ctx, orgID)
	}
	var st *state
	err := g.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		scope, err := Scopes.Get(ctx, tx, orgID)
		if err != nil || scope.Revision == old.scope.Revision {
			return err
		}
		if scope.Revision < old.scope.Revision { // the database was set back
			return store.ErrNotFound
		}
		st, err = old.advance(ctx, tx, scope)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		g.memory.drop(n)
		return nil
	case err != nil:
		g.memory.drop(n)
		return err
	case st != nil:
		g.memory.keep(n, st)
	}
	return nil
}

// stand is where a subject stands; see [world].
func (v *view) stand(_ context.Context, subject string) (standing, error) {
	st := standing{snap: v.snap}
	for i, s := range v.states {
		st.chain = append(st.chain, s.scope)
		stake := s.members.get(subject)
		if stake == nil {
			continue
		}
		for _, a := range stake.held {
			if i == 0 || a.flowsDown() && v.snap.role(a.roleID).Inherited {
				a.level = int32(i)
				st.held = append(st.held, a)
			}
		}
	}
	if len(st.held) == 0 {
		return st, store.ErrNotFound
	}
	return st, nil
}

// grants are those of the organization; see [world].
func (v *view) grants(_ context.Context, w wish) ([]Approval, error) {
	return v.states[0].granted[w], nil
}

// bound returns what a subject decides by in a context of the organization, or store.ErrNotFound.
func (v *view) bound(ctx context.Context, subject, team string) (*bound, error) {
	own := v.members.get(subject)
	if len(v.states) > 1 {
		return v.boundBelow(ctx, subject, team, own)
	}
	if own == nil {
		return nil, store.ErrNotFound
	}
	if b := own.find(v.snap, team, nil); b != nil {
		return b, nil
	}
	return v.bind(ctx, subject, team, &own.bindings, nil)
}

// boundBelow is bound where there are organizations above.
func (v *view) boundBelow(ctx context.Context, subject, team string, own *stake) (*bound, error) {
	var room [2*MaxDepth + 1]*stake
	above := room[:0]
	for _, s := range v.states[1:] {
		if stake := s.members.get(subject); stake != nil {
			above = append(above, stake)
		}
	}
	var known *bindings
	switch {
	case own != nil:
		known = &own.bindings
	case len(above) == 0:
		return nil, store.ErrNotFound
	default: // not with the stake, which outlives this organization in memory
		at, ok := v.visitors.Load(above[0])
		if !ok {
			at, _ = v.visitors.LoadOrStore(above[0], new(bindings))
		}
		known = at.(*bindings)
	}
	if b := known.find(v.snap, team, above); b != nil {
		return b, nil
	}
	return v.bind(ctx, subject, team, known, slices.Clone(above))
}

func (v *view) bind(ctx context.Context, subject, team string, known *bindings, above []*stake) (*bound, error) {
	st, err := v.stand(ctx, subject)
	if err != nil {
		return nil, err
	}
	if _, there := v.snap.layers[0].restrictions[team]; team != "" && (!there || team == v.snap.orgID()) {
		return nil, store.ErrNotFound // another organization's team does not exist here
	}
	fresh := &binding{snap: v.snap, team: team}
	if len(above) > 0 {
		fresh.above = &above
	}
	if err := v.guard.bind(ctx, v, st, team, &fresh.bound); err != nil {
		return nil, err
	}
	if fresh.bound.key == nil { // what a key may do depends on others as well
		known.remember(fresh)
	}
	return &fresh.bound, nil
}
