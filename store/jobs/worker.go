package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/orgkit/orgkit/store"
)

// Worker runs the jobs of the kinds that it handles, and enqueues those of all schedules. Any number of
// workers, in any number of processes, share the work of one database. It is safe for concurrent use once
// its kinds are handled.
type Worker struct {
	store       *store.Store
	log         *slog.Logger
	concurrency int
	lease       time.Duration
	poll        time.Duration
	grace       time.Duration

	attempts *store.Work // as OpenTelemetry hears of them

	kinds []*kind
	mu    sync.Mutex
	turns int       // begun, for fairness
	swept time.Time // when keys were last looked through
}

// Options of a [Worker]. Nil, and zero fields, are the defaults.
type Options struct {
	// Concurrency is how many handlers of Run run at a time: 0 is 10.
	Concurrency int
	// Lease is for how long a job is taken at first and with each extension, so how long it waits after
	// its worker died: 0 is a minute. The clocks of all processes agree far better than that.
	Lease time.Duration
	// Poll is how often Run looks for jobs of which it was not told: 0 is a second.
	Poll time.Duration
	// Grace is how long handlers may go on when Run is to stop: 0 is 10 seconds.
	Grace time.Duration
	// Log is told of failures, and of what is wrong with the store. Nil is nobody.
	Log *slog.Logger
}

// NewWorker returns a worker that handles nothing yet.
func NewWorker(s *store.Store, o *Options) *Worker {
	if o == nil {
		o = &Options{}
	}
	w := &Worker{store: s, attempts: s.Telemetry().Work("orgkit.jobs.attempt", "How long an attempt at a job took"), log: o.Log, concurrency: o.Concurrency, lease: o.Lease, poll: o.Poll, grace: o.Grace}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	if w.concurrency <= 0 {
		w.concurrency = 10
	}
	for _, d := range []struct {
		of        *time.Duration
		otherwise time.Duration
	}{{&w.lease, time.Minute}, {&w.poll, time.Second}, {&w.grace, 10 * time.Second}} {
		if *d.of <= 0 {
			*d.of = d.otherwise
		}
	}
	return w
}

// Handle lets fn do the jobs of a kind. It is called before the worker runs; a kind that is handled
// already panics. Jobs of kinds that no worker handles wait.
func (w *Worker) Handle(name string, fn Handler, o *KindOptions) {
	if err := checkText("kind", name, true); err != nil {
		panic("jobs: " + err.Error())
	}
	for _, k := range w.kinds {
		if k.name == name {
			panic(fmt.Sprintf("jobs: the kind %q is handled twice", name))
		}
	}
	w.kinds = append(w.kinds, newKind(name, fn, o))
}

// Run runs what is due, as it becomes due, until ctx ends; then it takes no more, gives the handlers
// their grace period, ends their contexts, and returns nil when the last has returned. What it had
// to interrupt is given back and starts again elsewhere at once. A handler that does not heed its
// context holds up Run and keeps its lease. A failing store is logged and tried again; Run returns its
// error only when it was closed.
func (w *Worker) Run(ctx context.Context) error {
	wake := make(chan struct{}, 1)
	stop := w.store.Listen(func(n store.Notice) {
		if n.Gap || n.Word == word {
			select {
			case wake <- struct{}{}:
			default: // it is awake already
			}
		}
	})
	defer stop()

	work, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	var running sync.WaitGroup
	slots := make(chan struct{}, w.concurrency)
	err := w.serve(ctx, wake, slots, func(h *held) {
		running.Go(func() {
			defer func() { <-slots }()
			if err := w.attempt(work, h, true); err != nil {
				w.report(work, h, err)
			}
		})
	})
	grace := time.AfterFunc(w.grace, func() { end(ErrStopped) })
	defer grace.Stop()
	running.Wait()
	return err
}

// serve hands out jobs until ctx ends. Each occupies one of the slots.
func (w *Worker) serve(ctx context.Context, wake <-chan struct{}, slots chan struct{}, hand func(*held)) error {
	for {
		free := 1
		select {
		case <-ctx.Done():
			return nil
		case slots <- struct{}{}:
		}
		for len(slots) < cap(slots) { // only this loop fills it
			slots <- struct{}{}
			free++
		}
		got, wait, err := w.turn(ctx, free)
		for range free - len(got) {
			<-slots
		}
		for _, h := range got {
			hand(h)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, store.ErrClosed):
			return err
		case err != nil:
			w.log.WarnContext(ctx, "jobs: the store fails", "error", err)
			wait = w.poll
		case len(got) == free:
			continue
		}
		pause := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-pause.C:
		}
		pause.Stop()
	}
}

