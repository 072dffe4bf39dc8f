package billing

import (
	"context"
	"slices"
	"time"

	"github.com/orgkit/orgkit/store"
)

// piece is a part of a span that is read by one grain, or, with none, event by event.
type piece struct {
	grain       grain
	from, below time.Time
}

// cover takes a span apart so that it is read exactly and by the coarsest grains: by whole days where they lie within it,
// then by hours and so on, and by the events of what is left at both ends. The grains are the finest first.
func cover(s Span, by []grain) (pieces []piece) {
	if !s.From.Before(s.Below) {
		return nil
	}
	if len(by) == 0 {
		return []piece{{"", s.From, s.Below}}
	}
	g, finer := by[len(by)-1], by[:len(by)-1]
	length := lengths[g]
	from := s.From.UTC().Truncate(length)
	if from.Before(s.From) {
		from = from.Add(length)
	}
	below := s.Below.UTC().Truncate(length)
	if !from.Before(below) {
		return cover(s, finer)
	}
	return slices.Concat(cover(Span{s.From, from}, finer), []piece{{g, from, below}}, cover(Span{below, s.Below}, finer))
}

// covering reads one span of one organization.
type covering struct {
	metering *Metering
	tx       *store.Tx
	orgID    string
	span     Span
	edges    map[bool]*tally // of the events that are read one by one, by whether five minutes are kept
}

func (m *Metering) covering(tx *store.Tx, orgID string, s Span) *covering {
	return &covering{m, tx, orgID, s, map[bool]*tally{}}
}

// found is what a dimension has within the span: by value, from all of its pieces.
type found struct {
	dim   Dimension
	sums  map[string]*usageSums
	users map[string]userSet
	spans map[string]*spread
}

// read returns the sums of dimensions, and of those that are known by them the users and latencies, where that is wanted.
// On a database server it is two round trips, besides those that dictionaries take.
func (c *covering) read(ctx context.Context, wants ...wanted) ([]found, error) {
	out := make([]found, len(wants))
	var sums, users, spans pieces
	for i, w := range wants {
		out[i] = found{w.dim, map[string]*usageSums{}, map[string]userSet{}, map[string]*spread{}}
		for _, p := range cover(c.span, w.dim.grains()) {
			if p.grain == "" {
				continue
			}
			r := store.Range{Equal: []any{c.orgID, w.dim.of(p.grain)}, From: p.from, Below: p.below, Limit: store.MaxAppend}
			if w.users {
				users.add(i, r)
			}
			r.Sum = "value"
			sums.add(i, r)
			if w.latency {
				spans.add(i, r)
			}
		}
	}
	var sumRows [][]rollup
	var userRows [][]activeUsers
	var spanRows [][]latencyRow
	err := c.tx.ReadAll(ctx, rollups.Read(&sumRows, sums.ranges...), actives.Read(&userRows, users.ranges...), latencies.Read(&spanRows, spans.ranges...))
	if err != nil {
		return nil, err
	}
	err = each(ctx, c.tx, rollups, &sums, sumRows, func(i int, r *rollup) {
		s := r.sums()
		out[i].sum(r.Value).add(&s)
	})
	if err != nil {
		return nil, err
	}
	if err = each(ctx, c.tx, actives, &users, userRows, func(i int, r *activeUsers) { r.into(out[i].userSet(r.Value)) }); err != nil {
		return nil, err
	}
	err = each(ctx, c.tx, latencies, &spans, spanRows, func(i int, r *latencyRow) {
		s := r.spread()
		out[i].spread(r.Value).join(&s)
	})
	if err != nil {
		return nil, err
	}
	for i := range wants {
		if err := c.readEdges(ctx, &out[i], wants[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// wanted is a dimension that is asked for, and what of it.
type wanted struct {
	dim            Dimension
	users, latency bool
}

// pieces are ranges of one log, and for whom each is.
type pieces struct {
	whose  []int
	ranges []store.Range
}

func (p *pieces) add(i int, r store.Range) {
	p.whose, p.ranges = append(p.whose, i), append(p.ranges, r)
}

// each walks what was read, and what lies behind the first page of a range.
func each[T any](ctx context.Context, tx *store.Tx, l store.Log[T], p *pieces, rows [][]T, fn func(i int, row *T)) error {
	for n, list := range rows {
		for r := p.ranges[n]; ; {
			for i := range list {
				fn(p.whose[n], &list[i])
			}
			if len(list) < r.Limit {
				break
			}
			r.After = l.Position(r, &list[len(list)-1])
			var err error
			if list, err = l.Scan(ctx, tx, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// readEdges adds the events at the ends of the span.
func (c *covering) readEdges(ctx context.Context, f *found, w wanted) error {
	grains := w.dim.grains()
	fine := grains[0] == fives
	t := c.edges[fine]
	if t == nil {
		t = newTally()
		by := byHours
		if fine {
			by = byFives
		}
		for _, p := range cover(c.span, grains) {
			if p.grain == "" {
				if err := c.metering.recount(ctx, c.tx, t, by, c.orgID, p.from, p.below); err != nil {
					return err
				}
			}
		}
		t.part()
		c.edges[fine] = t
	}
	for k, s := range t.sums {
		if k.dim == w.dim && k.grain == grains[0] {
			f.sum(k.value).add(s)
		}
	}
	for k, u := range t.users {
		if w.users && k.dim == w.dim && k.grain == grains[0] {
			f.userSet(k.value).join(u)
		}
	}
	for k, s := range t.spans {
		if w.latency && k.dim == w.dim && k.grain == grains[0] {
			f.spread(k.value).join(s)
		}
	}
	return nil
}

func (f *found) sum(value string) *usageSums {
	s := f.sums[value]
	if s == nil {
		s = &usageSums{}
		f.sums[value] = s
	}
	return s
}

func (f *found) userSet(value string) userSet {
	u := f.users[value]
	if u == nil {
		u = userSet{}
		f.users[value] = u
	}
	return u
}

func (f *found) spread(value string) *spread {
	s := f.spans[value]
	if s == nil {
		s = &spread{}
		f.spans[value] = s
	}
	return s
}
