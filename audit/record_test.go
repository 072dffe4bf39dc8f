package audit_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestRecordedTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		l := newSigned(t, s)
		const callers, each = 40, 25 / min(fewer, 5)
		var wg sync.WaitGroup
		errs := make(chan error, callers)
		for i := range callers {
			wg.Go(func() {
				ctx := audit.WithActor(t.Context(), audit.Actor{Type: audit.User, ID: fmt.Sprint("usr_", i)})
				for j := range each {
					if err := l.Record(ctx, fmt.Sprint("org_", j%3), "x.read", audit.Change{Type: "x.read"}); err != nil {
						errs <- err
						return
					}
				}
			})
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			require.NoError(t, err)
		}
		total := int64(0)
		for i := range 3 {
			r, err := l.Verify(t.Context(), fmt.Sprint("org_", i), l.verifiers)
			require.NoError(t, err)
			require.Equal(t, audit.Unchecked, r.Verdict, "nothing was signed")
			_, err = l.Checkpoint(t.Context(), fmt.Sprint("org_", i))
			require.NoError(t, err)
			r, err = l.Verify(t.Context(), fmt.Sprint("org_", i), l.verifiers)
			require.NoError(t, err)
			require.Equal(t, audit.Intact, r.Verdict, r)
			total += r.Checked
		}
		require.EqualValues(t, callers*each, total)
		page, err := l.List(t.Context(), "org_0", audit.Filter{Actors: []string{"user:usr_7"}})
		require.NoError(t, err)
		require.NotEmpty(t, page.Items, "each by its own actor")
	})
}

func TestRecordFailsWithItsUnitOrItsCaller(t *testing.T) {
	s := storetest.Open(t, "sqlite", store.Options{})
	l := logs(s)
	ctx := as(t, alice)
	require.Error(t, l.Record(ctx, "org_1", "x.read", audit.Change{Type: "x.read", Data: make(chan int)}))
	boom := fmt.Errorf("boom")
	require.ErrorIs(t, s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		require.NoError(t, l.Record(ctx, "org_1", "x.read", audit.Change{Type: "x.read"}))
		return boom
	}), boom)
	require.Empty(t, types(t, s, "org_1", audit.Filter{}))
	gone, cancel := context.WithCancel(ctx)
	cancel()
	l.Record(gone, "org_1", "x.read", audit.Change{Type: "x.read"}) // which may have been written
	require.NoError(t, l.Record(ctx, "org_1", "x.read", audit.Change{Type: "x.read"}))
	require.NoError(t, s.Close())
	require.Error(t, l.Record(ctx, "org_1", "x.read", audit.Change{Type: "x.read"}))
}
