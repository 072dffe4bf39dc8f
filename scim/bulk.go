package scim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/orgkit/orgkit/scim/schema"
)

const (
	bulkRequestURN  = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
	bulkResponseURN = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
	bulkPrefix      = "bulkId:"
)

// operation is one of a bulk request (RFC 7644 §3.7).
type operation struct {
	method, path, bulkID, version string
	data                          map[string]any

	refs   []string // bulkIds that it refers to
	result *bulkResult
}

// bulkResult is what an operation came to.
type bulkResult struct {
	Method   string `json:"method"`
	BulkID   string `json:"bulkId,omitempty"`
	Location string `json:"location,omitempty"`
	Version  string `json:"version,omitempty"`
	Status   string `json:"status"`
	Response any    `json:"response,omitempty"`
}

// bulkResponse is the answer to a bulk request.
type bulkResponse struct {
	Schemas    []string      `json:"schemas"`
	Operations []*bulkResult `json:"Operations"`
}

func (q *request) bulk() (*answer, error) {
	return q.withBody(maxBulkPayload, func(body map[string]any) (*answer, error) {
		if v, _ := schema.Named(body, "schemas"); !isNamed(v, bulkRequestURN) {
			return nil, schema.Errorf(schema.InvalidSyntax, "schemas must name %s", bulkRequestURN)
		}
		v, _ := schema.Named(body, "Operations")
		list, ok := v.([]any)
		if !ok {
			return nil, schema.Errorf(schema.InvalidSyntax, "Operations must be a list")
		}
		if len(list) > maxBulk {
			return nil, &statusError{http.StatusRequestEntityTooLarge, "a bulk request has at most " + strconv.Itoa(maxBulk) + " operations"}
		}
		if wait := q.limiter.Take(q.orgID, max(0, len(list)-1), q.m.Store().Now(), float64(q.opt.RequestsPerSecond), q.opt.Burst); wait > 0 { // the request was one
			return nil, &tooFast{wait}
		}
		fail := 0
		if v, has := schema.Named(body, "failOnErrors"); has && v != nil {
			n, _ := v.(json.Number)
			limit, err := strconv.Atoi(n.String())
			if err != nil || limit < 1 {
				return nil, schema.Errorf(schema.InvalidValue, "failOnErrors must be a number from 1")
			}
			fail = limit
		}
		b := &batch{request: q, failOn: fail, known: map[string]string{}, defined: map[string]bool{}}
		for _, v := range list {
			o, _ := v.(map[string]any)
			b.all = append(b.all, readOperation(o))
		}
		b.run()
		return &answer{status: http.StatusOK, body: b.response()}, nil
	})
}

func readOperation(o map[string]any) *operation {
	text := func(name string) string {
		v, _ := schema.Named(o, name)
		s, _ := v.(string)
		return s
	}
	op := &operation{method: strings.ToUpper(text("method")), path: text("path"), bulkID: text("bulkId"), version: text("version")}
	data, _ := schema.Named(o, "data")
	op.data, _ = data.(map[string]any)
	op.refs = references(op.data, references(op.path, nil))
	return op
}

// references finds the bulkIds that a value refers to.
func references(v any, found []string) []string {
	switch v := v.(type) {
	case string:
		for _, part := range strings.Split(v, "/") {
			if id, ok := strings.CutPrefix(part, bulkPrefix); ok && !slices.Contains(found, id) {
				found = append(found, id)
			}
		}
	case map[string]any:
		for _, one := range v {
			found = references(one, found)
		}
	case []any:
		for _, one := range v {
			found = references(one, found)
		}
	}
	return found
}

// batch runs the operations of a bulk request, each as soon as it is known what it refers to.
type batch struct {
	*request
	all     []*operation
	failOn  int
	failed  int
	known   map[string]string // bulkId to id
	defined map[string]bool   // bulkIds that an operation makes
}

func (b *batch) run() {
	for _, op := range b.all {
		switch {
		case op.method == http.MethodPost && op.bulkID == "":
			b.fail(op, schema.Errorf(schema.InvalidSyntax, "bulkId is required of what is made"))
		case op.method == http.MethodPost && b.defined[op.bulkID]:
			b.fail(op, schema.Errorf(schema.InvalidValue, "bulkId is there twice"))
		case op.method == http.MethodPost:
			b.defined[op.bulkID] = true
		}
	}
	for b.step() {
	}
	for _, op := range b.all {
		if op.result == nil && !b.stopped() {
			b.fail(op, &statusError{http.StatusConflict, "refers to a bulkId that was not made"})
		}
	}
}

func (b *batch) stopped() bool { return b.failOn > 0 && b.failed >= b.failOn }

// step runs every operation that can be run, in their order; where none can, it makes the first resource that only waits for
// others which wait for it, without what it refers to, and says so by answering true.
func (b *batch) step() (any bool) {
	for _, op := range b.all {
		if b.stopped() {
			return false
		}
		if op.result == nil && len(b.open(op)) == 0 {
			b.do(op)
			any = true
		}
	}
	if any {
		return true
	}
	for _, op := range b.all {
		if op.result != nil || op.method != http.MethodPost || op.data == nil || strings.Contains(op.path, bulkPrefix) || !b.waits(op) {
			continue
		}
		b.early(op)
		return true
	}
	return false
}

// open are the bulkIds that an operation refers to and that are not known yet.
func (b *batch) open(op *operation) (open []string) {
	for _, id := range op.refs {
		if _, ok := b.known[id]; !ok {
			open = append(open, id)
		}
	}
	return open
}

