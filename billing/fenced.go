package billing

import (
	"context"
	"errors"

	"github.com/orgkit/orgkit/store"
)

var errFenced = errors.New("billing: the node was fenced")

// own locks the node of this engine, and makes it when this is its first write. It is errFenced when the node was fenced,
// or when the database has lost what this node has written, as one may that is put back from a backup, or fails over to
// where not every commit has come (billing edge 31): then the batch is told what it still has.
func (e *engine) own(ctx context.Context, tx *store.Tx, b *batch) (node, error) {
	e.mu.Lock()
	id, known := e.node.ID, e.known
	e.mu.Unlock()
	b.left = nil
	n, err := nodes.Lock(ctx, tx, id)
	missing := errors.Is(err, store.ErrNotFound)
	switch {
	case missing && !known:
		return node{Meta: store.Meta{ID: id}}, nil
	case err != nil && !missing:
		return n, err
	case missing, n.Seq < b.seq-1:
		theirs, err := leasesOf(ctx, tx, id)
		if err != nil {
			return n, err
		}
		b.left = make(map[string]int64, len(theirs))
		for _, rec := range theirs {
			b.left[rec.AccountID] = int64(rec.Amount)
		}
		return n, errFenced
	case n.Fenced:
		return n, errFenced
	}
	return n, nil
}

// remnant is what a node that was fenced had of an account.
type remnant struct {
	remains
	till   *till
	leased int64 // as far as it knew
}

// startAnew is what becomes of a node that was fenced: everything in its memory is counted as spent, so nobody may take
// from it any more, and what calls settle of what they held is paid already. What no call has ever held of it is told the
// ledger, once, which gives it back. Soft budgets, of which nothing was leased, and what calls cost beyond what was leased
// are paid by the next node.
func (e *engine) startAnew(b *batch) {
	had := map[string]*remnant{}
	tell := func(t *till, r remains) {
		if !t.hard {
			return
		}
		if had[t.account] == nil {
			had[t.account] = &remnant{till: t, leased: int64(t.lease.Amount)}
		}
		had[t.account].free += r.free
		had[t.account].settled += r.settled
	}
	for _, ln := range b.lines {
		if b.done { // before it was fenced, though nobody had heard of it: what went back is back
			*ln.till.settled -= ln.settled
			*ln.till.free += ln.due() - ln.paid()
		} else {
			tell(ln.till, remains{free: ln.back})
		}
	}
	for _, f := range e.funds {
		if f.lost { // with another node
			continue
		}
		f.close()
		settled := f.cell.Load().settled.Swap(0)
		free := f.drain()
		f.lost = true
		f.taken -= settled + free
		for _, t := range f.tills {
			if tell(t, remains{free: free, settled: settled}); !t.hard {
				*t.settled += settled
			}
		}
		e.journal.dropCell(f)
	}
	for key, t := range e.tills {
		if tell(t, remains{free: *t.free, settled: *t.settled}); t.hard {
			delete(e.tills, key)
			e.drop(t)
		}
	}
	clear(e.wants)
	late := e.node.ID
	e.rename()
	e.limiter.Fenced() // before anybody hears of the name, and claims by it
	e.reports = append(e.reports, report{late, e.inherit(had, b.left)})
	e.round.end(nil) // whoever waits looks again
	e.round = newRound()
}

// inherit has the next node pay what the leases of the last one do not, and returns what is to be told of them. Where the
// database has lost writes, left is what it knows to be leased: calls may hold more than that.
func (e *engine) inherit(had map[string]*remnant, left map[string]int64) map[string]remains {
	proof := make(map[string]remains, len(had))
	for account, r := range had {
		switch out := r.leased - r.free; {
		case left != nil:
			if beyond := out - left[account]; beyond > 0 {
				e.owe(r.till, beyond)
			}
			r.free = min(r.free, left[account]-out)
		case r.free < 0:
			e.owe(r.till, -r.free)
		}
		proof[account] = r.remains
	}
	return proof
}

// owe has the account of a till that is lost pay what was spent beyond all that was leased of it.
func (e *engine) owe(lost *till, n int64) {
	t := e.tills[lost.key()]
	if t == nil {
		t = &till{account: lost.account, hard: lost.hard, budget: lost.budget, start: lost.start, end: lost.end}
		e.journal.till(t)
		e.tills[t.key()] = t
	}
	*t.settled += n
	*t.free -= n
}

// report is what a fenced node says of itself.
type report struct {
	node  string
	proof map[string]remains
}
