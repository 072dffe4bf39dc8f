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
	serverOnce.Do(func() {
		if serverDSN = os.Getenv("ORGKIT_POSTGRES"); serverDSN == "" {
			serverDSN, serverErr = startServer()
		}
	})
	if serverErr != nil {
		text := fmt.Sprintf("no PostgreSQL: %v; install a server (Debian: apt-get install postgresql) or set ORGKIT_POSTGRES to the DSN of one", serverErr)
		if os.Getenv("ORGKIT_REQUIRE_POSTGRES") != "" {
			t.Fatal(text)
		}
		t.Skip(text)
	}
	name := fmt.Sprintf("orgkit_test_%d_%d", os.Getpid(), databases.Add(1))
	admin, err := sql.Open("pgx", serverDSN)
	require.NoError(t, err)
	defer admin.Close()
	_, err = admin.Exec("CREATE DATABASE " + name)
	require.NoError(t, err)
	t.Cleanup(func() {
		admin, err := sql.Open("pgx", serverDSN)
		if err == nil {
			defer admin.Close()
			_, err = admin.Exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)")
		}
		if err != nil {
			t.Errorf("drop test database: %v", err)
		}
	})
	u, err := url.Parse(serverDSN)
	require.NoError(t, err)
	u.Path = "/" + name
	return u.String()
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

// startServer starts a server on a socket in a temporary directory. A shell waits beside it for
// this process to end, however it ends, then stops the server and removes the directory.
func startServer() (string, error) {
	bin, err := binDir()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "orgkit-pg-")
	if err != nil {
		return "", err
	}
	credential, err := serverUser(dir)
	if err != nil {
		return "", err
	}
	run := func(name string, args ...string) error {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
		if out, err := cmd.CombinedOutput(); err != nil {
			os.RemoveAll(dir)
			return fmt.Errorf("%s: %w: %s", name, err, out)
		}
		return nil
	}
	data := filepath.Join(dir, "data")
	if err := run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"); err != nil {
		return "", err
	}
	server := exec.Command("/bin/sh", "-c", watch, "sh", filepath.Join(bin, "postgres"), data, dir)
	server.Dir = dir
	server.SysProcAttr = &syscall.SysProcAttr{Credential: credential, Setpgid: true}
	end, err := server.StdinPipe() // closed by the kernel when this process ends
	if err != nil {
		return "", err
	}
	if err := server.Start(); err != nil {
		return "", err
	}
	keep = append(keep, end)
	dsn := (&url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/postgres", RawQuery: url.Values{"host": {dir}, "sslmode": {"disable"}}.Encode()}).String()
	return dsn, waitFor(dsn)
}

// keep holds the pipes on whose end the servers wait.
var keep []any

// watch runs the server until standard input ends. What it keeps has to outlive the programs that write to
// it, not the machine: it need not wait for a disk.
const watch = `"$1" -D "$2" -k "$3" -h '' -c max_connections=200 -c fsync=off -c full_page_writes=off >"$3/log" 2>&1 &
cat >/dev/null
kill -QUIT $! 2>/dev/null
wait $!
rm -rf "$3"`

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
