package billing

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/orgkit/orgkit/store"
)

// windowRow is what all processes together have claimed of one window of one limit.
type windowRow struct {
	EndsAt  time.Time // of the window
	Counter string    // of the meter
	Claimed int64
}

var windows = store.DefineLog[windowRow]("rate_windows", []string{"ends_at", "counter"})

// slotRow is how many slots of a limit a process has claimed. The row without a node is the sum of all: whoever changes another
// one holds its lock.
type slotRow struct {
	Slots   string
	Node    string
	Claimed int64
}

var slotRows = store.DefineLog[slotRow]("rate_slots", []string{"slots", "node"}, store.Index("node"))

// writer claims and returns for all calls of the process, one transaction after another: what comes while one runs goes into
// the next together. It runs while there is something to do.
type writer struct {
	mu      sync.Mutex
	running bool
	closing bool // nothing is claimed but what is needed
	closed  bool
	next    *claimBatch
	ended   sync.WaitGroup
	unused  map[*meter]bool // of which something may have to be given back
	held    map[*slots]bool
	sweep   *time.Timer // while there are any
	looking bool        // at them, and they are not here
}

// claimBatch is what one transaction claims.
type claimBatch struct {
	meters map[*meter]int64 // with what calls wait for
	slots  map[*slots]int64
	back   []windowRow // negative
	done   chan struct{}
	err    error // once it is done
}

// wait waits for the transaction.
func (b *claimBatch) wait(ctx context.Context) error {
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ask has something claimed, and n more of it than it has, by a meter or by slots, whose stripe the caller has locked; or
// less, by slots where n is negative.
func (l *Limiter) ask(m *meter, s *slots, n int64) *claimBatch {
	return l.batch(func(b *claimBatch) {
		if m != nil {
			b.meters[m] += n
		}
		if s != nil {
			b.slots[s] += n
		}
	})
}

// batch adds to what the next transaction does.
func (l *Limiter) batch(add func(*claimBatch)) *claimBatch {
	w := &l.writer
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.next
	if b == nil {
		b = &claimBatch{meters: map[*meter]int64{}, slots: map[*slots]int64{}, done: make(chan struct{})}
		if w.closed {
			b.err = store.ErrClosed
			close(b.done)
			return b
		}
		w.next = b
	}
	add(b)
	if !w.running {
		w.running = true
		w.ended.Go(l.write)
	}
	return b
}

// ends says whether the limiter is about to close.
func (w *writer) ends() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closing
}

// write runs transactions until nothing is asked for.
func (l *Limiter) write() {
	for {
		l.writer.mu.Lock()
		b := l.writer.next
		l.writer.next = nil
		if l.writer.running = b != nil; b == nil {
			l.writer.mu.Unlock()
			return
		}
		l.writer.mu.Unlock()
		b.err = l.claim(b)
		close(b.done)
	}
}

// claimTimeout is how long a claim may take, and with it a call that waits for one.
const claimTimeout = 5 * time.Second

// meterClaim is what a meter wants of its window, and what it gets.
type meterClaim struct {
	m       *meter
	row     windowRow
	limit   int64
	least   int64 // what is needed
	slice   int64 // what would be good to have
	waits   int64
	granted int64
	total   int64
}

// slotClaim is how many slots a process wants to have.
type slotClaim struct {
	s     *slots
	id    string
	limit int64
	least int64 // what is needed, of what runs and waits
	good  int64 // what would be good to have
	own   int64 // what it has, and gets
	total int64
}

// claim claims what a batch asks for, by the name that this process has by then.
func (l *Limiter) claim(b *claimBatch) error {
	ctx, cancel := context.WithTimeout(context.Background(), claimTimeout)
	defer cancel()
	defer l.engine.stay()
	for {
		node := l.nodes.Node()
		err := l.claimAs(ctx, b, node)
		if errors.Is(err, errFenced) {
			l.engine.renew(ctx, node)
		}
		if err == nil || l.nodes.Node() == node || ctx.Err() != nil {
			return err
		}
	}
}

// claimAs runs the transaction of a batch. What the database does not confirm is not had; where it was had all the same, it
// is lost to everybody until the window ends (billing edge 30).
func (l *Limiter) claimAs(ctx context.Context, b *claimBatch, node string) error {
	var (
		meters []*meterClaim
		held   []*slotClaim
		nodes  = int64(max(1, l.nodes.Live()))
		sparse = l.writer.ends()
	)
	for m, n := range b.meters {
		if c := m.wish(n, sparse); c != nil {
			meters = append(meters, c)
		}
	}
	for s, n := range b.slots {
		if node != "" {
			held = append(held, s.wish(n, sparse))
		}
	}
	if len(meters)+len(held)+len(b.back) == 0 {
		return nil
	}
	err := l.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := claimWindows(ctx, tx, meters, b.back, nodes); err != nil {
			return err
		}
		if node == "" || len(meters)+len(held) == 0 {
			return nil
		}
		if err := l.nodes.Holds(ctx, tx, node); err != nil {
			return err
		}
		if len(held) == 0 {
			return nil
		}
		return claimSlots(ctx, tx, held, node, nodes)
	})
	l.settle(meters, held, node, err)
	return err
}

