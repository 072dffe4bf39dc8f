package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/orgkit/orgkit/store"
)

// Entry is an event with what its leaf is made of besides: it can be proved. A line of an export is its JSON
// without what is empty or follows from the lines before, see [Log.Export].
type Entry struct {
	Event
	// Salt is hashed with what is personal: 16 bytes. Of an erased event it is the hash of both, 32 bytes.
	Salt []byte `json:"salt"`
}

func (r *row) entry() (Entry, error) {
	e, err := r.event()
	return Entry{e, r.Salt}, err
}

// Leaf is the hash of the entry in the tree. One that cannot have been written is an error.
func (r *Entry) Leaf() (tlog.Hash, error) {
	e := r.Event
	e.Before, e.After, e.Data = bounded(e.Before), bounded(e.After), bounded(e.Data) // null is nothing
	w := rowOf(&e)
	w.Salt = r.Salt
	switch {
	case r.Erased && len(r.Salt) != sha256.Size || !r.Erased && len(r.Salt) != saltBytes:
		return tlog.Hash{}, errors.New("audit: the salt of an entry has another length")
	case r.Erased && !bytes.Equal(w.Personal, personal(&Event{})):
		return tlog.Hash{}, errors.New("audit: an erased entry says more than it can")
	case w.At.UnixMicro()*1000 != r.Time.UnixNano() || r.Time.Sub(r.OccurredAt).Microseconds() != w.Lag || r.Time.Sub(r.OccurredAt)%1000 != 0:
		return tlog.Hash{}, errors.New("audit: an entry has times that none can have")
	}
	return w.leaf(), nil
}

// Proof shows that an event is in a log that was signed for: that the tree of the checkpoint has it as its leaf
// at the place that it says.
type Proof struct {
	Entry      Entry       `json:"entry"`
	Hashes     []tlog.Hash `json:"hashes"`     // of the inclusion proof, RFC 6962, section 2.1.1
	Checkpoint string      `json:"checkpoint"` // the signed note
}

// Verify checks the proof, and that its checkpoint is one of the log of that origin.
func (p *Proof) Verify(origin string, verifiers note.Verifiers) (Checkpoint, error) {
	c, err := ReadCheckpoint(p.Checkpoint, verifiers)
	if err != nil {
		return c, err
	}
	if c.Origin != origin {
		return c, fmt.Errorf("audit: the checkpoint is of %q", c.Origin)
	}
	leaf, err := p.Entry.Leaf()
	if err != nil {
		return c, err
	}
	if p.Entry.Seq < 0 || p.Entry.Seq >= c.Size {
		return c, errors.New("audit: the checkpoint is older than the event")
	}
	return c, tlog.CheckRecord(p.Hashes, c.Size, c.Root, p.Entry.Seq, leaf)
}

// Prove returns the proof that an event is in the log, by the newest checkpoint. It is not called inside of a
// unit. Of an event that is not there, or pruned, it is store.ErrNotFound.
func (l *Log) Prove(ctx context.Context, orgID string, seq int64) (p Proof, err error) {
	c, err := l.Checkpoint(ctx, orgID)
	if err != nil {
		return p, err
	}
	if seq < 0 || seq >= c.Size {
		return p, store.ErrNotFound
	}
	p.Checkpoint = c.Note
	err = l.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		k, err := eventAt(ctx, tx, orgID, seq)
		if err != nil {
			return err
		}
		if p.Entry, err = k.entry(l.opt.Seal); err != nil {
			return err
		}
		p.Hashes, err = tlog.ProveRecord(c.Size, seq, &tree{ctx: ctx, tx: tx, orgID: orgID})
		return err
	})
	return p, err
}

// eventAt returns the event at a place, store.ErrNotFound where it is not there or not any more.
func eventAt(ctx context.Context, tx *store.Tx, orgID string, seq int64) (kept, error) {
	found, err := inBlocks(ctx, tx, place{orgID, seq >> blockLevel})
	if err != nil {
		return kept{}, err
	}
	k := found[place{orgID, seq}]
	if k == nil {
		return kept{}, store.ErrNotFound
	}
	return *k, nil
}

// Root returns the root of the tree that the first events of an organization are, as many as the size says. A size that
// the log has not reached is store.ErrNotFound, one from before a prune [ErrPruned].
func (l *Log) Root(ctx context.Context, orgID string, size int64) (h Hash, err error) {
	if size < 1 {
		return h, store.ErrNotFound
	}
	err = l.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		head, err := l.head(ctx, tx, orgID)
		if err != nil {
			return err
		}
		if size > head.size {
			return store.ErrNotFound
		}
		t := tree{ctx: ctx, tx: tx, orgID: orgID}
		e := edge{size: size}
		if e.hashes, err = t.read(parts(size)); err == nil {
			h = e.root()
		}
		return err
	})
	return h, err
}

// ProveConsistency returns the hashes that show that the tree of the first size holds the same events as the
// beginning of that of the second (RFC 6962, section 2.1.2), for [tlog.CheckTree]: nothing was changed between two
// checkpoints. Sizes that the log has not reached are store.ErrNotFound, from before a prune [ErrPruned].
func (l *Log) ProveConsistency(ctx context.Context, orgID string, from, to int64) (hashes []tlog.Hash, err error) {
	if err := l.catchUp(ctx); err != nil {
		return nil, err
	}
	err = l.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		head, err := l.head(ctx, tx, orgID)
		if err != nil {
			return err
		}
		if from < 1 || from > to || to > head.size {
			return store.ErrNotFound
		}
		hashes, err = tlog.ProveTree(to, from, &tree{ctx: ctx, tx: tx, orgID: orgID})
		return err
	})
	return hashes, err
}
