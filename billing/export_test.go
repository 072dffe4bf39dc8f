package billing

import (
	"context"

	"github.com/orgkit/orgkit/store"
)

// EachClaim walks what is claimed of windows.
func EachClaim(ctx context.Context, tx *store.Tx, fn func(counter string, claimed int64)) error {
	for row, err := range windows.All(ctx, tx, store.Range{}) {
		if err != nil {
			return err
		}
		fn(row.Counter, row.Claimed)
	}
	return nil
}
