package bunstore

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/orgkit/orgkit/store"
)

// reading are rows of logs whose words are numbers yet.
type reading struct {
	runs  []readRun
	words []int64 // of the rows, row by row
}

// readRun are rows that were read one after another into one slice.
type readRun struct {
	columns []store.Column
	out     reflect.Value
	from    int
	below   int
}

// taker takes the rows of an answer: each when its values are in values.
type taker struct {
	answer
	reading *reading
	values  []any
	words   int // columns of words
	at      int // the span whose rows come
	run     *readRun
}

func (r *reading) taker(a answer) *taker {
	t := &taker{answer: a, reading: r, values: make([]any, len(a.columns))}
	if a.several {
		t.values = append(t.values, nil)
	}
	for _, c := range a.columns {
		if c.Word {
			t.words++
		}
	}
	return t
}

// begin says of which span the next rows are, where they do not say so themselves.
func (t *taker) begin(span int) { t.at, t.run = span, nil }

// take takes a row.
func (t *taker) take() error {
	values := t.values
	if t.several {
		if i := int(values[0].(int64)); i != t.at {
			t.begin(i)
		}
		values = values[1:]
	}
	r := t.reading
	if t.run == nil {
		out := reflect.ValueOf(t.into(t.at)).Elem()
		r.runs = append(r.runs, readRun{t.columns, out, out.Len(), out.Len()})
		t.run = &r.runs[len(r.runs)-1]
	}
	out, n := t.run.out, t.run.below
	if n == out.Cap() {
		out.Grow(t.room(n))
	}
	if cap(r.words)-len(r.words) < t.words {
		r.words = slices.Grow(r.words, t.words*min(max(t.limit, few), page))
	}
	out.SetLen(n + 1)
	row := out.Index(n)
	row.SetZero()
	for j := range t.columns {
		if err := r.set(&t.columns[j], row, values[j]); err != nil {
			return err
		}
	}
	t.run.below++
	return nil
}

// few rows are what there is space for in any case, a page of them what there is where there are more.
const few, page = 8, 128

// room is for how many rows more there is to be space behind n: of many ranges each has few, and where there are more than a
// few there is mostly a page.
func (t *taker) room(n int) int {
	room := few
	if n >= few {
		room = max(n, page-n)
	}
	if t.limit > n {
		room = min(room, t.limit-n)
	}
	return room
}

// set sets the field of a column; words are noted.
func (r *reading) set(c *store.Column, row reflect.Value, value any) error {
	switch v := value.(type) {
	case int64:
		switch {
		case c.Word:
			r.words = append(r.words, v)
			return nil
		case c.Class == store.Time:
			*c.Field(row).Addr().Interface().(*time.Time) = time.UnixMicro(v).UTC()
			return nil
		case c.Class == store.Int:
			c.Field(row).SetInt(v)
			return nil
		case c.Class == store.Bool: // as SQLite keeps it
			c.Field(row).SetBool(v != 0)
			return nil
		}
	case bool:
		if c.Class == store.Bool {
			c.Field(row).SetBool(v)
			return nil
		}
	case string:
		switch {
		case c.Class == store.Text && !c.Word:
			c.Field(row).SetString(v)
			return nil
		case c.Class == store.JSON:
			return r.set(c, row, []byte(v))
		}
	case []byte:
		if c.Class == store.JSON || c.Class == store.Bytes {
			if len(v) > 0 {
				c.Field(row).SetBytes(v)
			}
			return nil
		}
	}
	return fmt.Errorf("store: the database keeps a %T in %s", value, c.Name)
}

// spell writes the words of what was read.
func (r *reading) spell(ctx context.Context, t *tx) error {
	if len(r.words) == 0 {
		return nil
	}
	known, err := t.wordTexts(ctx, r.words)
	if err != nil {
		return err
	}
	words := r.words
	for _, run := range r.runs {
		for i := run.from; i < run.below; i++ {
			for _, c := range run.columns {
				if c.Word {
					c.Field(run.out.Index(i)).SetString(known[words[0]])
					words = words[1:]
				}
			}
		}
	}
	return nil
}
