package postgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/storetest"
)

// two returns two stores on one database, as two processes would have.
func two(t *testing.T) (dsn string, one, other *store.Store) {
	dsn = storetest.Postgres(t)
	for _, s := range []**store.Store{&one, &other} {
		var err error
		*s, err = postgres.Open(t.Context(), dsn, nil)
		require.NoError(t, err)
		t.Cleanup(func() { (*s).Close() })
	}
	return dsn, one, other
}

func listen(s *store.Store) chan store.Notice {
	heard := make(chan store.Notice, 100_000)
	s.Listen(func(n store.Notice) { heard <- n })
	return heard
}

func next(t *testing.T, heard chan store.Notice) store.Notice {
	t.Helper()
	select {
	case n := <-heard:
		return n
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was heard")
		return store.Notice{}
	}
}

func say(t *testing.T, s *store.Store, words ...string) {
	t.Helper()
	require.NoError(t, s.Update(t.Context(), func(_ context.Context, tx *store.Tx) error {
		for _, w := range words {
			tx.Notify(w)
		}
		return nil
	}))
}

func TestWordsReachOtherProcesses(t *testing.T) {
	_, one, other := two(t)
	heard, own := listen(other), listen(one)
	require.Equal(t, store.Notice{Gap: true}, next(t, heard))
	require.Equal(t, store.Notice{Gap: true}, next(t, own))
	say(t, one, "org_a 1", "org_b 7")
	require.Equal(t, "org_a 1", next(t, heard).Word)
	require.Equal(t, "org_b 7", next(t, heard).Word)
	say(t, other, "back")
	var words []string
	for len(words) < 3 {
		words = append(words, next(t, own).Word)
	}
	require.Equal(t, []string{"org_a 1", "org_b 7", "back"}, words, "its own words come once")
}

func TestMoreWordsThanCanBeSentAreAGap(t *testing.T) {
	_, one, other := two(t)
	heard := listen(other)
	next(t, heard)
	long := strings.Repeat("x", 200)
	var words []string
	for i := range 200_000 { // far more than are sent meanwhile
		words = append(words, fmt.Sprint(long, i))
	}
	say(t, one, words...)
	for !next(t, heard).Gap {
	}
	for { // while many wait to be sent, what is said may be a part of the next gap
		say(t, one, "after")
		n := next(t, heard)
		for ; n.Word != "after" && !n.Gap; n = next(t, heard) {
		}
		if n.Word == "after" {
			return
		}
	}
}

func TestABrokenConnectionIsAGap(t *testing.T) {
	dsn, one, other := two(t)
	heard := listen(other)
	next(t, heard)
	db, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	defer db.Close()
	_, err = db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()")
	require.NoError(t, err)
	require.True(t, next(t, heard).Gap)
	say(t, one, "again")
	require.Equal(t, "again", next(t, heard).Word)
}

func TestAnEditedMigrationIsRefused(t *testing.T) {
	dsn := storetest.Postgres(t)
	s, err := postgres.Open(t.Context(), dsn, nil)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	db, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	_, err = db.Exec("UPDATE orgkit_migrations SET file = replace(file, 'sha256:', 'sha256:0')")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = postgres.Open(t.Context(), dsn, nil)
	require.ErrorIs(t, err, store.ErrSchema)
}
