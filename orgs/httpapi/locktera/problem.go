package locktera

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/orgkit/orgkit/orgs/httpapi"
)

// problemView is an error as the vendor writes it.
type problemView struct {
	Message string            `json:"message"`
	Code    int               `json:"code"`
	Fields  map[string]string `json:"fields"`
}

// statusOf is the status of a problem among the few that this API has.
func statusOf(p httpapi.Problem) int {
	switch {
	case p.Code == "org_suspended":
		return http.StatusNotFound
	case p.Status == http.StatusForbidden:
		return http.StatusUnauthorized
	}
	switch p.Status {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusServiceUnavailable:
		return p.Status
	}
	return http.StatusBadRequest
}

// ownNames are what this API calls inputs that the services have other names for.
var ownNames = map[string]string{"after": "before", "start_time": "start", "end_time": "end", "parent": "parent_org_id"}

func render(w http.ResponseWriter, _ *http.Request, p httpapi.Problem) {
	v := problemView{Message: p.Detail, Code: statusOf(p), Fields: map[string]string{}}
	if v.Code == http.StatusNotFound {
		v.Message = "Not found" // whatever it was
	}
	for _, f := range p.Errors {
		_, name, named := strings.Cut(f.Location, ".")
		if !named {
			continue
		}
		if own, renamed := ownNames[name]; renamed {
			v.Message = strings.ReplaceAll(v.Message, name, own)
			name = own
		}
		if _, there := v.Fields[name]; !there {
			v.Fields[name] = f.Message
		}
	}
	if p.Status == http.StatusUnauthorized { // who lacks a permission is known already
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(p.RetryAfter, 10))
	}
	httpapi.WriteJSON(w, v.Code, v)
}
