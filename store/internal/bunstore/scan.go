package bunstore

import (
	"reflect"
	"sync"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/orgkit/orgkit/store"
)

// layouts are how rows of kinds are read, by their kinds.
type layouts struct{ known sync.Map }

// layout is how the rows of a SELECT of all columns are read. What is plain is set here; all else is left to bun, which knows
// it by its type. Bun itself would look every column up by its name, of every row.
type layout struct {
	columns []store.Column
	fields  []*schema.Field
}

func (l *layouts) of(db *bun.DB, k *store.Kind) *layout {
	if known, is := l.known.Load(k); is {
		return known.(*layout)
	}
	table := db.Table(reflect.TypeOf(k.New()).Elem())
	made := &layout{columns: k.Columns}
	for _, c := range k.Columns {
		made.fields = append(made.fields, table.LookupField(c.Name))
	}
	known, _ := l.known.LoadOrStore(k, made)
	return known.(*layout)
}

// read sets the fields of a record, which is zero, to the values of a row.
func (l *layout) read(values []any, record reflect.Value) error {
	for i := range l.columns {
		if set(&l.columns[i], record, values[i]) {
			continue
		}
		if err := l.fields[i].ScanValue(record, values[i]); err != nil {
			return err
		}
	}
	return nil
}

// set sets the field of a column where its value is plain.
func set(c *store.Column, record reflect.Value, value any) bool {
	switch v := value.(type) {
	case nil:
		return true // it is zero
	case string:
		switch {
		case c.Class == store.Text && !c.Nullable:
			c.Field(record).SetString(v)
			return true
		case c.Class == store.Time:
			at, plain := keptTime(v)
			return plain && setTime(c, record, at)
		}
	case int64:
		if c.Class == store.Int && !c.Nullable {
			c.Field(record).SetInt(v)
			return true
		}
	case bool:
		if c.Class == store.Bool && !c.Nullable {
			c.Field(record).SetBool(v)
			return true
		}
	case time.Time:
		return c.Class == store.Time && setTime(c, record, v.UTC())
	}
	return false
}

func setTime(c *store.Column, record reflect.Value, at time.Time) bool {
	switch field := c.Field(record).Addr().Interface().(type) {
	case *time.Time:
		*field = at
	case **time.Time:
		*field = &at
	default:
		return false
	}
	return true
}

// keptTime reads a time as SQLite keeps it: 2006-01-02 15:04:05.999999+00:00, with as many places as it has.
func keptTime(s string) (at time.Time, plain bool) {
	const seconds, zone = len("2006-01-02 15:04:05"), "+00:00"
	if len(s) < seconds+len(zone) || s[len(s)-len(zone):] != zone {
		return at, false
	}
	number := func(from, digits int) (n int) {
		for _, c := range []byte(s[from : from+digits]) {
			if c < '0' || c > '9' {
				plain = false
			}
			n = 10*n + int(c-'0')
		}
		return n
	}
	plain = s[4] == '-' && s[7] == '-' && s[10] == ' ' && s[13] == ':' && s[16] == ':'
	year, month, day, hour, minute, second := number(0, 4), number(5, 2), number(8, 2), number(11, 2), number(14, 2), number(17, 2)
	nanos := 0
	if fraction := s[seconds : len(s)-len(zone)]; fraction != "" {
		if fraction[0] != '.' || len(fraction) > 10 {
			return at, false
		}
		nanos = number(seconds+1, len(fraction)-1)
		for range 10 - len(fraction) {
			nanos *= 10
		}
	}
	if !plain || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC), true
}
