package storetest

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // for the databases of single tests
	"github.com/stretchr/testify/require"
)

var (
	serverOnce sync.Once
	serverDSN  string
	serverErr  error
	databases  atomic.Int64
)

// Postgres returns the DSN of a fresh database, dropped with the test. The server is the one of
// ORGKIT_POSTGRES (a DSN whose user may create databases) or else a temporary one of an installed
// PostgreSQL, which ends with the process. Without either the test is skipped, or, with
// ORGKIT_REQUIRE_POSTGRES set, fails.
func Postgres(t testing.TB) string {
	t.Helper()
	server(t)
	return database(t, "")
}

const serverVariable = "ORGKIT_POSTGRES"

// server finds or starts the server.
func server(t testing.TB) {
	t.Helper()
	serverOnce.Do(func() {
		if serverDSN = os.Getenv(serverVariable); serverDSN == "" {
			serverDSN, serverErr = startServer()
		}
	})
	if serverErr != nil {
		without(t, serverErr)
	}
}

// database returns the DSN of a database that is made in this way, and dropped with the test.
func database(t testing.TB, how string) string {
	t.Helper()
	name := fmt.Sprintf("orgkit_test_%d_%d", os.Getpid(), databases.Add(1))
	require.NoError(t, execute("CREATE DATABASE "+name+how))
	t.Cleanup(func() {
		if err := execute("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("drop test database: %v", err)
		}
	})
	u, err := url.Parse(serverDSN)
	require.NoError(t, err)
	u.Path = "/" + name
	return u.String()
}

// execute has the server execute a statement outside of the databases of tests.
func execute(statement string) error {
	admin, err := sql.Open("pgx", serverDSN)
	if err != nil {
		return err
	}
	defer admin.Close()
	_, err = admin.Exec(statement)
	return err
}

// without ends a test for which there is no server.
func without(t testing.TB, err error) {
	t.Helper()
	text := fmt.Sprintf("no PostgreSQL: %v; install a server (Debian: apt-get install postgresql) or set ORGKIT_POSTGRES to the DSN of one", err)
	if os.Getenv("ORGKIT_REQUIRE_POSTGRES") != "" {
		t.Fatal(text)
	}
	t.Skip(text)
}

// binDir finds the programs of an installed server, the newest version where there are several.
func binDir() (string, error) {
	if p, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			return filepath.Dir(real), nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", fmt.Errorf("initdb is not installed")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

// startServer starts a server that ends with this process.
func startServer() (string, error) {
	// It has to outlive programs that write to it, not the machine.
	s, err := newServer("fsync=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0", "autovacuum=off")
	if err != nil {
		return "", err
	}
	return s.DSN, s.start()
}

// serverUser is who the server runs as: it refuses root.
func serverUser(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err1 != nil || err2 != nil {
		return nil, fmt.Errorf("user postgres has no numeric ids")
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, uid, gid)
}

func waitFor(dsn string) (err error) {
	for range 300 {
		var db *sql.DB
		if db, err = sql.Open("pgx", dsn); err == nil {
			err = db.Ping()
			db.Close()
			if err == nil {
				return nil
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}
