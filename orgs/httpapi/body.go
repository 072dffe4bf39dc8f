package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
)

// MaxBody is the most bytes of a body, for dialects whose options say nothing else.
const MaxBody = 1 << 20

// ErrJSON: the body is no JSON object.
var ErrJSON = errors.New("the body must be a JSON object")

// ReadObject reads the JSON object in the body of a request, of any method. Numbers keep their digits; of two fields with one
// name the later counts. Nothing is the empty object, and a body without Content-Type is taken as JSON. The error is
// [ErrMediaType], [ErrJSON] or a *http.MaxBytesError; a limit of 0 is [MaxBody].
func ReadObject(w http.ResponseWriter, r *http.Request, limit int64) (map[string]json.RawMessage, error) {
	if ct := r.Header.Get("Content-Type"); ct != "" {
		if media, _, err := mime.ParseMediaType(ct); err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") {
			return nil, ErrMediaType
		}
	}
	if limit <= 0 {
		limit = MaxBody
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return nil, err
	case err != nil:
		return nil, ErrJSON
	}
	if raw = bytes.TrimSpace(raw); len(raw) == 0 {
		return map[string]json.RawMessage{}, nil
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil || object == nil {
		return nil, ErrJSON
	}
	return object, nil
}
