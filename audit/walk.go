package audit

import (
	"cmp"
	"container/heap"
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/orgkit/orgkit/store"
)

// walk merges ranges by time, and by organization where times agree. Of many ranges it merges what their index has, and
// reads those events alone that are wanted: of a hundred organizations that have a page together each has hardly one on it.
type walk struct {
	desc  bool
	bare  bool
	given int       // how many rows were merged
	left  int       // how many more are wanted, as far as is known
	page  int       // of how many events the rest is read next, where the ranges are bare
	heap  []*source // those with rows, the next one first
	empty []*source // those that have to be read on
	rest  []*kept   // comes first
	lent  []*[]kept // what all rows were read into
}

// Len, Less, Swap, Push and Pop are those of container/heap.
func (w *walk) Len() int           { return len(w.heap) }
func (w *walk) Less(i, j int) bool { return w.before(&w.heap[i].rows[0], &w.heap[j].rows[0]) }
func (w *walk) Swap(i, j int)      { w.heap[i], w.heap[j] = w.heap[j], w.heap[i] }
func (w *walk) Push(s any)         { w.heap = append(w.heap, s.(*source)) }
func (w *walk) Pop() any {
	last := w.heap[len(w.heap)-1]
	w.heap = w.heap[:len(w.heap)-1]
	return last
}

type source struct {
	store.Range
	rows  []kept // read and not yet merged
	done  bool   // nothing is left but those
	chunk int    // how many are read next, where nothing says how many are wanted
	given int    // how many were merged
}

const (
	// maxChunk is how many rows of a range are read at once at most, leastChunk how many at least once it has given some.
	maxChunk, leastChunk = 512, 8
	// manySources is of how many ranges at least each is read bare first.
	manySources = 16
)

// newWalk walks ranges of which about so many rows are wanted together.
func newWalk(ranges []store.Range, desc bool, wanted int) *walk {
	w := &walk{desc: desc, bare: len(ranges) > manySources, empty: make([]*source, len(ranges))}
	sources := make([]source, len(ranges))
	for i, r := range ranges {
		r.Bare = w.bare
		sources[i].Range, w.empty[i] = r, &sources[i]
	}
	w.expect(wanted)
	return w
}

// expect says how many rows are wanted from now on.
func (w *walk) expect(wanted int) {
	sources := append(w.heap[:len(w.heap):len(w.heap)], w.empty...)
	chunk := wanted // of two mostly one has them all, as of a name that is no id
	switch each := float64(wanted) / float64(len(sources)); {
	case w.bare: // as many as one of them hardly ever has
		chunk = round(min(wanted, int(each+2*math.Sqrt(each))+2))
	case len(sources) > 2: // enough to see which of them have most: each row lies somewhere else on the disk
		chunk = round(int(each/2) + 1)
	}
	chunk = min(chunk, maxChunk)
	w.left, w.page = wanted, min(maxChunk, wanted)
	for _, s := range sources {
		s.chunk = max(s.chunk, chunk)
	}
}

// round returns the next larger of a few numbers: each makes a statement of its own, which a database prepares once.
func round(n int) int {
	for p := 2; ; p *= 2 {
		switch {
		case n <= p:
			return p
		case n <= p+p/2:
			return p + p/2
		}
	}
}

// next returns the next row, nil at the end.
func (w *walk) next(ctx context.Context, tx *store.Tx) (*kept, error) {
	if len(w.rest) == 0 && w.bare {
		if err := w.complete(ctx, tx); err != nil {
			return nil, err
		}
	}
	if len(w.rest) > 0 {
		r := w.rest[0]
		w.rest = w.rest[1:]
		return r, nil
	}
	if w.bare {
		return nil, nil
	}
	r, _, err := w.merged(ctx, tx)
	return r, err
}

// merged returns the next row and of which source it is, nil at the end.
func (w *walk) merged(ctx context.Context, tx *store.Tx) (*kept, *source, error) {
	if len(w.empty) > 0 {
		if err := fill(ctx, tx, nil, w); err != nil {
			return nil, nil, err
		}
	}
	if len(w.heap) == 0 {
		return nil, nil, nil
	}
	s := w.heap[0]
	r := &s.rows[0]
	w.given, s.given, w.left = w.given+1, s.given+1, w.left-1
	switch s.rows = s.rows[1:]; {
	case len(s.rows) > 0:
		heap.Fix(w, 0)
	default:
		heap.Pop(w)
		if !s.done {
			w.empty = append(w.empty, s)
		}
	}
	return r, s, nil
}

func (w *walk) before(a, b *kept) bool {
	c := cmp.Or(a.At.Compare(b.At), strings.Compare(a.OrgID, b.OrgID))
	return w.desc && c > 0 || !w.desc && c < 0
}

