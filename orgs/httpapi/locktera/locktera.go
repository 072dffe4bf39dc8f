// Package locktera is the dialect of systems that manage organizations at /orgs/{org_id}, as Locktera's clients know them: a
// client changes its host, and nothing else.
//
//	handler, err := locktera.New(m, &locktera.Options{AdminKey: key})
//	mux.Handle("/orgs/", handler)
//	mux.Handle("/org", handler)
//
// # Calls
//
//	GET    /org                                 the organization of the caller
//	POST   /orgs                                {name or org_name, parent_org_id, customizations}; for the platform
//	GET    /orgs/{org_id}
//	PATCH  /orgs/{org_id}                       {name or org_name, customizations, first_name, last_name, email, mobile_phone}
//	DELETE /orgs/{org_id}                       with everything below it
//	POST   /orgs/{org_id}/children              {role: group, name}, or {role: user, email}: 204
//	GET    /orgs/{org_id}/access_log            start, end, before
//	GET    /orgs/{org_id}/children_audit        start, end, before
//	GET    /orgs/{org_id}/consumption           month
//	GET    /orgs/{org_id}/customizations
//	PUT    /orgs/{org_id}/customizations        the object, or {customizations: the object}
//	GET    /orgs/{org_id}/api_keys
//	POST   /orgs/{org_id}/api_keys              {name, permissions}: the key, once
//	DELETE /orgs/{org_id}/api_keys/{key_id}
//	GET    /orgs/{org_id}/tags
//
// An id is a string, and a slug does as well. A slash at the end of a path makes it another one.
//
// # Errors
//
// Their statuses are 400, 401, 404 and 500, and 429 and 503 of the host: what the caller lacks the permission for is 401, without
// a challenge, and whatever is outside of their reach is 404. 405, with Allow, is for methods that the API has not. The body is
// {"message", "code", "fields"}: the status, and a text for each field that is wrong.
//
// # What is kept where
//
// Nothing is kept here. The person to turn to (first_name, last_name, email and mobile_phone) is the object contact in the
// metadata of the organization, for all other dialects to see.
package locktera

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Options of the handler. Nil serves with personal tokens and API keys only.
type Options struct {
	// Prefix is the path under which the host mounts the handler without stripping it, such as "/api/v1".
	Prefix string
	// PublicURL begins the links in answers, such as "https://api.example.com"; "" makes them paths.
	PublicURL string
	// Authenticate returns the actor of a request; nil is httpapi.Bearer with AdminKey. It finds the credential of APIKeyHeader
	// in the Authorization header, where that had none.
	Authenticate httpapi.Authenticate
	// AdminKey is the credential of the platform's operator; "" for none.
	AdminKey string
	// APIKeyHeader may carry the credential too; "" is X-API-Key.
	APIKeyHeader string
	// SpecShapes answers in the shapes of the vendor's OpenAPI file where they differ from those of its page: 204 where
	// something was deleted and 201 where a key was made, tags as texts, actions of the access log in lower case, objects without
	// name, created_at and customizations, and customizations without a message.
	SpecShapes bool
	// LogCap is the most entries of an array; 0 is 1000.
	LogCap int
	// TrustedProxies may say in X-Forwarded-For for whom they call; none by default.
	TrustedProxies []netip.Prefix
	// Logger is told of failures that the caller is not to blame for; nil drops them.
	Logger *slog.Logger
}

type api struct {
	*orgs.Manager
	opt  Options
	edge *httpapi.Options
	mux  *http.ServeMux
}

// New returns the handler.
func New(m *orgs.Manager, o *Options) (http.Handler, error) {
	if m == nil {
		return nil, errors.New("locktera: a manager is required")
	}
	a := &api{Manager: m, mux: http.NewServeMux()}
	if o != nil {
		a.opt = *o
	}
	if p := a.opt.Prefix; p != "" && (!strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/")) {
		return nil, fmt.Errorf("locktera: the prefix %q must begin with / and not end with it", p)
	}
	if a.opt.LogCap < 0 {
		return nil, errors.New("locktera: LogCap must not be negative")
	}
	if a.opt.LogCap == 0 {
		a.opt.LogCap = 1000
	}
	if a.opt.APIKeyHeader == "" {
		a.opt.APIKeyHeader = "X-API-Key"
	}
	if a.opt.Authenticate == nil {
		a.opt.Authenticate = httpapi.Bearer(m, a.opt.AdminKey)
	}
	a.edge = &httpapi.Options{TrustedProxies: a.opt.TrustedProxies, Fail: httpapi.LogFailures(a.opt.Logger), Render: render}
	a.routes()
	return httpapi.Actor(a.authenticate, a.edge, httpapi.Fallback(a.mux, a.edge)), nil
}

