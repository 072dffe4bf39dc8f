package billing

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// Metering keeps what calls have used: every event ([UsageEvent]), the sums of them by organization, team, model and so on
// that analytics read ([Metering.Analytics]), and who was active. Events and sums are written in one unit, so that neither
// is ever ahead of the other.
//
// [Metering.Record] is for the path of a call: it takes an event and writes it in the background, with others, every
// [MeteringOptions.Flush]. [Metering.Ingest] is for whoever reports events and has to know what became of them. What a
// process had not written when it was killed is lost, and shows as the difference between what budgets have spent and what
// events cost ([Metering.Unaccounted]).
//
// It is safe for concurrent use, and so are any number of them, in any number of processes, over one database.
type Metering struct {
	store *store.Store
	opt   MeteringOptions
	names nameMemory

	writing sync.Mutex   // one unit at a time
	left    []UsageEvent // which could not be written; of whoever writes
	events  []UsageEvent // all of those of which left are the last, and then the room for the next ones

	mu      sync.Mutex
	waiting []UsageCall
	spare   []UsageCall   // room for the next ones
	room    chan struct{} // closed when there is room again; nil: nobody waits
	full    bool          // somebody has waited in vain since there was room
	running bool          // somebody writes in the background
	closed  bool
	end     chan struct{}
	ended   sync.WaitGroup
	state   MeteringState
}

// MeteringOptions of a [Metering]; nil, and the zero value, work.
type MeteringOptions struct {
	// Flush is how often what was recorded is written, in one unit; 0 is 100 milliseconds. Reports of other processes are
	// behind by so much, and a process that is killed loses what came in between.
	Flush time.Duration
	// Waiting is how many events may wait to be written; 0 is 65,536. An event takes about 400 bytes and its tags.
	Waiting int
	// MaxWait is how long a call waits where there is no more room, because the database is away or too slow; 0 is a second,
	// and less than 0 not at all. Then its event is dropped, and counted, and so are those that follow until there is room.
	MaxWait time.Duration
	// Off is for hosts that meter by themselves: nothing is kept of what is recorded.
	Off bool
	// Timeout is how long a unit may take; 0 is 30 seconds.
	Timeout time.Duration
	// Alerts fires the alerts of organizations that their usage calls for; see [Settings]. Nil: there are none.
	Alerts *Ledger
	// Alarm is told when events cannot be written, again and again, or are dropped. Nil: nobody.
	Alarm func(err error)
}

// MeteringState says what has become of the events that this process has recorded.
type MeteringState struct {
	Waiting     int   // to be written
	Written     int64 //
	Duplicates  int64 // that were there already, as they are
	Conflicts   int64 // whose identity is that of another event: nothing of them is kept
	Dropped     int64 // for which there was no room, or which cannot be
	DroppedCost decimal.Decimal
}

// ErrDropped: so many events wait to be written that there was no room for one more.
var ErrDropped = errors.New("usage event was dropped: too many wait to be written")

// NewMetering returns a metering over the records of the store. It needs [Metering.Close].
func NewMetering(s *store.Store, o *MeteringOptions) *Metering {
	m := &Metering{store: s}
	if o != nil {
		m.opt = *o
	}
	if m.opt.Flush <= 0 {
		m.opt.Flush = 100 * time.Millisecond
	}
	if m.opt.Waiting <= 0 {
		m.opt.Waiting = 65_536
	}
	if m.opt.MaxWait == 0 {
		m.opt.MaxWait = time.Second
	}
	if m.opt.Timeout <= 0 {
		m.opt.Timeout = 30 * time.Second
	}
	return m
}

// Record takes an event to be written in the background. It copies the event, whose tags must not be changed afterwards, and
// neither allocates nor waits as long as there is room. An event that cannot be is a *store.FieldError; corrections are
// for [Metering.Ingest]. Where there is no room in time it is [ErrDropped], or the error of ctx: the call was made all
// the same, and [Metering.State] counts it.
func (m *Metering) Record(ctx context.Context, e *UsageEvent) error {
	if err := e.validate(m.store.Now()); err != nil {
		return err
	}
	if e.Corrects != "" {
		return store.Invalid("corrects", "range", "corrections are not recorded in the background")
	}
	return m.enqueue(ctx, &UsageCall{UsageEvent: *e, Charged: whole})
}

// Off says whether nothing is kept of what is recorded.
func (m *Metering) Off() bool { return m.opt.Off }

// whole says of a call in the queue that its event lacks nothing.
const whole = math.MinInt64

// enqueue takes a call into the queue, which may have it wait.
func (m *Metering) enqueue(ctx context.Context, c *UsageCall) error {
	if m.opt.Off {
		return nil
	}
	m.mu.Lock()
	for len(m.waiting) >= m.opt.Waiting && !m.closed {
		if err := m.await(ctx); err != nil {
			m.drop(c)
			m.mu.Unlock()
			m.alarm(err)
			return err
		}
	}
	defer m.mu.Unlock()
	if m.closed {
		m.drop(c)
		return store.ErrClosed
	}
	m.waiting = append(m.waiting, *c)
	if !m.running {
		m.running, m.end = true, make(chan struct{})
		end := m.end
		m.ended.Go(func() { m.writeOn(end) })
	}
	return nil
}

