package rbac

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/orgkit/orgkit/store"
)

// memory holds what decisions are made of, one node for each organization that was asked about. Units, which
// read the revision of what they decide by, use what is kept where it is of that revision. Questions that are
// answered from memory alone use a view, which the feed and the poll keep fresh.
type memory struct {
	vocabulary *Vocabulary
	compile    RulesetOptions
	limit      int          // organizations
	trusted    *atomic.Bool // see freshness

	nodes atomic.Pointer[table[*node]] // read without a lock, written with it

	mu      sync.Mutex
	loading map[string]*loading // by organization
	pinned  map[string]int      // how many are putting together a view that rests on an organization
	serial  uint64
}

// node is one organization in memory.
type node struct {
	id string
	// serial is that of the view, stored after it; while there is none it is 0, and stored before.
	serial  atomic.Uint64
	trusted *atomic.Bool // that of the memory
	view    atomic.Pointer[view]

	// Under the lock of the memory:
	state *state    // the newest
	snap  *snapshot // the newest
	below map[*node]struct{}
	above []*node // those which have it below them

	refreshing sync.Mutex // one goroutine at a time brings it forward
}

// loading is a load under way, which others wait for.
type loading struct {
	heard int64 // the revision that was heard of meanwhile, which it has perhaps not seen
	done  chan struct{}
}

func (m *memory) node(orgID string) *node {
	n, _ := m.nodes.Load().get(orgID)
	return n
}

// keep moves the organization of a node forward to a state that was made of the node's. It answers the state
// that is kept. Where the node was evicted meanwhile nothing is: what has happened since it does not know.
func (m *memory) keep(n *node, st *state) *state {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.node(n.id) != n {
		return st
	}
	return m.keepLocked(st)
}

// takeIn is keep for rules that were read without members. No view rests on those.
func (m *memory) takeIn(st *state) *state {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.keepLocked(st)
}

func (m *memory) keepLocked(st *state) *state {
	n := m.node(st.scope.ID)
	if n == nil {
		m.evictLocked()
		n = &node{id: st.scope.ID, trusted: m.trusted}
		m.nodes.Store(m.nodes.Load().with(n.id, n))
	}
	if old := n.state; old != nil {
		switch {
		case old.scope.Revision > st.scope.Revision: // what an older snapshot of the store sees
			return st
		case old.scope.Revision == st.scope.Revision && (old.members != nil || st.members == nil): // somebody was faster
			return old
		case old.members != nil && st.members == nil:
			return st // good for its unit; what is kept is brought forward with its members
		case old.scope.Revision == st.scope.Revision:
			st.layer = old.layer // the same, and compiled already
		}
	}
	n.state = st
	n.stir()
	return st
}

// evictLocked makes room for one more organization. Those that somebody needs just now stay, even if they are
// more than there is room for.
func (m *memory) evictLocked() {
	for nodes := m.nodes.Load(); nodes.size >= m.limit; nodes = m.nodes.Load() {
		some, ok := nodes.random(func(n *node) bool { return m.pinned[n.id] == 0 })
		if !ok {
			return
		}
		m.dropLocked(some)
	}
}

func (m *memory) pin(orgID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pinned[orgID]++
}

func (m *memory) unpin(orgIDs []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range orgIDs {
		if m.pinned[id]--; m.pinned[id] == 0 {
			delete(m.pinned, id)
		}
	}
}

// stir has the views that rest on the node put together again.
func (n *node) stir() {
	n.serial.Store(0)
	n.view.Store(nil)
	for b := range n.below {
		b.serial.Store(0)
		b.view.Store(nil)
	}
	clear(n.below)
}

func (m *memory) drop(n *node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropLocked(n)
}

func (m *memory) dropLocked(n *node) {
	n.stir()
	for _, a := range n.above {
		delete(a.below, n)
	}
	n.state, n.snap, n.above = nil, nil, nil
	if m.node(n.id) == n { // and not one that has come after it
		m.nodes.Store(m.nodes.Load().without(n.id))
	}
}

// snapshot returns the snapshot of layers, kept for the first of them as long as it has no newer one.
func (m *memory) snapshot(layers []*layer) *snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.snapshotLocked(layers)
}

func (m *memory) snapshotLocked(layers []*layer) *snapshot {
	n := m.node(layers[0].orgID)
	if n != nil && n.snap != nil && slices.Equal(n.snap.layers, layers) {
		return n.snap
	}
	s := newSnapshot(m.vocabulary, m.compile, layers)
	for _, l := range layers {
		if at := m.node(l.orgID); at == nil || at.state == nil || at.state.layer != l { // older, or made of what is not committed
			return s
		}
	}
	n.snap = s
	return s
}

// of returns the snapshot of the scopes' revisions, which the caller has read in tx: a role that was
// revoked is refused by the very next check, in every process. locked says that the first of the scopes is
// locked by the unit.
func (m *memory) of(ctx context.Context, tx *store.Tx, chain []Scope, locked bool) (*snapshot, error) {
	layers := make([]*layer, len(chain))
	for i, scope := range chain {
		st, err := m.state(ctx, tx, scope, locked && i == 0)
		if err != nil {
			return nil, err
		}
		layers[i] = st.layer
	}
	return m.snapshot(layers), nil
}

// state returns the rules of a scope. In an Update that has written, the records may be ahead of the
// revision, which is raised last: what is loaded there is used there and never kept. In one that has not
// written yet, what is loaded is kept only if the scope is locked: else a commit may come in between.
func (m *memory) state(ctx context.Context, tx *store.Tx, scope Scope, locked bool) (*state, error) {
	settled := !tx.Writable() || tx.Clean()
	if !settled {
		return load(ctx, tx, scope, false)
	}
	n, old := m.peek(scope.ID)
	switch {
	case old != nil && old.scope.Revision == scope.Revision:
		return old, nil
	case old != nil && old.reaches(scope): // with its members, so that what is kept stays whole
		st, err := old.advance(ctx, tx, scope)
		if err != nil || tx.Writable() && !locked {
			return st, err
		}
		return m.keep(n, st), nil
	}
	st, err := load(ctx, tx, scope, false)
	if err != nil || tx.Writable() && !locked {
		return st, err
	}
	return m.takeIn(st), nil
}

// peek returns the node and the newest state of an organization, nil if there is none.
func (m *memory) peek(orgID string) (*node, *state) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.node(orgID); n != nil {
		return n, n.state
	}
	return nil, nil
}

// recall returns what a subject holds in an organization at the revision of the scope, if that is known here.
func (m *memory) recall(scope Scope, subject string) (held []seat, known bool) {
	switch _, st := m.peek(scope.ID); {
	case st == nil || st.scope.Revision != scope.Revision:
		return nil, false
	case st.members == nil:
		return st.asked.get(subject)
	default:
		if stake := st.members.get(subject); stake != nil {
			held = stake.held
		}
		return held, true
	}
}

// remember keeps what a subject holds by a snapshot that has seen this revision.
func (m *memory) remember(scope Scope, subject string, held []seat) {
	if _, st := m.peek(scope.ID); st != nil && st.members == nil && st.scope.Revision == scope.Revision {
		st.asked.put(subject, held)
	}
}

// resident are the revisions of the organizations that are kept.
func (m *memory) resident() Revision {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := Revision{}
	for id, n := range m.nodes.Load().all {
		if n.state != nil {
			r[id] = n.state.scope.Revision
		}
	}
	return r
}
