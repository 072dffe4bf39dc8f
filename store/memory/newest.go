package memory

import (
	"sync"

	"github.com/orgkit/orgkit/store"
)

// newest finds records by their ids without walking a tree: the newest version of each, and since which state
// it is that. A snapshot that is older than the version asks its tree; so does one that finds nothing, since
// the record may have been deleted meanwhile. Of the newest state, which is what a writer sees, nothing is missing.
type newest struct {
	mu   sync.RWMutex
	kept map[*store.Kind]map[string]version
}

type version struct {
	rec   any
	since uint64
}

// at returns the record as the state of that number has it, if it is known here.
func (n *newest) at(k *store.Kind, id string, state uint64) (any, bool) {
	n.mu.RLock()
	v, ok := n.kept[k][id]
	n.mu.RUnlock()
	return v.rec, ok && v.since <= state
}

// has says whether there is such a record in the newest state: for writers.
func (n *newest) has(k *store.Kind, id string) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	_, ok := n.kept[k][id]
	return ok
}

// touched is a record as a unit has left it; nil where it was deleted.
type touched struct {
	kind *store.Kind
	id   string
	rec  any
}

// note takes over what a unit has changed, in its order, before the state of that number is there for anybody
// to read.
func (n *newest) note(all []touched, state uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.kept == nil {
		n.kept = map[*store.Kind]map[string]version{}
	}
	for _, t := range all {
		if n.kept[t.kind] == nil {
			n.kept[t.kind] = map[string]version{}
		}
		if t.rec != nil {
			n.kept[t.kind][t.id] = version{t.rec, state}
		} else {
			delete(n.kept[t.kind], t.id)
		}
	}
}
