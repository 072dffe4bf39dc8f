package store

import (
	"cmp"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Kind describes one kind of record to a driver: its name, its columns and its keys. It is made
// by [Define], never changes and is safe for concurrent use.
type Kind struct {
	Name    string   // table name, plural: "teams"
	Prefix  string   // id prefix: "team"
	Columns []Column // in the order of the struct, the fields of Meta first
	Unique  [][]string
	Indexes [][]string
	Key     []string // of a log: the clustering key; nil for records

	traced string       // the column whose values a unit remembers, see Traced; "" for none
	typ    reflect.Type // the record struct
	shared [][]int      // fields that a shallow copy would share; see sharedBy
}

// Class says how a column is kept and what can be asked of it.
type Class int

// The classes. Text, Int, Bool and Time columns can be named in a [Query]; Opaque ones
// (decimals and other types that bring their own SQL form) and JSON ones cannot, and neither can the
// Bytes of logs.
const (
	Text Class = iota
	Int
	Bool
	Time
	Opaque
	JSON
	Bytes
)

// Column is one field of a record.
type Column struct {
	Name     string // snake case of the field name: OrgID is org_id
	Class    Class
	Nullable bool // the field is a pointer, slice or map
	Word     bool // of a log: kept as a number out of the dictionary
	Serial   bool // of a log: its key, numbered by the database

	index []int
}

// Key declares a unique set or an index of a kind, or what is traced of it.
type Key struct {
	unique  bool
	traced  bool
	columns []string
}

// Unique declares that no two records agree in all of these columns. As in SQL, a record with a
// null among them is not compared.
func Unique(columns ...string) Key { return Key{unique: true, columns: columns} }

// Index declares an order in which records are often listed.
func Index(columns ...string) Key { return Key{columns: columns} }

// Traced declares that a unit remembers what it writes of this kind, by a text column that never
// changes: see [Tx.Traces]. A delete reads the record first unless the column is the id.
func Traced(column string) Key { return Key{traced: true, columns: []string{column}} }

var (
	timeType   = reflect.TypeFor[time.Time]()
	rawType    = reflect.TypeFor[json.RawMessage]()
	valuerType = reflect.TypeFor[driver.Valuer]()
)

func newKind(typ reflect.Type, name, prefix string, keys []Key) *Kind {
	k := &Kind{Name: name, Prefix: prefix, typ: typ, shared: sharedBy(typ, nil)}
	k.addColumns(typ, nil)
	for _, key := range keys {
		for _, c := range key.columns {
			k.queryable(c) // panics on a typing error in the declaration
		}
		switch {
		case key.traced:
			if c := k.queryable(key.columns[0]); c.Class != Text || c.Nullable {
				panic(fmt.Sprintf("store: %s cannot be traced by %s", name, c.Name))
			}
			k.traced = key.columns[0]
		case key.unique:
			k.Unique = append(k.Unique, key.columns)
		default:
			k.Indexes = append(k.Indexes, key.columns)
		}
	}
	return k
}

func newLogKind(typ reflect.Type, name string, key []string, indexes []Key) *Kind {
	k := &Kind{Name: name, Key: key, typ: typ, shared: sharedBy(typ, nil)}
	for i := range typ.NumField() {
		f := typ.Field(i)
		c := Column{Name: columnName(f.Name), index: f.Index, Word: f.Tag.Get("store") == "word", Serial: f.Tag.Get("store") == "serial"}
		switch f.Type.Kind() {
		case reflect.Slice:
			if f.Type.Elem().Kind() != reflect.Uint8 {
				panic(fmt.Sprintf("store: a log cannot hold a %v", f.Type))
			}
			if c.Class = Bytes; f.Type == rawType {
				c.Class = JSON // a text that comes back to the byte
			}
		default:
			if c.Class, c.Nullable = classOf(f.Type); c.Class > Time || c.Nullable {
				panic(fmt.Sprintf("store: a log cannot hold a %v", f.Type))
			}
		}
		if c.Word && c.Class != Text {
			panic(fmt.Sprintf("store: %s.%s cannot be a word", name, c.Name))
		}
		if c.Serial && (c.Class != Int || !slices.Equal(key, []string{c.Name})) {
			panic(fmt.Sprintf("store: %s.%s is no number that is the whole key", name, c.Name))
		}
		k.Columns = append(k.Columns, c)
	}
	if len(key) == 0 {
		panic("store: the log " + name + " has no key")
	}
	for _, c := range key {
		k.queryable(c)
	}
	for _, ix := range indexes {
		for _, c := range ix.columns {
			k.queryable(c)
		}
		if ix.unique || ix.traced {
			panic("store: a log has one unique set, its key, and no traces")
		}
		k.Indexes = append(k.Indexes, ix.columns)
	}
	return k
}

// Sums are the columns of a log that Log.Add adds up: its integers outside of the key.
func (k *Kind) Sums() []Column {
	return slices.DeleteFunc(slices.Clone(k.Columns), func(c Column) bool {
		return c.Class != Int || slices.Contains(k.Key, c.Name)
	})
}

// Serial says whether the database numbers the rows of a log.
func (k *Kind) Serial() bool {
	return slices.ContainsFunc(k.Columns, func(c Column) bool { return c.Serial })
}

// Field is the field of the column in a struct of its kind, for drivers.
func (c Column) Field(row reflect.Value) reflect.Value { return row.FieldByIndex(c.index) }

func (k *Kind) addColumns(typ reflect.Type, at []int) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		index := append(slices.Clone(at), i)
		switch {
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			k.addColumns(f.Type, index)
		case f.IsExported():
			c := Column{Name: columnName(f.Name), index: index}
			c.Class, c.Nullable = classOf(f.Type)
			k.Columns = append(k.Columns, c)
		}
	}
}

