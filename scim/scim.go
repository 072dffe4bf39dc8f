// Package scim lets the identity provider of an organization provision its members: a SCIM 2.0 service provider (RFC 7643,
// RFC 7644, RFC 9865) as one [net/http.Handler].
//
// [New] makes the handler. Each organization switches it on by orgs.Manager.SetProvisioning and gets a token by
// orgs.Manager.CreateSCIMToken, which it gives its provider together with the base URL: the token names the organization,
// and nothing of any other one exists to its bearer. Users are members of the organization and groups are its teams, made,
// changed and ended in the same units, with the same audit events, as by hand.
//
// # Habits
//
// What the clients of Okta and Entra are known to send is taken: booleans as words, verbs in capitals, values without a list,
// attributes nobody knows. [Options].Strict turns that off. Operations on members of groups cost the same however large the
// group is, and a filter on userName, externalId, id, emails.value, displayName, members.value or groups.value is looked up
// in an index.
//
// # Conditions
//
// Versions are weak ETags. If-Match is honoured and never required. A request is one unit: it is stored as a whole or not at
// all. Of a bulk request each operation is.
package scim

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
)

// Authenticate returns the identity provider behind a request, as orgs.Manager.AuthenticateSCIM does: an actor of the type
// audit.SCIM with the organization in which it acts. An error, such as *orgs.AuthError, is 401.
type Authenticate func(*http.Request) (audit.Actor, error)

// Options of the handler; nil works.
type Options struct {
	// Authenticate takes the place of bearer tokens; a host that issues short-lived ones brings it.
	Authenticate Authenticate
	// Strict refuses what interoperability profiles forbid and today's clients send: unknown attributes, operations without a
	// path or on whole elements, and operations on elements that are not there.
	Strict bool
	// GroupsOnCreate puts a new user into the groups that the request names, by id or name, where they exist. SCIM has users
	// join by the groups alone.
	GroupsOnCreate bool
	// RequestsPerSecond and Burst are what one organization may ask for; each operation of a bulk request is one. 0 is 50
	// and 200; the limit is of this process.
	RequestsPerSecond, Burst int
	// CursorKey signs the cursors of lists. All processes that serve the same clients have the same one. Without it a cursor
	// is only known to be whole; what it points at is its organization's all the same.
	CursorKey []byte
	// HTTP are the trusted proxies, and who is told of errors that clients are not.
	HTTP *httpapi.Options
}

// Handler serves SCIM. It is safe for concurrent use.
type Handler struct {
	m       *orgs.Manager
	base    string
	opt     Options
	limiter httpapi.Limiter
	walks   walks
	serve   http.Handler
}

// New returns the handler. baseURL is where clients reach it, such as https://gateway.example/scim/v2: resources say that they
// are there, unless their organization has a URL of its own. Mount it behind http.StripPrefix.
func New(m *orgs.Manager, baseURL string, o *Options) (*Handler, error) {
	h := &Handler{m: m, base: strings.TrimRight(baseURL, "/")}
	if u, err := url.Parse(h.base); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("scim: the base URL must be an absolute one, without query")
	}
	if o != nil {
		h.opt = *o
	}
	if h.opt.Authenticate == nil {
		h.opt.Authenticate = h.bearer
	}
	if h.opt.RequestsPerSecond <= 0 {
		h.opt.RequestsPerSecond = 50
	}
	if h.opt.Burst <= 0 {
		h.opt.Burst = 200
	}
	// Who calls is found out behind it, since discovery asks nobody; here only where the request comes from is noted.
	anybody := func(*http.Request) (audit.Actor, error) { return audit.Actor{}, nil }
	h.serve = httpapi.Actor(anybody, h.opt.HTTP, http.HandlerFunc(h.route))
	return h, nil
}

// ServeHTTP serves one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.serve.ServeHTTP(w, r) }