func (a *api) routes() {
	a.add("GET /org", a.own)
	a.add("POST /orgs", a.create)
	a.in("GET /orgs/{org_id}", a.organization)
	a.in("PATCH /orgs/{org_id}", a.update)
	a.in("DELETE /orgs/{org_id}", a.remove)
	a.in("POST /orgs/{org_id}/children", a.child)
	a.in("GET /orgs/{org_id}/access_log", a.accessLog)
	a.in("GET /orgs/{org_id}/children_audit", a.childrenAudit)
	a.in("GET /orgs/{org_id}/consumption", a.consumption)
	a.in("GET /orgs/{org_id}/customizations", a.customizations)
	a.in("PUT /orgs/{org_id}/customizations", a.customize)
	a.in("GET /orgs/{org_id}/api_keys", a.apiKeys)
	a.in("POST /orgs/{org_id}/api_keys", a.createKey)
	a.in("DELETE /orgs/{org_id}/api_keys/{key_id}", a.removeKey)
	a.in("GET /orgs/{org_id}/tags", a.tags)
}

// answer is a success.
type answer struct {
	status int
	body   any // nil: none
}

func ok(body any) answer { return answer{http.StatusOK, body} }

// spec is the answer of that status by the vendor's OpenAPI file, and the other one by its page.
func (a *api) spec(status int, body any, page answer) answer {
	if a.opt.SpecShapes {
		return answer{status, body}
	}
	return page
}

func (a *api) add(pattern string, h func(w http.ResponseWriter, r *http.Request) (answer, error)) {
	method, path, _ := strings.Cut(pattern, " ")
	a.mux.HandleFunc(method+" "+a.opt.Prefix+path, func(w http.ResponseWriter, r *http.Request) {
		out, err := h(w, r)
		if err != nil {
			httpapi.WriteError(w, r, err, a.edge)
			return
		}
		if out.body == nil {
			w.WriteHeader(out.status)
			return
		}
		httpapi.WriteJSON(w, out.status, out.body)
	})
}

// place is the organization of a path.
type place struct {
	id   string
	root string
}

// in serves what belongs to an organization of the caller that is not deleted: to everybody else, and to the platform, there
// is none.
func (a *api) in(pattern string, h func(w http.ResponseWriter, r *http.Request, at place) (answer, error)) {
	a.add(pattern, func(w http.ResponseWriter, r *http.Request) (answer, error) {
		ref, err := part(r, "org_id")
		if err != nil {
			return answer{}, err
		}
		id, err := a.OrgID(r.Context(), ref)
		if err != nil {
			return answer{}, err
		}
		f, err := a.OrganizationFigures(r.Context(), id)
		if err == nil && f.State == rbac.Gone {
			err = store.ErrNotFound
		}
		if err != nil {
			return answer{}, err
		}
		return h(w, r, place{id, f.RootID})
	})
}

// part is a part of the path.
func part(r *http.Request, name string) (string, error) {
	value := r.PathValue(name)
	if store.PlainText(value, 300) != value { // there is nothing of such a name
		return "", store.ErrNotFound
	}
	return value, nil
}

// authenticate finds the credential in either header.
func (a *api) authenticate(r *http.Request) (audit.Actor, error) {
	if secret := r.Header.Get(a.opt.APIKeyHeader); secret != "" && r.Header.Get("Authorization") == "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	return a.opt.Authenticate(r)
}

// link is a URL of this handler for a path that the mux has matched.
func (a *api) link(path string) string { return a.opt.PublicURL + path }
