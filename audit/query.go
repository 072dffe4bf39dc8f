package audit

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash/fnv"
	"iter"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/store"
)

// List returns a page of the organization's events, newest first unless the filter says otherwise. Inside of a unit it
// does not see those that wait for their place.
//
// It walks the index of what is asked for most narrowly and tests the rest in memory. A page may hold fewer events
// than its limit, or none, and still have a Next: a page of what hardly ever happens is not waited for.
func (l *Log) List(ctx context.Context, orgID string, f Filter) (store.Page[Event], error) {
	return l.ListOf(ctx, []string{orgID}, f)
}

// ListOf is List for several organizations together.
func (l *Log) ListOf(ctx context.Context, orgIDs []string, f Filter) (page store.Page[Event], err error) {
	if err := f.Validate(); err != nil {
		return page, err
	}
	err = l.seeing(ctx, func(ctx context.Context, tx *store.Tx, s *sight) (err error) {
		page, err = l.list(ctx, tx, s, orgIDs, f)
		return err
	})
	return page, err
}

// maxWalk is how many events are tested for one page.
const maxWalk = 10_000

func (l *Log) list(ctx context.Context, tx *store.Tx, s *sight, orgIDs []string, f Filter) (page store.Page[Event], err error) {
	orgIDs = slices.Compact(slices.Sorted(slices.Values(orgIDs)))
	q := query{Filter: f, log: l, orgIDs: orgIDs, limit: cmp.Or(f.Limit, 50)}
	if f.After != "" {
		if err := q.open(f.After); err != nil {
			return page, err
		}
	}
	w, err := q.begin(ctx, tx, s)
	if err != nil {
		return page, err
	}
	defer w.release()
	const few = 8 // events, and where there are more, there is mostly a page
	page.Items = make([]Event, 0, min(few, q.limit))
	var last *kept
	var room []byte
	for tested := 0; ; tested++ {
		r, err := w.next(ctx, tx)
		if err != nil || r == nil {
			return page, err
		}
		found, personal, ok := q.public(r)
		if !ok {
			if tested < maxWalk {
				continue
			}
			page.Next = q.close(r)
			return page, nil
		}
		if len(page.Items) == q.limit {
			page.Next = q.close(last)
			return page, nil
		}
		if len(page.Items) == few {
			page.Items = slices.Grow(page.Items, q.limit-len(page.Items))
		}
		e, _ := found.complete(personal, l.opt.Seal, &room) // what is personal in it may be damaged: a list shows the rest, a verification says so
		page.Items, last = append(page.Items, e), r
	}
}

// query is a filter on its way through the log.
type query struct {
	Filter
	log    *Log
	orgIDs []string
	limit  int
	behind *position

	kinds     map[string]bool // those that the globs name; nil: all
	actors    *meant
	resources *meant
}

// position is an event by which a page ended.
type position struct {
	At    int64  `json:"t"`
	OrgID string `json:"o"`
	About uint64 `json:"f"` // the query that the page was of
}

func (q *query) about() uint64 {
	f := q.Filter
	f.After, f.Limit = "", 0
	h := fnv.New64a()
	json.NewEncoder(h).Encode([]any{f, q.orgIDs})
	return h.Sum64()
}

func (q *query) close(r *kept) string {
	b, _ := json.Marshal(position{r.At.UnixMicro(), r.OrgID, q.about()}) // cannot fail
	return base64.RawURLEncoding.EncodeToString(b)
}

func (q *query) open(cursor string) error {
	p := &position{}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || json.Unmarshal(b, p) != nil || p.About != q.about() {
		return store.Invalid("after", "cursor", "is no cursor of this list")
	}
	q.behind = p
	return nil
}

// begin finds out which ids and types are meant, and returns the walk through their events. The sight is read in the
// first round trip: with the events themselves, where nothing has to be found out.
func (q *query) begin(ctx context.Context, tx *store.Tx, s *sight) (*walk, error) {
	reads := s.read()
	actors, resources := q.meant(actorName, q.Actors), q.meant(resourceName, q.Resources)
	for _, m := range []*meaning{actors, resources} {
		if m != nil {
			if m.err != nil {
				return nil, m.err
			}
			reads = append(reads, names.Read(&m.found, m.ranges...))
		}
	}
	var known [][]typed
	byType := len(q.Types) > 0 && !slices.Contains(q.Types, "*") || q.Outcome != ""
	if byType {
		reads = append(reads, kinds.Read(&known, store.Range{Limit: maxTypes}))
	}
	if actors == nil && resources == nil && !byType {
		w := newWalk(q.whole(), !q.Ascending, q.limit+1)
		if err := fill(ctx, tx, reads, w); err != nil {
			return nil, err
		}
		return w, s.clear()
	}
	if err := tx.ReadAll(ctx, reads...); err != nil {
		return nil, err
	}
	if err := s.clear(); err != nil {
		return nil, err
	}
	q.actors, q.resources = actors.learn(q), resources.learn(q)
	if byType {
		q.kinds = map[string]bool{}
		for _, t := range known[0] {
			typ, outcome, _ := strings.Cut(t.Kind, between)
			if (q.Outcome == "" || string(q.Outcome) == outcome) &&
				(len(q.Types) == 0 || slices.ContainsFunc(q.Types, func(glob string) bool { return MatchType(glob, typ) })) {
				q.kinds[t.Kind] = true
			}
		}
	}
	return q.walk(ctx, tx)
}

