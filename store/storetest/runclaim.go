package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
)

func claim(t *testing.T, s *store.Store, limit int) (rows []tick) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
		rows, err = ticks.Claim(ctx, tx, store.Range{Equal: []any{"o"}, Limit: limit})
		return err
	})
	return rows
}

func logClaim(t *testing.T, s *store.Store) {
	for i := range 5 {
		appendTicks(t, s, tick{OrgID: "o", Seq: int64(5 - i), At: noon})
	}
	boom := errors.New("boom")
	err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		rows, err := ticks.Claim(ctx, tx, store.Range{Equal: []any{"o"}, Limit: 3})
		require.Equal(t, []int64{1, 2, 3}, seqs(rows))
		return errors.Join(err, boom)
	})
	require.ErrorIs(t, err, boom)
	require.Equal(t, []int64{1, 2}, seqs(claim(t, s, 2)), "a failed unit gave its rows back")
	require.Equal(t, []int64{3, 4, 5}, seqs(claim(t, s, 0)))
	require.Empty(t, claim(t, s, 0))
}

func logClaimRace(t *testing.T, s *store.Store) {
	for i := range 100 {
		appendTicks(t, s, tick{OrgID: "o", Seq: int64(i), At: noon})
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[int64]int{}
	errs := make(chan error, 10)
	for range 10 {
		wg.Go(func() {
			for {
				var rows []tick
				err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
					rows, err = ticks.Claim(ctx, tx, store.Range{Equal: []any{"o"}, Limit: 7})
					return err
				})
				if err != nil || len(rows) == 0 {
					errs <- err
					return
				}
				mu.Lock()
				for _, r := range rows {
					seen[r.Seq]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.Len(t, seen, 100)
	for seq, n := range seen {
		require.Equal(t, 1, n, seq)
	}
}
