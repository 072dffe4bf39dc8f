// Package store keeps records.
//
// A [Store] is a concrete front over a small [Driver]; packages memory, sqlite and postgres hold
// the drivers of this library and storetest the suite that each of them passes. All reading and
// writing happens in a unit: [Store.Update] runs a function in a transaction that may write,
// [Store.View] in one that sees a single unchanging state. Nothing reads or writes a record
// without the [Tx] of its unit in hand. A kind of record is declared once with [Define]; its
// [Collection] then serves every store.
//
// # Units
//
// An Update commits all of its writes or none. A unit begun inside a unit of the same store, with
// the context that the outer function was given, joins it: it commits with it. An error returned
// by a joined unit, and any write that failed, dooms the outer one: it returns that error even if
// its own function returns nil. An Update inside a View is [ErrReadOnly].
//
// The function of a unit is run again after a failure that may pass ([ErrTransient]), so it has no
// effects outside of the unit but to assign its results. What must happen once, after the commit,
// goes into [Tx.AfterCommit]. Inside the function use the context that it was given, never the one
// around it: name the parameter ctx, so that the outer one cannot be reached.
//
// # Isolation
//
// A View reads one snapshot, which its first read fixes at the latest. An Update reads what is
// committed; what it must rely on until its end it reads with [Collection.Lock]. [Collection.Update]
// is a compare-and-swap on the version of the record, so no change is lost even without a lock.
//
// # Time
//
// [Tx.Now] is one instant for the whole unit, in UTC and whole microseconds, the finest that all
// databases keep: the row, its audit event and its reservation agree.
package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"
)

// Store keeps records in one database. It is safe for concurrent use.
type Store struct {
	driver Driver
	now    func() time.Time
	began  time.Time
	steady bool // the clock is time.Now
	anchor atomic.Pointer[anchor]
	newID  func(prefix string, now time.Time) string
	tries  int
	feed   feed

	sequential bool
	telemetry  Telemetry
}

// Options of a [Store]. The zero value, and nil, are ready for production.
type Options struct {
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// NewID makes the id of a new record out of its kind's prefix; nil makes random ids that sort
	// in the order in which this process makes them, and by time. Ids must never repeat.
	NewID func(prefix string) string
	// Tries is how often a unit is run before a transient failure is returned; 0 is 8.
	Tries int
	// Wrap puts something around the driver: a recorder, or a fault for tests. Nil is nothing.
	Wrap func(Driver) Driver
	// Telemetry is told what the rooms over the store do, as by otel.GetTracerProvider() and otel.GetMeterProvider();
	// the zero one tells nobody. See docs of the rooms for what there is: gate, billing, rbac, jobs.
	Telemetry Telemetry
}

// New returns a store over a driver. The store owns the driver and closes it.
func New(d Driver, o *Options) *Store {
	s := &Store{driver: d, now: time.Now, steady: true, newID: new(ids).next, tries: 8}
	s.began = s.now()
	s.feed.remote, _ = d.(Feed)
	if one, is := d.(interface{ Sequential() bool }); is {
		s.sequential = one.Sequential()
	}
	if o == nil {
		return s
	}
	if o.Now != nil {
		s.now, s.steady, s.began = o.Now, false, o.Now()
	}
	if o.NewID != nil {
		s.newID = func(prefix string, _ time.Time) string { return o.NewID(prefix) }
	}
	if o.Tries > 0 {
		s.tries = o.Tries
	}
	if o.Wrap != nil {
		s.driver = o.Wrap(d)
	}
	s.telemetry = o.Telemetry
	return s
}

// Close closes the database. Units that run are not waited for.
func (s *Store) Close() error { return s.driver.Close() }

// Sequential says whether units that write run one after another, in all processes on the same database. Where
// they do not, what two of them append may become visible in another order than it was numbered in.
func (s *Store) Sequential() bool { return s.sequential }

// Now is the time by the clock of the store, as a unit begun now would see it.
func (s *Store) Now() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// Elapsed is how long ago the store was made. With a clock that is monotonic, as time.Now is, no step of the wall clock
// changes it: it is for measuring, never for what is kept.
func (s *Store) Elapsed() time.Duration {
	if s.steady {
		return time.Since(s.began) // which reads the monotonic clock alone
	}
	return s.now().Sub(s.began)
}

