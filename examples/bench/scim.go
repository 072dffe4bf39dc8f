package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/sqlite"
)

var scimBars = []bar{
	{name: "scim.username_eq_p99_ms", what: "both: userName eq of somebody and of nobody, p99 of the slower", limit: 5},
	{name: "scim.patch_member_ms", what: "both: one member added to or removed from the group of all, p50 of the slowest", limit: 10},
	{name: "scim.page100_ms", what: "both: a page of 100 users, by index and by cursor, p50 of the slowest", limit: 20},
	{name: "scim.writes_memory_s", what: "memory: users made and changed, members added and removed, a second", limit: 1000, least: true},
	{name: "scim.writes_postgres_s", what: "PostgreSQL: the same, 16 connections", limit: 200, least: true},
	{name: "scim.bulk10k_s", what: "both: 10,000 users by requests of 1,000, the slower", limit: 60},
}

const (
	scimUsers     = 5_000   // of the organization, all in one group
	scimUsersFull = 100_000 // with -full
	scimBulks     = 2       // requests of 1,000 users
	scimBulksFull = 10      // with -full
	scimSmall     = 100     // members of the small group
	scimCallers   = 16
)

// scimScale is how much there is.
func (b *bench) scimScale() (users, bulks int) {
	if b.full {
		return scimUsersFull, scimBulksFull
	}
	return scimUsers, scimBulks
}

