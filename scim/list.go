package scim

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/scim/filter"
	"github.com/orgkit/orgkit/scim/schema"
	"github.com/orgkit/orgkit/store"
)

const searchURN = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"

// query is what a list is asked for (RFC 7644 §3.4.2).
type query struct {
	filter            string
	sortBy, sortOrder string
	start, count      string // as they were written, "" for none
	cursor            *string
	include, exclude  []string
	longest           int // of the filter, in bytes
}

// find is a query whose names are known.
type find struct {
	kind   *kind
	filter *filter.Filter // nil: all
	sort   *schema.Ref    // nil: by id
	desc   bool
	show   projection
	start  int // from 1
	count  int
	cursor *string // nil: by index
	about  string  // what a cursor is bound to
}

// maxURLFilter is the longest filter in a URL.
const maxURLFilter = 8 << 10

func (q *request) list(k *kind) (*answer, error) {
	v := q.http.URL.Query()
	in := query{filter: v.Get("filter"), sortBy: v.Get("sortBy"), sortOrder: v.Get("sortOrder"), start: v.Get("startIndex"), count: v.Get("count"),
		include: names(v["attributes"]), exclude: names(v["excludedAttributes"]), longest: maxURLFilter}
	if v.Has("cursor") {
		c := v.Get("cursor")
		in.cursor = &c
	}
	return q.listed(k, in)
}

func (q *request) search(k *kind) (*answer, error) {
	return q.withBody(users.limit, func(body map[string]any) (*answer, error) {
		in, err := searchRequest(body)
		if err != nil {
			return nil, err
		}
		return q.listed(k, in)
	})
}

// searchRequest reads the body of a search (RFC 7644 §3.4.3).
func searchRequest(body map[string]any) (in query, err error) {
	if v, _ := schema.Named(body, "schemas"); !isNamed(v, searchURN) {
		return in, schema.Errorf(schema.InvalidSyntax, "schemas must name %s", searchURN)
	}
	in.longest = filter.MaxText
	text := func(name string) (s string) {
		v, _ := schema.Named(body, name)
		switch v := v.(type) {
		case nil:
		case string:
			s = v
		case fmt.Stringer: // a number
			s = v.String()
		default:
			err = schema.Errorf(schema.InvalidValue, "%s has a wrong type", name)
		}
		return s
	}
	list := func(name string) (all []string) {
		v, _ := schema.Named(body, name)
		if s, ok := v.(string); ok {
			return names([]string{s})
		}
		some, ok := v.([]any)
		if v != nil && !ok {
			err = schema.Errorf(schema.InvalidValue, "%s must be a list", name)
		}
		for _, v := range some {
			s, _ := v.(string)
			all = append(all, s)
		}
		return all
	}
	in.filter, in.sortBy, in.sortOrder, in.start, in.count = text("filter"), text("sortBy"), text("sortOrder"), text("startIndex"), text("count")
	in.include, in.exclude = list("attributes"), list("excludedAttributes")
	if _, has := schema.Named(body, "cursor"); has {
		c := text("cursor")
		in.cursor = &c
	}
	return in, err
}

func isNamed(schemas any, urn string) bool {
	list, _ := schemas.([]any)
	return slices.ContainsFunc(list, func(v any) bool { s, _ := v.(string); return strings.EqualFold(s, urn) })
}

// listed answers with a page of a list.
func (q *request) listed(k *kind, in query) (*answer, error) {
	f, err := q.compile(k, in)
	if err != nil {
		return nil, err
	}
	var page listResponse
	err = q.m.Provisioned(q.ctx(), func(ctx context.Context, p *orgs.Provisioner) error {
		page, err = q.page(ctx, p, f)
		return err
	})
	return &answer{status: http.StatusOK, body: page}, err
}

