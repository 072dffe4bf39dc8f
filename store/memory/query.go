package memory

import (
	"slices"
	"strings"

	"github.com/orgkit/orgkit/store"
)

// maxPrefixes bounds how many key prefixes a plan walks; beyond it the rest is filtered.
const maxPrefixes = 1000

// plan is an index and the prefixes of its keys under which all records of a query lie.
type plan struct {
	index    *index
	prefixes [][]any
	width    int // columns in each prefix
}

// choose takes an index that says of single records that they are the ones; else the index with the longest prefix of columns
// that are fixed by the conditions.
func (t *table) choose(where []store.Cond, order []store.Order) plan {
	best := plan{index: t.indexes[0], prefixes: [][]any{nil}}
	bestOrdered := false
	for _, ix := range t.indexes {
		p := plan{index: ix, prefixes: [][]any{nil}}
		for _, column := range ix.columns {
			values := fixed(where, column)
			if values == nil || len(values)*len(p.prefixes) > maxPrefixes {
				break
			}
			var next [][]any
			for _, prefix := range p.prefixes {
				for _, v := range values {
					next = append(next, append(slices.Clone(prefix), v))
				}
			}
			p.prefixes = next
			p.width++
		}
		_, ordered := p.direction(order)
		switch single := p.single(); {
		case single != best.single():
			if single {
				best, bestOrdered = p, ordered
			}
		case p.width > best.width || p.width == best.width && ordered && !bestOrdered:
			best, bestOrdered = p, ordered
		}
	}
	return best
}

// single says whether there is at most one record for each prefix: there may be several for null.
func (p plan) single() bool {
	return p.index.unique && p.width == len(p.index.columns) &&
		!slices.ContainsFunc(p.prefixes, func(values []any) bool { return slices.Contains(values, nil) })
}

// fixed returns the values that a column can have, nil when the conditions leave it open.
func fixed(where []store.Cond, column string) []any {
	for _, c := range where {
		if c.Column == column && (c.Op == store.OpEq || c.Op == store.OpIn) {
			values := slices.Clone(c.Values)
			slices.SortFunc(values, store.Compare)
			values = slices.CompactFunc(values, func(a, b any) bool { return store.Compare(a, b) == 0 })
			if c.Op == store.OpIn {
				values = slices.DeleteFunc(values, func(v any) bool { return v == nil })
			}
			if values == nil {
				values = []any{}
			}
			return values
		}
	}
	return nil
}

// direction says whether walking the one prefix of the plan yields the wanted order, and which way.
func (p plan) direction(order []store.Order) (desc, ok bool) {
	if len(p.prefixes) != 1 {
		return false, false
	}
	rest := p.index.columns[p.width:]
	if p.index.columns[0] == "id" {
		rest = nil // the key is the id
	}
	if len(rest) != len(order)-1 {
		return false, false
	}
	for i, o := range order {
		if i < len(rest) && o.Column != rest[i] || o.Desc != order[0].Desc {
			return false, false
		}
	}
	return order[0].Desc, true
}

func matches(k *store.Kind, rec any, where []store.Cond) bool {
	for _, c := range where {
		v := k.Value(rec, c.Column)
		equal := func(w any) bool { return w != nil && v != nil && store.Compare(v, w) == 0 }
		ok := false
		switch c.Op {
		case store.OpEq:
			ok = equal(c.Values[0]) || v == nil && c.Values[0] == nil
		case store.OpIn:
			ok = slices.ContainsFunc(c.Values, equal)
		case store.OpFrom:
			ok = v != nil && store.Compare(v, c.Values[0]) >= 0
		case store.OpBelow:
			ok = v != nil && store.Compare(v, c.Values[0]) < 0
		}
		if !ok {
			return false
		}
	}
	return true
}

// walk calls yield for every matching record until it returns false, in the order of the selection.
func (t *table) walk(s store.Selection, yield func(rec any) bool) {
	p := t.choose(s.Where, s.Order)
	if len(p.prefixes) == 0 {
		return
	}
	if desc, ok := p.direction(s.Order); ok {
		t.stream(p, s, desc, yield)
		return
	}
	var found []any
	for _, prefix := range p.prefixes {
		from := encode("", prefix...)
		p.index.tree.Ascend(&entry{key: from}, func(e *entry) bool {
			if !strings.HasPrefix(e.key, from) {
				return false
			}
			if matches(t.kind, e.rec, s.Where) && behind(t.kind, e.rec, s) {
				found = append(found, e.rec)
			}
			return true
		})
	}
	slices.SortFunc(found, func(a, b any) int { return compareBy(t.kind, a, b, s.Order) })
	for _, rec := range found {
		if !yield(rec) {
			return
		}
	}
}

// stream walks one prefix in the order of the index, from the cursor on.
func (t *table) stream(p plan, s store.Selection, desc bool, yield func(rec any) bool) {
	prefix := encode("", p.prefixes[0]...)
	each := func(e *entry) bool {
		if !strings.HasPrefix(e.key, prefix) {
			return false
		}
		if !matches(t.kind, e.rec, s.Where) || !behind(t.kind, e.rec, s) {
			return true
		}
		return yield(e.rec)
	}
	from := &entry{key: prefix}
	if desc {
		from.key = prefix + above
	}
	if s.After != nil {
		if p.index.columns[0] == "id" {
			from.key = encode("", s.After[len(s.After)-1])
		} else {
			from.key = encode(prefix, s.After...)
		}
	}
	if desc {
		p.index.tree.Descend(from, each)
	} else {
		p.index.tree.Ascend(from, each)
	}
}

// behind says whether the record lies strictly behind the cursor.
func behind(k *store.Kind, rec any, s store.Selection) bool {
	if s.After == nil {
		return true
	}
	for i, o := range s.Order {
		c := store.Compare(k.Value(rec, o.Column), s.After[i])
		if o.Desc {
			c = -c
		}
		if c != 0 {
			return c > 0
		}
	}
	return false
}

func compareBy(k *store.Kind, a, b any, order []store.Order) int {
	for _, o := range order {
		c := store.Compare(k.Value(a, o.Column), k.Value(b, o.Column))
		if o.Desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return strings.Compare(k.Meta(a).ID, k.Meta(b).ID)
}