// turn enqueues the jobs of schedules that are due and takes at most limit jobs. wait is when to look
// again, if nothing else happens.
func (w *Worker) turn(ctx context.Context, limit int) (got []*held, wait time.Duration, err error) {
	if err := w.tidy(ctx); err != nil {
		return nil, 0, err
	}
	v, err := w.look(ctx)
	if err != nil {
		return nil, 0, err
	}
	var broken error
	if v.slot {
		if broken, err = tick(ctx, w.store); err == nil {
			v, err = w.look(ctx)
		}
		if err != nil {
			return nil, 0, err
		}
	}
	if len(v.due) > 0 {
		if got, err = w.claim(ctx, v.due, limit); err != nil {
			return nil, 0, err
		}
	}
	if broken != nil {
		w.log.WarnContext(ctx, "jobs: a schedule cannot run", "error", broken)
		return got, w.poll, nil
	}
	return got, max(min(w.poll, v.next.Sub(w.store.Now())), time.Millisecond), nil
}

// view is what there is to do.
type view struct {
	due  []*kind   // kinds that have a job to run, in another order each time
	slot bool      // a schedule has a slot
	next time.Time // when the next job or schedule of the others is due
}

func (w *Worker) look(ctx context.Context) (v view, err error) {
	w.mu.Lock()
	first := w.turns
	w.turns++
	w.mu.Unlock()
	err = w.store.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		v = view{}
		if v.next, err = nextTick(ctx, tx); err != nil {
			return err
		}
		v.slot = !v.next.After(tx.Now())
		for i := range w.kinds {
			k := w.kinds[(first+i)%len(w.kinds)]
			rows, err := live.Scan(ctx, tx, store.Range{Equal: []any{k.name}, Limit: 1})
			switch {
			case err != nil:
				return err
			case len(rows) == 0:
			case !rows[0].Due.After(tx.Now()):
				v.due = append(v.due, k)
			default:
				v.next = earlier(v.next, rows[0].Due)
			}
		}
		return nil
	})
	return v, err
}

// attempt runs a job that was claimed and settles it. The error is that of the handler, or of the store.
// With extend the lease is extended meanwhile, by another goroutine.
func (w *Worker) attempt(ctx context.Context, h *held, extend bool) (err error) {
	job := h.row.job()
	ctx, piece := w.attempts.Begin(ctx)
	piece.Note(attribute.String("orgkit.job.id", h.row.ID), attribute.String("orgkit.organization_id", h.row.OrgID), attribute.Int64("orgkit.job.attempt", h.row.Attempt))
	defer func() { piece.End(err, attribute.String("orgkit.job.kind", h.row.Kind)) }()
	job.held = h
	within, end := context.WithCancelCause(ctx)
	defer end(nil)
	var keeper sync.WaitGroup
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if extend {
		keeper.Go(func() { h.keep(keeping, w.store, w.lease, func() { end(ErrLeaseLost) }) })
	}
	failed := h.kind.call(within, job)
	stop()
	keeper.Wait()
	stopped := errors.Is(context.Cause(ctx), ErrStopped) || !extend && ctx.Err() != nil
	// What was done is kept even when everything stops.
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.grace)
	defer cancel()
	if err := h.settle(keep, w.store, failed, stopped); err != nil {
		return errors.Join(failed, err)
	}
	return failed
}

func (w *Worker) report(ctx context.Context, h *held, err error) {
	level := slog.LevelWarn
	args := []any{"job", h.row.ID, "kind", h.row.Kind, "org", h.row.OrgID, "attempt", h.row.Attempt, "error", err}
	var p *PanicError
	if errors.As(err, &p) {
		level = slog.LevelError
		args = append(args, "stack", string(p.Stack))
	}
	w.log.Log(ctx, level, "jobs: an attempt failed", args...)
}

// RunDue runs everything that is due by the clock of the store, one job after the other in the caller's
// goroutine, also what is enqueued meanwhile, and returns how many attempts that were. A job that fails
// is due again later, even if its clock stands still. The error joins those of the handlers, each with the
// id and kind of its job, and that of the store, which ends it. Leases are not extended: handlers have to
// be done within one.
func (w *Worker) RunDue(ctx context.Context) (ran int, err error) {
	var failed []error
	for {
		got, _, err := w.turn(ctx, 1)
		if err != nil || len(got) == 0 {
			return ran, errors.Join(append(failed, err)...)
		}
		if err := w.attempt(ctx, got[0], false); err != nil {
			failed = append(failed, failure(&got[0].row, err))
		}
		ran++
	}
}

// sweepEvery is how often keys are looked through.
const sweepEvery = 5 * time.Minute

// tidy forgets old keys from time to time.
func (w *Worker) tidy(ctx context.Context) error {
	now := w.store.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if d := now.Sub(w.swept); 0 <= d && d < sweepEvery {
		return nil
	}
	more, err := sweep(ctx, w.store)
	if err == nil && !more {
		w.swept = now
	}
	return err
}
