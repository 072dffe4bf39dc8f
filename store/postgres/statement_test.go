package postgres_test

import (
	"context"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/storetest"
)

// Of statements that are more than a connection keeps none goes that is sent with the one for which there is no room.
func TestNoStatementGoesThatIsNeeded(t *testing.T) {
	for _, room := range []int{1, 2, 3, 5} {
		postgres.KeepPrepared(t, room)
		schema := fstest.MapFS{"0001_some.sql": {Data: []byte(`CREATE TABLE trips_entries (n BIGINT NOT NULL PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE trips_marks (n BIGINT NOT NULL PRIMARY KEY)`)}}
		s, err := postgres.Open(t.Context(), storetest.Postgres(t), &postgres.Options{Connections: 1, NoFeed: true, Migrations: map[string]fs.FS{"some": schema}})
		require.NoError(t, err)
		defer s.Close()
		var want int64
		for range 20 {
			require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				want++
				if err := marks.Queue(ctx, tx, mark{want}); err != nil {
					return err
				}
				return entries.Queue(ctx, tx, entry{want, "one"}, entry{-want, "of two"})
			}))
			require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				want++
				if err := marks.Queue(ctx, tx, mark{want}, mark{-want}); err != nil {
					return err
				}
				return entries.Queue(ctx, tx, entry{want, "alone"})
			}))
			var of, last [][]entry
			var no [][]mark
			require.NoError(t, s.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				return tx.ReadAll(ctx, entries.Read(&of, store.Range{Limit: 1}), marks.Read(&no, store.Range{From: int64(1)}), entries.Read(&last, store.Range{Desc: true, Limit: 1}))
			}))
			require.Equal(t, 1-want, of[0][0].N)
			require.Equal(t, want, last[0][0].N)
			require.Len(t, no[0], int(want))
		}
	}
}
