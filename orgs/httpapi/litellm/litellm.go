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
//	GET    /organization/daily/activity
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
// is an allowance (orgs.Allowance), and goes some time after the last organization that had it (orgs.Options.OrphanAllowances). A blocked organization is a suspended one. models are those that its settings allow:
// none are all, and no-default-models is nothing. The role org_admin is that of the owner; internal_user and
// internal_user_viewer are roles that the dialect makes where they are missing. proxy_admin is the operator of the platform,
// and so is whoever has the role of the platform of that name (orgs.PlatformRole); proxy_admin_viewer reads what they read.
// object_permission are what settings say of objects (orgs.ObjectSettings), model_aliases what they say of models' other
// names: both are in force for every call, whoever has set them. spend is what was charged in the window of a budget, and
// without one ever.
//
// Internal users make keys of their own, which do what they may and nothing as their team; limits that they set for them are
// those of the key alone.
//
// Administrators of an organization put people into it, who they make where there are none, as LiteLLM has it, where the
// manager was made with orgs.Options.Enlisting; else only the operator does.
//
// An alias of a key need not be its own: where several have one that the caller sees, they are deleted by their secrets or hashes.
//
// # What it does not do
//
// Nothing is taken that does not take effect: what is refused is refused with 400, and the name of the field. A spend that is
// set, because it is the sum of what calls were charged, and a correction is that of a call. A budget_reset_at that is set,
// because periods follow from the duration. allowed_models that differ from models, because an organization has one list. Of
// object_permission the groups (mcp_access_groups, agent_access_groups, mcp_toolsets), because nothing here knows who is in
// them, models, which are said by models, and the search for tools. Routes of a key, and a key that its client chooses. Limits
// of a user over all organizations, and metadata and tags of teams. Every team and every key belongs to an organization.
//
// # In front of models
//
// [Refusals] write why calls of keys that were made here are refused, for package orgs/gate/proxy: the texts and types are those
// that clients of LiteLLM know. With [Dialect] among proxy.Options.Fit a call that could cost more than is left of a budget
// gets an answer as long as that pays for, as its clients rely on; only the one after it is refused. Without, it is refused
// itself: there is no other option of admission.
//
// # Errors
//
// They have LiteLLM's shapes: {"detail":{"error":…}} of rules, {"error":{"message",…}} of what is decided before a call is
// looked at and of everything in member_add, and {"detail":[…]} with status 422 where the body does not fit. None repeats
// what was sent.
//
// # Description
//
// [Description] is the OpenAPI description, under the names by which clients of LiteLLM are generated. The handler has it at
// /openapi.json, which is none of the [Paths], since other dialects have theirs there.
package litellm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Services are what the dialect needs; *orgs.Manager has them.
type Services interface {
	orgs.Service
	OrgPlace(ctx context.Context, ref string) (orgs.Place, error)
	Together(ctx context.Context, fn func(ctx context.Context) error) error
	View(ctx context.Context, fn func(ctx context.Context, tx *store.Tx) error) error
	Once(ctx context.Context, at orgs.Attempt, do func(ctx context.Context, tx *store.Tx) (orgs.Answer, error)) (orgs.Answer, bool, error)
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
	// SharedBudgetCopyOnWrite gives an organization a budget row of its own where a change of it would change that of others too;
	// else the row is changed, for all that have it.
	SharedBudgetCopyOnWrite bool
	// ListCap is how many organizations a list has at most, EmbedCap how many members and teams each of them shows; 0 is 1000,
	// negative is unlimited.
	ListCap, EmbedCap int
	// MembersSeeRoster shows all members and teams to every member in lists, as far as their roles let them read those.
	// MembersReadInfo lets every member call info.
	MembersSeeRoster, MembersReadInfo bool
	// Timezone is the IANA name of the zone on whose calendar budgets are reset, which organizations have that are made here; ""
	// is UTC. An organization that has another one keeps it.
	Timezone string
	// ResetMode is when budgets are reset whose budget_duration is set here: "" is Calendar.
	ResetMode ResetMode
	// WeekStart is the day on which the weeks of the calendar begin, such as sunday; "" is monday. ResetTimeOfDay is the time at
	// which its days, weeks and months do, HH:MM on the clocks of Timezone; "" is midnight.
	WeekStart, ResetTimeOfDay string
	// BudgetExceededStatus is the status of calls that a budget refuses: 400 (0), 429 or 422. ModelDeniedStatus is that of models
	// that are refused: 403 (0) or 401.
	BudgetExceededStatus, ModelDeniedStatus int
	// UnknownPrice is what budgets that are set here do with calls of which no price is known: billing.RejectUnknown, which "" is,
	// refuses them where there is a max_budget, and billing.ReserveMinimum charges them UnknownMinimum (USD) unless the upstream
	// tells their cost. What no max_budget would count (billing.AllowUnknown) is no option.
	UnknownPrice   billing.UnknownPrice
	UnknownMinimum decimal.Decimal
	// FailOpen has the rate limits that are set here admit calls about which the database cannot be asked; else they refuse them.
	// Budgets do neither by it: what this process has leased of them is spent, and no more (see package billing).
	FailOpen bool
	// UserDefaults are what users may spend who are made by being added to an organization.
	UserDefaults UserDefaults
	// KeepKeysOnMemberDelete lets the keys of members who are taken away from an organization call models on, as
	// orgs.MemberRemoval.KeepKeys has it; else they end.
	KeepKeysOnMemberDelete bool
	// ProtectLastOrgAdmin refuses to take the last administrator away.
	ProtectLastOrgAdmin bool
	// OrgAdminMayUpdate are the fields of an organization that its administrators change: organization_alias, metadata or both.
	OrgAdminMayUpdate []string
	// ZeroBudgetUnlimited takes a max_budget of 0, of whatever has one, for none at all; else 0 allows nothing.
	ZeroBudgetUnlimited bool
	// TeamMembersOnlyOfOrg refuses to add somebody to a team who is not in its organization; else they join that too.
	TeamMembersOnlyOfOrg bool
	// ReprMessages writes rules, where they are in the shape of what is decided before them, as LiteLLM does: as Python prints
	// an object.
	ReprMessages bool
}

