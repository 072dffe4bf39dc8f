package jobs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// Handler does a job. Its context ends with the attempt's timeout, when the lease is lost, and when the
// worker stops and its grace period is over. A handler returns then. An error is a failure; see
// [RetryAfter] and [Permanent].
type Handler func(ctx context.Context, j Job) error

// Unlimited attempts: the job is never dead for their number.
const Unlimited = -1

// KindOptions say how jobs of a kind are run. Nil, and zero fields, are the defaults.
type KindOptions struct {
	// MaxAttempts is how often a job is begun at most: 0 is 20, over some 5 hours and 9 at most; see
	// [Unlimited].
	MaxAttempts int
	// MinBackoff and MaxBackoff bound the wait after a failure: it is random between nothing and
	// MinBackoff doubled with each attempt, at most MaxBackoff. 0 is 2 seconds, and an hour.
	MinBackoff, MaxBackoff time.Duration
	// Timeout ends the context of an attempt: 0 is 5 minutes, below 0 none.
	Timeout time.Duration
}

// kind is a handler with its options.
type kind struct {
	name string
	run  Handler
	KindOptions
}

func newKind(name string, fn Handler, o *KindOptions) *kind {
	k := &kind{name: name, run: fn}
	if o != nil {
		k.KindOptions = *o
	}
	if k.MaxAttempts == 0 {
		k.MaxAttempts = 20
	}
	if k.MinBackoff <= 0 {
		k.MinBackoff = 2 * time.Second
	}
	if k.MaxBackoff <= 0 {
		k.MaxBackoff = time.Hour
	}
	if k.Timeout == 0 {
		k.Timeout = 5 * time.Minute
	}
	return k
}

// last says whether an attempt is the last one.
func (k *kind) last(attempt int64) bool { return k.MaxAttempts > 0 && attempt >= int64(k.MaxAttempts) }

// backoff is the wait after an attempt that failed. Full jitter keeps jobs that failed together from
// coming back together. It is never nothing, so that with a clock that stands still a job does not come
// back at once.
func (k *kind) backoff(attempt int64) time.Duration {
	most := k.MinBackoff
	for range attempt - 1 {
		if most >= k.MaxBackoff/2 {
			most = k.MaxBackoff
			break
		}
		most *= 2
	}
	return max(rand.N(min(most, k.MaxBackoff)+1), time.Millisecond)
}

// PanicError is a panic of a handler.
type PanicError struct {
	Value any
	Stack []byte // for a log; it is not kept with the job
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// call runs the handler; a panic is an error.
func (k *kind) call(ctx context.Context, j Job) (err error) {
	if k.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, k.Timeout)
		defer cancel()
	}
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack()}
		}
	}()
	return k.run(ctx, j)
}