// wish says what a meter wants, nil for nothing; where it is to be sparse, nothing beyond what is needed.
func (m *meter) wish(waits int64, sparse bool) *meterClaim {
	m.stripe.mu.Lock()
	defer m.stripe.mu.Unlock()
	if m.end.IsZero() {
		return nil
	}
	unit := max(1, m.unit)
	slice := int64(MaxRate)
	if unit < MaxRate/m.slices {
		slice = unit * m.slices
	}
	if sparse {
		slice = 0
	}
	return &meterClaim{m: m, row: windowRow{EndsAt: m.end, Counter: m.id}, limit: m.limit, waits: waits, least: m.need(waits), slice: slice}
}

// wish says how many slots are wanted: as many again as there are, or, to give some back, as many as ran lately.
func (s *slots) wish(waits int64, sparse bool) *slotClaim {
	s.stripe.mu.Lock()
	defer s.stripe.mu.Unlock()
	c := &slotClaim{s: s, id: s.id, limit: s.limit, least: s.running + max(0, waits)}
	switch {
	case sparse:
		c.good = c.least
	case waits >= 0:
		c.good = max(c.least, 2*s.booked)
	default:
		c.good = max(c.least, s.kept)
	}
	return c
}

// claimWindows locks the rows by adding nothing, reads what is claimed, and adds what is granted, and what is given back.
func claimWindows(ctx context.Context, tx *store.Tx, claims []*meterClaim, back []windowRow, nodes int64) error {
	rows, ranges := make([]windowRow, len(claims)), make([]store.Range, len(claims))
	for i, c := range claims {
		rows[i] = c.row
		ranges[i] = store.Range{Equal: []any{c.row.EndsAt, c.row.Counter}, Limit: 1}
	}
	if err := windows.Add(ctx, tx, append(rows, back...)); err != nil {
		return err
	}
	found, err := windows.ScanEach(ctx, tx, ranges)
	if err != nil {
		return err
	}
	var changes []windowRow
	for i, c := range claims {
		rest := max(0, c.limit-found[i][0].Claimed)
		c.granted = min(rest, max(c.least, min(rest/(2*nodes), c.slice)))
		c.total = found[i][0].Claimed + c.granted
		if c.granted > 0 {
			row := c.row
			row.Claimed = c.granted
			changes = append(changes, row)
		}
	}
	return windows.Add(ctx, tx, changes)
}

// claimSlots does the same for slots. The row of this process says what it has, whatever it believes.
func claimSlots(ctx context.Context, tx *store.Tx, claims []*slotClaim, node string, nodes int64) error {
	rows, ranges := make([]slotRow, len(claims)), make([]store.Range, 0, 2*len(claims))
	for i, c := range claims {
		rows[i] = slotRow{Slots: c.id}
		ranges = append(ranges, store.Range{Equal: []any{c.id, ""}, Limit: 1}, store.Range{Equal: []any{c.id, node}, Limit: 1})
	}
	if err := slotRows.Add(ctx, tx, rows); err != nil {
		return err
	}
	found, err := slotRows.ScanEach(ctx, tx, ranges)
	if err != nil {
		return err
	}
	changed := rows[:0:0]
	for i, c := range claims {
		sum, own := found[2*i], found[2*i+1]
		c.total, c.own = sum[0].Claimed, 0
		if len(own) > 0 {
			c.own = own[0].Claimed
		}
		rest := max(0, c.limit-c.total)
		want := max(c.least, min(c.good, c.own+rest/(2*nodes)))
		more := min(want-c.own, rest)
		c.own, c.total = c.own+more, c.total+more
		if more != 0 {
			changed = append(changed, slotRow{c.id, "", more}, slotRow{c.id, node, more})
		}
	}
	if err := slotRows.Add(ctx, tx, changed); err != nil {
		return err
	}
	for _, c := range claims { // nobody is reminded of what nobody has
		if c.own == 0 {
			if _, err := slotRows.Prune(ctx, tx, store.Range{Equal: []any{c.id, node}, Limit: 1}); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle takes over what came of a claim.
func (l *Limiter) settle(meters []*meterClaim, held []*slotClaim, node string, failed error) {
	at := l.clock.elapsed()
	_, alone := l.nodes.AloneSince()
	for _, c := range meters {
		m := c.m
		m.stripe.mu.Lock()
		switch same := m.end.Equal(c.row.EndsAt); {
		case !same: // what was granted is of a window that is over
		case failed != nil:
			m.low = m.used + max(1, m.unit) // the next call tries again
		default:
			m.granted(c.granted, c.total, at, alone)
			// Where others have taken of it meanwhile and there is more, who waits claims again.
			if m.used+c.waits > m.share && c.waits > 0 && c.total >= c.limit {
				m.deny(c.waits, at)
			}
		}
		m.stripe.mu.Unlock()
	}
	for _, c := range held {
		s := c.s
		s.stripe.mu.Lock()
		if failed == nil && l.nodes.Node() == node {
			s.booked, s.total, s.node = c.own, c.total, node
			s.reshare(l)
			if c.own < c.least {
				s.denied.until, s.denied.least = at+denyFirst, 1
			}
		}
		s.stripe.mu.Unlock()
		l.serve(s)
	}
	l.watch(meters, held)
}
