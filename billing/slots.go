package billing

import "time"

// slots count what runs at once under one limit. Their fields are guarded by their stripe, but for those that never change
// and the queue, which is guarded by Limiter.queues.
//
// As with a [meter], at most share run: what was claimed in the database, or, where this process is alone, what others have
// left. Where processes have no names ([Nodes.Node]) nothing is claimed, and each process has all of them.
type slots struct {
	stripe *stripe
	id     string // of the limit

	of    *RateLimit
	limit int64

	running int64
	booked  int64  // claimed in the database, by this process
	node    string // by whose name
	total   int64  // claimed by all, as last seen
	share   int64
	denied  denial
	peak    int64 // the most that ran since the last round of the sweep
	kept    int64 // the most that ran in the round before
	waiting int   // in the queue: who has not waited comes behind them
	dead    bool

	queue queue
}

func (s *slots) others() int64 { return s.total - s.booked }

// reshare says anew how many may run.
func (s *slots) reshare(l *Limiter) {
	_, alone := l.nodes.AloneSince()
	switch rest := max(0, s.limit-s.others()); {
	case alone, l.nodes.Node() == "":
		s.share = rest
	default:
		s.share = min(s.booked, rest)
	}
}

func (s *slots) set(l *Limiter, limit int64) {
	if limit != s.limit {
		s.limit, s.denied = limit, denial{}
		s.reshare(l)
	}
}

// free says whether one may run, for who has waited in this queue or for who has not.
func (s *slots) free(waited *slots) bool {
	return s.running < s.share && (s.waiting == 0 || s == waited)
}

// claimable says whether the database may have one more.
func (s *slots) claimable(l *Limiter, at time.Duration) bool {
	if l.nodes.Node() == "" || s.running >= s.limit || s.denied.holds(1, at) {
		return false
	}
	_, alone := l.nodes.AloneSince()
	return !alone || s.others() > 0
}

// take takes one.
func (s *slots) take() {
	s.running++
	s.peak = max(s.peak, s.running)
}

// waiter is a call that waits for a slot.
type waiter struct {
	limits *Limits
	ask    Ask
	seq    uint64 // the order in which they came
	at     *slots // in whose queue; nil once it is in none
	place  int
	ends   chan verdict // one, when it has left the queue but by itself
}

// verdict is what a waiter is told: that it has everything, since then, or has to ask again, or that somebody of more
// priority has its place.
type verdict struct {
	at      time.Duration
	again   bool
	crowded bool
}

// queue is a heap: the highest priority first, and of one priority who came first.
type queue []*waiter

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if q[i].ask.Priority != q[j].ask.Priority {
		return q[i].ask.Priority > q[j].ask.Priority
	}
	return q[i].seq < q[j].seq
}
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push is of package container/heap.
func (q *queue) Push(x any) {
	w := x.(*waiter)
	w.place = len(*q)
	*q = append(*q, w)
}

// Pop is of package container/heap.
func (q *queue) Pop() any {
	last := len(*q) - 1
	w := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return w
}

// count notes how many wait, for those who come.
func (s *slots) count(n int) {
	s.stripe.mu.Lock()
	s.waiting += n
	s.stripe.mu.Unlock()
}

// last is who is served after all others.
func (q queue) last() *waiter {
	at := 0
	for i := range q {
		if q.Less(at, i) {
			at = i
		}
	}
	return q[at]
}
