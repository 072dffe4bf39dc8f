// Package rest is the native HTTP dialect: /v1/organizations and what belongs to it, with an OpenAPI
// 3.1 document at /openapi.json, and the same for people at /reference. The file openapi.json is that document as it is
// with the calls of package sessions.
//
//	handler, err := rest.New(m, &rest.Options{AdminKey: key})
//	mux.Handle("/", handler)
//
// Every faulty request is 400 and names the field; every success is 200 or 201 with a JSON body, but for the page of an invoice;
// every error is a problem (RFC 9457) with the vendor's error object inside. Another tenant's id is
// 404, like one that does not exist.
//
// A POST with an Idempotency-Key is done once: its answer is kept in the unit of its change, by caller and route, for 24 hours
// (orgs.Manager.Once), and is answered again with Idempotency-Replayed, secrets in it as null. What failed is not kept.
//
// What a change would do to everybody's rights is asked of its own call, with dry_run=true: there is no other call for that, which
// could answer something else.
//
// Huma describes and routes. Bodies are validated against their schemas only after the caller has
// been found to belong to the tenant, so that a stranger learns nothing from the answer.
package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store/seal"
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
	// Others are calls that other handlers serve in front of this one, such as sessions.Operations: they are in its description.
	// Their types must not have the names of those that are described already.
	Others []httpapi.Operation
	// SSOURL is where browsers reach the handler of package orgs/sso, such as "https://gateway.example/sso": what organizations
	// tell their identity providers begins with it. "" says nothing of it.
	SSOURL string
	// InvoiceIssuer is who issues invoices, as it is printed on them: name and address, in lines.
	InvoiceIssuer string
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
	a.edge = &httpapi.Options{TrustedProxies: a.opt.TrustedProxies, Fail: httpapi.LogFailures(a.opt.Logger)}

	mux := http.NewServeMux()
	if err := a.serve(mux); err != nil {
		return nil, err
	}
	return a.open(mux), nil
}

// serve has all operations served by the mux, and described.
func (a *api) serve(mux humago.Mux) error {
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
	a.access()
	a.apiKeys()
	a.approvals()
	a.auditLog()
	a.auditCounts()
	a.accessLog()
	a.auditConfig()
	a.webhooks()
	a.provisioning()
	a.sso()
	a.rateLimits()
	a.analytics()
	a.usage()
	a.credit()
	a.billing()
	a.invoices()
	return a.describeAll(mux)
}

// open serves the description to everybody and everything else to actors.
func (a *api) open(mux *http.ServeMux) http.Handler {
	served := httpapi.Fallback(mux, a.edge)
	guarded := httpapi.Actor(a.opt.Authenticate, a.edge, a.readable(a.conditional(served)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		if slices.Contains(openPaths, strings.TrimPrefix(r.URL.Path, a.opt.Prefix)) {
			served.ServeHTTP(w, r)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

func (a *api) config() huma.Config {
	c := huma.DefaultConfig("orgkit", "1")
	c.Info.Description = about
	c.DocsPath = ""                       // the page would load scripts from elsewhere
	c.SchemasPath = ""                    //
	c.CreateHooks = nil                   // no $schema links
	c.RejectUnknownQueryParameters = true // a mistyped filter must not widen a list
	c.Transformers = []huma.Transformer{problems}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer"}}
	c.Security = []map[string][]string{{"bearer": {}}}
	r := c.Components.Schemas
	r.RegisterTypeAlias(reflect.TypeFor[billing.Amount](), reflect.TypeFor[money]())
	r.RegisterTypeAlias(reflect.TypeFor[seal.Secret](), reflect.TypeFor[string]())
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
