package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
)

// Run is the conformance suite of drivers: each subtest is a sentence of the contract of package
// store. open returns an empty store with tables for [Kinds], closed with the test.
func Run(t *testing.T, open func(t *testing.T) *store.Store) {
	for name, test := range map[string]func(t *testing.T, s *store.Store){
		"a record comes back as it went in":        roundTrip,
		"the store writes the meta":                writesMeta,
		"nothing is shared with what was given":    sharesNothing,
		"a unique set is unique, and named":        unique,
		"null is not compared":                     nullUnique,
		"InsertNew keeps the first":                insertNew,
		"an update is a compare-and-swap":          compareAndSwap,
		"what is deleted is gone":                  deletes,
		"conditions, order and limit":              queries,
		"pages are stable and cover all":           pages,
		"a cursor belongs to its query":            cursors,
		"a view is one snapshot":                   snapshot,
		"an error keeps nothing":                   rollback,
		"a panic keeps nothing":                    rollbackOnPanic,
		"a failed joined unit dooms the outer one": doomed,
		"a failed write dooms the unit":            doomedByWrite,
		"a unit remembers what it wrote":           traces,
		"rows in units of their own fail alone":    rowsAlone,
		"a view inside an update sees its writes":  viewInUpdate,
		"an update inside a view is refused":       updateInView,
		"a unit that has ended is refused":         useAfterEnd,
		"callbacks run once, after the commit":     afterCommit,
		"a transient failure runs the unit again":  retries,
		"fifty locked additions lose nothing":      lockedAdditions,
		"fifty swapped additions lose nothing":     swappedAdditions,
		"several are locked and kept at once":      putMany,
		"several are deleted at once or none":      deleteMany,
		"fifty additions to all at once":           putRace,
		"of twenty equal inserts one wins":         insertRace,
		"a cancelled context stops the unit":       cancelled,
		"a closed store says so":                   closed,
		"an empty list of values matches nothing":  emptyIn,
		"times compare as times":                   timeOrder,
		"ids sort by time":                         idOrder,
		"a filter fills its pages":                 filters,
		"a word is told once, after the commit":    tells,

		"a row of a log comes back as it went in":  logRoundTrip,
		"a row that is there is skipped, and said": logDuplicates,
		"a second row of a key is named":           logUnique,
		"a range has two ends and two directions":  logRanges,
		"a range of an index goes on where it was": logIndex,
		"sums add up":                                logAdds,
		"concurrent sums lose nothing":               logAddRace,
		"what is pruned is gone":                     logPrune,
		"claimed rows go to one unit":                logClaim,
		"ten claim a hundred rows once each":         logClaimRace,
		"several ranges at once":                     logScanEach,
		"several logs at once":                       logReadAll,
		"a range without what its index lacks":       logBare,
		"a range that is added up":                   logSum,
		"the database numbers rows":                  logSerial,
		"what is queued comes with the commit":       logQueue,
		"queued rows are numbered by the commit":     logQueueOrder,
		"a failed unit leaves the log and its words": logRollback,
		"new words of many units agree":              logWords,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func update(t *testing.T, s *store.Store, fn func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	require.NoError(t, s.Update(t.Context(), fn))
}

func view(t *testing.T, s *store.Store, fn func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	require.NoError(t, s.View(t.Context(), fn))
}

func insert(t *testing.T, s *store.Store, ws ...*widget) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		for _, w := range ws {
			if err := widgets.Insert(ctx, tx, w); err != nil {
				return err
			}
		}
		return nil
	})
}

func get(t *testing.T, s *store.Store, id string) (w widget) {
	t.Helper()
	view(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
		w, err = widgets.Get(ctx, tx, id)
		return err
	})
	return w
}

