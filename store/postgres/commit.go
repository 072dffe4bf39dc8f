package postgres

import (
	"context"
	"database/sql/driver"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/orgkit/orgkit/store/internal/bunstore"
)

// connector makes connections whose transactions send what is queued together with COMMIT, in one round
// trip.
type connector struct{ driver.Connector }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return connection{conn.(*stdlib.Conn)}, nil
}

// connection is a connection of pgx in all but how a transaction ends.
type connection struct{ *stdlib.Conn }

// BeginTx implements driver.ConnBeginTx.
func (c connection) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	return &transaction{tx, c.Conn.Conn(), ctx, bunstore.QueueOf(ctx)}, nil
}

type transaction struct {
	driver.Tx
	conn  *pgx.Conn
	ctx   context.Context
	queue *bunstore.Queue
}

// Commit implements driver.Tx. The server skips COMMIT when a statement before it failed.
func (t *transaction) Commit() error {
	if t.queue == nil || len(t.queue.Runs) == 0 {
		return t.Tx.Commit()
	}
	batch := &pgconn.Batch{}
	for _, run := range t.queue.Runs {
		text := insertion(run.Kind, "")
		st, err := t.conn.Prepare(t.ctx, text, text) // once per connection
		if err != nil {
			return t.fail(err)
		}
		var params pgx.ExtendedQueryBuilder
		if err := params.Build(t.conn.TypeMap(), st, columns(run.Kind, run.Rows)); err != nil {
			return t.fail(err)
		}
		batch.ExecPrepared(st.Name, params.ParamValues, params.ParamFormats, nil)
	}
	batch.ExecParams("COMMIT", nil, nil, nil, nil)
	if err := t.conn.PgConn().ExecBatch(t.ctx, batch).Close(); err != nil {
		return t.fail(err)
	}
	return nil
}

// fail ends a transaction that is not committed.
func (t *transaction) fail(err error) error {
	if !t.conn.IsClosed() {
		t.Tx.Rollback()
	}
	return err
}
