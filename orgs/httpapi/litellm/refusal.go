package litellm

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
)

// Dialect is what keys that are made here say of the dialect that has made them.
const Dialect = "litellm"

// Refusals write why a call in front of models is refused as clients of LiteLLM know it: it is one of the
// proxy.Options.Refusals. Of the options BudgetExceededStatus and ModelDeniedStatus count.
func Refusals(svc Services, o *Options) func(http.ResponseWriter, *http.Request, httpapi.Problem, *gate.Denied) {
	h := &handler{svc: svc}
	if o != nil {
		h.opt = *o
	}
	return func(w http.ResponseWriter, r *http.Request, is httpapi.Problem, d *gate.Denied) {
		if d == nil {
			p := &problem{status: is.Status, message: is.Detail, typ: vendorType(is.Status), param: none}
			if p.crash = is.Status == http.StatusInternalServerError; is.Status == http.StatusServiceUnavailable {
				p.typ = "internal_server_error"
			}
			send(w, is, p, 'B', false)
			return
		}
		p, err := h.denied(r, is, d)
		if err != nil {
			httpapi.LogFailures(h.opt.Logger)(r, err)
		}
		h.rateHeaders(w, d)
		if p.status != http.StatusTooManyRequests {
			is.RetryAfter = 0
		} else if is.RetryAfter == 0 && !d.ResetAt.IsZero() {
			is.RetryAfter = httpapi.Seconds(d.ResetAt.Sub(h.clock()))
		}
		send(w, is, p, 'B', false)
	}
}

// denied is a refusal of the gate. An error says that a name could not be read: then an id takes its place.
func (h *handler) denied(r *http.Request, is httpapi.Problem, d *gate.Denied) (*problem, error) {
	ctx := audit.WithActor(r.Context(), audit.System("refusals name what refuses"))
	var exceeded *billing.Exceeded
	var limited *billing.Limited
	switch {
	case errors.As(d, &exceeded):
		return h.overspent(ctx, d, exceeded)
	case errors.As(d, &limited):
		scope, id, err := h.scope(ctx, d, limited.Scope, limited.ScopeID)
		return h.tooFast(scope, id, limited), err
	case is.Status == http.StatusUnauthorized:
		return h.badCredential(r, d), nil
	}
	refused := func(status int, typ, param, message string) (*problem, error) {
		return &problem{status: status, message: message, typ: typ, param: param}, nil
	}
	switch d.Code {
	case "org_suspended":
		id, err := h.organizationID(ctx, suspended(d))
		return blockedOrganization(id), err
	case "team_archived":
		return blockedTeam(d.Caller), nil
	case "unsupported_model":
		return refused(http.StatusBadRequest, "bad_request_error", "model", "Invalid model name passed. Call `/v1/models` to view available models for your key.")
	case "object_not_allowed":
		typ, message := h.objectDenied(d)
		return refused(http.StatusForbidden, typ, none, message)
	case "model_not_allowed", "policy_denied", "permission_denied", "feature_disabled", "approval_required", "approval_denied", "cost_limit_exceeded":
		status := h.opt.ModelDeniedStatus
		if status == 0 {
			status = http.StatusForbidden
		}
		noun, typ := deniedBy(d)
		return refused(status, typ+"_model_access_denied", "model", noun+" not allowed to access model. "+d.Message)
	}
	if is.Status == http.StatusForbidden {
		return refused(http.StatusUnauthorized, "auth_error", none, "Authentication Error, "+d.Message)
	}
	return refused(is.Status, vendorType(is.Status), none, d.Message)
}

// badCredential is the answer to a key that is none, or none any more.
func (h *handler) badCredential(r *http.Request, d *gate.Denied) *problem {
	if d.Caller != nil && d.Caller.Key.Disabled {
		return blockedKey()
	}
	for key := range keysOf(r) {
		return badKey(d, key).(*problem)
	}
	return noKey()
}

