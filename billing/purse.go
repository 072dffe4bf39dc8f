package billing

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Purse is what one path spends from in this process: an amount in memory that was taken, beforehand, from
// every hard budget on the path. Taking from it is one compare-and-swap, however many budgets there are and
// however deep the tree is. It is safe for concurrent use, costs nothing while it is not used, and follows changes
// of budgets by itself: who has one keeps it.
type Purse struct {
	fund    atomic.Pointer[fund]
	engine  *engine
	path    Path
	opening sync.Mutex // one goroutine at a time finds out which budgets there are
}

// Hold is what one call holds of a [Purse]: the reservation without decimals, allocations and database. The zero
// Hold holds nothing. It belongs to one call and must not be copied after Reserve. Settle and Release are safe for
// concurrent use: the first of them counts.
type Hold struct {
	fund    *fund
	amount  int64
	outcome int64 // atomic: the settled amount, or one of those below
}

const (
	holds    = -1 // not yet decided
	freed    = -2 // released
	nobody   = math.MinInt64 >> 1
	noBounds = 1 << 61 // what a fund without hard budgets has
)

// MaxHold is the most that one [Hold] can hold or settle, 288,230 USD: no sum of such amounts overflows.
// What is more goes through the database; a [Reservation] does that by itself.
const MaxHold Pico = 1 << 58

// Reserve holds the amount in every hard budget on the path or in none: then it is a *[Exceeded], and h stays as it
// was. Where enough is in memory it takes some tens of nanoseconds and no allocation; else it waits until more is
// taken from the budgets, durably, which is a transaction for all who wait. Without the database it
// is [ErrUnavailable]. An amount of 0 is never refused and waits for no budget (billing edge 22); one that is negative
// or above [MaxHold] is [ErrRange].
//
// It must not be called inside a unit of the store: for that there is [Ledger.Hold].
func (p *Purse) Reserve(ctx context.Context, h *Hold, amount Pico) error {
	if uint64(amount) > uint64(MaxHold) {
		return ErrRange
	}
	f := p.fund.Load()
	if f == nil || amount > 0 && !f.take(int64(amount)) {
		var err error
		if f, err = p.engine.fetch(ctx, p, int64(amount)); err != nil {
			return err
		}
	}
	h.fund, h.amount, h.outcome = f, int64(amount), holds
	return nil
}

// Pocket is a purse at hand: it knows what the purse was found to spend from last, which spares who has very many of them
// a wait for memory. It is safe for concurrent use, and must not be copied.
type Pocket struct {
	purse *Purse
	fund  atomic.Pointer[fund] // one that was closed lets nobody take
}

// Open has the pocket be of that purse.
func (p *Pocket) Open(of *Purse) { p.purse = of }

// Reserve is [Purse.Renew] and [Purse.Reserve].
func (p *Pocket) Reserve(ctx context.Context, h *Hold, amount Pico, now time.Time) error {
	if f := p.fund.Load(); f != nil && amount > 0 && amount <= MaxHold && (f.end.IsZero() || now.Before(f.end)) && f.take(int64(amount)) {
		h.fund, h.amount, h.outcome = f, int64(amount), holds
		return nil
	}
	p.purse.Renew(now)
	if err := p.purse.Reserve(ctx, h, amount); err != nil {
		return err
	}
	p.fund.Store(h.fund)
	return nil
}

// Increase holds more of the same budgets, in the period in which the reservation was made, before a stream goes
// beyond what it holds; when it is refused the stream has to end (billing edge 15). It is called by the one who also
// settles, not beside it.
func (h *Hold) Increase(ctx context.Context, by Pico) error {
	switch f := h.fund; {
	case f == nil || atomic.LoadInt64(&h.outcome) != holds:
		return ErrSettled
	case by < 0 || Pico(h.amount) > MaxHold-by:
		return ErrRange
	case !f.take(int64(by)):
		if err := f.engine.more(ctx, f, int64(by)); err != nil {
			return err
		}
	}
	h.amount += int64(by)
	return nil
}

// Amount is what is held, or was.
func (h *Hold) Amount() Pico { return Pico(h.amount) }

