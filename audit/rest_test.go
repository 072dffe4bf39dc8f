package audit

import (
	"context"
	"database/sql"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/storetest"
)

// However many processes write, all together put events in order as often as one alone, and each event has its place and a
// checkpoint in time.
func TestProcessesPutInOrderByTurns(t *testing.T) {
	const processes, long = 4, 4 * time.Second
	dsn := storetest.Postgres(t)
	secret, _, err := NewKey("gateway.example")
	require.NoError(t, err)
	key, err := note.NewSigner(secret)
	require.NoError(t, err)
	var stores []*store.Store
	var logs []*Log
	for range processes {
		s, err := postgres.Open(t.Context(), dsn, nil)
		require.NoError(t, err)
		t.Cleanup(func() { s.Close() })
		l := New(s, &Options{Signers: []note.Signer{key}, Alarm: func(err error) { t.Error(err) }})
		t.Cleanup(l.Close)
		stores, logs = append(stores, s), append(logs, l)
	}
	ctx := WithActor(t.Context(), System("test"))
	var wg sync.WaitGroup
	written := make([]int64, processes)
	for i, l := range logs {
		wg.Go(func() {
			for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				if err := l.Record(ctx, "org_1", "x.do", Change{Type: "x.done"}); err != nil {
					t.Error(err)
					return
				}
				written[i]++
			}
		})
	}
	wg.Wait()
	total := int64(0)
	for _, n := range written {
		total += n
	}
	require.Eventually(t, func() bool {
		var c checkpoint
		err := stores[0].View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			c, err = lastCheckpoint(ctx, tx, "org_1")
			return err
		})
		return err == nil && c.Size == total
	}, 10*time.Second, 20*time.Millisecond)
	var last sequencer
	require.NoError(t, stores[0].View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		last, err = sequencers.Get(ctx, tx, theSequencer)
		return err
	}))
	turns := last.Version - 1
	require.LessOrEqual(t, turns, int64(long/gathering)+3)
}

// Events that wait are written where others waited before: the file neither grows with what has its place nor is given back, to
// grow again within units.
func TestWaitingEventsUseTheSameSpaceAgain(t *testing.T) {
	dsn := storetest.Postgres(t)
	s, err := postgres.Open(t.Context(), dsn, nil)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	db, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	l := New(s, &Options{NoBackground: true})
	ctx := WithActor(t.Context(), System("test"))
	var sizes []int64
	for range 5 {
		require.NoError(t, s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			for range 500 {
				if _, err := l.Append(ctx, tx, "org_1", "x.do", Change{Type: "x.done"}); err != nil {
					return err
				}
			}
			return nil
		}))
		require.NoError(t, l.Flush(ctx))
		_, err := db.ExecContext(ctx, "VACUUM audit_pending") // as autovacuum does
		require.NoError(t, err)
		var size int64
		require.NoError(t, db.QueryRowContext(ctx, "SELECT pg_relation_size('audit_pending')").Scan(&size))
		require.Positive(t, size)
		sizes = append(sizes, size)
	}
	// Without, it would be five times as large. VACUUM may leave out what somebody looks at just then.
	require.LessOrEqual(t, sizes[4], 3*sizes[0], sizes)
}
