package orgs_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestNumbersAreGivenOnce(t *testing.T) { // F380
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		give := func(noun string, ids ...string) (got map[string]int64) {
			require.NoError(t, w.Store().Update(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
				got, err = orgs.NumbersOf(ctx, tx, noun, ids...)
				return err
			}))
			return got
		}
		require.Equal(t, map[string]int64{"org_b": 1, "org_a": 2}, give("org", "org_b", "org_a", "org_b"))
		require.Equal(t, map[string]int64{"org_a": 2, "org_c": 3}, give("org", "org_c", "org_a"))
		require.Equal(t, map[string]int64{"usr_a": 1}, give("usr", "usr_a"))

		var all sync.WaitGroup
		for i := range 8 { // who names the same records at one time gets the same numbers
			all.Go(func() {
				err := w.Store().Update(context.Background(), func(ctx context.Context, tx *store.Tx) error {
					_, err := orgs.NumbersOf(ctx, tx, "org", "org_x", fmt.Sprint("org_", i))
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.NoError(t, w.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			ids := []string{"org_a", "org_b", "org_c", "org_x", "org_0", "org_1", "org_2", "org_3", "org_4", "org_5", "org_6", "org_7", "org_unknown"}
			got, err := orgs.NumbersOf(ctx, tx, "org", ids...)
			require.NoError(t, err)
			require.Equal(t, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, slices.Sorted(maps.Values(got)), "there is no gap, and reading gives none")
			id, err := orgs.Numbered(ctx, tx, "org", 3)
			require.NoError(t, err)
			require.Equal(t, "org_c", id)
			for noun, n := range map[string]int64{"org": 13, "usr": 2, "key": 1} {
				_, err = orgs.Numbered(ctx, tx, noun, n)
				require.ErrorIs(t, err, store.ErrNotFound)
			}
			return nil
		}))
	})
}
