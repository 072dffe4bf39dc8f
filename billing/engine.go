package billing

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orgkit/orgkit/store"
)

// engine keeps the tills and funds of one process and writes for all of them, one transaction at a time.
type engine struct {
	ledger *Ledger
	store  *store.Store
	opt    Options

	writes *store.Work // as OpenTelemetry hears of them

	name atomic.Pointer[string] // id of the node
	live atomic.Int64           // nodes, as last counted

	mu      sync.Mutex
	limiter *Limiter // that has its slots by this node; nil: none
	node    node
	known   bool // the node is in the database
	suspect bool // somebody has found it fenced
	journal *Journal
	tills   map[tillKey]*till
	funds   crowd // that are awake
	asleep  crowd
	beds    int                  // how many may sleep
	told    atomic.Pointer[fund] // the first of those to which something has come back since the last look
	cursor  int                  // where in funds the look for idle ones is
	swept   int64                // the look at which that was moved last
	until   time.Time            // when the first period of a fund ends; zero: none does
	grounds map[string]*ground   // of open funds
	purses  map[Path]*Purse
	wants   map[*till]want
	born    time.Time
	look    int64     // how many times the flush interval has passed, at the last look
	changes int64     // counts what was heard of budgets
	checked time.Time // when budgets were last compared
	counted time.Time // when nodes were
	beaten  time.Time // when the node last wrote
	watched time.Time // when the others were last looked at
	reports []report

	watching sync.Mutex
	seen     map[string]sighting // while watching

	sent    *batch // of which it is not known whether it was done
	round   *round
	running bool
	closed  bool
	wake    chan struct{}
	ended   chan struct{} // by the loop that runs
	quiet   func()        // ends listening
	flushed bool          // somebody waits for everything to be written and returned
}

// want is what calls wait for.
type want struct{ least, sum int64 }

func newRound() *round { return &round{done: make(chan struct{})} }

// round is a write that calls wait for, and how it ended.
type round struct {
	done chan struct{}
	err  error
}

func newEngine(l *Ledger, o Options) *engine {
	e := &engine{ledger: l, store: l.store, writes: l.store.Telemetry().Work("orgkit.billing.flush", "How long a write of what was spent and leased took"), opt: o, journal: o.Journal, tills: map[tillKey]*till{}, grounds: map[string]*ground{}, beds: maxAsleep, purses: map[Path]*Purse{},
		wants: map[*till]want{}, seen: map[string]sighting{}, round: newRound(), born: time.Now(), wake: make(chan struct{}, 1)}
	e.live.Store(1)
	e.rename()
	return e
}

// purse returns the purse of a path, of which there is one.
func (e *engine) purse(p Path) *Purse {
	p.Price = nil
	e.mu.Lock()
	defer e.mu.Unlock()
	if known := e.purses[p]; known != nil {
		return known
	}
	made := &Purse{engine: e, path: p}
	e.purses[p] = made
	return made
}

// fetch takes from the purse what its fund has not got in its cell, and brings more there.
func (e *engine) fetch(ctx context.Context, p *Purse, need int64) (*fund, error) {
	if e.store.InUnit(ctx) {
		return nil, ErrInUnit
	}
	var waited *round
	for {
		f := p.fund.Load()
		if f == nil {
			var err error
			if f, err = e.open(ctx, p); err != nil {
				return nil, err
			}
		}
		ok, err := e.draw(ctx, f, need, false, &waited)
		if ok || err != nil {
			return f, err
		}
	}
}

// more is fetch for a fund that a call holds something of already, whatever has become of the fund.
func (e *engine) more(ctx context.Context, f *fund, need int64) error {
	if e.store.InUnit(ctx) {
		return ErrInUnit
	}
	var waited *round
	for {
		ok, err := e.draw(ctx, f, need, true, &waited)
		if ok || err != nil {
			return err
		}
	}
}

