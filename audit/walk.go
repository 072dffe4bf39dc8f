package audit

import (
	"cmp"
	"container/heap"
	"context"
	"math"
	"strings"
	"time"

	"github.com/orgkit/orgkit/store"
)

// walk merges ranges by time, and by organization where times agree. Of many ranges it merges what their index has, and
// reads those events alone that are wanted: of a hundred organizations that have a page together each has hardly one on it.
type walk struct {
	desc  bool
	bare  bool
	left  int       // how many rows more are wanted, as far as is known
	page  int       // of how many events the rest is read next, where the ranges are bare
	heap  []*source // those with rows, the next one first
	empty []*source // those that have to be read on
	rest  []*kept   // comes first
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
	rows  []kept // read and not yet taken
	done  bool   // nothing is left but those
	chunk int    // how many are read next at most
}

const (
	// maxChunk is how many rows of a range are read at once at most, leastChunk how many at least.
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
	chunk := min(maxChunk, wanted)
	if len(sources) > 1 { // as many as one of them hardly ever has among those that are wanted
		each := float64(wanted) / float64(len(sources))
		chunk = min(maxChunk, round(min(wanted, int(each+2*math.Sqrt(each))+2)))
		if 2*chunk >= wanted { // mostly one of them has all that is wanted, as of a name that is no id
			chunk = min(maxChunk, wanted)
		}
	}
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
	w.left--
	s := w.heap[0]
	r := &s.rows[0]
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
	found, err := events.ScanEach(ctx, tx, ranges)
	if err != nil {
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

// fill reads on where nothing is left, and besides what else is to be read, in one round trip.
func fill(ctx context.Context, tx *store.Tx, reads []store.Read, walks ...*walk) error {
	found := make([][][]kept, len(walks))
	for i, w := range walks {
		chunk := 0
		for _, s := range w.empty {
			chunk = max(chunk, s.chunk)
		}
		if w.left > 0 { // the last rows of a page need no more than they are
			chunk = min(chunk, max(round(w.left), leastChunk))
		}
		ranges := make([]store.Range, len(w.empty))
		for i, s := range w.empty {
			s.Limit = chunk
			ranges[i] = s.Range
		}
		if len(ranges) > 0 {
			reads = append(reads, events.Read(&found[i], ranges...))
		}
	}
	if err := tx.ReadAll(ctx, reads...); err != nil {
		return err
	}
	for i, w := range walks {
		w.take(found[i])
	}
	return nil
}

// take puts what was read into those that had nothing left.
func (w *walk) take(found [][]kept) {
	empty := w.empty
	w.empty = nil
	for i, s := range empty {
		s.rows, s.done = found[i], len(found[i]) < s.Limit
		s.chunk = min(maxChunk, 2*s.chunk)
		if len(s.rows) == 0 {
			continue
		}
		heap.Push(w, s)
		if last := s.rows[len(s.rows)-1].At; w.desc {
			s.Below = last
		} else {
			s.From = last.Add(time.Microsecond)
		}
	}
}
