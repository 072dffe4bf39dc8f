package billing

import (
	"container/heap"
	"context"
	"errors"
	"time"
)

// slow is Take where something is missing: it claims what may be had, or waits, or refuses.
func (p *Limits) slow(ctx context.Context, ask Ask) (Permit, error) {
	ask.At = 0 // which is over by now
	l, until := p.l, p.l.clock.elapsed()+ask.MaxWait
	w := &waiter{ask: ask, ends: make(chan verdict, 1)}
	for {
		if p.stale() {
			p = p.anew()
		}
		w.limits = p
		at, ok := p.try(ask)
		if ok {
			return p.permit(at, ask), nil
		}
		switch lack := p.lacks(ask); {
		case lack.claim != nil:
			if err := lack.claim.wait(ctx); err == nil {
				continue
			} else if ctx.Err() != nil || !lack.open {
				return Permit{}, err
			}
			if at, ok := p.force(ask); ok {
				return p.permit(at, ask), nil
			}
		case lack.refused != nil:
			return Permit{}, lack.refused
		case lack.slots != nil:
			v, err := l.wait(ctx, w, lack.slots, until-at)
			if err != nil {
				return Permit{}, err
			}
			if !v.again {
				return p.permit(v.at, ask), nil
			}
		}
	}
}

// anew is the same with the counters that there are now.
func (p *Limits) anew() *Limits {
	if p.shared {
		return p.l.compile(p.placed)
	}
	return p.l.gather(p.placed)
}

// stale says whether some of the counters were dropped.
func (p *Limits) stale() bool {
	p.lock()
	defer p.unlock()
	return p.dropped()
}

// dropped is stale for who has locked the stripes, or the tables of the limiter.
func (p *Limits) dropped() (is bool) {
	for _, list := range [][]*meter{p.requests, p.tokens} {
		for _, m := range list {
			is = is || m.dead
		}
	}
	for _, s := range p.slots {
		is = is || s.dead
	}
	return is
}

// lack is what keeps a call from being admitted; all fields are zero where nothing does any more.
type lack struct {
	claim   *claimBatch // that may bring what is missing
	open    bool        // and if it fails, every limit that misses something fails open
	refused *Limited    // which nothing helps against
	slots   *slots      // that one has to wait for
}

// lacks says what is missing, and has claimed what may be had.
func (p *Limits) lacks(ask Ask) (k lack) {
	at := p.l.clock.elapsed()
	_, alone := p.l.nodes.AloneSince()
	p.lock()
	defer p.unlock()
	k.open = true
	claim := func(b *claimBatch, of *RateLimit) { k.claim, k.open = b, k.open && of.FailOpen }
	for i, m := range append(p.requests[:len(p.requests):len(p.requests)], p.tokens...) {
		n := int64(1)
		if i >= len(p.requests) {
			n = m.tokens(ask.Tokens, ask.Input)
		}
		if at >= m.ends {
			m.window(p.l, at)
		}
		if m.used+n <= m.share || n == 0 {
			continue
		}
		if m.claimable(n, at, alone) {
			claim(p.l.ask(m, nil, n), m.of)
			continue
		}
		if full := m.refusal(at); k.refused == nil || full.RetryAfter > k.refused.RetryAfter { // which passes last
			k.refused = full
		}
	}
	if k.refused != nil {
		k.claim = nil
		return k
	}
	for _, s := range p.slots {
		switch {
		case s.free(nil):
		case s.waiting == 0 && s.claimable(p.l, at):
			claim(p.l.ask(nil, s, 1), s.of)
		case k.slots == nil:
			k.slots = s
			if ask.MaxWait <= 0 {
				k.refused = s.refusal()
			}
		}
	}
	if k.refused != nil {
		k.claim = nil
	}
	return k
}

// force admits a call that limits which fail open have no claim for. Those which do not must have room.
func (p *Limits) force(ask Ask) (at time.Duration, ok bool) {
	at = p.l.clock.elapsed()
	p.lock()
	defer p.unlock()
	for _, s := range p.slots {
		if !s.of.FailOpen && !s.free(nil) || s.running >= s.limit {
			return at, false
		}
	}
	for i, m := range append(p.requests[:len(p.requests):len(p.requests)], p.tokens...) {
		n := int64(1)
		if i >= len(p.requests) {
			n = m.tokens(ask.Tokens, ask.Input)
		}
		if at >= m.ends {
			m.window(p.l, at)
		}
		if m.used+n > m.share && !m.of.FailOpen || m.used+n > m.limit {
			return at, false
		}
	}
	p.take(ask)
	return at, true
}

