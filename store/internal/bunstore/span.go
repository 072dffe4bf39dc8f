package bunstore

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/store"
)

// bound is one condition of a span that names a value.
type bound struct {
	column, op string
	value      any
}

func bounds(s store.Span) (list []bound) {
	for i, v := range s.Equal {
		list = append(list, bound{s.Order[i], "=", v})
	}
	if s.From != nil {
		list = append(list, bound{s.Order[len(s.Equal)], ">=", s.From})
	}
	if s.Below != nil {
		list = append(list, bound{s.Order[len(s.Equal)], "<", s.Below})
	}
	return list
}

// value is one value of a span for the database; ok is false where nothing can equal it.
func (t *tx) value(ctx context.Context, k *store.Kind, column string, v any) (any, bool, error) {
	if c, _ := k.Column(column); c.Word {
		ids, err := t.wordIDs(ctx, []string{v.(string)}, false)
		id, ok := ids[v.(string)]
		return id, ok, err
	}
	if at, is := v.(time.Time); is {
		return at.UnixMicro(), true, nil
	}
	return v, true, nil
}

// where writes the conditions of a span; none is false where no row can meet them.
func (t *tx) where(ctx context.Context, st *statement, k *store.Kind, s store.Span) (none bool, err error) {
	glue := " WHERE "
	for _, b := range bounds(s) {
		encoded, ok, err := t.value(ctx, k, b.column, b.value)
		if err != nil {
			return none, err
		}
		none = none || !ok
		fmt.Fprintf(st, `%s"%s" %s `, glue, b.column, b.op)
		st.param(len(t.Logs.Args), encoded)
		glue = " AND "
	}
	rest := s.Order[len(s.Equal):]
	if s.After == nil {
		return none, nil
	}
	op := ">"
	if s.Desc {
		op = "<"
	}
	fmt.Fprintf(st, "%s(%s) %s (", glue, Names(rest), op)
	for i, v := range s.After {
		if i > 0 {
			st.WriteString(", ")
		}
		encoded, _, err := t.value(ctx, k, rest[i], v)
		if err != nil {
			return none, err
		}
		st.param(len(t.Logs.Args), encoded)
	}
	st.WriteString(")")
	return none, nil
}

// order writes ORDER BY and LIMIT of a span.
func (st *statement) order(s store.Span) {
	rest := s.Order[len(s.Equal):]
	for i, c := range rest {
		glue := ", "
		if i == 0 {
			glue = " ORDER BY "
		}
		way := ""
		if s.Desc {
			way = " DESC"
		}
		fmt.Fprintf(st, `%s"%s"%s`, glue, c, way)
	}
	fmt.Fprintf(st, " LIMIT %d", s.Limit)
}

func (t *tx) Scan(ctx context.Context, k *store.Kind, s store.Span, dst any) error {
	st := t.statement()
	fmt.Fprintf(st, "SELECT %s FROM %s%s", Names(ColumnNames(k)), k.Name, t.by(k, s))
	none, err := t.where(ctx, st, k, s)
	if err != nil || none {
		return t.Error(err)
	}
	st.order(s)
	return t.Error(t.collect(ctx, st, k, dst, nil))
}

// by names the index of a span, where that is to be said.
func (t *tx) by(k *store.Kind, s store.Span) string {
	if t.Logs.Index == nil || slices.Equal(s.Order, k.Key) {
		return ""
	}
	best := []string(nil)
	for _, ix := range k.Indexes {
		if len(ix) > len(best) && len(ix) <= len(s.Order) && slices.Equal(ix, s.Order[:len(ix)]) {
			best = ix
		}
	}
	if best == nil {
		return ""
	}
	return t.Logs.Index(fmt.Sprintf("%s_%s_idx", k.Name, strings.Join(best, "_")))
}

func (t *tx) Prune(ctx context.Context, k *store.Kind, s store.Span) (int, error) {
	st := t.statement()
	none, err := t.deletion(ctx, st, k, s, " FOR UPDATE")
	if err != nil || none {
		return 0, t.Error(err)
	}
	res, err := t.sql.Tx.ExecContext(ctx, st.String(), st.args...)
	if err != nil {
		return 0, t.Error(err)
	}
	n, err := res.RowsAffected()
	return int(n), t.Error(err)
}

