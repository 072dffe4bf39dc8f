package memory_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
)

type point struct {
	store.Meta
	Set  string
	Text string
	N    int64
	On   bool
	At   time.Time
	Opt  *string
}

var points = store.Define[point]("points", "pt", store.Index("set", "text"), store.Index("set", "n"), store.Index("set", "on"),
	store.Index("set", "at"), store.Index("opt"), store.Unique("set", "opt"))

// TestKeysSortAsTheirValuesDo holds the encoded keys of indexes against comparing the values themselves.
func TestKeysSortAsTheirValuesDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune{0, 1, 'a', 'b', 0xff, 'é', '世'}))
		gen := rapid.Custom(func(t *rapid.T) point {
			p := point{Set: rapid.SampledFrom([]string{"", "a", "a\x00", "b"}).Draw(t, "set"), Text: text.Draw(t, "text"), N: rapid.Int64().Draw(t, "n"),
				On: rapid.Bool().Draw(t, "on"), At: time.Unix(rapid.Int64Range(-1e11, 1e11).Draw(t, "at"), rapid.Int64Range(0, 999_999).Draw(t, "us")*1000).UTC()}
			if rapid.Bool().Draw(t, "there") {
				opt := text.Draw(t, "opt")
				p.Opt = &opt
			}
			return p
		})
		var kept []point
		s := memory.New(nil)
		for _, p := range rapid.SliceOfN(gen, 0, 40).Draw(t, "points") {
			clashes := p.Opt != nil && slices.ContainsFunc(kept, func(k point) bool { return k.Set == p.Set && k.Opt != nil && *k.Opt == *p.Opt })
			err := s.Update(context.Background(), func(ctx context.Context, tx *store.Tx) error { return points.Insert(ctx, tx, &p) })
			if errors.Is(err, store.ErrExists) != clashes {
				t.Fatalf("inserting %+v: %v", p, err)
			}
			if !clashes {
				kept = append(kept, p)
			}
		}
		set := rapid.SampledFrom([]string{"", "a", "a\x00", "b"}).Draw(t, "wanted")
		for column, by := range map[string]func(a, b point) int{
			"text": func(a, b point) int { return strings.Compare(a.Text, b.Text) },
			"n":    func(a, b point) int { return cmp.Compare(a.N, b.N) },
			"at":   func(a, b point) int { return a.At.Compare(b.At) },
			"on":   func(a, b point) int { return store.Compare(a.On, b.On) },
		} {
			want := slices.DeleteFunc(slices.Clone(kept), func(p point) bool { return p.Set != set })
			slices.SortFunc(want, func(a, b point) int { return cmp.Or(by(a, b), strings.Compare(a.ID, b.ID)) })
			order := store.Asc(column)
			if rapid.Bool().Draw(t, "desc") {
				order = store.Desc(column)
				slices.Reverse(want)
			}
			var got []point
			q := store.Query{Where: []store.Cond{store.Eq("set", set)}, Order: []store.Order{order}, Limit: rapid.IntRange(1, 5).Draw(t, "limit")}
			require.NoError(t, s.View(context.Background(), func(ctx context.Context, tx *store.Tx) error {
				for {
					page, err := points.List(ctx, tx, q)
					if got = append(got, page.Items...); err != nil || page.Next == "" {
						return err
					}
					q.After = page.Next
				}
			}))
			ids := func(ps []point) (ids []string) {
				for _, p := range ps {
					ids = append(ids, p.ID)
				}
				return ids
			}
			require.Equal(t, ids(want), ids(got), column)
		}
	})
}

// TestAnyIndexFindsTheSame: records that are asked for by their ids or a unique set, in whatever order and with whatever else,
// are those that meet all conditions.
func TestAnyIndexFindsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := memory.New(nil)
		words := rapid.SampledFrom([]string{"a", "b", "c"})
		var kept []point
		for range rapid.IntRange(0, 30).Draw(t, "points") {
			p := point{Set: words.Draw(t, "set"), Text: words.Draw(t, "text"), N: rapid.Int64Range(0, 3).Draw(t, "n")}
			if rapid.Bool().Draw(t, "there") {
				opt := words.Draw(t, "opt")
				p.Opt = &opt
			}
			if s.Update(context.Background(), func(ctx context.Context, tx *store.Tx) error { return points.Insert(ctx, tx, &p) }) == nil {
				kept = append(kept, p)
			}
		}
		set, ids := words.Draw(t, "wanted"), []string{"none"}
		for _, p := range kept {
			if rapid.Bool().Draw(t, "asked") {
				ids = append(ids, p.ID)
			}
		}
		opt := rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "opt")
		var wanted any // null
		if opt != "" {
			wanted = opt
		}
		for name, c := range map[string]struct {
			where []store.Cond
			is    func(p point) bool
		}{
			"ids":    {[]store.Cond{store.Eq("set", set), store.In("id", ids)}, func(p point) bool { return slices.Contains(ids, p.ID) }},
			"unique": {[]store.Cond{store.Eq("set", set), store.Eq("opt", wanted)}, func(p point) bool { return p.Opt == nil && opt == "" || p.Opt != nil && *p.Opt == opt }},
			"both": {[]store.Cond{store.Eq("set", set), store.Eq("opt", wanted), store.In("id", ids)}, func(p point) bool {
				return slices.Contains(ids, p.ID) && (p.Opt == nil && opt == "" || p.Opt != nil && *p.Opt == opt)
			}},
		} {
			want := []string{}
			sorted := slices.Clone(kept)
			slices.SortFunc(sorted, func(a, b point) int { return cmp.Or(cmp.Compare(a.N, b.N), strings.Compare(a.ID, b.ID)) })
			for _, p := range sorted {
				if p.Set == set && c.is(p) {
					want = append(want, p.ID)
				}
			}
			got := []string{}
			require.NoError(t, s.View(context.Background(), func(ctx context.Context, tx *store.Tx) error {
				for p, err := range points.All(ctx, tx, store.Query{Where: c.where, Order: []store.Order{store.Asc("n")}, Limit: 2}) {
					if err != nil {
						return err
					}
					got = append(got, p.ID)
				}
				return nil
			}))
			require.Equal(t, want, got, name)
		}
	})
}
