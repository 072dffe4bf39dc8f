package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
)

// noon is a moment with microseconds.
var noon = time.Date(2024, 2, 29, 12, 0, 0, 123456000, time.UTC)

func appendTicks(t *testing.T, s *store.Store, rows ...tick) (fresh []bool) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
		fresh, err = ticks.AppendMany(ctx, tx, rows)
		return err
	})
	return fresh
}

func scanTicks(t *testing.T, s *store.Store, r store.Range) (rows []tick) {
	t.Helper()
	view(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
		rows, err = ticks.Scan(ctx, tx, r)
		return err
	})
	return rows
}

func seqs(rows []tick) []int64 {
	out := []int64{}
	for _, r := range rows {
		out = append(out, r.Seq)
	}
	return out
}

func logRoundTrip(t *testing.T, s *store.Store) {
	full := tick{OrgID: "o", Seq: -1 << 63, Kind: `a 'word' "?" 漢字`, At: noon, Note: `quote ' " \ % ? $1 ünïcødé 漢字`, N: 1<<63 - 1, M: -1, On: true,
		Data: json.RawMessage(`{"n": 1.50, "a":"?"}`), Raw: []byte{0, 1, 255}}
	empty := tick{OrgID: "", Seq: 0, At: time.UnixMicro(0).UTC()}
	require.Equal(t, []bool{true, true}, appendTicks(t, s, full, empty))
	require.Equal(t, []tick{full}, scanTicks(t, s, store.Range{Equal: []any{"o"}}))
	require.Equal(t, []tick{empty}, scanTicks(t, s, store.Range{Equal: []any{""}}))
	require.Empty(t, scanTicks(t, s, store.Range{Equal: []any{"never heard of"}}))

	got := scanTicks(t, s, store.Range{Equal: []any{"o"}})
	got[0].Raw[0] = 9
	require.Equal(t, []tick{full}, scanTicks(t, s, store.Range{Equal: []any{"o"}}), "nothing is shared")
}

func logDuplicates(t *testing.T, s *store.Store) {
	row := func(seq int64, note string) tick { return tick{OrgID: "o", Seq: seq, At: noon, Note: note} }
	require.Equal(t, []bool{true, true, false}, appendTicks(t, s, row(2, "first"), row(1, ""), row(2, "second")))
	require.Equal(t, []bool{false, true, false, true}, appendTicks(t, s, row(1, "late"), row(3, ""), row(3, "again"), row(0, "")))
	rows := scanTicks(t, s, store.Range{Equal: []any{"o"}})
	require.Equal(t, []int64{0, 1, 2, 3}, seqs(rows))
	require.Equal(t, "first", rows[2].Note)

	// The same over many rows, where drivers work in chunks.
	var many []tick
	for i := range 3000 {
		many = append(many, row(int64(i), ""))
	}
	fresh := appendTicks(t, s, many...)
	for i, is := range fresh {
		require.Equal(t, i > 3, is, i)
	}
	require.NotContains(t, appendTicks(t, s, many...), true)
	var rest int
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		for r, err := range ticks.All(ctx, tx, store.Range{Equal: []any{"o"}}) {
			require.NoError(t, err)
			require.EqualValues(t, rest, r.Seq)
			rest++
		}
		return nil
	})
	require.Equal(t, 3000, rest)

	// And with some here and there that are there already, or come twice.
	r, there := rand.New(rand.NewPCG(1, 2)), map[int64]bool{}
	for range 20 {
		var some []tick
		for range 1 + r.IntN(60) {
			some = append(some, row(10_000+r.Int64N(500), ""))
		}
		for i, is := range appendTicks(t, s, some...) {
			require.Equal(t, !there[some[i].Seq], is, i)
			there[some[i].Seq] = true
		}
	}
}

func logUnique(t *testing.T, s *store.Store) {
	row := tick{OrgID: "o", Seq: 1, At: noon}
	appendTicks(t, s, row)
	err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		ticks.Append(ctx, tx, row) // which dooms the unit
		return nil
	})
	var u *store.UniqueError
	require.ErrorAs(t, err, &u)
	require.Equal(t, []string{"org_id", "seq"}, u.Columns)
}

