package litellm

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// none is what param says of an error of no parameter.
const none = "None"

// problem is an error in the form in which it goes out.
type problem struct {
	status  int
	message string
	typ     string // of shape B; "" for the others
	param   string // "" is null
	bare    bool   // a text, where other rules have an object
	crash   bool   // shape D, which says nothing
	more    any    // provider_specific_fields of shape B
	faults  []fault
	cause   error // of the service: a refusal among it leaves its event all the same
}

func (p *problem) Error() string { return p.message }

// Unwrap returns the error that the rule stands for.
func (p *problem) Unwrap() error { return p.cause }

// fault is one field that does not fit.
type fault struct {
	Type  string   `json:"type"`
	Loc   []string `json:"loc"`
	Msg   string   `json:"msg"`
	Input any      `json:"input"` // always null: it may be secret
}

// detail is a rule that was broken: shape A.
func detail(status int, message string) error { return &problem{status: status, message: message} }

// bare is shape A with a text alone.
func bare(status int, message string) error {
	return &problem{status: status, message: message, bare: true}
}

// wrapped is shape B.
func wrapped(status int, typ, param, message string) error {
	return &problem{status: status, message: message, typ: typ, param: param}
}

// invalid is shape C.
func invalid(faults ...fault) error {
	return &problem{status: http.StatusUnprocessableEntity, message: "the body does not fit", faults: faults}
}

// body is what the client reads.
func (p *problem) body(shape byte, repr bool) any {
	type object = map[string]any
	switch {
	case p.crash:
		return object{"error": object{"message": "Internal server error", "type": "internal_server_error"}}
	case p.faults != nil:
		return object{"detail": p.faults}
	case p.typ != "" || shape == 'B':
		typ, param := p.typ, p.param
		if typ == "" {
			typ, param = vendorType(p.status), none
		}
		message := p.message
		if repr && p.typ == "" {
			message = pythonObject(message)
		}
		of := object{"message": message, "type": typ, "param": optional(param), "code": strconv.Itoa(p.status)}
		if p.more != nil {
			of["provider_specific_fields"] = p.more
		}
		return object{"error": of}
	case p.bare:
		return object{"detail": p.message}
	}
	return object{"detail": object{"error": p.message}}
}

// pythonObject is the text of a rule as Python prints the object that it stands in.
func pythonObject(text string) string {
	quote := "'"
	if strings.Contains(text, "'") && !strings.Contains(text, `"`) {
		quote = `"`
	}
	return "{'error': " + quote + strings.NewReplacer(`\`, `\\`, quote, `\`+quote).Replace(text) + quote + "}"
}

func vendorType(status int) string {
	switch status {
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge:
		return "bad_request_error"
	case http.StatusInternalServerError:
		return "no_db_connection"
	case http.StatusServiceUnavailable:
		return "internal_server_error"
	}
	return "auth_error"
}

// refusals are the codes of who is known and may not.
var refusals = map[string]bool{"permission_denied": true, "grant_ceiling": true, "system_role": true, "policy_denied": true, "ip_denied": true,
	"mfa_required": true, "sso_required": true, "user_suspended": true}

// fail writes an error. Those of the service are told here what they are in this dialect.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, to route, err error) {
	var own *problem
	if errors.As(err, &own) {
		httpapi.WriteJSON(w, own.status, own.body(to.shape, h.opt.ReprMessages))
		return
	}
	is := httpapi.Classify(err)
	if is.Internal() {
		httpapi.LogFailures(h.opt.Logger)(r, err)
	}
	send(w, is, h.told(err, is), to.shape, h.opt.ReprMessages)
}

// send writes a problem of the service in the form that it has in this dialect.
func send(w http.ResponseWriter, is httpapi.Problem, p *problem, shape byte, repr bool) {
	if is.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(is.RetryAfter, 10))
	}
	httpapi.WriteJSON(w, p.status, p.body(shape, repr))
}

// told is what a problem of the service is in this dialect.
func (h *handler) told(err error, is httpapi.Problem) *problem {
	p := &problem{status: is.Status, message: is.Detail}
	var field *store.FieldError
	var denied *rbac.Denied
	switch {
	case errors.Is(err, httpapi.ErrJSON):
		return invalid(fault{Type: "json_invalid", Loc: []string{"body"}, Msg: "JSON decode error"}).(*problem)
	case is.Status == http.StatusUnsupportedMediaType:
		return invalid(fault{Type: "dict_type", Loc: []string{"body"}, Msg: "Input should be a valid dictionary"}).(*problem)
	case errors.As(err, &field):
		p.status = http.StatusBadRequest
	case errors.Is(err, store.ErrTransient), errors.Is(err, store.ErrUnreachable), errors.Is(err, store.ErrClosed): // F454
		p.status, p.message = http.StatusInternalServerError, "No db connected"
	case is.Status == http.StatusGone, is.Status == http.StatusPreconditionFailed: // which its clients do not know
		p.status = http.StatusConflict
	case is.Status == http.StatusPaymentRequired:
		return overBudget(http.StatusBadRequest, is.Detail)
	case is.Status == http.StatusTooManyRequests:
		p.typ, p.param = "throttling_error", none
	case is.Code == "org_suspended":
		p.status, p.typ, p.param = http.StatusUnauthorized, "auth_error", "organization_id"
		p.message = "Authentication Error, Organization is blocked. Update via `/organization/update` if you're an admin."
	case refusals[is.Code] || errors.As(err, &denied):
		p.status, p.typ, p.param = http.StatusUnauthorized, "auth_error", none
		if h.opt.Strict {
			p.status = http.StatusForbidden
		}
		p.message = "Authentication Error, " + is.Detail
	case is.Status == http.StatusInternalServerError:
		p.crash = true
	}
	return p
}

// overBudget is a budget that is used up, whose param is null.
func overBudget(status int, message string) *problem {
	return &problem{status: status, message: message, typ: "budget_exceeded"}
}

// as turns an error of the service into that of a rule; others stay what they are.
func as(err, target, rule error) error {
	if errors.Is(err, target) {
		return because(rule, err)
	}
	return err
}

// coded turns a conflict of a code into that of a rule.
func coded(err error, code string, rule error) error {
	var c *store.ConflictError
	if errors.As(err, &c) && c.Code == code {
		return because(rule, err)
	}
	return err
}

// because is a rule with what is behind it.
func because(rule, cause error) error {
	p, is := rule.(*problem)
	if !is {
		return errors.Join(rule, cause)
	}
	with := *p
	with.cause = cause
	return &with
}

// unsupported refuses fields that say something that would not take effect.
func (c *call) unsupported(names ...string) error {
	for _, name := range names {
		switch is := strings.Join(strings.Fields(string(c.in.given[name])), ""); is {
		case "", "null", `""`, "[]", "{}", "false":
		default:
			return detail(http.StatusBadRequest, name+" is not supported by this gateway")
		}
	}
	return nil
}

// raw is what a client wrote, as JSON.
type raw = json.RawMessage