// Clock is Now and Elapsed of one moment, for a path on which reading two clocks takes too long: of time.Now it reads the
// monotonic one, and the other now and then, so that a step of the wall clock may be seen 10 milliseconds late.
func (s *Store) Clock() (now time.Time, elapsed time.Duration) {
	if s.steady {
		elapsed = time.Since(s.began)
		if a := s.anchor.Load(); a != nil && elapsed-a.elapsed < wallEvery {
			return a.now.Add((elapsed - a.elapsed) / time.Microsecond * time.Microsecond), elapsed
		}
	}
	t := s.now()
	now, elapsed = t.UTC().Truncate(time.Microsecond), t.Sub(s.began)
	if s.steady {
		s.anchor.Store(&anchor{now, elapsed})
	}
	return now, elapsed
}

// anchor is one moment on both clocks.
type anchor struct {
	now     time.Time
	elapsed time.Duration
}

const wallEvery = 10 * time.Millisecond

// NewID returns a fresh id as [Tx.NewID] does, for what is no record.
func (s *Store) NewID(prefix string) string { return s.newID(prefix, s.Now()) }

type txKey struct{ store *Store }

// InUnit says whether ctx belongs to a unit of this store, that is, whether an Update or View
// with it would join.
func (s *Store) InUnit(ctx context.Context) bool {
	_, ok := ctx.Value(txKey{s}).(*Tx)
	return ok
}

// Update runs fn in a transaction and commits it when fn returns nil. fn may run more than once;
// see the package documentation.
func (s *Store) Update(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	return s.run(ctx, true, fn)
}

// View runs fn on one snapshot of all records. Inside an Update it joins it instead and sees its
// writes.
func (s *Store) View(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	return s.run(ctx, false, fn)
}

func (s *Store) run(ctx context.Context, writable bool, fn func(context.Context, *Tx) error) error {
	if outer, ok := ctx.Value(txKey{s}).(*Tx); ok {
		return outer.join(ctx, writable, fn)
	}
	var at uintptr
	if writable { // who may hold the lock of a writer
		at = caller()
	}
	for try := 1; ; try++ {
		err := s.once(ctx, unit{at, try}, writable, fn)
		if err == nil || try >= s.tries || !errors.Is(err, ErrTransient) {
			return err
		}
		// Full jitter keeps units that collided from colliding again.
		wait := rand.N(time.Millisecond << min(try, 8))
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(wait):
		}
	}
}

// unitContext is the context of a unit, and the unit itself: one allocation instead of four.
type unitContext struct {
	context.Context
	tx   Tx
	unit unit
}

// Value knows the unit, from when it has begun.
func (c *unitContext) Value(key any) any {
	switch key := key.(type) {
	case unitKey:
		return &c.unit
	case txKey:
		if key.store == c.tx.store && c.tx.driver != nil {
			return &c.tx
		}
	}
	return c.Context.Value(key)
}

func (s *Store) once(ctx context.Context, u unit, writable bool, fn func(context.Context, *Tx) error) error {
	c := &unitContext{Context: ctx, unit: u, tx: Tx{store: s, writable: writable}}
	tx := &c.tx
	d, err := s.driver.Begin(c, writable)
	if err != nil {
		return err
	}
	tx.driver, tx.now = d, s.Now()
	defer d.Rollback() // after Commit it does nothing; it also ends the unit of a panicking fn
	defer func() { tx.done = true }()

	if err := fn(c, tx); err != nil {
		return err
	}
	if tx.doomed != nil {
		return tx.doomed
	}
	if !writable {
		return nil
	}
	if err := d.Commit(c); err != nil {
		return err
	}
	for _, after := range tx.after {
		after()
	}
	s.feed.tell(tx.words)
	return nil
}

type unitKey struct{}

// unit says who began a unit and the how manieth run of it this is.
type unit struct {
	pc  uintptr
	try int
}

// caller is who began the unit, so that a driver with one writer can name the holder of its lock
// when another waits too long.
func caller() uintptr {
	var pcs [1]uintptr
	runtime.Callers(4, pcs[:])
	return pcs[0]
}

// String names the place in the code that began the unit.
func (u unit) String() string {
	if u.pc == 0 {
		return "unknown"
	}
	f, _ := runtime.CallersFrames([]uintptr{u.pc}).Next()
	return fmt.Sprintf("%s (line %d)", f.Function, f.Line)
}

// Attempt is which run of its unit ctx belongs to, 1 for the first; 0 outside of units.
func Attempt(ctx context.Context) int {
	u, _ := ctx.Value(unitKey{}).(*unit)
	if u == nil {
		return 0
	}
	return u.try
}