func logRanges(t *testing.T, s *store.Store) {
	for _, org := range []string{"b", "a", "c"} {
		for i := range 10 {
			appendTicks(t, s, tick{OrgID: org, Seq: int64(i), At: noon})
		}
	}
	for _, c := range []struct {
		r    store.Range
		want []int64
	}{
		{store.Range{Equal: []any{"a"}, From: 7}, []int64{7, 8, 9}},
		{store.Range{Equal: []any{"a"}, Below: 3}, []int64{0, 1, 2}},
		{store.Range{Equal: []any{"a"}, From: 3, Below: 5}, []int64{3, 4}},
		{store.Range{Equal: []any{"a"}, From: 3, Below: 5, Desc: true}, []int64{4, 3}},
		{store.Range{Equal: []any{"a"}, Desc: true, Limit: 3}, []int64{9, 8, 7}},
		{store.Range{Equal: []any{"a"}, From: 8, Desc: true}, []int64{9, 8}},
		{store.Range{Equal: []any{"a"}, Below: 2, Desc: true}, []int64{1, 0}},
		{store.Range{Equal: []any{"a"}, After: []any{int64(4)}, Limit: 2}, []int64{5, 6}},
		{store.Range{Equal: []any{"a"}, After: []any{int64(4)}, Desc: true, Limit: 2}, []int64{3, 2}},
		{store.Range{Equal: []any{"a"}, After: []any{int64(4)}, Below: 6}, []int64{5}},
		{store.Range{Equal: []any{"a", 4}}, []int64{4}},
		{store.Range{Equal: []any{"a"}, From: 5, Below: 5}, []int64{}},
	} {
		require.Equal(t, c.want, seqs(scanTicks(t, s, c.r)), fmt.Sprintf("%+v", c.r))
	}
}

func logScanEach(t *testing.T, s *store.Store) {
	for i := range 30 {
		appendTicks(t, s, tick{OrgID: []string{"a", "b", "c"}[i%3], Seq: int64(i), Kind: []string{"x", "y"}[i%2], At: noon.Add(time.Duration(i/4) * time.Second)})
	}
	each := func(ranges ...store.Range) (out [][]int64) {
		view(t, s, func(ctx context.Context, tx *store.Tx) error {
			rows, err := ticks.ScanEach(ctx, tx, ranges)
			require.Len(t, rows, len(ranges))
			for i, r := range rows {
				require.Equal(t, scanTicks(t, s, ranges[i]), r)
				out = append(out, seqs(r))
			}
			return err
		})
		return out
	}
	require.Equal(t, [][]int64{{27, 24}, {}, {29, 26}}, each(
		store.Range{Equal: []any{"a"}, Desc: true, Limit: 2}, store.Range{Equal: []any{"nobody"}, Desc: true, Limit: 2}, store.Range{Equal: []any{"c"}, Desc: true, Limit: 2}))
	require.Equal(t, [][]int64{{}}, each(store.Range{Equal: []any{"nobody"}}))
	by := []string{"org_id", "kind", "at"}
	from, below := noon.Add(2*time.Second), noon.Add(5*time.Second)
	require.Equal(t, [][]int64{{12, 18}, {13, 19}, {9, 15}}, each(
		store.Range{By: by, Equal: []any{"a", "x"}, From: from, Below: below}, store.Range{By: by, Equal: []any{"b", "y"}, From: from, Below: below},
		store.Range{By: by, Equal: []any{"a", "y"}, From: from, Below: below}))
	require.Panics(t, func() {
		each(store.Range{Equal: []any{"a"}}, store.Range{Equal: []any{"a"}, Desc: true})
	})
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		rows, err := ticks.ScanEach(ctx, tx, nil)
		require.Empty(t, rows)
		return err
	})
}

