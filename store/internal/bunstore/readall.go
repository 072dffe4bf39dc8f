package bunstore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/store"
)

// Batch are queries of a bounded number of rows each, by an index, which a connection runs one after another, in one round trip: the one
// argument of an Exec whose text it does not read. It hands the rows over by itself, as those of a [Direct].
type Batch struct {
	Queries []Query
	Values  [][]any           // of a row of each
	Row     func(i int) error // takes those of a query; its error ends the batch. It must not use the transaction
}

// Query is one of a [Batch].
type Query struct {
	Text string
	Args []any
}

// ReadAll implements store.DriverTx.
func (t *tx) ReadAll(ctx context.Context, reads []store.Read) error {
	if err := t.learnWords(ctx, reads); err != nil {
		return t.Error(err)
	}
	var b Batch
	var answers []answer
	for _, r := range reads {
		var err error
		if t.Logs.Laterals && len(r.Spans) > 6 {
			answers, err = t.together(ctx, &b, r, answers)
		} else {
			answers, err = t.byTurns(ctx, &b, r, answers)
		}
		if err != nil {
			return t.Error(err)
		}
	}
	if len(answers) == 0 {
		return nil
	}
	return t.Error(t.answer(ctx, &b, answers))
}

// answer is what one query of a batch, or one after another, are read into.
type answer struct {
	columns []store.Column
	into    func(i int) any
	limit   int   // of the rows of a span, 0 for none
	spans   []int // the span of each query
	several bool  // it is one query of all spans: its rows begin with the number of theirs
}

// reads are the columns that a span reads, and how SQL says that.
func reads(k *store.Kind, s store.Span) (columns []store.Column, list string) {
	of := func(names []string) []store.Column {
		return slices.DeleteFunc(slices.Clone(k.Columns), func(c store.Column) bool { return !slices.Contains(names, c.Name) })
	}
	switch {
	case s.Sum != "":
		columns = of(append(s.Order[:len(s.Equal):len(s.Equal)], s.Sum))
		list = Names(names(columns))
		for _, c := range k.Sums() { // PostgreSQL adds them up to a numeric
			columns = append(columns, c)
			list += fmt.Sprintf(`, CAST(SUM("%[1]s") AS BIGINT) AS "%[1]s"`, c.Name)
		}
		return columns, list
	case s.Bare:
		columns = of(s.Order)
	default:
		columns = k.Columns
	}
	return columns, Names(names(columns))
}

// learnWords looks up together what words the spans name.
func (t *tx) learnWords(ctx context.Context, reads []store.Read) error {
	var texts []string
	for _, r := range reads {
		for j, v := range r.Spans[0].Equal {
			if c, _ := r.Kind.Column(r.Spans[0].Order[j]); !c.Word {
				continue
			}
			texts = append(texts, v.(string))
			for _, s := range r.Spans[1:] {
				texts = append(texts, s.Equal[j].(string))
			}
		}
	}
	_, err := t.wordIDs(ctx, texts, false)
	return err
}

