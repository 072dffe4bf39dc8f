package postgres_test

import (
	"context"
	"database/sql"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/storetest"
)

type piece struct {
	N    int64
	On   bool
	Text string
	Raw  []byte
}

var pieces = store.DefineLog[piece]("commit_pieces", []string{"n"})

// openPieces opens a store of one connection, and its database.
func openPieces(t *testing.T) (*store.Store, *sql.DB) {
	dsn := storetest.Postgres(t)
	schema := fstest.MapFS{"0001_pieces.sql": {Data: []byte(`CREATE TABLE commit_pieces (n BIGINT NOT NULL PRIMARY KEY, "on" BOOLEAN NOT NULL, text TEXT NOT NULL, raw BYTEA NOT NULL)`)}}
	s, err := postgres.Open(t.Context(), dsn, &postgres.Options{Connections: 1, NoFeed: true, Migrations: map[string]fs.FS{"pieces": schema}})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	db, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	return s, db
}

func queued(ctx context.Context, s *store.Store, rows ...piece) error {
	return s.Update(ctx, func(ctx context.Context, tx *store.Tx) error { return pieces.Queue(ctx, tx, rows...) })
}

func kept(t *testing.T, s *store.Store) (rows []piece) {
	require.NoError(t, s.View(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
		rows, err = pieces.Scan(ctx, tx, store.Range{})
		return err
	}))
	return rows
}

// One row goes with the commit in another way than several.
func TestQueuedRowsAreKeptAsTheyAre(t *testing.T) {
	s, _ := openPieces(t)
	all := []piece{{-1 << 63, false, "", nil}, {-1, true, "ü\t\\x", []byte{0, 255}}, {0, true, `'"`, []byte("a")}, {1<<63 - 1, false, "last", nil}}
	require.NoError(t, queued(t.Context(), s, all[0]))
	require.NoError(t, queued(t.Context(), s, all[1:3]...))
	require.NoError(t, queued(t.Context(), s, all[3]))
	require.Equal(t, all, kept(t, s))

	var there *store.UniqueError
	require.ErrorAs(t, queued(t.Context(), s, piece{N: 0}), &there)
	require.ErrorAs(t, queued(t.Context(), s, piece{N: 5}, piece{N: 0}), &there)
	require.NoError(t, queued(t.Context(), s, piece{N: 6, Raw: []byte{}})) // on the same connection
	require.Len(t, kept(t, s), 5)
}

// A commit that waits for another one is given up with its context: the server stops, and nothing of it is kept.
func TestACommitThatIsGivenUp(t *testing.T) {
	s, db := openPieces(t)
	require.NoError(t, queued(t.Context(), s, piece{N: 1})) // which prepares the statements
	other, err := db.Begin()
	require.NoError(t, err)
	_, err = other.Exec(`INSERT INTO commit_pieces VALUES (2, false, '', '')`)
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	require.ErrorIs(t, queued(ctx, s, piece{N: 2}), context.DeadlineExceeded)
	require.Less(t, time.Since(begin), 5*time.Second)
	require.Eventually(t, func() bool { // the server has stopped
		var waits int
		err := db.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waits)
		return err == nil && waits == 0
	}, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, other.Rollback())
	require.NoError(t, queued(t.Context(), s, piece{N: 3}))
	require.Equal(t, []piece{{N: 1}, {N: 3}}, kept(t, s))

	ended, end := context.WithCancel(t.Context())
	end()
	require.ErrorIs(t, queued(ended, s, piece{N: 4}), context.Canceled)
}

// Of a server that ends a session in the middle of a commit it is known that it cannot be reached, and the next unit has
// another session.
func TestACommitWhoseSessionEnds(t *testing.T) {
	s, db := openPieces(t)
	require.NoError(t, queued(t.Context(), s, piece{N: 1}))
	other, err := db.Begin()
	require.NoError(t, err)
	_, err = other.Exec(`INSERT INTO commit_pieces VALUES (2, false, '', '')`)
	require.NoError(t, err)
	failed := make(chan error)
	go func() { failed <- queued(t.Context(), s, piece{N: 2}) }()
	require.Eventually(t, func() bool {
		var ended int
		err := db.QueryRow(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&ended)
		return err == nil && ended == 1
	}, 10*time.Second, 10*time.Millisecond)
	require.ErrorIs(t, <-failed, store.ErrUnreachable)
	require.NoError(t, other.Rollback())
	require.NoError(t, queued(t.Context(), s, piece{N: 3}))
	require.Len(t, kept(t, s), 2)
}
