// Package storetest holds drivers to the contract of package store.
//
// [Run] is the conformance suite: every driver passes all of it. [Each] runs a test of a domain on
// every store of this library. [Postgres] finds or starts a server for tests. [Clock] and [IDs]
// make times and ids that a test can name.
package storetest

import (
	"fmt"
	"io/fs"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/sqlite"
)

// Clock is a clock that stands still until it is moved. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock at noon of an ordinary Tuesday, UTC.
func NewClock() *Clock { return &Clock{now: time.Date(2024, 3, 5, 12, 0, 0, 0, time.UTC)} }

// Now is the time of the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Set moves the clock to a time.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// Advance moves the clock on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// IDs returns a maker of counted ids, such as team_000001, for store.Options. It is safe for
// concurrent use.
func IDs() func(prefix string) string {
	var mu sync.Mutex
	last := map[string]int{}
	return func(prefix string) string {
		mu.Lock()
		defer mu.Unlock()
		last[prefix]++
		return fmt.Sprintf("%s_%06d", prefix, last[prefix])
	}
}

// writerTimeout is how long a test waits for the writer lock before it fails and names the holder.
// It is far above what a test under the race detector takes, and far below a test's own time-out.
const writerTimeout = 20 * time.Second

// Each runs a test on the memory store, on one that runs every Update twice, on SQLite and, when there is
// a server, on PostgreSQL. Each store is empty, with a clock of its own.
func Each(t *testing.T, fn func(t *testing.T, s *store.Store, clock *Clock)) {
	t.Helper()
	for _, name := range []string{"memory", "twice", "sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			clock := NewClock()
			fn(t, Open(t, name, store.Options{Now: clock.Now}), clock)
		})
	}
}

// Open opens an empty store of that name: memory, twice (the memory store under [Twice]), sqlite or
// postgres. It has the tables of [Kinds]
// too, and is closed with the test.
func Open(t testing.TB, name string, o store.Options) *store.Store {
	t.Helper()
	var s *store.Store
	var err error
	switch name {
	case "memory":
		s = memory.New(&memory.Options{Store: o, WriterTimeout: writerTimeout})
	case "twice":
		o.Wrap = Twice
		s = memory.New(&memory.Options{Store: o, WriterTimeout: writerTimeout})
	case "sqlite":
		s, err = sqlite.Open(t.Context(), copySQLite(t), &sqlite.Options{Store: o, WriterTimeout: writerTimeout, Migrations: sqliteTables()})
	case "postgres":
		s, err = postgres.Open(t.Context(), copyPostgres(t), &postgres.Options{Store: o, Migrations: postgresTables()})
	default:
		t.Fatalf("no store is named %q", name)
	}
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func schema(text string) fs.FS {
	return fstest.MapFS{"0001_widgets.sql": {Data: []byte(text)}}
}
