package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// maxPrepared is how many statements a connection keeps.
var maxPrepared = 300

// prepared are the statements that a server keeps for a connection, by their texts.
type prepared map[string]*statement

type statement struct {
	*pgconn.StatementDescription
	turn int // in which it was used last
}

// statement prepares a statement, once. Where there are too many the one goes that was not used for longest; none that
// is to be sent in the same turn.
func (c *connection) statement(ctx context.Context, text string) (*pgconn.StatementDescription, error) {
	st := c.prepared[text]
	if st == nil {
		conn := c.Conn.Conn()
		for len(c.prepared) >= maxPrepared {
			oldest := c.prepared.oldest(c.turn)
			if oldest == "" {
				break
			}
			if err := conn.Deallocate(ctx, oldest); err != nil {
				return nil, err
			}
			delete(c.prepared, oldest)
		}
		described, err := conn.Prepare(ctx, text, text)
		if err != nil {
			return nil, err
		}
		st = &statement{StatementDescription: described}
		c.prepared[text] = st
	}
	st.turn = c.turn
	return st.StatementDescription, nil
}

// oldest is the statement that was not used for longest, "" where all are of this turn.
func (p prepared) oldest(turn int) (text string) {
	for other, st := range p {
		if st.turn < turn {
			text, turn = other, st.turn
		}
	}
	return text
}

// add puts a statement into a batch.
func (c *connection) add(ctx context.Context, to *pgconn.Batch, text string, args []any) error {
	st, err := c.statement(ctx, text)
	if err != nil {
		return err
	}
	var params pgx.ExtendedQueryBuilder
	if err := params.Build(c.Conn.Conn().TypeMap(), st, args); err != nil {
		return err
	}
	to.ExecStatement(st, params.ParamValues, params.ParamFormats, params.ResultFormats)
	return nil
}
