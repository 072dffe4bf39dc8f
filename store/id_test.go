package store_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
)

func TestIDsSortInTheOrderInWhichTheyAreMade(t *testing.T) {
	now := time.Date(2024, 3, 5, 12, 0, 0, 0, time.UTC)
	s := memory.New(&memory.Options{Store: store.Options{Now: func() time.Time { return now }}})
	make := func() (id string) {
		require.NoError(t, s.View(t.Context(), func(_ context.Context, tx *store.Tx) error {
			id = tx.NewID("x")
			return nil
		}))
		return id
	}
	var ids []string
	for _, step := range []time.Duration{0, 0, 0, time.Microsecond, time.Millisecond, -time.Hour, 0, 2 * time.Hour} {
		now = now.Add(step)
		ids = append(ids, make(), make())
	}
	require.True(t, slices.IsSorted(ids), ids)
	require.Len(t, slices.Compact(ids), 16)
	require.Regexp(t, "^x_[0-9a-hjkmnp-tv-z]{26}$", ids[0])
}

func TestIDsNeverRepeat(t *testing.T) {
	s := memory.New(nil)
	var (
		mu   sync.Mutex
		seen = map[string]bool{}
		wg   sync.WaitGroup
	)
	for range 8 {
		wg.Go(func() {
			_ = s.View(context.Background(), func(_ context.Context, tx *store.Tx) error {
				for range 2000 {
					id := tx.NewID("x")
					mu.Lock()
					seen[id] = true
					mu.Unlock()
				}
				return nil
			})
		})
	}
	wg.Wait()
	require.Len(t, seen, 16_000)
}

func TestIDsAreTakenApart(t *testing.T) {
	s := memory.New(nil)
	for range 1000 {
		id := s.NewID("api_key")
		prefix, b, ok := store.ParseID(id)
		require.True(t, ok)
		require.Equal(t, "api_key_", prefix)
		require.Equal(t, id, store.FormatID(prefix, b))
	}
	for _, odd := range []string{"", "x", "x_81kz2eq400mw5kjxyjejm33exa", "x_01kz2eq400mw5kjxyjejm33exA", "x_01kz2eq400mw5kjxyjejm33exl", "x_01kz2eq400mw5kjxyjejm33ex\xff"} {
		_, _, ok := store.ParseID(odd)
		require.False(t, ok, odd)
	}
}
