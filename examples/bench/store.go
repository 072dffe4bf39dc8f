package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/sqlite"
)

var storeBars = []bar{
	{name: "store.memory_insert_us", what: "memory: one Insert in an Update, 100k records", limit: 10},
	{name: "store.memory_get_us", what: "memory: one Get in a View, 100k records", limit: 2},
	{name: "store.sqlite_get_us", what: "SQLite: one Get in a View", limit: 45},
	{name: "store.postgres_get_us", what: "PostgreSQL: one Get in a View", limit: 150},
	{name: "store.log_sqlite_rows_s", what: "SQLite: Log.AppendMany, 10k rows of 16 columns", limit: 60_000, least: true},
	{name: "store.log_postgres_rows_s", what: "PostgreSQL: Log.AppendMany, 10k rows of 16 columns", limit: 50_000, least: true},
	{name: "store.change_ms_sqlite", what: "SQLite: Guard.Change with its event (UpdateTeam), p50", limit: 1.5},
	{name: "store.change_ms_postgres", what: "PostgreSQL: Guard.Change with its event (UpdateTeam), p50", limit: 5},
	{name: "store.list_1m_ms", what: "both: page 1 and 10,000 of 1M records, the slowest", limit: 20, full: true},
}

//go:embed migrations
var files embed.FS

// benchStore measures the three stores one after the other.
func benchStore(ctx context.Context, b *bench) error {
	if err := benchMemory(ctx, b); err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	for _, name := range []string{"sqlite", "postgres"} {
		s, err := b.open(ctx, name)
		if err != nil {
			return err
		}
		if s == nil {
			b.note("no PostgreSQL server is installed and ORGKIT_POSTGRES is not set: its bars were skipped")
			continue
		}
		for _, measure := range []func(context.Context, *bench, string, *store.Store) error{benchGet, benchLog, benchChange, benchList} {
			if err := measure(ctx, b, name, s); err != nil {
				s.Close()
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}

// open opens an empty store with its default options; nil where there is no server for it.
func (b *bench) open(ctx context.Context, name string) (*store.Store, error) {
	own, err := fs.Sub(files, "migrations/"+name)
	if err != nil {
		return nil, err
	}
	sets := map[string]fs.FS{"bench": own}
	if name == "sqlite" {
		return sqlite.Open(ctx, filepath.Join(b.dir, "bench.db"), &sqlite.Options{Migrations: sets})
	}
	dsn, err := b.server.database(ctx)
	if err != nil || dsn == "" {
		return nil, err
	}
	return postgres.Open(ctx, dsn, &postgres.Options{Migrations: sets})
}

// fill inserts n teams in one unit and returns their ids.
func fill(ctx context.Context, s *store.Store, n int, record func(i int) team) (ids []string, err error) {
	err = s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		ids = make([]string, n)
		for i := range ids {
			t := record(i)
			if err := teams.Insert(ctx, tx, &t); err != nil {
				return err
			}
			ids[i] = t.ID
		}
		return nil
	})
	return ids, err
}

// get is a View with one Get of any of the ids.
func get(ctx context.Context, s *store.Store, ids []string) func() error {
	return func() error {
		return s.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			_, err := teams.Get(ctx, tx, ids[rand.IntN(len(ids))])
			return err
		})
	}
}

func benchMemory(ctx context.Context, b *bench) error {
	b.begin("memory")
	read, write, err := measureMemory(ctx, newTeam)
	if err != nil {
		return err
	}
	b.set("store.memory_get_us", read, micros)
	b.set("store.memory_insert_us", write, micros)

	b.begin("memory, flat records")
	read, write, err = measureMemory(ctx, func(i int) team {
		t := newTeam(i)
		t.Settings = settings{}
		return t
	})
	if err != nil {
		return err
	}
	b.note("memory: where the settings of the records are empty: Insert %.2f us, Get %.2f us", micros(write.median()), micros(read.median()))
	return nil
}

