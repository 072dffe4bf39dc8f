package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

// Log is the audit log of one store: of every organization a list of events that only grows, and a Merkle tree
// over them. It is safe for concurrent use.
type Log struct {
	store *store.Store
	opt   Options
	edges edges
	names known[name]
	kinds known[typed]
	group group
	own   atomic.Int64 // the version of the sequencer as this log has left it last

	buffer buffer // of decisions

	mu      sync.Mutex
	running bool            // somebody works in the background
	woken   bool            // there is something to do for it
	dirty   map[string]bool // organizations whose newest events no checkpoint covers
	idle    chan struct{}   // closed when it has ended
	closing chan struct{}   // closed with closed
	closed  bool
}

// Options of a [Log]; nil works.
type Options struct {
	// Signers sign the checkpoints, all of them each one: to rotate, add the new key, and drop the old one when
	// whoever verifies knows the new one. Make a key with [NewKey]. Without one there are no checkpoints, and
	// nobody can prove afterwards that the log was not rewritten. They are asked while events are put in order, and so should
	// answer at once; one that fails keeps no event from its place.
	Signers []note.Signer
	// Verifiers are the public halves of the keys that sign, and of those that have signed, for whoever asks.
	Verifiers []string
	// Origin begins the first line of a checkpoint, which the id of the organization ends: the name of this
	// installation, such as "gateway.example/audit". "" is "orgkit".
	Origin string
	// Seal seals what is personal in events, and opens it: see the package. Nil: it is kept as it is.
	Seal *seal.Sealer
	// Alarm is told when what happens in the background fails for long. Nil: nobody.
	Alarm func(err error)
	// Waiting is how many decisions may wait to be written, see [Log.Decided]; 0 is 8192.
	Waiting int
	// NoBackground leaves events to be put in order, and checkpoints to be signed, when somebody reads them or
	// calls [Log.Flush], and so decisions to be written. It is for tests and for programs that end soon.
	NoBackground bool
}

// New returns the log of a store. There may be several of one store, in any number of processes.
func New(s *store.Store, o *Options) *Log {
	l := &Log{store: s, dirty: map[string]bool{}, closing: make(chan struct{})}
	if o != nil {
		l.opt = *o
	}
	if l.opt.Origin == "" {
		l.opt.Origin = "orgkit"
	}
	return l
}

// Verifiers are the public keys that vouch for checkpoints, as [Options] has them.
func (l *Log) Verifiers() []string { return slices.Clone(l.opt.Verifiers) }

// Kinds are the kinds of record of this package, for drivers and migrations.
func Kinds() []*store.Kind {
	return []*store.Kind{events.Kind(), blocks.Kind(), seeds.Kind(), names.Kind(), kinds.Kind(), counts.Kind(), checkpoints.Kind(), prunes.Kind(),
		pending.Kind(), sequencers.Kind(), filters.Kind(), Configs.Kind(), Deliveries.Kind(), Holds.Kind()}
}

// Append writes one event of the organization into the caller's unit. The actor comes from ctx;
// without one it panics, since a change that nobody makes is a mistake in the program.
//
// The event is given its place after the commit, if the organization logs it: the one that is returned has none yet.
func (l *Log) Append(ctx context.Context, tx *store.Tx, orgID, action string, c Change) (Event, error) {
	e, err := newEvent(ctx, orgID, action, c)
	if err != nil {
		return e, err
	}
	return e, l.append(ctx, tx, []*Event{&e})
}

// append writes events that have neither id nor time.
func (l *Log) append(ctx context.Context, tx *store.Tx, list []*Event) error {
	wait := make([]waiting, len(list))
	for i, e := range list {
		e.ID, e.Time = tx.NewID(idPrefix), tx.Now()
		if e.OccurredAt.IsZero() {
			e.OccurredAt = tx.Now()
		}
		if e.Type == ConfigChangedType {
			tx.AfterCommit(l.buffer.forget)
		}
		r := rowOf(e)
		if err := r.seal(l.opt.Seal); err != nil {
			return err
		}
		wait[i].Event = r.encode()
	}
	tx.AfterCommit(l.wake)
	return pending.Queue(ctx, tx, wait...)
}

func newEvent(ctx context.Context, orgID, action string, c Change) (Event, error) {
	actor, ok := ActorFrom(ctx)
	if !ok {
		panic("audit: no actor in the context")
	}
	return eventOf(actor, orgID, action, c)
}

func eventOf(actor Actor, orgID, action string, c Change) (Event, error) {
	c = c.complete()
	e := Event{
		OrgID: orgID, TeamID: c.TeamID,
		Type: c.Type, Category: Category(c.Type), Action: action,
		ActorType: actor.Type, ActorID: actor.ID, ActorLabel: actor.Label, OnBehalfOf: actor.OnBehalfOf,
		ResourceType: c.Resource.Type, ResourceID: c.Resource.ID, ResourceSlug: c.Resource.Slug,
		Outcome: c.Outcome, UserAgent: actor.UserAgent, RequestID: actor.RequestID, Reason: c.Reason,
	}
	if c.OrgID != "" {
		e.OrgID = c.OrgID
	}
	if e.Outcome == "" {
		e.Outcome = Success
	}
	if actor.IP.IsValid() {
		e.IP = actor.IP.String()
	}
	var err error
	if e.Before, e.After, err = difference(c.Before, c.After); err != nil {
		return e, err
	}
	if c.Data != nil {
		if e.Data, err = json.Marshal(c.Data); err != nil {
			return e, fmt.Errorf("audit data: %w", err)
		}
	}
	e.tidy()
	return e, nil
}

