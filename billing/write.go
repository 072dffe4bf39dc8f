package billing

import (
	"context"
	"errors"
	"fmt"
	"time"

	otel "go.opentelemetry.io/otel/attribute"

	"github.com/orgkit/orgkit/store"
)

// batch is everything that one transaction writes. It is done once: until it is known whether it was, it is sent
// again as it is, under its number, and what comes meanwhile waits for the next.
type batch struct {
	seq   int64
	lines []*line
	round *round
	done  bool             // though the node was fenced afterwards
	left  map[string]int64 // what is leased in a database that has lost what this node wrote last; nil: it has not
}

// run looks at the funds and writes as long as anything is left to be done. When everything is written and returned it
// ends: an idle process has no transactions.
func (e *engine) run(ended chan struct{}) {
	defer close(ended)
	tick := time.NewTicker(e.opt.Flush)
	defer tick.Stop()
	var failures int
	for {
		select {
		case <-e.wake:
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), e.opt.Timeout)
		err := e.work(ctx)
		cancel()
		if err == nil {
			failures = 0
		} else if failures++; failures > 1 { // the database is away: it is asked less and less often, up to once a second
			time.Sleep(min(time.Second, e.opt.Flush<<min(failures-2, 8)))
		}
		if e.rest(err) {
			return
		}
	}
}

// rest says whether nothing is left to be done, and ends the loop if so.
func (e *engine) rest(err error) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if errors.Is(err, store.ErrClosed) { // nothing can be written any more
		e.running = false
		e.finish(err)
		return true
	}
	if e.closed && err == nil && !e.flushed && e.sent == nil && !e.unwritten() {
		e.running = false
		return true
	}
	if e.sent != nil || len(e.funds) > 0 || len(e.wants) > 0 || len(e.reports) > 0 || e.flushed && err != nil || e.suspect || e.limiter.busy() {
		return false
	}
	for _, t := range e.tills {
		if *t.settled != 0 || t.lease.Amount != 0 || *t.free != 0 {
			return false
		}
	}
	if len(e.asleep) > 0 { // nobody would see their periods end
		e.closeThose(func(*fund) bool { return true })
		return false
	}
	e.running = false
	for _, t := range e.tills {
		e.drop(t)
	}
	clear(e.tills)
	e.finish(nil)
	return true
}

// drop lets a till go that is empty or lost. A fund that has it may come back with it, and by then its lease may be another
// one.
func (e *engine) drop(t *till) {
	e.journal.dropTill(t)
	t.lease, *t.free, *t.settled = lease{}, 0, 0
}

func (e *engine) unwritten() bool {
	for _, t := range e.tills {
		if *t.settled != 0 {
			return true
		}
	}
	return false
}

// finish ends the round that is open.
func (e *engine) finish(err error) {
	e.flushed = false
	e.round.end(err)
	e.round = newRound()
}

// work is one look at everything, and one transaction if anything is to be written.
func (e *engine) work(ctx context.Context) error {
	e.mu.Lock()
	b := e.sent
	resent := b != nil
	if !resent {
		b = e.gather()
		e.sent = b
	}
	survey := e.running && time.Since(e.checked) >= checkEvery
	if survey {
		e.checked = time.Now()
	}
	e.mu.Unlock()
	if b != nil {
		err := e.commit(ctx, b)
		e.mu.Lock()
		switch {
		case err == nil:
			e.apply(b)
			e.sent = nil
		case errors.Is(err, errFenced):
			e.sent = nil
			e.startAnew(b)
			e.hurry()
		}
		err = unavailable(err)
		b.round.end(err)
		if err != nil && resent {
			e.finish(err)
		}
		e.mu.Unlock()
		if err != nil {
			return err
		}
	}
	if !survey {
		return nil
	}
	if err := e.check(ctx); err != nil {
		e.mu.Lock()
		e.checked = time.Time{}
		e.mu.Unlock()
		return err
	}
	if time.Since(e.watched) < e.beat() {
		return nil
	}
	e.watched = time.Now()
	return e.watchOver(ctx)
}

// checkEvery is how often the marks of the budgets in use are compared, and other nodes looked at.
const checkEvery = time.Second

// unavailable is nil where the calls that waited only have to look again.
func unavailable(err error) error {
	if err == nil || errors.Is(err, errFenced) {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// commit writes a batch. It leaves the lines as the database knows them.
func (e *engine) commit(ctx context.Context, b *batch) (err error) {
	ctx, piece := e.writes.Begin(ctx)
	piece.Note(otel.Int("orgkit.accounts", len(b.lines)))
	defer func() {
		if errors.Is(err, errFenced) { // which is no failure: see startAnew
			piece.Note(otel.Bool("orgkit.fenced", true))
			piece.End(nil)
			return
		}
		piece.End(err)
	}()
	for try := 1; ; try++ {
		var n node
		err := e.store.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			if n, err = e.own(ctx, tx, b); err != nil {
				return err
			}
			if n.Seq >= b.seq { // it was done already when it seemed to have failed
				return reread(ctx, tx, b, n.ID)
			}
			if time.Since(e.counted) >= checkEvery {
				live, err := living(ctx, tx)
				if err != nil {
					return err
				}
				if n.Version == 0 { // it is not there yet
					live++
				}
				e.live.Store(live)
				e.counted = time.Now()
			}
			if err := e.ledger.post(ctx, tx, b, n.ID, e.live.Load()); err != nil {
				return err
			}
			n.Seq = b.seq
			return nodes.Put(ctx, tx, []*node{&n})
		})
		switch {
		case err == nil:
			e.mu.Lock()
			e.node, e.known, e.beaten = n, true, time.Now()
			e.mu.Unlock()
		case errors.Is(err, errFenced):
			b.done = n.Seq >= b.seq
		case errors.Is(err, store.ErrConflict) && try < 5: // somebody has made what this one would make
			continue
		}
		return err
	}
}

