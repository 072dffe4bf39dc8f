package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// MaxJSONDepth is how deep a body may be nested.
const MaxJSONDepth = 32

// Decode reads a JSON object: numbers as json.Number, objects as maps. A name that is there twice, in whatever case, would
// mean two things at once, and is refused as what is no JSON: an *[Error] invalidSyntax.
func Decode(body []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err == nil {
		_, err = d.Token()
		if err == nil {
			err = errors.New("something follows the value")
		} else if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err != nil {
		var known *Error
		if errors.As(err, &known) {
			return nil, known
		}
		return nil, Errorf(InvalidSyntax, "the body is not JSON")
	}
	o, ok := v.(map[string]any)
	if !ok {
		return nil, Errorf(InvalidSyntax, "the body must be a JSON object")
	}
	return o, nil
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, is := t.(json.Delim)
	if !is {
		if s, ok := t.(string); ok && strings.ContainsRune(s, 0) {
			return nil, Errorf(InvalidValue, "text cannot have a NUL")
		}
		return t, nil
	}
	if depth++; depth > MaxJSONDepth {
		return nil, Errorf(InvalidSyntax, "the body is nested more than %d deep", MaxJSONDepth)
	}
	if delim == '[' {
		list := []any{}
		for d.More() {
			v, err := decodeValue(d, depth)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	o, seen := map[string]any{}, map[string]bool{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		key, ok := name.(string)
		if !ok {
			return nil, fmt.Errorf("a name is no string")
		}
		if folded := strings.ToLower(key); seen[folded] {
			return nil, Errorf(InvalidSyntax, "a name is there twice")
		} else {
			seen[folded] = true
		}
		if o[key], err = decodeValue(d, depth); err != nil {
			return nil, err
		}
	}
	_, err = d.Token()
	return o, err
}

// Named returns a member of a decoded object by its name in any case.
func Named(o map[string]any, name string) (v any, ok bool) {
	if v, ok = o[name]; ok {
		return v, true
	}
	for key, v := range o {
		if strings.EqualFold(key, name) {
			return v, true
		}
	}
	return nil, false
}
