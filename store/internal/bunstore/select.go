package bunstore

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/orgkit/orgkit/store"
)

// The texts of Select and Count hold no values, other than those that bun writes: the database has each compiled once, which
// takes as long as a short query.

// heads are the beginnings of SELECTs, by their kinds.
type heads struct{ texts sync.Map }

func (h *heads) of(k *store.Kind) string {
	text, known := h.texts.Load(k)
	if !known {
		text, _ = h.texts.LoadOrStore(k, "SELECT "+Names(ColumnNames(k))+" FROM "+k.Name)
	}
	return text.(string)
}

// Select implements store.DriverTx.
func (t *tx) Select(ctx context.Context, k *store.Kind, s store.Selection, dst any) error {
	q := t.statement()
	q.WriteString(t.heads.of(k))
	if err := t.conditions(q, s.Where); err != nil {
		return err
	}
	if s.After != nil {
		q.WriteString(link(len(s.Where)))
		t.behind(q, s.Order, s.After)
	}
	for i, o := range s.Order {
		if i == 0 {
			q.WriteString(" ORDER BY ")
		} else {
			q.WriteString(", ")
		}
		q.WriteString(quoted(o.Column))
		if o.Desc {
			q.WriteString(" DESC")
		}
	}
	if s.Limit > 0 {
		q.WriteString(" LIMIT " + strconv.Itoa(s.Limit))
	}
	if s.Lock && t.RowLocks {
		q.WriteString(" FOR UPDATE")
	}
	l, records := t.layouts.of(t.Reader, k), reflect.ValueOf(dst).Elem()
	row := make([]any, len(l.columns))
	return t.Error(t.rows(ctx, Direct{Query: Query{q.String(), q.args}}, row, func() error {
		n := records.Len()
		records.Grow(1)
		records.SetLen(n + 1)
		records.Index(n).SetZero()
		return l.read(row, records.Index(n))
	}))
}

// Count implements store.DriverTx.
func (t *tx) Count(ctx context.Context, k *store.Kind, where []store.Cond) (n int, err error) {
	q := t.statement()
	q.WriteString("SELECT count(*) FROM " + k.Name)
	if err := t.conditions(q, where); err != nil {
		return 0, err
	}
	row := make([]any, 1)
	err = t.rows(ctx, Direct{Query: Query{q.String(), q.args}}, row, func() error {
		n = int(row[0].(int64))
		return nil
	})
	return n, t.Error(err)
}

// link stands before the condition that n others stand before.
func link(n int) string {
	if n == 0 {
		return " WHERE "
	}
	return " AND "
}

func quoted(column string) string { return `"` + column + `"` }

// conditions writes conditions.
func (t *tx) conditions(q *statement, where []store.Cond) error {
	for i, c := range where {
		q.WriteString(link(i))
		if err := t.condition(q, c); err != nil {
			return err
		}
	}
	return nil
}

// asKept is a value as the database keeps it.
func (t *tx) asKept(v any) any {
	at, is := v.(time.Time)
	if !is || t.Logs.Numbered {
		return v
	}
	text := t.Reader.Dialect().AppendTime(nil, at) // a literal, in quotes
	return string(text[1 : len(text)-1])
}

func (t *tx) param(q *statement, v any) { q.param(len(t.Logs.Args), t.asKept(v)) }

// condition writes a test of one column.
func (t *tx) condition(q *statement, c store.Cond) error {
	column := quoted(c.Column)
	op := " = "
	switch c.Op {
	case store.OpIn:
		return t.oneOf(q, c)
	case store.OpFrom:
		op = " >= "
	case store.OpBelow:
		op = " < "
	default:
		if c.Values[0] == nil {
			q.WriteString(column + " IS NULL")
			return nil
		}
	}
	q.WriteString(column + op)
	t.param(q, c.Values[0])
	return nil
}

// maxMarks is how many parameters a list is written as. SQLite takes 32,766 in all.
const maxMarks = 1024

// oneOf writes a test against a list, whose length is not in the text, or only roughly.
func (t *tx) oneOf(q *statement, c store.Cond) error {
	column, n := quoted(c.Column), len(c.Values)
	switch {
	case n == 0:
		q.WriteString("1 = 0")
	case t.Logs.Laterals:
		q.WriteString(column + " = ANY(")
		q.param(len(t.Logs.Args), listOf(c.Values))
		q.WriteString(")")
	case n > maxMarks:
		values := make([]any, n)
		for i, v := range c.Values {
			values[i] = t.asKept(v)
		}
		list, err := json.Marshal(values)
		if err != nil {
			return err
		}
		q.WriteString(column + " IN (SELECT value FROM json_each(")
		q.param(len(t.Logs.Args), string(list))
		q.WriteString("))")
	default:
		q.WriteString(column + " IN (")
		for i := 0; i < n || i&(i-1) != 0; i++ { // the next power of two, the rest as the last one
			if i > 0 {
				q.WriteString(", ")
			}
			t.param(q, c.Values[min(i, n-1)])
		}
		q.WriteString(")")
	}
	return nil
}

// listOf is a list of values of one column, of the type that they have. What is null is equal to nothing.
func listOf(values []any) any {
	values = slices.DeleteFunc(slices.Clone(values), func(v any) bool { return v == nil })
	if len(values) == 0 {
		return []string{}
	}
	switch values[0].(type) {
	case int64:
		return arrayOfType[int64](values)
	case bool:
		return arrayOfType[bool](values)
	case time.Time:
		return arrayOfType[time.Time](values)
	}
	return arrayOfType[string](values)
}

// behind writes what lies strictly behind the cursor. Where all columns go one way it is one comparison
// of rows, which an index answers; else: later in the first column, or equal there and later in the
// second, and so on.
func (t *tx) behind(q *statement, order []store.Order, after []any) {
	op := func(o store.Order) string {
		if o.Desc {
			return " < "
		}
		return " > "
	}
	if !slices.ContainsFunc(order, func(o store.Order) bool { return o.Desc != order[0].Desc }) {
		columns := make([]string, len(order))
		for i, o := range order {
			columns[i] = o.Column
		}
		q.WriteString("(" + Names(columns) + ")" + op(order[0]) + "(")
		for i, v := range after {
			if i > 0 {
				q.WriteString(", ")
			}
			t.param(q, v)
		}
		q.WriteString(")")
		return
	}
	for i := range order {
		if i == 0 {
			q.WriteString("((")
		} else {
			q.WriteString(" OR (")
		}
		for j := range i {
			q.WriteString(quoted(order[j].Column) + " = ")
			t.param(q, after[j])
			q.WriteString(" AND ")
		}
		q.WriteString(quoted(order[i].Column) + op(order[i]))
		t.param(q, after[i])
		q.WriteString(")")
	}
	q.WriteString(")")
}
