package billing

import (
	"context"
	"errors"
	"time"

	"github.com/orgkit/orgkit/store"
)

// sighting is how another node looked, and since when it has looked so by the clock of this process: no clock of
// another one counts (billing edge 27).
type sighting struct {
	version int64
	since   time.Time
}

// forgetAfter is how long a fenced node may still say what it had.
const forgetAfter = 7 * 24 * time.Hour

// watchOver looks after the other nodes: what the journals of dead ones prove is given back, those that are not heard of
// are fenced, and what this one has to report of nodes that it was is told.
func (e *engine) watchOver(ctx context.Context) error {
	e.watching.Lock()
	defer e.watching.Unlock()
	e.mu.Lock()
	own, reports := e.node.ID, e.reports
	e.mu.Unlock()
	for _, r := range reports {
		if err := e.reclaim(ctx, r.node, r.proof); err != nil {
			return err
		}
		e.mu.Lock()
		e.reports = e.reports[1:]
		e.mu.Unlock()
	}
	for _, dead := range e.journal.orphans() {
		if err := e.reclaim(ctx, dead.node, dead.proof); err != nil {
			dead.close()
			return err
		}
		dead.remove()
	}
	var silent []node
	var old []string
	err := e.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		silent, old = nil, nil
		seen, live := map[string]sighting{}, int64(1)
		for n, err := range nodes.All(ctx, tx, store.Query{}) {
			switch {
			case err != nil:
				return err
			case n.ID == own:
			case n.Fenced && tx.Now().Sub(n.UpdatedAt) > forgetAfter:
				old = append(old, n.ID)
			case n.Fenced:
			case e.seen[n.ID].version != n.Version:
				seen[n.ID] = sighting{n.Version, time.Now()}
				live++
			default:
				seen[n.ID] = e.seen[n.ID]
				live++
				if time.Since(seen[n.ID].since) >= e.opt.Silence {
					silent = append(silent, n)
				}
			}
		}
		e.seen = seen
		e.live.Store(live)
		return nil
	})
	if err != nil {
		e.seen = nil // who was not heard of while the database was away may not have been able to say anything
		return err
	}
	for _, n := range silent {
		if err := e.silence(ctx, n); err != nil {
			return err
		}
	}
	for _, id := range old {
		if err := e.reclaim(ctx, id, map[string]remains{}); err != nil {
			return err
		}
	}
	return nil
}

// silence fences a node unless it was heard of meanwhile, as one is that was idle.
func (e *engine) silence(ctx context.Context, seen node) error {
	return e.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		switch is, err := nodes.Lock(ctx, tx, seen.ID); {
		case errors.Is(err, store.ErrNotFound):
			return nil
		case err != nil:
			return err
		case is.Version != seen.Version:
			return nil
		}
		return e.ledger.fence(ctx, tx, seen.ID, nil)
	})
}

// reclaim fences a node. A proof says what was never held by a call, and can only come from who knows that no call
// holds anything of it any more: from the node itself after it has closed its funds, or out of a journal whose lock the
// kernel has released, which it does when the process is gone and not before. A lease that has run out proves
// nothing: its holder may only sleep.
func (e *engine) reclaim(ctx context.Context, id string, proof map[string]remains) error {
	err := e.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		return e.ledger.fence(ctx, tx, id, proof)
	})
	if errors.Is(err, store.ErrNotFound) { // somebody else has been here
		return nil
	}
	return err
}

// flush has the loop write and return everything.
func (e *engine) flush(ctx context.Context) error {
	if e.store.InUnit(ctx) {
		return nil
	}
	e.mu.Lock()
	if !e.running || e.closed {
		e.mu.Unlock()
		return nil
	}
	e.flushed = true
	r := e.round
	e.hurry()
	e.mu.Unlock()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close ends the engine: everything that is settled is written, everything that no call holds returned, and the node
// goes. What calls still hold counts as spent.
func (e *engine) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), e.opt.Timeout)
	defer cancel()
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	e.closeThose(func(*fund) bool { return true })
	running, ended := e.running, e.ended
	e.flushed = running
	r := e.round
	e.hurry()
	e.mu.Unlock()
	var err error
	if running {
		select {
		case <-r.done:
			err = r.err
		case <-ctx.Done():
			err = ctx.Err()
		}
		select {
		case <-ended:
		case <-ctx.Done():
			err = errors.Join(err, ctx.Err())
		}
	}
	if e.quiet != nil {
		e.quiet()
	}
	if errors.Is(err, store.ErrClosed) {
		return nil
	}
	e.mu.Lock()
	reports := e.reports
	e.mu.Unlock()
	for _, r := range reports {
		err = errors.Join(err, e.reclaim(ctx, r.node, r.proof))
	}
	if e.known && err == nil {
		err = e.reclaim(ctx, e.node.ID, map[string]remains{})
	}
	e.journal.end(err == nil)
	return err
}
