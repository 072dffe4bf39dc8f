package storetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/orgkit/orgkit/store"
)

// Twice is for store.Options.Wrap: the first run of every Update ends, at its commit, as if another unit
// had been in the way. A service whose units have no effects outside of themselves works on such a store
// exactly as on any other.
func Twice(d store.Driver) store.Driver { return twice{d} }

type twice struct{ store.Driver }

func (d twice) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	tx, err := d.Driver.Begin(ctx, writable)
	if err == nil && writable && store.Attempt(ctx) == 1 {
		tx = fails{tx}
	}
	return tx, err
}

type fails struct{ store.DriverTx }

func (t fails) Commit(context.Context) error {
	return errors.Join(fmt.Errorf("%w: every first run fails", store.ErrTransient), t.Rollback())
}
