package audit

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/orgkit/orgkit/store"
)

// ways are the indexes by which the events can be found, each as ranges of one shape.
func (q *query) ways() (ways [][]store.Range) {
	if q.resources != nil {
		ways = append(ways, by(q, byResource, func(orgID string) []int64 { return q.resources.keys[orgID] }))
	}
	if pairs, few := q.pairs(); few { // of actors or of types alone nothing is as narrow
		return append(ways, pairs)
	}
	if q.actors != nil {
		ways = append(ways, by(q, byActor, func(orgID string) []int64 { return q.actors.keys[orgID] }))
	}
	if q.kinds != nil {
		all := slices.Sorted(maps.Keys(q.kinds))
		ways = append(ways, by(q, byKind, func(string) []string { return all }))
	}
	return ways
}

// by are the ranges of an index, by the values that each organization has.
func by[V any](q *query, index []string, values func(orgID string) []V) []store.Range {
	n := 0
	for _, orgID := range q.orgIDs {
		n += len(values(orgID))
	}
	ranges := make([]store.Range, 0, n)
	for _, orgID := range q.orgIDs {
		for _, v := range values(orgID) {
			ranges = append(ranges, q.bounded(store.Range{By: index, Equal: []any{orgID, v}}, orgID))
		}
	}
	return ranges
}

// maxPairs is how many pairs of an actor and a type are worth looking for each.
var maxPairs = 512

// pairs are the ranges of the actors with each of the types, where both are asked for and these are few.
func (q *query) pairs() (ranges []store.Range, few bool) {
	if q.actors == nil || q.kinds == nil {
		return nil, false
	}
	all := slices.Sorted(maps.Keys(q.kinds))
	for _, orgID := range q.orgIDs {
		for _, actor := range q.actors.keys[orgID] {
			if len(ranges)+len(all) > maxPairs {
				return nil, false
			}
			for _, kind := range all {
				ranges = append(ranges, q.bounded(store.Range{By: byActorKind, Equal: []any{orgID, actor, kind}}, orgID))
			}
		}
	}
	return ranges, true
}

// whole are all events of the organizations.
func (q *query) whole() []store.Range {
	ranges := make([]store.Range, 0, len(q.orgIDs))
	for _, orgID := range q.orgIDs {
		ranges = append(ranges, q.bounded(store.Range{Equal: []any{orgID}}, orgID))
	}
	return ranges
}

// Rows are kept in microseconds.
var (
	dawn = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	dusk = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
)

// bounded adds the times: those of the filter, both inclusive, and what lies behind the page before.
func (q *query) bounded(r store.Range, orgID string) store.Range {
	from, below := dawn, dusk
	if !q.Start.IsZero() {
		from = q.Start.Add(time.Microsecond - 1).Truncate(time.Microsecond)
	}
	if !q.End.IsZero() {
		below = q.End.Truncate(time.Microsecond).Add(time.Microsecond)
	}
	if p := q.behind; p != nil {
		at := time.UnixMicro(p.At).UTC()
		next := at.Add(time.Microsecond)
		switch {
		case q.Ascending && orgID > p.OrgID:
			from = latest(from, at)
		case q.Ascending:
			from = latest(from, next)
		case orgID < p.OrgID:
			below = earliest(below, next)
		default:
			below = earliest(below, at)
		}
	}
	r.From, r.Below, r.Desc = from, below, !q.Ascending
	return r
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// sampled is how many rows of each way are looked at to tell which is the narrowest.
const sampled = 16

// walk chooses the way whose events lie farthest apart.
func (q *query) walk(ctx context.Context, tx *store.Tx) (*walk, error) {
	ways := q.ways()
	if len(ways) == 1 {
		if len(ways[0]) > manyRanges && len(ways[0]) > 2*len(q.orgIDs) {
			if w, err := q.dense(ctx, tx); err != nil || w != nil {
				return w, err
			}
		}
		return newWalk(ways[0], !q.Ascending, q.limit+1), nil
	}
	walks := make([]*walk, len(ways))
	for i, ranges := range ways {
		walks[i] = newWalk(ranges, !q.Ascending, sampled)
	}
	if err := fill(ctx, tx, nil, walks...); err != nil {
		return nil, err
	}
	var best *walk
	var span time.Duration
	for _, w := range walks {
		var sample []*kept
		for len(sample) < sampled {
			r, err := w.next(ctx, tx)
			if err != nil {
				return nil, err
			}
			if r == nil { // there are no more: nothing is narrower
				return &walk{rest: sample, desc: w.desc}, nil
			}
			sample = append(sample, r)
		}
		if d := sample[0].At.Sub(sample[len(sample)-1].At).Abs(); best == nil || d > span {
			best, span = w, d
			best.rest = sample
		}
	}
	best.expect(q.limit + 1)
	return best, nil
}

// manyRanges is from about how many ranges on it is worth a look whether most events are asked for anyway.
var manyRanges = 1500

// dense returns a walk through all events where at least every eighth is asked for, nil where it is not: that is less
// than to begin at as many places as there are organizations and types.
func (q *query) dense(ctx context.Context, tx *store.Tx) (*walk, error) {
	w := newWalk(q.whole(), !q.Ascending, 8*(q.limit+1))
	var sample []*kept
	met := 0
	for len(sample) < 8*sampled {
		r, err := w.next(ctx, tx)
		if err != nil {
			return nil, err
		}
		if r == nil {
			return &walk{rest: sample, desc: w.desc}, nil
		}
		sample = append(sample, r)
		if _, _, ok := q.public(r); ok {
			met++
		}
	}
	if met < sampled {
		return nil, nil
	}
	w.rest = sample
	return w, nil
}
