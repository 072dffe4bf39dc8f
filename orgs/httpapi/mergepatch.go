package httpapi

import (
	"bytes"
	"encoding/json"
)

// MergePatch applies a patch to JSON (RFC 7396). Numbers keep their digits.
func MergePatch(target, patch json.RawMessage) (json.RawMessage, error) {
	read := func(b []byte) (v any, err error) {
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.UseNumber()
		return v, dec.Decode(&v)
	}
	t, err := read(target)
	if err != nil {
		return nil, err
	}
	p, err := read(patch)
	if err != nil {
		return nil, err
	}
	return json.Marshal(mergeValue(t, p))
}

func mergeValue(target, patch any) any {
	p, isObject := patch.(map[string]any)
	if !isObject {
		return patch
	}
	t, isObject := target.(map[string]any)
	if !isObject {
		t = map[string]any{}
	}
	for name, value := range p {
		if value == nil {
			delete(t, name)
		} else {
			t[name] = mergeValue(t[name], value)
		}
	}
	return t
}
