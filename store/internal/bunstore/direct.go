package bunstore

import (
	"cmp"
	"context"
	"database/sql"
)

// Direct is a query whose rows a connection of a dialect hands over by itself ([Dialect.Direct]): the one argument of an Exec
// whose text it does not read. What database/sql does for each query and each row takes longer than a short query.
type Direct struct {
	Query
	Short  bool         // it is over before anybody can wish that it were
	Values []any        // of a row
	Row    func() error // takes them; its error ends the query. It must not use the transaction
}

// rows runs a query and has each of its rows taken, whose values are in the slice then.
func (t *tx) rows(ctx context.Context, q Direct, values []any, take func() error) error {
	if t.Direct {
		q.Values, q.Row = values, take
		_, err := t.sql.Tx.ExecContext(ctx, "a query", &q)
		return err
	}
	found, err := t.sql.Tx.QueryContext(ctx, q.Text, q.Args...)
	if err != nil {
		return err
	}
	defer found.Close()
	if err := each(found, values, take); err != nil {
		return err
	}
	return cmp.Or(found.Err(), found.Close())
}

// each has the rows of a result set taken.
func each(found *sql.Rows, values []any, take func() error) error {
	into := make([]any, len(values))
	for i := range values {
		into[i] = &values[i]
	}
	for found.Next() {
		if err := found.Scan(into...); err != nil {
			return err
		}
		if err := take(); err != nil {
			return err
		}
	}
	return nil
}
