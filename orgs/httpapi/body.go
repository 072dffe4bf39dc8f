package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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

// MaxBody is the most bytes of a body, for dialects whose options say nothing else.
const MaxBody = 1 << 20

// ErrJSON: the body is no JSON object.
var ErrJSON = errors.New("the body must be a JSON object")

// ReadObject reads the JSON object in the body of a request, of any method. Numbers keep their digits; of two fields with one
// name the later counts. Nothing is nil, which reads as the empty object, and a body without Content-Type is taken as JSON. The
// error is [ErrMediaType], a *http.MaxBytesError, or [ErrJSON] with *[Faults] that repeat nothing of the body: their code is json,
// type or pattern. A limit of 0 is [MaxBody].
func ReadObject(w http.ResponseWriter, r *http.Request, limit int64) (map[string]json.RawMessage, error) {
	if err := CheckMediaType(r); err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = MaxBody
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
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
	return fmt.Errorf("%w: %w", ErrJSON, &Faults{List: []Fault{{Location: "body" + field, Code: code, Message: message}}})
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
