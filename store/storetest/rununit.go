package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/orgkit/orgkit/store"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

func rollback(t *testing.T, s *store.Store) {
	boom := errors.New("boom")
	w := &widget{OrgID: "o"}
	err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if err := widgets.Insert(ctx, tx, w); err != nil {
			return err
		}
		return boom
	})
	require.ErrorIs(t, err, boom)
	requireNone(t, s)
}

func requireNone(t *testing.T, s *store.Store) {
	t.Helper()
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		n, err := widgets.Count(ctx, tx)
		require.Zero(t, n)
		return err
	})
}

func rollbackOnPanic(t *testing.T, s *store.Store) {
	require.Panics(t, func() {
		s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			widgets.Insert(ctx, tx, &widget{OrgID: "o"})
			panic("boom")
		})
	})
	requireNone(t, s)
	insert(t, s, &widget{OrgID: "o"}) // nobody holds a lock
}

func doomed(t *testing.T, s *store.Store) {
	boom := errors.New("boom")
	err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if err := widgets.Insert(ctx, tx, &widget{OrgID: "o"}); err != nil {
			return err
		}
		inner := s.Update(ctx, func(ctx context.Context, tx *store.Tx) error { return boom })
		require.ErrorIs(t, inner, boom)
		_, err := widgets.Count(ctx, tx)
		require.ErrorIs(t, err, boom)
		return nil
	})
	require.ErrorIs(t, err, boom)
	requireNone(t, s)
}

func doomedByWrite(t *testing.T, s *store.Store) {
	err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if err := widgets.Insert(ctx, tx, &widget{OrgID: "o", Name: "n"}); err != nil {
			return err
		}
		widgets.Insert(ctx, tx, &widget{OrgID: "o", Name: "n"})
		return nil
	})
	require.ErrorIs(t, err, store.ErrExists)
	requireNone(t, s)
}

// rowsAlone is the case of bulk calls: a row that fails takes nothing with it when each has a unit of its own,
// and everything when an outer unit holds them together.
func rowsAlone(t *testing.T, s *store.Store) {
	rows := func(ctx context.Context, org string) (failed int) {
		for _, name := range []string{"a", "b", "a", "c"} {
			err := s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
				return widgets.Insert(ctx, tx, &widget{OrgID: org, Name: name})
			})
			if err != nil {
				failed++
			}
		}
		return failed
	}
	count := func(org string) (n int) {
		view(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
			n, err = widgets.Count(ctx, tx, store.Eq("org_id", org))
			return err
		})
		return n
	}
	require.Equal(t, 1, rows(t.Context(), "apart"))
	require.Equal(t, 3, count("apart"))

	failed := 0
	err := s.Update(t.Context(), func(ctx context.Context, _ *store.Tx) error {
		failed = rows(ctx, "together")
		return nil
	})
	require.ErrorIs(t, err, store.ErrExists)
	require.Equal(t, 2, failed, "what follows the failure is refused")
	require.Zero(t, count("together"))
}

func viewInUpdate(t *testing.T, s *store.Store) {
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		w := &widget{OrgID: "o"}
		if err := widgets.Insert(ctx, tx, w); err != nil {
			return err
		}
		require.True(t, s.InUnit(ctx))
		return s.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			_, err := widgets.Get(ctx, tx, w.ID)
			return err
		})
	})
}

func updateInView(t *testing.T, s *store.Store) {
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		err := s.Update(ctx, func(context.Context, *store.Tx) error { return nil })
		require.ErrorIs(t, err, store.ErrReadOnly)
		require.ErrorIs(t, widgets.Insert(ctx, tx, &widget{}), store.ErrReadOnly)
		_, err = widgets.Lock(ctx, tx, "wid_1")
		require.ErrorIs(t, err, store.ErrReadOnly)
		return nil
	})
}

func useAfterEnd(t *testing.T, s *store.Store) {
	var leaked *store.Tx
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		leaked = tx
		return nil
	})
	require.ErrorIs(t, widgets.Insert(t.Context(), leaked, &widget{}), store.ErrTxDone)
}

