package postgres

import (
	"bytes"
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

// batch sends queries in one round trip, and BEGIN before them where that was put off, and hands over the rows.
func (c *connection) batch(ctx context.Context, b *bunstore.Batch) error {
	if c.Conn.Conn().IsClosed() {
		return driver.ErrBadConn
	}
	if err := c.settle(ctx); err != nil {
		return err
	}
	c.turn++
	batch := &pgconn.Batch{}
	if c.begins {
		batch.ExecParams(beginRead, nil, nil, nil, nil)
	}
	for _, q := range b.Queries {
		if err := c.add(ctx, batch, q.Text, q.Args); err != nil {
			return err
		}
	}
	results := c.Conn.Conn().PgConn().ExecBatch(ctx, batch)
	err := c.answered(results, b)
	return cmp.Or(err, results.Close())
}

// answered hands over the rows of a batch. The first error of the server is that of closing the results, too.
func (c *connection) answered(results *pgconn.MultiResultReader, b *bunstore.Batch) error {
	if c.begins {
		if !results.NextResult() {
			return cmp.Or(results.Close(), io.ErrUnexpectedEOF)
		}
		c.begins = false
	}
	for i := range b.Queries {
		if !results.NextResult() {
			return cmp.Or(results.Close(), io.ErrUnexpectedEOF)
		}
		rows := results.ResultReader()
		fields := rows.FieldDescriptions()
		for rows.NextRow() {
			if err := values(fields, rows.Values(), b.Values[i]); err != nil {
				return err
			}
			if err := b.Row(i); err != nil {
				return err
			}
		}
		if _, err := rows.Close(); err != nil {
			return err
		}
	}
	return nil
}

// values are those of a row of a log.
func values(fields []pgconn.FieldDescription, row [][]byte, to []any) error {
	for i, b := range row {
		switch of := fields[i].DataTypeOID; {
		case b == nil:
			to[i] = nil
		case of == pgtype.Int8OID && len(b) == 8:
			to[i] = int64(binary.BigEndian.Uint64(b))
		case of == pgtype.BoolOID && len(b) == 1:
			to[i] = b[0] != 0
		case of == pgtype.TextOID:
			to[i] = string(b)
		case of == pgtype.ByteaOID:
			to[i] = bytes.Clone(b)
		default:
			return fmt.Errorf("a log has no columns of type %d", of)
		}
	}
	return nil
}
