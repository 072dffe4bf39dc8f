package sqlite_test

import (
	"context"
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/sqlite"
)

func TestOpenTellsWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none.db")
	require.NoError(t, os.WriteFile(none, []byte(strings.Repeat("not a database ", 200)), 0o600))
	for _, path := range []string{none, filepath.Join(dir, "missing", "x.db"), dir} {
		_, err := sqlite.Open(t.Context(), path, nil)
		require.ErrorContains(t, err, "open sqlite store", path)
	}
	b, err := os.ReadFile(none)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(b), "not a database"), "and changes nothing")
}

func TestNameWithSpecialCharactersIsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%20e.db")
	s, err := sqlite.Open(t.Context(), path, nil)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	_, err = os.Stat(path)
	require.NoError(t, err)
}

func TestSchemaOfANewerVersionIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := sqlite.Open(t.Context(), path, nil)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.Exec("INSERT INTO orgkit_migrations (name, version, file) VALUES ('orgkit', 999, 'future')")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = sqlite.Open(t.Context(), path, nil)
	require.ErrorIs(t, err, store.ErrSchema)
}

func TestCheckOnlyAppliesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := sqlite.Open(t.Context(), path, nil)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	more := map[string]fs.FS{"host": fstest.MapFS{"0001_more.sql": {Data: []byte("CREATE TABLE more (id TEXT)")}}}
	_, err = sqlite.Open(t.Context(), path, &sqlite.Options{CheckOnly: true, Migrations: more})
	require.ErrorIs(t, err, store.ErrSchema)
	s, err = sqlite.Open(t.Context(), path, &sqlite.Options{CheckOnly: true})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

func TestFailedMigrationLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	broken := map[string]fs.FS{"host": fstest.MapFS{"0001_a.sql": {Data: []byte("CREATE TABLE a (id TEXT); CREATE TABLE a (id TEXT)")}}}
	_, err := sqlite.Open(t.Context(), path, &sqlite.Options{Migrations: broken})
	require.ErrorContains(t, err, "0001_a.sql")
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer db.Close()
	var tables int
	require.NoError(t, db.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&tables))
	require.Zero(t, tables)
}

func TestManyOpenOneFileAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for range 8 {
		wg.Go(func() {
			s, err := sqlite.Open(t.Context(), path, nil)
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

func TestLockedFileIsSaidToBe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := sqlite.Open(t.Context(), path, nil)
	require.NoError(t, err)
	defer s.Close()
	other, err := sql.Open("sqlite", path+"?_txlock=immediate") // as another process would
	require.NoError(t, err)
	defer other.Close()
	tx, err := other.Begin()
	require.NoError(t, err)
	_, err = sqlite.Open(t.Context(), path, &sqlite.Options{BusyTimeout: 50 * time.Millisecond})
	require.ErrorIs(t, err, store.ErrTransient)
	require.ErrorContains(t, err, "locked")
	require.NoError(t, tx.Rollback())
	again, err := sqlite.Open(t.Context(), path, &sqlite.Options{BusyTimeout: 50 * time.Millisecond})
	require.NoError(t, err)
	require.NoError(t, again.Close())
}

func TestUnitInsideAUnitWithTheOuterContextIsNamed(t *testing.T) {
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), &sqlite.Options{WriterTimeout: 50 * time.Millisecond})
	require.NoError(t, err)
	defer s.Close()
	outer := t.Context()
	err = s.Update(outer, func(context.Context, *store.Tx) error {
		return s.Update(outer, func(context.Context, *store.Tx) error { return nil })
	})
	require.ErrorContains(t, err, "TestUnitInsideAUnitWithTheOuterContextIsNamed")
}
