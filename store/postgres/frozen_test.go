package postgres_test

import (
	"context"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/storetest"
)

type frozenThing struct {
	store.Meta
	Times int64
}

var frozenThings = store.Define[frozenThing]("frozen_things", "thing")

// A process that is frozen in the midst of a unit holds its locks for as long as the server waits for it, and no longer; when
// it goes on, its unit is run again.
func TestAFrozenUnitHoldsNobodyUpForLong(t *testing.T) {
	dsn := storetest.Postgres(t)
	open := func(idle time.Duration) *store.Store {
		s, err := postgres.Open(t.Context(), dsn, &postgres.Options{IdleInUnit: idle, Migrations: map[string]fs.FS{"frozen": fstest.MapFS{"0001_things.sql": {Data: []byte(
			"CREATE TABLE frozen_things (id text PRIMARY KEY, version bigint NOT NULL, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL, times bigint NOT NULL)")}}}})
		require.NoError(t, err)
		t.Cleanup(func() { s.Close() })
		return s
	}
	frozen, other := open(100*time.Millisecond), open(0)
	thing := frozenThing{Meta: store.Meta{ID: "thing_1"}}
	require.NoError(t, other.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return frozenThings.Insert(ctx, tx, &thing) }))
	count := func(s *store.Store, meanwhile func()) error {
		return s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			is, err := frozenThings.Lock(ctx, tx, "thing_1")
			if err != nil {
				return err
			}
			meanwhile()
			is.Times++
			return frozenThings.Update(ctx, tx, &is)
		})
	}

	locked, goOn, ended := make(chan bool, 2), make(chan bool), make(chan error)
	go func() {
		ended <- count(frozen, func() {
			locked <- true
			<-goOn
		})
	}()
	<-locked
	require.NoError(t, count(other, func() {}), "it is kept waiting")
	close(goOn)
	require.NoError(t, <-ended)

	require.NoError(t, other.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		is, err := frozenThings.Get(ctx, tx, "thing_1")
		require.EqualValues(t, 2, is.Times)
		return err
	}))
}

func TestAUnitIsIdleForNoNegativeTime(t *testing.T) {
	_, err := postgres.Open(t.Context(), storetest.Postgres(t), &postgres.Options{IdleInUnit: -1})
	require.ErrorContains(t, err, "IdleInUnit")
}
