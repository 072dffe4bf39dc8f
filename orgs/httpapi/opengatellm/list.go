package opengatellm

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

// columns are those that most lists can be ordered by.
var columns = []string{"id", "name", "created", "updated"}

// paging is how much of a list is asked for, and in what order.
type paging struct {
	offset, limit int64
	by            string
	desc          bool
}

// paging reads the parameters of a list that is ordered by one of the columns, the first where none is named.
func (f *form) paging(columns ...string) paging {
	return paging{offset: f.number("offset", "", 0, 0, 0), limit: f.number("limit", "", 10, 1, 100),
		by: f.oneOf("order_by", "sort_by", columns...), desc: f.oneOf("order_direction", "sort_order", "asc", "desc") == "desc"}
}

// entry is what lists are sorted by.
type entry struct {
	id               int64
	name             string
	created, updated int64
}

// compare orders by the column that is asked for, and then by id.
func (p paging) compare(a, b entry) int {
	var c int
	switch p.by {
	case "name":
		c = strings.Compare(a.name, b.name)
	case "created":
		c = cmp.Compare(a.created, b.created)
	case "updated":
		c = cmp.Compare(a.updated, b.updated)
	}
	if c = cmp.Or(c, cmp.Compare(a.id, b.id)); p.desc {
		return -c
	}
	return c
}

// page sorts all there is and returns the part that is asked for.
func page[T any](p paging, all []T, by func(T) entry) []T {
	slices.SortFunc(all, func(a, b T) int { return p.compare(by(a), by(b)) })
	from := min(p.offset, int64(len(all)))
	return all[from : from+min(p.limit, int64(len(all))-from)]
}

// every reads all pages of a list.
func every[T any](page func(after string) (store.Page[T], error)) (all []T, err error) {
	for after := ""; ; {
		p, err := page(after)
		if err != nil {
			return nil, err
		}
		all = append(all, p.Items...)
		if after = p.Next; after == "" {
			return all, nil
		}
	}
}

// beginning is the part of a list that is asked for, with the numbers in it, where it is in the order of the numbers: what has none
// yet comes behind. It reads no more than up to there. Where that is not enough, the list has to be read whole: in another order,
// where it says how much there is of it, at its end, and below a root, where less is read by that than by the numbers of all the host.
func beginning[T any](ctx context.Context, a *api, noun string, p paging, living func(ctx context.Context, tx *store.Tx, ids []string) (map[string]T, error)) (part []T, n map[string]int64, enough bool, err error) {
	if a.opt.Generation == GenerationC || p.by != "id" || p.desc || a.root != "" {
		return nil, nil, false, nil
	}
	err = a.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		part, n, enough = nil, map[string]int64{}, false
		skip, above := p.offset, int64(0)
		for {
			some, err := orgs.NumbersAfter(ctx, tx, noun, above, 200)
			if err != nil || len(some) == 0 {
				return err
			}
			ids := make([]string, len(some))
			for i, s := range some {
				ids[i], above = s.ID, s.Number
			}
			is, err := living(ctx, tx, ids)
			if err != nil {
				return err
			}
			for _, s := range some {
				one, lives := is[s.ID]
				switch {
				case !lives:
				case skip > 0:
					skip--
				default:
					part, n[s.ID] = append(part, one), s.Number
				}
				if enough = int64(len(part)) == p.limit; enough {
					return nil
				}
			}
		}
	})
	return part, n, enough, err
}

// listView is a list.
type listView struct {
	Object string `json:"object"`
	Total  *int64 `json:"total,omitempty"`
	Offset *int64 `json:"offset,omitempty"`
	Limit  *int64 `json:"limit,omitempty"`
	Data   []any  `json:"data"`
}

// listed is the answer with a part of a list: of each record there is what it is sorted by, and how it is shown.
func listed[T any](a *api, p paging, all []T, by func(T) entry, show func(T) (any, error)) (answer, error) {
	v := listView{Object: "list", Data: []any{}}
	if a.opt.Generation == GenerationC {
		n := int64(len(all))
		v.Total, v.Offset, v.Limit = &n, &p.offset, &p.limit
	}
	for _, one := range page(p, all, by) {
		shown, err := show(one)
		if err != nil {
			return answer{}, err
		}
		v.Data = append(v.Data, shown)
	}
	return answer{http.StatusOK, v}, nil
}