// measureMemory measures Get and Insert on 100,000 records.
func measureMemory(ctx context.Context, record func(i int) team) (read, write sample, err error) {
	s := memory.New(nil)
	defer s.Close()
	const records = 100_000
	ids, err := fill(ctx, s, records, record)
	if err != nil {
		return nil, nil, err
	}
	if read, err = each(15, 10_000, get(ctx, s, ids)); err != nil {
		return nil, nil, err
	}
	const rounds, inserts = 9, 2000
	fresh := make([]team, (rounds+1)*inserts)
	for i := range fresh {
		fresh[i] = record(records + i)
	}
	write, err = each(rounds, inserts, func() error {
		t := &fresh[0]
		fresh = fresh[1:]
		return s.Update(ctx, func(ctx context.Context, tx *store.Tx) error { return teams.Insert(ctx, tx, t) })
	})
	return read, write, err
}

func benchGet(ctx context.Context, b *bench, name string, s *store.Store) error {
	b.begin(name + ": Get")
	ids, err := fill(ctx, s, 10_000, newTeam)
	if err != nil {
		return err
	}
	took, err := each(15, 1000, get(ctx, s, ids))
	if err != nil {
		return err
	}
	b.set("store."+name+"_get_us", took, micros)
	return nil
}

func benchLog(ctx context.Context, b *bench, name string, s *store.Store) error {
	b.begin(name + ": Log.AppendMany")
	const batch, warm, batches = store.MaxAppend, 2, 13
	appendAll := func(rows []call) (fresh int, took time.Duration, err error) {
		begin := time.Now()
		err = s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			answers, err := calls.AppendMany(ctx, tx, rows)
			fresh = 0
			for _, was := range answers {
				if was {
					fresh++
				}
			}
			return err
		})
		return fresh, time.Since(begin), err
	}
	var times sample
	for i := range warm + batches {
		fresh, took, err := appendAll(newCalls(i*batch, batch))
		if err != nil {
			return err
		}
		if fresh != batch {
			return fmt.Errorf("%d of %d new rows were new", fresh, batch)
		}
		if i >= warm {
			times.add(took, 1)
		}
	}
	rate := func(ns float64) float64 { return batch * 1e9 / ns }
	b.set("store.log_"+name+"_rows_s", times, rate)

	const repeated = batch / 100
	times = nil
	for i := range 3 {
		rows := newCalls((warm+batches+i)*batch, batch)
		for j, old := range newCalls(i*repeated, repeated) {
			rows[j*batch/repeated] = old
		}
		fresh, took, err := appendAll(rows)
		if err != nil {
			return err
		}
		if fresh != batch-repeated {
			return fmt.Errorf("%d rows were new, not %d", fresh, batch-repeated)
		}
		times.add(took, 1)
	}
	b.note("%s: Log.AppendMany where one row in 100 is there already: %.0f rows/s", name, rate(times.median()))
	return nil
}

func benchChange(ctx context.Context, b *bench, name string, s *store.Store) error {
	b.begin(name + ": Guard.Change")
	ctx = audit.WithActor(ctx, audit.PlatformAdmin())
	m, err := orgs.New(s, nil)
	if err != nil {
		return err
	}
	org, err := m.CreateOrganization(ctx, orgs.NewOrganization{Name: "Bench", Slug: "bench"})
	if err != nil {
		return err
	}
	t, err := m.CreateTeam(ctx, org.ID, orgs.NewTeam{Name: "Team", Slug: "team"})
	if err != nil {
		return err
	}
	const changes, warm = 300, 50
	n := 0
	update := func() error {
		n++
		text := fmt.Sprintf("change %d", n)
		_, err := m.UpdateTeam(ctx, t.ID, orgs.TeamUpdate{Description: &text})
		return err
	}
	if _, err := each(1, warm, update); err != nil {
		return err
	}
	took, err := each(changes, 1, update)
	if err != nil {
		return err
	}
	b.set("store.change_ms_"+name, took, millis)

	own := newTeam(-1)
	err = s.Update(ctx, func(ctx context.Context, tx *store.Tx) error { return teams.Insert(ctx, tx, &own) })
	if err != nil {
		return err
	}
	bare, err := each(changes, 1, func() error {
		op := rbac.Op{Action: "teams.update", OrgID: org.ID, Resource: "team:" + own.ID}
		return m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
			after, err := teams.Lock(ctx, tx, own.ID)
			if err != nil {
				return audit.Change{}, err
			}
			before := after
			n++
			after.Description = fmt.Sprintf("change %d", n)
			return audit.Updated(before, &after), teams.Update(ctx, tx, &after)
		})
	})
	if err != nil {
		return err
	}
	b.note("%s: a bare Guard.Change of one record with its event: %.2f ms", name, millis(bare.median()))
	return nil
}
