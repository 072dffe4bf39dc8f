package billing

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// crowd is a list of funds that one leaves as fast as one comes. A fund is in one of them at a time.
type crowd []*fund

func (c *crowd) add(f *fund) {
	f.seat = len(*c)
	*c = append(*c, f)
}

// remove puts the last one into the place of the one that leaves: who goes through it backwards meets everybody.
func (c *crowd) remove(f *fund) {
	list := *c
	n := len(list) - 1
	list[f.seat], list[n].seat = list[n], f.seat
	list[n] = nil
	*c = list[:n]
}

// The states of a fund.
const (
	apart  = iota // nobody looks at it; it is not yet or no more that of its purse
	awake         // the loop looks at it
	asleep        // see [engine.lull]
)

// join notes that the fund has money of its till i.
func (t *till) join(f *fund, i int) {
	f.seats[i] = len(t.funds)
	t.funds = append(t.funds, f)
}

// leave ends that, with the fund at its place in that of the last one.
func (t *till) leave(f *fund, i int) {
	at, n := f.seats[i], len(t.funds)-1
	if at < 0 {
		return
	}
	f.seats[i] = -1
	last := t.funds[n]
	t.funds[n] = nil
	t.funds = t.funds[:n]
	if last != f {
		t.funds[at] = last
		last.seats[slices.Index(last.tills, t)] = at
	}
}

// leave takes a fund out of its tills.
func (f *fund) leave() {
	for i, t := range f.tills {
		t.leave(f, i)
	}
}

// tell has the next look look at the fund. It takes no lock, and while the fund is told already it costs nothing.
func (f *fund) tell() {
	if f.told.Load() || !f.told.CompareAndSwap(false, true) {
		return
	}
	for first := &f.engine.told; ; {
		f.next = first.Load()
		if first.CompareAndSwap(f.next, f) {
			return
		}
	}
}

// maxAsleep is how many funds sleep at most. One takes less than 1 kB.
const maxAsleep = journalCells / 2

// lull puts a fund to sleep that has nothing and of which no call holds anything: nothing is written or looked at for it.
// It knows its budgets yet, so that the next call of a key that calls now and then finds its path without the database. It
// hears of changes as all funds do, and ends with the first of its periods, with the loop, or when too many sleep.
func (e *engine) lull(f *fund) {
	if len(e.asleep) >= e.beds {
		e.closeFund(e.asleep[int(e.look)%len(e.asleep)])
	}
	e.funds.remove(f)
	f.leave()
	f.state = asleep
	e.asleep.add(f)
	e.journal.rest(f)
}

// endPeriods closes the funds of which a period is over.
func (e *engine) endPeriods(now time.Time) {
	if e.until.IsZero() || now.Before(e.until) {
		return
	}
	e.until = time.Time{}
	for f := range e.opened {
		if f.end.IsZero() || now.Before(f.end) {
			e.lasts(f)
		} else {
			e.closeFund(f)
		}
	}
}

// lasts notes when the fund ends.
func (e *engine) lasts(f *fund) {
	if !f.end.IsZero() && (e.until.IsZero() || f.end.Before(e.until)) {
		e.until = f.end
	}
}

// opened are the funds that calls may take from. They may be closed by whoever goes through them.
func (e *engine) opened(yield func(*fund) bool) {
	for _, list := range [...]*crowd{&e.funds, &e.asleep} {
		for i := len(*list) - 1; i >= 0; i-- {
			if f := (*list)[i]; !f.closed && !yield(f) {
				return
			}
		}
	}
}

// ground is what is compared to find changes that were not heard of: the organizations whose budgets may lie on a path,
// from the nearest on, and users, with the marks that they had.
type ground struct {
	orgs  []string
	marks map[string]int64
	open  int // funds
}

// on gives the fund the ground that others with the same marks have.
func (e *engine) on(f *fund) {
	key := f.ground.key()
	if same := e.grounds[key]; same != nil {
		f.ground = same
	} else {
		e.grounds[key] = f.ground
	}
	f.ground.open++
}

// off is for [fund.close].
func (e *engine) off(f *fund) {
	if f.ground.open--; f.ground.open == 0 {
		delete(e.grounds, f.ground.key())
	}
}

func (g *ground) key() string {
	var b strings.Builder
	for _, id := range g.orgs {
		fmt.Fprintf(&b, "%s %d\n", id, g.marks[id])
	}
	return b.String()
}
