package scim

import (
	"cmp"
	"context"
	"slices"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/scim/schema"
)

// keyed is a record and what it is ordered by.
type keyed struct {
	record
	at position
}

// sorted reads all that matches and orders it (RFC 7644 §3.4.2.3): what has no value comes last, and first downwards.
func (w *window) sorted(ctx context.Context, q *request, p *orgs.Provisioner) error {
	var all []keyed
	for r, err := range w.candidates(ctx, p) {
		if err != nil {
			return err
		}
		o, err := w.object(ctx, q, p, r)
		if err != nil {
			return err
		}
		if w.filter != nil && !w.filter.Match(o) {
			continue
		}
		at := position{ID: r.meta().ID}
		at.Key, at.Has = sortKey(o, *w.sort)
		all = append(all, keyed{r, at})
	}
	order := func(a, b position) int {
		sign := comparePositions(a, b)
		if w.desc {
			return -sign
		}
		return sign
	}
	slices.SortFunc(all, func(a, b keyed) int { return order(a.at, b.at) })
	w.total = len(all)
	for _, one := range all {
		w.take(one.record, one.at, w.after == nil || order(one.at, *w.after) > 0)
	}
	return nil
}

func comparePositions(a, b position) int {
	if a.Has != b.Has {
		if a.Has {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.ID, b.ID))
}

// sortKey is what a resource is ordered by: of many values the primary one, else the first.
func sortKey(o schema.Object, r schema.Ref) (key string, has bool) {
	v := o.Get(r)
	if list, ok := v.([]any); ok {
		v = nil
		if len(list) > 0 {
			v = list[0]
		}
		if primary := schema.Primaries(list); len(primary) > 0 {
			v = list[primary[0]]
		}
	}
	if r.Sub != nil {
		part, _ := v.(schema.Object)
		v = part[r.Sub.Name]
	}
	switch v := v.(type) {
	case bool:
		if v {
			return "1", true
		}
		return "0", true
	case string:
		if at, ok := schema.Time(v); ok && r.Last().Type == schema.DateTime {
			return at.UTC().Format("2006-01-02T15:04:05.000000000"), true
		}
		return r.Last().Key(v), v != ""
	}
	return "", false
}