// waitPoll is how often a call that waits asks the database whether another process has freed slots.
const waitPoll = 50 * time.Millisecond

// wait has a call wait for slots. Its error is a *[Limited], or that of ctx.
func (l *Limiter) wait(ctx context.Context, w *waiter, s *slots, most time.Duration) (verdict, error) {
	if most <= 0 || !l.enter(w, s) {
		return verdict{}, s.refused()
	}
	l.serve(s)
	over, poll := time.NewTimer(most), time.NewTicker(waitPoll)
	defer over.Stop()
	defer poll.Stop()
	for {
		select {
		case v := <-w.ends:
			if v.crowded {
				return v, s.refused()
			}
			return v, nil
		case <-poll.C:
			l.serve(s)
		case <-ctx.Done():
			return verdict{}, l.quit(w, ctx.Err())
		case <-over.C:
			if !errors.Is(l.quit(w, errTooLate), errServed) { // else it was served at the last moment
				return verdict{}, s.refused()
			}
		}
	}
}

var (
	errTooLate = errors.New("the time to wait is over")
	errServed  = errors.New("it was served")
)

// quit takes a waiter that gives up out of its queue and returns why. One that was served meanwhile gives back what it got,
// unless it only comes too late for waiting on: then the answer is errServed.
func (l *Limiter) quit(w *waiter, why error) error {
	l.queues.Lock()
	waits := w.at
	if waits != nil {
		l.leave(w)
	}
	l.queues.Unlock()
	switch {
	case waits != nil:
		l.serve(waits) // who is behind may need less
	case errors.Is(why, errTooLate):
		return errServed
	default:
		if v := <-w.ends; !v.again && !v.crowded {
			h := w.limits.permit(v.at, w.ask)
			h.Cancel()
		}
	}
	return why
}

// enter puts a waiter into a queue, unless that is full of others who come first.
func (l *Limiter) enter(w *waiter, s *slots) bool {
	l.queues.Lock()
	defer l.queues.Unlock()
	if w.seq == 0 { // who comes back keeps its place
		l.arrived++
		w.seq = l.arrived
	}
	l.join(w, s)
	if len(s.queue) <= l.opt.MaxWaiting {
		return true
	}
	last := s.queue.last()
	l.leave(last)
	if last == w {
		return false
	}
	last.ends <- verdict{crowded: true}
	return true
}

func (l *Limiter) join(w *waiter, s *slots) {
	w.at = s
	heap.Push(&s.queue, w)
	s.count(1)
}

func (l *Limiter) leave(w *waiter) {
	heap.Remove(&w.at.queue, w.place)
	w.at.count(-1)
	w.at = nil
}

// serve gives slots that are free to who waits for them, in order. The first in the queue goes on waiting, and all behind, until it
// has everything that it needs; where it needs other slots too, it waits for those.
func (l *Limiter) serve(s *slots) {
	l.queues.Lock()
	defer l.queues.Unlock()
	for len(s.queue) > 0 {
		w := s.queue[0]
		at, ok, other := w.limits.tryWaited(w.ask, s)
		if ok {
			l.leave(w)
			w.ends <- verdict{at: at}
			continue
		}
		switch other {
		case s:
			return
		case nil: // a window is over, or used up: it finds out by itself
			l.leave(w)
			w.ends <- verdict{again: true}
		default:
			l.leave(w)
			l.join(w, other)
		}
	}
}

// tryWaited takes everything or nothing for the first in the queue of some slots. Where it is nothing, other are the slots that
// it has to wait for, nil if it is for none; those that another process may have freed are claimed. It is one look: a slot that
// came free between two would make the first seem to wait for none, and go to who is behind.
func (p *Limits) tryWaited(ask Ask, first *slots) (at time.Duration, ok bool, other *slots) {
	at = p.l.clock.elapsed()
	p.lock()
	defer p.unlock()
	if p.tryLocked(at, ask, first) {
		return at, true, nil
	}
	for _, s := range p.slots {
		if s.free(first) {
			continue
		}
		if s.claimable(p.l, at) {
			p.l.ask(nil, s, int64(max(1, s.waiting)))
		}
		if other == nil || s == first {
			other = s
		}
	}
	return at, false, other
}
