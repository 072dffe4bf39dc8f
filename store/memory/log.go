package memory

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/store"
)

// newLog returns an empty log: the first index is the one by key, the others go on with what of the
// key is not in them, so that every order is total.
func newLog(k *store.Kind) *table {
	t := &table{kind: k}
	t.add(true, k.Key)
	for _, ix := range k.Indexes {
		columns := slices.Clone(ix)
		for _, c := range k.Key {
			if !slices.Contains(columns, c) {
				columns = append(columns, c)
			}
		}
		t.add(false, columns)
	}
	return t
}

// row returns the row with the key of rec.
func (t *table) row(rec any) (any, bool) {
	key, _ := t.indexes[0].key(reflect.ValueOf(rec).Elem())
	e, ok := t.indexes[0].tree.Get(&entry{key: key})
	if !ok {
		return nil, false
	}
	return e.rec, true
}

func (t *table) putRow(rec any) {
	v := reflect.ValueOf(rec).Elem()
	for _, ix := range t.indexes {
		key, _ := ix.key(v)
		ix.tree.Set(&entry{key: key, rec: rec})
	}
}

func (t *table) removeRow(rec any) {
	v := reflect.ValueOf(rec).Elem()
	for _, ix := range t.indexes {
		key, _ := ix.key(v)
		ix.tree.Delete(&entry{key: key})
	}
}

// each calls fn with a copy of every row of the slice.
func each(k *store.Kind, rows any, fn func(i int, rec any)) int {
	v := reflect.ValueOf(rows)
	for i := range v.Len() {
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(v.Index(i))
		fn(i, k.Clone(p.Interface()))
	}
	return v.Len()
}

func (t *tx) Append(ctx context.Context, k *store.Kind, rows any) ([]bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	log := t.write(k)
	fresh := make([]bool, reflect.ValueOf(rows).Len())
	each(k, rows, func(i int, rec any) {
		log.number(rec)
		if _, there := log.row(rec); !there {
			fresh[i] = true
			log.putRow(rec)
		}
	})
	return fresh, nil
}

// number gives a row of a serial log the number behind the last one.
func (t *table) number(rec any) {
	if !t.kind.Serial() {
		return
	}
	c, n := t.indexes[0].fields[0], int64(1)
	if last, any := t.indexes[0].tree.Max(); any {
		n = c.Field(reflect.ValueOf(last.rec).Elem()).Int() + 1
	}
	c.Field(reflect.ValueOf(rec).Elem()).SetInt(n)
}

func (t *tx) Queue(ctx context.Context, k *store.Kind, rows any) error {
	fresh, err := t.Append(ctx, k, rows)
	if err == nil && slices.Contains(fresh, false) {
		return &store.UniqueError{Kind: k.Name, Columns: k.Key}
	}
	return err
}

func (t *tx) Add(ctx context.Context, k *store.Kind, rows any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	log := t.write(k)
	each(k, rows, func(_ int, rec any) {
		old, there := log.row(rec)
		if !there {
			log.putRow(rec)
			return
		}
		sum := k.Clone(old) // readers may hold the old one
		to, from := reflect.ValueOf(sum).Elem(), reflect.ValueOf(rec).Elem()
		for _, c := range k.Sums() {
			c.Field(to).SetInt(c.Field(to).Int() + c.Field(from).Int())
		}
		log.removeRow(old) // a sum may be in an index
		log.putRow(sum)
	})
	return nil
}

// span calls yield for the rows of the span, in its order, until it returns false.
func (t *table) span(s store.Span, yield func(rec any) bool) {
	ix := t.indexes[slices.IndexFunc(t.indexes, func(ix *index) bool { return slices.Equal(ix.columns, s.Order) })]
	prefix := encode("", s.Equal...)
	from, after := &entry{key: prefix}, ""
	switch {
	case s.After != nil:
		after = encode(prefix, s.After...)
		from.key = after
	case s.Desc && s.Below != nil:
		from.key = encode(prefix, s.Below)
	case s.Desc:
		from.key = prefix + above
	case s.From != nil:
		from.key = encode(prefix, s.From)
	}
	var low, high string
	if s.From != nil {
		low = encode(prefix, s.From)
	}
	if s.Below != nil {
		high = encode(prefix, s.Below)
	}
	step := func(e *entry) bool {
		if !strings.HasPrefix(e.key, prefix) {
			return false
		}
		if s.After != nil && e.key == after {
			return true // strictly behind it
		}
		if s.Below != nil && e.key >= high {
			return s.Desc // it comes first in a walk downwards, and ends one upwards
		}
		if s.From != nil && e.key < low {
			return !s.Desc
		}
		return yield(e.rec)
	}
	if s.Desc {
		ix.tree.Descend(from, step)
	} else {
		ix.tree.Ascend(from, step)
	}
}

func (t *tx) Scan(ctx context.Context, k *store.Kind, s store.Span, dst any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	out := reflect.ValueOf(dst).Elem()
	if s.Sum != "" {
		t.sum(k, s, out)
		return nil
	}
	t.read(k).span(s, func(rec any) bool {
		row := reflect.ValueOf(k.Clone(rec)).Elem()
		if s.Bare {
			for _, c := range k.Columns {
				if !slices.Contains(s.Order, c.Name) {
					c.Field(row).SetZero()
				}
			}
		}
		out.Set(reflect.Append(out, row))
		return out.Len() < s.Limit
	})
	return nil
}

// sum reads a span that is added up by a column.
func (t *tx) sum(k *store.Kind, s store.Span, out reflect.Value) {
	by, _ := k.Column(s.Sum)
	groups := map[any]reflect.Value{}
	after := s.After
	s.After = nil
	t.read(k).span(s, func(rec any) bool {
		row := reflect.ValueOf(rec).Elem()
		value := k.Value(rec, s.Sum)
		if after != nil && store.Compare(value, after[0]) <= 0 {
			return true
		}
		sum, there := groups[value]
		if !there {
			sum = reflect.New(row.Type()).Elem()
			by.Field(sum).Set(by.Field(row))
			for _, name := range s.Order[:len(s.Equal)] {
				c, _ := k.Column(name)
				c.Field(sum).Set(c.Field(row))
			}
			groups[value] = sum
		}
		for _, c := range k.Sums() {
			c.Field(sum).SetInt(c.Field(sum).Int() + c.Field(row).Int())
		}
		return true
	})
	values := slices.SortedFunc(maps.Keys(groups), store.Compare)
	for _, value := range values[:min(len(values), s.Limit)] {
		out.Set(reflect.Append(out, groups[value]))
	}
}

func (t *tx) ReadAll(ctx context.Context, reads []store.Read) error {
	for _, r := range reads {
		for i, s := range r.Spans {
			if err := t.Scan(ctx, r.Kind, s, r.Into(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tx) Prune(ctx context.Context, k *store.Kind, s store.Span) (int, error) {
	taken, err := t.take(ctx, k, s)
	return len(taken), err
}

func (t *tx) Claim(ctx context.Context, k *store.Kind, s store.Span, dst any) error {
	taken, err := t.take(ctx, k, s)
	out := reflect.ValueOf(dst).Elem()
	for _, rec := range taken {
		out.Set(reflect.Append(out, reflect.ValueOf(rec).Elem()))
	}
	return err
}

func (t *tx) take(ctx context.Context, k *store.Kind, s store.Span) (taken []any, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	log := t.write(k)
	log.span(s, func(rec any) bool {
		taken = append(taken, rec)
		return len(taken) < s.Limit
	})
	for _, rec := range taken {
		log.removeRow(rec)
	}
	return taken, nil
}
