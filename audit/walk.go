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

// walk merges ranges by time, and by organization where times agree.
type walk struct {
	desc  bool
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
	chunk int    // how many are read next
}

// maxChunk is how many rows of a range are read at once.
const maxChunk = 512

// newWalk walks ranges of which about so many rows are wanted together.
func newWalk(ranges []store.Range, desc bool, wanted int) *walk {
	w := &walk{desc: desc}
	chunk := min(maxChunk, wanted)
	if len(ranges) > 1 { // as many as one of them hardly ever has among those that are wanted
		each := float64(wanted) / float64(len(ranges))
		chunk = min(chunk, int(each+2*math.Sqrt(each))+2)
	}
	for _, r := range ranges {
		w.empty = append(w.empty, &source{Range: r, chunk: chunk})
	}
	return w
}

// next returns the next row, nil at the end.
func (w *walk) next(ctx context.Context, tx *store.Tx) (*kept, error) {
	if len(w.rest) > 0 {
		r := w.rest[0]
		w.rest = w.rest[1:]
		return r, nil
	}
	if err := w.fill(ctx, tx); err != nil {
		return nil, err
	}
	if len(w.heap) == 0 {
		return nil, nil
	}
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
	return r, nil
}

func (w *walk) before(a, b *kept) bool {
	c := cmp.Or(a.At.Compare(b.At), strings.Compare(a.OrgID, b.OrgID))
	return w.desc && c > 0 || !w.desc && c < 0
}

// fill reads on where nothing is left, in one round trip.
func (w *walk) fill(ctx context.Context, tx *store.Tx) error {
	if len(w.empty) == 0 {
		return nil
	}
	empty := w.empty
	ranges := make([]store.Range, len(empty))
	chunk := 0
	for _, s := range empty {
		chunk = max(chunk, s.chunk)
	}
	for i, s := range empty {
		s.Limit = chunk
		ranges[i] = s.Range
	}
	found, err := events.ScanEach(ctx, tx, ranges)
	if err != nil {
		return err
	}
	w.empty = nil
	for i, s := range empty {
		s.rows, s.done = found[i], len(found[i]) < chunk
		s.chunk = min(maxChunk, 2*chunk)
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
	return nil
}
