package sqlite

import (
	"context"
	"database/sql/driver"
	"io"

	"github.com/orgkit/orgkit/store/internal/bunstore"
)

func directIn(args []driver.NamedValue) (*bunstore.Direct, bool) {
	if len(args) != 1 {
		return nil, false
	}
	q, is := args[0].Value.(*bunstore.Direct)
	return q, is
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
