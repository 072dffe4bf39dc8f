package bunstore

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Logs is what a database does in its own way with logs. Their SQL is written by hand and runs beside
// bun, which is too slow for streams.
type Logs struct {
	// Numbered says that parameters are $1, $2, ... instead of ?.
	Numbered bool
	// Args come before the parameters of every statement.
	Args []any
	// Append inserts encoded rows, in the order of their keys, and answers which were new.
	Append func(ctx context.Context, tx *sql.Tx, k *store.Kind, rows [][]any) ([]bool, error)
	// Upsert inserts encoded rows, whose keys differ, or adds their sums.
	Upsert func(ctx context.Context, tx *sql.Tx, k *store.Kind, rows [][]any) error
	// Queues says that the database's own Commit keeps the rows of the [Queue] in the context of BeginTx.
	Queues bool
	// Index, when it is set, writes behind the name of a table by which index it is to be read.
	Index func(index string) string
	// Laterals says that parameters may be arrays, unnested beside a LATERAL query.
	Laterals bool
	// Skips says that FOR UPDATE SKIP LOCKED and ctid exist.
	Skips bool
}

// Names are the columns of a kind as SQL.
func Names(columns []string) string {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = `"` + c + `"`
	}
	return strings.Join(quoted, ", ")
}

// ColumnNames are all columns of a kind.
func ColumnNames(k *store.Kind) []string { return names(k.Columns) }

func names(columns []store.Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}

// Inserted are the columns of a log that an INSERT names: all but what the database numbers.
func Inserted(k *store.Kind) []store.Column {
	return slices.DeleteFunc(slices.Clone(k.Columns), func(c store.Column) bool { return c.Serial })
}

// InsertedNames are the names of the columns that an INSERT names, as SQL.
func InsertedNames(k *store.Kind) string { return Names(names(Inserted(k))) }

// Adding is the end of an INSERT that adds up instead of failing.
func Adding(k *store.Kind) string {
	var sets []string
	for _, c := range k.Sums() {
		sets = append(sets, fmt.Sprintf(`"%[1]s" = %[2]s."%[1]s" + excluded."%[1]s"`, c.Name, k.Name))
	}
	if len(sets) == 0 {
		return " ON CONFLICT DO NOTHING"
	}
	return fmt.Sprintf(" ON CONFLICT (%s) DO UPDATE SET %s", Names(k.Key), strings.Join(sets, ", "))
}

// statement collects the text and parameters of one statement.
type statement struct {
	strings.Builder
	numbered bool
	args     []any
}

func (t *tx) statement() *statement {
	return &statement{numbered: t.Logs.Numbered, args: slices.Clone(t.Logs.Args)}
}

func (s *statement) param(offset int, v any) {
	s.args = append(s.args, v)
	if s.numbered {
		fmt.Fprintf(s, "$%d", len(s.args)-offset)
	} else {
		s.WriteString("?")
	}
}

func (t *tx) Append(ctx context.Context, k *store.Kind, rows any) ([]bool, error) {
	encoded, err := t.encode(ctx, k, rows)
	if err != nil {
		return nil, t.Error(err)
	}
	if k.Serial() { // in this order, all of them
		_, err := t.Logs.Append(ctx, t.sql.Tx, k, encoded)
		return slices.Repeat([]bool{true}, len(encoded)), t.Error(err)
	}
	// In the order of the keys, so that two units that append the same rows do not wait for each
	// other, and the tree is walked once.
	order, key := make([]int, len(encoded)), positions(k, k.Key)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return compareAt(encoded[a], encoded[b], key) })
	sorted := make([][]any, len(encoded))
	for i, at := range order {
		sorted[i] = encoded[at]
	}
	answers, err := t.Logs.Append(ctx, t.sql.Tx, k, sorted)
	if err != nil {
		return nil, t.Error(err)
	}
	fresh := make([]bool, len(encoded))
	for i, at := range order {
		fresh[at] = answers[i]
	}
	return fresh, nil
}

// Add sums up rows of one key and sorts the keys, so that two units take the rows in one order.
func (t *tx) Add(ctx context.Context, k *store.Kind, rows any) error {
	encoded, err := t.encode(ctx, k, rows)
	if err != nil {
		return t.Error(err)
	}
	key, sums := positions(k, k.Key), []int(nil)
	for _, c := range k.Sums() {
		sums = append(sums, positions(k, []string{c.Name})...)
	}
	slices.SortStableFunc(encoded, func(a, b []any) int { return compareAt(a, b, key) })
	merged := encoded[:1]
	for _, row := range encoded[1:] {
		last := merged[len(merged)-1]
		if compareAt(last, row, key) != 0 {
			merged = append(merged, row)
			continue
		}
		for _, i := range sums {
			last[i] = last[i].(int64) + row[i].(int64)
		}
	}
	return t.Error(t.Logs.Upsert(ctx, t.sql.Tx, k, merged))
}

