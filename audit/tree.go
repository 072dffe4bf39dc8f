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

// block is what is kept of the tree of an organization: of each 1<<blockLevel events the roots of the subtrees that the
// last of them completes. What is below is made of the events again, whose leaves are nowhere else.
type block struct {
	OrgID  string    `store:"word"`
	N      int64     // the how manieth
	At     time.Time // of its last event
	Hashes []byte    // from blockLevel up
}

const (
	blockLevel = 4
	blockSize  = 1 << blockLevel
)

var blocks = store.DefineLog[block]("audit_tree", []string{"org_id", "n"})

func (b *block) hash(level int) (h tlog.Hash, ok bool) {
	at := (level - blockLevel) * tlog.HashSize
	if at < 0 || len(b.Hashes) < at+tlog.HashSize {
		return h, false
	}
	copy(h[:], b.Hashes[at:])
	return h, true
}

// blockOf is the block that the event completes, by the hashes that it completes.
func blockOf(orgID string, seq int64, at time.Time, completed []byte) (b block, is bool) {
	if (seq+1)%blockSize != 0 {
		return b, false
	}
	return block{orgID, seq >> blockLevel, at, completed[blockLevel*tlog.HashSize:]}, true
}

// place is where an event is, or a block.
type place struct {
	orgID string
	n     int64
}

// eventsOf returns the events of blocks, as far as they are there, and maybe some behind them.
func eventsOf(ctx context.Context, tx *store.Tx, wanted []place) ([][]kept, error) {
	before := make([]store.Range, len(wanted))
	for i, p := range wanted {
		before[i] = store.Range{Equal: []any{p.orgID, p.n - 1}, Limit: 1}
	}
	ends, err := blocks.ScanEach(ctx, tx, before)
	if err != nil {
		return nil, err
	}
	ranges := make([]store.Range, len(wanted))
	for i, p := range wanted {
		from := dawn
		if len(ends[i]) > 0 {
			from = ends[i][0].At.Add(time.Microsecond)
		}
		ranges[i] = store.Range{Equal: []any{p.orgID}, From: from, Limit: blockSize}
	}
	return events.ScanEach(ctx, tx, ranges)
}

// inBlocks returns the events of some blocks, as far as they are there, by their organization and sequence.
func inBlocks(ctx context.Context, tx *store.Tx, wanted ...place) (map[place]*kept, error) {
	found, err := eventsOf(ctx, tx, wanted)
	if err != nil {
		return nil, err
	}
	at := map[place]*kept{}
	for i, p := range wanted {
		for j := range found[i] {
			if k := &found[i][j]; k.Seq>>blockLevel == p.n {
				at[place{p.orgID, k.Seq}] = k
			}
		}
	}
	return at, nil
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
	hashes, err := readEach(t.ctx, t.tx, []*tree{t}, [][]part{list})
	if err != nil {
		return nil, err
	}
	return hashes[0], nil
}

// readEach reads hashes of several trees, in as many round trips as those of one.
func readEach(ctx context.Context, tx *store.Tx, trees []*tree, lists [][]part) ([][]tlog.Hash, error) {
	var ranges []store.Range // of the blocks that have hashes, and
	var wanted []place       // of those that have events
	for i, t := range trees {
		seen := map[int64]bool{}
		for _, p := range lists[i] {
			n := p.last() >> blockLevel
			if p.level >= blockLevel {
				ranges = append(ranges, store.Range{Equal: []any{t.orgID, n}, Limit: 1})
			} else if !seen[n] {
				seen[n] = true
				wanted = append(wanted, place{t.orgID, n})
			}
		}
	}
	found, err := blocks.ScanEach(ctx, tx, ranges)
	if err != nil {
		return nil, err
	}
	var low map[place]*kept
	if len(wanted) > 0 {
		if low, err = inBlocks(ctx, tx, wanted...); err != nil {
			return nil, err
		}
	}
	all := make([][]tlog.Hash, len(trees))
	for i, t := range trees {
		all[i] = make([]tlog.Hash, len(lists[i]))
		for j, p := range lists[i] {
			h, ok := &all[i][j], false
			if p.level < blockLevel {
				*h, ok, err = t.fold(p, low)
			} else {
				if len(found[0]) > 0 {
					*h, ok = found[0][0].hash(p.level)
				} else {
					*h, ok, err = t.prunedHash(p)
				}
				found = found[1:]
			}
			if err != nil {
				return nil, err
			}
			if !ok {
				return nil, ErrPruned
			}
		}
	}
	return all, nil
}

