package bunstore

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
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
	if !k.Serial() {
		return k.Columns
	}
	if known, is := inserted.Load(k); is {
		return known.([]store.Column)
	}
	columns := slices.DeleteFunc(slices.Clone(k.Columns), func(c store.Column) bool { return c.Serial })
	inserted.Store(k, columns)
	return columns
}

var inserted sync.Map // by kind, of those that are serial

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
	words := 0
	for _, c := range k.Columns {
		if c.Word {
			words++
		}
	}
	texts := make([]string, 0, words*v.Len()) // column by column
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
	columns := Inserted(k)
	out := make([][]any, v.Len())
	cells := make([]any, v.Len()*len(columns))
	for i := range out {
		row := cells[:len(columns):len(columns)]
		cells = cells[len(columns):]
		of, word := v.Index(i), i
		for j, c := range columns {
			if c.Word {
				if i > 0 && texts[word] == texts[word-1] { // as it mostly is
					row[j] = out[i-1][j]
				} else {
					row[j] = ids[texts[word]]
				}
				word += v.Len()
				continue
			}
			f := c.Field(of)
			switch {
			case c.Class == store.Text:
				if text := f.String(); i > 0 && out[i-1][j] == text { // the source of an event, mostly
					row[j] = out[i-1][j]
				} else {
					row[j] = text
				}
			case c.Class == store.Int:
				row[j] = f.Int()
			case c.Class == store.Bool:
				row[j] = f.Bool()
			case c.Class == store.Time:
				row[j] = f.Addr().Interface().(*time.Time).UnixMicro()
			case c.Class == store.JSON:
				row[j] = string(f.Bytes())
			default:
				if row[j] = f.Bytes(); f.IsNil() {
					row[j] = []byte{} // never null
				}
			}
		}
		out[i] = row
	}
	return out, nil
}