// benchSCIM measures both databases one after the other, then memory.
func benchSCIM(ctx context.Context, b *bench) error {
	worst := map[string]float64{}
	for _, name := range []string{"sqlite", "postgres", "memory"} {
		s, dsn, err := b.openSCIM(ctx, name)
		if err != nil {
			return err
		}
		if s == nil {
			b.note("no PostgreSQL server is installed and ORGKIT_POSTGRES is not set: its bars were skipped")
			continue
		}
		if err := errors.Join(benchDirectory(ctx, b, name, s, dsn, worst), s.Close()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for name, v := range worst {
		b.values[name] = exactly(v)
	}
	return nil
}

// openSCIM opens a store; dsn is that of PostgreSQL.
func (b *bench) openSCIM(ctx context.Context, name string) (s *store.Store, dsn string, err error) {
	switch name {
	case "memory":
		return memory.New(nil), "", nil
	case "sqlite":
		s, err = sqlite.Open(ctx, filepath.Join(b.dir, "scim.db"), nil)
		return s, "", err
	}
	if dsn, err = b.server.database(ctx); err != nil || dsn == "" {
		return nil, "", err
	}
	s, err = postgres.Open(ctx, dsn, &postgres.Options{Connections: scimCallers})
	return s, dsn, err
}

func benchDirectory(ctx context.Context, b *bench, name string, s *store.Store, dsn string, worst map[string]float64) error {
	users, bulks := b.scimScale()
	b.begin(fmt.Sprintf("%s: a directory of %d users", name, users))
	began := time.Now()
	d, err := newDirectory(ctx, s)
	if err != nil {
		return err
	}
	defer d.m.Close()
	if err := d.load(ctx, users); err != nil {
		return err
	}
	if dsn != "" {
		db, err := sql.Open("pgx", dsn)
		if err == nil {
			err = errors.Join(settle(ctx, db), db.Close())
		}
		if err != nil {
			return err
		}
	}
	b.note("%s: %d users and the group of them loaded in %.0f s", name, users, time.Since(began).Seconds())
	measures := []func(*bench, string, *directory, map[string]float64) error{benchUserName, benchMember, benchPages, benchWrites}
	if name == "memory" {
		measures = measures[3:]
	}
	for _, measure := range measures {
		if err := measure(b, name, d, worst); err != nil {
			return err
		}
	}
	if name == "memory" {
		return nil
	}
	return benchBulk(b, name, d, bulks, worst)
}

// benchUserName looks somebody up by name, and nobody, as providers do before they make a user.
func benchUserName(b *bench, name string, d *directory, worst map[string]float64) error {
	b.begin(name + ": userName eq")
	var known, unknown sample
	for i := range 1100 {
		found, who := 1, nameOf(d.rand.IntN(d.users))
		if i%2 == 0 {
			found, who = 0, idOf("guid", i)
		}
		begin := time.Now()
		list, err := d.list("/Users", url.Values{"filter": {fmt.Sprintf("userName eq %q", who)}})
		took := time.Since(begin)
		if err == nil && list.Total != found {
			err = fmt.Errorf("%d users are called %s", list.Total, who)
		}
		if err != nil {
			return err
		}
		switch {
		case i < 100:
		case found == 0:
			unknown.add(took, 1)
		default:
			known.add(took, 1)
		}
	}
	b.note("%s: userName eq, %.2f ms (p50), %.2f (p99); of nobody %.2f, %.2f", name, millis(known.median()), millis(known.p99()), millis(unknown.median()), millis(unknown.p99()))
	slowest(worst, "scim.username_eq_p99_ms", millis(max(known.p99(), unknown.p99())))
	return nil
}

// benchMember adds a member to the group of all and removes them again, and does the same with a small group.
func benchMember(b *bench, name string, d *directory, worst map[string]float64) error {
	b.begin(name + ": one member")
	measure := func(group string, from int) (add, remove sample, err error) {
		for i := range 110 {
			who := d.ids[from+d.rand.IntN(len(d.ids)-from)]
			begin := time.Now()
			if err := d.member(group, "remove", who); err != nil {
				return nil, nil, err
			}
			removed := time.Now()
			if err := d.member(group, "add", who); err != nil {
				return nil, nil, err
			}
			if i >= 10 {
				add.add(time.Since(removed), 1)
				remove.add(removed.Sub(begin), 1)
			}
		}
		return add, remove, nil
	}
	small, err := d.group("Few", d.ids[len(d.ids)-scimSmall:])
	if err != nil {
		return err
	}
	add, remove, err := measure(d.all, 0)
	if err != nil {
		return err
	}
	smallAdd, smallRemove, err := measure(small, len(d.ids)-scimSmall)
	if err != nil {
		return err
	}
	b.note("%s: a member added to %d: %.2f ms (p50), %.2f (p99), removed %.2f, %.2f; of %d: %.2f, %.2f, removed %.2f, %.2f", name, d.users, millis(add.median()), millis(add.p99()),
		millis(remove.median()), millis(remove.p99()), scimSmall, millis(smallAdd.median()), millis(smallAdd.p99()), millis(smallRemove.median()), millis(smallRemove.p99()))
	slowest(worst, "scim.patch_member_ms", millis(max(add.median(), remove.median())))
	begin := time.Now()
	_, err = d.call(http.MethodGet, "/Groups/"+d.all, url.Values{"excludedAttributes": {"members"}}, nil, http.StatusOK)
	b.note("%s: the group without its members: %.2f ms", name, millis(float64(time.Since(begin))))
	return err
}

// benchPages walks through the users by index and by cursor.
func benchPages(b *bench, name string, d *directory, worst map[string]float64) error {
	b.begin(name + ": pages of 100 users")
	var index, cursor sample
	at := ""
	for i := range min(d.users/100, 110) {
		begin := time.Now()
		list, err := d.list("/Users", url.Values{"count": {"100"}, "startIndex": {strconv.Itoa(1 + 100*i)}})
		if err != nil {
			return err
		}
		took := time.Since(begin)
		begin = time.Now()
		same, err := d.list("/Users", url.Values{"count": {"100"}, "cursor": {at}})
		if err != nil {
			return err
		}
		at = same.NextCursor
		if len(list.Resources) != 100 || len(same.Resources) != 100 || list.Resources[99] != same.Resources[99] || list.Total != len(d.ids) {
			return fmt.Errorf("page %d has %d users by index and %d by cursor, of %d", i, len(list.Resources), len(same.Resources), list.Total)
		}
		if i >= 10 {
			index.add(took, 1)
			cursor.add(time.Since(begin), 1)
		}
	}
	b.note("%s: a page by index %.2f ms (p50), %.2f (p99); by cursor %.2f, %.2f", name, millis(index.median()), millis(index.p99()), millis(cursor.median()), millis(cursor.p99()))
	slowest(worst, "scim.page100_ms", millis(max(index.median(), cursor.median())))
	for what, q := range map[string]url.Values{
		"at any index": {"count": {"100"}, "startIndex": {strconv.Itoa(d.users / 2)}},
		"by no index":  {"count": {"100"}, "filter": {`title co "none"`}},
	} {
		begin := time.Now()
		if _, err := d.list("/Users", q); err != nil {
			return err
		}
		b.note("%s: a page %s: %.0f ms", name, what, millis(float64(time.Since(begin))))
	}
	return nil
}

// benchWrites makes users, renames them, adds them to the group of all and removes them, by many callers at once.
func benchWrites(b *bench, name string, d *directory, _ map[string]float64) error {
	if name == "sqlite" {
		return nil
	}
	b.begin(name + ": writes")
	var wg sync.WaitGroup
	var done atomic.Int64
	var errs [scimCallers]error
	begin := time.Now()
	const most = 3 * time.Second
	for c := range scimCallers {
		wg.Go(func() {
			for i := 0; time.Since(begin) < most && errs[c] == nil; i++ {
				errs[c] = d.cycle(fmt.Sprintf("w%d-%d", c, i), &done)
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	b.values["scim.writes_"+name+"_s"] = exactly(float64(done.Load()) / took.Seconds())
	return nil
}

// benchBulk makes users by requests of 1,000; of fewer than ten requests it is told what ten would take.
func benchBulk(b *bench, name string, d *directory, bulks int, worst map[string]float64) error {
	b.begin(name + ": bulk requests")
	begin := time.Now()
	for i := range bulks {
		if err := d.bulk(i, 1000); err != nil {
			return err
		}
	}
	took := time.Since(begin).Seconds()
	b.note("%s: %d bulk requests of 1,000 users in %.1f s", name, bulks, took)
	slowest(worst, "scim.bulk10k_s", took*scimBulksFull/float64(bulks))
	begin = time.Now()
	if err := d.patch("/Groups/"+d.all, map[string]any{"op": "remove", "path": "members"}, http.StatusNoContent); err != nil {
		return err
	}
	b.note("%s: all %d members of a group removed at once: %.1f s", name, d.users, time.Since(begin).Seconds())
	return nil
}

func slowest(worst map[string]float64, bar string, v float64) { worst[bar] = max(worst[bar], v) }
