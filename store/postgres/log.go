package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/internal/bunstore"
)

// logMode sends the parameters of logs beside the statement, which the server keeps prepared.
var logMode = pgx.QueryExecModeCacheStatement

// insertion is an INSERT of so many rows: of one its values, of several whole columns, in one statement whatever their number.
func insertion(k *store.Kind, rows int, end string) string {
	of := insert{k, rows == 1, end}
	if text, is := inserts.Load(of); is {
		return text.(string)
	}
	text := newInsertion(k, rows, end)
	inserts.Store(of, text)
	return text
}

var inserts sync.Map // texts by what they insert

type insert struct {
	kind *store.Kind
	one  bool
	end  string
}

func newInsertion(k *store.Kind, rows int, end string) string {
	columns := bunstore.Inserted(k)
	if rows == 1 {
		params := make([]string, len(columns))
		for i := range columns {
			params[i] = fmt.Sprintf("$%d", i+1)
		}
		return fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)%s", k.Name, bunstore.InsertedNames(k), strings.Join(params, ", "), end)
	}
	arrays := make([]string, len(columns))
	for i, c := range columns {
		arrays[i] = fmt.Sprintf("$%d::%s[]", i+1, logType(c))
	}
	return fmt.Sprintf("INSERT INTO %s (%s) SELECT * FROM unnest(%s)%s", k.Name, bunstore.InsertedNames(k), strings.Join(arrays, ", "), end)
}

func logType(c store.Column) string {
	switch {
	case c.Word, c.Class == store.Int, c.Class == store.Time:
		return "bigint"
	case c.Class == store.Bool:
		return "boolean"
	case c.Class == store.Bytes:
		return "bytea"
	}
	return "text"
}

// columns turns rows into the parameters of their insertion.
func columns(k *store.Kind, rows [][]any) (args []any) {
	if len(rows) == 1 {
		return rows[0]
	}
	for j, c := range bunstore.Inserted(k) {
		switch logType(c) {
		case "bigint":
			args = append(args, column[int64](rows, j))
		case "boolean":
			args = append(args, column[bool](rows, j))
		case "bytea":
			args = append(args, column[[]byte](rows, j))
		default:
			args = append(args, column[string](rows, j))
		}
	}
	return args
}

func withMode(args []any) []any { return append([]any{logMode}, args...) }

func column[T any](rows [][]any, j int) []T {
	values := make([]T, len(rows))
	for i, row := range rows {
		values[i] = row[j].(T)
	}
	return values
}

// appendRows learns from the keys that come back which rows were new.
func appendRows(ctx context.Context, tx *sql.Tx, k *store.Kind, rows [][]any) ([]bool, error) {
	at := make([]int, len(k.Key))
	for i, name := range k.Key {
		at[i] = slices.IndexFunc(k.Columns, func(c store.Column) bool { return c.Name == name })
	}
	found, err := tx.QueryContext(ctx, insertion(k, len(rows), " ON CONFLICT DO NOTHING RETURNING "+bunstore.Names(k.Key)), withMode(columns(k, rows))...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var keys []string
	key, into := make([]any, len(k.Key)), make([]any, len(k.Key))
	for i := range key {
		into[i] = &key[i]
	}
	for found.Next() {
		if err := found.Scan(into...); err != nil {
			return nil, err
		}
		keys = append(keys, fmt.Sprintf("%q", key))
	}
	if err := found.Err(); err != nil {
		return nil, err
	}
	fresh := make([]bool, len(rows))
	if len(keys) == len(rows) {
		for i := range fresh {
			fresh[i] = true
		}
		return fresh, nil
	}
	inserted := make(map[string]bool, len(keys))
	for _, key := range keys {
		inserted[key] = true
	}
	for i, row := range rows {
		for j, c := range at {
			key[j] = row[c]
		}
		name := fmt.Sprintf("%q", key)
		fresh[i] = inserted[name]
		inserted[name] = false // a later row of the same key is not
	}
	return fresh, nil
}

func upsertRows(ctx context.Context, tx *sql.Tx, k *store.Kind, rows [][]any) error {
	_, err := tx.ExecContext(ctx, insertion(k, len(rows), bunstore.Adding(k)), withMode(columns(k, rows))...)
	return err
}
