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

// question is what a request asks for. Once it is passed on, little of that is needed any more.
type question struct {
	endpoint *endpoint
	call     gate.Call
	fields   fields // of the body
	stream   bool
	longest  string // the field that says how long an answer may be
	about    int64  // how many tokens the input has about
}

// meant are the fields that say what a call is: nothing that only looks like one may reach the upstream.
var meant = []string{"model", "messages", "system", "stream", "stream_options", "n", "max_tokens", "max_completion_tokens", "tools", "functions",
	"plugins", "web_search_options", "response_format", "output_format", "output_config", "input", "prompt", "mcp_servers", "vector_store_ids", "container", "tool_choice",
	"file_search"}

// read reads the body of a request.
func (h *handler) read(e *endpoint, w http.ResponseWriter, r *http.Request) (q question, err error) {
	q.endpoint = e
	body, err := readAll(http.MaxBytesReader(w, r.Body, h.opt.MaxBody), r.ContentLength)
	if err != nil {
		return q, err
	}
	var is bool
	if q.fields, is = readFields(body); !is {
		return q, store.Invalid("body", "syntax", "must be a JSON object")
	}
	for i := range q.fields.list {
		name := q.fields.list[i].name
		if lower := strings.ToLower(name); lower != name && slices.Contains(meant, lower) {
			return q, store.Invalid(lower, "pattern", "must be written in lower case")
		}
	}
	if q.call.Model = q.fields.str("model"); q.call.Model == "" {
		return q, store.Invalid("model", "required", "must be the name of a model")
	}
	if q.stream, err = q.fields.flag("stream"); err != nil {
		return q, err
	}
	if q.stream && !e.stream {
		return q, store.Invalid("stream", "range", "is not served here")
	}
	for _, field := range e.longest {
		n, err := q.fields.number(field)
		if err != nil {
			return q, err
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
		if n, err = q.fields.number("n"); err != nil {
			return q, err
		}
		if n = max(n, 1); n > gate.MaxAnswers {
			return q, store.Invalid("n", "range", "must be at most %d", gate.MaxAnswers)
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
	return q, nil
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

// forwarded is the room of what is passed on.
type forwarded struct {
	url  url.URL
	set  [3]string // headers
	body sent
}

// forward is the request that the next handler gets. asked is whether the client wants to be told what its stream has used.
func (q *question) forward(ctx context.Context, r *http.Request, adm *gate.Admission, room *forwarded) (out *http.Request, asked bool) {
	f := q.fields.withText("model", adm.Model.ID)
	for _, field := range q.endpoint.longest {
		if most := adm.MaxOutputTokens; field != q.longest || most <= 0 {
			f = f.without(field)
		} else if n, err := f.number(field); err != nil || n != most {
			f = f.withValue(field, most)
		}
	}
	if q.stream && q.endpoint.ask {
		var options map[string]json.RawMessage
		_ = json.Unmarshal([]byte(f.get("stream_options")), &options) // what is none is replaced
		asked = string(options["include_usage"]) == "true"
		if options == nil {
			options = map[string]json.RawMessage{}
		}
		options["include_usage"] = json.RawMessage("true")
		f = f.withValue("stream_options", options)
	}
	body := f.object()
	out = r.WithContext(ctx)
	room.url = *r.URL
	room.url.RawQuery = "" // it says nothing that was looked at
	out.URL, out.Header = &room.url, make(http.Header, len(r.Header)+1)
	for name, values := range r.Header {
		if !slices.Contains(withheld, name) {
			out.Header[name] = values[:len(values):len(values)]
		}
	}
	room.set = [...]string{"identity", "application/json", strconv.Itoa(len(body))}
	out.Header["Accept-Encoding"] = room.set[0:1:1] // what was used is read in the answer
	out.Header["Content-Type"], out.Header["Content-Length"] = room.set[1:2:2], room.set[2:3:3]
	out.ContentLength, out.TransferEncoding, out.Trailer = int64(len(body)), nil, nil
	out.GetBody = func() (io.ReadCloser, error) {
		again := &sent{}
		again.Reset(body)
		return again, nil
	}
	room.body.Reset(body)
	out.Body = &room.body
	return out, asked
}

// sent is a body of which all is there.
type sent struct{ strings.Reader }

// Close implements io.Closer.
func (*sent) Close() error { return nil }

// withheld are the headers of the client that are not passed on.
var withheld = append([]string{"Cookie", "X-Tags", "X-Approval-Reason", "Accept-Encoding", "Proxy-Authorization", "X-Forwarded-For", "Forwarded",
	"Content-Encoding", "Content-Length", "Content-Type", "Openai-Organization", "Openai-Project"}, keyHeaders...)
