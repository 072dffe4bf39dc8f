package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/orgkit/orgkit/store/internal/bunstore"
)

// connector makes connections that save round trips: see [connection].
type connector struct{ driver.Connector }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: conn.(*stdlib.Conn), prepared: prepared{}}, nil
}

// connection is a connection of pgx in all but how transactions begin and end. BEGIN of one that only reads goes with
// its first batch, and nobody waits for the answer to its ROLLBACK. The rows that one that writes has queued go with its
// COMMIT. database/sql gives it to one goroutine at a time.
type connection struct {
	*stdlib.Conn
	prepared prepared
	turn     int             // counts what was sent at once
	binds    []pgproto3.Bind // room for those of a commit
	begins   bool            // a transaction that reads has begun, and the server does not know yet
	owes     bool            // the answer to ROLLBACK is still to be read
}

const (
	beginRead = "begin isolation level repeatable read read only"
	endRead   = "rollback"
)

// BeginTx implements driver.ConnBeginTx.
func (c *connection) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	if o.ReadOnly && o.Isolation == driver.IsolationLevel(sql.LevelRepeatableRead) {
		if c.Conn.Conn().IsClosed() {
			return nil, driver.ErrBadConn
		}
		c.begins = true
		return reading{c}, nil
	}
	tx, err := c.Conn.BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	return &transaction{c, ctx, bunstore.QueueOf(ctx), tx}, nil
}

// reading is a transaction that only reads.
type reading struct{ conn *connection }

// Commit implements driver.Tx.
func (r reading) Commit() error { return r.Rollback() }

// Rollback implements driver.Tx.
func (r reading) Rollback() error {
	c := r.conn
	if c.begins { // it has read nothing
		c.begins = false
		return nil
	}
	if c.Conn.Conn().IsClosed() {
		return driver.ErrBadConn
	}
	f := c.Conn.Conn().PgConn().Frontend()
	f.SendQuery(&pgproto3.Query{String: endRead})
	if err := f.Flush(); err != nil {
		c.Conn.Close()
		return err
	}
	c.owes = true
	return nil
}

// settle reads the answer to a ROLLBACK. What goes wrong is the end of the connection, of which nothing was asked since.
func (c *connection) settle(ctx context.Context) error {
	if !c.owes {
		return nil
	}
	c.owes = false
	for {
		m, err := c.Conn.Conn().PgConn().ReceiveMessage(ctx)
		_, failed := m.(*pgproto3.ErrorResponse)
		if err != nil || failed {
			c.Conn.Close()
			return driver.ErrBadConn
		}
		if _, is := m.(*pgproto3.ReadyForQuery); is {
			return nil
		}
	}
}

// ready sends what was put off.
func (c *connection) ready(ctx context.Context) error {
	if err := c.settle(ctx); err != nil || !c.begins {
		return err
	}
	err := c.Conn.Conn().PgConn().Exec(ctx, beginRead).Close()
	c.begins = err != nil
	return err
}

// ResetSession implements driver.SessionResetter.
func (c *connection) ResetSession(ctx context.Context) error {
	if err := c.settle(ctx); err != nil {
		return err
	}
	return c.Conn.ResetSession(ctx)
}

// Ping implements driver.Pinger.
func (c *connection) Ping(ctx context.Context) error {
	if err := c.ready(ctx); err != nil {
		return err
	}
	return c.Conn.Ping(ctx)
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *connection) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	return c.Conn.PrepareContext(ctx, text)
}

// ExecContext implements driver.ExecerContext.
func (c *connection) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	if len(args) == 1 {
		if b, is := args[0].Value.(*bunstore.Batch); is {
			return driver.ResultNoRows, c.batch(ctx, b)
		}
	}
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	return c.Conn.ExecContext(ctx, text, args)
}

// QueryContext implements driver.QueryerContext.
func (c *connection) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	return c.Conn.QueryContext(ctx, text, args)
}