// draw takes so much from the tills of a fund. It answers false when something has changed and everything has to be
// looked at again. waited is the round that the call has waited for last: its refusals stand for it, however long ago.
func (e *engine) draw(ctx context.Context, f *fund, need int64, pinned bool, waited **round) (bool, error) {
	e.mu.Lock()
	r, err := e.drawLocked(f, need, pinned, *waited)
	if r == nil || err != nil || r == again {
		e.mu.Unlock()
		return err == nil && r == nil, err
	}
	*waited = r
	tills := e.await(f)
	e.mu.Unlock()
	defer e.attend(f, tills)
	select {
	case <-r.done:
		return false, r.err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// await notes that a call waits: as long as it does nothing that is leased for it goes back.
func (e *engine) await(f *fund) []*till {
	f.waiting++
	for _, t := range f.tills {
		t.waiting++
	}
	return slices.Clone(f.tills)
}

func (e *engine) attend(f *fund, tills []*till) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f.waiting--
	f.used = e.look
	f.tell()
	for _, t := range tills {
		t.waiting--
	}
}

var again = newRound() // nobody waits for it

// drawLocked answers the round to wait for, or nil when it has taken what is needed.
func (e *engine) drawLocked(f *fund, need int64, pinned bool, waited *round) (*round, error) {
	switch {
	case e.closed:
		return nil, store.ErrClosed
	case f.lost: // with its node
		if pinned {
			return nil, ErrUnavailable
		}
		return again, nil
	case f.closed && !pinned:
		return again, nil
	}
	e.enliven(f)
	switch {
	case need == 0:
		return nil, nil
	case f.stopped != nil && !pinned:
		ex := f.stopped.budget.exceeded()
		ex.ResetAt, ex.Suspended, ex.ByAlert = f.stopped.end, true, f.stopped.budget.SuspendedBy != ""
		return nil, ex
	case f.take(need):
		return nil, nil
	}
	if !f.hard {
		f.taken += noBounds
		f.cell.Load().free.Add(noBounds)
		return again, nil
	}
	f.put(f.drain()) // what is left of it counts too
	if t := f.refusing(need, waited); t != nil {
		e.sweep(t)
		if t = f.refusing(need, waited); t != nil {
			return nil, t.exceeded()
		}
	}
	if f.short(need) == nil {
		f.fill(need)
		return nil, nil
	}
	for _, t := range f.tills {
		if missing := need - *t.free; t.hard && missing > 0 {
			w := e.wants[t]
			w.sum = min(w.sum+missing, maxLease)
			if w.least == 0 || missing < w.least {
				w.least = missing
			}
			e.wants[t] = w
		}
	}
	e.hurry()
	return e.round, nil
}

// short is the first till on the path that has not got so much.
func (f *fund) short(need int64) *till {
	for _, t := range f.tills {
		if t.hard && *t.free < need {
			return t
		}
	}
	return nil
}

// refusing is the first till on the path that has not got so much, and whose account has refused it.
func (f *fund) refusing(need int64, waited *round) *till {
	for _, t := range f.tills {
		if t.hard && *t.free < need && t.refused(need, waited) {
			return t
		}
	}
	return nil
}

func (t *till) refused(need int64, waited *round) bool {
	r := t.refusal
	return r.round != nil && need-*t.free >= r.least && (r.round == waited || time.Now().Before(r.until))
}

// fill takes what is needed for a call from the tills, and some more into the cell for the calls that follow.
func (f *fund) fill(need int64) {
	least := int64(noBounds)
	for _, t := range f.tills {
		if t.hard {
			least = min(least, *t.free)
		}
	}
	f.rate.add(0, f.engine.look)
	more := min((least-need)/2, max(mul(need, 32), mul(f.rate.smooth, 2)))
	if f.closed {
		more = 0
	}
	for _, t := range f.tills {
		if t.hard {
			*t.free -= need + more // first: whoever looks in between finds too little, and never too much
		}
	}
	f.taken += need + more
	f.cell.Load().free.Add(more)
}

// put gives what was drained back to the tills.
func (f *fund) put(n int64) {
	f.taken -= n
	if f.lost { // where it came from is no more
		f.spare += n
		return
	}
	for _, t := range f.tills {
		if t.hard {
			*t.free += n
		}
	}
}

// sweep brings what other funds have of a till back into it.
func (e *engine) sweep(t *till) {
	for _, f := range t.funds {
		f.put(f.drain())
	}
}

// mul multiplies what is not negative, up to the most that a lease may be.
func mul(n, by int64) int64 {
	if n > maxLease/by {
		return maxLease
	}
	return n * by
}

// enliven has the loop look at the fund until nothing is left to be done for it.
func (e *engine) enliven(f *fund) {
	f.used = e.look
	if f.state != awake {
		if f.state == asleep {
			e.asleep.remove(f)
		}
		f.state = awake
		e.funds.add(f)
		for i, t := range f.tills {
			if f.lost && t.hard {
				continue
			}
			if is := e.tills[t.key()]; is != nil {
				t = is // that has come after it
			} else if t.slot < 0 { // it was dropped, with all that was in it
				e.journal.till(t)
			}
			e.tills[t.key()], f.tills[i] = t, t
			t.join(f, i)
		}
		e.journal.wake(f)
		f.tell() // one that is closed may have nothing to do
	}
	e.begin()
}

// overrun sees to it that what a call has cost beyond its hold is written, and taken from what follows.
func (e *engine) overrun(f *fund) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.enliven(f)
	}
}

func (e *engine) begin() {
	if !e.running {
		e.running = true
		e.ended = make(chan struct{})
		if e.quiet == nil {
			e.quiet = e.store.Listen(e.hear)
		}
		go e.run(e.ended)
	}
}

func (e *engine) hurry() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}