// maxTypes is how many types of events there may be, with their outcomes: they are those of the program.
const maxTypes = 5000

// meant are those that values of a filter stand for: an id for itself, and all that were known under a name.
type meant struct {
	keys  map[string][]int64           // by organization, see keyOf
	types map[[2]string]map[int64]bool // by organization and type: those keys that were found by a name
	ids   map[[2]string]bool           // by type and id
}

// meaning is what is read to find out who is meant.
type meaning struct {
	values []string
	ranges []store.Range
	many   []int // ranges of each value and organization
	found  [][]name
	err    error
}

// meant says what to read about values of a filter; nil where there are none.
func (q *query) meant(kind string, values []string) *meaning {
	if len(values) == 0 {
		return nil
	}
	m := &meaning{values: values}
	for _, v := range values {
		_, value, _ := strings.Cut(v, ":")
		for _, orgID := range q.orgIDs {
			keys, err := q.log.nameKeys(orgID, kind, value)
			m.err = errors.Join(m.err, err)
			for _, key := range keys {
				m.ranges = append(m.ranges, store.Range{Equal: []any{orgID, kind, key}})
			}
			m.many = append(m.many, len(keys))
		}
	}
	return m
}

// learn takes what was read.
func (m *meaning) learn(q *query) *meant {
	if m == nil {
		return nil
	}
	all := &meant{map[string][]int64{}, map[[2]string]map[int64]bool{}, map[[2]string]bool{}}
	found, many := m.found, m.many
	for _, v := range m.values {
		typ, value, _ := strings.Cut(v, ":")
		all.ids[[2]string{typ, value}] = true
		key := keyOf(value)
		for _, orgID := range q.orgIDs {
			all.add(orgID, key)
			for _, n := range slices.Concat(found[:many[0]]...) {
				all.add(orgID, n.ID)
				at := [2]string{orgID, typ}
				if all.types[at] == nil {
					all.types[at] = map[int64]bool{}
				}
				all.types[at][n.ID] = true
			}
			found, many = found[many[0]:], many[1:]
		}
	}
	return all
}

func (m *meant) add(orgID string, key int64) {
	if !slices.Contains(m.keys[orgID], key) {
		m.keys[orgID] = append(m.keys[orgID], key)
	}
}

// has says whether somebody is meant, by name or by id.
func (m *meant) has(orgID, typ string, key int64, id string) bool {
	return m.types[[2]string{orgID, typ}][key] || m.ids[[2]string{typ, id}]
}

// public is what [kept.public] is of an event that is asked for; not ok of any other.
func (q *query) public(k *kept) (r row, d decoder, ok bool) {
	if q.kinds != nil && !q.kinds[k.Kind] {
		return r, d, false
	}
	r, d, _ = k.public() // what is damaged is no match, or shown as far as it can be read
	return r, d, (q.actors == nil || q.actors.has(k.OrgID, r.ActorType, k.Actor, r.ActorID)) &&
		(q.resources == nil || q.resources.has(k.OrgID, r.ResourceType, k.Resource, r.ResourceID))
}

// Entries walks the log of an organization from a place on, with what proves each event: what an export is made of.
// Events that are pruned are left out.
func (l *Log) Entries(ctx context.Context, tx *store.Tx, orgID string, from int64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		r := store.Range{Equal: []any{orgID}}
		cut, err := lastPrune(ctx, tx, orgID)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		if from = max(from, cut.First); from > 0 {
			first, err := eventAt(ctx, tx, orgID, from)
			if errors.Is(err, store.ErrNotFound) {
				return
			}
			if err != nil {
				yield(Entry{}, err)
				return
			}
			r.From = first.At
		}
		for k, err := range events.All(ctx, tx, r) {
			var e Entry
			if err == nil {
				e, err = k.entry(l.opt.Seal)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}
