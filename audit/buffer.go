package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orgkit/orgkit/store"
)

// buffer holds decisions until they are written. Who decides takes a lock for as long as it takes to copy one, and only
// for what is to be written; the lock is one of several, so that hardly anybody waits for it.
type buffer struct {
	wishes  atomic.Pointer[map[string]wish] // by organization, of those that were asked lately
	serial  atomic.Uint64
	shards  [8]shard
	repeats repeats

	running atomic.Bool // somebody writes in the background
	ended   sync.WaitGroup
	writing sync.Mutex // one at a time
	left    []waiter   // which could not be written; of whoever writes
	gone    losses     // of whoever writes

	mu        sync.Mutex
	forgotten int         // how often wishes were
	expiry    *time.Timer // of wishes
	end       chan struct{}
	closed    bool
}

type shard struct {
	mu   sync.Mutex
	list []waiter
	old  []waiter // room for the next list
	gone losses
	_    [64]byte // no two share a cache line
}

// loss counts decisions for which there was no room.
type loss struct {
	Allowed int64 `json:"allowed"`
	Denied  int64 `json:"denied"`
	Uses    int64 `json:"refused_uses"` // of credentials, see [Decision].Type
}

type losses map[string]loss

// maxLosses is of how many organizations losses are counted; of the rest in the log of the platform.
const maxLosses = 1000

func (l *losses) add(orgID string, more loss) {
	if *l == nil {
		*l = losses{}
	}
	if _, known := (*l)[orgID]; !known && len(*l) >= maxLosses {
		orgID = ""
	}
	at := (*l)[orgID]
	(*l)[orgID] = loss{at.Allowed + more.Allowed, at.Denied + more.Denied, at.Uses + more.Uses}
}

func (l *losses) one(d *Decision) {
	switch {
	case d.Type != "":
		l.add(d.OrgID, loss{Uses: 1})
	case d.Code != "":
		l.add(d.OrgID, loss{Denied: 1})
	default:
		l.add(d.OrgID, loss{Allowed: 1})
	}
}

const (
	// defaultWaiting is how many decisions may wait.
	defaultWaiting = 8192
	// wishedFor is how long it is taken for granted what an organization wants; a change in this process counts at once.
	wishedFor = 5 * time.Second
	// maxWishes is of how many organizations that is remembered.
	maxWishes = 10_000
)

// Decided tells the log of a decision, as far as the organization wants it there; see [Decisions]. It never waits for
// the database and does not fail: the event is written within some milliseconds, in the background, with others in one
// unit. What finds no room is counted, and the number written as an event of [DroppedType]; what waits when the process
// is killed is lost. [Log.Flush] and [Log.Close] write what waits, and so does whoever reads the log. What an
// organization wants is asked when it is written; other processes than the one that has changed it know it within five
// seconds.
//
// Of refusals with a Type of their own one event is written for each actor, type and code in a minute, and then one with
// how many there were: whoever tries a dead key a thousand times a second leaves two.
func (l *Log) Decided(d *Decision) {
	b := &l.buffer
	if d.Type != "" {
		l.repeated(d)
		return
	}
	if known := b.wishes.Load(); known != nil {
		if w, is := (*known)[d.OrgID]; is && !w.wants(d) {
			return
		}
	}
	l.put(d, l.store.Now(), 0, time.Time{})
}

// WantsAllowed says that an organization may want to be told of decisions that allow something: who knows that it does not
// need not tell [Log.Decided] of them.
func (l *Log) WantsAllowed(orgID string) bool {
	if known := l.buffer.wishes.Load(); known != nil {
		if w, is := (*known)[orgID]; is {
			return w.allowed > 0
		}
	}
	return true
}

func (l *Log) put(d *Decision, at time.Time, count int64, since time.Time) {
	limit := l.opt.Waiting
	if limit <= 0 {
		limit = defaultWaiting
	}
	b := &l.buffer
	n := b.serial.Add(1)
	s := &b.shards[n%uint64(len(b.shards))]
	s.mu.Lock()
	if len(s.list) < max(1, limit/len(b.shards)) {
		s.list = append(s.list, waiter{*d, n, at, count, since})
	} else {
		s.gone.one(d)
	}
	s.mu.Unlock()
	if !b.running.Load() {
		l.writeSoon()
	}
}

// writeSoon has somebody write in the background until nothing waits any more.
func (l *Log) writeSoon() {
	if l.opt.NoBackground {
		return
	}
	b := &l.buffer
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed && b.running.CompareAndSwap(false, true) {
		end := make(chan struct{})
		b.end = end
		b.ended.Go(func() { l.writeOn(end) })
	}
}

// writing is how long decisions may wait for others that are written with them.
const writing = 100 * time.Millisecond

// writeOn writes what waits until nothing does, or end is closed.
func (l *Log) writeOn(end chan struct{}) {
	b := &l.buffer
	for failures := 0; ; {
		ending := false
		select {
		case <-end:
			ending = true
		case <-time.After(writing << min(failures, 6)):
		}
		err := l.write(context.Background())
		if err == nil {
			failures = 0
		} else if failures++; failures >= patience || errors.Is(err, store.ErrClosed) {
			l.alarm(fmt.Errorf("audit: decisions wait to be written: %w", err))
		}
		if ending || err == nil && b.empty() || failures >= patience || errors.Is(err, store.ErrClosed) {
			b.running.Store(false)
			if ending || err != nil || b.empty() || !b.running.CompareAndSwap(false, true) {
				return
			}
		}
	}
}

