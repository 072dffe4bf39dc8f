// Package postgres keeps records in a PostgreSQL database.
//
//	s, err := postgres.Open(ctx, "postgres://user@host/db", nil)
//
// Any number of processes may share it. Where the server, the database or the role has synchronous_commit off, or local, it
// is on for the store all the same: what a budget has leased must not be lost with the server, nor at a failover to one
// that it waits for.
package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/internal/bunstore"
)

//go:embed migrations/*.sql
var files embed.FS

// Options of a PostgreSQL store; nil works.
type Options struct {
	Store store.Options
	// Connections is the most that are open at once; 0 is 10.
	Connections int
	// IdleInUnit is how long a unit may leave the server without work before that ends it, and the unit is run again: a
	// process that is frozen must not hold for long what others wait for. 0 is 10 seconds, where nothing is set for the
	// database or the role.
	IdleInUnit time.Duration
	// Migrations of kinds of the host's own, by a name that stays: files NNNN_name.sql from 0001.
	Migrations map[string]fs.FS
	// CheckOnly applies no migration; a schema that is behind is store.ErrSchema.
	CheckOnly bool
	// NoFeed neither sends nor hears words of changes, as where a pooler passes no LISTEN on. Who listens
	// finds changes by comparing.
	NoFeed bool
}

// Open connects to the database and brings its schema up to this version. A schema of a newer
// version is store.ErrSchema. No error repeats the DSN: it may hold a password.
func Open(ctx context.Context, dsn string, o *Options) (*store.Store, error) {
	if o == nil {
		o = &Options{}
	}
	if o.IdleInUnit < 0 {
		return nil, errors.New("open postgres store: IdleInUnit is negative")
	}
	db, config, err := open(dsn, o.Connections, o.IdleInUnit)
	if err != nil {
		return nil, err
	}
	if err := prepare(ctx, db, o); err != nil {
		db.Close()
		return nil, fmt.Errorf("open postgres store: %w", conceal(err))
	}
	words := newFeed(db, config)
	words.off = o.NoFeed
	return store.New(bunstore.New(bunstore.Dialect{
		Writer: db, Reader: db,
		WriteOptions: &sql.TxOptions{Isolation: sql.LevelReadCommitted},
		ReadOptions:  &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
		RowLocks:     true,
		Logs:         bunstore.Logs{Numbered: true, Args: []any{logMode}, Append: appendRows, Upsert: upsertRows, Queues: true, Laterals: true, Skips: true},
		Feed:         words,
		Error:        classify,
	}), &o.Store), nil
}

func open(dsn string, connections int, idle time.Duration) (*bun.DB, *pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, nil, errors.New("open postgres store: the DSN is not valid")
	}
	if connections == 0 {
		connections = 10
	}
	// bun writes values as literals, so a statement is sent as one text. That is safe only under
	// the two settings that prepare asserts.
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	config.RuntimeParams["timezone"] = "UTC"
	config.RuntimeParams["application_name"] = "orgkit"
	db := sql.OpenDB(connector{stdlib.GetConnector(*config, stdlib.OptionAfterConnect(session{idle}.begin))})
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return bun.NewDB(db, pgdialect.New()), config, nil
}

// session is what every connection has the server keep to.
type session struct{ idle time.Duration }

// begin has the session wait for its commits at least until they last; stronger settings stay. Then it sets how long a unit
// may be idle.
func (s session) begin(ctx context.Context, conn *pgx.Conn) error {
	idle, unless := s.idle, ""
	if idle == 0 {
		idle, unless = 10*time.Second, " WHERE current_setting('idle_in_transaction_session_timeout') = '0'"
	}
	_, err := conn.Exec(ctx, "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local');"+
		fmt.Sprintf("SELECT set_config('idle_in_transaction_session_timeout', '%d', false)%s", max(idle.Milliseconds(), 1), unless))
	return err
}

// conceal keeps what a connection error says of the cause and drops what it says of the server.
func conceal(err error) error {
	var c *pgconn.ConnectError
	if errors.As(err, &c) {
		if inner := c.Unwrap(); inner != nil {
			return fmt.Errorf("cannot connect: %w", inner)
		}
		return errors.New("cannot connect")
	}
	return err
}

