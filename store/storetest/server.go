package storetest

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Server is a PostgreSQL server that a test has for itself, and may kill.
type Server struct {
	DSN string

	bin, dir   string
	settings   []string
	credential *syscall.Credential
	pipes      []io.Closer // on whose end what stands beside the server waits
}

// PostgresServer starts a server for one test. It is skipped, or fails, as [Postgres] says.
func PostgresServer(t testing.TB) *Server {
	t.Helper()
	s, err := newServer("fsync=off") // full pages: a page may be half written when its writer is killed
	if err == nil {
		err = s.start()
	}
	if err != nil {
		without(t, err)
	}
	t.Cleanup(func() {
		for _, p := range s.pipes {
			p.Close()
		}
		s.gone(t)
	})
	return s
}

// newServer prepares a server on a socket in a temporary directory.
func newServer(settings ...string) (*Server, error) {
	bin, err := binDir()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "orgkit-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, settings: settings}
	if s.credential, err = serverUser(dir); err != nil {
		return nil, err
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.Dir = dir
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: s.credential}
	if out, err := initdb.CombinedOutput(); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	s.DSN = (&url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/postgres", RawQuery: url.Values{"host": {dir}, "sslmode": {"disable"}}.Encode()}).String()
	return s, nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// start starts the server. A shell waits beside it for this process to end, however it ends, then stops the server and
// removes the directory.
func (s *Server) start() error {
	args := []string{"-c", watch, "sh", filepath.Join(s.bin, "postgres"), s.dir}
	for _, setting := range append(s.settings, "max_connections=200") {
		args = append(args, "-c", setting)
	}
	shell := exec.Command("/bin/sh", args...)
	shell.Dir = s.dir
	shell.SysProcAttr = &syscall.SysProcAttr{Credential: s.credential, Setpgid: true}
	end, err := shell.StdinPipe() // closed by the kernel when this process ends
	if err != nil {
		return err
	}
	if err := shell.Start(); err != nil {
		return err
	}
	go shell.Wait()
	s.pipes = append(s.pipes, end)
	return waitFor(s.DSN)
}

// watch runs the server until standard input ends.
const watch = `program=$1 dir=$2
shift 2
"$program" -D "$dir/data" -k "$dir" -h '' "$@" >>"$dir/log" 2>&1 &
cat >/dev/null
kill -QUIT $! 2>/dev/null
wait $!
rm -rf "$dir"`

// Kill kills the server as kill -9 does, and waits until all of its processes are gone. [Server.Start] starts it again.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	pid, err := s.pid()
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	s.gone(t)
}

// KillSession kills one process of the server that serves somebody, if there is one, as kill -9 does. The server then
// throws everybody out and recovers by itself, for which this waits.
func (s *Server) KillSession(t testing.TB) {
	t.Helper()
	main, err := s.pid()
	require.NoError(t, err)
	before := s.processes()
	for _, p := range before {
		if !strings.Contains(p.title, "[local]") || syscall.Kill(p.pid, syscall.SIGKILL) != nil {
			continue
		}
		left := func(now process) bool {
			return now.pid != main && slices.ContainsFunc(before, func(p process) bool { return p.pid == now.pid })
		}
		require.Eventually(t, func() bool { return !slices.ContainsFunc(s.processes(), left) }, time.Minute, 5*time.Millisecond, "the server did not notice")
		break
	}
	require.NoError(t, waitFor(s.DSN))
}

// Start starts the server that was killed, and waits until it serves.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	require.NoError(t, s.start())
}

func (s *Server) pid() (int, error) {
	b, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(b), "\n")
	return strconv.Atoi(first)
}

type process struct {
	pid   int
	title string
}

// processes are those that work in the directory of the server.
func (s *Server) processes() (list []process) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		at, err := os.Readlink(filepath.Join(dir, "cwd"))
		if err != nil || strings.TrimSuffix(at, " (deleted)") != s.data() {
			continue
		}
		title, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		pid, errPID := strconv.Atoi(filepath.Base(dir))
		if err == nil && errPID == nil {
			list = append(list, process{pid, string(title)})
		}
	}
	return list
}

// gone waits until no process of the server is left: one that is starts no new server beside it.
func (s *Server) gone(t testing.TB) {
	t.Helper()
	require.Eventually(t, func() bool { return len(s.processes()) == 0 }, time.Minute, 5*time.Millisecond, "processes of the server are left")
}
