package sqlite_test

import (
	"context"
	"io/fs"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/sqlite"
)

// One store per process: two stores on one file are what two processes have.
func TestAChangeByAnotherProcessIsAGap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	one, err := sqlite.Open(t.Context(), path, &sqlite.Options{Migrations: things})
	require.NoError(t, err)
	defer one.Close()
	other, err := sqlite.Open(t.Context(), path, &sqlite.Options{Migrations: things})
	require.NoError(t, err)
	defer other.Close()
	heard := make(chan store.Notice, 100)
	one.Listen(func(n store.Notice) { heard <- n })
	next := func(wait time.Duration) (n store.Notice, ok bool) {
		select {
		case n = <-heard:
			return n, true
		case <-time.After(wait):
			return n, false
		}
	}
	n, ok := next(20 * time.Second)
	require.True(t, ok && n.Gap, "the beginning")

	say := func(s *store.Store, word string) {
		require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			tx.Notify(word)
			return thingsOf.Insert(ctx, tx, &thing{})
		}))
	}
	say(one, "own")
	n, ok = next(20 * time.Second)
	require.True(t, ok)
	require.Equal(t, "own", n.Word)
	_, ok = next(600 * time.Millisecond)
	require.False(t, ok, "its own writes are no gap")

	say(other, "foreign")
	n, ok = next(20 * time.Second)
	require.True(t, ok && n.Gap)
}

type thing struct{ store.Meta }

var (
	thingsOf = store.Define[thing]("things", "thing")
	things   = map[string]fs.FS{"test": fstest.MapFS{"0001_things.sql": {Data: []byte(
		"CREATE TABLE things (id TEXT PRIMARY KEY, version INTEGER, created_at TEXT, updated_at TEXT)")}}}
)
