package scim_test

import (
	"context"
	"reflect"
	"sync/atomic"

	"github.com/orgkit/orgkit/store"
)

// counting counts the memberships of groups that are read.
type counting struct{ members atomic.Int64 }

func (c *counting) wrap(d store.Driver) store.Driver { return countingDriver{d, c} }

type countingDriver struct {
	store.Driver
	c *counting
}

func (d countingDriver) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	tx, err := d.Driver.Begin(ctx, writable)
	return countingTx{tx, d.c}, err
}

type countingTx struct {
	store.DriverTx
	c *counting
}

func (tx countingTx) Select(ctx context.Context, k *store.Kind, s store.Selection, dst any) error {
	err := tx.DriverTx.Select(ctx, k, s, dst)
	if k.Name == "provisioned_members" {
		tx.c.members.Add(int64(reflect.ValueOf(dst).Elem().Len()))
	}
	return err
}