func logReadAll(t *testing.T, s *store.Store) {
	var want []tick
	for i := range 4 {
		want = append(want, tick{OrgID: "o", Seq: int64(i), Kind: "x", At: noon, Note: "n", Data: json.RawMessage(`{}`), Raw: []byte{byte(i)}})
	}
	appendTicks(t, s, want...)
	hour := noon.Truncate(time.Hour)
	var of, none [][]tick
	var sums [][]tally
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		return tallies.Add(ctx, tx, []tally{{Hour: hour, Name: "a", Count: 1}})
	})
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		return tx.ReadAll(ctx, ticks.Read(&of, store.Range{Equal: []any{"o"}, From: 2}, store.Range{Equal: []any{"o"}, From: 4}, store.Range{Equal: []any{"o"}, From: 3}),
			ticks.Read(&none), tallies.Read(&sums, store.Range{Equal: []any{hour}}))
	})
	require.Equal(t, [][]tick{want[2:], nil, want[3:]}, of)
	require.Empty(t, none)
	require.Equal(t, [][]tally{{{Hour: hour, Name: "a", Count: 1}}}, sums)

	// The same of so many ranges that a driver may ask for them in another way.
	ranges := make([]store.Range, 50)
	for i := range ranges {
		ranges[i] = store.Range{Equal: []any{[]string{"o", "p"}[i%2]}, From: i % 5, Desc: true, Limit: 2}
	}
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		return tx.ReadAll(ctx, tallies.Read(&sums, store.Range{Equal: []any{hour}}), ticks.Read(&of, ranges...))
	})
	require.Len(t, sums[0], 1)
	for i, r := range ranges {
		require.Equal(t, scanTicks(t, s, r), of[i])
	}

	// Into room that there is, behind what is in it.
	room := []tick{{Note: "first"}, {OrgID: "left", Note: "left", Raw: []byte{7}}, {Seq: 7}}
	into := [][]tick{room[:1:2], nil}
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		return tx.ReadAll(ctx, ticks.ReadInto(into, store.Range{Equal: []any{"o"}, From: 3, Bare: true}, store.Range{Equal: []any{"o"}, From: 2, Bare: true}))
	})
	require.Equal(t, [][]tick{{room[0], {OrgID: "o", Seq: 3}}, {{OrgID: "o", Seq: 2}, {OrgID: "o", Seq: 3}}}, into)
	require.Equal(t, into[0][1], room[1], "there was room for it")
	require.Equal(t, tick{Seq: 7}, room[2])

	// A unit sees its own writes, and reads on behind them.
	update(t, s, func(ctx context.Context, tx *store.Tx) error {
		_, err := ticks.AppendMany(ctx, tx, []tick{{OrgID: "p", Seq: 9, At: noon}})
		require.NoError(t, err)
		require.NoError(t, tx.ReadAll(ctx, ticks.Read(&of, store.Range{Equal: []any{"p"}}), ticks.Read(&none, store.Range{Equal: []any{"q"}})))
		require.Len(t, of[0], 1)
		require.Equal(t, [][]tick{nil}, none)
		return nil
	})
}

func logBare(t *testing.T, s *store.Store) {
	for i := range 10 {
		appendTicks(t, s, tick{OrgID: "o", Seq: int64(i), Kind: []string{"x", "y"}[i%2], At: noon.Add(time.Duration(i) * time.Second), Note: "n", N: 5, M: 6, On: true, Data: json.RawMessage(`{}`), Raw: []byte{1}})
	}
	require.Equal(t, []tick{{OrgID: "o", Seq: 8}, {OrgID: "o", Seq: 9}}, scanTicks(t, s, store.Range{Equal: []any{"o"}, From: 8, Bare: true}))
	r := store.Range{By: []string{"org_id", "kind", "at"}, Equal: []any{"o", "y"}, Desc: true, Limit: 2, Bare: true}
	rows := scanTicks(t, s, r)
	require.Equal(t, []tick{{OrgID: "o", Seq: 9, Kind: "y", At: noon.Add(9 * time.Second)}, {OrgID: "o", Seq: 7, Kind: "y", At: noon.Add(7 * time.Second)}}, rows)
	r.After = ticks.Position(r, &rows[1])
	require.Equal(t, []int64{5, 3}, seqs(scanTicks(t, s, r)))
	for _, n := range []int{2, 20} {
		view(t, s, func(ctx context.Context, tx *store.Tx) error {
			each, err := ticks.ScanEach(ctx, tx, slices.Repeat([]store.Range{{By: r.By, Equal: r.Equal, Desc: true, Limit: 2, Bare: true}}, n))
			for _, some := range each {
				require.Equal(t, rows, some)
			}
			return err
		})
	}
}

