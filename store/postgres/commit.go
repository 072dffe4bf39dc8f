package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

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
	t.conn.turn++
	binds := t.conn.binds[:0]
	for i := range t.queue.Runs {
		b, err := t.bind(&t.queue.Runs[i])
		if err != nil {
			return t.fail(err)
		}
		binds = append(binds, b)
	}
	st, err := t.conn.statement(t.ctx, "COMMIT")
	if err != nil {
		return t.fail(err)
	}
	binds = append(binds, pgproto3.Bind{PreparedStatement: st.Name})
	err = t.conn.execute(t.ctx, binds)
	clear(binds)
	if t.conn.binds = binds; err != nil {
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

var inBinary = []int16{pgx.BinaryFormatCode} // of all parameters

// bind has the insertion of rows executed with their values.
func (t *transaction) bind(run *bunstore.Run) (b pgproto3.Bind, err error) {
	st, err := t.conn.statement(t.ctx, insertion(run.Kind, len(run.Rows), ""))
	if err != nil {
		return b, err
	}
	b.PreparedStatement = st.Name
	if len(run.Rows) == 1 {
		b.ParameterFormatCodes = inBinary
		b.Parameters, err = parameters(run.Rows[0])
		return b, err
	}
	var params pgx.ExtendedQueryBuilder
	err = params.Build(t.conn.Conn.Conn().TypeMap(), st, columns(run.Kind, run.Rows))
	b.ParameterFormatCodes, b.Parameters = params.ParamFormats, params.ParamValues
	return b, err
}

// parameters are the values of a row as the server takes them: the types of [logType], which are few.
func parameters(row []any) ([][]byte, error) {
	all := make([][]byte, len(row))
	for i, v := range row {
		switch v := v.(type) {
		case int64:
			all[i] = binary.BigEndian.AppendUint64(nil, uint64(v))
		case bool:
			all[i] = []byte{0}
			if v {
				all[i][0] = 1
			}
		case []byte:
			all[i] = v
		case string:
			all[i] = []byte(v)
		default: // which would be null
			return nil, fmt.Errorf("a log has no values of type %T", v)
		}
	}
	return all, nil
}

var execution pgproto3.Execute // of what was bound last, to its end

// execute has prepared statements executed that give no rows, in one round trip. It is what a batch of pgx does, without
// having each described, which takes the server about as long as to bind it. Where ctx ends meanwhile, the server is asked
// to stop and the connection ends; whether it had committed, nobody knows then.
func (c *connection) execute(ctx context.Context, binds []pgproto3.Bind) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	conn := c.Conn.Conn().PgConn()
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { conn.Conn().Close() }) // pgx asks the server then
		defer func() {
			if !stop() {
				c.Conn.Close()
			}
		}()
	}
	err := executed(conn, binds)
	var answer *pgconn.PgError
	if err == nil || errors.As(err, &answer) {
		return err
	}
	c.Conn.Close()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// executed sends what was bound and reads the answer: nil, an error of the server, or whatever went wrong with the connection.
func executed(conn *pgconn.PgConn, binds []pgproto3.Bind) error {
	f := conn.Frontend()
	for i := range binds {
		f.SendBind(&binds[i])
		f.SendExecute(&execution)
	}
	f.SendSync(&pgproto3.Sync{})
	if err := f.Flush(); err != nil {
		return err
	}
	var failed error
	for {
		m, err := conn.ReceiveMessage(context.Background())
		if err != nil && failed != nil { // the server said why it ended
			return failed
		}
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.ErrorResponse:
			failed = pgconn.ErrorResponseToPgError(m)
		case *pgproto3.ReadyForQuery:
			return failed
		}
	}
}