// bearer authenticates by the Authorization header (RFC 6750).
func (h *Handler) bearer(r *http.Request) (audit.Actor, error) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if secret = strings.TrimSpace(secret); !strings.EqualFold(scheme, "Bearer") {
		secret = ""
	}
	return h.m.AuthenticateSCIM(r.Context(), secret)
}

// route finds what a request is for. The path is relative to where the handler is mounted; a slash at its end does not
// matter.
func (h *Handler) route(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		r.Method, w = http.MethodGet, headOnly{w}
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if discovery, ok := h.discovery(parts); ok {
		h.discover(w, r, discovery)
		return
	}
	a, err := h.opt.Authenticate(r)
	if err == nil && (a.Type != audit.SCIM || a.OrgID == "") {
		err = &orgs.AuthError{Code: "invalid_api_key"}
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	q := &request{Handler: h, orgID: a.OrgID, http: r}
	q.http = r.WithContext(audit.WithActor(r.Context(), a.From(r.Context())))
	if wait := h.limiter.Take(a.OrgID, 1, h.m.Store().Now(), float64(h.opt.RequestsPerSecond), h.opt.Burst); wait > 0 {
		h.fail(w, r, &tooFast{wait})
		return
	}
	answer, err := q.answer(parts)
	if err != nil {
		h.fail(w, q.http, err)
		return
	}
	answer.write(w, r)
}

// request is one request of an identity provider.
type request struct {
	*Handler
	orgID string
	http  *http.Request
}

func (q *request) ctx() context.Context { return q.http.Context() }

// answer does what the request asks for.
func (q *request) answer(parts []string) (*answer, error) {
	method := q.http.Method
	switch {
	case parts[0] == "Bulk" && len(parts) == 1:
		return q.only(http.MethodPost, q.bulk)
	case parts[0] == "Me" && len(parts) == 1:
		return nil, &statusError{http.StatusNotImplemented, "a token of an organization is nobody's own"}
	case parts[0] == ".search" && len(parts) == 1:
		return q.only(http.MethodPost, q.searchAll)
	case parts[0] == "" && len(parts) == 1:
		return nil, &statusError{http.StatusNotImplemented, "lists of everything are asked for by POST .search"}
	}
	k := kindOf(parts[0])
	switch {
	case k == nil:
		return nil, &statusError{http.StatusNotFound, "there is no such path"}
	case len(parts) == 1 && method == http.MethodGet:
		return q.list(k)
	case len(parts) == 1 && method == http.MethodPost:
		return q.withBody(k.limit, func(body map[string]any) (*answer, error) { return q.create(k, body) })
	case len(parts) == 2 && parts[1] == ".search":
		return q.only(http.MethodPost, func() (*answer, error) { return q.search(k) })
	case len(parts) == 2 && method == http.MethodGet:
		return q.get(k, parts[1])
	case len(parts) == 2 && method == http.MethodPut:
		return q.withBody(k.limit, func(body map[string]any) (*answer, error) { return q.replace(k, parts[1], body) })
	case len(parts) == 2 && method == http.MethodPatch:
		return q.withBody(k.limit, func(body map[string]any) (*answer, error) { return q.patch(k, parts[1], body) })
	case len(parts) == 2 && method == http.MethodDelete:
		return q.remove(k, parts[1])
	case len(parts) == 1:
		return nil, wrongMethod("GET, POST")
	case len(parts) == 2:
		return nil, wrongMethod("GET, PUT, PATCH, DELETE")
	}
	return nil, &statusError{http.StatusNotFound, "there is no such path"}
}

// only runs fn for the one method that a path has.
func (q *request) only(method string, fn func() (*answer, error)) (*answer, error) {
	if q.http.Method != method {
		return nil, wrongMethod(method)
	}
	return fn()
}

// tooFast says that an organization asks for more than it may.
type tooFast struct{ wait time.Duration }

func (e *tooFast) Error() string { return "too many requests" }
