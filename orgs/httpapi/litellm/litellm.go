// Package litellm is the dialect of LiteLLM's management API: its unmodified clients manage organizations here by
// changing only the host.
//
//	handler, err := litellm.New(m, &litellm.Options{AdminKey: key})
//	for _, path := range litellm.Paths() {
//		mux.Handle(path, handler)
//	}
//
// # Calls
//
//	POST   /organization/new
//	PATCH  /organization/update, /v2/organization/{organization_id}
//	DELETE /organization/delete
//	GET    /organization/list, /organization/info; POST is understood too
//	POST   /organization/member_add
//	PATCH  /organization/member_update
//	DELETE /organization/member_delete
//	POST   /budget/new, /budget/info, /budget/update, /budget/delete
//	GET    /budget/list
//	POST   /user/new, /user/delete
//	GET    /user/info
//	POST   /team/new, /team/delete, /team/member_add, /team/member_delete
//	GET    /team/info
//	POST   /key/generate, /key/delete
//	GET    /key/info
//
// # What is what
//
// An organization's organization_id is the id that its client has chosen, or else its own. A user_id likewise. A budget row
// is an allowance (orgs.Allowance). A blocked organization is a suspended one. models are those that its settings allow:
// none are all, and no-default-models is nothing. The role org_admin is that of the owner; internal_user and
// internal_user_viewer are roles that the dialect makes where they are missing. proxy_admin is the operator of the platform.
//
// Administrators of an organization put people into it, as LiteLLM has it, where the manager was made with
// orgs.Options.Enlisting; else only the operator does.
//
// # What it does not do
//
// object_permission and model_aliases that say anything, allowed_models that differ from models, and a spend that is set,
// are refused: nothing is taken that does not take effect. So are the models and routes of a key, limits and roles of a user
// over all organizations, and metadata of teams. Every team and every key belongs to an organization.
//
// # Errors
//
// They have LiteLLM's shapes: {"detail":{"error":…}} of rules, {"error":{"message",…}} of what is decided before a call is
// looked at and of everything in member_add, and {"detail":[…]} with status 422 where the body does not fit. None repeats
// what was sent.
package litellm

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
)

// Services are what the dialect needs; *orgs.Manager has them.
type Services interface {
	orgs.Service
	OrgPlace(ctx context.Context, ref string) (orgs.Place, error)
	Together(ctx context.Context, fn func(ctx context.Context) error) error
}

// Options of the handler; nil works. The zero value is what most versions of LiteLLM agree on.
type Options struct {
	// Prefix is the path under which the host mounts the handler without stripping it.
	Prefix string
	// Authenticate returns who is behind a request with a bearer token; nil knows the AdminKey and the credentials of the
	// service. The dialect puts a key there from wherever LiteLLM's clients send it.
	Authenticate httpapi.Authenticate
	// AdminKey is the master key, where Authenticate is nil.
	AdminKey       string
	TrustedProxies []netip.Prefix
	Logger         *slog.Logger // hears of errors that clients do not; nil: nobody

	// Strict answers 403 to who is known and may not, and 404 for organizations and members that are unknown.
	Strict bool
	// NullMeansUnchanged takes a null of an update as if it were absent, for clients that send all fields.
	NullMeansUnchanged bool
	// MetadataReplace has an update replace metadata as a whole.
	MetadataReplace bool
	// RejectUnknownFields answers 422 to fields that are not known.
	RejectUnknownFields bool
	// IgnoreSiblingBudgetFields ignores limits beside a budget_id.
	IgnoreSiblingBudgetFields bool
	// ListCap is how many organizations a list has at most, EmbedCap how many members and teams each of them shows; 0 is 1000,
	// negative is unlimited.
	ListCap, EmbedCap int
	// MembersSeeRoster shows all members and teams to every member in lists, as far as their roles let them read those.
	// MembersReadInfo lets every member call info.
	MembersSeeRoster, MembersReadInfo bool
	// Timezone is the IANA name of the zone on whose calendar budgets are reset, which organizations have that are made here; ""
	// is UTC. An organization that has another one keeps it.
	Timezone string
	// BudgetExceededStatus is the status of calls that a budget refuses: 400 (0), 429 or 422. ModelDeniedStatus is that of models
	// that are refused: 403 (0) or 401.
	BudgetExceededStatus, ModelDeniedStatus int
	// ProtectLastOrgAdmin refuses to take the last administrator away.
	ProtectLastOrgAdmin bool
}

// Paths are where the handler is mounted on a mux of several.
func Paths() []string {
	return []string{"/organization/", "/v2/organization/", "/budget/", "/user/", "/team/", "/key/"}
}

// handler serves the dialect. It is safe for concurrent use.
type handler struct {
	svc  Services
	opt  Options
	mux  *http.ServeMux
	zone *time.Location
}

