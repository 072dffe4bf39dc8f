package bunstore

import (
	"context"
	"fmt"
	"iter"
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

func bounds(s store.Span) iter.Seq[bound] {
	return func(yield func(bound) bool) {
		for i, v := range s.Equal {
			if !yield(bound{s.Order[i], "=", v}) {
				return
			}
		}
		if s.From != nil && !yield(bound{s.Order[len(s.Equal)], ">=", s.From}) {
			return
		}
		if s.Below != nil {
			yield(bound{s.Order[len(s.Equal)], "<", s.Below})
		}
	}
}

// value is one value of a span for the database; ok is false where nothing can equal it.
func (t *tx) value(ctx context.Context, k *store.Kind, column string, v any) (any, bool, error) {
	if c, _ := k.Column(column); c.Word {
		return t.wordID(ctx, v.(string))
	}
	if at, is := v.(time.Time); is {
		return at.UnixMicro(), true, nil
	}
	return v, true, nil
}

// where writes the conditions of a span; none is false where no row can meet them.
func (t *tx) where(ctx context.Context, st *statement, k *store.Kind, s store.Span) (none bool, err error) {
	glue := " WHERE "
	for b := range bounds(s) {
		encoded, ok, err := t.value(ctx, k, b.column, b.value)
		if err != nil {
			return none, err
		}
		none = none || !ok
		fmt.Fprintf(st, `%s"%s" %s `, glue, b.column, b.op)
		st.param(len(t.Logs.Args), encoded)
		glue = " AND "
	}
	rest := s.Behind()
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

// order writes ORDER BY and LIMIT of a span, and by what it is added up.
func (st *statement) order(s store.Span) {
	if s.Sum != "" {
		fmt.Fprintf(st, " GROUP BY %s", Names(append(s.Order[:len(s.Equal):len(s.Equal)], s.Sum)))
	}
	for i, c := range s.Behind() {
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
	return t.ReadAll(ctx, []store.Read{{Kind: k, Spans: []store.Span{s}, Into: func(int) any { return dst }}})
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
	var r reading
	to := r.taker(answer{columns: k.Columns, into: func(int) any { return dst }, limit: s.Limit})
	if err := t.rows(ctx, Direct{Query: Query{st.String(), st.args}}, to.values, to.take); err != nil {
		return t.Error(err)
	}
	return t.Error(r.spell(ctx, t))
}
