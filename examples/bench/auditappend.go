package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

// update has somebody write a record and, in the same unit, do what also does.
func update(ctx context.Context, s *store.Store, t *team, i int, also func(ctx context.Context, tx *store.Tx, before, after *team) error) error {
	before, after := *t, *t
	err := s.Update(asActor(ctx, i), func(ctx context.Context, tx *store.Tx) error {
		after = before
		after.Description = fmt.Sprintf("A team as most are, after change %d.", i)
		if err := teams.Update(ctx, tx, &after); err != nil || also == nil {
			return err
		}
		return also(ctx, tx, &before, &after)
	})
	if err == nil {
		*t = after
	}
	return err
}

// event appends the event of an update of a team.
func event(l *audit.Log) func(ctx context.Context, tx *store.Tx, before, after *team) error {
	return func(ctx context.Context, tx *store.Tx, before, after *team) error {
		_, err := l.Append(ctx, tx, after.OrgID, "teams.update", audit.Updated(before, after).In(after.ID))
		return err
	}
}

// auditTeams inserts n records of a set, each of the organization that of says.
func auditTeams(ctx context.Context, s *store.Store, set, n int, of func(i int) string) ([]team, error) {
	list := make([]team, n)
	err := s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		for i := range list {
			list[i] = newTeam(set*n + i)
			list[i].OrgID = of(i)
			if err := teams.Insert(ctx, tx, &list[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}

// benchAppendSQLite updates records by turns with and without the event of that, in the log that was loaded.
func benchAppendSQLite(ctx context.Context, b *bench, l *loadedLogs) error {
	b.begin("audit: append on SQLite")
	s := l.sqlite.store
	logs := []*audit.Log{nil, l.newLog(s, false), audit.New(s, &audit.Options{NoBackground: true})}
	// Each has organizations of its own: a log whose edges another one moves has to read them again.
	lists := make([][]team, len(logs))
	for j := range lists {
		some := len(childOrgs) / len(lists)
		var err error
		if lists[j], err = auditTeams(ctx, s, j, 10*some, func(i int) string { return childOrgs[j*some+i%some] }); err != nil {
			return err
		}
	}
	defer logs[1].Close()
	const rounds, turns = 9, 100
	all := make([]sample, len(logs))
	added := make([]sample, len(logs))
	for round := range rounds + 1 {
		some := make([]sample, len(logs))
		for i := range turns {
			for j, log := range logs {
				t := &lists[j][among(round*turns+i, 40+j, len(lists[j]))]
				var also func(ctx context.Context, tx *store.Tx, before, after *team) error
				if log != nil {
					also = event(log)
				}
				begin := time.Now()
				if err := update(ctx, s, t, (round*turns+i)*len(logs)+j, also); err != nil {
					return err
				}
				some[j].add(time.Since(begin), 1)
			}
		}
		for j := range logs {
			if round > 0 {
				all[j] = append(all[j], some[j]...)
				added[j] = append(added[j], some[j].median()-some[0].median())
			}
		}
	}
	b.set("audit.append_sqlite_us", added[1], micros)
	b.note("SQLite, an update of a record, us: p50 %.0f, p99 %.0f; with its event p50 %.0f, p99 %.0f; without checkpoints p50 %.0f, which adds %.0f, at best %.0f",
		micros(all[0].median()), micros(all[0].p99()), micros(all[1].median()), micros(all[1].p99()), micros(all[2].median()), micros(added[2].median()), micros(added[2].best()))
	if err := l.pagesOfAppend(ctx, b, lists); err != nil {
		return err
	}
	return l.partsOfAppend(ctx, b, lists[1])
}

// pagesOfAppend counts the pages that go to the write-ahead log, which no load of the machine changes.
func (l *loadedLogs) pagesOfAppend(ctx context.Context, b *bench, lists [][]team) error {
	s := l.sqlite.store
	log := l.newLog(s, true)
	if err := log.Flush(ctx); err != nil {
		return err
	}
	const writes = 100 // less than a thousand pages, from which on SQLite begins the log anew
	var pages [3]float64
	for j, do := range []func() error{
		func() error { return l.updates(ctx, s, nil, lists[0], writes) },
		func() error { return l.updates(ctx, s, log, lists[1], writes) },
		func() error { return log.Flush(ctx) },
	} {
		if _, err := l.sqlite.sql.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			return err
		}
		if err := do(); err != nil {
			return err
		}
		wal, err := os.Stat(l.sqlite.path + "-wal")
		if err != nil {
			return err
		}
		pages[j] = float64(wal.Size()) / (4096 + 24) / writes
	}
	b.note("  pages written by an update: %.1f, with its event %.1f, and to put %d events in order %.1f each", pages[0], pages[1], writes, pages[2])
	return nil
}

func (l *loadedLogs) updates(ctx context.Context, s *store.Store, log *audit.Log, list []team, n int) error {
	for i := range n {
		var also func(ctx context.Context, tx *store.Tx, before, after *team) error
		if log != nil {
			also = event(log)
		}
		if err := update(ctx, s, &list[among(i, 46, len(list))], i, also); err != nil {
			return err
		}
	}
	return nil
}

// partsOfAppend says what of an append takes how long: the calls of the driver are timed.
func (l *loadedLogs) partsOfAppend(ctx context.Context, b *bench, list []team) error {
	r := &recorder{}
	s, err := b.openSQLite(ctx, l.sqlite.path, store.Options{Wrap: func(d store.Driver) store.Driver {
		r.Driver = d
		return r
	}})
	if err != nil {
		return err
	}
	defer s.Close()
	log := audit.New(s, &audit.Options{NoBackground: true})
	const warm, writes = 100, 400
	for i := range warm + writes {
		if i == warm {
			r.took = map[string]sample{}
		}
		if err := update(ctx, s, &list[among(i, 45, len(list))], i, event(log)); err != nil {
			return err
		}
	}
	b.note("  of which, median of those calls and how many there are of 100 updates:")
	names := make([]string, 0, len(r.took))
	for name := range r.took {
		names = append(names, name)
	}
	total := func(name string) float64 { return r.took[name].median() * float64(len(r.took[name])) }
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(total(b), total(a)) })
	for _, name := range names {
		b.note("    %-28s %7.1f us %5.0f", name, micros(r.took[name].median()), float64(len(r.took[name]))*100/writes)
	}
	return nil
}

