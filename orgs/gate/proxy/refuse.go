package proxy

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/httpapi"
)

type problem = httpapi.Problem

var (
	errNotServed = &failure{http.StatusNotFound, "not_found", "this is not served here"}
	errMethod    = &failure{http.StatusMethodNotAllowed, "method_not_allowed", "this method is not served here"}
	errUpstream  = &failure{http.StatusServiceUnavailable, "service_unavailable", "the upstream does not answer"}
)

// failure is what ends a call beside the gate.
type failure struct {
	status     int
	code, text string
}

func (f *failure) Error() string { return f.text }

// native is the dialect of the keys of this house.
const native = "native"

// refuse writes why a call is not served, in the dialect of its key, or in the shape of the API that it belongs to.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, e *endpoint, err error) {
	p := h.problem(w, r, err)
	var d *gate.Denied
	errors.As(err, &d)
	if of := h.opt.Refusals[h.dialect(r, d)]; of != nil {
		of(w, r, p, d)
		return
	}
	if e == nil {
		refuseOpenAI(w, r, p)
		return
	}
	e.refuse(w, r, p)
}

// dialect is that in which a request is refused.
func (h *handler) dialect(r *http.Request, d *gate.Denied) string {
	if h.opt.ErrorDialect != "" || len(h.opt.Refusals) == 0 {
		return h.opt.ErrorDialect
	}
	if d == nil { // it has not come to the gate
		k, err := h.gate.Key(r.Context(), secret(r))
		if err == nil {
			return k.Caller().Key.Dialect
		}
		errors.As(err, &d)
	}
	if d == nil || d.Caller == nil {
		return native
	}
	return d.Caller.Key.Dialect
}

// problem is what goes out for an error. The host hears of those that are its own.
func (h *handler) problem(w http.ResponseWriter, r *http.Request, err error) problem {
	var f *failure
	if errors.As(err, &f) {
		return httpapi.NewProblem(f.status, f.code, f.text)
	}
	p := httpapi.Classify(err)
	var d *gate.Denied
	if errors.As(err, &d) {
		if p.Internal() { // the gate's own, which no floor below knows of
			p = httpapi.NewProblem(statusOf(d.Code), d.Code, d.Message)
		}
		for _, tag := range d.Missing {
			if d.Code == "missing_tags" {
				p.Errors = append(p.Errors, httpapi.Fault{Location: "tags." + tag, Code: "required", Message: "is required"})
			}
		}
		if p.Status == http.StatusForbidden { // a decision, whose reason is more than what is missing
			p.Detail, p.Vendor.Message = d.Message, d.Message
		}
		switch {
		case d.ApprovalID != "":
			p.RequiredApproval = &httpapi.RequiredApproval{ID: d.ApprovalID, Status: "pending", RequestURL: "/v1/approvals/" + d.ApprovalID}
		case d.ReasonRequired:
			p.RequiredApproval = &httpapi.RequiredApproval{Status: "reason_required"}
		}
		p.DecisionID, p.Remedy = d.DecisionID, d.Remedy
		if d.Rate != nil {
			httpapi.RateHeaders(w.Header(), *d.Rate)
		}
	} else if p.Internal() && h.opt.Fail != nil {
		h.opt.Fail(r, err)
	}
	return p.LinkedTo(h.opt.NativeURL)
}

func statusOf(code string) int {
	if code == "ip_denied" {
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}

// refuseOpenAI writes a problem, whose error object is that of OpenAI.
func refuseOpenAI(w http.ResponseWriter, r *http.Request, p problem) { httpapi.Write(w, r, p) }

// refuseAnthropic writes an error as Anthropic's API does.
func refuseAnthropic(w http.ResponseWriter, r *http.Request, p problem) {
	kind := "invalid_request_error"
	switch {
	case p.Status == http.StatusUnauthorized:
		kind = "authentication_error"
	case p.Status == http.StatusPaymentRequired:
		kind = "billing_error"
	case p.Status == http.StatusForbidden:
		kind = "permission_error"
	case p.Status == http.StatusNotFound:
		kind = "not_found_error"
	case p.Status == http.StatusRequestEntityTooLarge:
		kind = "request_too_large"
	case p.Status == http.StatusTooManyRequests:
		kind = "rate_limit_error"
	case p.Status >= 500:
		kind = "api_error"
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(p.RetryAfter, 10))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(map[string]any{"type": "error", "request_id": httpapi.RequestID(r.Context()),
		"error": map[string]any{"type": kind, "message": p.Detail, "code": p.Code}}) // a client that is gone hears nothing
}