// wake has somebody work in the background until nothing is to be done any more.
func (l *Log) wake() {
	if l.opt.NoBackground {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.woken = true
	if !l.running && !l.closed {
		l.running, l.idle = true, make(chan struct{})
		go l.work(l.idle)
	}
}

const (
	// gathering is how long events may wait for others that are put in order and signed for with them: the more there are
	// of an organization, the less each costs. With the work itself it is less than the second that a checkpoint may take.
	// Who reads waits for nothing.
	gathering = 750 * time.Millisecond
	// retrying is how long it takes to the second try of what has failed; the next ones take twice as long each.
	retrying = 40 * time.Millisecond
	// patience is after how many failures in a row the background gives up, until it is woken again.
	patience = 8
)

// work puts events in order and signs checkpoints, until neither is to be done.
func (l *Log) work(idle chan struct{}) {
	defer close(idle)
	ctx := context.Background()
	for failures := 0; ; {
		l.mu.Lock()
		woken := l.woken
		l.woken = false
		if closed := l.closed; closed || !woken && (len(l.dirty) == 0 || len(l.opt.Signers) == 0) {
			l.running = false
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		var err error
		wait := gathering
		if woken {
			var rest time.Duration
			if rest, err = l.order(ctx, inBackground); rest > 0 {
				wait = rest
				l.mu.Lock()
				l.woken = true
				l.mu.Unlock()
			}
		}
		if err == nil {
			err = l.sign(ctx)
		}
		switch {
		case err == nil:
			failures = 0
		case errors.Is(err, store.ErrClosed):
			l.mu.Lock()
			l.running = false
			l.end()
			l.mu.Unlock()
			return
		default:
			if failures++; failures >= patience {
				l.alarm(fmt.Errorf("audit: events wait to be put in order or signed for: %w", err))
				l.mu.Lock()
				l.running = false
				l.mu.Unlock()
				return
			}
			l.mu.Lock()
			l.woken = true
			l.mu.Unlock()
		}
		if failures > 0 {
			wait = retrying << min(failures-1, 6)
		}
		select {
		case <-l.closing:
		case <-time.After(wait):
		}
	}
}

func (l *Log) alarm(err error) {
	if l.opt.Alarm != nil {
		l.opt.Alarm(err)
	}
}

// Flush writes the decisions that wait, puts all events in order that were committed before it, and signs a checkpoint of
// each organization that this process has written events of. Who ends a program calls it before the store is closed; what
// was not put in order is by whoever comes next, and decisions that were not written are lost.
func (l *Log) Flush(ctx context.Context) error {
	if err := l.writeAll(ctx); err != nil {
		return err
	}
	if _, err := l.order(ctx, forAll); err != nil {
		return err
	}
	return l.sign(ctx)
}

// Close writes the decisions that wait, ends what works in the background, without [Log.Flush], and waits for it. The log
// can still be used; decisions wait then until somebody reads or flushes.
func (l *Log) Close() {
	l.closeBuffer()
	l.mu.Lock()
	l.end()
	idle := l.idle
	l.mu.Unlock()
	if idle != nil {
		<-idle
	}
}

// end has nobody work in the background any more.
func (l *Log) end() {
	if !l.closed {
		l.closed = true
		close(l.closing)
	}
}

// catchUp writes the decisions that wait in this process and puts in order what was committed until now, so that a reader
// sees it. What cannot be written waits on and keeps nobody from reading.
func (l *Log) catchUp(ctx context.Context) error {
	if l.store.InUnit(ctx) {
		return nil
	}
	_ = l.write(ctx)
	_, err := l.order(ctx, forReaders)
	return err
}

// errWaits ends a view that does not see everything.
var errWaits = errors.New("audit: events wait to be put in order")

// sight finds out whether a view sees everything. It is read with what the view reads first.
type sight struct {
	whole bool // it is known
	waits [][]waiting
}

func (s *sight) read() []store.Read {
	if s.whole {
		return nil
	}
	return []store.Read{pending.Read(&s.waits, store.Range{Limit: 1})}
}

// clear is what a view ends with that does not see everything.
func (s *sight) clear() error {
	if !s.whole && len(s.waits[0]) > 0 {
		return errWaits
	}
	return nil
}

// seeing runs fn in a view that sees what [Log.catchUp] would have put in order: where nothing waits, which is so most of the time,
// without a unit before it. fn reads the sight with what it reads first, and ends where that is not clear.
func (l *Log) seeing(ctx context.Context, fn func(ctx context.Context, tx *store.Tx, s *sight) error) error {
	view := func(s *sight) error {
		return l.store.View(ctx, func(ctx context.Context, tx *store.Tx) error { return fn(ctx, tx, s) })
	}
	if l.store.InUnit(ctx) {
		return view(&sight{whole: true})
	}
	_ = l.write(ctx)
	err := view(&sight{})
	if !errors.Is(err, errWaits) {
		return err
	}
	if _, err := l.order(ctx, forReaders); err != nil {
		return err
	}
	return view(&sight{whole: true})
}
