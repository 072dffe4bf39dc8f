// Command quickstart sets up an organization over HTTP, with teams, roles, members, a policy and
// keys, sends a few hundred concurrent AI requests of its members through the gate, and prints what
// came of it.
//
//	go run ./examples/quickstart
//	go run ./examples/quickstart -db memory:
//	go run ./examples/quickstart -db postgres://user@host/database
//
// Without -db everything is kept in an SQLite file in a temporary directory, which -keep leaves
// there.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/orgkit/orgkit/examples/internal/opendb"
)

func main() {
	db := flag.String("db", "", "memory:, sqlite:PATH or postgres://…; empty is a temporary SQLite file")
	keep := flag.Bool("keep", false, "keep the temporary SQLite file and say where it is")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, *db, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, db string, keep bool) error {
	if db == "" {
		dir, err := os.MkdirTemp("", "orgkit-quickstart-")
		if err != nil {
			return err
		}
		if keep {
			defer fmt.Fprintln(out, "\nkept in", filepath.Join(dir, "orgkit.db"))
		} else {
			defer os.RemoveAll(dir)
		}
		db = "sqlite:" + filepath.Join(dir, "orgkit.db")
	}
	s, err := opendb.Open(ctx, db)
	if err != nil {
		return err
	}
	defer s.Close()

	acme, err := setUp(ctx, s, out)
	if err != nil {
		return err
	}
	defer acme.m.Close() // writes what calls have spent, and gives back what was not used
	if err := acme.explain(out); err != nil {
		return err
	}
	if err := acme.traffic(ctx, out); err != nil {
		return err
	}
	return acme.report(out)
}
