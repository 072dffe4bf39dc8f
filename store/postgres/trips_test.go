package postgres_test

import (
	"context"
	"io/fs"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/storetest"
)

type entry struct {
	N    int64
	Text string
}

type mark struct{ N int64 }

var (
	entries = store.DefineLog[entry]("trips_entries", []string{"n"})
	marks   = store.DefineLog[mark]("trips_marks", []string{"n"})
)

// counted forwards connections to a server and counts how often a client sends something that it waits for the answer to:
// all but simple queries, of which ROLLBACK is one.
func counted(t *testing.T, network, to string) (address string, sent *atomic.Int64) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	sent = &atomic.Int64{}
	pass := func(from, to net.Conn, n *atomic.Int64) {
		defer to.Close()
		buf := make([]byte, 1<<16)
		for {
			read, err := from.Read(buf)
			if read > 0 {
				if buf[0] != 'Q' {
					n.Add(1)
				}
				if _, err := to.Write(buf[:read]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial(network, to)
			if err != nil {
				in.Close()
				continue
			}
			go pass(in, out, sent)
			go pass(out, in, new(atomic.Int64))
		}
	}()
	return l.Addr().String(), sent
}

// A view sends what it reads at once, BEGIN with it and ROLLBACK without waiting; so its round trips are as many as its
// reads.
func TestRoundTripsOfAView(t *testing.T) {
	dsn := storetest.Postgres(t)
	config, err := pgconn.ParseConfig(dsn)
	require.NoError(t, err)
	network, to := pgconn.NetworkAddress(config.Host, config.Port)
	address, sent := counted(t, network, to)
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	u.Host, u.RawQuery = address, "sslmode=disable"
	schema := fstest.MapFS{"0001_trips.sql": {Data: []byte(`CREATE TABLE trips_entries (n BIGINT NOT NULL PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE trips_marks (n BIGINT NOT NULL PRIMARY KEY)`)}}
	s, err := postgres.Open(t.Context(), u.String(), &postgres.Options{Connections: 1, NoFeed: true, Migrations: map[string]fs.FS{"trips": schema}})
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return entries.Append(ctx, tx, entry{1, "a"})
	}))
	var of [][]entry
	var no [][]mark
	view := func() error {
		return s.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return tx.ReadAll(ctx, entries.Read(&of, store.Range{}), marks.Read(&no, store.Range{}))
		})
	}
	require.NoError(t, view()) // which prepares the statements
	for range 3 {
		before := sent.Load()
		require.NoError(t, view())
		require.Equal(t, [][]entry{{{1, "a"}}}, of)
		require.Empty(t, no[0])
		require.NoError(t, s.View(t.Context(), func(context.Context, *store.Tx) error { return nil }))
		require.Equal(t, before+1, sent.Load())
	}

	// What was not committed meanwhile stays unseen, though the view began late.
	require.NoError(t, s.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		rows, err := entries.Scan(ctx, tx, store.Range{})
		require.NoError(t, err)
		require.Len(t, rows, 1)
		other, err := postgres.Open(t.Context(), u.String(), &postgres.Options{NoFeed: true, CheckOnly: true})
		require.NoError(t, err)
		defer other.Close()
		require.NoError(t, other.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return entries.Append(ctx, tx, entry{2, "b"})
		}))
		rows, err = entries.Scan(ctx, tx, store.Range{})
		require.Len(t, rows, 1)
		return err
	}))

	// A unit that writes comes behind the views on the same connection.
	require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return entries.Append(ctx, tx, entry{3, "c"})
	}))
	require.NoError(t, view())
	require.Len(t, of[0], 3)
}

// A view whose read fails, or whose context has ended, leaves a connection that works.
func TestViewThatFailsLeavesAConnection(t *testing.T) {
	s, err := postgres.Open(t.Context(), storetest.Postgres(t), &postgres.Options{Connections: 1, NoFeed: true})
	require.NoError(t, err)
	defer s.Close()
	for range 3 {
		require.Error(t, s.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			_, err := entries.Scan(ctx, tx, store.Range{}) // there is no such table
			return err
		}))
		ctx, cancel := context.WithCancel(t.Context())
		require.ErrorIs(t, s.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			cancel()
			_, err := entries.Scan(ctx, tx, store.Range{})
			return err
		}), context.Canceled)
		require.NoError(t, s.View(t.Context(), func(ctx context.Context, tx *store.Tx) error { return nil }))
	}
}
