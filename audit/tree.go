package audit

import (
	"context"
	"math/bits"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/orgkit/orgkit/store"
)

// Hash is a hash of the tree: SHA-256, as RFC 6962, section 2.1, takes it.
type Hash = tlog.Hash

// leaf is the place of an event in the tree of its organization.
type leaf struct {
	OrgID string `store:"word"`
	Seq   int64
	At    time.Time
	// Hashes are those of the subtrees that the event completes: its leaf, and what is above it as far as it is
	// the last one below.
	Hashes []byte
}

var leaves = store.DefineLog[leaf]("audit_leaves", []string{"org_id", "seq"})

func (f *leaf) hash(level int) (h tlog.Hash, ok bool) {
	if len(f.Hashes) < (level+1)*tlog.HashSize {
		return h, false
	}
	copy(h[:], f.Hashes[level*tlog.HashSize:])
	return h, true
}

// edge is the right edge of a tree: the roots of the largest complete subtrees that it is made of, the largest
// first (the compact range of the whole tree).
type edge struct {
	size   int64
	at     time.Time // of the last event
	hashes []tlog.Hash
}

// add appends a leaf and returns the hashes that it completes.
func (e *edge) add(h tlog.Hash) []byte {
	completed := append([]byte(nil), h[:]...)
	for n := e.size; n&1 == 1; n >>= 1 {
		h = tlog.NodeHash(e.hashes[len(e.hashes)-1], h)
		e.hashes = e.hashes[:len(e.hashes)-1]
		completed = append(completed, h[:]...)
	}
	e.hashes = append(e.hashes, h)
	e.size++
	return completed
}

// root is the root of the tree; there is none of an empty one.
func (e *edge) root() (h tlog.Hash) {
	for i := len(e.hashes) - 1; i >= 0; i-- {
		if i == len(e.hashes)-1 {
			h = e.hashes[i]
		} else {
			h = tlog.NodeHash(e.hashes[i], h)
		}
	}
	return h
}

func (e *edge) clone() edge {
	return edge{e.size, e.at, append([]tlog.Hash(nil), e.hashes...)}
}

// encode is the hashes one behind another.
func (e *edge) encode() []byte {
	var b []byte
	for _, h := range e.hashes {
		b = append(b, h[:]...)
	}
	return b
}

// edgeOf reads hashes that belong to a tree of that size.
func edgeOf(size int64, hashes []byte) (edge, bool) {
	if len(hashes) != bits.OnesCount64(uint64(size))*tlog.HashSize {
		return edge{}, false
	}
	e := edge{size: size}
	for ; len(hashes) > 0; hashes = hashes[tlog.HashSize:] {
		e.hashes = append(e.hashes, tlog.Hash(hashes[:tlog.HashSize]))
	}
	return e, true
}

// part is a complete subtree.
type part struct {
	level int
	n     int64 // the how manieth of its level
}

// parts are the subtrees that the edge of a tree of this size is made of.
func parts(size int64) (list []part) {
	for at := int64(0); at < size; {
		level := bits.Len64(uint64(size-at)) - 1
		list = append(list, part{level, at >> level})
		at += 1 << level
	}
	return list
}

// last is the event that completes the subtree.
func (p part) last() int64 { return (p.n+1)<<p.level - 1 }

// ErrPruned says that something cannot be proved any more: what the proof is made of is pruned.
var ErrPruned error = &store.ConflictError{Code: "pruned", Message: "that part of the audit log is pruned"}

// tree reads the hashes of an organization's tree. It is a tlog.HashReader.
type tree struct {
	ctx   context.Context
	tx    *store.Tx
	orgID string

	pruned map[part]tlog.Hash // what stands for the events that are pruned; nil when it was not read yet
}

// ReadHashes implements tlog.HashReader.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]part, len(indexes))
	for i, index := range indexes {
		list[i].level, list[i].n = tlog.SplitStoredHashIndex(index)
	}
	return t.read(list)
}

