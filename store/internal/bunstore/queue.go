package bunstore

import (
	"context"
	"errors"
	"slices"

	"github.com/orgkit/orgkit/store"
)

// Queue are the rows that a transaction keeps with its commit. It is in the context with which the
// transaction begins.
type Queue struct{ Runs []Run }

// Run are encoded rows of one log.
type Run struct {
	Kind *store.Kind
	Rows [][]any
}

type queueKey struct{}

// QueueOf returns the queue of the transaction that begins with the context, nil for none.
func QueueOf(ctx context.Context) *Queue {
	q, _ := ctx.Value(queueKey{}).(*Queue)
	return q
}

// Queue implements store.DriverTx.
func (t *tx) Queue(ctx context.Context, k *store.Kind, rows any) error {
	if t.queue == nil {
		fresh, err := t.Append(ctx, k, rows)
		if err == nil && slices.Contains(fresh, false) {
			return &store.UniqueError{Kind: k.Name, Columns: k.Key}
		}
		return err
	}
	encoded, err := t.encode(ctx, k, rows)
	if err != nil {
		return t.Error(err)
	}
	for i := range t.queue.Runs {
		if run := &t.queue.Runs[i]; run.Kind == k {
			run.Rows = append(run.Rows, encoded...)
			return nil
		}
	}
	t.queue.Runs = append(t.queue.Runs, Run{k, encoded})
	return nil
}

// queueError brings an error of Commit into form: a key may have been there.
func (t *tx) queueError(err error) error {
	err = t.Error(err)
	var u *store.UniqueError
	if t.queue == nil || !errors.As(err, &u) {
		return err
	}
	for _, run := range t.queue.Runs {
		if len(u.Columns) == 1 && u.Columns[0] == run.Kind.Name+"_pkey" {
			return &store.UniqueError{Kind: run.Kind.Name, Columns: run.Kind.Key}
		}
	}
	return err
}
