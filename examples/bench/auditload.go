package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/sqlite"
)

const (
	auditEvents     = 64_000     // in each database
	auditEventsFull = 10_000_000 // with -full: these, multiplied by the database itself
	auditUnit       = 250        // events of one unit, when they are loaded
	auditDays       = 90         // over which they spread
	auditOrigin     = "bench"
)

// mainOrg has half of the log, the children share the rest.
var (
	mainOrg   = idOf("org", 0)
	childOrgs = func() (ids []string) {
		for i := range 100 {
			ids = append(ids, idOf("org", 1+i))
		}
		return ids
	}()
)

func orgOf(i int) string {
	if i%2 == 0 {
		return mainOrg
	}
	return childOrgs[among(i, 20, len(childOrgs))]
}

// clock is that of a store: set while events are loaded, then the real one.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time {
	if at := c.at.Load(); at != 0 {
		return time.UnixMicro(at)
	}
	return time.Now()
}

// loadedLog is a log of events in one database.
type loadedLog struct {
	name   string
	store  *store.Store
	log    *audit.Log
	sql    *sql.DB      // beside the store
	path   string       // of the file, for SQLite
	driver store.Driver // for SQLite
	clock  clock
	took   time.Duration
}

// loadedLogs are the same events in both databases; postgres is nil where there is no server.
type loadedLogs struct {
	sqlite, postgres *loadedLog
	begin, end       time.Time
	signer           note.Signer
	verifiers        note.Verifiers
}

func (l *loadedLogs) all() []*loadedLog {
	if l.postgres == nil {
		return []*loadedLog{l.sqlite}
	}
	return []*loadedLog{l.sqlite, l.postgres}
}

func (l *loadedLogs) close() {
	for _, one := range l.all() {
		if one != nil {
			one.log.Close()
			one.sql.Close()
			one.store.Close()
		}
	}
}

// newSigner makes a key.
func newSigner() (note.Signer, note.Verifiers, error) {
	secret, public, err := audit.NewKey("bench")
	if err != nil {
		return nil, nil, err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, nil, err
	}
	verifiers, err := audit.Verifiers(public)
	return signer, verifiers, err
}

// migrationsOf are those of the records that are measured.
func migrationsOf(name string) (map[string]fs.FS, error) {
	own, err := fs.Sub(files, "migrations/"+name)
	return map[string]fs.FS{"bench": own}, err
}

// openSQLite opens a file of the run.
func (b *bench) openSQLite(ctx context.Context, path string, o store.Options) (*store.Store, error) {
	sets, err := migrationsOf("sqlite")
	if err != nil {
		return nil, err
	}
	return sqlite.Open(ctx, path, &sqlite.Options{Migrations: sets, Store: o})
}

func (b *bench) openPostgres(ctx context.Context, dsn string, connections int, o store.Options) (*store.Store, error) {
	sets, err := migrationsOf("postgres")
	if err != nil {
		return nil, err
	}
	return postgres.Open(ctx, dsn, &postgres.Options{Migrations: sets, Connections: connections, Store: o})
}

// loadLogs loads both at once: nothing is measured meanwhile.
func loadLogs(ctx context.Context, b *bench) (l *loadedLogs, err error) {
	b.begin("audit: loading")
	l = &loadedLogs{end: time.Now().UTC().Truncate(time.Second)}
	l.begin = l.end.Add(-auditDays * 24 * time.Hour)
	if l.signer, l.verifiers, err = newSigner(); err != nil {
		return nil, err
	}
	dsn, err := b.server.database(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	l.sqlite = &loadedLog{name: "SQLite", path: filepath.Join(b.dir, "audit.db")}
	if l.sqlite.store, err = b.openSQLite(ctx, l.sqlite.path, store.Options{Now: l.sqlite.clock.now, Wrap: l.sqlite.keep}); err != nil {
		return nil, err
	}
	if l.sqlite.sql, err = sql.Open("sqlite", l.sqlite.path); err != nil {
		return nil, err
	}
	l.sqlite.log = l.newLog(l.sqlite.store, true)
	if dsn == "" {
		b.note("no PostgreSQL server is installed and ORGKIT_POSTGRES is not set: its bars were skipped")
	} else {
		l.postgres = &loadedLog{name: "PostgreSQL"}
		if l.postgres.store, err = b.openPostgres(ctx, dsn, 0, store.Options{Now: l.postgres.clock.now}); err != nil {
			return nil, err
		}
		if l.postgres.sql, err = sql.Open("pgx", dsn); err != nil {
			return nil, err
		}
		l.postgres.log = l.newLog(l.postgres.store, true)
	}
	var wg sync.WaitGroup
	var errs [2]error
	for i, one := range l.all() {
		wg.Go(func() { errs[i] = l.fill(ctx, one, auditEvents) })
	}
	wg.Wait()
	if err = errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	for _, one := range l.all() {
		b.note("%s: %d events loaded in %.0f s", one.name, auditEvents, one.took.Seconds())
	}
	return l, nil
}

// newLog is a log as in production, or one that does nothing by itself (still).
func (l *loadedLogs) newLog(s *store.Store, still bool) *audit.Log {
	return audit.New(s, &audit.Options{Signers: []note.Signer{l.signer}, Origin: auditOrigin, NoBackground: still})
}

// overlapping is a driver that does not say that units write one after another: the log then puts events in order
// by thousands, which is much faster when nothing but events is written.
type overlapping struct{ store.Driver }

// keep remembers the driver.
func (one *loadedLog) keep(d store.Driver) store.Driver {
	one.driver = d
	return d
}

// fill loads n events and leaves the store with the real time.
func (l *loadedLogs) fill(ctx context.Context, one *loadedLog, n int) error {
	begin := time.Now()
	s, log := one.store, one.log
	if one.driver != nil {
		s = store.New(overlapping{one.driver}, &store.Options{Now: one.clock.now})
		log = l.newLog(s, true)
	}
	for first := 0; first < n; first += auditUnit {
		one.clock.at.Store(l.begin.Add(time.Duration(first/auditUnit) * l.step()).UnixMicro())
		err := s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			for i := first; i < first+auditUnit; i++ {
				actor, action, change := newAuditEvent(i)
				if _, err := log.Append(audit.WithActor(ctx, actor), tx, orgOf(i), action, change); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
	}
	one.clock.at.Store(0)
	if err := log.Flush(ctx); err != nil {
		return fmt.Errorf("%s: %w", one.name, err)
	}
	one.took = time.Since(begin)
	return one.settle(ctx)
}

// step is how far units are apart.
func (l *loadedLogs) step() time.Duration { return l.end.Sub(l.begin) / (auditEvents / auditUnit) }
