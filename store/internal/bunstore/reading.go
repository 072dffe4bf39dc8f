package bunstore

import (
	"context"
	"database/sql"
	"reflect"
	"slices"
	"time"

	"github.com/orgkit/orgkit/store"
)

// reading are rows of logs whose words are numbers yet.
type reading struct {
	runs  []readRun
	words []int64 // of the rows, row by row

	of    answer // for which the rest is made
	row   reflect.Value
	place int64 // of the span
	nums  []int64
	texts [][]byte
	into  []any
}

// readRun are rows that were read one after another into one slice.
type readRun struct {
	columns []store.Column
	out     reflect.Value
	from    int
	below   int
}

// prepare makes room for a row of an answer.
func (r *reading) prepare(a answer) {
	alike := r.into != nil && r.of.kind == a.kind && r.of.several == a.several && slices.EqualFunc(r.of.columns, a.columns, func(a, b store.Column) bool { return a.Name == b.Name })
	if r.of = a; alike {
		return
	}
	r.row = reflect.ValueOf(a.kind.New()).Elem()
	r.nums, r.texts, r.into = make([]int64, len(a.columns)), make([][]byte, len(a.columns)), nil
	if a.several {
		r.into = append(r.into, &r.place)
	}
	for j, c := range a.columns {
		switch {
		case c.Word || c.Class == store.Time:
			r.into = append(r.into, &r.nums[j])
		case c.Class == store.JSON || c.Class == store.Bytes:
			r.into = append(r.into, &r.texts[j])
		default:
			r.into = append(r.into, c.Field(r.row).Addr().Interface())
		}
	}
}

// read appends what a result set holds to the slices of its answer.
func (r *reading) read(rows *sql.Rows, a answer) error {
	r.prepare(a)
	var run *readRun
	at := -1
	for rows.Next() {
		r.row.SetZero()
		if err := rows.Scan(r.into...); err != nil {
			return err
		}
		i := a.first
		if a.several {
			i = int(r.place)
		}
		if i != at {
			out := reflect.ValueOf(a.into(i)).Elem()
			r.runs = append(r.runs, readRun{a.columns, out, out.Len(), out.Len()})
			run, at = &r.runs[len(r.runs)-1], i
		}
		for j, c := range a.columns {
			switch {
			case c.Word:
				r.words = append(r.words, r.nums[j])
			case c.Class == store.Time:
				*c.Field(r.row).Addr().Interface().(*time.Time) = time.UnixMicro(r.nums[j]).UTC()
			case (c.Class == store.JSON || c.Class == store.Bytes) && len(r.texts[j]) > 0:
				c.Field(r.row).SetBytes(r.texts[j])
			}
		}
		run.out.Set(reflect.Append(run.out, r.row))
		run.below++
	}
	return nil
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
