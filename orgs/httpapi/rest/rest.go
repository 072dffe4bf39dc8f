// Package rest is the native HTTP dialect: /v1/organizations and what belongs to it, with an OpenAPI
// 3.1 document at /openapi.json.
//
//	handler, err := rest.New(m, &rest.Options{AdminKey: key})
//	mux.Handle("/", handler)
//
// Every faulty request is 400 and names the field; every success is 200 or 201 with a JSON body;
// every error is a problem (RFC 9457) with the vendor's error object inside. Another tenant's id is
// 404, like one that does not exist.
//
// Huma describes and routes. Bodies are validated against their schemas only after the caller has
// been found to belong to the tenant, so that a stranger learns nothing from the answer.
package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
)

// Options of the handler. Nil serves with personal tokens and API keys only.
type Options struct {
	// Prefix is the path under which the host mounts the handler without stripping it, such as
	// "/ai". With http.StripPrefix leave it empty and set PublicURL.
	Prefix string
	// PublicURL begins the links in answers, such as "https://api.example.com"; "" makes them paths.
	PublicURL string
	// Authenticate returns the actor of a request; nil is httpapi.Bearer with AdminKey.
	Authenticate httpapi.Authenticate
	// AdminKey is the bearer token of the platform's operator; "" for none.
	AdminKey string
	// TrustedProxies may say in X-Forwarded-For for whom they call; none by default.
	TrustedProxies []netip.Prefix
	// Logger is told of failures that the caller is not to blame for; nil drops them.
	Logger *slog.Logger
}

// MaxBody is the most bytes of a request body.
const MaxBody = 1 << 20

type api struct {
	*orgs.Manager
	huma huma.API
	opt  Options
	edge *httpapi.Options
}

// New returns the handler.
func New(m *orgs.Manager, o *Options) (http.Handler, error) {
	if m == nil {
		return nil, errors.New("rest: a manager is required")
	}
	a := &api{Manager: m}
	if o != nil {
		a.opt = *o
	}
	if a.opt.Prefix != "" && (!strings.HasPrefix(a.opt.Prefix, "/") || strings.HasSuffix(a.opt.Prefix, "/")) {
		return nil, fmt.Errorf("rest: the prefix %q must begin with / and not end with it", a.opt.Prefix)
	}
	if a.opt.Authenticate == nil {
		a.opt.Authenticate = httpapi.Bearer(m, a.opt.AdminKey)
	}
	a.edge = &httpapi.Options{TrustedProxies: a.opt.TrustedProxies, Fail: a.fail}

	mux := http.NewServeMux()
	a.huma = humago.NewWithPrefix(mux, a.opt.Prefix, a.config())
	a.huma.UseMiddleware(keepRequest)
	a.users()
	a.organizations()
	a.tree()
	a.roles()
	a.teams()
	a.projects()
	a.invitations()
	a.members()
	a.policies()
	a.apiKeys()
	a.approvals()
	a.auditLog()
	return a.open(mux), nil
}