// Settle charges what the call did cost and frees the rest. More than was held is charged too, and blocks what
// follows. Settling again with the same amount is a no-op; with another one, or after Release, it is [ErrSettled]. An
// amount that is negative or above [MaxHold] is [ErrRange], and nothing is settled.
func (h *Hold) Settle(actual Pico) error {
	_, err := h.settle(actual)
	return err
}

func (h *Hold) settle(actual Pico) (again bool, err error) {
	switch {
	case uint64(actual) > uint64(MaxHold):
		return false, ErrRange
	case h.fund == nil:
		return false, ErrSettled // the zero Hold
	case atomic.CompareAndSwapInt64(&h.outcome, holds, int64(actual)):
		h.fund.settle(h.amount, int64(actual))
		return false, nil
	case atomic.LoadInt64(&h.outcome) == int64(actual):
		return true, nil
	}
	return true, ErrSettled
}

// Release frees what is held: the call cost nothing. After Settle, or another Release, it does nothing, so that it can
// be deferred.
func (h *Hold) Release() {
	if h.fund != nil && atomic.CompareAndSwapInt64(&h.outcome, holds, freed) && h.amount > 0 {
		h.fund.cell.Load().free.Add(h.amount)
		h.fund.tell()
	}
}

// fund is the money of a purse for one generation of the budgets on its path: its tills never change. When a budget
// comes, goes or begins a new period the fund is closed and the purse gets another; what was held of the closed one is
// settled there, in the budgets and the period of its time (billing edges 10, 11, 40).
type fund struct {
	// What calls look at, in one line of memory:
	cell   atomic.Pointer[cell]
	end    time.Time // of the first period on the path that ends; zero: none does
	engine *engine   // that of the purse, which is in a line of its own that no call waits for
	purse  *Purse
	next   *fund       // that was told before it
	told   atomic.Bool // see [fund.tell]
	hard   bool        // one of the tills is
	own    cell        // where no journal has it: in the line behind that one

	slot    int32   // of the journal, -1 for none
	tills   []*till // in the order of the path
	ground  *ground
	stopped *till // the first that is suspended
	rejects *till // the first that takes no call without a price
	// what a call without a price holds
	leastUnpriced Pico

	// Under the lock of the engine:
	state   int
	seat    int   // in the crowd of that state
	seats   []int // in the funds of its tills, -1 for none
	taken   int64 // from the tills: what is free, what calls hold, and what they have settled since the last look
	closed  bool
	waiting int   // calls that wait until something is leased
	lost    bool  // with its node: what is in it is counted as spent
	spare   int64 // of what is lost, what calls have held and not spent; below zero: what they have spent beyond it
	seen    int64 // free at the last look
	rate    rate
	used    int64 // the look at which it was last used
}

// cell is what calls take from and settle into. While the fund is closed free is lower by nobody: nothing can be taken.
type cell struct {
	free    atomic.Int64
	settled atomic.Int64
	_       [48]byte // cells of two purses are not in one cache line
}

func (f *fund) take(n int64) bool {
	for c := f.cell.Load(); ; {
		free := c.free.Load()
		if free < n {
			return false
		}
		if c.free.CompareAndSwap(free, free-n) {
			return true
		}
	}
}

func (f *fund) settle(held, actual int64) {
	c := f.cell.Load()
	c.settled.Add(actual) // first: whoever looks in between counts too much, and never too little
	if held != actual {
		c.free.Add(held - actual)
	}
	f.tell()
	if actual > held {
		f.engine.overrun(f)
	}
}

// drain takes out what is free, which is negative where calls have cost more than they held.
func (f *fund) drain() int64 {
	if f.closed {
		return f.cell.Load().free.Swap(nobody) - nobody
	}
	return f.cell.Load().free.Swap(0)
}

// close lets nobody take from the fund any more.
func (f *fund) close() {
	if !f.closed {
		f.closed = true
		f.cell.Load().free.Add(nobody)
		f.engine.off(f)
		f.tell()
	}
	f.purse.fund.CompareAndSwap(f, nil)
}
