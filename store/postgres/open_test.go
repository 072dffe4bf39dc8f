package postgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestOpenTellsWhatIsWrongWithoutThePassword(t *testing.T) {
	for _, dsn := range []string{"postgres://user:pa55word@127.0.0.1:1/db", "postgres://user:pa55word@127.0.0.1:notaport/db", "user=u password=pa55word host=/nowhere", "%%pa55word"} {
		_, err := postgres.Open(t.Context(), dsn, nil)
		require.ErrorContains(t, err, "open postgres store")
		require.NotContains(t, err.Error(), "pa55word")
	}
}

func TestSchemaOfANewerVersionIsRefused(t *testing.T) {
	dsn := storetest.Postgres(t)
	s, err := postgres.Open(t.Context(), dsn, nil)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	db, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	_, err = db.Exec("INSERT INTO orgkit_migrations (name, version, file) VALUES ('orgkit', 999, 'future')")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = postgres.Open(t.Context(), dsn, nil)
	require.ErrorIs(t, err, store.ErrSchema)
}

func TestManyOpenOneDatabaseAtOnce(t *testing.T) {
	dsn := storetest.Postgres(t)
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for range 8 {
		wg.Go(func() {
			s, err := postgres.Open(t.Context(), dsn, nil)
			if err == nil {
				err = s.Close()
			}
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}

func TestHardBudgetIsKeptByTheDatabaseToo(t *testing.T) {
	dsn := storetest.Postgres(t)
	s, err := postgres.Open(t.Context(), dsn, nil)
	require.NoError(t, err)
	defer s.Close()
	db, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	defer db.Close()
	insert := `INSERT INTO budget_accounts (id, version, created_at, updated_at, budget_id, org_id, period_start, period_end, clock, hard, "limit", carried, moved, spent, reserved, over, forfeited, limit_version, told, told_version)
		VALUES ('a', 1, now(), now(), 'b', 'o', now(), now(), '', true, 10, 0, 0, 6, $1, 0, 0, 0, 0, 0)`
	_, err = db.Exec(insert, "4.000000000001")
	require.ErrorContains(t, err, "budget_accounts_hard")
	_, err = db.Exec(insert, "4")
	require.NoError(t, err)
}

func TestCommitsLastWhateverTheDatabaseSays(t *testing.T) { // billing edge 31
	for is, want := range map[string]string{"off": "on", "local": "on", "on": "on", "remote_apply": "remote_apply"} {
		dsn := storetest.Postgres(t)
		db, err := sql.Open("pgx", dsn)
		require.NoError(t, err)
		defer db.Close()
		_, err = db.Exec("DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET synchronous_commit = " + is + "'; END $$")
		require.NoError(t, err)
		note := fstest.MapFS{"0001_note.sql": {Data: []byte("CREATE TABLE note AS SELECT current_setting('synchronous_commit') AS is")}}
		s, err := postgres.Open(t.Context(), dsn, &postgres.Options{Migrations: map[string]fs.FS{"note": note}})
		require.NoError(t, err)
		require.NoError(t, s.Close())
		var got string
		require.NoError(t, db.QueryRow("SELECT note.is FROM note").Scan(&got))
		require.Equal(t, want, got, is)
	}
}

// Where the server has no room for one more connection it is as if it were away, for as long as that lasts.
func TestAServerWithoutRoomForAConnection(t *testing.T) {
	dsn := storetest.Postgres(t)
	db, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	defer db.Close()
	role := fmt.Sprintf("orgkit_room_%d", time.Now().UnixNano())
	_, err = db.Exec("CREATE ROLE " + role + " LOGIN PASSWORD 'room' CONNECTION LIMIT 1; GRANT ALL ON SCHEMA public TO " + role)
	if err != nil && strings.Contains(err.Error(), "42501") && os.Getenv("ORGKIT_REQUIRE_POSTGRES") == "" {
		t.Skip("the user of this server may not create roles")
	}
	require.NoError(t, err)
	defer func() {
		_, err := db.Exec("DROP OWNED BY " + role + "; DROP ROLE " + role)
		require.NoError(t, err)
	}()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	u.User = url.UserPassword(role, "room")
	s, err := postgres.Open(t.Context(), u.String(), &postgres.Options{Connections: 2, NoFeed: true, Migrations: map[string]fs.FS{
		"room": fstest.MapFS{"0001_room.sql": {Data: []byte("CREATE TABLE trips_marks (n BIGINT NOT NULL PRIMARY KEY)")}}}})
	require.NoError(t, err)
	defer s.Close()
	view := func(within func() error) error {
		return s.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			if _, err := marks.Scan(ctx, tx, store.Range{}); err != nil {
				return err
			}
			return within()
		})
	}
	nothing := func() error { return nil }
	var inner error
	require.NoError(t, view(func() error {
		inner = view(nothing)
		return nil
	}))
	require.ErrorIs(t, inner, store.ErrUnreachable)
	require.ErrorContains(t, inner, "53300")
	require.NoError(t, view(nothing))
}
