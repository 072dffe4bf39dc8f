package storetest

import (
	"context"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/sqlite"
)

// Databases of single tests are copies of one that was migrated once: there are thousands of them, and each would take longer
// to migrate than its test takes.

var migratedSQLite = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "orgkit-template-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "template.db")
	s, err := sqlite.Open(context.Background(), path, &sqlite.Options{Migrations: sqliteTables()})
	if err == nil {
		err = s.Close() // which leaves all of it in the one file
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func sqliteTables() map[string]fs.FS { return map[string]fs.FS{"storetest": schema(sqliteSchema)} }

// copySQLite returns the path of an empty database that is migrated.
func copySQLite(t testing.TB) string {
	t.Helper()
	file, err := migratedSQLite()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "test.db")
	require.NoError(t, os.WriteFile(path, file, 0o600))
	return path
}

// template is a database of our own server: on one that is not ours nothing is left behind.
const template = "orgkit_template"

// migratedPostgres makes the template, and says how it is copied.
var migratedPostgres = sync.OnceValues(func() (how string, err error) {
	if err := execute("CREATE DATABASE " + template); err != nil {
		return "", err
	}
	u, err := url.Parse(serverDSN)
	if err != nil {
		return "", err
	}
	u.Path = "/" + template
	s, err := postgres.Open(context.Background(), u.String(), &postgres.Options{Migrations: postgresTables(), NoFeed: true})
	if err == nil {
		err = s.Close() // nobody may use what is copied
	}
	if err != nil {
		return "", err
	}
	how = " TEMPLATE " + template
	faster := how + " STRATEGY FILE_COPY" // from PostgreSQL 15 on; for one that is so small twice as fast
	if execute("CREATE DATABASE "+template+"_2"+faster) == nil {
		how = faster
	}
	return how, nil
})

func postgresTables() map[string]fs.FS { return map[string]fs.FS{"storetest": schema(postgresSchema)} }

// copyPostgres returns the DSN of an empty database that is migrated, or is about to be.
func copyPostgres(t testing.TB) string {
	t.Helper()
	server(t)
	if os.Getenv(serverVariable) != "" {
		return database(t, "")
	}
	how, err := migratedPostgres()
	require.NoError(t, err)
	return database(t, how)
}