func afterCommit(t *testing.T, s *store.Store) {
	ran := 0
	note := func(ctx context.Context, tx *store.Tx) { tx.AfterCommit(func() { ran++ }) }
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		note(ctx, tx)
		require.Zero(t, ran)
		return s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			note(ctx, tx)
			return nil
		})
	})
	require.Equal(t, 2, ran)
	s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		note(ctx, tx)
		return errors.New("boom")
	})
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		note(ctx, tx)
		return nil
	})
	require.Equal(t, 2, ran)
}

func retries(t *testing.T, s *store.Store) {
	tries := 0
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		if err := widgets.Insert(ctx, tx, &widget{OrgID: "o", Name: "n"}); err != nil {
			return err
		}
		if tries++; tries < 3 {
			return fmt.Errorf("again: %w", store.ErrTransient)
		}
		return nil
	})
	require.Equal(t, 3, tries)
}

func lockedAdditions(t *testing.T, s *store.Store) {
	add(t, s, func(ctx context.Context, tx *store.Tx, id string) error {
		w, err := widgets.Lock(ctx, tx, id)
		if err != nil {
			return err
		}
		w.Size++
		return widgets.Update(ctx, tx, &w)
	})
}

func swappedAdditions(t *testing.T, s *store.Store) {
	add(t, s, func(ctx context.Context, tx *store.Tx, id string) error {
		w, err := widgets.Get(ctx, tx, id)
		if err != nil {
			return err
		}
		w.Size++
		return widgets.Update(ctx, tx, &w)
	})
}

func putMany(t *testing.T, s *store.Store) {
	made := []*widget{{OrgID: "o", Name: "a"}, {OrgID: "o", Name: "b"}}
	insert(t, s, made...)
	ids := []string{made[1].ID, "none", made[0].ID, made[1].ID}
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		got, err := widgets.LockMany(ctx, tx, ids)
		require.NoError(t, err)
		require.Len(t, got, 2, "each once")
		require.Equal(t, []string{"a", "b"}, []string{got[0].Name, got[1].Name}, "in the order of ids")
		price := decimal.RequireFromString("12345678901234567.123456789012")
		got[0].Price, got[1].On = price, true
		fresh := &widget{Meta: store.Meta{ID: "wid_new"}, OrgID: "o", Name: "c", Tags: []string{"x"}}
		require.NoError(t, widgets.Put(ctx, tx, []*widget{&got[0], fresh, &got[1]}))
		require.Equal(t, []int64{2, 1, 2}, []int64{got[0].Version, fresh.Version, got[1].Version})
		require.NoError(t, widgets.Put(ctx, tx, nil))
		none, err := widgets.LockMany(ctx, tx, nil)
		require.Empty(t, none)
		return err
	})
	require.Equal(t, "12345678901234567.123456789012", get(t, s, made[0].ID).Price.String())
	require.True(t, get(t, s, made[1].ID).On)
	require.Equal(t, []string{"x"}, get(t, s, "wid_new").Tags)
	require.Equal(t, get(t, s, made[0].ID).CreatedAt, made[0].CreatedAt)

	for name, recs := range map[string][]*widget{
		"older":   {{Meta: store.Meta{ID: made[1].ID, Version: 2}, OrgID: "o", Name: "b2"}, made[0]},
		"not new": {{Meta: store.Meta{ID: made[1].ID, Version: 2}, OrgID: "o", Name: "b2"}, {Meta: store.Meta{ID: "wid_new"}, OrgID: "o", Name: "c2"}},
	} {
		before := *recs[1]
		require.ErrorIs(t, s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return widgets.Put(ctx, tx, recs)
		}), store.ErrConflict, name)
		require.Equal(t, before.Meta, recs[1].Meta, "it carries no version that is not there")
	}
	require.Equal(t, "b", get(t, s, made[1].ID).Name, "all or none")
}

func deleteMany(t *testing.T, s *store.Store) {
	made := []*widget{{OrgID: "o", Name: "a"}, {OrgID: "o", Name: "b"}, {OrgID: "o", Name: "c"}}
	insert(t, s, made...)
	remove := func(ids ...string) error {
		return s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return widgets.DeleteMany(ctx, tx, ids) })
	}
	require.ErrorIs(t, remove(made[0].ID, "none"), store.ErrNotFound)
	require.Equal(t, "a", get(t, s, made[0].ID).Name, "all or none")
	require.NoError(t, remove(made[2].ID, made[0].ID))
	require.NoError(t, remove())
	require.ErrorIs(t, remove(made[0].ID), store.ErrNotFound)
	require.ErrorIs(t, remove(made[2].ID), store.ErrNotFound)
	require.Equal(t, "b", get(t, s, made[1].ID).Name)
}

