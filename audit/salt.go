package audit

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"

	"github.com/orgkit/orgkit/store"
)

// Salts are drawn, each saltBlock of them, from a seed: the root of a binary tree in which what follows from a node are the
// halves of its hash (the tree of Goldreich, Goldwasser and Micali), down to the salts as leaves. Of a node one can tell
// all salts below it and no other. So an export says those of its events by a few nodes, and what is kept of a block once
// one of its events is erased are the nodes beside the way to that salt: from then on nobody finds it, and all others stay.
//
// The salt of an event that was sealed before it had a place is its own.
const (
	saltBytes = 16
	saltLevel = 8
	saltBlock = 1 << saltLevel
)

// seedBlock is what is kept of the seeds of a block of events.
type seedBlock struct {
	OrgID string `store:"word"`
	N     int64  // the how manieth
	Seeds []byte // see seedTree
}

var seeds = store.DefineLog[seedBlock]("audit_seeds", []string{"org_id", "n"})

// seed is a node: of the salts of 1<<level events, of which the first has the sequence at.
type seed struct {
	level int
	at    int64
	bytes []byte
}

func (s seed) below() int64 { return s.at + 1<<s.level }

// child is the left or the right half of what follows from a node, which has some below it.
func (s seed) child(right int64) seed {
	sum := sha256.Sum256(s.bytes)
	return seed{s.level - 1, s.at + right<<(s.level-1), sum[right*saltBytes : (right+1)*saltBytes]}
}

// salt is that of an event that is below the node.
func (s seed) salt(seq int64) []byte {
	for s.level > 0 {
		s = s.child((seq - s.at) >> (s.level - 1))
	}
	return s.bytes
}

// seedTree is nodes from left to right, none below another. It is encoded as the level of each, where in its block it
// begins, and its bytes.
type seedTree []seed

// newSeeds are those of a block.
func newSeeds(orgID string, n int64) seedBlock {
	b := make([]byte, 2+saltBytes)
	b[0] = saltLevel
	rand.Read(b[2:]) // never fails
	return seedBlock{orgID, n, b}
}

// tree are the nodes; of those that are damaged it returns none, so that an export has the salts themselves.
func (b *seedBlock) tree() (t seedTree) {
	next := b.N << saltLevel
	for rest := b.Seeds; len(rest) > 0; rest = rest[2+saltBytes:] {
		if len(rest) < 2+saltBytes {
			return nil
		}
		s := seed{int(rest[0]), b.N<<saltLevel + int64(rest[1]), rest[2 : 2+saltBytes]}
		if s.level > saltLevel || s.at < next || s.at&(1<<s.level-1) != 0 {
			return nil
		}
		next = s.below()
		t = append(t, s)
	}
	return t
}

func (t seedTree) encode() (b []byte) {
	for _, s := range t {
		b = append(append(b, byte(s.level), byte(s.at&(saltBlock-1))), s.bytes...)
	}
	return b
}

// salt is that of an event, nil where none of the nodes tells it.
func (t seedTree) salt(seq int64) []byte {
	for _, s := range t {
		if s.at <= seq && seq < s.below() {
			return s.salt(seq)
		}
	}
	return nil
}

// only are the nodes that tell the salts of those events that keep says yes to.
func (t seedTree) only(keep func(seq int64) bool) (out seedTree) {
	for _, s := range t {
		out = append(out, s.only(keep)...)
	}
	return out
}

func (s seed) only(keep func(seq int64) bool) seedTree {
	all, none := true, true
	for seq := s.at; seq < s.below(); seq++ {
		if keep(seq) {
			none = false
		} else {
			all = false
		}
	}
	switch {
	case all:
		return seedTree{s}
	case none:
		return nil
	}
	return append(s.child(0).only(keep), s.child(1).only(keep)...)
}

// draw draws salts for the events of an organization, one after another.
type draw struct {
	orgID string
	n     int64 // of the block, -1 for none
	tree  seedTree
}

// drawBehind goes on behind the newest block that is kept, if there is one.
func drawBehind(orgID string, newest []seedBlock) draw {
	if len(newest) == 0 {
		return draw{orgID: orgID, n: -1}
	}
	return draw{orgID, newest[0].N, newest[0].tree()}
}

// salt gives the row the salt of its place. fresh is to be kept, where it is the first one of its block.
func (d *draw) salt(r *row) (fresh []seedBlock) {
	if n := r.Seq >> saltLevel; n > d.n {
		fresh = []seedBlock{newSeeds(d.orgID, n)}
		d.n, d.tree = n, fresh[0].tree()
	}
	if r.Salt = d.tree.salt(r.Seq); r.Salt == nil { // what is kept is damaged
		r.drawSalt()
	}
	return fresh
}

// forgetSalts has the seeds of an organization tell the salts of some events no more.
func forgetSalts(ctx context.Context, tx *store.Tx, orgID string, salts map[int64][]byte) error {
	numbers := map[int64]bool{}
	for seq := range salts {
		numbers[seq>>saltLevel] = true
	}
	for _, n := range slices.Sorted(maps.Keys(numbers)) {
		r := store.Range{Equal: []any{orgID, n}, Limit: 1}
		there, err := seeds.Scan(ctx, tx, r)
		if err != nil {
			return err
		}
		if len(there) == 0 {
			continue
		}
		taken, err := seeds.Claim(ctx, tx, r)
		if err != nil {
			return err
		}
		if len(taken) == 0 {
			return fmt.Errorf("%w: somebody else erases events beside these", store.ErrTransient)
		}
		t := taken[0].tree()
		taken[0].Seeds = t.only(func(seq int64) bool {
			salt, gone := salts[seq]
			return !gone || !bytes.Equal(salt, t.salt(seq))
		}).encode()
		if err := seeds.Append(ctx, tx, taken[0]); err != nil {
			return err
		}
	}
	return nil
}

// seedReader reads the seeds of an organization, block after block.
type seedReader struct {
	orgID string
	read  []seedBlock // from the block that was asked for last on
	end   bool        // there are no more
}

// block returns the tree of a block, nil where nothing is kept of it. Blocks are asked for in order.
func (r *seedReader) block(ctx context.Context, tx *store.Tx, n int64) (seedTree, error) {
	const some = 32
	for len(r.read) > 0 && r.read[0].N < n {
		r.read = r.read[1:]
	}
	if len(r.read) == 0 && !r.end {
		var err error
		if r.read, err = seeds.Scan(ctx, tx, store.Range{Equal: []any{r.orgID}, From: n, Limit: some}); err != nil {
			return nil, err
		}
		r.end = len(r.read) < some
	}
	if len(r.read) == 0 || r.read[0].N != n {
		return nil, nil
	}
	return r.read[0].tree(), nil
}
