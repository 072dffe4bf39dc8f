package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
)

func scanParcels(t *testing.T, s *store.Store) (rows []parcel) {
	t.Helper()
	view(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
		rows, err = parcels.Scan(ctx, tx, store.Range{Limit: store.MaxAppend})
		return err
	})
	return rows
}

func contents(rows []parcel) []string {
	out := []string{}
	for _, r := range rows {
		out = append(out, string(r.Raw))
	}
	return out
}

func logSerial(t *testing.T, s *store.Store) {
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		fresh, err := parcels.AppendMany(ctx, tx, []parcel{{N: 7, OrgID: "b", Raw: []byte("one")}, {N: 7, OrgID: "a", Raw: []byte("two")}})
		require.Equal(t, []bool{true, true}, fresh)
		return err
	})
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		return parcels.Append(ctx, tx, parcel{OrgID: "a", Raw: []byte("three")})
	})
	rows := scanParcels(t, s)
	require.Equal(t, []string{"one", "two", "three"}, contents(rows))
	require.Equal(t, []string{"b", "a", "a"}, []string{rows[0].OrgID, rows[1].OrgID, rows[2].OrgID})
	require.Less(t, rows[0].N, rows[1].N)
	require.Less(t, rows[1].N, rows[2].N)

	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		taken, err := parcels.Claim(ctx, tx, store.Range{Below: rows[2].N})
		require.Equal(t, []string{"one", "two"}, contents(taken))
		return err
	})
	require.Equal(t, []string{"three"}, contents(scanParcels(t, s)))
	var many []parcel
	for i := range 1000 {
		many = append(many, parcel{Raw: fmt.Append(nil, i)})
	}
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		_, err := parcels.AppendMany(ctx, tx, many)
		return err
	})
	for i, r := range scanParcels(t, s)[1:] {
		require.Equal(t, fmt.Sprint(i), string(r.Raw))
	}
}

func logQueue(t *testing.T, s *store.Store) {
	boom := errors.New("boom")
	for i, fault := range []error{nil, boom, nil} {
		err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			if err := widgets.Insert(ctx, tx, &widget{Name: fmt.Sprint(i)}); err != nil {
				return err
			}
			err := errors.Join(parcels.Queue(ctx, tx, parcel{OrgID: "o", Raw: fmt.Append(nil, i, "a")}),
				parcels.Queue(ctx, tx, parcel{OrgID: "o", Raw: fmt.Append(nil, i, "b")}),
				ticks.Queue(ctx, tx, tick{OrgID: "o", Seq: int64(i), Kind: fmt.Sprint("k", i), At: noon}))
			return errors.Join(err, fault)
		})
		require.ErrorIs(t, err, fault)
	}
	require.Equal(t, []string{"0a", "0b", "2a", "2b"}, contents(scanParcels(t, s)))
	rows := scanTicks(t, s, store.Range{Equal: []any{"o"}})
	require.Equal(t, []int64{0, 2}, seqs(rows))
	require.Equal(t, "k2", rows[1].Kind)

	// A key that is there fails the unit, all of it, and the store goes on.
	err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if err := widgets.Insert(ctx, tx, &widget{Name: "lost"}); err != nil {
			return err
		}
		if err := parcels.Queue(ctx, tx, parcel{OrgID: "o", Raw: []byte("lost")}); err != nil {
			return err
		}
		return ticks.Queue(ctx, tx, tick{OrgID: "o", Seq: 2, Kind: "lost", At: noon})
	})
	var u *store.UniqueError
	require.ErrorAs(t, err, &u)
	require.Equal(t, "storetest_ticks", u.Kind)
	require.Equal(t, []string{"org_id", "seq"}, u.Columns)
	require.Len(t, scanParcels(t, s), 4)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		return widgets.Insert(ctx, tx, &widget{Name: "lost"}) // nothing was kept
	})

	require.ErrorIs(t, s.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return parcels.Queue(ctx, tx, parcel{})
	}), store.ErrReadOnly)
}

// logQueueOrder has units that wait for each other's lock, whichever began first: their rows are in the order
// in which they had it.
func logQueueOrder(t *testing.T, s *store.Store) {
	var w widget
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		w = widget{Name: "counter"}
		return widgets.Insert(ctx, tx, &w)
	})
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for range 8 {
		wg.Go(func() {
			for range 10 {
				err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
					now, err := widgets.Lock(ctx, tx, w.ID)
					if err != nil {
						return err
					}
					now.Size++
					return errors.Join(parcels.Queue(ctx, tx, parcel{Raw: fmt.Append(nil, now.Size)}), widgets.Update(ctx, tx, &now))
				})
				if err != nil {
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
	for i, r := range scanParcels(t, s) {
		require.Equal(t, fmt.Sprint(i+1), string(r.Raw))
	}
}
