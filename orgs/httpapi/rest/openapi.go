package rest

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/orgkit/orgkit/orgs/httpapi"
)

// openPaths are served to everybody.
var openPaths = []string{"/openapi.json", "/openapi.yaml", "/openapi-3.0.json", "/openapi-3.0.yaml", referencePath}

const about = "Organizations, teams, members, roles, policies, API keys, budgets and usage. Times are RFC 3339 in UTC. Lists have a cursor: " +
	"next_cursor is the after of the next page. A write with If-Match is made of that version alone. A PATCH is a merge patch: what is absent stays, " +
	"null restores the default. Every write answers Orgkit-Revision; a read that sends it back is never older."

// The statuses of errors: of every operation, of those that write, and of some.
var (
	failures       = []int{400, 401, 403, 404, 500, 503}
	writeFailures  = []int{409, 412, 413, 415}
	goneFailure    = http.StatusGone
	limitedFailure = http.StatusTooManyRequests
)

// failureName is that of the response of a status in the description.
func failureName(status int) string {
	return strings.ReplaceAll(http.StatusText(status), " ", "")
}

// describeAll completes the description, and serves it for people to read.
func (a *api) describeAll(mux humago.Mux) error {
	doc := a.huma.OpenAPI()
	schemas := doc.Components.Schemas
	problem := map[string]*huma.MediaType{"application/problem+json": {Schema: schemas.Schema(reflect.TypeFor[httpapi.Problem](), true, "")}}
	doc.Components.Responses = map[string]*huma.Response{}
	for _, status := range slices.Concat(failures, writeFailures, []int{goneFailure, limitedFailure, http.StatusUnprocessableEntity}) {
		doc.Components.Responses[failureName(status)] = &huma.Response{Description: http.StatusText(status), Content: problem}
	}
	for _, name := range []string{"ErrorModel", "ErrorDetail"} { // Huma's own errors, which nobody sees
		delete(schemas.Map(), name)
	}
	for _, op := range a.opt.Others {
		doc.AddOperation(other(schemas, op))
	}
	for name := range schemas.Map() {
		nullables(schemas, name)
	}
	page, err := a.reference(doc)
	if err != nil {
		return err
	}
	mux.HandleFunc("GET "+a.opt.Prefix+referencePath, page)
	return nil
}

// nullables says of fields of an object that they may be null, where Huma does not: objects and amounts that are sent though
// there are none.
func nullables(schemas huma.Registry, name string) {
	t, s := schemas.TypeFromRef("#/components/schemas/"+name), schemas.Map()[name]
	if t == nil || t.Kind() != reflect.Struct {
		return
	}
	for _, f := range reflect.VisibleFields(t) {
		field, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		p := s.Properties[field]
		if p == nil || f.Type.Kind() != reflect.Pointer || options != "" || p.Nullable {
			continue
		}
		null := &huma.Schema{Type: "null"}
		switch {
		case p.Ref != "":
			s.Properties[field] = &huma.Schema{OneOf: []*huma.Schema{{Ref: p.Ref}, null}, Description: p.Description}
		case len(p.OneOf) > 0:
			s.Properties[field] = &huma.Schema{OneOf: append(slices.Clone(p.OneOf), null), Description: p.Description}
		case p.Type != "":
			p.Nullable = true
		}
	}
}

// other is the description of what another handler serves.
func other(schemas huma.Registry, op httpapi.Operation) *huma.Operation {
	d := &huma.Operation{Method: op.Method, Path: op.Path, Summary: op.Summary, OperationID: operationID(op.Method, op.Path),
		Parameters: pathParameters(op.Path), Responses: failureResponses(op.Method, op.Path)}
	if op.Method != http.MethodGet { // guesses are slowed
		d.Responses[strconv.Itoa(limitedFailure)] = &huma.Response{Ref: "#/components/responses/" + failureName(limitedFailure)}
	}
	if op.Repeats {
		describeRepeats(d)
	}
	if op.Open {
		d.Security = []map[string][]string{}
	}
	if op.Query != nil {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(op.Query)) {
			schema := huma.SchemaFromField(schemas, f, "")
			d.Parameters = append(d.Parameters, &huma.Param{Name: f.Tag.Get("query"), In: "query", Schema: schema, Description: schema.Description})
		}
	}
	if op.Body != nil {
		d.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{"application/json": {Schema: schemas.Schema(reflect.TypeOf(op.Body), true, "")}}}
	}
	d.Responses[strconv.Itoa(op.Status)] = &huma.Response{Description: http.StatusText(op.Status), Content: map[string]*huma.MediaType{
		"application/json": {Schema: schemas.Schema(reflect.TypeOf(op.Answer), true, "")}}}
	return d
}

func failureResponses(method, path string) map[string]*huma.Response {
	codes := slices.Clone(failures)
	if method != http.MethodGet {
		codes = append(codes, writeFailures...)
	}
	if strings.Contains(path, "/invitations") || strings.Contains(path, "/audit") || strings.Contains(path, "/password-resets") {
		codes = append(codes, goneFailure)
	}
	all := map[string]*huma.Response{}
	for _, code := range codes {
		all[strconv.Itoa(code)] = &huma.Response{Ref: "#/components/responses/" + failureName(code)}
	}
	return all
}

func pathParameters(path string) (list []*huma.Param) {
	for _, m := range pathParam.FindAllStringSubmatch(path, -1) {
		list = append(list, &huma.Param{Name: m[1], In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}, Description: pathParams[m[1]]})
	}
	return list
}

// Operation ids are made of the method and the fixed parts of the path, and differ where those do.
func operationID(method, path string) string {
	parts := []string{strings.ToLower(method)}
	for p := range strings.SplitSeq(strings.TrimPrefix(path, "/v1/"), "/") {
		if name, is := strings.CutPrefix(p, "{"); is {
			p = fmt.Sprint("by-", strings.TrimSuffix(name, "}"))
		}
		parts = append(parts, p)
	}
	return strings.Join(parts, "-")
}
