package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // makes and drops the databases
)

// script starts and stops servers.
const script = "../../.ci/postgres"

// server is the PostgreSQL server of a run, started when it is first needed. Its zero value is one that
// was not needed yet.
type server struct {
	asked     bool
	dsn       string // "" when there is none
	dir       string // of the server that was started here, "" when it was not
	made      int
	databases []string // of those, what is still there
}

// database makes an empty database and returns its DSN, "" where there is no server.
func (s *server) database(ctx context.Context) (string, error) {
	if !s.asked {
		s.asked = true
		if err := s.start(ctx); err != nil {
			return "", err
		}
	}
	if s.dsn == "" {
		return "", nil
	}
	s.made++
	name := fmt.Sprintf("orgkit_bench_%d_%d", os.Getpid(), s.made)
	if err := s.exec(ctx, "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	s.databases = append(s.databases, name)
	u, err := url.Parse(s.dsn)
	if err != nil {
		return "", errors.New("the DSN of the server is no URL") // it may hold a password
	}
	u.Path = "/" + name
	return u.String(), nil
}

func (s *server) start(ctx context.Context) (err error) {
	if s.dsn = os.Getenv("ORGKIT_POSTGRES"); s.dsn != "" {
		return nil
	}
	var status *exec.ExitError
	if err := exec.CommandContext(ctx, script, "bin").Run(); errors.As(err, &status) {
		return ctx.Err() // not installed, which is no error
	} else if err != nil {
		return fmt.Errorf("run in the directory of the program: %w", err)
	}
	// Not below the directory of the run: the server's user has to reach it.
	if s.dir, err = os.MkdirTemp("", "orgkit-bench-pg-"); err != nil {
		return err
	}
	cmd := exec.Command(script, "start", s.dir) // without ctx: one that is ended half-way leaves a server
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	s.dsn = strings.TrimSpace(string(out))
	return nil
}

func (s *server) exec(ctx context.Context, statement string) error {
	admin, err := sql.Open("pgx", s.dsn)
	if err != nil {
		return err
	}
	defer admin.Close()
	_, err = admin.ExecContext(ctx, statement)
	return err
}

// drop drops the databases that were made.
func (s *server) drop(ctx context.Context) error {
	for _, name := range s.databases {
		if err := s.exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			return err
		}
	}
	s.databases = nil
	return nil
}

// stop drops the databases, or ends the server that was started for them.
func (s *server) stop(ctx context.Context) error {
	if s.dir == "" {
		return s.drop(ctx)
	}
	if out, err := exec.CommandContext(ctx, script, "stop", s.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("stop PostgreSQL: %w: %s", err, out)
	}
	return os.RemoveAll(s.dir)
}

// last is what the server that was started here said last, nil where there is none: why a connection was lost, as on a
// full disk, it says there alone.
func (s *server) last() error {
	if s.dir == "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return errors.New("the server said last:\n" + strings.Join(lines[max(0, len(lines)-20):], "\n"))
}

// settle has PostgreSQL do what autovacuum does after a while, and write what it has to.
func settle(ctx context.Context, db *sql.DB) error {
	for _, statement := range []string{"VACUUM ANALYZE", "CHECKPOINT"} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
