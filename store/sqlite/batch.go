package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"

	"github.com/orgkit/orgkit/store/internal/bunstore"
)

func batchIn(args []driver.NamedValue) (*bunstore.Batch, bool) {
	if len(args) != 1 {
		return nil, false
	}
	b, is := args[0].Value.(*bunstore.Batch)
	return b, is
}

// batch runs queries one after another. What database/sql does for each query takes longer than many of them: here it
// is done once for all.
func (c *connection) batch(ctx context.Context, b *bunstore.Batch) (driver.Rows, error) {
	r := &batchRows{ctx: ctx, conn: c, queries: b.Queries}
	return r, r.NextResultSet()
}

// batchRows are the answers of a batch.
type batchRows struct {
	ctx     context.Context
	conn    *connection
	queries []bunstore.Query // that are still to be run
	args    []driver.NamedValue
	driver.Rows
}

// HasNextResultSet implements driver.RowsNextResultSet.
func (r *batchRows) HasNextResultSet() bool { return len(r.queries) > 0 }

// NextResultSet implements driver.RowsNextResultSet.
func (r *batchRows) NextResultSet() error {
	if err := errors.Join(r.Close(), r.ctx.Err()); err != nil {
		return err
	}
	if len(r.queries) == 0 {
		return io.EOF
	}
	q := r.queries[0]
	r.queries = r.queries[1:]
	r.args = r.args[:0]
	for i, v := range q.Args {
		r.args = append(r.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	// A query of a batch reads a bounded number of rows by an index. That one watches the context for each of them
	// would cost more than to look at it between them.
	found, err := r.conn.query(context.WithoutCancel(r.ctx), q.Text, r.args)
	if err == nil {
		r.Rows = found
	}
	return err
}

// Close implements driver.Rows.
func (r *batchRows) Close() error {
	if r.Rows == nil {
		return nil
	}
	err := r.Rows.Close()
	r.Rows = nil
	return err
}