// UserDefaults are limits of a person over all organizations.
type UserDefaults struct {
	MaxBudget      *decimal.Decimal // USD; nil: none
	BudgetDuration string           // of MaxBudget, as clients write it; "" is for ever
}

// unknown is what a budget does with calls of which no price is known.
func (o *Options) unknown() (billing.UnknownPrice, *decimal.Decimal) {
	policy := o.UnknownPrice
	if policy == billing.RejectUnknown { // of a max_budget, and of nothing else: "" of a budget is just that
		policy = ""
	}
	if o.UnknownMinimum.IsZero() {
		return policy, nil
	}
	return policy, &o.UnknownMinimum
}

// Paths are where the handler is mounted on a mux of several.
func Paths() []string {
	return []string{"/organization/", "/v2/organization/", "/budget/", "/user/", "/team/", "/key/"}
}

// handler serves the dialect. It is safe for concurrent use.
type handler struct {
	svc Services
	opt Options
	mux *http.ServeMux
	calendar
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
	if h.calendar, err = newCalendar(&h.opt); err != nil {
		return nil, err
	}
	if err := h.checkBudgets(); err != nil {
		return nil, err
	}
	if h.opt.Authenticate == nil {
		h.opt.Authenticate = httpapi.Bearer(svc, h.opt.AdminKey)
	}
	for _, name := range h.opt.OrgAdminMayUpdate {
		if name != "organization_alias" && name != "metadata" {
			return nil, errors.New("litellm: administrators of organizations change organization_alias and metadata at most")
		}
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

// checkBudgets tries the budgets that options make.
func (h *handler) checkBudgets() error {
	d := h.opt.UserDefaults
	if d.MaxBudget == nil && d.BudgetDuration != "" {
		return errors.New("litellm: the BudgetDuration of users is that of a MaxBudget")
	}
	limit := decimal.NewFromInt(1)
	if d.MaxBudget != nil {
		limit = *d.MaxBudget
	}
	b, err := h.userBudget(limit, time.Now())
	if err != nil {
		return fmt.Errorf("litellm: the BudgetDuration of users: %w", err)
	}
	b.ScopeID = "usr_0"
	if err := b.Validate(); err != nil {
		return fmt.Errorf("litellm: budgets by UserDefaults and UnknownPrice: %w", err)
	}
	return nil
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
	unit, slugTaken bool              // it is one of a unit that may be run again, with another slug
	global          string            // the role of the caller over all organizations, where that is none of the operator
	person          string            // who calls, also for the platform
	globals         map[string]string // roles of users over all organizations, by those of the platform
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
	var body map[string]raw
	if c.route.query {
		c.in = queryFields(c.http.URL.Query())
	} else {
		if body, err = httpapi.ReadObject(w, c.http, httpapi.MaxBody); err != nil {
			return nil, err
		}
		c.in = bodyFields(maps.Clone(body))
	}
	if err := c.gate(); err != nil {
		return nil, err
	}
	if c.opt.RejectUnknownFields || strings.HasPrefix(c.route.path, "/v2/") {
		c.in.only(c.route.known)
	}
	if at, err := c.attempt(body); err != nil {
		return nil, err
	} else if at != nil && len(c.in.list) == 0 {
		return c.repeat(*at, body)
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
