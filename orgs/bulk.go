package orgs

import (
	"context"
	"fmt"

	"github.com/orgkit/orgkit/store"
)

// MaxBulk is the most rows of one call.
const MaxBulk = 1000

// Row is what became of one row of a call for many.
type Row[T any] struct {
	Value T
	Err   error
}

// RowError says which row of a call for many made all of it fail.
type RowError struct {
	Row int // from 0
	Err error
}

func (e *RowError) Error() string { return fmt.Sprintf("items[%d]: %v", e.Row, e.Err) }

// Unwrap returns what was wrong with the row.
func (e *RowError) Unwrap() error { return e.Err }

// eachRow does something for every row: each in a unit of its own, since a failed row dooms what it shares
// with others, or, with atomic, all in one, and the first error, a *[RowError], undoes them all.
func eachRow[In, Out any](ctx context.Context, m *Manager, in []In, atomic bool, do func(ctx context.Context, in In) (Out, error)) ([]Row[Out], error) {
	if len(in) == 0 || len(in) > MaxBulk {
		return nil, store.Invalid("items", "range", "must have from 1 to %d entries", MaxBulk)
	}
	rows := make([]Row[Out], len(in))
	if !atomic {
		for i := range in {
			rows[i].Value, rows[i].Err = do(ctx, in[i])
		}
		return rows, ctx.Err()
	}
	err := m.Together(ctx, func(ctx context.Context) error {
		for i := range in {
			var err error
			if rows[i].Value, err = do(ctx, in[i]); err != nil {
				return &RowError{i, err}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}
