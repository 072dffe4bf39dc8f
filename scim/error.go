package scim

import (
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/scim/filter"
	"github.com/orgkit/orgkit/scim/schema"
	"github.com/orgkit/orgkit/store"
)

const errorURN = "urn:ietf:params:scim:api:messages:2.0:Error"

// statusError is an error that is nothing but its status.
type statusError struct {
	status int
	detail string
}

func (e *statusError) Error() string { return e.detail }

// methodError names the methods that a path has.
type methodError struct{ allow string }

func (e *methodError) Error() string { return "this path has other methods" }

func wrongMethod(allow string) error { return &methodError{allow} }

// located is an error about another resource, and where that is.
type located struct {
	error
	url string
}

func (e *located) Unwrap() error { return e.error }

// whose says where the resource is that is in the way.
func whose(err error, endpoint string) error {
	var conflict *store.ConflictError
	if errors.As(err, &conflict) && conflict.Code == "uniqueness" && conflict.ID != "" {
		return &located{err, endpoint + "/" + conflict.ID}
	}
	return err
}

// problem is an error as it goes out (RFC 7644 §3.12).
type problem struct {
	Schemas  []string         `json:"schemas"`
	Status   string           `json:"status"`
	ScimType schema.ErrorType `json:"scimType,omitempty"`
	Detail   string           `json:"detail"`

	status   int
	internal bool
}

// classify says what of an error the client hears.
func classify(err error) problem {
	p := problem{Schemas: []string{errorURN}, status: http.StatusBadRequest, Detail: err.Error()}
	var (
		scim     *schema.Error
		syntax   *filter.Error
		plain    *statusError
		method   *methodError
		fast     *tooFast
		conflict *store.ConflictError
		field    *store.FieldError
		auth     *orgs.AuthError
	)
	switch {
	case errors.As(err, &scim):
		p.ScimType = scim.Type
		switch scim.Type {
		case schema.Uniqueness:
			p.status = http.StatusConflict
		case schema.Sensitive:
			p.status = http.StatusForbidden
		}
	case errors.As(err, &syntax):
		p.ScimType, p.Detail = schema.InvalidFilter, "filter: "+syntax.Error()
		if syntax.Sensitive {
			p.ScimType, p.status = schema.Sensitive, http.StatusForbidden
		}
	case errors.As(err, &plain):
		p.status = plain.status
	case errors.As(err, &method):
		p.status = http.StatusMethodNotAllowed
	case errors.As(err, &fast):
		p.status = http.StatusTooManyRequests
	case errors.As(err, &auth):
		p.status = http.StatusUnauthorized
	case errors.As(err, &conflict):
		p.status = http.StatusConflict
		switch conflict.Code {
		case "uniqueness":
			p.ScimType = schema.Uniqueness
		case "provisioning_off":
			p.status = http.StatusForbidden
		case "last_owner":
			p.status, p.Detail = http.StatusForbidden, "this is the last owner of the organization; somebody else has to become its owner first"
		case "version_mismatch":
			p.status = http.StatusPreconditionFailed
		}
	case errors.As(err, &field):
		p.ScimType = schema.InvalidValue
	case errors.Is(err, store.ErrExists): // lost the race to another request
		p.status, p.ScimType, p.Detail = http.StatusConflict, schema.Uniqueness, "another one has this name, address or external id"
	default:
		other := httpapi.Classify(err)
		p.status, p.Detail, p.internal = other.Status, other.Detail, other.Internal()
	}
	p.Status = strconv.Itoa(p.status)
	return p
}

// fail writes an error.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := classify(err)
	var method *methodError
	var fast *tooFast
	var other *located
	switch {
	case errors.As(err, &method):
		w.Header().Set("Allow", method.allow)
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
	case errors.As(err, &fast):
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(fast.wait.Seconds()))))
	case errors.As(err, &other):
		w.Header().Set("Location", other.url)
	case p.status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if p.internal && h.opt.HTTP != nil && h.opt.HTTP.Fail != nil {
		h.opt.HTTP.Fail(r, err)
	}
	writeJSON(w, p.status, p)
}
