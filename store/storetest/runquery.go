package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
)

func names(t *testing.T, s *store.Store, q store.Query) (found []string) {
	t.Helper()
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		found = nil
		page, err := widgets.List(ctx, tx, q)
		for _, w := range page.Items {
			found = append(found, w.Name)
		}
		return err
	})
	return found
}

func queries(t *testing.T, s *store.Store) {
	for i := range 6 {
		insert(t, s, &widget{OrgID: fmt.Sprint("o", i%2), Name: fmt.Sprint("w", i), Size: int64(i / 2), On: i > 3})
	}
	org := func(o string) store.Cond { return store.Eq("org_id", o) }
	size := store.Asc("size")
	for _, c := range []struct {
		want []string
		q    store.Query
	}{
		{[]string{"w0", "w2", "w4"}, store.Query{Where: []store.Cond{org("o0")}, Order: []store.Order{size}}},
		{[]string{"w4", "w2", "w0"}, store.Query{Where: []store.Cond{org("o0")}, Order: []store.Order{store.Desc("size")}}},
		{[]string{"w4", "w2"}, store.Query{Where: []store.Cond{org("o0")}, Order: []store.Order{store.Desc("size")}, Limit: 2}},
		{[]string{"w4", "w5", "w2", "w3", "w0", "w1"}, store.Query{Order: []store.Order{store.Desc("size"), store.Asc("name")}}},
		{[]string{"w2", "w4"}, store.Query{Where: []store.Cond{org("o0"), store.From("size", 1)}, Order: []store.Order{size}}},
		{[]string{"w2"}, store.Query{Where: []store.Cond{org("o0"), store.From("size", 1), store.Below("size", 2)}, Order: []store.Order{size}}},
		{[]string{"w1", "w2"}, store.Query{Where: []store.Cond{store.In("name", []string{"w2", "w1", "w1", "none"})}, Order: []store.Order{store.Asc("name")}}},
		{[]string{"w4", "w5"}, store.Query{Where: []store.Cond{store.Eq("on", true)}, Order: []store.Order{store.Asc("name")}}},
		{nil, store.Query{Where: []store.Cond{org("none")}}},
	} {
		require.Equal(t, c.want, names(t, s, c.q), "%+v", c.q)
	}
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		n, err := widgets.Count(ctx, tx, org("o1"), store.From("size", 1))
		require.Equal(t, 2, n)
		return err
	})
}

func emptyIn(t *testing.T, s *store.Store) {
	insert(t, s, &widget{OrgID: "o", Name: "n"})
	require.Empty(t, names(t, s, store.Query{Where: []store.Cond{store.In("name", []string{})}}))
	require.Empty(t, names(t, s, store.Query{Where: []store.Cond{store.In("org_id", []string{"o"}), store.In("id", []string{})}}))
}

func timeOrder(t *testing.T, s *store.Store) {
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, d := range []time.Duration{500 * time.Millisecond, 0, 510 * time.Millisecond, time.Microsecond, 2 * time.Second} {
		insert(t, s, &widget{OrgID: "o", Name: fmt.Sprint(i), Seen: at.Add(d)})
	}
	org := store.Eq("org_id", "o")
	asc := []store.Order{store.Asc("seen")}
	require.Equal(t, []string{"1", "3", "0", "2", "4"}, names(t, s, store.Query{Where: []store.Cond{org}, Order: asc}))
	require.Equal(t, []string{"3", "0", "2"}, names(t, s, store.Query{Where: []store.Cond{org,
		store.From("seen", at.Add(time.Microsecond)), store.Below("seen", at.Add(2*time.Second))}, Order: asc}))
}

func pages(t *testing.T, s *store.Store) {
	for i := range 25 {
		insert(t, s, &widget{OrgID: "o", Name: fmt.Sprintf("w%02d", i), Size: int64(i % 3)})
	}
	for _, order := range [][]store.Order{nil, {store.Asc("size")}, {store.Desc("size")}, {store.Desc("size"), store.Asc("name")}, {store.Desc("created_at")}} {
		q := store.Query{Where: []store.Cond{store.Eq("org_id", "o")}, Order: order, Limit: 4}
		whole := q
		whole.Limit = 0
		want := names(t, s, whole)
		require.Len(t, want, 25)
		var got []string
		for n := 0; ; n++ {
			var next string
			view(t, s, func(ctx context.Context, tx *store.Tx) error {
				page, err := widgets.List(ctx, tx, q)
				for i := range page.Items {
					got = append(got, page.Items[i].Name)
				}
				next = page.Next
				if len(page.Items) > 0 && next != "" {
					require.Equal(t, next, widgets.Cursor(q, &page.Items[len(page.Items)-1]))
				}
				return err
			})
			if next == "" {
				break
			}
			q.After = next
		}
		require.Equal(t, want, got, "%v", order)
	}
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		n := 0
		for _, err := range widgets.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", "o")}}) {
			require.NoError(t, err)
			n++
		}
		require.Equal(t, 25, n)
		return nil
	})
}

func cursors(t *testing.T, s *store.Store) {
	insert(t, s, &widget{OrgID: "o", Name: "a"}, &widget{OrgID: "o", Name: "b"}, &widget{OrgID: "p", Name: "c"})
	q := store.Query{Where: []store.Cond{store.Eq("org_id", "o")}, Limit: 1}
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		page, err := widgets.List(ctx, tx, q)
		require.NoError(t, err)
		for _, bad := range []string{"x", "e30", page.Next + "A", page.Next[1:]} {
			q := q
			q.After = bad
			_, err := widgets.List(ctx, tx, q)
			var f *store.FieldError
			require.ErrorAs(t, err, &f, bad)
			require.Equal(t, "after", f.Field)
		}
		other := store.Query{Where: []store.Cond{store.Eq("org_id", "p")}, After: page.Next}
		_, err = widgets.List(ctx, tx, other)
		require.ErrorIs(t, err, store.ErrInvalid, "the cursor of another tenant")
		return nil
	})
}

func snapshot(t *testing.T, s *store.Store) {
	w := &widget{OrgID: "o", Name: "n"}
	insert(t, s, w)
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		before, err := widgets.Get(ctx, tx, w.ID)
		require.NoError(t, err)
		update(t, s, func(ctx context.Context, tx *store.Tx) error { // on another connection
			w.Size = 7
			if err := widgets.Insert(ctx, tx, &widget{OrgID: "o", Name: "m"}); err != nil {
				return err
			}
			return widgets.Update(ctx, tx, w)
		})
		after, err := widgets.Get(ctx, tx, w.ID)
		require.Equal(t, before, after)
		n, err2 := widgets.Count(ctx, tx)
		require.Equal(t, 1, n)
		require.NoError(t, err2)
		return err
	})
	require.EqualValues(t, 7, get(t, s, w.ID).Size)
}