func roundTrip(t *testing.T, s *store.Store) {
	at := time.Date(2024, 2, 29, 23, 59, 59, 123456000, time.UTC)
	limit := decimal.RequireFromString("12345678901234567.123456789012")
	full := widget{OrgID: "o", Name: `quote ' " \ % _ ? $1 ünïcødé 漢字`, Code: ptr("c"), Size: -1 << 63, On: true, Seen: at, Gone: &at,
		Price: decimal.RequireFromString("-0.000000000001"), Limit: &limit,
		Detail: detail{Text: "a?b", Depth: &detail{List: []string{}}, List: []string{"x", "y"}},
		Tags:   []string{"one", "two"}, Extra: map[string]string{"k": "v?"}, Raw: json.RawMessage(`{"n": 1.50}`)}
	empty := widget{OrgID: "o", Size: 1<<63 - 1, Tags: []string{}, Extra: map[string]string{}}
	insert(t, s, &full, &empty)
	comesBack(t, s, full, empty)
	full.Name, empty.Name = `it's`, `''`+"\n\t"
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(widgets.Update(ctx, tx, &full), widgets.Update(ctx, tx, &empty))
	})
	comesBack(t, s, full, empty)
	full.On, empty.On = empty.On, full.On
	for _, beside := range []int{0, 100} { // what is put together may be written in another way
		list := []*widget{&full, &empty}
		for i := range beside {
			list = append(list, &widget{Meta: store.Meta{ID: s.NewID("wid")}, OrgID: "p", Name: fmt.Sprint("beside ", i)})
		}
		update(t, s, func(ctx context.Context, tx *store.Tx) error { return widgets.Put(ctx, tx, list) })
		for _, w := range list {
			comesBack(t, s, *w)
		}
	}
	require.Nil(t, get(t, s, empty.ID).Gone)
	require.NotNil(t, get(t, s, full.ID).Detail.Depth.List, "an empty list inside a JSON column stays one")
}

func comesBack(t *testing.T, s *store.Store, all ...widget) {
	t.Helper()
	for _, want := range all {
		got := get(t, s, want.ID)
		require.True(t, want.Price.Equal(got.Price), got.Price)
		require.Equal(t, want.Limit == nil, got.Limit == nil)
		if want.Limit != nil {
			require.Equal(t, want.Limit.String(), got.Limit.String())
		}
		if want.Raw != nil {
			require.JSONEq(t, string(want.Raw), string(got.Raw))
		} else {
			require.Empty(t, got.Raw)
		}
		got.Price, got.Limit, got.Raw = want.Price, want.Limit, want.Raw
		require.Equal(t, want, got)
		require.Equal(t, time.UTC, got.Seen.Location())
	}
}

func ptr[T any](v T) *T { return &v }

func writesMeta(t *testing.T, s *store.Store) {
	w := &widget{OrgID: "o"}
	w.Version, w.CreatedAt = 99, time.Unix(1, 0)
	var now time.Time
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		now = tx.Now()
		return widgets.Insert(ctx, tx, w)
	})
	require.Regexp(t, "^wid_", w.ID)
	require.EqualValues(t, 1, w.Version)
	require.True(t, now.Equal(w.CreatedAt) && now.Equal(w.UpdatedAt))
	require.Equal(t, now, now.UTC().Truncate(time.Microsecond))
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return widgets.Update(ctx, tx, w) })
	require.EqualValues(t, 2, w.Version)
	require.EqualValues(t, 2, get(t, s, w.ID).Version)
}

func sharesNothing(t *testing.T, s *store.Store) {
	w := &widget{OrgID: "o", Tags: []string{"a"}, Extra: map[string]string{"k": "v"}, Detail: detail{Depth: &detail{Text: "d"}}}
	insert(t, s, w)
	change := func(w *widget) { w.Tags[0], w.Extra["k"], w.Detail.Depth.Text = "b", "w", "e" }
	change(w)
	got := get(t, s, w.ID)
	change(&got)
	require.Equal(t, []string{"a"}, get(t, s, w.ID).Tags)
	require.Equal(t, "v", get(t, s, w.ID).Extra["k"])
	require.Equal(t, "d", get(t, s, w.ID).Detail.Depth.Text)
}

func unique(t *testing.T, s *store.Store) {
	first := &widget{OrgID: "o", Name: "n", Code: ptr("c")}
	insert(t, s, first, &widget{OrgID: "other", Name: "n"})
	for columns, w := range map[string]*widget{
		"[org_id name]": {OrgID: "o", Name: "n"},
		"[code]":        {OrgID: "o", Name: "m", Code: ptr("c")},
		"[id]":          {Meta: store.Meta{ID: first.ID}, OrgID: "o", Name: "m"},
	} {
		err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return widgets.Insert(ctx, tx, w) })
		require.ErrorIs(t, err, store.ErrExists)
		var u *store.UniqueError
		require.ErrorAs(t, err, &u)
		require.Equal(t, "storetest_widgets", u.Kind)
		require.Equal(t, columns, fmt.Sprint(u.Columns))
		require.True(t, u.On(u.Columns[0]))
	}
	second := &widget{OrgID: "o", Name: "m"}
	insert(t, s, second)
	second.Name = "n"
	err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return widgets.Update(ctx, tx, second) })
	require.ErrorIs(t, err, store.ErrExists)
	require.EqualValues(t, 1, second.Version, "a failed update leaves the record as it was")
}