func (t *tree) read(list []part) ([]tlog.Hash, error) {
	ranges := make([]store.Range, len(list))
	for i, p := range list {
		ranges[i] = store.Range{Equal: []any{t.orgID, p.last()}, Limit: 1}
	}
	found, err := leaves.ScanEach(t.ctx, t.tx, ranges)
	if err != nil {
		return nil, err
	}
	hashes := make([]tlog.Hash, len(list))
	for i, p := range list {
		ok := false
		if len(found[i]) > 0 {
			hashes[i], ok = found[i][0].hash(p.level)
		} else {
			hashes[i], ok, err = t.prunedHash(p)
		}
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, ErrPruned
		}
	}
	return hashes, nil
}

func (t *tree) prunedHash(p part) (tlog.Hash, bool, error) {
	if t.pruned == nil {
		cut, err := lastPrune(t.ctx, t.tx, t.orgID)
		if err != nil {
			return tlog.Hash{}, false, err
		}
		t.pruned = map[part]tlog.Hash{}
		if e, ok := edgeOf(cut.First, cut.Edge); ok {
			for i, p := range parts(cut.First) {
				t.pruned[p] = e.hashes[i]
			}
		}
	}
	h, ok := t.pruned[p]
	return h, ok, nil
}

// edges remembers right edges. One is of use when the last leaf is still the one that it ends with, whoever wrote
// in between, and whether or not the unit that made it was committed: the hashes say so.
type edges struct {
	mu sync.Mutex
	of map[string]remembered
}

type remembered struct {
	edge
	last tlog.Hash // the last leaf
}

const maxEdges = 4096

func (c *edges) get(orgID string, size int64, last tlog.Hash) (edge, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.of[orgID]
	if !ok || r.size != size || r.last != last {
		return edge{}, false
	}
	return r.clone(), true
}

func (c *edges) put(orgID string, e *edge, last tlog.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]remembered{}
	}
	if _, there := c.of[orgID]; !there && len(c.of) >= maxEdges {
		for other := range c.of { // any
			delete(c.of, other)
			break
		}
	}
	c.of[orgID] = remembered{e.clone(), last}
}

// newest returns of each organization the last row of a log, or none, in one round trip.
func newest[T any](ctx context.Context, tx *store.Tx, l store.Log[T], orgIDs ...string) ([][]T, error) {
	ranges := make([]store.Range, len(orgIDs))
	for i, id := range orgIDs {
		ranges[i] = store.Range{Equal: []any{id}, Desc: true, Limit: 1}
	}
	return l.ScanEach(ctx, tx, ranges)
}

// newestOf returns the last row of a log of an organization, the zero row where there is none.
func newestOf[T any](ctx context.Context, tx *store.Tx, l store.Log[T], orgID string) (last T, err error) {
	found, err := newest(ctx, tx, l, orgID)
	if err == nil && len(found[0]) > 0 {
		last = found[0][0]
	}
	return last, err
}

// heads returns the right edges of trees as the unit sees them, in one round trip for those that are remembered.
func (l *Log) heads(ctx context.Context, tx *store.Tx, orgIDs []string) ([]edge, error) {
	last, err := newest(ctx, tx, leaves, orgIDs...)
	if err != nil {
		return nil, err
	}
	heads := make([]edge, len(orgIDs))
	for i, id := range orgIDs {
		if len(last[i]) == 0 {
			continue
		}
		f := last[i][0]
		h, _ := f.hash(0)
		e, known := l.edges.get(id, f.Seq+1, h)
		if !known {
			t := tree{ctx: ctx, tx: tx, orgID: id}
			e.size = f.Seq + 1
			if e.hashes, err = t.read(parts(e.size)); err != nil {
				return nil, err
			}
		}
		e.at = f.At
		heads[i] = e
	}
	return heads, nil
}

func (l *Log) head(ctx context.Context, tx *store.Tx, orgID string) (edge, error) {
	heads, err := l.heads(ctx, tx, []string{orgID})
	if err != nil {
		return edge{}, err
	}
	return heads[0], nil
}