// deletion writes the DELETE of the first rows of a span.
func (t *tx) deletion(ctx context.Context, st *statement, k *store.Kind, s store.Span, lock string) (none bool, err error) {
	what, end := "("+Names(k.Key)+") IN (SELECT "+Names(k.Key), ")"
	if t.Logs.Skips { // by place, once: a subquery that locks must not be run again by a join
		what, end = "ctid = ANY(ARRAY(SELECT ctid", lock+"))"
	}
	fmt.Fprintf(st, "DELETE FROM %s WHERE %s FROM %s", k.Name, what, k.Name)
	if none, err = t.where(ctx, st, k, s); err != nil || none {
		return none, err
	}
	st.order(s)
	st.WriteString(end)
	return false, nil
}

func (t *tx) Claim(ctx context.Context, k *store.Kind, s store.Span, dst any) error {
	if !t.Logs.Skips { // one unit writes at a time
		if err := t.Scan(ctx, k, s, dst); err != nil {
			return err
		}
		_, err := t.Prune(ctx, k, s)
		return err
	}
	st := t.statement()
	st.WriteString("WITH taken AS (")
	none, err := t.deletion(ctx, st, k, s, " FOR UPDATE SKIP LOCKED")
	if err != nil || none {
		return t.Error(err)
	}
	all := Names(ColumnNames(k))
	fmt.Fprintf(st, " RETURNING %s) SELECT %s FROM taken", all, all)
	s.Limit = max(s.Limit, 1)
	st.order(s)
	return t.Error(t.collect(ctx, st, k, dst, nil))
}

// collect runs a SELECT of all columns and appends its rows to the slice behind dst. With which they begin with
// a number, which is appended there.
func (t *tx) collect(ctx context.Context, st *statement, k *store.Kind, dst any, which *[]int) error {
	var r reading
	out := reflect.ValueOf(dst).Elem()
	if err := r.read(ctx, t, st.String(), st.args, k, out, which); err != nil {
		return err
	}
	return r.spell(ctx, t, k, out)
}

// reading are rows whose words are numbers yet.
type reading struct {
	words []int64 // of the rows, row by row
	nums  []int64
	texts [][]byte
	into  []any
}

// read appends the rows of a SELECT to out.
func (r *reading) read(ctx context.Context, t *tx, text string, args []any, k *store.Kind, out reflect.Value, which *[]int) error {
	rows, err := t.sql.Tx.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var place int
	if r.into == nil {
		r.nums, r.texts, r.into = make([]int64, len(k.Columns)), make([][]byte, len(k.Columns)), make([]any, 1+len(k.Columns))
	}
	all, into := r.into, r.into[1:]
	all[0] = &place
	if which == nil {
		all = into
	}
	for rows.Next() {
		out.Grow(1)
		out.SetLen(out.Len() + 1)
		row := out.Index(out.Len() - 1)
		row.SetZero()
		for j, c := range k.Columns {
			switch {
			case c.Word || c.Class == store.Time:
				into[j] = &r.nums[j]
			case c.Class == store.JSON || c.Class == store.Bytes:
				r.texts[j] = nil
				into[j] = &r.texts[j]
			default:
				into[j] = c.Field(row).Addr().Interface()
			}
		}
		if err := rows.Scan(all...); err != nil {
			return err
		}
		if which != nil {
			*which = append(*which, place)
		}
		for j, c := range k.Columns {
			switch {
			case c.Word:
				r.words = append(r.words, r.nums[j])
			case c.Class == store.Time:
				c.Field(row).Set(reflect.ValueOf(time.UnixMicro(r.nums[j]).UTC()))
			case (c.Class == store.JSON || c.Class == store.Bytes) && len(r.texts[j]) > 0:
				c.Field(row).SetBytes(r.texts[j])
			}
		}
	}
	return rows.Err()
}

// spell writes the words of what was read, which are the last rows of the slices together.
func (r *reading) spell(ctx context.Context, t *tx, k *store.Kind, read ...reflect.Value) error {
	if len(r.words) == 0 {
		return nil
	}
	known, err := t.wordTexts(ctx, r.words)
	if err != nil {
		return err
	}
	words := r.words
	left := len(words) / countWords(k)
	for i := len(read) - 1; i >= 0; i-- {
		out := read[i]
		for at := out.Len() - 1; at >= 0 && left > 0; at-- {
			left--
			next := words[left*countWords(k):]
			for _, c := range k.Columns {
				if c.Word {
					c.Field(out.Index(at)).SetString(known[next[0]])
					next = next[1:]
				}
			}
		}
	}
	return nil
}

func countWords(k *store.Kind) (n int) {
	for _, c := range k.Columns {
		if c.Word {
			n++
		}
	}
	return n
}