// suspended is the organization whose state refuses.
func suspended(d *gate.Denied) string {
	var denied *rbac.Denied
	if errors.As(d, &denied) && len(denied.Decision.Reasons) > 0 {
		return denied.Decision.Reasons[0].ID
	}
	return d.Caller.Key.OrgID
}

// deniedBy is whose rule refuses a model: that of the organization or the team, by their settings, else what the key or its
// person hold.
func deniedBy(d *gate.Denied) (noun, typ string) {
	var denied *rbac.Denied
	if errors.As(d, &denied) && d.Caller != nil {
		for _, reason := range denied.Decision.Reasons {
			of, _, _ := strings.Cut(reason.ID, "/")
			switch {
			case reason.Kind == string(rbac.PoolSettings) && of == d.Caller.Key.TeamID && of != "":
				return "team", "team"
			case reason.Kind == string(rbac.PoolSettings):
				return "organization", "org"
			}
		}
		if denied.Code == "policy_denied" {
			return "organization", "org"
		}
		if d.Caller.Key.UserID != "" {
			return "user", "user"
		}
	}
	return "key", "key"
}

// objectDenied is the refusal of what a call uses beside a model.
func (h *handler) objectDenied(d *gate.Denied) (typ, message string) {
	noun, of := deniedBy(d)
	var denied *rbac.Denied
	kind := ""
	if errors.As(d, &denied) {
		kind, _, _ = strings.Cut(denied.Resource, ":")
	}
	switch kind {
	case orgs.ObjectVectorStore:
		return of + "_vector_store_access_denied", noun + " not allowed to access vector store. " + d.Message
	case orgs.ObjectTool, orgs.ObjectMCPTool:
		return "tool_access_denied", noun + " not allowed to access tool. " + d.Message
	}
	return "auth_error", noun + " not allowed to access " + strings.ReplaceAll(kind, "_", " ") + ". " + d.Message
}

// overspent is the refusal of a budget.
func (h *handler) overspent(ctx context.Context, d *gate.Denied, e *billing.Exceeded) (*problem, error) {
	noun, id, err := h.scope(ctx, d, e.Scope, e.ScopeID)
	spent := e.Limit.Sub(e.Remaining)
	amounts := "Current cost: " + usd(spent).String() + ", Max budget: " + usd(e.Limit).String()
	text := "Budget has been exceeded! "
	switch e.Scope {
	case billing.ScopeOrg:
		text += "Organization=" + id + " " + amounts
	case billing.ScopeTeam:
		text += "Team=" + id + " " + amounts
	case billing.ScopeMember:
		in := "Organization="
		of, also := h.organizationID(ctx, e.OrgID)
		if e.TeamID != "" {
			in, of = "Team=", h.teamID(d, e.TeamID)
		}
		err = errors.Join(err, also)
		text += "User=" + id + " in " + in + of + " " + amounts
	case billing.ScopeUser:
		text = "ExceededBudget: User=" + id + " over budget. Spend=" + usd(spent).String() + ", Budget=" + usd(e.Limit).String()
	case billing.ScopeModel:
		text += "exceeded budget for model=" + id + " " + amounts
	default: // of a key, and of a project, which LiteLLM has no text for
		text += amounts
	}
	switch {
	case e.Suspended:
		text += ". The budget is suspended"
	case e.Unpriced:
		text += ". " + e.Error()
	}
	status := h.opt.BudgetExceededStatus
	if status == 0 {
		status = http.StatusBadRequest
	}
	p := overBudget(status, text)
	is := exceededRow{Scope: noun, ID: id, BudgetID: e.BudgetID, MaxBudget: usd(e.Limit), Spend: usd(spent), ResetAt: stamped(e.ResetAt)}
	p.more = struct {
		exceededRow
		Exceeded []exceededRow `json:"exceeded"`
	}{is, []exceededRow{is}}
	return p, err
}