// complete reads the next events of bare ranges: of each range those between the first and the last one.
func (w *walk) complete(ctx context.Context, tx *store.Tx) error {
	var order []*source
	var ranges []store.Range
	place := map[*source]int{}
	most := map[*source]int{}
	w.left = max(w.left, w.page)
	for len(order) < w.page {
		r, s, err := w.merged(ctx, tx)
		if err != nil {
			return err
		}
		if r == nil {
			break
		}
		at, known := place[s]
		if !known {
			at = len(ranges)
			place[s] = at
			ranges = append(ranges, store.Range{By: s.By, Equal: s.Equal, From: r.At, Below: r.At.Add(time.Microsecond), Desc: w.desc})
		}
		if w.desc {
			ranges[at].From = r.At
		} else {
			ranges[at].Below = r.At.Add(time.Microsecond)
		}
		most[s]++
		order = append(order, s)
	}
	limit := 1
	for _, n := range most {
		limit = max(limit, n)
	}
	limit = round(limit)
	for i := range ranges {
		ranges[i].Limit = limit
	}
	found := w.room(len(ranges), limit)
	if err := tx.ReadAll(ctx, events.ReadInto(found, ranges...)); err != nil {
		return err
	}
	w.page = min(maxChunk, 2*w.page)
	for _, s := range order {
		if rows := found[place[s]]; len(rows) > 0 { // in the same state of all records
			w.rest = append(w.rest, &rows[0])
			found[place[s]] = rows[1:]
		}
	}
	return nil
}

// due are sources that are read on, as many rows of each.
type due struct {
	walk    *walk
	sources []*source
	found   [][]kept
}

// fill reads on where nothing is left, and besides what else is to be read, in one round trip.
func fill(ctx context.Context, tx *store.Tx, reads []store.Read, walks ...*walk) error {
	var all []*due
	for _, w := range walks {
		for _, d := range w.due() {
			ranges := make([]store.Range, len(d.sources))
			for i, s := range d.sources {
				ranges[i] = s.Range
			}
			d.found = w.room(len(ranges), ranges[0].Limit)
			reads, all = append(reads, events.ReadInto(d.found, ranges...)), append(all, d)
		}
	}
	if err := tx.ReadAll(ctx, reads...); err != nil {
		return err
	}
	for _, d := range all {
		d.walk.take(d.sources, d.found)
	}
	return nil
}

// spare is where rows of pages were read into, for the next ones.
var spare sync.Pool // of *[]kept

// maxRoom is for how many rows there is room at most.
const maxRoom = 4096

// room is where to read rows of so many ranges, until the walk is released.
func (w *walk) room(ranges, limit int) [][]kept {
	each := make([][]kept, ranges)
	n := ranges * limit
	if n > maxRoom {
		return each
	}
	all, _ := spare.Get().(*[]kept)
	if all == nil || len(*all) < n {
		all = new([]kept)
		*all = make([]kept, round(n))
	}
	w.lent = append(w.lent, all)
	for i := range each {
		each[i] = (*all)[i*limit : i*limit : (i+1)*limit]
	}
	return each
}

// release gives back what rows were read into. No row is used any more.
func (w *walk) release() {
	for _, all := range w.lent {
		clear(*all)
		spare.Put(all)
	}
	w.lent = nil
}

// due are the sources that are read on now: those with nothing left, and those that will soon have nothing left if they
// go on as they began. Of a hundred organizations often twenty have most of a page: that is one round trip, not twenty.
func (w *walk) due() (all []*due) {
	if len(w.empty) == 0 {
		return nil
	}
	list := w.empty
	w.empty = nil
	for _, s := range list {
		s.Limit = w.more(s)
	}
	if w.given > 0 {
		for _, s := range w.heap {
			if more := w.more(s); !s.done && s.given > 0 && more > len(s.rows) {
				s.Limit = more - len(s.rows)
				list = append(list, s)
			}
		}
		for _, s := range list {
			s.Limit = min(round(max(s.Limit, leastChunk)), maxChunk)
		}
	}
	slices.SortStableFunc(list, func(a, b *source) int { return a.Limit - b.Limit })
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].Limit == list[0].Limit {
			n++
		}
		all = append(all, &due{walk: w, sources: list[:n]})
		list = list[n:]
	}
	return all
}

// more is how many rows of a source are wanted: a few more than it has among those that are left if it goes on as it began, and
// its chunk, which doubles, where it has not begun or more are wanted than was known.
func (w *walk) more(s *source) int {
	if w.left <= 0 || w.given == 0 {
		return s.chunk
	}
	each := float64(s.given) * float64(w.left) / float64(w.given)
	return min(w.left, int(each+math.Sqrt(each))+1)
}

// take puts what was read into the sources.
func (w *walk) take(sources []*source, found [][]kept) {
	for i, s := range sources {
		rows := found[i]
		s.done, s.chunk = len(rows) < s.Limit, min(maxChunk, 2*s.chunk)
		if len(rows) == 0 {
			continue
		}
		if last := rows[len(rows)-1].At; w.desc {
			s.Below = last
		} else {
			s.From = last.Add(time.Microsecond)
		}
		if len(s.rows) > 0 { // it is in its place already
			s.rows = append(s.rows, rows...)
			continue
		}
		s.rows = rows
		heap.Push(w, s)
	}
}