func (b *buffer) empty() bool {
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.Lock()
		some := len(s.list) + len(s.gone)
		s.mu.Unlock()
		if some > 0 {
			return false
		}
	}
	return true
}

// take is all that waits, in its order.
func (b *buffer) take() (list []waiter) {
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.Lock()
		some, gone := s.list, s.gone
		s.list, s.gone = s.old[:0], nil
		s.old = nil
		s.mu.Unlock()
		list = append(list, some...)
		clear(some)
		s.mu.Lock()
		s.old = some
		s.mu.Unlock()
		for orgID, n := range gone {
			b.gone.add(orgID, n)
		}
	}
	slices.SortFunc(list, func(x, y waiter) int { return cmp.Compare(x.n, y.n) })
	return list
}

// write writes what waits. What it could not write waits on.
func (l *Log) write(ctx context.Context) error {
	b := &l.buffer
	b.writing.Lock()
	defer b.writing.Unlock()
	if len(b.left) == 0 { // no more than fits waits beside what fits
		b.left = b.take()
	}
	if len(b.left)+len(b.gone) == 0 {
		return nil
	}
	wishes, err := l.wishesOf(ctx)
	if err != nil {
		return err
	}
	b.left = slices.DeleteFunc(b.left, func(w waiter) bool { return !wishes[w.OrgID].wants(&w.Decision) })
	for len(b.left) > 0 {
		n := min(len(b.left), maxGroup)
		events := make([]*Event, n)
		for i := range events {
			e := b.left[i].event()
			events[i] = &e
		}
		if err := l.together(ctx, events); err != nil {
			return err
		}
		b.left = b.left[n:]
	}
	b.left = nil
	for orgID, n := range b.gone {
		w := wishes[orgID]
		if w.allowed == 0 {
			n.Allowed = 0
		}
		if !w.denied {
			n.Denied = 0
		}
		if n != (loss{}) {
			e, err := eventOf(System("decisions"), orgID, "", Change{Type: DroppedType, Outcome: Failure, Resource: Resource{Type: "organization", ID: orgID}, Data: n})
			if err == nil {
				err = l.together(ctx, []*Event{&e})
			}
			if err != nil {
				return err
			}
		}
		delete(b.gone, orgID)
	}
	return nil
}

// wishesOf are those of the organizations of what waits.
func (l *Log) wishesOf(ctx context.Context) (map[string]wish, error) {
	b := &l.buffer
	var known map[string]wish
	if m := b.wishes.Load(); m != nil {
		known = *m
	}
	wishes := map[string]wish{}
	var ask []string
	look := func(orgID string) {
		if _, done := wishes[orgID]; done {
			return
		}
		w, is := known[orgID]
		if !is { // nobody has set one, or it is read now
			w = DefaultConfig(orgID).wish()
			ask = append(ask, orgID)
		}
		wishes[orgID] = w
	}
	for i := range b.left {
		look(b.left[i].OrgID)
	}
	for orgID := range b.gone {
		look(orgID)
	}
	if len(ask) == 0 {
		return wishes, nil
	}
	b.mu.Lock()
	asked := b.forgotten
	b.mu.Unlock()
	for some := range slices.Chunk(ask, 500) {
		err := l.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			for c, err := range Configs.All(ctx, tx, store.Query{Where: []store.Cond{store.In("id", some)}}) {
				if err != nil {
					return err
				}
				wishes[c.ID] = c.wish()
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	b.learn(ask, wishes, asked)
	return wishes, nil
}

// learn remembers what organizations want, unless something was forgotten since it was asked for.
func (b *buffer) learn(orgIDs []string, wishes map[string]wish, asked int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.forgotten != asked || b.closed {
		return
	}
	fresh := map[string]wish{}
	if m := b.wishes.Load(); m != nil && len(*m)+len(orgIDs) <= maxWishes {
		fresh = maps.Clone(*m)
	}
	for _, id := range orgIDs[:min(len(orgIDs), maxWishes)] {
		fresh[id] = wishes[id]
	}
	b.wishes.Store(&fresh)
	if b.expiry == nil {
		b.expiry = time.AfterFunc(wishedFor, b.forget)
	}
}

// forget has it asked again what organizations want.
func (b *buffer) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgotten++
	b.wishes.Store(nil)
	if b.expiry != nil {
		b.expiry.Stop()
		b.expiry = nil
	}
}

// closeBuffer ends the background and writes what waits, with one try.
func (l *Log) closeBuffer() {
	b := &l.buffer
	b.mu.Lock()
	if !b.closed && b.end != nil {
		close(b.end)
	}
	b.closed = true
	b.mu.Unlock()
	b.ended.Wait()
	b.forget()
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	if err := l.writeAll(ctx); err != nil && !errors.Is(err, store.ErrClosed) {
		l.alarm(fmt.Errorf("audit: decisions could not be written: %w", err))
	}
}

// closing is how long [Log.Close] may take to write what waits.
const closing = 5 * time.Second

// writeAll writes what waits, and how often what it stands for was repeated.
func (l *Log) writeAll(ctx context.Context) error {
	l.sweep()
	if err := l.write(ctx); err != nil {
		return err
	}
	return l.write(ctx) // the first may have written no more than what could not be written before
}
