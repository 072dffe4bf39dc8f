package memory

import (
	"reflect"
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
	fields  []store.Column
	unique  bool
	tree    *btree.BTreeG[*entry]
}

// entry is a record under its key: the values of the index, encoded so that the order of the bytes is
// theirs and a prefix of columns is a prefix of bytes. Neither is ever changed: trees that share nodes share
// entries too.
type entry struct {
	key string
	rec any
}

func less(a, b *entry) bool { return a.key < b.key }

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
	ix := &index{columns: columns, unique: unique, tree: btree.NewBTreeGOptions(less, btree.Options{Degree: degree, NoLocks: true})}
	for _, name := range columns {
		c, _ := t.kind.Column(name)
		ix.fields = append(ix.fields, c)
	}
	t.indexes = append(t.indexes, ix)
}

// degree is that of the trees: a writer copies a path of nodes, so that small ones cost it less.
const degree = 8

// copy returns a table that can be changed; it shares all nodes with this one until then.
func (t *table) copy() *table {
	c := &table{kind: t.kind}
	for _, ix := range t.indexes {
		c.indexes = append(c.indexes, &index{ix.columns, ix.fields, ix.unique, ix.tree.Copy()})
	}
	return c
}

func (t *table) get(id string) (any, bool) {
	var buf [64]byte
	e, ok := t.indexes[0].tree.Get(&entry{key: string(appendText(buf[:0], id))})
	if !ok {
		return nil, false
	}
	return e.rec, true
}

// key is the prefix of the columns, and whether one of them is null.
func (ix *index) key(v reflect.Value) (string, bool) {
	var buf [128]byte
	b, null := ix.append(buf[:0], v)
	return string(b), null
}

func (ix *index) append(b []byte, v reflect.Value) ([]byte, bool) {
	var null, any bool
	for _, c := range ix.fields {
		b, null = appendField(b, c.Field(v))
		any = any || null
	}
	return b, any
}

// place is the whole key: with the id behind the columns.
func (t *table) place(ix *index, v reflect.Value, id string) string {
	var buf [128]byte
	b, _ := ix.append(buf[:0], v)
	if ix != t.indexes[0] {
		b = appendText(b, id)
	}
	return string(b)
}

// clash returns the unique set, beside the id, that the record would share with another one.
func (t *table) clash(rec any) *store.UniqueError {
	id := t.kind.Meta(rec).ID
	v := reflect.ValueOf(rec).Elem()
	for _, ix := range t.indexes[1:] {
		if !ix.unique {
			continue
		}
		key, null := ix.key(v)
		if null {
			continue // as in SQL, null equals nothing
		}
		found := false
		ix.tree.Ascend(&entry{key: key}, func(e *entry) bool {
			found = strings.HasPrefix(e.key, key) && t.kind.Meta(e.rec).ID != id
			return false
		})
		if found {
			return &store.UniqueError{Kind: t.kind.Name, Columns: ix.columns}
		}
	}
	return nil
}

func (t *table) put(rec any) {
	id, v := t.kind.Meta(rec).ID, reflect.ValueOf(rec).Elem()
	for _, ix := range t.indexes {
		ix.tree.Set(&entry{t.place(ix, v, id), rec})
	}
}

func (t *table) remove(rec any) {
	id, v := t.kind.Meta(rec).ID, reflect.ValueOf(rec).Elem()
	for _, ix := range t.indexes {
		ix.tree.Delete(&entry{key: t.place(ix, v, id)})
	}
}
