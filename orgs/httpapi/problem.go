package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Problem is an error as it goes out: RFC 9457, with the object inside that clients of AI vendors
// read. Dialects with another shape render it in theirs.
type Problem struct {
	Type      string  `json:"type"`
	Title     string  `json:"title"`
	Status    int     `json:"status"`
	Code      string  `json:"code"`
	Detail    string  `json:"detail"`
	RequestID string  `json:"request_id,omitempty"`
	Errors    []Fault `json:"errors,omitempty"`

	DecisionID        string   `json:"decision_id,omitempty"`
	MissingPermission string   `json:"missing_permission,omitempty"`
	Remedy            []string `json:"remedy,omitempty"`
	BudgetID          string   `json:"budget_id,omitempty"`
	LimitID           string   `json:"limit_id,omitempty"`
	Scope             string   `json:"scope,omitempty"`
	ResetAt           string   `json:"reset_at,omitempty"`
	// RequestIncreaseURL is where a raise of the budget is asked for: of a problem that Classify made the path alone.
	RequestIncreaseURL string `json:"request_increase_url,omitempty"`
	RetryAfter         int64  `json:"retry_after,omitempty"` // seconds
	// RequiredApproval is what would open a call of the data plane that needs an approval.
	RequiredApproval *RequiredApproval `json:"required_approval,omitempty"`
	ExistingID       string            `json:"existing_id,omitempty"`

	Vendor Vendor `json:"error"`

	internal bool // the caller did nothing wrong
}

// RequiredApproval is the request for an approval that a refused call has opened, or would have with a reason.
type RequiredApproval struct {
	ID         string `json:"id,omitempty"`
	Status     string `json:"status"` // pending, or reason_required
	RequestURL string `json:"request_url,omitempty"`
}

// Vendor is the error object of AI vendors.
type Vendor struct {
	Message string `json:"message"`
	Type    string `json:"type"`
	Code    string `json:"code"`
	Status  int    `json:"status"`
}

// Fault is one field that is wrong.
type Fault struct {
	Location string `json:"location"` // body.slug, query.limit, path.org
	Code     string `json:"code"`
	Message  string `json:"message"`
}

// ErrMediaType: the body is of a media type that is not read here.
var ErrMediaType = errors.New("the body must be application/json")

// gone are the codes of conflicts with what has ended for good.
var gone = []string{"invitation_expired", "invitation_revoked", "link_expired", "pruned"}

// NewProblem returns a problem of that status and code.
func NewProblem(status int, code, detail string) Problem {
	return Problem{Type: "urn:orgkit:problem:" + code, Title: http.StatusText(status), Status: status, Code: code, Detail: detail,
		Vendor: Vendor{Message: detail, Type: vendorType(status), Code: code, Status: status}}
}

func vendorType(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusPaymentRequired:
		return "billing_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusConflict, http.StatusGone, http.StatusPreconditionFailed, http.StatusPreconditionRequired:
		return "conflict_error"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	}
	if status >= 500 {
		return "api_error"
	}
	return "invalid_request_error"
}

// Classify is where errors become statuses: the only place that knows both.
func Classify(err error) Problem {
	var (
		field    *store.FieldError
		conflict *store.ConflictError
		denied   *rbac.Denied
		auth     *orgs.AuthError
		exceeded *billing.Exceeded
		limited  *billing.Limited
		guessing *orgs.TooManyTries
		tooBig   *http.MaxBytesError
		faults   *Faults
		row      *orgs.RowError
	)
	switch {
	case errors.As(err, &row):
		return inRow(Classify(row.Err), row.Row)
	case errors.As(err, &auth):
		return NewProblem(http.StatusUnauthorized, auth.Code, auth.Error())
	case errors.As(err, &faults):
		p := NewProblem(http.StatusBadRequest, "invalid_request", faults.Error())
		p.Errors = faults.List
		return p
	case errors.As(err, &field):
		p := NewProblem(http.StatusBadRequest, "invalid_request", field.Error())
		p.Errors = faultsIn(err)
		return p
	case errors.As(err, &denied):
		return refusal(denied)
	case errors.As(err, &exceeded):
		code := "budget_exceeded"
		if exceeded.Suspended {
			code = "budget_suspended"
		}
		p := NewProblem(http.StatusPaymentRequired, code, exceeded.Error())
		p.BudgetID, p.Scope = exceeded.BudgetID, string(exceeded.Scope)
		if !exceeded.ResetAt.IsZero() {
			p.ResetAt = exceeded.ResetAt.UTC().Format(time.RFC3339)
		}
		if exceeded.Raisable() {
			p.RequestIncreaseURL = raisesPath(exceeded)
		}
		return p
	case errors.As(err, &limited):
		return overRate(limited)
	case errors.As(err, &guessing):
		p := NewProblem(http.StatusTooManyRequests, "rate_limit_exceeded", guessing.Error())
		p.RetryAfter = Seconds(guessing.RetryAfter)
		return p
	case errors.As(err, &conflict):
		status := http.StatusConflict
		switch {
		case slices.Contains(gone, conflict.Code):
			status = http.StatusGone
		case conflict.Code == "version_mismatch":
			status = http.StatusPreconditionFailed
		case conflict.Code == "idempotency_mismatch":
			status = http.StatusUnprocessableEntity
		}
		p := NewProblem(status, conflict.Code, conflict.Message)
		p.ExistingID = conflict.ID
		return p
	case errors.As(err, &tooBig):
		return NewProblem(http.StatusRequestEntityTooLarge, "payload_too_large", fmt.Sprintf("the body must not be larger than %d bytes", tooBig.Limit))
	case errors.Is(err, ErrMediaType):
		return NewProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", ErrMediaType.Error())
	case errors.Is(err, store.ErrNotFound):
		return NewProblem(http.StatusNotFound, "not_found", "there is no such object")
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrExists):
		return NewProblem(http.StatusConflict, "conflict", "it was changed at the same time; read it again")
	case errors.Is(err, store.ErrTransient), errors.Is(err, store.ErrUnreachable), errors.Is(err, store.ErrClosed), errors.Is(err, billing.ErrPaymentUnavailable), errors.Is(err, context.DeadlineExceeded):
		p := NewProblem(http.StatusServiceUnavailable, "service_unavailable", "try again later")
		p.internal = true
		return p
	}
	p := NewProblem(http.StatusInternalServerError, "internal_server_error", "something failed here; the request id helps to find it")
	p.internal = true
	return p
}

