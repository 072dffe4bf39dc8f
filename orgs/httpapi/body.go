package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// CheckMediaType answers [ErrMediaType] for a body that says that it is no JSON. One that says nothing is taken as JSON.
func CheckMediaType(r *http.Request) error {
	ct := r.Header.Get("Content-Type")
	if ct == "" {
		return nil
	}
	if media, _, err := mime.ParseMediaType(ct); err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") {
		return ErrMediaType
	}
	return nil
}

// ReadObject reads the body as a JSON object, field by field; nil without a body. What is wrong is [ErrMediaType], the
// *http.MaxBytesError of whoever limits the body, or *[Faults] that repeat nothing of it, with the code json, type or pattern.
func ReadObject(r *http.Request) (map[string]json.RawMessage, error) {
	if err := CheckMediaType(r); err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		var tooBig *http.MaxBytesError
		if errors.As(err, &tooBig) {
			return nil, err
		}
		return nil, inBody("", "json", "cannot be read")
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, nil
	}
	var parsed any
	if json.Unmarshal(raw, &parsed) != nil {
		return nil, inBody("", "json", "is not valid JSON")
	}
	object, isObject := parsed.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if HasNUL(object[name]) && IsFieldName(name) {
			return nil, inBody("."+name, "pattern", noNUL)
		}
	}
	if HasNUL(parsed) {
		return nil, inBody("", "pattern", noNUL)
	}
	var fields map[string]json.RawMessage
	if !isObject || json.Unmarshal(raw, &fields) != nil {
		return nil, inBody("", "type", "must be a JSON object")
	}
	return fields, nil
}

const noNUL = "has a NUL character, which no text here may have"

var fieldForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)

// IsFieldName says whether a name can be that of a field, so that an error may repeat it.
func IsFieldName(name string) bool { return fieldForm.MatchString(name) }

func inBody(field, code, message string) error {
	return &Faults{List: []Fault{{Location: "body" + field, Code: code, Message: message}}}
}

// HasNUL looks into all texts of parsed JSON, names too: databases cannot keep it.
func HasNUL(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.ContainsRune(v, 0)
	case []any:
		return slices.ContainsFunc(v, HasNUL)
	case map[string]any:
		for name, value := range v {
			if strings.ContainsRune(name, 0) || HasNUL(value) {
				return true
			}
		}
	}
	return false
}
