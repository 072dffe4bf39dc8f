package memory

import (
	"context"
	"maps"
	"reflect"

	"github.com/orgkit/orgkit/store"
)

// tx is a transaction: a snapshot, and for a writer the tables that it has changed.
type tx struct {
	driver   *driver
	state    *state
	writable bool
	changed  map[string]*table
	touched  []touched
	over     bool
}

func (t *tx) read(k *store.Kind) *table {
	if c := t.changed[k.Name]; c != nil {
		return c
	}
	if c := t.state.tables[k.Name]; c != nil {
		return c
	}
	return newTable(k)
}

func (t *tx) write(k *store.Kind) *table {
	c := t.changed[k.Name]
	if c == nil {
		if old := t.state.tables[k.Name]; old != nil {
			c = old.copy()
		} else {
			c = newTable(k)
		}
		t.changed[k.Name] = c
	}
	return c
}

// Get needs no lock of its own: there is one writer.
func (t *tx) Get(ctx context.Context, k *store.Kind, id string, _ bool, dst any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	rec, ok := t.find(k, id)
	if !ok {
		return store.ErrNotFound
	}
	k.CloneInto(dst, rec)
	return nil
}

func (t *tx) find(k *store.Kind, id string) (any, bool) {
	if t.changed[k.Name] == nil {
		if rec, ok := t.driver.newest.at(k, id, t.state.number); ok {
			return rec, true
		}
	}
	return t.read(k).get(id)
}

// has is find for a writer who only wants to know.
func (t *tx) has(k *store.Kind, id string) bool {
	if c := t.changed[k.Name]; c != nil {
		_, ok := c.get(id)
		return ok
	}
	return t.driver.newest.has(k, id)
}

func (t *tx) Select(ctx context.Context, k *store.Kind, s store.Selection, dst any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	out := reflect.ValueOf(dst).Elem()
	n := out.Len()
	most := n + s.Limit
	t.read(k).walk(s, func(rec any) bool {
		if n == out.Cap() {
			grow := max(4, n)
			if s.Limit > 0 && n >= 64 { // what is long becomes as long as it may
				grow = most - n
			}
			out.Grow(grow)
		}
		n++
		out.SetLen(n)
		k.CloneInto(out.Index(n-1).Addr().Interface(), rec)
		return s.Limit == 0 || n < most
	})
	return nil
}

func (t *tx) Count(ctx context.Context, k *store.Kind, where []store.Cond) (n int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	t.read(k).walk(store.Selection{Where: where, Order: []store.Order{{Column: "id"}}}, func(any) bool {
		n++
		return true
	})
	return n, nil
}

func (t *tx) Insert(ctx context.Context, k *store.Kind, rec any, skip bool) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	id := k.Meta(rec).ID
	var clash *store.UniqueError
	if t.has(k, id) {
		clash = &store.UniqueError{Kind: k.Name, Columns: []string{"id"}}
	}
	table := t.write(k)
	if clash == nil {
		clash = table.clash(rec)
	}
	switch {
	case clash != nil && skip:
		return false, nil
	case clash != nil:
		return false, clash
	}
	t.put(table, id, rec)
	return true, nil
}

func (t *tx) Update(ctx context.Context, k *store.Kind, rec any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	table, meta := t.write(k), k.Meta(rec)
	old, ok := table.get(meta.ID)
	if !ok {
		return store.ErrNotFound
	}
	if k.Meta(old).Version != meta.Version-1 {
		return store.ErrConflict
	}
	table.remove(old)
	if clash := table.clash(rec); clash != nil {
		table.put(old)
		return clash
	}
	t.put(table, meta.ID, rec)
	return nil
}

func (t *tx) Put(ctx context.Context, k *store.Kind, recs any) error {
	list := reflect.ValueOf(recs)
	for i := range list.Len() {
		rec := list.Index(i).Interface()
		var err error
		if k.Meta(rec).Version == 1 {
			var fresh bool
			if fresh, err = t.Insert(ctx, k, rec, true); err == nil && !fresh {
				err = store.ErrConflict
			}
		} else {
			err = t.Update(ctx, k, rec)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// put keeps a copy of the record.
func (t *tx) put(table *table, id string, rec any) {
	kept := table.kind.Clone(rec)
	table.put(kept)
	t.touched = append(t.touched, touched{table.kind, id, kept})
}

func (t *tx) Delete(ctx context.Context, k *store.Kind, ids []string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	table := t.write(k)
	for _, id := range ids {
		old, ok := table.get(id)
		if !ok {
			return store.ErrNotFound
		}
		table.remove(old)
		t.touched = append(t.touched, touched{k, id, nil})
	}
	return nil
}

func (t *tx) Commit(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if t.driver.closed.Load() {
		return store.ErrClosed
	}
	next := &state{number: t.state.number + 1, tables: maps.Clone(t.state.tables)}
	if next.tables == nil {
		next.tables = map[string]*table{}
	}
	maps.Copy(next.tables, t.changed)
	t.driver.newest.note(t.touched, next.number)
	t.driver.state.Store(next)
	t.end()
	return nil
}

func (t *tx) Rollback() error {
	t.end()
	return nil
}

func (t *tx) end() {
	if t.over || !t.writable {
		return
	}
	t.over = true
	t.driver.writer.Unlock()
}