// exceededRow is a budget that has refused a call. What calls that run hold is part of its spend.
type exceededRow struct {
	Scope     string `json:"scope"`
	ID        string `json:"id"`
	BudgetID  string `json:"budget_id"`
	MaxBudget usd    `json:"max_budget"`
	Spend     usd    `json:"spend"`
	ResetAt   *stamp `json:"reset_at"`
}

// tooFast is the refusal of a rate limit.
func (h *handler) tooFast(noun, id string, l *billing.Limited) *problem {
	resets := l.ResetAt
	if resets.IsZero() {
		resets = h.clock().Add(l.RetryAfter)
	}
	return &problem{status: http.StatusTooManyRequests, typ: "throttling_error", param: none,
		message: "Rate limit exceeded for " + noun + ": " + id + ". Limit type: " + limitType(l) + ". Current limit: " + strconv.FormatInt(l.Limit, 10) + ", Remaining: " + strconv.FormatInt(l.Remaining, 10) +
			". Limit resets at: " + resets.UTC().Format("2006-01-02 15:04:05") + " UTC"}
}

func limitType(l *billing.Limited) string {
	switch {
	case l.Parallel():
		return "max_parallel_requests"
	case strings.HasPrefix(string(l.Measure), "tokens"):
		return "tokens"
	}
	return "requests"
}

func (h *handler) rateHeaders(w http.ResponseWriter, d *gate.Denied) {
	var l *billing.Limited
	if !errors.As(d, &l) {
		return
	}
	w.Header().Set("rate_limit_type", limitType(l))
	if !l.ResetAt.IsZero() {
		w.Header().Set("reset_at", l.ResetAt.UTC().Format(time.RFC3339))
	}
}

// scope is what LiteLLM calls the kind and the id of what has a limit.
func (h *handler) scope(ctx context.Context, d *gate.Denied, kind billing.ScopeKind, id string) (noun, ref string, err error) {
	switch kind {
	case billing.ScopeOrg:
		ref, err = h.organizationID(ctx, id)
		return "organization", ref, err
	case billing.ScopeTeam:
		return "team", h.teamID(d, id), nil
	case billing.ScopeMember, billing.ScopeUser:
		noun = "user"
		if kind == billing.ScopeMember {
			noun = "organization_member"
		}
		u, err := h.svc.User(ctx, id)
		if err != nil {
			return noun, id, err
		}
		return noun, u.PublicID(), nil
	case billing.ScopeKey:
		if d.Caller != nil && d.Caller.Key.ID == id {
			return "key", d.Caller.Key.Name, nil
		}
	}
	return string(kind), id, nil
}

func (h *handler) organizationID(ctx context.Context, id string) (string, error) {
	o, err := h.svc.Organization(ctx, id)
	if err != nil {
		return id, err
	}
	return o.PublicID(), nil
}

func (h *handler) teamID(d *gate.Denied, id string) string {
	if d.Caller != nil && d.Caller.Team != nil && d.Caller.Team.ID == id {
		return d.Caller.Team.PublicID()
	}
	return id
}

func blockedKey() *problem {
	return &problem{status: http.StatusUnauthorized, typ: "auth_error", param: none, message: "Authentication Error, Key is blocked. Update via `/key/unblock` if you're admin."}
}

func blockedTeam(c *orgs.Caller) *problem {
	id := ""
	if c != nil && c.Team != nil {
		id = c.Team.PublicID()
	}
	return &problem{status: http.StatusUnauthorized, typ: "auth_error", param: none,
		message: "Authentication Error, Team=" + id + " is blocked. Update via `/team/unblock` if you're an admin."}
}

func blockedOrganization(id string) *problem {
	return &problem{status: http.StatusUnauthorized, typ: "auth_error", param: "organization_id",
		message: "Authentication Error, Organization=" + id + " is blocked. Update via `/organization/update` if you're an admin."}
}