func nullUnique(t *testing.T, s *store.Store) {
	insert(t, s, &widget{OrgID: "o", Name: "a"}, &widget{OrgID: "o", Name: "b"})
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		page, err := widgets.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("code", nil)}})
		require.Len(t, page.Items, 2)
		return err
	})
}

func insertNew(t *testing.T, s *store.Store) {
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		fresh, err := widgets.InsertMany(ctx, tx, []*widget{{OrgID: "o", Name: "a", Size: 1}, {OrgID: "o", Name: "a", Size: 2}, {OrgID: "o", Name: "b"}})
		require.Equal(t, []bool{true, false, true}, fresh)
		return err
	})
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		w, err := widgets.Find(ctx, tx, store.Eq("org_id", "o"), store.Eq("name", "a"))
		require.EqualValues(t, 1, w.Size)
		n, err2 := widgets.Count(ctx, tx, store.Eq("org_id", "o"))
		require.Equal(t, 2, n)
		return errors.Join(err, err2)
	})
}

func compareAndSwap(t *testing.T, s *store.Store) {
	w := &widget{OrgID: "o"}
	insert(t, s, w)
	stale := *w
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return widgets.Update(ctx, tx, w) })
	err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return widgets.Update(ctx, tx, &stale) })
	require.ErrorIs(t, err, store.ErrConflict)
	stale.ID = "wid_none"
	err = s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return widgets.Update(ctx, tx, &stale) })
	require.ErrorIs(t, err, store.ErrNotFound)
}

func deletes(t *testing.T, s *store.Store) {
	w := &widget{OrgID: "o", Name: "n"}
	insert(t, s, w)
	update(t, s, func(ctx context.Context, tx *store.Tx) error { return widgets.Delete(ctx, tx, w.ID) })
	err := s.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := widgets.Get(ctx, tx, w.ID)
		return err
	})
	require.ErrorIs(t, err, store.ErrNotFound)
	err = s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return widgets.Delete(ctx, tx, w.ID) })
	require.ErrorIs(t, err, store.ErrNotFound)
	insert(t, s, &widget{OrgID: "o", Name: "n"}) // its unique set is free again
}

func idOrder(t *testing.T, s *store.Store) {
	var first, second string
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		first = tx.NewID("wid")
		return nil
	})
	time.Sleep(2 * time.Millisecond)
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		second = tx.NewID("wid")
		return nil
	})
	require.Less(t, first, second)
}

func filters(t *testing.T, s *store.Store) {
	for i := range 25 {
		insert(t, s, &widget{OrgID: "org_1", Name: fmt.Sprint(i), Size: int64(i)})
	}
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		even := func(w *widget) bool { return w.Size%2 == 0 }
		q := store.Query{Where: []store.Cond{store.Eq("org_id", "org_1")}, Order: []store.Order{store.Asc("size")}, Limit: 4}
		var sizes []int
		for pages := 1; ; pages++ {
			page, err := widgets.Filter(ctx, tx, q, even)
			require.NoError(t, err)
			for _, w := range page.Items {
				sizes = append(sizes, int(w.Size))
			}
			if page.Next == "" {
				require.Equal(t, 4, pages)
				break
			}
			require.Len(t, page.Items, 4)
			q.After = page.Next
		}
		require.Equal(t, []int{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24}, sizes)
		return nil
	})
}

func tells(t *testing.T, s *store.Store) {
	var mu sync.Mutex
	var heard []string
	stop := s.Listen(func(n store.Notice) {
		mu.Lock()
		defer mu.Unlock()
		if !n.Gap {
			heard = append(heard, n.Word)
		}
	})
	words := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(heard)
	}
	after := false
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		tx.AfterCommit(func() { after = len(words()) == 0 })
		tx.Notify("one")
		require.NoError(t, s.Update(ctx, func(_ context.Context, tx *store.Tx) error {
			tx.Notify("two")
			return nil
		}))
		require.Empty(t, words())
		return nil
	})
	require.True(t, after, "callbacks come first")
	require.Equal(t, []string{"one", "two"}, words())
	_ = s.Update(t.Context(), func(_ context.Context, tx *store.Tx) error {
		tx.Notify("never")
		return errors.New("no")
	})
	stop()
	update(t, s, func(_ context.Context, tx *store.Tx) error {
		tx.Notify("late")
		return nil
	})
	require.Equal(t, []string{"one", "two"}, words())
}
