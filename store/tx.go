package store

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Tx is a unit in progress. It belongs to the function that it was given to and to one goroutine.
type Tx struct {
	store    *Store
	driver   DriverTx
	writable bool
	now      time.Time
	after    []func()
	words    []string
	traces   []Trace
	wrote    bool
	doomed   error
	done     bool
}

// Now is the one instant of the unit: UTC, whole microseconds.
func (tx *Tx) Now() time.Time { return tx.now }

// NewID returns a fresh id, prefix_ and a part that sorts by time.
func (tx *Tx) NewID(prefix string) string { return tx.store.newID(prefix, tx.now) }

// AfterCommit runs fn once after the unit was committed and before Update returns. Callbacks of
// different units run unordered, so a callback moves a cache forward or wakes somebody up; it
// never carries data. In a View it never runs.
func (tx *Tx) AfterCommit(fn func()) { tx.after = append(tx.after, fn) }

// Notify tells the listeners of [Store.Listen], in every process on the same database, the word once
// the unit was committed and its callbacks have run. A word is short and has no line break.
func (tx *Tx) Notify(word string) { tx.words = append(tx.words, word) }

// Trace is one write of a kind that is [Traced].
type Trace struct {
	Kind  *Kind
	Value string // of the traced column
}

// Traces returns what the unit has written up to now of the kinds that are [Traced], in that order.
func (tx *Tx) Traces() []Trace { return slices.Clone(tx.traces) }

// trace remembers the write of a record.
func (tx *Tx) trace(k *Kind, rec any) {
	if k.traced != "" {
		tx.traces = append(tx.traces, Trace{k, k.Value(rec, k.traced).(string)})
	}
}

// Writable says whether the unit can write.
func (tx *Tx) Writable() bool { return tx.writable }

// Clean says whether the unit has written nothing yet, so that what it reads is what is committed.
func (tx *Tx) Clean() bool { return !tx.wrote }

func (tx *Tx) join(ctx context.Context, writable bool, fn func(context.Context, *Tx) error) error {
	if err := tx.usable(writable); err != nil {
		return err
	}
	err := fn(ctx, tx)
	if err != nil && writable {
		tx.doomed = errors.Join(tx.doomed, err)
	}
	if err == nil && tx.doomed != nil {
		return tx.doomed
	}
	return err
}

func (tx *Tx) usable(write bool) error {
	switch {
	case tx.done:
		return ErrTxDone
	case write && !tx.writable:
		return ErrReadOnly
	case tx.doomed != nil:
		return tx.doomed
	}
	return nil
}

// write is asked before every write.
func (tx *Tx) write() error {
	tx.wrote = true
	return tx.usable(true)
}

// doom remembers the error of a failed write: some databases refuse everything that follows it,
// so all of them do.
func (tx *Tx) doom(err error) error {
	if err != nil && tx.doomed == nil {
		tx.doomed = err
	}
	return err
}

// note remembers the error of a failed read, unless it is only that there was nothing to read.
func (tx *Tx) note(err error) error {
	if errors.Is(err, ErrNotFound) {
		return err
	}
	return tx.doom(err)
}
