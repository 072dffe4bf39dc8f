package store

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// WriterLock lets one unit write at a time, for drivers of databases with one writer.
type WriterLock struct {
	held    chan struct{}
	holder  atomic.Value
	timeout time.Duration
}

// NewWriterLock returns a free lock. With a timeout above 0 whoever waits longer fails with an error
// that names the holder: a unit that was begun inside another one with the outer context waits for
// itself. Tests set it.
func NewWriterLock(timeout time.Duration) *WriterLock {
	return &WriterLock{held: make(chan struct{}, 1), timeout: timeout}
}

// Lock waits for the lock as long as ctx lets it.
func (l *WriterLock) Lock(ctx context.Context) error {
	var late <-chan time.Time
	if l.timeout > 0 {
		timer := time.NewTimer(l.timeout)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case l.held <- struct{}{}:
		if u, ok := ctx.Value(unitKey{}).(*unit); ok {
			l.holder.Store(*u)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-late:
		u, _ := l.holder.Load().(unit)
		holder := u.String()
		return fmt.Errorf("the writer lock has been held for %v by %s; was a unit begun inside it with the outer context?", l.timeout, holder)
	}
}

// Unlock frees the lock. Only its holder calls it.
func (l *WriterLock) Unlock() { <-l.held }