// together asks for all spans of a read by one query.
func (t *tx) together(ctx context.Context, b *Batch, r store.Read, answers []answer) ([]answer, error) {
	k, first := r.Kind, r.Spans[0]
	shape := slices.Collect(bounds(first))
	which := make([]int64, 0, len(r.Spans)) // of the spans that may have rows
	values := make([][]any, len(shape))
	for j := range values {
		values[j] = make([]any, 0, len(r.Spans))
	}
	var row []any
	for i, s := range r.Spans {
		var possible bool
		var err error
		row, possible, err = t.boundValues(ctx, k, s, row[:0])
		if err != nil {
			return nil, err
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
		return answers, nil
	}
	st := &statement{numbered: t.Logs.Numbered}
	st.args = append(st.args, which)
	types, bound, conds := []string{"$1::bigint[]"}, []string{"i"}, []string{}
	for j, o := range shape {
		c, _ := k.Column(o.column)
		typ, array := arrayOf(c, values[j])
		st.args = append(st.args, array)
		types = append(types, fmt.Sprintf("$%d::%s[]", j+2, typ))
		bound = append(bound, fmt.Sprintf("v%d", j))
		conds = append(conds, fmt.Sprintf(`"%s" %s q.v%d`, o.column, o.op, j))
	}
	columns, list := reads(k, first)
	fmt.Fprintf(st, "SELECT q.i, r.* FROM unnest(%s) AS q(%s) CROSS JOIN LATERAL (SELECT %s FROM %s",
		strings.Join(types, ", "), strings.Join(bound, ", "), list, k.Name)
	if len(conds) > 0 {
		fmt.Fprintf(st, " WHERE %s", strings.Join(conds, " AND "))
	}
	st.order(first)
	st.WriteString(") AS r ORDER BY q.i")
	way := ""
	if first.Desc {
		way = " DESC"
	}
	for _, c := range first.Behind() {
		fmt.Fprintf(st, `, r."%s"%s`, c, way)
	}
	b.Queries = append(b.Queries, Query{st.String(), st.args})
	return append(answers, answer{columns: columns, into: r.Into, limit: first.Limit, spans: []int{0}, several: true}), nil
}

// byTurns asks for span after span.
func (t *tx) byTurns(ctx context.Context, b *Batch, r store.Read, answers []answer) ([]answer, error) {
	var text string
	a := answer{into: r.Into, limit: r.Spans[0].Limit}
	for i, s := range r.Spans {
		args, possible, err := t.boundValues(ctx, r.Kind, s, nil)
		if err != nil {
			return nil, err
		}
		if !possible {
			continue
		}
		if text == "" {
			var list string
			a.columns, list = reads(r.Kind, s)
			st := t.statement()
			fmt.Fprintf(st, "SELECT %s FROM %s%s", list, r.Kind.Name, t.by(r.Kind, s))
			if _, err := t.where(ctx, st, r.Kind, s); err != nil {
				return nil, err
			}
			st.order(s)
			text = st.String()
			b.Queries, a.spans = slices.Grow(b.Queries, len(r.Spans)), make([]int, 0, len(r.Spans))
		}
		b.Queries, a.spans = append(b.Queries, Query{text, args}), append(a.spans, i)
	}
	if len(a.spans) == 0 {
		return answers, nil
	}
	return append(answers, a), nil
}

// answer runs a batch and reads its answers.
func (t *tx) answer(ctx context.Context, b *Batch, answers []answer) error {
	var r reading
	takers := make([]*taker, 0, len(b.Queries))
	spans := make([]int, 0, len(b.Queries))
	b.Values = make([][]any, 0, len(b.Queries))
	for _, a := range answers {
		to := r.taker(a)
		for _, span := range a.spans {
			takers, spans, b.Values = append(takers, to), append(spans, span), append(b.Values, to.values)
		}
	}
	last := -1
	b.Row = func(i int) error {
		if i != last {
			takers[i].begin(spans[i])
			last = i
		}
		return takers[i].take()
	}
	if _, err := t.sql.Tx.ExecContext(ctx, "a batch", b); err != nil {
		return err
	}
	return r.spell(ctx, t)
}

// boundValues appends those of the span for the database to the row; not possible where nothing can equal one.
func (t *tx) boundValues(ctx context.Context, k *store.Kind, s store.Span, row []any) (_ []any, possible bool, err error) {
	row = slices.Grow(row, len(s.Equal)+2+len(s.After))
	for b := range bounds(s) {
		v, ok, err := t.value(ctx, k, b.column, b.value)
		if err != nil || !ok {
			return row, false, err
		}
		row = append(row, v)
	}
	for i, v := range s.After {
		v, _, err := t.value(ctx, k, s.Behind()[i], v)
		if err != nil {
			return row, false, err
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