// reread finds out what has become of the leases of a batch that was done.
func reread(ctx context.Context, tx *store.Tx, b *batch, nodeID string) error {
	for _, ln := range b.lines {
		if !ln.till.hard {
			continue
		}
		rec, err := leases.Get(ctx, tx, leaseID(nodeID, ln.till.account))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		ln.short = ln.due() - ln.paid()
		ln.granted = int64(rec.Amount-ln.till.lease.Amount) + ln.paid()
		ln.lease, ln.refused = rec, false
	}
	return nil
}

// post writes the lines of a batch into their accounts and leases.
func (l *Ledger) post(ctx context.Context, tx *store.Tx, b *batch, nodeID string, living int64) error {
	if len(b.lines) == 0 {
		return nil
	}
	ids := make([]string, len(b.lines))
	for i, ln := range b.lines {
		ids[i] = ln.till.account
	}
	s, err := l.sheet(ctx, tx, ids)
	if err != nil {
		return err
	}
	var leased []*lease
	var ended []string
	for _, ln := range b.lines {
		t := ln.till
		a, err := s.of(ctx, tx, ln.budget, t.start, ln.end)
		if err != nil {
			return err
		}
		if err := ln.post(a, living); err != nil {
			return err
		}
		switch {
		case ln.lease.Amount == t.lease.Amount:
		case ln.lease.Amount == 0:
			ended = append(ended, ln.lease.ID)
			ln.lease = lease{}
		default:
			if ln.lease.ID == "" {
				ln.lease = lease{Meta: store.Meta{ID: leaseID(nodeID, a.ID)}, NodeID: nodeID, AccountID: a.ID, Amount: ln.lease.Amount}
			}
			leased = append(leased, &ln.lease)
		}
	}
	if err := s.keep(ctx, tx); err != nil {
		return err
	}
	if err := leases.Put(ctx, tx, leased); err != nil {
		return err
	}
	return leases.DeleteMany(ctx, tx, ended)
}

// post brings an account to where the line leaves it.
func (ln *line) post(a *account, living int64) error {
	t := ln.till
	ln.lease, ln.granted, ln.short = t.lease, 0, 0
	ln.changed = a.Hard != t.hard
	paid := ln.paid()
	if t.hard {
		ln.short = ln.due() - paid
		ln.lease.Amount -= Pico(paid)
	}
	a.Spent = a.Spent.Add(Pico(ln.settled).Decimal())
	a.Reserved = a.Reserved.Sub(Pico(paid).Decimal())
	if ln.short > 0 || !t.hard { // it has cost more than was leased, or nobody has asked
		a.balance()
	} else if err := a.shrink(); err != nil {
		return err
	}
	left := a.room()
	ln.limit, ln.left = a.Limit, left
	if ln.least > 0 || ln.wish > 0 {
		n := int64(maxLease)
		if a.Hard && left.LessThan(Pico(maxLease).Decimal()) {
			floor, err := FloorPico(left)
			if err != nil {
				return err
			}
			n = int64(floor)
		}
		ln.granted = ln.grant(n, living)
		a.Reserved = a.Reserved.Add(Pico(ln.granted).Decimal())
		ln.lease.Amount += Pico(ln.granted)
	}
	ln.refused = ln.least > 0 && ln.granted == 0
	return nil
}

// apply brings what was written into the tills.
func (e *engine) apply(b *batch) {
	for _, ln := range b.lines {
		t := ln.till
		e.journal.sent(t)
		t.lease = ln.lease
		*t.settled -= ln.settled
		*t.free += ln.short + ln.granted
		if ln.granted > 0 {
			t.refusal = refusal{}
			t.used = e.look
			t.granted.n, t.granted.look = ln.granted, e.look
		}
		if ln.refused {
			t.refusal = refusal{round: b.round, until: time.Now().Add(retryRefused), least: ln.least, limit: ln.limit, left: ln.left}
		} else if t.refusal.round != nil && time.Now().After(t.refusal.until) {
			t.refusal = refusal{}
		}
		if ln.changed {
			for _, f := range t.funds {
				e.closeFund(f)
			}
		}
	}
}

// end ends the round, once.
func (r *round) end(err error) {
	select {
	case <-r.done:
	default:
		r.err = err
		close(r.done)
	}
}
