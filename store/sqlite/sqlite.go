// Package sqlite keeps records in an SQLite file, in pure Go.
//
//	s, err := sqlite.Open(ctx, "orgkit.db", nil)
//
// The file is in WAL mode with synchronous=FULL: what was committed survives the end of the process
// and of the machine. One unit writes at a time; views read snapshots beside it. Several processes
// may use one file.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	lib "modernc.org/sqlite"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/internal/bunstore"
)

//go:embed migrations/*.sql
var files embed.FS

// Options of an SQLite store; nil works.
type Options struct {
	Store store.Options
	// WriterTimeout is how long a writer waits for another of this process before it fails and
	// names it; 0 waits as long as the context lets it.
	WriterTimeout time.Duration
	// BusyTimeout is how long a statement waits for another process that writes; 0 is 10 seconds.
	// What waited in vain is store.ErrTransient.
	BusyTimeout time.Duration
	// Migrations of kinds of the host's own, by a name that stays: files NNNN_name.sql from 0001.
	Migrations map[string]fs.FS
	// CheckOnly applies no migration; a schema that is behind is store.ErrSchema.
	CheckOnly bool
}

// readers is how many views run at once.
const readers = 8

// Open opens the file, makes it when it is not there, and brings its schema up to this version. A
// schema of a newer version is store.ErrSchema.
func Open(ctx context.Context, path string, o *Options) (*store.Store, error) {
	if o == nil {
		o = &Options{}
	}
	writer, reader := open(path, 1, o.BusyTimeout), open(path, readers, o.BusyTimeout)
	err := migrate(ctx, writer, o)
	if err != nil {
		writer.Close()
		reader.Close()
		return nil, fmt.Errorf("open sqlite store: %w", classify(err))
	}
	return store.New(bunstore.New(bunstore.Dialect{
		Writer: writer, Reader: reader, Direct: true,
		Lock:  store.NewWriterLock(o.WriterTimeout),
		Logs:  bunstore.Logs{Append: appendRows, Upsert: upsertRows, Index: indexedBy},
		Feed:  newFeed(writer),
		Error: classify,
	}), &o.Store), nil
}

func open(path string, connections int, busy time.Duration) *bun.DB {
	if busy == 0 {
		busy = 10 * time.Second
	}
	escaped := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
	dsn := fmt.Sprintf("file:%s?_pragma=busy_timeout(%d)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)", escaped, busy.Milliseconds())
	if connections == 1 {
		// The writer takes the file's lock at once instead of failing later, and remembers more of the file than the 2 MB
		// of the default, which the indexes of a log alone fill: 64 MB at most, each reader 8.
		dsn += "&_txlock=immediate&_pragma=cache_size(-65536)"
	} else {
		dsn += "&_pragma=cache_size(-8192)"
	}
	c, err := newConnector(dsn)
	if err != nil {
		panic(err) // the driver is linked; nothing is opened yet
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(connections)
	return bun.NewDB(db, sqlitedialect.New())
}

func migrate(ctx context.Context, db *bun.DB, o *Options) error {
	own, err := fs.Sub(files, "migrations")
	if err != nil {
		return err
	}
	sets := maps.Clone(o.Migrations)
	if sets == nil {
		sets = map[string]fs.FS{}
	}
	sets[bunstore.Own] = own
	return bunstore.Migrate(ctx, db, "", o.CheckOnly, sets)
}

var uniqueForm = regexp.MustCompile(`UNIQUE constraint failed: ([a-z0-9_., ]+)`)

// Result codes of SQLite, by their low byte.
const (
	codeBusy       = 5
	codeLocked     = 6
	codeNoMemory   = 7
	codeReadOnly   = 8
	codeIO         = 10
	codeFull       = 13
	codeCannotOpen = 14
	codeConstraint = 19
)

func classify(err error) error {
	var e *lib.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrConnDone) || strings.Contains(err.Error(), "sql: database is closed"):
		return store.ErrClosed
	case !errors.As(err, &e):
		return err
	}
	switch e.Code() & 0xff {
	case codeBusy, codeLocked:
		return fmt.Errorf("%w: %w", store.ErrTransient, err)
	case codeNoMemory, codeReadOnly, codeIO, codeFull, codeCannotOpen:
		return fmt.Errorf("%w: %w", store.ErrUnreachable, err)
	case codeConstraint:
		if m := uniqueForm.FindStringSubmatch(e.Error()); m != nil {
			var columns []string
			for _, c := range strings.Split(m[1], ",") {
				_, name, _ := strings.Cut(strings.TrimSpace(c), ".")
				columns = append(columns, strings.TrimSpace(name))
			}
			return &store.UniqueError{Columns: columns}
		}
	}
	return err
}

// Drift says how the schema of the file differs from what the kinds need: nothing, where a driver
// and its migrations agree.
func Drift(ctx context.Context, path string, kinds ...*store.Kind) ([]string, error) {
	db := open(path, 1, 0)
	defer db.Close()
	columns := func(table string) (map[string]string, error) {
		rows, err := db.QueryContext(ctx, "SELECT name, type, \"notnull\" FROM pragma_table_info(?)", table)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		have := map[string]string{}
		for rows.Next() {
			var name, typ string
			var notNull bool
			if err := rows.Scan(&name, &typ, &notNull); err != nil {
				return nil, err
			}
			if notNull {
				typ += " not null"
			}
			have[name] = typ
		}
		return have, rows.Err()
	}
	indexes := func(table string) (names []string, err error) {
		err = db.NewSelect().TableExpr("pragma_index_list(?)", table).Column("name").Scan(ctx, &names)
		return names, err
	}
	return bunstore.Drift(kinds, columns, indexes, columnType)
}

func columnType(k *store.Kind, c store.Column) string {
	if k.Key != nil && (c.Word || c.Class == store.Time) {
		return "INTEGER"
	}
	switch c.Class {
	case store.Bytes:
		return "BLOB"
	case store.Int:
		return "INTEGER"
	case store.Bool:
		return "BOOLEAN"
	}
	return "TEXT" // of times too: those of a TIMESTAMP the library reads by trying several forms
}