// A host with many organizations and connections.
const (
	appendOrgs        = 1024 // a multiple of the connections, so that a record is always of the same one
	appendConnections = 16
	appendWrites      = 256  // of a window, a tenth of a second: what disturbs the machine for longer disturbs the next one too
	appendRounds      = 32   // three times as many with -full; those before the first flush do not count
	appendFlushed     = 4    // so many rounds later what was appended is put in order
	appendCompared    = 12   // with -full: in one of so many rounds the other statement is measured too
	orderedWrites     = 2048 // of a window in which somebody puts events in order
)

// benchAppendPostgres updates records of 1,024 organizations over 16 connections, with and without the event of that, by
// turns. What is lost by the statement that goes with COMMIT is measured while nobody puts events in order; and with -full, what
// is lost where somebody does and signs for them, and by a statement of its own.
func benchAppendPostgres(ctx context.Context, b *bench, l *loadedLogs) error {
	if l.postgres == nil {
		return nil
	}
	b.begin("audit: append on PostgreSQL")
	dsn, err := b.server.database(ctx)
	if err != nil {
		return err
	}
	s, err := b.openPostgres(ctx, dsn, appendConnections+2, store.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	still, production := audit.New(s, &audit.Options{NoBackground: true}), l.newLog(s, false)
	defer production.Close()
	rows := newCalls(0, 1)
	type also = func(ctx context.Context, tx *store.Tx, before, after *team) error
	ways := []struct {
		name string
		also func(i int) also
	}{
		{"without events", func(int) also { return nil }},
		{"with events", func(int) also { return event(still) }},
		{"a second statement instead", func(i int) also {
			return func(ctx context.Context, tx *store.Tx, _, _ *team) error {
				row := rows[0]
				row.ID = fmt.Sprintf("use_%026d", i)
				_, err := calls.AppendMany(ctx, tx, []call{row})
				return err
			}
		}},
		{"with events, put in order meanwhile", func(int) also { return event(production) }},
	}
	inOrder := len(ways) - 1
	if !b.full { // what is only compared with takes long
		ways = ways[:2]
	}
	lists := make([][]team, len(ways)) // organizations of its own for each, as on SQLite
	for j := range lists {
		if lists[j], err = auditTeams(ctx, s, j, appendOrgs, func(i int) string { return idOf("org", 10_000+j*appendOrgs+i) }); err != nil {
			return err
		}
	}
	n := 0
	write := func(j int) func(i int) error {
		from := n
		return func(i int) error { return update(ctx, s, &lists[j][(from+i)%appendOrgs], from+i, ways[j].also(from+i)) }
	}
	rates, lost := make([]sample, len(ways)), make([]sample, len(ways))
	count := func(j int, rate, base float64) {
		rates[j], lost[j] = append(rates[j], rate), append(lost[j], 100*(1-rate/base))
	}
	rounds, ordered := appendRounds, 0
	if b.full {
		rounds, ordered = 3*appendRounds, 3
	}
	for round := range appendFlushed + rounds {
		turns := []int{0, 1, 1, 0} // there and back: what changes in the course of a round is the same for each
		if b.full && round%appendCompared == 0 {
			turns = []int{0, 1, 2, 2, 1, 0}
		}
		took := make([]time.Duration, len(ways))
		for _, j := range turns {
			begin := time.Now()
			if err := atOnce(appendConnections, appendWrites, write(j)); err != nil {
				return fmt.Errorf("%s: %w", ways[j].name, err)
			}
			took[j] += time.Since(begin)
			n += 3 * appendWrites // a number is used once: no worker does three times its share
		}
		rate := func(j int) float64 { return 2 * appendWrites / took[j].Seconds() }
		for j := range took {
			if round >= appendFlushed && took[j] > 0 {
				count(j, rate(j), rate(0))
			}
		}
		if round%appendFlushed < appendFlushed-1 {
			continue
		}
		if err := still.Flush(ctx); err != nil {
			return err
		}
		if _, err := db.ExecContext(ctx, "VACUUM audit_pending"); err != nil { // as autovacuum does every minute
			return err
		}
	}
	for range ordered {
		var base float64
		for _, j := range []int{0, inOrder} {
			mark := func() error { return nil }
			if j == inOrder {
				mark = func() error { return production.Flush(ctx) }
			}
			rate, below, err := steady(appendConnections, orderedWrites, 2*orderedWrites, mark, write(j))
			if err != nil {
				return fmt.Errorf("%s: %w", ways[j].name, err)
			}
			n += below
			if j == 0 {
				base = rate
			} else {
				count(j, rate, base)
			}
			if err := mark(); err != nil { // what was written behind the window
				return err
			}
		}
	}
	b.values["audit.append_postgres_pct"] = exactly(lost[1].middle().mean()) // one round is too short to say anything
	b.note("PostgreSQL, updates a second over %d connections, %d organizations, and what is lost of them, the mean of the middle half of the rounds and its ends:",
		appendConnections, appendOrgs)
	for j, way := range ways {
		if len(rates[j]) == 0 {
			continue
		}
		half := lost[j].middle()
		b.note("  %-36s %7.0f %6.1f %% (%.1f to %.1f)", way.name, rates[j].middle().mean(), half.mean(), half[0], half[len(half)-1])
	}
	return nil
}

// steady runs fn by some workers, for ever greater numbers; each number modulo their count is of one worker. It measures how
// many are done a second from the return of one call of mark to that of another: the first call is made when that many are done,
// the second so many later, and the workers do not wait for either. It returns below which number all were.
func steady(workers, first, then int, mark func() error, fn func(i int) error) (rate float64, below int, err error) {
	var wg sync.WaitGroup
	var done atomic.Int64
	var stop atomic.Bool
	errs, ends := make([]error, workers+1), make([]int, workers)
	for w := range workers {
		wg.Go(func() {
			i := w
			for ; errs[w] == nil && !stop.Load(); i += workers {
				errs[w] = fn(i)
				done.Add(1)
			}
			ends[w] = i
			stop.Store(true) // one that fails ends all
		})
	}
	after := func(n int64) (time.Time, int64) {
		for done.Load() < n && !stop.Load() {
			time.Sleep(time.Millisecond)
		}
		if errs[workers] == nil {
			errs[workers] = mark()
		}
		return time.Now(), done.Load()
	}
	begin, from := after(int64(first))
	end, until := after(from + int64(then))
	stop.Store(true)
	wg.Wait()
	return float64(until-from) / end.Sub(begin).Seconds(), slices.Max(ends), errors.Join(errs...)
}

// atOnce runs fn n times by some workers, until all are done: whoever is ready does the next one. Each has its own numbers, those
// that modulo their count are the same, so that fn knows by which one it is called.
func atOnce(workers, n int, fn func(i int) error) error {
	var wg sync.WaitGroup
	var taken atomic.Int64
	errs := make([]error, workers)
	for w := range workers {
		wg.Go(func() {
			for i := w; errs[w] == nil && taken.Add(1) <= int64(n); i += workers {
				errs[w] = fn(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
