package billing

import (
	"context"
	"hash/maphash"
	"math"
	"sync"
	"time"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Limiter holds calls to their rate limits. It is safe for concurrent use.
//
// # Exactness
//
// Any number of limiters, in any number of processes over one database, admit together no more than a limit lets through in
// a window. Each claims slices of what is left of the window in the database before it uses them, many limits in one
// transaction, in the background where it can foresee it. Slices become larger while calls come fast, and smaller as the
// window runs dry. What a process claims and does not use, it gives back after some seconds; until then, others may be
// refused although that much is left. A process that dies takes what it has claimed and not used of a window with it.
//
// A process that knows that it is alone ([Nodes]) waits for no claim; it books what it uses soon afterwards. When another one
// joins, what the first has admitted and not booked by then, within the tenth of a second or so until it hears of the other,
// may come on top of the limit, once for each window that runs.
//
// Tokens beyond the upper bound that a call took count, and are missing for those who come after.
//
// # Time
//
// A window is chosen by the wall clock of the process, whose clocks should agree, and lasts as long as it lasts by the monotonic
// one: a step of the wall clock back gives nothing for the second time.
//
// # Slots
//
// Requests that run at once have slots, which are claimed in the same way, by the name of the process. When a process is dead its
// name is fenced, and its slots are freed with that: see [Ledger.Nodes]. Without names each process has all slots for itself.
//
// # Waiting
//
// Who may wait stands in the queue of the slots that are missing: the highest priority first, and of one priority who came first.
// A slot that is freed goes to the first of them, and nobody who comes later overtakes within a priority. While more calls of
// a higher priority come than there are slots, those of a lower one wait until their time is over: that is what strict
// priority means. Each process has queues of its own; no order is kept between them.
type Limiter struct {
	store *store.Store
	guard *rbac.Guard
	opt   LimiterOptions
	nodes Nodes
	clock rateClock

	engine *engine // whose nodes they are; nil: a host's

	stripes [64]stripe
	seed    maphash.Seed

	mu       sync.Mutex // of the tables; a stripe is never locked before it
	meters   map[string]*meter
	allOf    map[string]*slots
	compiled map[string]*Limits // by what they are of
	grownTo  int                // beyond so many counters those that nobody needs are dropped

	queues  sync.Mutex // of all waiters; stripes are locked after it
	arrived uint64

	writer writer
}

// LimiterOptions are how a [Limiter] works; the zero value, and nil, work.
type LimiterOptions struct {
	// Nodes says which processes there are: [Ledger.Nodes], those of a host's own, or [Alone]. Nil: there may be others, of
	// which nothing is known.
	Nodes Nodes
	// Resolve returns the id of a model that is known under this name, an id or an alias.
	Resolve func(model string) (id string, ok bool)
	// MaxWaiting is the most calls in one queue; 0 is 1000. Where it is full the last in order is refused.
	MaxWaiting int
	// Now and Elapsed are the clocks; nil are those of the store.
	Now     func() time.Time
	Elapsed func() time.Duration
}

// Nodes are the processes on one database, as far as a limiter has to know. They are asked often and have to answer at once.
type Nodes interface {
	// Node is the name of this process, which no other ever had; after a fence it has another. "" is none.
	Node() string
	// Live is how many processes are there, this one included.
	Live() int
	// AloneSince says that this process is the only one, and from when on it certainly was.
	AloneSince() (since time.Time, alone bool)
	// Holds keeps the name from being fenced until the unit ends; where it was fenced already, the unit fails.
	Holds(ctx context.Context, tx *store.Tx, node string) error
}

// Alone are the nodes of a database that belongs to one process from that time on.
func Alone(since time.Time) Nodes { return alone(since) }

type alone time.Time

// Node is none.
func (alone) Node() string { return "" }

// Live is one.
func (alone) Live() int { return 1 }

// AloneSince is that time.
func (a alone) AloneSince() (time.Time, bool) { return time.Time(a), true }

// Holds has nothing to keep.
func (alone) Holds(context.Context, *store.Tx, string) error { return nil }

type unknown struct{}

func (unknown) Node() string                                   { return "" }
func (unknown) Live() int                                      { return 1 }
func (unknown) AloneSince() (time.Time, bool)                  { return time.Time{}, false }
func (unknown) Holds(context.Context, *store.Tx, string) error { return nil }

// NewLimiter returns a limiter over the records of the store.
func NewLimiter(s *store.Store, g *rbac.Guard, o *LimiterOptions) *Limiter {
	l := &Limiter{store: s, guard: g, nodes: unknown{}, seed: maphash.MakeSeed(),
		meters: map[string]*meter{}, allOf: map[string]*slots{}, compiled: map[string]*Limits{}, grownTo: minGrown}
	if o != nil {
		l.opt = *o
	}
	if l.opt.Nodes != nil {
		l.nodes = l.opt.Nodes
	}
	if l.opt.MaxWaiting == 0 {
		l.opt.MaxWaiting = 1000
	}
	l.clock = rateClock{now: l.opt.Now, elapsed: l.opt.Elapsed}
	if l.clock.now == nil {
		l.clock.now = s.Now
	}
	if l.clock.elapsed == nil {
		l.clock.elapsed = s.Elapsed
	}
	for i := range l.stripes {
		l.stripes[i].place = i
	}
	if e, ok := l.nodes.(*engine); ok {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.limiter != nil {
			panic("billing: the nodes of a ledger are those of one limiter")
		}
		l.engine, e.limiter = e, l
	}
	return l
}

// Elapsed reads the clock by which windows are measured.
func (l *Limiter) Elapsed() time.Duration { return l.clock.elapsed() }

// minGrown is the fewest counters of which any are dropped.
const minGrown = 4096

func meterID(r *RateLimit, by int) string { return r.ID + "/" + string(measures[by].name) }

// meter is the counter of a measure of a limit.
func (l *Limiter) meter(r *placed, by int) *meter {
	id := meterID(&r.RateLimit, by)
	m := l.meters[id]
	if m == nil {
		l.prune()
		m = &meter{stripe: l.stripe(r.root), id: id, by: by, of: &r.RateLimit, zone: r.zone, limit: *measures[by].limit(&r.RateLimit), slices: firstSlices,
			span: span{ends: math.MinInt64}}
		l.meters[id] = m
	}
	return m
}

// slotsOf are the slots of a limit.
func (l *Limiter) slotsOf(r *placed) *slots {
	s := l.allOf[r.ID]
	if s == nil {
		l.prune()
		s = &slots{stripe: l.stripe(r.root), id: r.ID, of: &r.RateLimit, limit: *r.MaxParallelRequests}
		s.reshare(l)
		l.allOf[r.ID] = s
	}
	return s
}

func (l *Limiter) stripe(root string) *stripe {
	return &l.stripes[maphash.String(l.seed, root)%uint64(len(l.stripes))]
}

// prune drops the counters that say nothing any more, once there are many. A handle that has one of them looks it up anew.
func (l *Limiter) prune() {
	if len(l.meters)+len(l.allOf) < l.grownTo {
		return
	}
	at := l.clock.elapsed()
	for id, m := range l.meters {
		m.stripe.mu.Lock()
		if at >= m.ends {
			m.dead = true
			delete(l.meters, id)
		}
		m.stripe.mu.Unlock()
	}
	for id, s := range l.allOf {
		s.stripe.mu.Lock()
		if s.running == 0 && s.booked == 0 && s.waiting == 0 {
			s.dead = true
			delete(l.allOf, id)
		}
		s.stripe.mu.Unlock()
	}
	l.grownTo = max(minGrown, 2*(len(l.meters)+len(l.allOf)))
}

// each calls fn for every counter, with its stripe locked.
func (l *Limiter) each(meter func(*meter), slot func(*slots)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.meters {
		m.stripe.mu.Lock()
		meter(m)
		m.stripe.mu.Unlock()
	}
	for _, s := range l.allOf {
		s.stripe.mu.Lock()
		slot(s)
		s.stripe.mu.Unlock()
	}
}

// Recount is called by who keeps the [Nodes] when some have come or gone, before this process admits anything by what it
// knew before.
func (l *Limiter) Recount() {
	_, alone := l.nodes.AloneSince()
	l.each(func(m *meter) {
		m.reshare(alone)
		if m.used > m.booked {
			l.ask(m, nil, 0)
		}
	}, func(s *slots) {
		s.reshare(l)
		if s.running > s.booked {
			l.ask(nil, s, 0)
		}
	})
}

// Fenced is called by who keeps the [Nodes] when this process was fenced, and has a new name: the slots that it had are not
// its own any more, and those that are in use it claims anew. What it has claimed of windows it keeps. It may be called
// under a lock of theirs.
func (l *Limiter) Fenced() {
	if l == nil {
		return
	}
	now := l.nodes.Node()
	l.each(func(*meter) {}, func(s *slots) {
		if s.node == now { // it was faster
			return
		}
		s.booked, s.total = 0, max(0, s.total-s.booked)
		s.reshare(l)
		if s.running > 0 {
			l.ask(nil, s, 0)
		}
	})
}