func prepare(ctx context.Context, db *bun.DB, o *Options) error {
	var conforming, encoding string
	if err := db.QueryRowContext(ctx, "SELECT current_setting('standard_conforming_strings'), current_setting('server_encoding')").Scan(&conforming, &encoding); err != nil {
		return err
	}
	if conforming != "on" || encoding != "UTF8" {
		return fmt.Errorf("%w: the database needs standard_conforming_strings=on and encoding UTF8", store.ErrSchema)
	}
	own, err := fs.Sub(files, "migrations")
	if err != nil {
		return err
	}
	sets := maps.Clone(o.Migrations)
	if sets == nil {
		sets = map[string]fs.FS{}
	}
	sets[bunstore.Own] = own
	return bunstore.Migrate(ctx, db, "SELECT pg_advisory_xact_lock(7103441523609)", o.CheckOnly, sets)
}

// SQLSTATE codes that matter.
const (
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlock             = "40P01"
	lockNotAvailable     = "55P03"
	idleInTransaction    = "25P03"
	adminShutdown        = "57P01"
	crashShutdown        = "57P02"
	cannotConnectNow     = "57P03"
	diskFull             = "53100"
	outOfMemory          = "53200"
	tooManyConnections   = "53300"
)

// lost says whether there is no connection, or none any more.
func lost(err error) bool {
	var connecting *pgconn.ConnectError
	var network *net.OpError
	return errors.As(err, &connecting) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func classify(err error) error {
	var e *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "sql: database is closed"):
		return store.ErrClosed
	case errors.Is(err, driver.ErrBadConn): // the session had ended before anything was sent, with what the unit has done
		return fmt.Errorf("%w: the connection has ended", store.ErrTransient)
	case !errors.As(err, &e) && lost(err):
		return fmt.Errorf("%w: %w", store.ErrUnreachable, conceal(err))
	case !errors.As(err, &e):
		return err
	}
	switch e.Code {
	case adminShutdown, crashShutdown, cannotConnectNow, diskFull, outOfMemory, tooManyConnections:
		return fmt.Errorf("%w: %s (SQLSTATE %s)", store.ErrUnreachable, e.Message, e.Code)
	case uniqueViolation:
		return &store.UniqueError{Columns: []string{e.ConstraintName}}
	case serializationFailure, deadlock, lockNotAvailable, idleInTransaction:
		return fmt.Errorf("%w: %w", store.ErrTransient, err)
	}
	// The detail and the statement may hold values; the code and message are enough.
	return fmt.Errorf("postgres: %s (SQLSTATE %s)", e.Message, e.Code)
}

// Drift says how the schema of the database differs from what the kinds need: nothing, where a
// driver and its migrations agree.
func Drift(ctx context.Context, dsn string, kinds ...*store.Kind) ([]string, error) {
	db, _, err := open(dsn, 1, 0)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	columns := func(table string) (map[string]string, error) {
		rows, err := db.QueryContext(ctx, "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = ?", table)
		if err != nil {
			return nil, conceal(err)
		}
		defer rows.Close()
		have := map[string]string{}
		for rows.Next() {
			var name, typ, nullable string
			if err := rows.Scan(&name, &typ, &nullable); err != nil {
				return nil, err
			}
			if nullable == "NO" {
				typ += " not null"
			}
			have[name] = typ
		}
		return have, rows.Err()
	}
	indexes := func(table string) (names []string, err error) {
		err = db.NewSelect().TableExpr("pg_indexes").Column("indexname").Where("schemaname = current_schema()").Where("tablename = ?", table).Scan(ctx, &names)
		return names, err
	}
	return bunstore.Drift(kinds, columns, indexes, columnType)
}

func columnType(k *store.Kind, c store.Column) string {
	if k.Key != nil {
		return logType(c)
	}
	switch c.Class {
	case store.Int:
		return "bigint"
	case store.Bool:
		return "boolean"
	case store.Time:
		return "timestamp with time zone"
	case store.Opaque:
		return "numeric"
	case store.JSON:
		return "jsonb"
	}
	return "text"
}
