package bunstore

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/uptrace/bun/schema"

	"github.com/orgkit/orgkit/store"
)

// Cells are rows of values: the one argument of an Exec, which a connection of a dialect hands on by itself ([Dialect.Direct]).
// What database/sql makes of each value takes about as long as to keep it.
type Cells [][]any

// writes are statements that write records, by what they are for. bun writes values into its texts, so that a database compiles
// each anew, which takes SQLite longer than what most of them do.
type writes struct{ texts sync.Map }

type writeKey struct {
	kind *store.Kind
	how  how
	rows int
}

type how int

const (
	insert how = iota
	insertNew
	put
	update
)

// maxCells is how many values a statement has that is kept.
const maxCells = 128

func (w *writes) of(k *store.Kind, how how, rows int) string {
	key := writeKey{k, how, rows}
	if text, known := w.texts.Load(key); known {
		return text.(string)
	}
	text, _ := w.texts.LoadOrStore(key, writing(k, how, rows))
	return text.(string)
}

// writing is the text of a statement whose parameters are the columns of its rows, and of an update the id and the version before.
func writing(k *store.Kind, how how, rows int) string {
	set := make([]string, 0, len(k.Columns))
	value := "EXCLUDED.%[1]q"
	if how == update {
		value = "?"
	}
	for _, c := range k.Columns {
		if c.Name != "id" || how == update {
			set = append(set, fmt.Sprintf("%[1]q = "+value, c.Name))
		}
	}
	if how == update {
		return fmt.Sprintf("UPDATE %q SET %s WHERE id = ? AND version = ?", k.Name, strings.Join(set, ", "))
	}
	row := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(k.Columns)), ", ") + ")"
	text := fmt.Sprintf("INSERT INTO %q AS there (%s) VALUES %s", k.Name, Names(ColumnNames(k)), strings.TrimSuffix(strings.Repeat(row+", ", rows), ", "))
	switch how {
	case insertNew:
		return text + " ON CONFLICT DO NOTHING"
	case put:
		return text + " ON CONFLICT (id) DO UPDATE SET " + strings.Join(set, ", ") + " WHERE there.version = EXCLUDED.version - 1"
	}
	return text
}

// write runs a statement that the connection keeps compiled. ok is false where there is none for these records.
func (t *tx) write(ctx context.Context, k *store.Kind, how how, recs reflect.Value, more ...any) (res sql.Result, ok bool, err error) {
	if !t.Direct || recs.Len()*len(k.Columns) > maxCells {
		return nil, false, nil
	}
	l, gen := t.layouts.of(t.Reader, k), t.Writer.QueryGen()
	rows := make(Cells, recs.Len())
	for i := range rows {
		if rows[i], ok = l.values(gen, recs.Index(i)); !ok {
			return nil, false, nil
		}
	}
	rows[0] = append(rows[0], more...)
	res, err = t.sql.Tx.ExecContext(ctx, t.writes.of(k, how, len(rows)), rows)
	return res, true, err
}

// values are those of the columns of a record, as bun writes them: what they are kept as is for it alone to know. ok is false
// where it writes one in a way that is not read here.
func (l *layout) values(gen schema.QueryGen, rec reflect.Value) (row []any, ok bool) {
	var room [512]byte
	for rec.Kind() != reflect.Struct { // a pointer, which may be in an interface
		rec = rec.Elem()
	}
	row = make([]any, len(l.fields), len(l.fields)+2)
	for i, f := range l.fields {
		if row[i], ok = literal(f.AppendValue(gen, room[:0], rec)); !ok {
			return nil, false
		}
	}
	return row, true
}

// literal is the value of a literal of SQLite: NULL, TRUE, FALSE, a whole number or a text.
func literal(text []byte) (value any, ok bool) {
	switch {
	case len(text) == 0:
		return nil, false
	case text[0] == '\'':
		if len(text) < 2 || text[len(text)-1] != '\'' {
			return nil, false
		}
		return strings.ReplaceAll(string(text[1:len(text)-1]), "''", "'"), true
	}
	switch word := string(text); word {
	case "NULL":
		return nil, true
	case "TRUE":
		return int64(1), true
	case "FALSE":
		return int64(0), true
	default:
		n, err := strconv.ParseInt(word, 10, 64)
		return n, err == nil
	}
}
