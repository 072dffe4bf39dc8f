package audit

import (
	"sync"
	"time"
)

// repeats counts refusals of one kind within a minute, so that a flood of them leaves two events.
type repeats struct {
	mu    sync.Mutex
	of    map[repeatKey]*repeat
	timer *time.Timer
}

type repeatKey struct{ orgID, actorID, typ, code string }

type repeat struct {
	last  Decision
	from  time.Time // the minute begins
	first time.Time // of those that were counted and not written
	at    time.Time // of the last of them
	count int64     // of them
}

const (
	repeatedFor = time.Minute
	maxRepeats  = 10_000
)

// repeated writes the first refusal of its kind in a minute and counts the others.
func (l *Log) repeated(d *Decision) {
	r, now := &l.buffer.repeats, l.store.Now()
	key := repeatKey{d.OrgID, d.Actor.ID, d.Type, d.Code}
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.of[key]
	switch {
	case known != nil && now.Sub(known.from).Abs() < repeatedFor:
		if known.count == 0 {
			known.first = now
		}
		known.last, known.at = *d, now
		known.count++
		return
	case known == nil && len(r.of) >= maxRepeats:
		s := &l.buffer.shards[0]
		s.mu.Lock()
		s.gone.one(d)
		s.mu.Unlock()
		l.writeSoon()
		return
	case known == nil:
		if r.of == nil {
			r.of = map[repeatKey]*repeat{}
		}
		known = &repeat{}
		r.of[key] = known
	}
	since := now
	if known.count > 0 {
		since = known.first
	}
	l.put(d, now, known.count+1, since)
	*known = repeat{from: now}
	if r.timer == nil {
		l.sweepLater()
	}
}

// sweepLater sweeps in a minute, where there is a background. Repeats are locked.
func (l *Log) sweepLater() {
	b := &l.buffer
	b.mu.Lock()
	defer b.mu.Unlock()
	if !l.opt.NoBackground && !b.closed {
		b.repeats.timer = time.AfterFunc(repeatedFor, l.sweep)
	}
}

// sweep has what was counted written, and forgets what has not been repeated for a minute.
func (l *Log) sweep() {
	r, now := &l.buffer.repeats, l.store.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, known := range r.of {
		if known.count > 0 {
			l.put(&known.last, known.at, known.count, known.first)
			known.count = 0
		}
		if now.Sub(known.from).Abs() >= repeatedFor {
			delete(r.of, key)
		}
	}
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	if len(r.of) > 0 {
		l.sweepLater()
	}
}