// compile looks up what a query names.
func (q *request) compile(k *kind, in query) (f find, err error) {
	f = find{kind: k, cursor: in.cursor, count: defaultPage, start: 1}
	if f.show, err = project(k.typ, in.include, in.exclude); err != nil {
		return f, err
	}
	if in.filter != "" {
		if len(in.filter) > in.longest {
			return f, schema.Errorf(schema.InvalidFilter, "a filter in a URL has at most %d bytes; POST .search takes longer ones", in.longest)
		}
		tree, err := filter.Parse(in.filter)
		if err != nil {
			return f, err
		}
		if f.filter, err = filter.Bind(tree, k.typ); err != nil {
			return f, err
		}
	}
	if in.sortBy != "" {
		if f.sort, err = sortRef(k.typ, in.sortBy); err != nil {
			return f, err
		}
		switch {
		case strings.EqualFold(in.sortOrder, "descending"):
			f.desc = true
		case in.sortOrder != "" && !strings.EqualFold(in.sortOrder, "ascending"):
			return f, schema.Errorf(schema.InvalidValue, "sortOrder must be ascending or descending")
		}
	}
	f.about = strings.Join([]string{q.orgID, k.typ.Name, in.filter, strings.ToLower(in.sortBy), strconv.FormatBool(f.desc)}, "\x00")
	return f, f.window(in)
}

// window reads which part of the list is asked for.
func (f *find) window(in query) error {
	if in.count != "" {
		n, err := strconv.Atoi(in.count)
		switch {
		case f.cursor != nil && (err != nil || n < 1 || n > maxPage):
			return schema.Errorf(schema.InvalidCount, "count must be from 1 to %d", maxPage)
		case err != nil:
			return schema.Errorf(schema.InvalidValue, "count must be a number")
		}
		f.count = min(max(n, 0), maxPage)
	}
	if in.start != "" && f.cursor == nil {
		n, err := strconv.Atoi(in.start)
		if err != nil {
			return schema.Errorf(schema.InvalidValue, "startIndex must be a number")
		}
		f.start = max(n, 1)
	}
	return nil
}

func sortRef(t *schema.ResourceType, name string) (*schema.Ref, error) {
	unknown := schema.Errorf(schema.InvalidPath, "sortBy names no attribute that can be sorted by")
	path, err := filter.ParsePath(name)
	if err != nil || path.Inner != nil {
		return nil, unknown
	}
	r, ok := t.Find(path.Path.URN, path.Path.Attr, path.Path.Sub)
	if !ok || r.Attribute == nil || r.Last().Returned == schema.Never {
		return nil, unknown
	}
	if r.Sub == nil && r.Attribute.Type == schema.Complex {
		if r.Sub = r.Attribute.Value(); r.Sub == nil {
			return nil, unknown
		}
	}
	return &r, nil
}

// page finds the resources of a page, and how many match in all.
func (q *request) page(ctx context.Context, p *orgs.Provisioner, f find) (list listResponse, err error) {
	list = listResponse{Schemas: []string{listURN}, Resources: []schema.Object{}}
	var after *position
	if f.cursor == nil {
		list.StartIndex = f.start
	} else if *f.cursor != "" {
		at, err := q.open(*f.cursor, f.about, q.m.Store().Now())
		if err != nil {
			return list, err
		}
		after = &at
	}
	w := window{find: f, after: after}
	if err := w.fill(ctx, q, p); err != nil {
		return list, err
	}
	base := q.baseOf(p)
	shown, err := f.kind.objects(ctx, p, base, w.taken, f.show.wants(f.kind.linked))
	if err != nil {
		return list, err
	}
	for _, o := range shown {
		list.Resources = append(list.Resources, f.show.show(o))
	}
	list.TotalResults, list.ItemsPerPage = w.total, len(shown)
	if more := w.more || len(shown) < len(w.taken); !more || len(shown) == 0 {
		return list, nil
	}
	now, last := q.m.Store().Now(), w.places[len(shown)-1]
	switch {
	case f.cursor != nil:
		list.NextCursor = q.seal(last, f.about, now)
	case f.filter == nil && f.sort == nil:
		q.walks.passed(walk{q.orgID, f.kind}, f.start+len(shown), last.ID, now)
	}
	return list, nil
}

// window goes over what may match, counts what does, and takes what is on the page.
type window struct {
	find
	after *position

	total  int
	taken  []record
	places []position // of those
	more   bool       // something follows the last of them
	seen   int        // of what counts for the index or lies behind the cursor
}

