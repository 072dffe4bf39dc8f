package proxy

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/store"
)

// question is what a request asks for.
type question struct {
	endpoint *endpoint
	call     gate.Call
	fields   fields // of the body
	stream   bool
	asked    bool   // the client wants to be told what its stream has used
	longest  string // the field that says how long an answer may be
	about    int64  // how many tokens the input has about

	room [8]field // for the first of the fields
	url  url.URL  // of what is passed on, with these headers and this body
	set  [3]string
	sent sent
}

// meant are the fields that say what a call is: nothing that only looks like one may reach the upstream.
var meant = []string{"model", "messages", "system", "stream", "stream_options", "n", "max_tokens", "max_completion_tokens", "tools", "functions",
	"plugins", "web_search_options", "response_format", "output_format", "output_config", "input", "prompt", "mcp_servers", "vector_store_ids", "container", "tool_choice",
	"file_search"}

// read reads the body of a request.
func (h *handler) read(q *question, w http.ResponseWriter, r *http.Request) error {
	e := q.endpoint
	body, err := readAll(http.MaxBytesReader(w, r.Body, h.opt.MaxBody), r.ContentLength)
	if err != nil {
		return err
	}
	var is bool
	if q.fields, is = readFields(body, q.room[:0]); !is {
		return store.Invalid("body", "syntax", "must be a JSON object")
	}
	for i := range q.fields.list {
		name := q.fields.list[i].name
		if lower := strings.ToLower(name); lower != name && slices.Contains(meant, lower) {
			return store.Invalid(lower, "pattern", "must be written in lower case")
		}
	}
	if q.call.Model = q.fields.str("model"); q.call.Model == "" {
		return store.Invalid("model", "required", "must be the name of a model")
	}
	if q.stream, err = q.flag("stream"); err != nil {
		return err
	}
	if q.stream && !e.stream {
		return store.Invalid("stream", "range", "is not served here")
	}
	for _, field := range e.longest {
		n, err := q.number(field)
		if err != nil {
			return err
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
			return err
		}
		if n = max(n, 1); n > gate.MaxAnswers {
			return store.Invalid("n", "range", "must be at most %d", gate.MaxAnswers)
		}
	}
	if e.images {
		q.call.Images = n
	} else {
		q.call.Answers = n
	}
	var images int64
	q.call.Features, images = q.features(e)
	q.call.Objects = q.objects()
	if !e.free {
		q.call.InputTokens = int64(len(body)) + images*h.opt.ImageTokens // no token is shorter than a byte
		q.about = int64(len(body)+3)/4 + images*h.opt.ImageTokens/4
	}
	if len(e.longest) == 0 && !e.images {
		q.call.MaxOutputTokens = gate.NoOutput
	}
	return nil
}

// readAll reads a body that says of itself how long it is, -1 where it does not.
func readAll(from io.Reader, length int64) (string, error) {
	const most = 1 << 20 // that is believed
	if length < 0 {
		length = 511
	}
	b := make([]byte, 0, min(length, most)+1)
	for { // as io.ReadAll does, which begins with less
		n, err := from.Read(b[len(b):cap(b)])
		if b = b[:len(b)+n]; err == io.EOF {
			return unsafe.String(unsafe.SliceData(b), len(b)), nil // which nobody changes
		} else if err != nil {
			return "", err
		}
		if len(b) == cap(b) {
			b = slices.Grow(b, len(b))
		}
	}
}

// forward is the request that the next handler gets.
func (q *question) forward(ctx context.Context, r *http.Request, adm *gate.Admission) *http.Request {
	q.fields.putText("model", adm.Model.ID)
	for _, field := range q.endpoint.longest {
		if most := adm.MaxOutputTokens; field != q.longest || most <= 0 {
			q.fields.remove(field)
		} else if n, err := q.number(field); err != nil || n != most {
			q.fields.put(field, most)
		}
	}
	if q.stream && q.endpoint.ask {
		var options map[string]json.RawMessage
		_ = json.Unmarshal([]byte(q.fields.get("stream_options")), &options) // what is none is replaced
		q.asked = string(options["include_usage"]) == "true"
		if options == nil {
			options = map[string]json.RawMessage{}
		}
		options["include_usage"] = json.RawMessage("true")
		q.fields.put("stream_options", options)
	}
	body := q.fields.object()
	out := r.WithContext(ctx)
	q.url = *r.URL
	q.url.RawQuery = "" // it says nothing that was looked at
	out.URL, out.Header = &q.url, make(http.Header, len(r.Header)+1)
	for name, values := range r.Header {
		if !slices.Contains(withheld, name) {
			out.Header[name] = values[:len(values):len(values)]
		}
	}
	q.set = [...]string{"identity", "application/json", strconv.Itoa(len(body))}
	out.Header["Accept-Encoding"] = q.set[0:1:1] // what was used is read in the answer
	out.Header["Content-Type"], out.Header["Content-Length"] = q.set[1:2:2], q.set[2:3:3]
	out.ContentLength, out.TransferEncoding, out.Trailer = int64(len(body)), nil, nil
	out.GetBody = func() (io.ReadCloser, error) {
		again := &sent{}
		again.Reset(body)
		return again, nil
	}
	q.sent.Reset(body)
	out.Body = &q.sent
	return out
}

// sent is a body of which all is there.
type sent struct{ strings.Reader }

// Close implements io.Closer.
func (*sent) Close() error { return nil }

// withheld are the headers of the client that are not passed on.
var withheld = append([]string{"Cookie", "X-Tags", "X-Approval-Reason", "Accept-Encoding", "Proxy-Authorization", "X-Forwarded-For", "Forwarded",
	"Content-Encoding", "Content-Length", "Content-Type", "Openai-Organization", "Openai-Project"}, keyHeaders...)