func logSum(t *testing.T, s *store.Store) {
	hour := noon.Truncate(time.Hour)
	want := map[string]tally{} // of the hours 2 to 7
	var names []string
	for i := range 120 {
		r := tally{Hour: hour.Add(time.Duration(i%10) * time.Hour), Name: string(rune('a' + i*7%13)), Count: int64(i), Cost: int64(60 - i), First: "not added up"}
		update(t, s, func(ctx context.Context, tx *store.Tx) error { return tallies.Add(ctx, tx, []tally{r}) })
		if i%10 < 2 || i%10 > 6 {
			continue
		}
		sum, there := want[r.Name]
		if !there {
			names = append(names, r.Name)
		}
		want[r.Name] = tally{Name: r.Name, Count: sum.Count + r.Count, Cost: sum.Cost + r.Cost}
	}
	slices.Sort(names)
	var all []tally
	for _, name := range names {
		all = append(all, want[name])
	}
	r := store.Range{From: hour.Add(2 * time.Hour), Below: hour.Add(7 * time.Hour), Sum: "name"}
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		rows, err := tallies.Scan(ctx, tx, r)
		require.NoError(t, err)
		require.Equal(t, all, rows)
		for _, n := range []int{2, 20} {
			each, err := tallies.ScanEach(ctx, tx, slices.Repeat([]store.Range{r}, n))
			require.NoError(t, err)
			require.Equal(t, slices.Repeat([][]tally{all}, n), each)
		}
		paged := r
		paged.Limit = 5
		var walked []tally
		for {
			some, err := tallies.Scan(ctx, tx, paged)
			require.NoError(t, err)
			walked = append(walked, some...)
			if len(some) < paged.Limit {
				break
			}
			paged.After = tallies.Position(paged, &some[4])
		}
		require.Equal(t, all, walked)
		var both [][]tally
		var plain [][]tally
		one := store.Range{Equal: []any{hour}}
		require.NoError(t, tx.ReadAll(ctx, tallies.Read(&both, r), tallies.Read(&plain, one)), "beside rows as they are")
		require.Equal(t, [][]tally{all}, both)
		require.Equal(t, "not added up", plain[0][0].First)
		return nil
	})
	appendTicks(t, s, tick{OrgID: "o", Seq: 1, N: 2, M: 3, Note: "n"}, tick{OrgID: "p", Seq: 1, N: 5})
	require.Equal(t, []tick{{OrgID: "o", Seq: 1, N: 2, M: 3}}, scanTicks(t, s, store.Range{Equal: []any{"o"}, Sum: "seq"}))
	for _, wrong := range []store.Range{{Sum: "note"}, {Sum: "org_id"}, {Equal: []any{"o"}, Sum: "org_id"}, {Sum: "seq", Desc: true}, {By: []string{"org_id", "kind", "at"}, Sum: "seq"}} {
		require.Panics(t, func() { scanTicks(t, s, wrong) }, "%+v", wrong)
	}
}

func logIndex(t *testing.T, s *store.Store) {
	// Pairs of rows have the same time: the key decides.
	for i := range 20 {
		kind := []string{"x", "y"}[i%2]
		appendTicks(t, s, tick{OrgID: "o", Seq: int64(i), Kind: kind, At: noon.Add(time.Duration(i/4) * time.Second)})
	}
	for _, desc := range []bool{false, true} {
		r := store.Range{By: []string{"org_id", "kind", "at"}, Equal: []any{"o", "x"}, Desc: desc, Limit: 3}
		var all []int64
		for {
			rows := scanTicks(t, s, r)
			all = append(all, seqs(rows)...)
			if len(rows) < r.Limit {
				break
			}
			r.After = ticks.Position(r, &rows[len(rows)-1])
		}
		want := []int64{0, 2, 4, 6, 8, 10, 12, 14, 16, 18}
		if desc {
			slices.Reverse(want)
		}
		require.Equal(t, want, all)
	}
	r := store.Range{By: []string{"org_id", "kind", "at"}, Equal: []any{"o", "y"}, From: noon.Add(time.Second), Below: noon.Add(3 * time.Second)}
	require.Equal(t, []int64{5, 7, 9, 11}, seqs(scanTicks(t, s, r)))
}

