package sqlite

import (
	"context"
	"database/sql/driver"
	"io"

	"github.com/orgkit/orgkit/store/internal/bunstore"
)

// own runs what is a query or a batch of package bunstore.
func (c *connection) own(ctx context.Context, args []driver.NamedValue) (is bool, err error) {
	if len(args) != 1 {
		return false, nil
	}
	switch q := args[0].Value.(type) {
	case *bunstore.Direct:
		return true, c.direct(ctx, q)
	case *bunstore.Batch:
		return true, c.batch(ctx, q)
	}
	return false, nil
}

// batch runs queries one after another.
func (c *connection) batch(ctx context.Context, b *bunstore.Batch) error {
	at := 0
	one := bunstore.Direct{Short: true, Row: func() error { return b.Row(at) }}
	for at = range b.Queries {
		one.Query, one.Values = b.Queries[at], b.Values[at]
		if err := c.direct(ctx, &one); err != nil {
			return err
		}
	}
	return nil
}

// direct runs a query and hands its rows over.
func (c *connection) direct(ctx context.Context, q *bunstore.Direct) (err error) {
	args, values := c.room(len(q.Args), len(q.Values))
	defer clear(args)
	defer clear(values)
	for i, v := range q.Args {
		args[i].Ordinal = i + 1
		if args[i].Value, err = driver.DefaultParameterConverter.ConvertValue(v); err != nil {
			return err
		}
	}
	if q.Short { // the library would have a goroutine wait for the end of the context
		if err := ctx.Err(); err != nil {
			return err
		}
		ctx = context.WithoutCancel(ctx)
	}
	found, err := c.query(ctx, q.Text, args)
	if err != nil {
		return err
	}
	for err == nil {
		if err = found.Next(values); err != nil {
			break
		}
		for i, v := range values {
			q.Values[i] = v
		}
		err = q.Row()
	}
	if ended := found.Close(); err == io.EOF {
		err = ended
	}
	return err
}
