package postgres

import (
	"cmp"
	"context"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/orgkit/orgkit/store/internal/bunstore"
)

// batch sends queries in one round trip, and BEGIN before them where that was put off.
func (c *connection) batch(ctx context.Context, b *bunstore.Batch) (driver.Rows, error) {
	if c.Conn.Conn().IsClosed() {
		return nil, driver.ErrBadConn
	}
	if err := c.settle(ctx); err != nil {
		return nil, err
	}
	c.turn++
	batch := &pgconn.Batch{}
	if c.begins {
		batch.ExecParams(beginRead, nil, nil, nil, nil)
	}
	for _, q := range b.Queries {
		if err := c.add(ctx, batch, q.Text, q.Args); err != nil {
			return nil, err
		}
	}
	r := &batchRows{results: c.Conn.Conn().PgConn().ExecBatch(ctx, batch), left: len(b.Queries)}
	if c.begins {
		if !r.results.NextResult() {
			return nil, cmp.Or(r.results.Close(), io.ErrUnexpectedEOF)
		}
		c.begins = false
	}
	if err := r.NextResultSet(); err != nil {
		return nil, err
	}
	return r, nil
}

// batchRows are the answers to a batch.
type batchRows struct {
	results *pgconn.MultiResultReader
	left    int
	rows    *pgconn.ResultReader
	names   []string
	types   []uint32
}

// HasNextResultSet implements driver.RowsNextResultSet.
func (r *batchRows) HasNextResultSet() bool { return r.left > 0 }

// NextResultSet implements driver.RowsNextResultSet.
func (r *batchRows) NextResultSet() error {
	if r.left == 0 {
		return io.EOF
	}
	r.left--
	if r.rows != nil {
		if _, err := r.rows.Close(); err != nil {
			return err
		}
	}
	if !r.results.NextResult() {
		if err := r.results.Close(); err != nil {
			return err
		}
		return io.ErrUnexpectedEOF
	}
	r.rows = r.results.ResultReader()
	r.names, r.types = r.names[:0], r.types[:0]
	for _, f := range r.rows.FieldDescriptions() {
		r.names, r.types = append(r.names, f.Name), append(r.types, f.DataTypeOID)
	}
	return nil
}

// Columns implements driver.Rows.
func (r *batchRows) Columns() []string { return r.names }

// Next implements driver.Rows.
func (r *batchRows) Next(row []driver.Value) error {
	if !r.rows.NextRow() {
		if _, err := r.rows.Close(); err != nil {
			return err
		}
		return io.EOF
	}
	for i, b := range r.rows.Values() {
		switch {
		case b == nil:
			row[i] = nil
		case r.types[i] == pgtype.Int8OID && len(b) == 8:
			row[i] = int64(binary.BigEndian.Uint64(b))
		case r.types[i] == pgtype.BoolOID && len(b) == 1:
			row[i] = b[0] != 0
		case r.types[i] == pgtype.TextOID:
			row[i] = string(b)
		case r.types[i] == pgtype.ByteaOID:
			row[i] = b
		default:
			return fmt.Errorf("a log has no columns of type %d", r.types[i])
		}
	}
	return nil
}

// Close implements driver.Rows.
func (r *batchRows) Close() error { return r.results.Close() }
