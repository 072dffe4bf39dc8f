package proxy

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/store"
)

// question is what a request asks for.
type question struct {
	endpoint *endpoint
	call     gate.Call
	fields   map[string]json.RawMessage // of the body: of two of one name the last one, and so is the upstream told
	stream   bool
	asked    bool   // the client wants to be told what its stream has used
	longest  string // the field that says how long an answer may be
	about    int64  // how many tokens the input has about
}

// meant are the fields that say what a call is: nothing that only looks like one may reach the upstream.
var meant = []string{"model", "messages", "system", "stream", "stream_options", "n", "max_tokens", "max_completion_tokens", "tools", "functions",
	"plugins", "web_search_options", "input", "prompt"}

// read reads the body of a request.
func (h *handler) read(w http.ResponseWriter, r *http.Request, e *endpoint) (*question, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.opt.MaxBody))
	if err != nil {
		return nil, err
	}
	q := &question{endpoint: e}
	if err := json.Unmarshal(body, &q.fields); err != nil || q.fields == nil {
		return nil, store.Invalid("body", "syntax", "must be a JSON object")
	}
	for name := range q.fields {
		if lower := strings.ToLower(name); lower != name && slices.Contains(meant, lower) {
			return nil, store.Invalid(lower, "pattern", "must be written in lower case")
		}
	}
	if json.Unmarshal(q.fields["model"], &q.call.Model) != nil || q.call.Model == "" {
		return nil, store.Invalid("model", "required", "must be the name of a model")
	}
	if q.stream, err = q.flag("stream"); err != nil {
		return nil, err
	}
	if q.stream && !e.stream {
		return nil, store.Invalid("stream", "range", "is not served here")
	}
	for _, field := range e.longest {
		n, err := q.number(field)
		if err != nil {
			return nil, err
		}
		if n > q.call.MaxOutputTokens {
			q.call.MaxOutputTokens, q.longest = n, field
		}
	}
	if q.longest == "" && len(e.longest) > 0 {
		q.longest = e.longest[0]
	}
	n := int64(1)
	if e.answers || e.images {
		if n, err = q.number("n"); err != nil {
			return nil, err
		}
		if n = max(n, 1); n > gate.MaxAnswers {
			return nil, store.Invalid("n", "range", "must be at most %d", gate.MaxAnswers)
		}
	}
	if e.images {
		q.call.Images = n
	} else {
		q.call.Answers = n
	}
	var images int64
	q.call.Features, images = q.features(e)
	if !e.free {
		q.call.InputTokens = int64(len(body)) + images*h.opt.ImageTokens // no token is shorter than a byte
		q.about = int64(len(body)+3)/4 + images*h.opt.ImageTokens/4
	}
	if len(e.longest) == 0 && !e.images {
		q.call.MaxOutputTokens = gate.NoOutput
	}
	return q, nil
}

// forward is the request that the next handler gets.
func (q *question) forward(r *http.Request, adm *gate.Admission) *http.Request {
	q.put("model", adm.Model.ID)
	if q.longest != "" {
		for _, field := range q.endpoint.longest {
			delete(q.fields, field)
		}
		if adm.MaxOutputTokens > 0 {
			q.put(q.longest, adm.MaxOutputTokens)
		}
	}
	if q.stream && q.endpoint.ask {
		var options map[string]json.RawMessage
		_ = json.Unmarshal(q.fields["stream_options"], &options) // what is none is replaced
		q.asked = string(options["include_usage"]) == "true"
		if options == nil {
			options = map[string]json.RawMessage{}
		}
		options["include_usage"] = json.RawMessage("true")
		q.put("stream_options", options)
	}
	body := q.body()
	out := r.Clone(r.Context())
	for _, name := range []string{"Authorization", "X-Api-Key", "Cookie", "X-Tags", "X-Approval-Reason", "Accept-Encoding", "Proxy-Authorization", "X-Forwarded-For", "Forwarded", "Content-Encoding",
		"Openai-Organization", "Openai-Project"} {
		out.Header.Del(name)
	}
	out.URL.RawQuery = ""                         // it says nothing that was looked at
	out.Header.Set("Accept-Encoding", "identity") // what was used is read in the answer
	out.Header.Set("Content-Type", "application/json")
	out.Header.Set("Content-Length", strconv.Itoa(len(body)))
	out.ContentLength, out.TransferEncoding = int64(len(body)), nil
	out.Body = io.NopCloser(bytes.NewReader(body))
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	return out
}

func (q *question) put(field string, value any) {
	q.fields[field], _ = json.Marshal(value) // a text, a number, or what was read as JSON
}

// body is the object of the fields, each once, whose values are as they were sent.
func (q *question) body() []byte {
	size := 2
	for name, raw := range q.fields {
		size += len(name) + len(raw) + 4
	}
	b := append(make([]byte, 0, size), '{')
	for i, name := range slices.Sorted(maps.Keys(q.fields)) {
		if i > 0 {
			b = append(b, ',')
		}
		quoted, _ := json.Marshal(name)
		b = append(append(append(b, quoted...), ':'), q.fields[name]...)
	}
	return append(b, '}')
}
