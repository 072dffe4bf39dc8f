package orgs_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/sqlite"
	"github.com/orgkit/orgkit/store/storetest"
)

// Some tests need another process: one that can be killed, or one whose memory is not that of the test. It
// is this test binary, run again with the name of a program and a database in its environment.
const (
	childProgram  = "ORGKIT_TEST_CHILD"
	childDatabase = "ORGKIT_TEST_DATABASE"
)

// programs are what a child can run: each opens nothing itself, says lines with say and ends when its
// input does.
var programs = map[string]func(ctx context.Context, m *orgs.Manager, input *bufio.Scanner) error{
	"crash": crashProgram,
	"peer":  peerProgram,
	"rates": ratesProgram,

	"remembers a token":          remember(false, time.Hour),
	"remembers what it is told":  remember(true, time.Hour),
	"remembers what it compares": remember(false, 100*time.Millisecond),
}

func TestMain(m *testing.M) {
	name := os.Getenv(childProgram)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := runChild(name); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runChild(name string) error {
	program, ok := programs[name]
	if !ok {
		return fmt.Errorf("no program is named %q", name)
	}
	ctx := context.Background()
	s, err := openDatabase(ctx, os.Getenv(childDatabase), nil)
	if err != nil {
		return err
	}
	defer s.Close()
	o := withDials()
	o.Billing.Silence = childSilence
	m, err := orgs.New(s, o)
	if err != nil {
		return err
	}
	return program(ctx, m, bufio.NewScanner(os.Stdin))
}

// say is one line to the parent. It is one write, which a pipe takes as a whole: a line that was not
// finished is one that was never said.
func say(format string, args ...any) { fmt.Fprintf(os.Stdout, format+"\n", args...) }

// openDatabase opens a store by the DSN of a PostgreSQL database or the path of an SQLite file.
func openDatabase(ctx context.Context, database string, wrap func(store.Driver) store.Driver) (*store.Store, error) {
	o := store.Options{Wrap: wrap}
	if strings.HasPrefix(database, "postgres") {
		return postgres.Open(ctx, database, &postgres.Options{Store: o})
	}
	return sqlite.Open(ctx, database, &sqlite.Options{Store: o})
}

// shared runs a test on each kind of database that several processes can share. Each call of fresh makes an
// empty one.
func shared(t *testing.T, fn func(t *testing.T, fresh func() string)) {
	t.Run("sqlite", func(t *testing.T) { fn(t, func() string { return filepath.Join(t.TempDir(), "shared.db") }) })
	t.Run("postgres", func(t *testing.T) { fn(t, func() string { return storetest.Postgres(t) }) })
}

// child is a process that runs a program.
type child struct {
	t      testing.TB
	cmd    *exec.Cmd
	input  io.WriteCloser
	lines  chan string // what it says; closed when it is gone
	errors *bytes.Buffer
}

// startChild starts a program on a database and waits until it says that it is ready. The child ends with
// the test, and with this process too: its input ends then.
func startChild(t testing.TB, program, database string) *child {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	c := &child{t: t, cmd: exec.Command(self), lines: make(chan string, 4096), errors: &bytes.Buffer{}}
	c.cmd.Env = append(os.Environ(), childProgram+"="+program, childDatabase+"="+database)
	c.cmd.Stderr = c.errors
	c.input, err = c.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.cmd.Start())
	go func() {
		defer close(c.lines)
		for r := bufio.NewReader(out); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			c.lines <- strings.TrimSuffix(line, "\n")
		}
	}()
	t.Cleanup(c.kill)
	require.Equal(t, "ready", c.hear())
	return c
}

// hear is the next line that the child says.
func (c *child) hear() string {
	c.t.Helper()
	select {
	case line, ok := <-c.lines:
		if !ok {
			c.kill()
			c.t.Fatalf("the child is gone: %s", c.errors)
		}
		return line
	case <-time.After(30 * time.Second):
		c.t.Fatal("the child says nothing")
	}
	return ""
}

// ask says a line to the child and returns what it answers.
func (c *child) ask(format string, args ...any) string {
	c.t.Helper()
	_, err := fmt.Fprintf(c.input, format+"\n", args...)
	require.NoError(c.t, err)
	return c.hear()
}

// kill ends the child as kill -9 does, if it is not gone yet, and waits until the system has forgotten it.
func (c *child) kill() {
	if c.cmd.ProcessState != nil {
		return
	}
	c.cmd.Process.Kill()
	for range c.lines { // the pipe is read to its end before Wait closes it
	}
	c.cmd.Wait()
}
