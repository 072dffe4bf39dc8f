// Package memory keeps records in memory, for unit tests and demonstrations.
//
//	s := memory.New(nil)
//
// Records lie in persistent ordered trees, one per kind and index: a snapshot is a pointer, a
// writer works on copies that share what it does not touch, and a rollback drops them. Beside the trees
// the newest version of each record is found by its id at once. There is one writer at a time, as in
// SQLite. Nothing survives the process.
package memory

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Options of a memory store; nil works.
type Options struct {
	Store store.Options
	// WriterTimeout is how long a writer waits for another before it fails and names it; 0 waits
	// as long as the context lets it. See store.WriterLock.
	WriterTimeout time.Duration
}

// New returns an empty store.
func New(o *Options) *store.Store {
	if o == nil {
		o = &Options{}
	}
	d := &driver{writer: store.NewWriterLock(o.WriterTimeout)}
	d.state.Store(&state{})
	return store.New(d, &o.Store)
}

type driver struct {
	state  atomic.Pointer[state]
	newest newest
	writer *store.WriterLock
	closed atomic.Bool
}

// state is all tables at one moment, counted from the first. It never changes.
type state struct {
	number uint64
	tables map[string]*table
}

func (d *driver) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if d.closed.Load() {
		return nil, store.ErrClosed
	}
	if !writable {
		return &tx{driver: d, state: d.state.Load()}, nil
	}
	if err := d.writer.Lock(ctx); err != nil {
		return nil, err
	}
	if d.closed.Load() {
		d.writer.Unlock()
		return nil, store.ErrClosed
	}
	return &tx{driver: d, state: d.state.Load(), writable: true, changed: map[string]*table{}}, nil
}

// Sequential says that one unit writes at a time.
func (d *driver) Sequential() bool { return true }

func (d *driver) Close() error {
	d.closed.Store(true)
	return nil
}
