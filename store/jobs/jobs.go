// Package jobs runs work later, at least once, on any store.
//
// [Enqueue] keeps a job inside the caller's own unit: it is there if and only if the unit commits
// (the outbox pattern). A [Worker] hands it to the [Handler] of its kind: [Worker.Run] in the
// background of a process, [Worker.RunDue] here and now, for tests and for hosts that are woken from
// outside. A [Schedule] enqueues a job at each slot of a cron expression in a time zone.
//
// # At least once
//
// A worker takes a job by a lease, which it extends while the handler runs. When the worker dies the
// lease runs out and another one, in any process, takes the job over: while leases hold no job runs
// twice at a time, but it may run again. So handlers are idempotent, by [Job.ID], which stays the same,
// or end their job inside the unit that has its effects, by [Job.Complete]: then these happen once.
// Leases are compared by the clocks of the processes, which have to agree far better than a lease is
// long.
//
// # Failures
//
// A job whose handler failed is run again after a back-off that doubles with each attempt, with full
// jitter. A handler chooses the wait by [RetryAfter] or ends it by [Permanent]. A panic is a failure, and
// so is the death of the worker. After the last attempt the job is a [DeadLetter] with its last error:
// [DeadLetters] lists them, [Retry] is the way back and [Discard] the way out. The text of an error is
// kept, cut to [MaxError] bytes, so handlers put no secrets into errors.
//
// # Once per key
//
// Of the jobs of one kind and organization with the same [NewJob.Key] only the first is kept. The key is
// known as long as the job waits, runs or is dead, and for NewJob.KeepKey after it was done.
//
// # Order
//
// Jobs run side by side and in no order, but those of one [NewJob.Lane] one at a time, in the order in
// which their units committed. A dead letter leaves its lane, so that the next one starts; where nothing
// may be passed over, the kind has [Unlimited] attempts. A lane costs its enqueuers concurrency: each
// holds it until its unit ends. What is read from a log with a cursor needs no lane but one job with a
// key.
//
// # Tenancy
//
// A job belongs to an organization, or to none (""). What reads or changes dead letters and schedules
// takes the organization, and finds nothing of another one.
//
// # OpenTelemetry
//
// Where store.Options.Telemetry says so each attempt is a span orgkit.jobs.attempt, which the handler's context carries, and
// counts in the histogram orgkit.jobs.attempt.duration (seconds), by orgkit.job.kind and, where it failed, error.type.
//
// # Rejected
//
// An external queue: it knows nothing of the unit that enqueues. A state column: a waiting job and a
// running one are the same row, due at its time or at the end of its lease, so that taking a job and
// taking it over are the same claim, and whoever lost a lease no longer finds the row.
package jobs

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/orgkit/orgkit/store"
)

// What a job may hold at most.
const (
	MaxPayload = 64 << 10 // bytes of JSON; what is larger is kept elsewhere, and named
	MaxText    = 200      // bytes of a kind, organization, lane, key or name
	MaxError   = 1000     // bytes of an error that is kept
)

// DefaultKeepKey is how long the key of a job is known after it was done.
const DefaultKeepKey = 24 * time.Hour

// maxKeepKey bounds what keys take.
const maxKeepKey = 400 * 24 * time.Hour

// word wakes the workers.
const word = "jobs"

// never is a time that does not come.
var never = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// ErrLeaseLost: the job was taken over by another worker, since its lease had run out. It is also the
// cause ([context.Cause]) of the end of the handler's context.
var ErrLeaseLost = errors.New("lease of the job was lost")

// ErrStopped is the cause of the end of a handler's context when the worker stops and its grace period
// is over.
var ErrStopped = errors.New("worker stops")

// RetryError is a failure after which the job is run again after a wait of the handler's choice.
type RetryError struct {
	After time.Duration
	Err   error
}

// RetryAfter makes a failure after which the job is run again in d, such as a Retry-After. It counts as
// an attempt, and after the last one the job is dead all the same.
func RetryAfter(d time.Duration, err error) error { return &RetryError{d, err} }

func (e *RetryError) Error() string { return text(e.Err, "later") }

// Unwrap is the failure.
func (e *RetryError) Unwrap() error { return e.Err }

// PermanentError is a failure after which the job is dead at once.
type PermanentError struct{ Err error }

// Permanent makes a failure that no further attempt would mend.
func Permanent(err error) error { return &PermanentError{err} }

func (e *PermanentError) Error() string { return text(e.Err, "permanent failure") }

// Unwrap is the failure.
func (e *PermanentError) Unwrap() error { return e.Err }

func text(err error, otherwise string) string {
	if err == nil {
		return otherwise
	}
	return err.Error()
}

// Kinds are the kinds of this package, for drivers and migrations.
func Kinds() []*store.Kind {
	return []*store.Kind{live.Kind(), dead.Kind(), queued.Kind(), lanes.Kind(), keys.Kind(), schedules.Kind()}
}

// checkText holds a text to what all databases can keep.
func checkText(field, s string, required bool) error {
	switch {
	case s == "" && required:
		return store.Invalid(field, "required", "is required")
	case len(s) > MaxText:
		return store.Invalid(field, "range", "has more than %d bytes", MaxText)
	case !utf8.ValidString(s) || strings.Contains(s, "\x00"):
		return store.Invalid(field, "pattern", "is no plain text")
	}
	return nil
}

// instant is a time as stores keep it.
func instant(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// failure names the job in an error of its handler.
func failure(r *row, err error) error { return fmt.Errorf("job %s (%s): %w", r.ID, r.Kind, err) }
