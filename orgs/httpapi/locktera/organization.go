package locktera

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// specOrganization is an organization by the vendor's OpenAPI file.
type specOrganization struct {
	ID          string  `json:"id"`
	RootOrgID   string  `json:"root_org_id"`
	ParentOrgID *string `json:"parent_org_id"`
	OrgName     string  `json:"org_name"`
	Role        string  `json:"role"` // org at the root, group below
	contact
}

// contact is the person to turn to.
type contact struct {
	FirstName   *string `json:"first_name"`
	LastName    *string `json:"last_name"`
	Email       *string `json:"email"`
	MobilePhone *string `json:"mobile_phone"`
}

// pageOrganization is an organization by the vendor's page, and by its file.
type pageOrganization struct {
	Name           string          `json:"name"`
	CreatedAt      string          `json:"created_at"`
	Customizations json.RawMessage `json:"customizations"`
	specOrganization
}

func (a *api) render(o orgs.Organization, root string) any {
	v := specOrganization{ID: o.ID, RootOrgID: root, OrgName: o.Name, Role: "org"}
	if o.ParentID != "" {
		v.ParentOrgID, v.Role = &o.ParentID, "group"
	}
	var metadata struct{ Contact json.RawMessage }
	_ = json.Unmarshal(o.Metadata, &metadata)        // it is an object
	_ = json.Unmarshal(metadata.Contact, &v.contact) // what another dialect has put there may be anything
	if a.opt.SpecShapes {
		return v
	}
	return pageOrganization{o.Name, httpapi.Stamp(o.CreatedAt), o.Customizations, v}
}

func (a *api) organization(_ http.ResponseWriter, r *http.Request, at place) (answer, error) {
	o, err := a.Organization(r.Context(), at.id)
	return ok(a.render(o, at.root)), err
}

// own is the only organization of the caller.
func (a *api) own(_ http.ResponseWriter, r *http.Request) (answer, error) {
	by, _ := audit.ActorFrom(r.Context())
	var mine store.Page[orgs.Organization]
	var err error
	if !by.Sovereign() { // who belongs to none
		if mine, err = a.Organizations(r.Context(), orgs.OrganizationFilter{Limit: 2}); err != nil {
			return answer{}, err
		}
	}
	if len(mine.Items) != 1 {
		return answer{}, store.Invalid("org_id", "required", "is required: the caller has not one organization")
	}
	f, err := a.OrganizationFigures(r.Context(), mine.Items[0].ID)
	if err != nil {
		return answer{}, err
	}
	o, err := a.Organization(r.Context(), mine.Items[0].ID)
	return ok(a.render(o, f.RootID)), err
}

func (a *api) create(_ http.ResponseWriter, r *http.Request) (answer, error) {
	in, err := read(r)
	if err != nil {
		return answer{}, err
	}
	parent, err := in.text("parent_org_id")
	if err != nil {
		return answer{}, err
	}
	if by, _ := audit.ActorFrom(r.Context()); !by.Sovereign() {
		return answer{}, &rbac.Denied{Code: "permission_denied", Action: "organizations.create",
			Decision: rbac.Decision{MissingPermission: "organizations.create"}}
	}
	o, err := a.newOrganization(r.Context(), in, parent)
	if err != nil {
		return answer{}, err
	}
	f, err := a.OrganizationFigures(r.Context(), o.ID)
	return ok(a.render(o, f.RootID)), err
}

// newOrganization makes the organization that a body describes.
func (a *api) newOrganization(ctx context.Context, in body, parent string) (o orgs.Organization, err error) {
	n := orgs.NewOrganization{Parent: parent}
	if n.Name, err = in.either("name", "org_name"); err != nil {
		return o, err
	}
	if in.has("customizations") {
		n.Customizations = in["customizations"]
	}
	if n.Metadata, err = in.contactIn(json.RawMessage("{}")); err != nil {
		return o, err
	}
	return a.CreateOrganization(ctx, n)
}

// contactIn is the metadata of an organization with what the body says of the person to turn to. Null removes a field.
func (b body) contactIn(metadata json.RawMessage) (json.RawMessage, error) {
	given := map[string]*string{}
	for _, name := range []string{"first_name", "last_name", "email", "mobile_phone"} {
		if !b.has(name) {
			continue
		}
		text, err := b.text(name)
		if err == nil {
			err = rbac.CheckText(name, text, 0, rbac.MaxName)
		}
		if err != nil {
			return nil, err
		}
		if given[name] = nil; text != "" {
			given[name] = &text
		}
	}
	if len(given) == 0 {
		return metadata, nil
	}
	patch, err := json.Marshal(map[string]any{"contact": given})
	if err != nil {
		return nil, err
	}
	return httpapi.MergePatch(metadata, patch)
}

func (a *api) update(_ http.ResponseWriter, r *http.Request, at place) (answer, error) {
	in, err := read(r)
	if err != nil {
		return answer{}, err
	}
	name, err := in.either("name", "org_name")
	if err != nil {
		return answer{}, err
	}
	renamed := string(in["name"]) != "null" && in.has("name") || string(in["org_name"]) != "null" && in.has("org_name")
	if renamed && strings.TrimSpace(name) == "" {
		return answer{}, store.Invalid("name", "required", "must not be empty")
	}
	o, err := a.change(r.Context(), at.id, func(o orgs.Organization) (u orgs.OrganizationUpdate, err error) {
		if renamed {
			u.Name = &name
		}
		if changes, given := in["customizations"]; given {
			if u.Customizations, err = mergedObject(o.Customizations, changes); err != nil {
				return u, err
			}
		}
		metadata, err := in.contactIn(o.Metadata)
		if err == nil && string(metadata) != string(o.Metadata) {
			u.Metadata = &metadata
		}
		return u, err
	})
	return ok(a.render(o, at.root)), err
}

// mergedObject is an object with changes to it, which are an object too.
func mergedObject(object, changes json.RawMessage) (*json.RawMessage, error) {
	var patch map[string]json.RawMessage
	if json.Unmarshal(changes, &patch) != nil || patch == nil {
		return nil, store.Invalid("customizations", "type", "must be an object")
	}
	merged, err := httpapi.MergePatch(object, changes)
	return &merged, err
}

// change changes an organization by what it is now. Where somebody else changes it meanwhile, it happens again.
func (a *api) change(ctx context.Context, id string, by func(orgs.Organization) (orgs.OrganizationUpdate, error)) (o orgs.Organization, err error) {
	for try := 1; ; try++ {
		if o, err = a.Organization(ctx, id); err != nil {
			return o, err
		}
		u, err := by(o)
		if err != nil {
			return o, err
		}
		out, err := a.UpdateOrganization(rbac.WithPrecondition(ctx, o.Version), id, u)
		var conflict *store.ConflictError
		if errors.As(err, &conflict) && conflict.Code == "version_mismatch" && try < 8 {
			continue
		}
		return out, err
	}
}

// messageView is an answer that has nothing else to say.
type messageView struct {
	Message string `json:"message"`
}

func (a *api) remove(_ http.ResponseWriter, r *http.Request, at place) (answer, error) {
	_, err := a.DeleteOrganization(r.Context(), at.id, true, "")
	return a.spec(http.StatusNoContent, nil, ok(messageView{"Organization deleted successfully"})), err
}
