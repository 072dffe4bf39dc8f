package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/internal/bunstore"
)

// chunkCells is about how many values one INSERT carries. More make the statement cheaper by the row
// and dearer to compile.
const chunkCells = 256

// insertion is the text of an INSERT of n rows.
func insertion(k *store.Kind, n int, end string) string {
	one := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(bunstore.Inserted(k))), ", ") + ")"
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES %s%s", k.Name, bunstore.InsertedNames(k),
		strings.TrimSuffix(strings.Repeat(one+", ", n), ", "), end)
}

// inserter runs INSERTs of one kind; statements of a full chunk are compiled once.
type inserter struct {
	tx    *sql.Tx
	kind  *store.Kind
	end   string
	chunk int
	full  *sql.Stmt
}

func newInserter(ctx context.Context, tx *sql.Tx, k *store.Kind, rows int, end string) (*inserter, error) {
	in := &inserter{tx: tx, kind: k, end: end, chunk: max(1, chunkCells/len(k.Columns))}
	if rows < 2*in.chunk {
		return in, nil
	}
	var err error
	in.full, err = tx.PrepareContext(ctx, insertion(k, in.chunk, end))
	return in, err
}

func (in *inserter) close() {
	if in.full != nil {
		in.full.Close()
	}
}

// insert says how many rows were new or changed.
func (in *inserter) insert(ctx context.Context, rows [][]any) (int, error) {
	args := slices.Concat(rows...)
	var res sql.Result
	var err error
	if len(rows) == in.chunk && in.full != nil {
		res, err = in.full.ExecContext(ctx, args...)
	} else {
		res, err = in.tx.ExecContext(ctx, insertion(in.kind, len(rows), in.end), args...)
	}
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// appendRows inserts by chunks. Where a chunk was not all new it is taken back and its rows go one by
// one, so that each is known: duplicates come with retries, which are rare.
func appendRows(ctx context.Context, tx *sql.Tx, k *store.Kind, rows [][]any) ([]bool, error) {
	in, err := newInserter(ctx, tx, k, len(rows), " ON CONFLICT DO NOTHING")
	if err != nil {
		return nil, err
	}
	defer in.close()
	fresh := make([]bool, len(rows))
	for at := 0; at < len(rows); at += in.chunk {
		chunk := rows[at:min(at+in.chunk, len(rows))]
		if len(chunk) > 1 {
			if _, err := tx.ExecContext(ctx, "SAVEPOINT orgkit_append"); err != nil {
				return nil, err
			}
		}
		n, err := in.insert(ctx, chunk)
		if err != nil {
			return nil, err
		}
		if n == len(chunk) {
			for i := range chunk {
				fresh[at+i] = true
			}
		} else if len(chunk) > 1 {
			if _, err := tx.ExecContext(ctx, "ROLLBACK TO orgkit_append"); err != nil {
				return nil, err
			}
			for i := range chunk {
				n, err := in.insert(ctx, chunk[i:i+1])
				if err != nil {
					return nil, err
				}
				fresh[at+i] = n == 1
			}
		}
		if len(chunk) > 1 {
			if _, err := tx.ExecContext(ctx, "RELEASE orgkit_append"); err != nil {
				return nil, err
			}
		}
	}
	return fresh, nil
}

func upsertRows(ctx context.Context, tx *sql.Tx, k *store.Kind, rows [][]any) error {
	in, err := newInserter(ctx, tx, k, len(rows), bunstore.Adding(k))
	if err != nil {
		return err
	}
	defer in.close()
	for chunk := range slices.Chunk(rows, in.chunk) {
		if _, err := in.insert(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

// indexedBy has a range read by its index: without statistics the planner takes the key as soon as it begins alike.
func indexedBy(index string) string { return " INDEXED BY " + index }
