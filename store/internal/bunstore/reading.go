package bunstore

import (
	"context"
	"fmt"
	"reflect"
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

// taker takes the rows of an answer, whose values are in the slice then.
func (r *reading) taker(a answer) (values []any, take func() error) {
	values = make([]any, len(a.columns))
	if a.several {
		values = append(values, nil)
	}
	row, of := reflect.ValueOf(a.kind.New()).Elem(), values[len(values)-len(a.columns):]
	var run *readRun
	at := -1
	return values, func() error {
		i := a.first
		if a.several {
			i = int(values[0].(int64))
		}
		if i != at {
			out := reflect.ValueOf(a.into(i)).Elem()
			r.runs = append(r.runs, readRun{a.columns, out, out.Len(), out.Len()})
			run, at = &r.runs[len(r.runs)-1], i
		}
		row.SetZero()
		for j := range a.columns {
			if err := r.set(&a.columns[j], row, of[j]); err != nil {
				return err
			}
		}
		run.out.Set(reflect.Append(run.out, row))
		run.below++
		return nil
	}
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
