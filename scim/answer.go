package scim

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/orgkit/orgkit/scim/schema"
)

const mediaType = "application/scim+json"

// answer is what a request comes to.
type answer struct {
	status   int
	body     any // nil for none
	location string
	version  string // ETag
}

func (a *answer) write(w http.ResponseWriter, r *http.Request) {
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	if a.version != "" {
		w.Header().Set("ETag", a.version)
		if r.Method == http.MethodGet && matches(r.Header.Get("If-None-Match"), a.version) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	writeJSON(w, a.status, a.body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(body) // who does not read the answer has gone
}

// headOnly drops the body of an answer.
type headOnly struct{ http.ResponseWriter }

func (h headOnly) Write(b []byte) (int, error) { return len(b), nil }

// withBody reads a JSON object of at most limit bytes. A body without a type, or of any charset, is JSON.
func (q *request) withBody(limit int64, fn func(body map[string]any) (*answer, error)) (*answer, error) {
	if text := q.http.Header.Get("Content-Type"); text != "" {
		media, _, err := mime.ParseMediaType(text)
		if err != nil || media != mediaType && media != "application/json" {
			return nil, &statusError{http.StatusUnsupportedMediaType, "the body must be " + mediaType + " or application/json"}
		}
	}
	raw, err := io.ReadAll(http.MaxBytesReader(nil, q.http.Body, limit))
	if tooBig := (*http.MaxBytesError)(nil); errors.As(err, &tooBig) {
		return nil, err
	} else if err != nil {
		return nil, schema.Errorf(schema.InvalidSyntax, "the body could not be read")
	}
	body, err := schema.Decode(raw)
	if err != nil {
		return nil, err
	}
	return fn(body)
}

// matches says whether a list of entity tags has the tag, by the weak comparison (RFC 9110 §8.8.3.2).
func matches(list, tag string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == strings.TrimPrefix(tag, "W/") && one != "" {
			return true
		}
	}
	return false
}
