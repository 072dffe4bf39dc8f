package audit

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unsafe"
)

// shape is how encoding/json writes a type of records, field by field, so that of an update only what differs has to be
// written: most of a record does not.
type shape struct{ fields []shaped }

// shaped is one field of a record.
type shaped struct {
	name   []byte // as it is written
	index  []int
	at     uintptr // of its first byte in the record
	bytes  uintptr
	always bool // the field is never left out
	moves  bool // with every change
	text   bool // the field is a string that is written as one
}

var shapes sync.Map // of *shape, nil for a type that is written whole, by reflect.Type

// shapeOf is the shape of two records of one type, and the records themselves; nil where they have to be written whole.
func shapeOf(before, after any) (s *shape, was, is reflect.Value) {
	was, is = structOf(before), structOf(after)
	if !was.IsValid() || !is.IsValid() || was.Type() != is.Type() {
		return nil, was, is
	}
	t := was.Type()
	if known, there := shapes.Load(t); there {
		return known.(*shape), was, is
	}
	s = &shape{}
	if writesItself(reflect.PointerTo(t)) || !s.add(t, nil, 0) || s.ambiguous() {
		s = nil
	}
	shapes.Store(t, s)
	return s, was, is
}

// structOf is a record, or what it points to, where its fields can be pointed to; not valid where there is no struct.
func structOf(rec any) reflect.Value {
	v := reflect.ValueOf(rec)
	switch {
	case v.Kind() == reflect.Pointer && v.Type().Elem().Kind() == reflect.Struct:
		return v.Elem() // of nil: not valid
	case v.Kind() == reflect.Struct:
		copied := reflect.New(v.Type()).Elem()
		copied.Set(v)
		return copied
	}
	return reflect.Value{}
}

var (
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

func writesItself(t reflect.Type) bool { return t.Implements(marshaler) || t.Implements(textMarshaler) }

// pointed says whether something in a value of the type is written in another way where it can be pointed to.
func pointed(t reflect.Type) bool {
	switch {
	case writesItself(t):
		return false
	case writesItself(reflect.PointerTo(t)):
		return true
	case t.Kind() == reflect.Array:
		return pointed(t.Elem())
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			if pointed(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}

// add adds the fields of a struct that begins there in the record; false: they are written in a way that is not known here.
func (s *shape) add(t reflect.Type, of []int, at uintptr) bool {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		index := append(slices.Clone(of), i)
		switch {
		case tag == "-":
			continue
		case f.Anonymous && name == "":
			if f.Type.Kind() != reflect.Struct || !f.IsExported() || writesItself(reflect.PointerTo(f.Type)) || !s.add(f.Type, index, at+f.Offset) {
				return false
			}
			continue
		case !f.IsExported():
			continue
		case options != "" && options != "omitempty", pointed(f.Type):
			return false
		}
		quoted, err := json.Marshal(cmp.Or(name, f.Name))
		if err != nil {
			return false
		}
		s.fields = append(s.fields, shaped{quoted, index, at + f.Offset, f.Type.Size(), options == "", moves(quoted),
			f.Type.Kind() == reflect.String && !writesItself(f.Type)})
	}
	slices.SortStableFunc(s.fields, func(a, b shaped) int { return bytes.Compare(a.name, b.name) })
	return true
}

// ambiguous says whether a name is that of two fields: which of them is written, or none, is not known here.
func (s *shape) ambiguous() bool {
	n := len(s.fields)
	return len(slices.CompactFunc(slices.Clone(s.fields), func(a, b shaped) bool { return bytes.EqualFold(a.name, b.name) })) < n
}

// difference is that of two records of the shape.
func (s *shape) difference(was, is reflect.Value) (b, a json.RawMessage, err error) {
	b, a = append(make([]byte, 0, 128), '{'), append(make([]byte, 0, 128), '{')
	one, other := was.Addr().UnsafePointer(), is.Addr().UnsafePointer()
	for i := range s.fields {
		f := &s.fields[i]
		if bytes.Equal(f.memory(one), f.memory(other)) { // so most of them are: one record is a copy of the other
			continue
		}
		old, new := was.FieldByIndex(f.index), is.FieldByIndex(f.index)
		hasOld, hasNew := f.always || !empty(old), f.always || !empty(new)
		if hasOld == hasNew && (!hasOld || f.moves || equal(old, new)) {
			continue
		}
		var first, second []byte
		if hasOld {
			if first, err = f.value(old); err != nil {
				return nil, nil, err
			}
		}
		if hasNew {
			if second, err = f.value(new); err != nil {
				return nil, nil, err
			}
		}
		if hasOld && hasNew && bytes.Equal(first, second) {
			continue
		}
		b, a = f.put(b, first), f.put(a, second)
	}
	return append(b, '}'), append(a, '}'), nil
}

// memory is the field itself in the record that begins there, without what it points to. Where it is the same in two records, so
// is what is written; where it is not, that may still be.
func (f *shaped) memory(record unsafe.Pointer) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(record, f.at)), f.bytes)
}

// value is how a value of the field is written.
func (f *shaped) value(v reflect.Value) ([]byte, error) {
	if f.text && asItIs(v.String()) {
		return append(append(append(make([]byte, 0, v.Len()+2), '"'), v.String()...), '"'), nil
	}
	b, err := json.Marshal(v.Addr().Interface())
	if err != nil {
		return nil, fmt.Errorf("audit record: %w", err)
	}
	return b, nil
}

// asItIs says whether encoding/json writes a text without a change, but for the quotes.
func asItIs(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

// put appends the field to an object, where it has a value.
func (f *shaped) put(object, value []byte) []byte {
	if value == nil {
		return object
	}
	if len(object) > 1 {
		object = append(object, ',')
	}
	return append(append(append(object, f.name...), ':'), value...)
}

// equal says of two fields whether they are certainly written in the same way.
func equal(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.String:
		return a.String() == b.String()
	case reflect.Bool:
		return a.Bool() == b.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return a.Int() == b.Int()
	case reflect.Pointer, reflect.Map:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() && b.IsNil()
		}
	case reflect.Slice:
		if a.Len() == 0 && b.Len() == 0 {
			return a.IsNil() == b.IsNil()
		}
	}
	return reflect.DeepEqual(a.Addr().Interface(), b.Addr().Interface())
}

// empty is what encoding/json leaves out with omitempty.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16,
		reflect.Uint32, reflect.Uint64, reflect.Uintptr, reflect.Float32, reflect.Float64, reflect.Interface, reflect.Pointer:
		return v.IsZero()
	}
	return false
}
