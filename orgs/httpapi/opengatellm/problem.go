package opengatellm

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/orgkit/orgkit/orgs/httpapi"
)

// refusal is an error that has a status and a text of this API's own.
type refusal struct {
	status int
	detail string
}

func (e *refusal) Error() string { return e.detail }

// fault is one input that is wrong, as this API says it.
type fault struct {
	Type  string `json:"type"`
	Loc   []any  `json:"loc"` // body, query or path, and the names
	Msg   string `json:"msg"`
	Input any    `json:"input"` // null for all that may be secret
}

// invalid is a request with faults.
type invalid struct{ faults []fault }

func (e *invalid) Error() string { return "the request is not valid: " + e.faults[0].Msg }

// detailView is the body of every error: a text, or a list of faults.
type detailView struct {
	Detail any `json:"detail"`
}

// wrongScheme is the code of an Authorization header of another kind.
const wrongScheme = "invalid_authentication_scheme"

// expiredAccount is the code of a credential that is good, of a person whose account has expired.
const expiredAccount = "account_expired"

// fail writes an error that may be one of this package.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	var refused *refusal
	var wrong *invalid
	switch {
	case errors.As(err, &refused):
		if refused.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		httpapi.WriteJSON(w, refused.status, detailView{refused.detail})
	case errors.As(err, &wrong):
		httpapi.WriteJSON(w, http.StatusUnprocessableEntity, detailView{wrong.faults})
	default:
		httpapi.WriteError(w, r, err, a.edge)
	}
}

// render writes a problem of the services.
func (a *api) render(w http.ResponseWriter, _ *http.Request, p httpapi.Problem) {
	status, detail := p.Status, any(p.Detail)
	switch {
	case p.Code == "missing_api_key":
		detail = "Not authenticated"
	case p.Code == wrongScheme:
		status, detail = a.badKey, "Invalid authentication scheme."
	case p.Code == "invalid_api_key" || p.Code == "expired_api_key":
		status, detail = a.badKey, "Invalid API key."
	case p.Code == expiredAccount:
		status, detail = http.StatusForbidden, a.text("Invalid API key.", "Your account has expired. Please contact support to renew your account.")
	case p.Code == "user_suspended":
		status, detail = http.StatusForbidden, "Invalid API key."
	case p.Status == http.StatusUnauthorized || p.Status == http.StatusForbidden:
		status, detail = http.StatusForbidden, a.text("Insufficient rights.", "User has no admin rights.")
	case p.Status == http.StatusBadRequest, p.Status == http.StatusUnsupportedMediaType:
		status, detail = http.StatusUnprocessableEntity, faultsOf(p)
	case p.Status == http.StatusPaymentRequired:
		status, detail = http.StatusBadRequest, "Insufficient budget."
	case p.Status == http.StatusNotFound:
		detail = "Not Found"
	case p.Status == http.StatusMethodNotAllowed:
		detail = "Method Not Allowed"
	case p.Status == http.StatusGone, p.Status == http.StatusPreconditionFailed:
		status = http.StatusConflict
	case p.Status == http.StatusInternalServerError:
		detail = "An unexpected error occurred"
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(p.RetryAfter, 10))
	}
	httpapi.WriteJSON(w, status, detailView{detail})
}

// faultsOf are the fields that a problem names.
func faultsOf(p httpapi.Problem) (list []fault) {
	for _, f := range p.Errors {
		where, name, named := strings.Cut(f.Location, ".")
		loc := []any{where}
		if named {
			loc = append(loc, name)
		}
		switch {
		case f.Code == "json":
			list = append(list, fault{Type: "json_invalid", Loc: []any{"body", 0}, Msg: "JSON decode error"})
		case f.Code == "type" && !named:
			list = append(list, fault{Type: "model_attributes_type", Loc: loc, Msg: "Input should be a valid dictionary or object to extract fields from"})
		case f.Code == "required":
			list = append(list, fault{Type: "missing", Loc: loc, Msg: "Field required"})
		default:
			list = append(list, fault{Type: "value_error", Loc: loc, Msg: "Value error, " + f.Message})
		}
	}
	if len(list) == 0 {
		list = []fault{{Type: "value_error", Loc: []any{"body"}, Msg: "Value error, " + p.Detail}}
	}
	return list
}
