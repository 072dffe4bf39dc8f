package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/orgkit/orgkit/store/internal/bunstore"
)

// transaction is one that writes. What is queued goes with its COMMIT, in one round trip.
type transaction struct {
	conn  *connection
	ctx   context.Context
	queue *bunstore.Queue
	inner interface {
		Commit() error
		Rollback() error
	}
}

// Rollback implements driver.Tx.
func (t *transaction) Rollback() error { return t.inner.Rollback() }

// Commit implements driver.Tx. The server skips COMMIT when a statement before it failed.
func (t *transaction) Commit() error {
	if t.queue == nil || len(t.queue.Runs) == 0 {
		return t.inner.Commit()
	}
	batch := &pgconn.Batch{}
	for _, run := range t.queue.Runs {
		if err := t.conn.add(t.ctx, batch, insertion(run.Kind, len(run.Rows), ""), columns(run.Kind, run.Rows)); err != nil {
			return t.fail(err)
		}
	}
	if err := t.conn.add(t.ctx, batch, "COMMIT", nil); err != nil {
		return t.fail(err)
	}
	if err := t.conn.Conn.Conn().PgConn().ExecBatch(t.ctx, batch).Close(); err != nil {
		return t.fail(err)
	}
	return nil
}

// fail ends a transaction that is not committed.
func (t *transaction) fail(err error) error {
	if !t.conn.Conn.Conn().IsClosed() {
		t.inner.Rollback()
	}
	return err
}