func classOf(t reflect.Type) (class Class, nullable bool) {
	if t.Kind() == reflect.Pointer {
		class, _ = classOf(t.Elem())
		return class, true
	}
	switch {
	case t == timeType:
		return Time, false
	case t.Implements(valuerType) || reflect.PointerTo(t).Implements(valuerType):
		return Opaque, false
	}
	switch t.Kind() {
	case reflect.String:
		return Text, false
	case reflect.Int, reflect.Int64, reflect.Int32:
		return Int, false
	case reflect.Bool:
		return Bool, false
	case reflect.Struct:
		return JSON, false
	case reflect.Map, reflect.Slice:
		return JSON, true
	}
	panic(fmt.Sprintf("store: a record cannot hold a %v", t))
}

// columnName turns a Go field name into a column name: OrgID is org_id, MFAAt is mfa_at. The SQL
// drivers' mapper follows the same rule, so records need no tags.
func columnName(field string) string {
	upper := func(c byte) bool { return 'A' <= c && c <= 'Z' }
	var b strings.Builder
	for i := range len(field) {
		c := field[i]
		if upper(c) {
			begins := i > 0 && i+1 < len(field) && (!upper(field[i-1]) || !upper(field[i+1]))
			if begins {
				b.WriteByte('_')
			}
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}

// Column returns the column of that name.
func (k *Kind) Column(name string) (Column, bool) {
	for _, c := range k.Columns {
		if c.Name == name {
			return c, true
		}
	}
	return Column{}, false
}

// queryable returns the column for use in a query or key. A name that is not there is a mistake
// of the programmer, as in a misspelt field.
func (k *Kind) queryable(name string) Column {
	c, ok := k.Column(name)
	if !ok || c.Class >= Opaque {
		panic(fmt.Sprintf("store: %s has no column %q that can be queried", k.Name, name))
	}
	return c
}

// New returns a pointer to a zero record.
func (k *Kind) New() any { return reflect.New(k.typ).Interface() }

// Meta returns the Meta of a record (a pointer to the struct).
func (k *Kind) Meta(rec any) *Meta { return rec.(interface{ meta() *Meta }).meta() }

// Value returns what a record holds in a queryable column, in the form that [Compare] takes:
// nil, string, int64, bool or time.Time.
func (k *Kind) Value(rec any, column string) any {
	c := k.queryable(column)
	v := reflect.ValueOf(rec).Elem().FieldByIndex(c.index)
	return normal(v)
}

func normal(v reflect.Value) any {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Int, reflect.Int64, reflect.Int32:
		return v.Int()
	case reflect.Bool:
		return v.Bool()
	}
	return v.Interface()
}

// Normalize brings a value of a query into the form that [Compare] takes.
func Normalize(v any) any {
	if v == nil {
		return nil
	}
	return normal(reflect.ValueOf(v))
}

// Compare orders two values of one column: nil first, false before true, strings by bytes.
func Compare(a, b any) int {
	if a == nil || b == nil {
		return cmp.Compare(rank(a), rank(b))
	}
	switch a := a.(type) {
	case string:
		return strings.Compare(a, b.(string))
	case int64:
		return cmp.Compare(a, b.(int64))
	case time.Time:
		return a.Compare(b.(time.Time))
	case bool:
		return cmp.Compare(rankBool(a), rankBool(b.(bool)))
	}
	panic(fmt.Sprintf("store: cannot compare %T", a))
}

func rank(v any) int {
	if v == nil {
		return 0
	}
	return 1
}

func rankBool(b bool) int {
	if b {
		return 1
	}
	return 0
}
