package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"slices"

	"github.com/orgkit/orgkit/store/internal/bunstore"
)

// connector makes connections that compile a statement once. database/sql would have each one compiled for every
// time that it runs, which takes longer than what the statements of logs do.
type connector struct {
	driver driver.Driver
	dsn    string
}

func newConnector(dsn string) (connector, error) {
	db, err := sql.Open("sqlite", dsn) // nothing is opened by that
	if err != nil {
		return connector{}, err
	}
	defer db.Close()
	return connector{db.Driver(), dsn}, nil
}

// Connect implements driver.Connector.
func (c connector) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.driver.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	full, ok := conn.(fullConn)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("a connection of %T lacks a method", conn)
	}
	return &connection{fullConn: full, compiled: map[string]*compiled{}}, nil
}

// Driver implements driver.Connector.
func (c connector) Driver() driver.Driver { return c.driver }

// fullConn is what the library's connections can do and database/sql makes use of.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// connection keeps what it has compiled. database/sql gives it to one goroutine at a time.
type connection struct {
	fullConn
	compiled map[string]*compiled
	cells    []driver.NamedValue // the values of a statement, kept for the next one
	row      []driver.Value      // of its answer
}

type compiled struct {
	stmt driver.Stmt
	open bool // rows of it are being read
}

// maxCompiled is how many statements a connection keeps.
const maxCompiled = 400

// get returns the statement of a text, nil where it is in use.
func (c *connection) get(ctx context.Context, text string) (*compiled, error) {
	if s := c.compiled[text]; s != nil {
		if s.open {
			return nil, nil
		}
		return s, nil
	}
	if len(c.compiled) >= maxCompiled {
		for other, s := range c.compiled { // any
			if !s.open {
				s.stmt.Close()
				delete(c.compiled, other)
				break
			}
		}
	}
	stmt, err := c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	s := &compiled{stmt: stmt}
	c.compiled[text] = s
	return s, nil
}

// ExecContext implements driver.ExecerContext.
func (c *connection) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	if is, err := c.own(ctx, args); is {
		return driver.ResultNoRows, err
	}
	if len(args) == 1 {
		if rows, is := args[0].Value.(bunstore.Cells); is {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			ctx = context.WithoutCancel(ctx) // it is short, and the library would have a goroutine wait for the end of the context
			args = c.values(rows)
			defer clear(args)
		}
	}
	if len(args) == 0 { // bun writes values into its texts, so that none comes twice
		return c.fullConn.ExecContext(ctx, text, args)
	}
	s, err := c.get(ctx, text)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.fullConn.ExecContext(ctx, text, args)
	}
	return s.stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

// values are those of all cells, until the next call.
func (c *connection) values(rows bunstore.Cells) []driver.NamedValue {
	c.cells = c.cells[:0]
	for _, row := range rows {
		for _, v := range row {
			c.cells = append(c.cells, driver.NamedValue{Ordinal: len(c.cells) + 1, Value: v})
		}
	}
	return c.cells
}

// room is for the arguments of a statement and a row of its answer, until the next call.
func (c *connection) room(args, columns int) ([]driver.NamedValue, []driver.Value) {
	c.cells, c.row = slices.Grow(c.cells[:0], args), slices.Grow(c.row[:0], columns)
	return c.cells[:args], c.row[:columns]
}

// CheckNamedValue implements driver.NamedValueChecker.
func (c *connection) CheckNamedValue(v *driver.NamedValue) error {
	switch v.Value.(type) {
	case *bunstore.Direct, *bunstore.Batch, bunstore.Cells:
		return nil
	}
	return driver.ErrSkip
}

// QueryContext implements driver.QueryerContext.
func (c *connection) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	if len(args) == 0 {
		return c.fullConn.QueryContext(ctx, text, args)
	}
	return c.query(ctx, text, args)
}

// query runs a query whose text comes again.
func (c *connection) query(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.get(ctx, text)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.fullConn.QueryContext(ctx, text, args)
	}
	found, err := s.stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	s.open = true
	return &rows{found, s}, nil
}

// Close implements driver.Conn.
func (c *connection) Close() error {
	for _, s := range c.compiled {
		s.stmt.Close()
	}
	clear(c.compiled)
	return c.fullConn.Close()
}

// rows give their statement back when they are closed.
type rows struct {
	driver.Rows
	of *compiled
}

// Close implements driver.Rows.
func (r *rows) Close() error {
	r.of.open = false
	return r.Rows.Close()
}