func (w *window) fill(ctx context.Context, q *request, p *orgs.Provisioner) error {
	switch {
	case w.sort != nil:
		return w.sorted(ctx, q, p)
	case w.filter == nil:
		return w.unfiltered(ctx, q, p)
	}
	for r, err := range w.candidates(ctx, p) {
		if err != nil {
			return err
		}
		if ok, err := w.matches(ctx, q, p, r); err != nil {
			return err
		} else if ok {
			w.total++
			w.take(r, position{ID: r.meta().ID}, w.after == nil || r.meta().ID > w.after.ID)
		}
	}
	return nil
}

// length is how many there are in a list.
func (q *request) length(ctx context.Context, p *orgs.Provisioner, list walk) (int, error) {
	revision, err := p.Revision(ctx)
	if err != nil {
		return 0, err
	}
	now := q.m.Store().Now()
	if n, ok := q.walks.total(list, revision, now); ok {
		return n, nil
	}
	n, err := list.kind.count(ctx, p)
	if err == nil {
		q.walks.counted(list, revision, n, now)
	}
	return n, err
}

// unfiltered reads no further than the page, and of a list that is walked through page by page no more than that.
func (w *window) unfiltered(ctx context.Context, q *request, p *orgs.Provisioner) (err error) {
	from, list := "", walk{q.orgID, w.kind}
	if w.total, err = q.length(ctx, p, list); err != nil || w.count == 0 {
		return err
	}
	switch {
	case w.after != nil:
		from = w.after.ID
	case w.start > w.total:
		return nil
	case w.cursor == nil:
		if id, ok := q.walks.at(list, w.start, q.m.Store().Now()); ok {
			from, w.seen = id, w.start-1
		}
	}
	atOnce := min(w.start-w.seen+w.count, store.MaxLimit) // with the one that says whether there are more
	for r, err := range w.kind.all(ctx, p, from, atOnce) {
		if err != nil {
			return err
		}
		if w.take(r, position{ID: r.meta().ID}, true); w.more {
			break
		}
	}
	return nil
}

// take takes a record that is behind the cursor, if it is on the page.
func (w *window) take(r record, at position, behind bool) {
	if !behind {
		return
	}
	w.seen++
	switch {
	case w.seen < w.start:
	case len(w.taken) < w.count:
		w.taken, w.places = append(w.taken, r), append(w.places, at)
	default:
		w.more = true
	}
}

// candidates are the records of which some may match: by an index where one serves, else all; in the order of their ids.
func (w *window) candidates(ctx context.Context, p *orgs.Provisioner) iter.Seq2[record, error] {
	if w.filter == nil {
		return w.kind.all(ctx, p, "", 0)
	}
	probes, ok := w.filter.Probes(w.kind.indexed...)
	if !ok {
		return w.kind.all(ctx, p, "", 0)
	}
	return func(yield func(record, error) bool) {
		columns := map[string][]string{}
		for _, probe := range probes {
			c := w.kind.column[probe.Name]
			columns[c] = append(columns[c], probe.Key)
		}
		var found []record
		for column, values := range columns {
			slices.Sort(values)
			some, err := w.kind.with(ctx, p, column, slices.Compact(values))
			if err != nil {
				yield(nil, err)
				return
			}
			found = append(found, some...)
		}
		slices.SortFunc(found, func(a, b record) int { return cmp.Compare(a.meta().ID, b.meta().ID) })
		found = slices.CompactFunc(found, func(a, b record) bool { return a.meta().ID == b.meta().ID })
		for _, r := range found {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// object is a record as a resource, with what the filter or the order asks about.
func (w *window) object(ctx context.Context, q *request, p *orgs.Provisioner, r record) (schema.Object, error) {
	asked := w.filter != nil && w.filter.Uses(w.kind.linked)
	linked := asked || w.sort != nil && w.sort.Extension == nil && w.sort.Attribute.Name == w.kind.linked
	if asked && w.sort == nil && w.kind.some != nil {
		if values, ok := w.filter.Picks(w.kind.linked); ok {
			return w.kind.some(ctx, p, q.baseOf(p), r, values)
		}
	}
	all, err := w.kind.objects(ctx, p, q.baseOf(p), []record{r}, linked)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

func (w *window) matches(ctx context.Context, q *request, p *orgs.Provisioner, r record) (bool, error) {
	if w.filter == nil {
		return true, nil
	}
	o, err := w.object(ctx, q, p, r)
	return err == nil && w.filter.Match(o), err
}
