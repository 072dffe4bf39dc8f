package billing

import "time"

// gather looks at every fund and till and says what is to be written, nil for nothing.
func (e *engine) gather() *batch {
	e.look = int64(time.Since(e.born) / e.opt.Flush)
	e.endPeriods(e.store.Now())
	for f := e.told.Swap(nil); f != nil; {
		next := f.next
		f.next = nil
		f.told.Store(false) // before it is looked at: what comes meanwhile tells again
		if f.state == awake || f.cell.Load().settled.Load() != 0 {
			e.enliven(f)
			e.lookAt(f)
		}
		f = next
	}
	e.sweepIdle()
	b := &batch{seq: e.node.Seq + 1, round: e.round}
	holds := false
	for key, t := range e.tills {
		ln := e.lineOf(t)
		if ln.settled != 0 || ln.back != 0 || ln.least != 0 || ln.wish != 0 && ln.wish > *t.free {
			b.lines = append(b.lines, ln)
		} else if len(t.funds) == 0 && t.lease.Amount == 0 && *t.free == 0 && *t.settled == 0 {
			delete(e.tills, key)
			e.drop(t)
		}
		holds = holds || t.lease.Amount > 0
	}
	clear(e.wants)
	due := (holds || e.limiter.busy()) && time.Since(e.beaten) >= e.beat() || e.suspect
	if len(b.lines) == 0 && !e.flushed && !due {
		return nil
	}
	if len(b.lines) == 0 && !holds && !due { // somebody waits, and everything is done
		e.finish(nil)
		return nil
	}
	e.flushed, e.suspect = false, false
	e.round = newRound()
	e.journal.send(b)
	return b
}

// lookAt brings what calls have settled into the tills, and what no call can take back there.
func (e *engine) lookAt(f *fund) {
	settled := f.cell.Load().settled.Swap(0)
	f.rate.add(settled, e.look)
	if settled != 0 {
		f.taken -= settled
		f.used = e.look
		for _, t := range f.tills {
			if !f.lost || !t.hard {
				*t.settled += settled
				t.used = e.look
			}
		}
	}
	if f.closed || f.cell.Load().free.Load() < 0 || e.flushed {
		f.put(f.drain())
	}
	if f.spare < 0 {
		for _, t := range f.tills {
			if t.hard {
				e.owe(t, -f.spare)
			}
		}
		f.spare = 0
	}
	if f.closed && f.unused() {
		e.forget(f)
	}
}

// unused says whether no call holds anything of the fund, or has settled just now.
func (f *fund) unused() bool {
	return f.taken == 0 && f.waiting == 0 && f.cell.Load().settled.Load() == 0
}

// sweepIdle looks for funds that nobody uses: what they have goes back, and they fall asleep. It looks at a part of them
// each time, and at all of them four times until one is idle. Who wants everything written has all of them looked at.
func (e *engine) sweepIdle() {
	n := len(e.funds)
	if !e.flushed {
		round := max(1, e.idle()/4)
		part := min(e.look-e.swept, round)
		n = (n*int(part) + int(round) - 1) / int(round)
	}
	e.swept = e.look
	for range n {
		if e.cursor--; e.cursor < 0 || e.cursor >= len(e.funds) {
			e.cursor = len(e.funds) - 1
		}
		f := e.funds[e.cursor]
		if e.flushed {
			e.lookAt(f)
		}
		if f.state == awake && !f.closed {
			e.lookIdle(f)
		}
		if len(e.funds) == 0 {
			break
		}
	}
}

// lookIdle puts a fund to sleep that was not used for a while.
func (e *engine) lookIdle(f *fund) {
	free := f.cell.Load().free.Load()
	if free != f.seen || f.waiting > 0 {
		f.seen, f.used = free, e.look
	}
	if e.look-f.used < e.idle() {
		return
	}
	f.put(f.drain())
	if f.seen = 0; f.unused() {
		e.lull(f)
	}
}

// beat is how often a node that has something is heard of at least.
func (e *engine) beat() time.Duration { return e.opt.Silence / 6 }

// idle is how many looks a fund may be unused until what it has goes back.
func (e *engine) idle() int64 { return max(1, int64(e.opt.Idle/e.opt.Flush)) }

func (e *engine) forget(f *fund) {
	e.funds.remove(f)
	f.leave()
	f.state = apart
	if p := f.purse; p.fund.Load() == nil && e.purses[p.path] == p {
		delete(e.purses, p.path)
	}
	e.journal.dropCell(f)
}

// lineOf says what is to be written for a till.
func (e *engine) lineOf(t *till) *line {
	ln := &line{till: t, budget: t.budget, end: t.end, settled: *t.settled, lease: t.lease, beyond: max(0, -*t.free)}
	t.rate.add(*t.settled, e.look)
	if !t.hard {
		return ln
	}
	w := e.wants[t]
	keep := mul(t.rate.smooth, 8)
	switch {
	case w.least > 0:
		ln.least, ln.wish = w.least, max(w.sum, mul(w.least, 32), keep)
		if e.look-t.granted.look <= 1 { // that was used up at once
			ln.wish = max(ln.wish, mul(t.granted.n, 2))
		}
	case t.waiting > 0:
	case e.flushed || len(t.funds) == 0 || e.look-t.used >= e.idle() || t.refusal.round != nil:
		ln.back = *t.free
		t.rate = rate{look: e.look} // or the next look would lease for what is over
	case *t.free > 2*keep && e.look-t.used >= 2:
		ln.back = *t.free - keep
	case *t.free < keep/4:
		ln.wish = keep
	}
	ln.wish = min(ln.wish, maxLease-int64(t.lease.Amount))
	if ln.back < 0 { // that has to be leased first
		ln.back = 0
	}
	*t.free -= ln.back // before it is written: what a crash leaves of it counts as spent
	return ln
}
