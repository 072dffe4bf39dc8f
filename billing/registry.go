package billing

import (
	"context"
	"errors"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Nodes are the processes that share the database, as the ledgers know them: for the limiter that goes with this ledger,
// of which there is one ([LimiterOptions.Nodes]). A process is among them from its first claim of a limit or lease of a
// budget on, and heard of as long as it has any. When it is fenced its slots are free, in the same unit.
//
// None of them takes itself for alone: another one may just have come.
func (l *Ledger) Nodes() Nodes { return l.engine }

// Node is of [Nodes].
func (e *engine) Node() string { return *e.name.Load() }

// Live is of [Nodes], as last counted: at most a second ago by who writes much, else as often as nodes look after each other.
func (e *engine) Live() int { return int(e.live.Load()) }

// AloneSince is of [Nodes].
func (e *engine) AloneSince() (time.Time, bool) { return time.Time{}, false }

// Holds is of [Nodes]. It makes the node where this is its first write.
func (e *engine) Holds(ctx context.Context, tx *store.Tx, name string) error {
	e.mu.Lock()
	id, known, closed := e.node.ID, e.known, e.closed
	e.mu.Unlock()
	switch {
	case closed:
		return store.ErrClosed
	case id != name:
		return errFenced
	}
	n, err := nodes.Lock(ctx, tx, name)
	if errors.Is(err, store.ErrNotFound) && !known {
		switch fresh, err := nodes.InsertNew(ctx, tx, &node{Meta: store.Meta{ID: name}}); {
		case err != nil:
			return err
		case fresh:
			return e.appear(ctx, tx, name)
		}
		n, err = nodes.Lock(ctx, tx, name) // which the ledger has just made
	}
	if errors.Is(err, store.ErrNotFound) || err == nil && n.Fenced {
		return errFenced
	}
	return err
}

// appear notes, once it is so, that the node is in the database.
func (e *engine) appear(ctx context.Context, tx *store.Tx, name string) error {
	n, err := living(ctx, tx)
	if err != nil {
		return err
	}
	tx.AfterCommit(func() {
		e.live.Store(n)
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.node.ID == name {
			e.known, e.beaten = true, time.Now()
		}
	})
	return nil
}

// rename gives the node an id that no node ever had.
func (e *engine) rename() {
	id := e.store.NewID("node")
	e.node, e.known = node{Meta: store.Meta{ID: id}}, false
	e.name.Store(&id)
	e.journal.begin(id)
}

// stay has this node heard of as long as its limiter has anything.
func (e *engine) stay() {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.begin()
	}
}

// renew waits until a node that was found to be fenced has another name, or that could not be found out: a write does.
func (e *engine) renew(ctx context.Context, fenced string) {
	for e != nil {
		e.mu.Lock()
		if e.node.ID != fenced || e.closed {
			e.mu.Unlock()
			return
		}
		e.suspect = true
		e.begin()
		r := e.round
		e.hurry()
		e.mu.Unlock()
		select {
		case <-r.done:
			if r.err != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
