package locktera

import (
	"encoding/json"
	"net/http"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

func (a *api) customizations(_ http.ResponseWriter, r *http.Request, at place) (answer, error) {
	o, err := a.Organization(r.Context(), at.id)
	return ok(o.Customizations), err
}

// customizedView is the answer to who has set customizations.
type customizedView struct {
	Message        string          `json:"message"`
	Customizations json.RawMessage `json:"customizations"`
}

// customize replaces the customizations by those of the body, or of its only member customizations.
func (a *api) customize(_ http.ResponseWriter, r *http.Request, at place) (answer, error) {
	in, err := read(r)
	if err != nil {
		return answer{}, err
	}
	object := in
	if inner, wrapped := in["customizations"]; wrapped && len(in) == 1 {
		object = nil
		if json.Unmarshal(inner, &object) != nil {
			object = nil
		}
	}
	if object == nil {
		return answer{}, store.Invalid("customizations", "required", "must be an object")
	}
	raw, err := json.Marshal(object)
	if err != nil {
		return answer{}, err
	}
	o, err := a.UpdateOrganization(r.Context(), at.id, orgs.OrganizationUpdate{Customizations: (*json.RawMessage)(&raw)})
	return a.spec(http.StatusOK, o.Customizations, ok(customizedView{"Organization customizations updated successfully", o.Customizations})), err
}