// fold is the hash of a subtree of one block, made of its events and of what stands for those that are pruned.
func (t *tree) fold(p part, of map[place]*kept) (tlog.Hash, bool, error) {
	if p.level == 0 {
		if k := of[place{t.orgID, p.n}]; k != nil {
			return k.leaf(), true, nil
		}
		return t.prunedHash(p)
	}
	left, ok, err := t.fold(part{p.level - 1, 2 * p.n}, of)
	if err != nil || !ok {
		if err == nil {
			return t.prunedHash(p)
		}
		return left, false, err
	}
	right, ok, err := t.fold(part{p.level - 1, 2*p.n + 1}, of)
	if err != nil || !ok {
		return right, false, err
	}
	return tlog.NodeHash(left, right), true, nil
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
	return l.ScanEach(ctx, tx, last(orgIDs))
}

// last are the ranges of the last row of each organization in a log.
func last(orgIDs []string) []store.Range {
	ranges := make([]store.Range, len(orgIDs))
	for i, id := range orgIDs {
		ranges[i] = store.Range{Equal: []any{id}, Desc: true, Limit: 1}
	}
	return ranges
}

// newestOf returns the last row of a log of an organization, the zero row where there is none.
func newestOf[T any](ctx context.Context, tx *store.Tx, l store.Log[T], orgID string) (last T, err error) {
	found, err := newest(ctx, tx, l, orgID)
	if err == nil && len(found[0]) > 0 {
		last = found[0][0]
	}
	return last, err
}

// heads returns the right edges of trees as the unit sees them. Those that are remembered take one round trip, with what else
// is to be read; where another process has put in order the last event, its checkpoint holds the edge, which takes one more. The
// rest are made of blocks and events, in some more for all of them together.
func (l *Log) heads(ctx context.Context, tx *store.Tx, orgIDs []string, also ...store.Read) ([]edge, error) {
	var newest [][]kept
	if err := tx.ReadAll(ctx, append(also, events.Read(&newest, last(orgIDs)...))...); err != nil {
		return nil, err
	}
	heads := make([]edge, len(orgIDs))
	var unknown []int
	for i, id := range orgIDs {
		if len(newest[i]) == 0 {
			continue
		}
		k := &newest[i][0]
		e, known := l.edges.get(id, k.Seq+1, k.leaf())
		if !known {
			e.size = k.Seq + 1
			unknown = append(unknown, i)
		}
		e.at = k.At
		heads[i] = e
	}
	unknown, err := signedHeads(ctx, tx, orgIDs, heads, unknown)
	if err != nil || len(unknown) == 0 {
		return heads, err
	}
	trees, lists := make([]*tree, len(unknown)), make([][]part, len(unknown))
	for j, i := range unknown {
		trees[j], lists[j] = &tree{ctx: ctx, tx: tx, orgID: orgIDs[i]}, parts(heads[i].size)
	}
	hashes, err := readEach(ctx, tx, trees, lists)
	if err != nil {
		return nil, err
	}
	for j, i := range unknown {
		heads[i].hashes = hashes[j]
	}
	return heads, nil
}

// signedHeads fills in the hashes of edges of which there is a checkpoint, and says of which there is none.
func signedHeads(ctx context.Context, tx *store.Tx, orgIDs []string, heads []edge, unknown []int) (unsigned []int, err error) {
	if len(unknown) == 0 {
		return nil, nil
	}
	ids := make([]string, len(unknown))
	for j, i := range unknown {
		ids[j] = orgIDs[i]
	}
	found, err := newest(ctx, tx, checkpoints, ids...)
	if err != nil {
		return nil, err
	}
	for j, i := range unknown {
		if len(found[j]) > 0 && found[j][0].Size == heads[i].size {
			if e, ok := edgeOf(found[j][0].Size, found[j][0].Edge); ok {
				heads[i].hashes = e.hashes
				continue
			}
		}
		unsigned = append(unsigned, i)
	}
	return unsigned, nil
}

func (l *Log) head(ctx context.Context, tx *store.Tx, orgID string) (edge, error) {
	heads, err := l.heads(ctx, tx, []string{orgID})
	if err != nil {
		return edge{}, err
	}
	return heads[0], nil
}