func logAdds(t *testing.T, s *store.Store) {
	hour := noon.Truncate(time.Hour)
	for range 3 {
		update(t, s, func(ctx context.Context, tx *store.Tx) error {
			return tallies.Add(ctx, tx, []tally{{hour, "b", 1, -5, "kept"}, {hour, "a", 1, 1, ""}, {hour, "b", 2, 1, "dropped"}})
		})
	}
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		rows, err := tallies.Scan(ctx, tx, store.Range{Equal: []any{hour}})
		require.Equal(t, []tally{{hour, "a", 3, 3, ""}, {hour, "b", 9, -12, "kept"}}, rows)
		return err
	})
}

func logAddRace(t *testing.T, s *store.Store) {
	hour := noon.Truncate(time.Hour)
	var wg sync.WaitGroup
	errs := make(chan error, 40)
	for i := range 40 {
		wg.Go(func() {
			errs <- s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				rows := []tally{{Hour: hour, Name: "a", Count: 1}, {Hour: hour, Name: "b", Count: 1}, {Hour: hour, Name: "c", Count: 1}}
				if i%2 == 0 {
					slices.Reverse(rows)
				}
				return tallies.Add(ctx, tx, rows)
			})
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		rows, err := tallies.Scan(ctx, tx, store.Range{})
		require.Len(t, rows, 3)
		for _, r := range rows {
			require.EqualValues(t, 40, r.Count)
		}
		return err
	})
}

func logPrune(t *testing.T, s *store.Store) {
	for i := range 10 {
		appendTicks(t, s, tick{OrgID: "a", Seq: int64(i), At: noon}, tick{OrgID: "b", Seq: int64(i), At: noon})
	}
	prune := func(r store.Range) (n int) {
		update(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
			n, err = ticks.Prune(ctx, tx, r)
			return err
		})
		return n
	}
	require.Equal(t, 3, prune(store.Range{Equal: []any{"a"}, Below: 6, Limit: 3}))
	require.Equal(t, 3, prune(store.Range{Equal: []any{"a"}, Below: 6}))
	require.Equal(t, 0, prune(store.Range{Equal: []any{"a"}, Below: 6}))
	require.Equal(t, 0, prune(store.Range{Equal: []any{"nobody"}}))
	require.Equal(t, []int64{6, 7, 8, 9}, seqs(scanTicks(t, s, store.Range{Equal: []any{"a"}})))
	require.Len(t, scanTicks(t, s, store.Range{By: []string{"org_id", "kind", "at"}, Equal: []any{"a", ""}}), 4, "the index knows")
	require.Len(t, scanTicks(t, s, store.Range{Equal: []any{"b"}}), 10)
	require.Equal(t, []bool{true}, appendTicks(t, s, tick{OrgID: "a", Seq: 0, At: noon}), "its key is free again")
}

func logRollback(t *testing.T, s *store.Store) {
	boom := errors.New("boom")
	err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := ticks.AppendMany(ctx, tx, []tick{{OrgID: "o", Seq: 1, Kind: "lost", At: noon}})
		return errors.Join(err, boom)
	})
	require.ErrorIs(t, err, boom)
	require.Empty(t, scanTicks(t, s, store.Range{Equal: []any{"o"}}))
	// The numbers of the words that were lost are given to others.
	appendTicks(t, s, tick{OrgID: "p", Seq: 1, Kind: "kept", At: noon}, tick{OrgID: "o", Seq: 1, Kind: "lost", At: noon})
	require.Equal(t, "kept", scanTicks(t, s, store.Range{Equal: []any{"p"}})[0].Kind)
	require.Equal(t, "lost", scanTicks(t, s, store.Range{Equal: []any{"o"}})[0].Kind)
}

func logWords(t *testing.T, s *store.Store) {
	var wg sync.WaitGroup
	errs := make(chan error, 20)
	for i := range 20 {
		wg.Go(func() {
			errs <- s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				var rows []tick
				for j := range 10 {
					rows = append(rows, tick{OrgID: fmt.Sprint("org", (i+j)%10), Seq: int64(i*100 + j), Kind: fmt.Sprint("kind", (i+j)%10), At: noon})
				}
				_, err := ticks.AppendMany(ctx, tx, rows)
				return err
			})
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	for i := range 10 {
		rows := scanTicks(t, s, store.Range{Equal: []any{fmt.Sprint("org", i)}})
		require.Len(t, rows, 20)
		for _, r := range rows {
			require.Equal(t, fmt.Sprint("kind", i), r.Kind)
		}
	}
}
