package billing

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/orgkit/orgkit/store"
)

// usageName is a user or a tag of an organization, with its number, counted from 0 in the order in which they appeared.
type usageName struct {
	OrgID string `store:"word"`
	Kind  string `store:"word"`
	Name  string
	N     int64
	At    time.Time // of the event that had it first, in the order in which they were told
}

var usageNames = store.DefineLog[usageName]("usage_names", []string{"org_id", "kind", "name"})

// nameCount is how many names of a kind an organization has. Whoever numbers new ones holds the lock of its row.
type nameCount struct {
	OrgID string `store:"word"`
	Kind  string `store:"word"`
	Names int64
}

var nameCounts = store.DefineLog[nameCount]("usage_name_counts", []string{"org_id", "kind"})

// The kinds of names.
const (
	userNames = "user"
	tagNames  = "tag"
)

// MaxTagValues is how many tags, each with its value, an organization has sums of. The events keep all of them; in the sums
// those that come later are one by their name (billing edge 59).
const MaxTagValues = 10_000

// nameKey is a name to be numbered.
type nameKey struct{ org, kind, name string }

// nameMemory remembers numbers that are committed. They never change.
type nameMemory struct {
	mu    sync.Mutex
	known map[nameKey]int64
}

const maxRemembered = 100_000

func (m *nameMemory) look(keys map[nameKey]time.Time, into map[nameKey]int64) (unknown []nameKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range keys {
		if n, is := m.known[k]; is {
			into[k] = n
		} else {
			unknown = append(unknown, k)
		}
	}
	return unknown
}

func (m *nameMemory) learn(found map[nameKey]int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known)+len(found) > maxRemembered {
		m.known = make(map[nameKey]int64, len(found))
	}
	for k, n := range found {
		m.known[k] = n
	}
}

// number returns the numbers of names, with when each appeared first should it be new. Tags for which there is no more
// room are left out.
func (m *Metering) number(ctx context.Context, tx *store.Tx, names map[nameKey]time.Time) (map[nameKey]int64, error) {
	numbers := make(map[nameKey]int64, len(names))
	unknown := m.names.look(names, numbers)
	if len(unknown) == 0 {
		return numbers, nil
	}
	unknown, found, err := numbered(ctx, tx, unknown)
	if err != nil {
		return nil, err
	}
	if len(unknown) > 0 {
		if err := numberNew(ctx, tx, unknown, names, found); err != nil {
			return nil, err
		}
	}
	for k, n := range found {
		numbers[k] = n
	}
	tx.AfterCommit(func() { m.names.learn(found) })
	return numbers, nil
}

// numbered are the names that have a number, and those that have none.
func numbered(ctx context.Context, tx *store.Tx, names []nameKey) (unknown []nameKey, found map[nameKey]int64, err error) {
	found = map[nameKey]int64{}
	ranges := make([]store.Range, len(names))
	for i, k := range names {
		ranges[i] = store.Range{Equal: []any{k.org, k.kind, k.name}, Limit: 1}
	}
	there, err := usageNames.ScanEach(ctx, tx, ranges)
	if err != nil {
		return nil, nil, err
	}
	for i, k := range names {
		if len(there[i]) > 0 {
			found[k] = there[i][0].N
		} else {
			unknown = append(unknown, k)
		}
	}
	return unknown, found, nil
}

// numberNew gives numbers to names that had none a moment ago. Names of one kind and organization are numbered by one
// unit at a time.
func numberNew(ctx context.Context, tx *store.Tx, names []nameKey, first map[nameKey]time.Time, found map[nameKey]int64) error {
	slices.SortFunc(names, func(a, b nameKey) int {
		if c := slices.Compare([]string{a.org, a.kind}, []string{b.org, b.kind}); c != 0 {
			return c
		}
		if c := first[a].Compare(first[b]); c != 0 {
			return c
		}
		return slices.Compare([]string{a.name}, []string{b.name})
	})
	var counters []nameCount
	for _, k := range names {
		if c := (nameCount{OrgID: k.org, Kind: k.kind}); len(counters) == 0 || counters[len(counters)-1] != c {
			counters = append(counters, c)
		}
	}
	if err := nameCounts.Add(ctx, tx, counters); err != nil { // of nothing: it locks
		return err
	}
	names, others, err := numbered(ctx, tx, names)
	if err != nil {
		return err
	}
	for k, n := range others {
		found[k] = n
	}
	next := map[nameCount]int64{}
	for _, c := range counters {
		rows, err := nameCounts.Scan(ctx, tx, store.Range{Equal: []any{c.OrgID, c.Kind}, Limit: 1})
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return fmt.Errorf("billing: the names of %s are not counted", c.OrgID)
		}
		next[c] = rows[0].Names
	}
	var rows []usageName
	more := make([]nameCount, 0, len(counters))
	for _, k := range names {
		c := nameCount{OrgID: k.org, Kind: k.kind}
		n := next[c]
		if k.kind == tagNames && n >= MaxTagValues {
			continue
		}
		next[c], found[k] = n+1, n
		rows = append(rows, usageName{k.org, k.kind, k.name, n, first[k]})
		more = append(more, nameCount{k.org, k.kind, 1})
	}
	for len(rows) > 0 {
		n := min(len(rows), store.MaxAppend)
		if _, err := usageNames.AppendMany(ctx, tx, rows[:n]); err != nil {
			return err
		}
		if err := nameCounts.Add(ctx, tx, more[:n]); err != nil {
			return err
		}
		rows, more = rows[n:], more[n:]
	}
	return nil
}
