//go:build linux

package sqlite_test

import (
	"context"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/sqlite"
)

type block struct {
	N   int64
	Raw []byte
}

var blocks = store.DefineLog[block]("full_blocks", []string{"n"})

// Where the file can grow no more, a change fails as one of a database that is away, what was acknowledged is there, and
// it goes on when there is room again.
func TestAFileThatCannotGrow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "full.db")
	schema := fstest.MapFS{"0001_full.sql": {Data: []byte("CREATE TABLE full_blocks (n INTEGER NOT NULL PRIMARY KEY, raw BLOB NOT NULL)")}}
	s, err := sqlite.Open(t.Context(), path, &sqlite.Options{Migrations: map[string]fs.FS{"full": schema}})
	require.NoError(t, err)
	defer s.Close()
	n := 0
	write := func() error {
		err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return blocks.Append(ctx, tx, block{int64(n), make([]byte, 20_000)})
		})
		if err == nil {
			n++
		}
		return err
	}
	kept := func() (some []block) {
		require.NoError(t, s.View(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
			some, err = blocks.Scan(ctx, tx, store.Range{})
			return err
		}))
		return some
	}
	require.NoError(t, write())

	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var before syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
	wal, err := os.Stat(path + "-wal")
	require.NoError(t, err)
	small := before
	small.Cur = uint64(wal.Size()) + 200_000
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small))
	var failed error
	for range 100 {
		if failed = write(); failed != nil {
			break
		}
	}
	again := write()
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before))
	require.ErrorIs(t, failed, store.ErrUnreachable)
	require.ErrorIs(t, again, store.ErrUnreachable)
	require.NotErrorIs(t, failed, store.ErrTransient)
	require.Greater(t, n, 1)
	require.Len(t, kept(), n)
	require.NoError(t, write())
	require.Len(t, kept(), n)
}
