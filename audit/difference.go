package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// difference returns both records as JSON objects, without the fields that are equal.
func difference(before, after any) (b, a json.RawMessage, err error) {
	if s, was, is := shapeOf(before, after); s != nil {
		return s.difference(was, is)
	}
	return differenceOfWhole(before, after)
}

// differenceOfWhole is difference of records of any kind, which are written whole.
func differenceOfWhole(before, after any) (b, a json.RawMessage, err error) {
	was, err := fields(before)
	if err != nil {
		return nil, nil, err
	}
	is, err := fields(after)
	if err != nil {
		return nil, nil, err
	}
	if was == nil || is == nil {
		return object(was), object(is), nil
	}
	same := func(f field, of []field) bool {
		i, there := slices.BinarySearchFunc(of, f, field.compare)
		return there && (bytes.Equal(f.value, of[i].value) || moves(f.name))
	}
	one := slices.DeleteFunc(slices.Clone(was), func(f field) bool { return same(f, is) })
	other := slices.DeleteFunc(slices.Clone(is), func(f field) bool { return same(f, was) })
	return object(one), object(other), nil
}

// moves says of a field that it changes with every change: its version and time are those of the event itself.
func moves(name []byte) bool { return string(name) == `"version"` || string(name) == `"updated_at"` }

// field is one of a JSON object, both parts as they are written there.
type field struct{ name, value []byte }

func (f field) compare(other field) int { return bytes.Compare(f.name, other.name) }

var errNoObject = errors.New("audit record is no object")

// fields are those of a record as JSON, sorted by their names; nil where there is no record.
func fields(rec any) ([]field, error) {
	if rec == nil {
		return nil, nil
	}
	b, err := json.Marshal(rec) // it is valid then, and without spaces
	if err != nil {
		return nil, fmt.Errorf("audit record: %w", err)
	}
	if string(b) == "null" {
		return nil, nil
	}
	if b[0] != '{' {
		return nil, errNoObject
	}
	list := make([]field, 0, 16)
	for b = b[1:]; len(b) > 1; {
		n := valueEnd(b)
		f := field{name: b[:n]}
		b = b[n+1:] // and the colon
		n = valueEnd(b)
		f.value, b = b[:n], b[n+1:] // and the comma, or the end
		list = append(list, f)
	}
	slices.SortStableFunc(list, field.compare)
	return list, nil
}

// valueEnd is where the value ends with which b, valid JSON, begins.
func valueEnd(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
		case '}', ']', ',', ':':
			if depth == 0 {
				return i
			}
			if b[i] == '}' || b[i] == ']' {
				depth--
			}
		}
		if depth == 0 && (b[i] == '"' || b[i] == '}' || b[i] == ']') {
			return i + 1
		}
	}
	return len(b)
}

// object puts fields together.
func object(list []field) json.RawMessage {
	if list == nil {
		return nil
	}
	b := []byte{'{'}
	for i, f := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, f.name...), ':'), f.value...)
	}
	return append(b, '}')
}
