package billing

import (
	"math"
	"time"
)

// meter counts what this process takes of one measure of one limit. Its fields are guarded by its stripe, but for those
// that never change.
//
// What may be taken is at most share. Where others may be taking as well it is what was claimed of the window in the
// database ([Limiter.claim]); where this process is alone, whatever others have left. used may exceed share by what was
// taken before the share became less, by tokens beyond their upper bound, and where a limit fails open.
type meter struct {
	stripe *stripe
	id     string // of the limit and measure: what is claimed in its name
	by     int    // place in measures

	of    *RateLimit
	zone  *time.Location
	limit int64

	span
	since  time.Duration // when this process has come to the window
	used   int64
	booked int64 // claimed in the database, by this process
	total  int64 // claimed by all, as last seen
	seen   bool  // total is known, not presumed
	share  int64

	low     int64         // beyond that much used, more is claimed
	slices  int64         // size of a claim, in calls like the last one
	unit    int64         // what the last call took
	claimed time.Duration // when the last claim was granted
	denied  denial
	idle    int   // rounds of the sweep in which nothing was taken
	usedAt  int64 // at the last round

	dead bool // taken out of the limiter: a handle that has it is old
}

// denial remembers that the database has less left than was asked for, for a little while.
type denial struct {
	least int64         // that was asked for
	until time.Duration // elapsed
	wait  time.Duration
}

// The first and the longest time for which nobody asks again. Others return what they do not need after [idleRounds].
const (
	denyFirst = 40 * time.Millisecond
	denyMost  = time.Second
)

const (
	firstSlices = 8 // a claim is for so many calls, at first
	mostSlices  = 1 << 20
	never       = math.MaxInt64
)

// window brings the meter to the window of now.
func (m *meter) window(l *Limiter, at time.Duration) {
	s := l.clock.after(m.span, measures[m.by].window, m.zone, at)
	if s.start.Equal(m.start) {
		m.span = s
		return
	}
	m.span, m.since = s, at
	m.used, m.booked, m.total, m.usedAt, m.idle = 0, 0, 0, 0, 0
	m.denied, m.low = denial{}, 0
	// Nobody else can have taken anything of a window that began when this process was alone already.
	since, alone := l.nodes.AloneSince()
	m.seen = alone && !since.After(s.start)
	m.reshare(alone)
}

// take takes n, and has more claimed before the share is used up.
func (m *meter) take(l *Limiter, n int64) {
	m.used += n
	if n > 0 {
		m.unit = n
	}
	if m.used > m.low {
		m.low = never
		l.ask(m, nil, 0)
	}
}

// others is what other processes have claimed.
func (m *meter) others() int64 { return m.total - m.booked }

// reshare says anew what may be taken.
func (m *meter) reshare(alone bool) {
	switch rest := max(0, m.limit-m.others()); {
	case alone && m.seen:
		m.share = rest
	default:
		m.share = min(m.booked, rest)
	}
}

// set takes over what the record says by now.
func (m *meter) set(l *Limiter, limit int64, zone *time.Location) {
	m.zone = zone // a window that runs keeps its end
	if limit == m.limit {
		return
	}
	m.limit, m.denied = limit, denial{} // where it was raised those who were denied ask again
	_, alone := l.nodes.AloneSince()
	m.reshare(alone)
}

// claimable says whether asking the database for n may help.
func (m *meter) claimable(n int64, at time.Duration, alone bool) bool {
	if m.used+n > m.limit || m.denied.holds(n, at) {
		return false
	}
	return !alone || !m.seen || m.others() > 0 // who may have given something back before they left
}

func (d denial) holds(n int64, at time.Duration) bool { return n >= d.least && at < d.until }

// deny notes that n cannot be had.
func (m *meter) deny(n int64, at time.Duration) {
	m.denied.wait = min(max(denyFirst, 2*m.denied.wait), denyMost)
	m.denied.least, m.denied.until = n, at+m.denied.wait
}

// need is what a claim has to bring for so much more to be taken.
func (m *meter) need(more int64) int64 { return max(0, m.used+more-m.booked) }

// granted takes over what a claim came to: the share, and how large the next one is.
func (m *meter) granted(n, total int64, at time.Duration, alone bool) {
	m.booked += n
	m.total, m.seen = total, true
	m.reshare(alone)
	if n <= 0 {
		m.low = never // until somebody needs more than there is
		return
	}
	m.denied = denial{}
	switch took := at - m.claimed; {
	case took < time.Second:
		m.slices = min(2*m.slices, mostSlices)
	case took > 10*time.Second:
		m.slices = max(m.slices/2, firstSlices)
	}
	m.claimed, m.low = at, m.booked-n/2
}

// giveBack takes what is booked and not used out of the share, before the database is told.
func (m *meter) giveBack(n int64, alone bool) {
	m.booked -= n
	m.total -= n
	m.low, m.idle = m.used, 0
	m.reshare(alone)
}