// waits says whether all that the operation waits for may still be made.
func (b *batch) waits(op *operation) bool {
	for _, id := range b.open(op) {
		pending := slices.ContainsFunc(b.all, func(o *operation) bool {
			return o.method == http.MethodPost && o.bulkID == id && o.result == nil
		})
		if !pending {
			return false
		}
	}
	return true
}

// do runs an operation all of whose references are known.
func (b *batch) do(op *operation) {
	data, _ := b.resolve(op.data).(map[string]any)
	path, _ := b.resolve(op.path).(string)
	a, err := b.call(op.method, path, op.version, data)
	b.done(op, a, err)
}

// early makes a resource of a circle without what it refers to, and leaves the whole of it to be put in its place when that is
// known.
func (b *batch) early(op *operation) {
	a, err := b.call(op.method, op.path, "", b.bare(op.data))
	b.done(op, a, err)
	if err != nil {
		return
	}
	b.all = append(b.all, &operation{method: http.MethodPut, path: strings.TrimRight(op.path, "/") + "/" + lastPart(a.location), data: op.data, refs: op.refs,
		bulkID: "\x00" + op.bulkID})
}

// resolve puts ids in the place of references.
func (b *batch) resolve(v any) any {
	switch v := v.(type) {
	case string:
		parts := strings.Split(v, "/")
		for i, part := range parts {
			if id, ok := strings.CutPrefix(part, bulkPrefix); ok {
				parts[i] = b.known[id]
			}
		}
		return strings.Join(parts, "/")
	case map[string]any:
		if v == nil {
			return v
		}
		o := make(map[string]any, len(v))
		for name, one := range v {
			o[name] = b.resolve(one)
		}
		return o
	case []any:
		list := make([]any, len(v))
		for i, one := range v {
			list[i] = b.resolve(one)
		}
		return list
	}
	return v
}

// bare is a body without the members that refer to what is not known, and with the ids of what is.
func (b *batch) bare(body map[string]any) map[string]any {
	o := map[string]any{}
	for name, v := range body {
		list, isList := v.([]any)
		if !isList {
			if !b.unknown(v) {
				o[name] = b.resolve(v)
			}
			continue
		}
		kept := []any{}
		for _, one := range list {
			if !b.unknown(one) {
				kept = append(kept, b.resolve(one))
			}
		}
		o[name] = kept
	}
	return o
}

// unknown says whether a value refers to a bulkId that is not known.
func (b *batch) unknown(v any) bool {
	return slices.ContainsFunc(references(v, nil), func(id string) bool { _, ok := b.known[id]; return !ok })
}

// call runs an operation as a request of its own would.
func (b *batch) call(method, path, version string, data map[string]any) (*answer, error) {
	u, err := url.Parse(path)
	if err != nil || u.Host != "" {
		return nil, schema.Errorf(schema.InvalidPath, "path must be that of a resource")
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	k := kindOf(parts[0])
	if k == nil || len(parts) > 2 {
		return nil, schema.Errorf(schema.InvalidPath, "path must be that of a resource")
	}
	q := b.withQuery(method, u.Query())
	if version != "" {
		q.http.Header.Set("If-Match", version)
	}
	switch {
	case method == http.MethodDelete && len(parts) == 2:
		return q.remove(k, parts[1])
	case data == nil && method != http.MethodDelete:
		return nil, schema.Errorf(schema.InvalidSyntax, "data must be an object")
	case method == http.MethodPost && len(parts) == 1:
		return q.create(k, data)
	case method == http.MethodPut && len(parts) == 2:
		return q.replace(k, parts[1], data)
	case method == http.MethodPatch && len(parts) == 2:
		return q.patch(k, parts[1], data)
	}
	return nil, schema.Errorf(schema.InvalidSyntax, "method must be POST, PUT, PATCH or DELETE, and one that the path has")
}

// done notes what an operation came to.
func (b *batch) done(op *operation, a *answer, err error) {
	if err != nil {
		b.fail(op, err)
		return
	}
	op.result = &bulkResult{Method: op.method, BulkID: op.bulkID, Location: a.location, Version: a.version, Status: strconv.Itoa(a.status)}
	if op.result.Location == "" && op.method != http.MethodDelete {
		path, _ := b.resolve(op.path).(string)
		op.result.Location = b.base + "/" + strings.Trim(path, "/")
	}
	if op.method == http.MethodPost {
		b.known[op.bulkID] = lastPart(a.location)
	}
}

func (b *batch) fail(op *operation, err error) {
	p := classify(err)
	b.failed++
	op.result = &bulkResult{Method: op.method, BulkID: op.bulkID, Status: p.Status, Response: p}
	if p.internal && b.opt.HTTP != nil && b.opt.HTTP.Fail != nil {
		b.opt.HTTP.Fail(b.http, err)
	}
}

// response is what all came to, in the order of the request. What was put in its place at the end of a circle counts for the
// operation that made it.
func (b *batch) response() bulkResponse {
	r := bulkResponse{Schemas: []string{bulkResponseURN}, Operations: []*bulkResult{}}
	made := map[string]*bulkResult{}
	for _, op := range b.all {
		if op.result == nil {
			continue
		}
		if of, ok := strings.CutPrefix(op.bulkID, "\x00"); ok {
			if first := made[of]; op.result.Response != nil {
				first.Status, first.Response = op.result.Status, op.result.Response
			} else {
				first.Version = op.result.Version
			}
			continue
		}
		made[op.bulkID] = op.result
		r.Operations = append(r.Operations, op.result)
	}
	return r
}