// New returns the handler.
func New(svc Services, o *Options) (http.Handler, error) {
	if svc == nil {
		return nil, errors.New("litellm: services are required")
	}
	h := &handler{svc: svc, mux: http.NewServeMux()}
	if o != nil {
		h.opt = *o
	}
	if h.opt.Prefix != "" && (!strings.HasPrefix(h.opt.Prefix, "/") || strings.HasSuffix(h.opt.Prefix, "/")) {
		return nil, errors.New("litellm: the prefix must begin with a slash and not end with one")
	}
	var err error
	if h.zone, err = time.LoadLocation(h.opt.Timezone); err != nil || h.opt.Timezone == "Local" {
		return nil, errors.New("litellm: the time zone is none")
	}
	if h.opt.Authenticate == nil {
		h.opt.Authenticate = httpapi.Bearer(svc, h.opt.AdminKey)
	}
	for _, n := range []*int{&h.opt.ListCap, &h.opt.EmbedCap} {
		if *n == 0 {
			*n = 1000
		}
	}
	for _, r := range routes {
		h.mux.HandleFunc(r.method+" "+h.opt.Prefix+r.path, func(w http.ResponseWriter, req *http.Request) { h.call(w, req, r) })
	}
	if err := h.describe(); err != nil {
		return nil, err
	}
	anybody := func(*http.Request) (audit.Actor, error) { return audit.Actor{}, nil } // who calls is found out behind it
	return httpapi.Actor(anybody, &httpapi.Options{TrustedProxies: h.opt.TrustedProxies}, http.HandlerFunc(h.serve)), nil
}

// serve answers for paths that nobody serves too.
func (h *handler) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if _, pattern := h.mux.Handler(r); pattern != "" {
		h.mux.ServeHTTP(w, r)
		return
	}
	var allowed []string
	for _, method := range []string{"DELETE", "GET", "PATCH", "POST"} {
		if _, pattern := h.mux.Handler(&http.Request{Method: method, URL: r.URL, Host: r.Host}); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		httpapi.WriteJSON(w, http.StatusNotFound, map[string]string{"detail": "Not Found"})
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	httpapi.WriteJSON(w, http.StatusMethodNotAllowed, map[string]string{"detail": "Method Not Allowed"})
}

// call is one request, once it is known who makes it.
type call struct {
	global  string            // the role of the caller over all organizations, where that is none of the operator
	person  string            // who calls, also for the platform
	globals map[string]string // roles of users over all organizations, by those of the platform
	*handler
	route route
	http  *http.Request
	reply http.Header
	by    audit.Actor
	in    *fields
	rules map[string]bool                       // by organizations: whether the caller is an administrator there
	spent map[string]map[string]decimal.Decimal // what was summed up, by what it is of
}

func (c *call) ctx() context.Context { return c.http.Context() }

// admin says whether the operator of the platform calls.
func (c *call) admin() bool { return c.by.Sovereign() }

// call does what a route says: who calls, may they, does the body fit, and then the rules.
func (h *handler) call(w http.ResponseWriter, r *http.Request, to route) {
	c := &call{handler: h, route: to, http: r, reply: w.Header()}
	answer, err := c.answer(w)
	if err != nil {
		h.fail(w, c.http, to, err)
		return
	}
	httpapi.WriteJSON(w, http.StatusOK, answer)
}

func (c *call) answer(w http.ResponseWriter) (any, error) {
	by, err := c.authenticate()
	if err != nil {
		return nil, err
	}
	c.by = by.From(c.ctx())
	c.http = c.http.WithContext(audit.WithActor(c.ctx(), c.by))
	if err := c.elevate(); err != nil {
		return nil, err
	}
	if text := c.http.Header.Get("Litellm-Changed-By"); text != "" && c.admin() && c.by.OnBehalfOf == "" {
		c.by.OnBehalfOf = plain(text)
		c.http = c.http.WithContext(audit.WithActor(c.ctx(), c.by))
	}
	if c.route.query {
		c.in = queryFields(c.http.URL.Query())
	} else {
		body, err := httpapi.ReadObject(w, c.http, httpapi.MaxBody)
		if err != nil {
			return nil, err
		}
		c.in = bodyFields(body)
	}
	if err := c.gate(); err != nil {
		return nil, err
	}
	if c.opt.RejectUnknownFields || strings.HasPrefix(c.route.path, "/v2/") {
		c.in.only(c.route.known)
	}
	return c.route.run(c)
}

// roleOf is the role of a caller in an organization as LiteLLM names it.
func roleOf(slug string) string {
	switch slug {
	case rbac.OwnerRole, roleViewer:
		return slug
	}
	return roleUser
}
