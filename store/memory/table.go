package memory

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tidwall/btree"

	"github.com/orgkit/orgkit/store"
)

// table is the records of one kind: the first index is the one by id.
type table struct {
	kind    *store.Kind
	indexes []*index
}

// index is a tree of entries in the order of its columns, then of the ids.
type index struct {
	columns []string
	unique  bool
	tree    *btree.BTreeG[entry]
}

// entry is a record under its key. Records in a tree are never changed.
type entry struct {
	key []any
	id  string
	rec any
}

// above is greater than every value of a column.
type above struct{}

func compareKeys(a, b []any) int {
	for i := range min(len(a), len(b)) {
		_, x := a[i].(above)
		_, y := b[i].(above)
		switch {
		case x || y:
			if x != y {
				return cmp.Compare(btoi(x), btoi(y))
			}
		default:
			if c := store.Compare(a[i], b[i]); c != 0 {
				return c
			}
		}
	}
	return cmp.Compare(len(a), len(b)) // a prefix comes before all that it begins
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func less(a, b entry) bool {
	if c := compareKeys(a.key, b.key); c != 0 {
		return c < 0
	}
	return strings.Compare(a.id, b.id) < 0
}

func newTable(k *store.Kind) *table {
	if k.Key != nil {
		return newLog(k)
	}
	t := &table{kind: k}
	t.add(true, []string{"id"})
	for _, u := range k.Unique {
		t.add(true, u)
	}
	for _, i := range k.Indexes {
		t.add(false, i)
	}
	return t
}

func (t *table) add(unique bool, columns []string) {
	t.indexes = append(t.indexes, &index{columns, unique, btree.NewBTreeG(less)})
}

// copy returns a table that can be changed; it shares all nodes with this one until then.
func (t *table) copy() *table {
	c := &table{kind: t.kind}
	for _, ix := range t.indexes {
		c.indexes = append(c.indexes, &index{ix.columns, ix.unique, ix.tree.Copy()})
	}
	return c
}

func (t *table) get(id string) (any, bool) {
	e, ok := t.indexes[0].tree.Get(entry{key: []any{id}, id: id})
	return e.rec, ok
}

func (t *table) key(ix *index, rec any) []any {
	key := make([]any, len(ix.columns))
	for i, c := range ix.columns {
		key[i] = t.kind.Value(rec, c)
	}
	return key
}

// clash returns the unique set that the record would share with another one.
func (t *table) clash(rec any) *store.UniqueError {
	id := t.kind.Meta(rec).ID
	for _, ix := range t.indexes {
		if !ix.unique {
			continue
		}
		key := t.key(ix, rec)
		if slices.Contains(key, nil) {
			continue // as in SQL, null equals nothing
		}
		found := false
		ix.tree.Ascend(entry{key: key}, func(e entry) bool {
			found = compareKeys(e.key, key) == 0 && (e.id != id || ix.columns[0] == "id")
			return false
		})
		if found {
			return &store.UniqueError{Kind: t.kind.Name, Columns: ix.columns}
		}
	}
	return nil
}

func (t *table) put(rec any) {
	id := t.kind.Meta(rec).ID
	for _, ix := range t.indexes {
		ix.tree.Set(entry{t.key(ix, rec), id, rec})
	}
}

func (t *table) remove(rec any) {
	id := t.kind.Meta(rec).ID
	for _, ix := range t.indexes {
		ix.tree.Delete(entry{key: t.key(ix, rec), id: id})
	}
}
