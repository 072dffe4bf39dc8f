package scim_test

import (
	"context"
	"errors"
	"reflect"
	"sync/atomic"

	"github.com/orgkit/orgkit/store"
)

// counting counts the memberships of groups that are read, and the users and groups.
type counting struct{ members, resources atomic.Int64 }

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
	switch k.Name {
	case "provisioned_members":
		tx.c.members.Add(int64(reflect.ValueOf(dst).Elem().Len()))
	case "provisioned_users", "provisioned_groups":
		tx.c.resources.Add(int64(reflect.ValueOf(dst).Elem().Len()))
	}
	return err
}

// failing fails to read the users of providers, once it is on.
type failing struct{ on atomic.Bool }

var errBroken = errors.New("the disk has gone")

func (f *failing) wrap(d store.Driver) store.Driver { return failingDriver{d, f} }

type failingDriver struct {
	store.Driver
	f *failing
}

func (d failingDriver) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	tx, err := d.Driver.Begin(ctx, writable)
	return failingTx{tx, d.f}, err
}

type failingTx struct {
	store.DriverTx
	f *failing
}

func (tx failingTx) Select(ctx context.Context, k *store.Kind, s store.Selection, dst any) error {
	if k.Name == "provisioned_users" && tx.f.on.Load() {
		return errBroken
	}
	return tx.DriverTx.Select(ctx, k, s, dst)
}