func putRace(t *testing.T, s *store.Store) {
	made := []*widget{{OrgID: "o", Name: "a"}, {OrgID: "o", Name: "b"}, {OrgID: "o", Name: "c"}}
	insert(t, s, made...)
	var wg sync.WaitGroup
	errs := make(chan error, 50)
	for i := range 50 {
		wg.Go(func() {
			errs <- s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				got, err := widgets.LockMany(ctx, tx, []string{made[i%3].ID, made[(i+1)%3].ID, made[(i+2)%3].ID})
				if err != nil {
					return err
				}
				var recs []*widget
				for i := range got {
					got[i].Size++
					recs = append(recs, &got[i])
				}
				return widgets.Put(ctx, tx, recs)
			})
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	for _, w := range made {
		require.EqualValues(t, 50, get(t, s, w.ID).Size)
	}
}

// add runs fifty concurrent units that add one; who meets a conflict tries again.
func add(t *testing.T, s *store.Store, one func(ctx context.Context, tx *store.Tx, id string) error) {
	w := &widget{OrgID: "o"}
	insert(t, s, w)
	var wg sync.WaitGroup
	errs := make(chan error, 50)
	for range 50 {
		wg.Go(func() {
			for {
				err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return one(ctx, tx, w.ID) })
				if !errors.Is(err, store.ErrConflict) {
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
	require.EqualValues(t, 50, get(t, s, w.ID).Size)
}

func insertRace(t *testing.T, s *store.Store) {
	var wg sync.WaitGroup
	errs := make(chan error, 20)
	for range 20 {
		wg.Go(func() {
			errs <- s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				return widgets.Insert(ctx, tx, &widget{OrgID: "o", Name: "n"})
			})
		})
	}
	wg.Wait()
	close(errs)
	won := 0
	for err := range errs {
		if err == nil {
			won++
		} else {
			require.ErrorIs(t, err, store.ErrExists)
		}
	}
	require.Equal(t, 1, won)
}

func cancelled(t *testing.T, s *store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		cancel()
		return widgets.Insert(ctx, tx, &widget{OrgID: "o"})
	})
	require.Error(t, err)
	require.Error(t, s.View(ctx, func(context.Context, *store.Tx) error { return nil }))
	requireNone(t, s)
}

func closed(t *testing.T, s *store.Store) {
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.View(t.Context(), func(context.Context, *store.Tx) error { return nil }), store.ErrClosed)
	require.ErrorIs(t, s.Update(t.Context(), func(context.Context, *store.Tx) error { return nil }), store.ErrClosed)
}

func traces(t *testing.T, s *store.Store) {
	old := &widget{OrgID: "old", Name: "w"}
	insert(t, s, old)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		var seen []string
		expect := func(orgs ...string) {
			t.Helper()
			seen = append(seen, orgs...)
			var got []string
			for _, trace := range tx.Traces() {
				require.Equal(t, widgets.Kind(), trace.Kind)
				got = append(got, trace.Value)
			}
			require.Equal(t, seen, got)
		}
		require.NoError(t, s.Update(ctx, func(ctx context.Context, tx *store.Tx) error { // joined
			return widgets.Insert(ctx, tx, &widget{OrgID: "new", Name: "a"})
		}))
		expect("new")
		fresh, err := widgets.InsertNew(ctx, tx, &widget{OrgID: "old", Name: "w"})
		require.NoError(t, err)
		require.False(t, fresh)
		expect() // nothing was written
		w, err := widgets.Get(ctx, tx, old.ID)
		require.NoError(t, err)
		w.Size++
		require.NoError(t, widgets.Update(ctx, tx, &w))
		expect("old")
		require.NoError(t, widgets.Delete(ctx, tx, old.ID))
		expect("old")
		return nil
	})
	view(t, s, func(_ context.Context, tx *store.Tx) error {
		require.Empty(t, tx.Traces())
		return nil
	})
}
