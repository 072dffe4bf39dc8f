package rbac

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
)

// TestWhatIsEvictedIsHeldByNothing moves organizations in and out of memory, at random, and changes them: what one knows to rest on
// it is in memory, and whose view rests on it.
func TestWhatIsEvictedIsHeldByNothing(t *testing.T) {
	v, err := NewVocabulary()
	require.NoError(t, err)
	g := &Guard{}
	m := &g.memory
	m.vocabulary, m.limit, m.trusted, m.pinned = v, 6, new(atomic.Bool), map[string]int{}
	m.nodes.Store(&table[*node]{})
	r := rand.New(rand.NewPCG(1, 2))
	revisions := map[string]int64{}
	load := func(id string) {
		parent := ""
		if id != "top" {
			parent = "top"
		}
		revisions[id]++
		m.takeIn(&state{scope: Scope{Meta: store.Meta{ID: id}, ParentID: parent, State: Active, Revision: revisions[id]}, layer: &layer{orgID: id, zone: time.UTC}, members: &directory{}})
	}
	var rested int
	for range 5000 {
		id := fmt.Sprint("below_", r.IntN(12))
		switch n, _ := m.peek(id); {
		case n != nil && r.IntN(10) == 0:
			m.drop(n)
		case r.IntN(10) == 0: // it has changed
			load([]string{"top", id}[r.IntN(2)])
		}
		m.pin("top")
		m.pin(id)
		view, missing := m.assemble(g, id)
		for ; missing != ""; view, missing = m.assemble(g, id) {
			load(missing)
		}
		m.unpin([]string{"top", id})
		require.NotNil(t, view)
		for _, n := range m.nodes.Load().all {
			for b := range n.below {
				require.Same(t, b, m.node(b.id), "%s holds on to %s, which is gone", n.id, b.id)
				require.Contains(t, b.above, n)
				rested++
			}
		}
		require.LessOrEqual(t, m.nodes.Load().size, m.limit)
	}
	require.NotZero(t, rested)
}
