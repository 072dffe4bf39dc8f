package billing

import (
	"context"
	"time"

	"github.com/orgkit/orgkit/store"
)

// What a process has claimed and not used for so many rounds goes back to the others; slots that did not run go back with
// the next round.
const (
	sweepEvery = time.Second
	idleRounds = 5
)

// watch has the sweep look at what was claimed.
func (l *Limiter) watch(meters []*meterClaim, held []*slotClaim) {
	w := &l.writer
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.unused == nil {
		w.unused, w.held = map[*meter]bool{}, map[*slots]bool{}
	}
	for _, c := range meters {
		w.unused[c.m] = true
	}
	for _, c := range held {
		w.held[c.s] = true
	}
	l.sweepLater()
}

// sweepLater is called with the writer locked.
func (l *Limiter) sweepLater() {
	if w := &l.writer; w.sweep == nil && !w.closed && len(w.unused)+len(w.held) > 0 {
		w.sweep = time.AfterFunc(sweepEvery, l.sweep)
	}
}

// sweep gives back what lies idle.
func (l *Limiter) sweep() {
	l.giveBack(func(m *meter) bool {
		if m.used != m.usedAt {
			m.usedAt, m.idle = m.used, 0
		}
		m.idle++
		return m.idle > idleRounds
	})
	l.writer.mu.Lock()
	defer l.writer.mu.Unlock()
	l.writer.sweep = nil
	l.sweepLater()
}

// giveBack returns what is claimed and not used, of the meters that idle says yes to, and the slots that did not run lately. What
// is used and not booked is booked.
func (l *Limiter) giveBack(idle func(*meter) bool) {
	w, at := &l.writer, l.clock.elapsed()
	closing := w.ends()
	_, alone := l.nodes.AloneSince()
	w.mu.Lock()
	meters, held := w.unused, w.held
	w.unused, w.held, w.looking = map[*meter]bool{}, map[*slots]bool{}, true
	w.mu.Unlock()
	var back []windowRow
	for m := range meters {
		m.stripe.mu.Lock()
		switch unused := m.booked - m.used; {
		case at >= m.ends:
			delete(meters, m)
		case unused < 0 && m.total < m.limit: // what could not be booked yet
			l.ask(m, nil, 0)
			fallthrough // the answer has it watched again
		case unused <= 0:
			delete(meters, m)
		case idle(m):
			delete(meters, m)
			m.giveBack(unused, alone)
			back = append(back, windowRow{EndsAt: m.end, Counter: m.id, Claimed: -unused})
		}
		m.stripe.mu.Unlock()
	}
	if len(back) > 0 {
		l.batch(func(b *claimBatch) { b.back = append(b.back, back...) })
	}
	for s := range held {
		s.stripe.mu.Lock()
		if s.kept, s.peak = s.peak, s.running; closing {
			s.kept = s.running
		}
		switch {
		case s.kept < s.booked:
			l.ask(nil, s, -1)
			fallthrough // the answer has it watched again
		case s.booked == 0:
			delete(held, s)
		}
		s.stripe.mu.Unlock()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looking = false
	for m := range meters {
		w.unused[m] = true
	}
	for s := range held {
		w.held[s] = true
	}
}

// Close gives back what is claimed and not used, and ends what works in the background. Calls that need a claim are refused
// from then on, with store.ErrClosed.
func (l *Limiter) Close() {
	w := &l.writer
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	<-l.batch(func(*claimBatch) {}).done // what was asked for before has come
	l.giveBack(func(*meter) bool { return true })
	w.mu.Lock()
	w.closed = true
	if w.sweep != nil {
		w.sweep.Stop()
	}
	w.mu.Unlock()
	w.ended.Wait()
}

// busy says whether this process has claimed anything that it may still use.
func (l *Limiter) busy() bool {
	if l == nil {
		return false
	}
	w := &l.writer
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running || !w.closed && (w.looking || len(w.unused)+len(w.held) > 0)
}

// FreeNode frees the slots of a process that is dead, in the unit that fences its name. What it had claimed of windows that
// run, and not used, nobody gets. With the [Ledger.Nodes] fences do it by themselves.
func (l *Limiter) FreeNode(ctx context.Context, tx *store.Tx, node string) error {
	if node == "" {
		return nil
	}
	return freeSlots(ctx, tx, node)
}

// freeSlots frees the slots of a node.
func freeSlots(ctx context.Context, tx *store.Tx, node string) error {
	for {
		rows, err := slotRows.Scan(ctx, tx, store.Range{By: []string{"node"}, Equal: []any{node}, Limit: store.MaxLimit})
		if err != nil || len(rows) == 0 {
			return err
		}
		// The sums first, which others lock too, and then what was read anew behind their locks.
		sums, ranges := make([]slotRow, len(rows)), make([]store.Range, len(rows))
		for i, r := range rows {
			sums[i] = slotRow{Slots: r.Slots}
			ranges[i] = store.Range{Equal: []any{r.Slots, node}, Limit: 1}
		}
		if err := slotRows.Add(ctx, tx, sums); err != nil {
			return err
		}
		own, err := slotRows.ScanEach(ctx, tx, ranges)
		if err != nil {
			return err
		}
		for i, found := range own {
			if len(found) > 0 {
				sums[i].Claimed = -found[0].Claimed
				if _, err := slotRows.Prune(ctx, tx, ranges[i]); err != nil {
					return err
				}
			}
		}
		if err := slotRows.Add(ctx, tx, sums); err != nil {
			return err
		}
	}
}

// keptWindows is how long a window is remembered after its end, whatever the clocks of the processes show.
const keptWindows = 25 * time.Hour

// PruneRateWindows forgets windows that are over, and says how many. It is the host's, to be called now and then; nothing
// depends on it.
func (l *Limiter) PruneRateWindows(ctx context.Context) (pruned int, err error) {
	for {
		var n int
		err := l.store.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			n, err = windows.Prune(ctx, tx, store.Range{Below: tx.Now().Add(-keptWindows), Limit: store.MaxLimit})
			return err
		})
		pruned += n
		if err != nil || n < store.MaxLimit {
			return pruned, err
		}
	}
}
