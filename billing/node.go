package billing

import (
	"context"
	"errors"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// node is a process that has money of budgets, or slots of limits, in its memory. The id of a node is its epoch: one that
// was fenced never comes back, and its process goes on as another.
type node struct {
	store.Meta
	Seq    int64 // of the last write of this node: none is done twice
	Fenced bool  // its leases are counted as spent; it may take no more
}

var nodes = store.Define[node]("budget_nodes", "node", store.Index("fenced", "id"))

// lease is what a node has of an account. It is written by its node alone until that is fenced, and then by whoever
// can say what became of it.
type lease struct {
	store.Meta
	NodeID    string
	AccountID string
	Amount    Pico
}

var leases = store.Define[lease]("budget_leases", "lease", store.Index("node_id", "id"))

func leaseID(node, account string) string { return "lease_" + node + "_" + account }

// remains says what of a lease was never held by a call, and what is known to be spent. It takes a proof: see
// [engine.reclaim].
type remains struct {
	free, settled int64
	sent          sending
}

// at is what remains when the last write that the database has of the node is that of this number, and has left so much
// leased.
func (r remains) at(seq, leased int64) remains {
	switch {
	case r.sent.seq == 0:
	case r.sent.seq > seq:
		r.free += r.sent.back
	default: // it was written, and the process has not come to count it
		r.free += leased - (r.sent.lease - r.sent.settled - r.sent.back)
		r.settled -= r.sent.settled
	}
	return r
}

// fence ends a node: everything that it has leased counts as spent from now on, and its slots are free (billing edges
// 17, 28). It is safe at any time, by anyone, without a clock and without knowing whether the node lives: a node that does live finds out
// before it takes or gives anything again, and what it spends meanwhile is counted already. A false alarm costs a
// part of the budget, and never more than there is of it.
//
// proof, which may be nil, says what was never held: that is given back. After a proof nothing is left to find
// out, and the node goes; without one it stays fenced so that one may still come.
func (l *Ledger) fence(ctx context.Context, tx *store.Tx, id string, proof map[string]remains) error {
	n, err := nodes.Lock(ctx, tx, id)
	if err != nil || n.Fenced && proof == nil {
		return err
	}
	theirs, err := leasesOf(ctx, tx, id)
	if err != nil {
		return err
	}
	ids := make([]string, len(theirs))
	for i, rec := range theirs {
		ids[i] = rec.AccountID
	}
	s, err := l.sheet(ctx, tx, ids)
	if err != nil {
		return err
	}
	for _, rec := range theirs {
		a := s.by[rec.AccountID]
		if a == nil {
			return errors.New("billing: a lease without an account")
		}
		whole := rec.Amount.Decimal()
		if !n.Fenced {
			if err := a.pay(whole, whole); err != nil {
				return err
			}
			a.Forfeited = a.Forfeited.Add(whole)
		}
		if r, known := proof[rec.AccountID]; known {
			r = r.at(n.Seq, int64(rec.Amount))
			back := Pico(max(0, min(r.free, int64(rec.Amount)))).Decimal()
			spent := Pico(max(0, r.settled)).Decimal()
			a.Spent = a.Spent.Sub(back)
			a.Forfeited = decimal.Max(decimal.Zero, a.Forfeited.Sub(back).Sub(spent))
			if err := a.shrink(); err != nil {
				return err
			}
		}
	}
	if err := s.keep(ctx, tx); err != nil {
		return err
	}
	if err := freeSlots(ctx, tx, id); err != nil {
		return err
	}
	if proof == nil {
		n.Fenced = true
		return nodes.Update(ctx, tx, &n)
	}
	return forget(ctx, tx, id, theirs)
}

// leasesOf are the leases of a node.
func leasesOf(ctx context.Context, tx *store.Tx, id string) (theirs []lease, err error) {
	for rec, err := range leases.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("node_id", id)}}) {
		if err != nil {
			return nil, err
		}
		theirs = append(theirs, rec)
	}
	return theirs, nil
}

// forget removes a node about which nothing is left to find out.
func forget(ctx context.Context, tx *store.Tx, id string, theirs []lease) error {
	ids := make([]string, len(theirs))
	for i, rec := range theirs {
		ids[i] = rec.ID
	}
	if err := leases.DeleteMany(ctx, tx, ids); err != nil {
		return err
	}
	return nodes.Delete(ctx, tx, id)
}

// living is how many nodes are there that were not fenced.
func living(ctx context.Context, tx *store.Tx) (int64, error) {
	n, err := nodes.Count(ctx, tx, store.Eq("fenced", false))
	return int64(n), err
}
