package bunstore

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/store"
)

// ScanEach asks for one span after another where that costs no round trip, else for all of them at once.
func (t *tx) ScanEach(ctx context.Context, k *store.Kind, spans []store.Span, dst func(i int) any) error {
	if !t.Logs.Laterals {
		return t.Error(t.scanByTurns(ctx, k, spans, dst))
	}
	shape := bounds(spans[0])
	var which []int64 // of the spans that may have rows
	values := make([][]any, len(shape))
	for i, s := range spans {
		row, possible, err := t.boundValues(ctx, k, s)
		if err != nil {
			return t.Error(err)
		}
		if !possible {
			continue
		}
		which = append(which, int64(i))
		for j, v := range row {
			values[j] = append(values[j], v)
		}
	}
	if len(which) == 0 {
		return nil
	}
	st := t.statement()
	st.args = append(st.args, which)
	types, names, conds := []string{"$1::bigint[]"}, []string{"i"}, []string{}
	for j, b := range shape {
		c, _ := k.Column(b.column)
		typ, array := arrayOf(c, values[j])
		st.args = append(st.args, array)
		types = append(types, fmt.Sprintf("$%d::%s[]", j+2, typ))
		names = append(names, fmt.Sprintf("v%d", j))
		conds = append(conds, fmt.Sprintf(`"%s" %s q.v%d`, b.column, b.op, j))
	}
	all := Names(ColumnNames(k))
	fmt.Fprintf(st, "SELECT q.i, r.* FROM unnest(%s) AS q(%s) CROSS JOIN LATERAL (SELECT %s FROM %s", strings.Join(types, ", "), strings.Join(names, ", "), all, k.Name)
	if len(conds) > 0 {
		fmt.Fprintf(st, " WHERE %s", strings.Join(conds, " AND "))
	}
	st.order(spans[0])
	st.WriteString(") AS r ORDER BY q.i")
	way := ""
	if spans[0].Desc {
		way = " DESC"
	}
	for _, c := range spans[0].Order[len(spans[0].Equal):] {
		fmt.Fprintf(st, `, r."%s"%s`, c, way)
	}

	rows := reflect.New(reflect.TypeOf(dst(0)).Elem())
	var of []int
	if err := t.collect(ctx, st, k, rows.Interface(), &of); err != nil {
		return t.Error(err)
	}
	for i, place := range of {
		out := reflect.ValueOf(dst(place)).Elem()
		out.Set(reflect.Append(out, rows.Elem().Index(i)))
	}
	return nil
}

// scanByTurns runs one statement for span after span, and spells their words together.
func (t *tx) scanByTurns(ctx context.Context, k *store.Kind, spans []store.Span, dst func(i int) any) error {
	var r reading
	var text string
	read := make([]reflect.Value, 0, len(spans))
	for i, s := range spans {
		args, possible, err := t.boundValues(ctx, k, s)
		if err != nil {
			return err
		}
		if !possible {
			continue
		}
		if text == "" {
			st := t.statement()
			fmt.Fprintf(st, "SELECT %s FROM %s%s", Names(ColumnNames(k)), k.Name, t.by(k, s))
			if _, err := t.where(ctx, st, k, s); err != nil {
				return err
			}
			st.order(s)
			text = st.String()
		}
		out := reflect.ValueOf(dst(i)).Elem()
		if err := r.read(ctx, t, text, append(slices.Clip(t.Logs.Args), args...), k, out, nil); err != nil {
			return err
		}
		read = append(read, out)
	}
	return r.spell(ctx, t, k, read...)
}

// boundValues are those of the span for the database; not possible where nothing can equal one.
func (t *tx) boundValues(ctx context.Context, k *store.Kind, s store.Span) (row []any, possible bool, err error) {
	for _, b := range bounds(s) {
		v, ok, err := t.value(ctx, k, b.column, b.value)
		if err != nil || !ok {
			return nil, false, err
		}
		row = append(row, v)
	}
	return row, true, nil
}

func arrayOf(c store.Column, values []any) (typ string, array any) {
	switch {
	case c.Word || c.Class == store.Int || c.Class == store.Time:
		return "bigint", arrayOfType[int64](values)
	case c.Class == store.Bool:
		return "boolean", arrayOfType[bool](values)
	}
	return "text", arrayOfType[string](values)
}

func arrayOfType[T any](values []any) []T {
	array := make([]T, len(values))
	for i, v := range values {
		array[i] = v.(T)
	}
	return array
}