// raisesPath is where raises of a budget are asked for in the native dialect.
func raisesPath(e *billing.Exceeded) string {
	if e.Scope == billing.ScopeTeam && e.Name == billing.OfSettings {
		return "/v1/teams/" + e.ScopeID + "/budget/raises"
	}
	return "/v1/organizations/" + e.OrgID + "/budgets/" + e.BudgetID + "/raises"
}

// LinkedTo has the links of a problem begin with where the native dialect is mounted, such as https://gateway.example/api.
func (p Problem) LinkedTo(base string) Problem {
	if p.RequestIncreaseURL != "" {
		p.RequestIncreaseURL = base + p.RequestIncreaseURL
	}
	if a := p.RequiredApproval; a != nil && a.RequestURL != "" {
		p.RequiredApproval = &RequiredApproval{a.ID, a.Status, base + a.RequestURL}
	}
	return p
}

// inRow says of a problem in which row of a request for many it lies.
func inRow(p Problem, row int) Problem {
	at := fmt.Sprintf("body.items[%d]", row)
	for i := range p.Errors {
		p.Errors[i].Location = at + strings.TrimPrefix(p.Errors[i].Location, "body")
	}
	if len(p.Errors) == 0 {
		p.Errors = []Fault{{Location: at, Code: p.Code, Message: p.Detail}}
	}
	return p
}

func refusal(d *rbac.Denied) Problem {
	detail := "the permission " + d.Decision.MissingPermission + " is missing"
	switch {
	case d.Code == "grant_ceiling":
		detail = "nobody can hand out what they do not hold: " + d.Decision.MissingPermission
	case d.Decision.Would != "":
		detail = d.Decision.Sentence()
	case d.Decision.MissingPermission == "" && len(d.Decision.Remedy) > 0:
		detail = "to be allowed: " + d.Decision.Remedy[0]
	case d.Decision.MissingPermission == "":
		detail = "this is not allowed"
	}
	p := NewProblem(http.StatusForbidden, d.Code, detail)
	p.DecisionID, p.MissingPermission, p.Remedy = d.Decision.ID, d.Decision.MissingPermission, d.Decision.Remedy
	if d.Field != "" {
		p.Errors = []Fault{{Location: location(d.Field), Code: d.Code, Message: detail}}
	}
	return p
}

// queryFields are inputs that every dialect takes from the query.
var queryFields = []string{"after", "limit", "start_time", "end_time", "event_types", "actors", "resources", "outcome",
	"action", "resource", "mfa_age_minutes", "cost"}

func location(field string) string {
	name := field
	for i := range len(field) {
		if field[i] == '[' || field[i] == '.' {
			name = field[:i]
			break
		}
	}
	if slices.Contains(queryFields, name) {
		return "query." + field
	}
	return "body." + field
}

// faultsIn are all fields that an error names, which may be joined of several.
func faultsIn(err error) (list []Fault) {
	switch e := err.(type) {
	case *store.FieldError:
		return []Fault{{Location: location(e.Field), Code: e.Code, Message: e.Message}}
	case interface{ Unwrap() error }:
		return faultsIn(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			list = append(list, faultsIn(one)...)
		}
	}
	return list
}

// Faults are several wrong fields of one request.
type Faults struct{ List []Fault }

func (f *Faults) Error() string {
	if len(f.List) == 0 {
		return "the request is not valid"
	}
	return f.List[0].Location + ": " + f.List[0].Message
}

// Unwrap makes Faults a store.ErrInvalid.
func (f *Faults) Unwrap() error { return store.ErrInvalid }

// WriteError classifies an error and writes it.
func WriteError(w http.ResponseWriter, r *http.Request, err error, o *Options) {
	p := Classify(err)
	if p.internal {
		o.fail(r, err)
	}
	if o != nil {
		p = p.LinkedTo(o.NativeURL)
	}
	o.write(w, r, p)
}

// Internal says whether the host should hear of the error behind the problem.
func (p Problem) Internal() bool { return p.internal }

// Write writes a problem.
func Write(w http.ResponseWriter, r *http.Request, p Problem) {
	p.RequestID = RequestID(r.Context())
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(p.RetryAfter, 10))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // a client that is gone hears nothing
}