func positions(k *store.Kind, names []string) []int {
	at := make([]int, len(names))
	for i, name := range names {
		at[i] = slices.IndexFunc(k.Columns, func(c store.Column) bool { return c.Name == name })
	}
	return at
}

func compareAt(a, b []any, at []int) int {
	for _, i := range at {
		if c := compareEncoded(a[i], b[i]); c != 0 {
			return c
		}
	}
	return 0
}

func compareEncoded(a, b any) int {
	switch a := a.(type) {
	case int64:
		return cmp.Compare(a, b.(int64))
	case string:
		return strings.Compare(a, b.(string))
	}
	return store.Compare(a, b)
}

// encode turns rows of a struct into values for the database: words and times are numbers.
func (t *tx) encode(ctx context.Context, k *store.Kind, rows any) ([][]any, error) {
	v := reflect.ValueOf(rows)
	var texts []string
	for _, c := range k.Columns {
		if c.Word {
			for i := range v.Len() {
				texts = append(texts, c.Field(v.Index(i)).String())
			}
		}
	}
	ids, err := t.wordIDs(ctx, texts, true)
	if err != nil {
		return nil, err
	}
	columns := k.Columns
	if k.Serial() {
		columns = Inserted(k)
	}
	out := make([][]any, v.Len())
	cells := make([]any, v.Len()*len(columns))
	for i := range out {
		row := cells[:len(columns):len(columns)]
		cells = cells[len(columns):]
		for j, c := range columns {
			f := c.Field(v.Index(i))
			switch {
			case c.Word:
				row[j] = ids[f.String()]
			case c.Class == store.Text:
				row[j] = f.String()
			case c.Class == store.Int:
				row[j] = f.Int()
			case c.Class == store.Bool:
				row[j] = f.Bool()
			case c.Class == store.Time:
				row[j] = f.Interface().(time.Time).UnixMicro()
			case c.Class == store.JSON:
				row[j] = string(f.Bytes())
			default:
				row[j] = append([]byte{}, f.Bytes()...) // never null
			}
		}
		out[i] = row
	}
	return out, nil
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
	cond := func(column, op string, v any) error {
		encoded, ok, err := t.value(ctx, k, column, v)
		none = none || !ok
		fmt.Fprintf(st, `%s"%s" %s `, glue, column, op)
		st.param(len(t.Logs.Args), encoded)
		glue = " AND "
		return err
	}
	for i, v := range s.Equal {
		if err := cond(s.Order[i], "=", v); err != nil {
			return none, err
		}
	}
	rest := s.Order[len(s.Equal):]
	if s.From != nil {
		if err := cond(rest[0], ">=", s.From); err != nil {
			return none, err
		}
	}
	if s.Below != nil {
		if err := cond(rest[0], "<", s.Below); err != nil {
			return none, err
		}
	}
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
	rows, err := t.sql.Tx.QueryContext(ctx, st.String(), st.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	out := reflect.ValueOf(dst).Elem()
	var words []int64
	nums := make([]int64, len(k.Columns))
	texts := make([][]byte, len(k.Columns))
	all := make([]any, 1+len(k.Columns))
	var place int
	all[0] = &place
	into := all[1:]
	if which == nil {
		all = into
	}
	for rows.Next() {
		row := reflect.New(out.Type().Elem()).Elem()
		for j, c := range k.Columns {
			switch {
			case c.Word || c.Class == store.Time:
				into[j] = &nums[j]
			case c.Class == store.JSON || c.Class == store.Bytes:
				texts[j] = nil
				into[j] = &texts[j]
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
				words = append(words, nums[j])
			case c.Class == store.Time:
				c.Field(row).Set(reflect.ValueOf(time.UnixMicro(nums[j]).UTC()))
			case (c.Class == store.JSON || c.Class == store.Bytes) && len(texts[j]) > 0:
				c.Field(row).SetBytes(texts[j])
			}
		}
		out.Set(reflect.Append(out, row))
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows.Close()
	known, err := t.wordTexts(ctx, words)
	if err != nil {
		return err
	}
	first := out.Len() - len(words)/max(1, countWords(k))
	for i := 0; len(words) > 0; i++ {
		for _, c := range k.Columns {
			if c.Word {
				c.Field(out.Index(first + i)).SetString(known[words[0]])
				words = words[1:]
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
