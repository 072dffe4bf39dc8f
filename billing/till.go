package billing

import (
	"time"

	"github.com/shopspring/decimal"
)

// till is what this process has of one account: of a budget in one period. Everything in it is under the lock of the
// engine.
//
// What it has leased is, at any time: free + what funds have taken from it + what they have settled and it has not
// written yet.
type till struct {
	account string // id
	hard    bool
	budget  Budget
	start   time.Time
	end     time.Time

	free    *int64  // leased, and in no fund; below zero where calls have cost more than was leased
	slot    int32   // of the journal, -1 for none
	settled *int64  // not known to be written
	lease   lease   // as it is in the database, where one of nothing is not
	funds   []*fund // awake, that have it

	waiting int // calls that wait until something is leased

	rate    rate
	used    int64                   // the look at which it was last used
	granted struct{ n, look int64 } // what came last, and at which look

	refusal refusal
}

// tillKey names a till. A budget that was hard and is soft has two of them for a while.
type tillKey struct {
	account string
	hard    bool
}

func (t *till) key() tillKey { return tillKey{t.account, t.hard} }

// rate is how much is settled from one look to the next, smoothed.
type rate struct{ smooth, since, look int64 }

func (r *rate) add(n, look int64) {
	if look != r.look {
		r.smooth = (3*r.smooth + r.since) / 4
		for passed := min(look-r.look, 128) - 1; passed > 0 && r.smooth > 0; passed-- {
			r.smooth = 3 * r.smooth / 4
		}
		r.since, r.look = 0, look
	}
	r.since += n
}

// refusal is what the account had when it last had too little.
type refusal struct {
	round *round    // in which it was refused; nil: it was not
	until time.Time // nobody asks again before
	least int64     // so much, or more, was asked for
	limit decimal.Decimal
	left  decimal.Decimal
}

// retryRefused is how long a refusal stands. Money that comes back in this process meanwhile is seen at once where
// it comes back to the path that asks, and that late where it comes back to another.
const retryRefused = 30 * time.Millisecond

// maxLease is the most that one node has of one account: 1.15 million USD. Sums of some of them do not overflow.
const maxLease = 1 << 60

func (t *till) exceeded() *Exceeded {
	left := t.refusal.left
	if *t.free > 0 {
		left = left.Add(Pico(*t.free).Decimal())
	}
	ex := t.budget.exceeded()
	ex.Limit, ex.Remaining, ex.ResetAt = t.refusal.limit, left, t.end
	return ex
}

// line is what one write does to one account.
type line struct {
	till   *till
	budget Budget // of the till, as it was when the line was written down
	end    time.Time

	// What is to be done.
	settled int64
	back    int64 // returned
	beyond  int64 // spent that was not leased
	least   int64 // asked for: at least so much, or nothing
	wish    int64 // and at most so much

	// What became of it.
	lease   lease
	short   int64 // settled beyond the lease, which the account has paid by itself
	granted int64
	refused bool
	limit   decimal.Decimal
	left    decimal.Decimal
	changed bool // the account is no more what the till takes it for
}

// due is how much is to leave the lease.
func (ln *line) due() int64 { return ln.settled + ln.back }

// paid is how much of it the lease pays. What calls have cost beyond what was leased it does not pay: it is that of the
// calls which are still under way.
func (ln *line) paid() int64 {
	return max(0, min(ln.due(), int64(ln.till.lease.Amount), ln.due()-ln.beyond))
}

// grant is how much of what is left an account gives to one of so many nodes: so that the others find something too,
// it is no more than its share of one half, unless that is less than what is needed now. Near the limit everybody gets
// just what he needs, and all of it can be used.
func (ln *line) grant(left, nodes int64) int64 {
	if left < ln.least || ln.least == 0 && ln.wish == 0 {
		return 0
	}
	return max(ln.least, min(ln.wish, left/(2*nodes)))
}