// open serves the description to everybody and everything else to actors.
func (a *api) open(mux *http.ServeMux) http.Handler {
	served := httpapi.Fallback(mux)
	guarded := httpapi.Actor(a.opt.Authenticate, a.edge, a.readable(a.conditional(served)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		if path := strings.TrimPrefix(r.URL.Path, a.opt.Prefix); path == "/openapi.json" || path == "/openapi.yaml" {
			served.ServeHTTP(w, r)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

func (a *api) fail(r *http.Request, err error) {
	if a.opt.Logger != nil {
		a.opt.Logger.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path,
			"request_id", httpapi.RequestID(r.Context()), "error", err)
	}
}

func (a *api) config() huma.Config {
	c := huma.DefaultConfig("orgkit", "1")
	c.DocsPath = ""                       // the page would load scripts from elsewhere
	c.SchemasPath = ""                    //
	c.CreateHooks = nil                   // no $schema links
	c.RejectUnknownQueryParameters = true // a mistyped filter must not widen a list
	c.Transformers = []huma.Transformer{problems}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer"}}
	c.Security = []map[string][]string{{"bearer": {}}}
	r := c.Components.Schemas
	r.RegisterTypeAlias(reflect.TypeFor[billing.Amount](), reflect.TypeFor[money]())
	r.RegisterTypeAlias(reflect.TypeFor[decimal.Decimal](), reflect.TypeFor[money]())
	return c
}

// problems brings what Huma itself refuses into the form of all other errors, without the values
// that it would echo.
func problems(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	faults := &httpapi.Faults{}
	for _, e := range m.Errors {
		faults.List = append(faults.List, fault(e))
	}
	if m.Status >= 500 {
		return problem(ctx.Context(), errors.New(m.Detail)), nil
	}
	return problem(ctx.Context(), faults), nil
}

// problemError is a problem that Huma writes as it is.
type problemError struct{ httpapi.Problem }

func (p *problemError) Error() string  { return p.Detail }
func (p *problemError) GetStatus() int { return p.Status }

// ContentType is that of RFC 9457.
func (p *problemError) ContentType(string) string { return "application/problem+json" }

func problem(ctx context.Context, err error) *problemError {
	p := httpapi.Classify(err)
	p.RequestID = httpapi.RequestID(ctx)
	return &problemError{p}
}

type exchangeKey struct{}

// exchange is the request of an operation, its body read.
type exchange struct {
	*http.Request
	body []byte
	err  error // of reading the body
}

// keepRequest lets handlers read the body by themselves, once they know that the caller may.
func keepRequest(ctx huma.Context, next func(huma.Context)) {
	r, _ := humago.Unwrap(ctx)
	x := &exchange{Request: r}
	x.body, x.err = io.ReadAll(r.Body)
	r.Body = http.NoBody
	next(huma.WithValue(ctx, exchangeKey{}, x))
}

func request(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// answer is a success.
type answer[T any] struct {
	Status   int
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Body     T
}

func ok[T any](body T) (*answer[T], error) { return &answer[T]{Status: http.StatusOK, Body: body}, nil }

// one is a success with one object, found or failed.
func one[T any](version int64, body T, err error) (*answer[T], error) {
	return &answer[T]{Status: http.StatusOK, ETag: etag(version), Body: body}, err
}

// made is a success with a new object at the path.
func made[T any](a *api, path string, version int64, body T, err error) (*answer[T], error) {
	return &answer[T]{Status: http.StatusCreated, Location: a.created(path), ETag: etag(version), Body: body}, err
}

func (a *api) created(path string) string { return a.opt.PublicURL + a.opt.Prefix + path }

// none is the query or body of an operation that has none.
type none = struct{}

// add registers an operation. Q is its query, B the type of its body; what stands in its path is read by
// [param], so that one function serves several paths.
func add[Q, B, Out any](a *api, method, path, summary string, fn func(ctx context.Context, q *Q) (*answer[Out], error)) {
	op := huma.Operation{Method: method, Path: path, Summary: summary, OperationID: operationID(method, path),
		Errors: []int{400, 401, 403, 404, 409, 412}}
	for _, m := range pathParam.FindAllStringSubmatch(path, -1) {
		op.Parameters = append(op.Parameters, &huma.Param{Name: m[1], In: "path", Required: true,
			Schema: &huma.Schema{Type: huma.TypeString}, Description: pathParams[m[1]]})
	}
	if t := reflect.TypeFor[B](); t != reflect.TypeFor[struct{}]() {
		op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{
			"application/json": {Schema: a.huma.OpenAPI().Components.Schemas.Schema(t, true, "")}}}
	}
	huma.Register(a.huma, op, func(ctx context.Context, q *Q) (*answer[Out], error) {
		out, err := fn(ctx, q)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return out, nil
	})
}

var pathParam = regexp.MustCompile(`\{(\w+)\}`)

// pathParams says of what stands in paths what may stand there.
var pathParams = map[string]string{
	"org": "id or slug, also one that the organization had not long ago", "team": "id, or a slug that one visible team has",
	"project": "id or slug", "role": "id or slug", "user": "id, e-mail address or me", "invitation": "id", "policy": "id",
	"key": "id", "token": "id", "approval": "id",
}

// param returns what stands in the path of the request.
func param(ctx context.Context, name string) string { return request(ctx).PathValue(name) }

// place is where the path of the request leads: to a team, a project, or an organization.
func (a *api) place(ctx context.Context) (orgs.Place, error) {
	switch {
	case param(ctx, "team") != "":
		return a.TeamPlace(ctx, param(ctx, "team"))
	case param(ctx, "project") != "":
		return a.ProjectPlace(ctx, param(ctx, "org"), param(ctx, "project"))
	}
	return a.OrgPlace(ctx, param(ctx, "org"))
}

// placed is the place of the request and then its body: what is wrong with that is nobody's business to whom
// the place does not exist.
func placed[B any](ctx context.Context, a *api) (at orgs.Place, in B, err error) {
	if at, err = a.place(ctx); err != nil {
		return at, in, err
	}
	in, err = read[B](ctx, a, false)
	return at, in, err
}

// pathOf is the path of a place.
func pathOf(at orgs.Place) string {
	org := "/v1/organizations/" + at.OrgID
	switch {
	case at.TeamID == "":
		return org
	case at.IsProject():
		return org + "/projects/" + at.TeamID
	}
	return "/v1/teams/" + at.TeamID
}

// problem is the problem of an error, of which the host hears if the caller is not to blame.
func (a *api) problem(ctx context.Context, err error) *problemError {
	p := problem(ctx, err)
	if p.Internal() {
		a.fail(request(ctx).Request, err)
	}
	return p
}

// operationID is made of the method and the fixed parts of the path.
func operationID(method, path string) string {
	parts := []string{strings.ToLower(method)}
	for _, p := range strings.Split(strings.TrimPrefix(path, "/v1/"), "/") {
		if !strings.HasPrefix(p, "{") {
			parts = append(parts, p)
		} else {
			parts = append(parts, "by", strings.Trim(p, "{}"))
		}
	}
	return strings.Join(parts, "-")
}

// stamp writes a time as this dialect does: UTC, milliseconds.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func stampOf(t *time.Time) *string {
	if t == nil {
		return nil
	}
	s := stamp(*t)
	return &s
}

// Base is what every object has. Embedded types are exported for the description of the API, which sees no others.
type Base struct {
	ID        string `json:"id"`
	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`
	ETag      string `json:"etag"`
}

func baseOf(m store.Meta) Base {
	return Base{m.ID, stamp(m.CreatedAt), stamp(m.UpdatedAt), etag(m.Version)}
}

func etag(version int64) string { return fmt.Sprintf(`"%d"`, version) }

// list is a page of objects.
type list[T any] struct {
	Data       []T     `json:"data"`
	HasMore    bool    `json:"has_more"`
	NextCursor *string `json:"next_cursor"`
}

// listOf renders a page, found or failed.
func listOf[R, T any](page store.Page[R], err error, render func(R) (T, error)) (*answer[list[T]], error) {
	if err != nil {
		return nil, err
	}
	l := list[T]{Data: make([]T, 0, len(page.Items)), HasMore: page.Next != ""}
	for _, rec := range page.Items {
		view, err := render(rec)
		if err != nil {
			return nil, err
		}
		l.Data = append(l.Data, view)
	}
	if l.HasMore {
		l.NextCursor = &page.Next
	}
	return ok(l)
}

// always is for listOf what renders and cannot fail.
func always[R, T any](render func(R) T) func(R) (T, error) {
	return func(rec R) (T, error) { return render(rec), nil }
}

// deletedView is the answer where something was deleted for good.
type deletedView struct {
	ID      string `json:"id"`
	Deleted bool   `json:"deleted"`
}

func deleted(id string, err error) (*answer[deletedView], error) {
	return &answer[deletedView]{Status: http.StatusOK, Body: deletedView{id, true}}, err
}

// because is the body of calls for whose event a reason may be given.
type because struct {
	Reason string `json:"reason,omitempty"`
}

// paging is the query of every list.
type paging struct {
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After string `query:"after" maxLength:"1000"`
}

// filled is never nil in JSON.
func filled(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// grants are permissions beside those of a role.
type grants struct {
	Add    []string `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}

func (g grants) input() orgs.Grants { return orgs.Grants{Add: g.Add, Remove: g.Remove} }

func grantsOf(g orgs.Grants) grantsView { return grantsView{filled(g.Add), filled(g.Remove)} }

type grantsView struct {
	Add    []string `json:"add"`
	Remove []string `json:"remove"`
}
