package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/internal/bunstore"
)

// chunkCells is about how many values one INSERT carries. More make the statement cheaper by the row, but dearer to compile,
// and the library looks for each value among all of them.
const chunkCells = 64

// insertion is the text of an INSERT of n rows. One without an end fails at the first row that cannot be kept, and keeps those
// before it: to take those back, SQLite would note each page as it was, which takes a seventh of the whole.
func insertion(k *store.Kind, n int, end string) string {
	one := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(bunstore.Inserted(k))), ", ") + ")"
	fails := ""
	if end == "" {
		fails = "OR FAIL "
	}
	return fmt.Sprintf("INSERT %sINTO %s (%s) VALUES %s%s", fails, k.Name, bunstore.InsertedNames(k),
		strings.TrimSuffix(strings.Repeat(one+", ", n), ", "), end)
}

// inserter runs INSERTs of one kind.
type inserter struct {
	tx    *sql.Tx
	kind  *store.Kind
	end   string
	chunk int
	full  string // the text of a whole chunk
}

func newInserter(tx *sql.Tx, k *store.Kind, rows int, end string) *inserter {
	in := &inserter{tx: tx, kind: k, end: end, chunk: max(1, chunkCells/len(k.Columns))}
	if rows >= in.chunk {
		in.full = insertion(k, in.chunk, end)
	}
	return in
}

// insert says how many rows were new or changed.
func (in *inserter) insert(ctx context.Context, rows [][]any) (int, error) {
	text := in.full
	if len(rows) != in.chunk {
		text = insertion(in.kind, len(rows), in.end)
	}
	res, err := in.tx.ExecContext(ctx, text, bunstore.Cells(rows))
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// appendRows inserts by chunks. Of a chunk that is not all new, the rows from the first that is not go one by one, so that each
// is known: duplicates come with retries, which are rare.
func appendRows(ctx context.Context, tx *sql.Tx, k *store.Kind, rows [][]any) ([]bool, error) {
	many, one := newInserter(tx, k, len(rows), ""), newInserter(tx, k, 1, " ON CONFLICT DO NOTHING")
	fresh := make([]bool, 0, len(rows))
	for chunk := range slices.Chunk(rows, many.chunk) {
		first := 0
		if len(chunk) > 1 {
			_, err := many.insert(ctx, chunk)
			var taken *store.UniqueError
			switch {
			case err == nil:
				first = len(chunk)
			case !errors.As(classify(err), &taken):
				return nil, err
			default:
				if err := tx.QueryRowContext(ctx, "SELECT changes()").Scan(&first); err != nil {
					return nil, err
				}
			}
			fresh = append(fresh, slices.Repeat([]bool{true}, first)...)
		}
		for i := range chunk[first:] {
			n, err := one.insert(ctx, chunk[first+i:first+i+1])
			if err != nil {
				return nil, err
			}
			fresh = append(fresh, n == 1)
		}
	}
	return fresh, nil
}

func upsertRows(ctx context.Context, tx *sql.Tx, k *store.Kind, rows [][]any) error {
	in := newInserter(tx, k, len(rows), bunstore.Adding(k))
	for chunk := range slices.Chunk(rows, in.chunk) {
		if _, err := in.insert(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

// indexedBy has a range read by its index: without statistics the planner takes the key as soon as it begins alike.
func indexedBy(index string) string { return " INDEXED BY " + index }