// await lets go of the lock until there is room, and takes it again.
func (m *Metering) await(ctx context.Context) error {
	if m.opt.MaxWait < 0 || m.full {
		return ErrDropped
	}
	if m.room == nil {
		m.room = make(chan struct{})
	}
	room := m.room
	m.mu.Unlock()
	patience := time.NewTimer(m.opt.MaxWait)
	defer patience.Stop()
	var err error
	select {
	case <-room:
	case <-patience.C:
		err = ErrDropped
	case <-ctx.Done():
		err = ctx.Err()
	}
	m.mu.Lock()
	m.full = m.full || m.room == room && errors.Is(err, ErrDropped)
	return err
}

func (m *Metering) drop(c *UsageCall) {
	cost := c.Cost
	if c.Charged != whole {
		cost = max(c.Charged, 0).Decimal()
	}
	m.state.Dropped++
	m.state.DroppedCost = m.state.DroppedCost.Add(cost)
}

func (m *Metering) alarm(err error) {
	if m.opt.Alarm != nil {
		m.opt.Alarm(err)
	}
}

// State says what has become of what this process has recorded.
func (m *Metering) State() MeteringState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.with(len(m.waiting))
}

func (s MeteringState) with(waiting int) MeteringState {
	s.Waiting += waiting
	return s
}

// writeOn writes what waits until nothing does, or end is closed: an idle process has no transactions.
func (m *Metering) writeOn(end chan struct{}) {
	for failures := 0; ; {
		ending := false
		select {
		case <-end:
			ending = true
		case <-time.After(m.opt.Flush << min(failures, 6)):
		}
		ctx, cancel := context.WithTimeout(context.Background(), m.opt.Timeout)
		err := m.write(ctx)
		cancel()
		if err == nil {
			failures = 0
		} else if failures++; failures >= 3 {
			m.alarm(fmt.Errorf("billing: usage events wait to be written: %w", err))
		}
		m.mu.Lock()
		if ending || err == nil && m.state.Waiting+len(m.waiting) == 0 || errors.Is(err, store.ErrClosed) {
			m.running = false
			m.mu.Unlock()
			return
		}
		m.mu.Unlock()
	}
}

// Flush writes what was recorded before: afterwards everything that was recorded in this process is in its reports. Inside
// a unit of the store nothing is written.
func (m *Metering) Flush(ctx context.Context) error {
	if m.store.InUnit(ctx) {
		return nil
	}
	return m.write(ctx)
}

// write writes what waits. What it could not write waits on.
func (m *Metering) write(ctx context.Context) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	if err := m.writeLeft(ctx); err != nil { // no more than fits waits beside what fits
		return err
	}
	m.mu.Lock()
	some := m.waiting
	m.waiting, m.spare, m.full = m.spare[:0], nil, false
	m.state.Waiting = len(some)
	if m.room != nil {
		close(m.room)
		m.room = nil
	}
	m.mu.Unlock()
	m.left = slices.Grow(m.events[:0], len(some))
	now, lacking := m.store.Now(), &completion{m.store, map[ownTags]map[string]string{}}
	for i := range some {
		if some[i].Charged != whole {
			lacking.complete(&some[i])
		}
		m.takeOver(&some[i], now)
	}
	m.events = m.left
	clear(some)
	m.mu.Lock()
	m.spare = some[:0]
	m.mu.Unlock()
	return m.writeLeft(ctx)
}

// takeOver makes a call in the queue that lacks nothing an event that is to be written. One that cannot be is dropped.
func (m *Metering) takeOver(c *UsageCall, now time.Time) {
	err := c.validate(now)
	if err == nil {
		m.left = append(m.left, c.UsageEvent)
		return
	}
	m.mu.Lock()
	m.drop(c)
	m.state.Waiting--
	m.mu.Unlock()
	m.alarm(fmt.Errorf("billing: a usage event cannot be: %w", err))
}

// writeLeft writes what was taken out of the queue, each batch in a unit.
func (m *Metering) writeLeft(ctx context.Context) error {
	for len(m.left) > 0 {
		batch := m.left[:min(len(m.left), store.MaxAppend)]
		var done Ingested
		err := m.store.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			done, err = m.ingest(ctx, tx, batch)
			return err
		})
		if err != nil {
			return err
		}
		m.left = m.left[len(batch):]
		m.mu.Lock()
		m.state.Waiting -= len(batch)
		m.state.Written += int64(done.Accepted)
		m.state.Duplicates += int64(done.Duplicates)
		m.state.Conflicts += int64(len(done.Conflicts))
		m.mu.Unlock()
	}
	m.left = nil
	clear(m.events)
	return nil
}

// Close writes what waits, with one try, and ends what works in the background. Recording is store.ErrClosed afterwards.
func (m *Metering) Close() error {
	m.mu.Lock()
	if !m.closed && m.running {
		close(m.end)
	}
	m.closed = true
	if m.room != nil {
		close(m.room)
		m.room = nil
	}
	m.mu.Unlock()
	m.ended.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), m.opt.Timeout)
	defer cancel()
	if err := m.write(ctx); err != nil {
		return fmt.Errorf("billing: %d usage events could not be written: %w", m.State().Waiting, err)
	}
	return nil
}
