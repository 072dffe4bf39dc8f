package rest

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"regexp"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/orgkit/orgkit/orgs"
)

type exchangeKey struct{}

// exchange is the request of an operation, its body read.
type exchange struct {
	*http.Request
	body []byte
	err  error // of reading the body

	attempt   *orgs.Attempt // of a call for many, whose rows are kept one by one; nil: nothing is kept
	kept      []byte        // the body of the answer as it is kept; nil: as it is shown
	unsettled bool          // something failed that may pass: the answer is not kept
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

// add registers an operation that answers 200. Q is its query, B the type of its body; what stands in its
// path is read by [param], so that one function serves several paths.
func add[Q, B, Out any](a *api, method, path, summary string, fn func(ctx context.Context, q *Q) (*answer[Out], error)) {
	register(a, describe[B](a, method, path, summary, http.StatusOK), fn)
}

// create registers a POST that answers 201.
func create[B, Out any](a *api, path, summary string, fn func(ctx context.Context, q *none) (*answer[Out], error)) {
	register(a, describe[B](a, http.MethodPost, path, summary, http.StatusCreated), fn)
}

func register[Q, Out any](a *api, op huma.Operation, fn func(ctx context.Context, q *Q) (*answer[Out], error)) {
	a.rehearsable(&op)
	a.repeatable(&op)
	huma.Register(a.huma, op, func(ctx context.Context, q *Q) (*answer[Out], error) {
		out, err := fn(ctx, q)
		if err != nil {
			failed(ctx, err)
			return nil, a.problem(ctx, err)
		}
		if op.Method == http.MethodPost {
			if err := a.remember(request(ctx), out.Body); err != nil {
				return nil, a.problem(ctx, err)
			}
		}
		return out, nil
	})
}

// describe says of an operation what its types do not say by themselves.
func describe[B any](a *api, method, path, summary string, status int) huma.Operation {
	schemas := a.huma.OpenAPI().Components.Schemas
	op := huma.Operation{Method: method, Path: path, Summary: summary, OperationID: operationID(method, path), DefaultStatus: status,
		Parameters: pathParameters(path), Responses: failureResponses(method, path)}
	t := reflect.TypeFor[B]()
	if t == reflect.TypeFor[none]() {
		return op
	}
	body := schemas.Schema(t, true, "")
	content := map[string]*huma.MediaType{"application/json": {Schema: body}}
	if method == http.MethodPatch { // any part of it, and null for what shall have its default
		part := *schemas.SchemaFromRef(body.Ref)
		part.Required = nil
		part.Description = "a merge patch (RFC 7396): what is absent stays, null restores the default"
		content["application/json"] = &huma.MediaType{Schema: &part}
		content["application/merge-patch+json"] = content["application/json"]
	}
	op.RequestBody = &huma.RequestBody{Content: content}
	return op
}

var pathParam = regexp.MustCompile(`\{(\w+)\}`)

// pathParams says of what stands in paths what may stand there.
var pathParams = map[string]string{
	"org": "id or slug, also one that the organization had not long ago", "team": "id, or a slug that one visible team has",
	"project": "id or slug", "role": "id or slug", "user": "id, e-mail address or me", "invitation": "id", "policy": "id",
	"key": "id", "token": "id", "approval": "id", "webhook": "id", "failure": "id", "limit": "id", "budget": "id", "raise": "id", "invoice": "id", "session": "id, or current",
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
		a.edge.Fail(request(ctx).Request, err)
	}
	return p
}
