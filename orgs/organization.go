package orgs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Organization is a tenant.
type Organization struct {
	store.Meta
	Name        string          `json:"name"`
	Slug        string          `json:"slug"` // unique over all; kept with - only (F318)
	Description string          `json:"description"`
	Settings    OrgSettings     `json:"settings"`
	Metadata    json.RawMessage `json:"metadata"` // an object of the host's own
	State       rbac.State      `json:"status"`
}

var organizations = store.Define[Organization]("organizations", "org",
	store.Unique("slug"), store.Index("created_at"))

// AuditResource is how the log names the organization.
func (o Organization) AuditResource() audit.Resource {
	return audit.Resource{Type: "organization", ID: o.ID, Slug: o.Slug}
}

// reserved slugs are words of paths that a host mounts.
var reserved = []string{"me", "new", "admin", "api", "v1", "v2", "scim", "sso", "orgs", "org",
	"organization", "organizations", "teams", "users", "keys", "login", "logout", "health", "healthz",
	"readyz", "metrics", "static", "ui", "www"}

// MaxMetadata is the most bytes of free metadata.
const MaxMetadata = 64 << 10

// NewOrganization is the input of [Manager.CreateOrganization].
type NewOrganization struct {
	Name        string
	Slug        string // "" makes a free one out of the name
	Description string
	Settings    OrgSettings
	Metadata    json.RawMessage
	// Owner is the user (id or e-mail address) who will hold org_admin; for the platform only. ""
	// is the caller, where that is a person.
	Owner string
}

func (in *NewOrganization) validate() error {
	in.Name = strings.TrimSpace(in.Name)
	if err := rbac.CheckText("name", in.Name, 1, rbac.MaxName); err != nil {
		return err
	}
	if in.Slug != "" {
		in.Slug = strings.ToLower(in.Slug)
		if err := store.CheckSlug("slug", in.Slug); err != nil {
			return err
		}
		in.Slug = store.SlugKey(in.Slug)
		if slices.Contains(reserved, in.Slug) {
			return store.Invalid("slug", "reserved", "is a reserved word")
		}
	}
	if err := rbac.CheckText("description", in.Description, 0, rbac.MaxDescription); err != nil {
		return err
	}
	if err := in.Settings.Validate(); err != nil {
		return err
	}
	return checkMetadata("metadata", &in.Metadata)
}

func checkMetadata(field string, m *json.RawMessage) error {
	if len(*m) == 0 || string(*m) == "null" {
		*m = json.RawMessage("{}")
		return nil
	}
	if len(*m) > MaxMetadata {
		return store.Invalid(field, "range", "must not be larger than %d bytes", MaxMetadata)
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(*m, &object) != nil {
		return store.Invalid(field, "type", "must be an object")
	}
	return nil
}

// CreateOrganization makes an organization with its system roles, org_admin and member, and its
// owner, in one unit. The platform may create one without an owner. A slug that is taken is a
// *store.ConflictError slug_taken, whoever came first.
func (m *Manager) CreateOrganization(ctx context.Context, in NewOrganization) (o Organization, err error) {
	op := rbac.Op{Action: "organizations.create", Open: m.opt.SelfServiceOrgs}
	given := in.Slug != ""
	for {
		err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
			o, err = m.createOrganization(ctx, tx, in)
			return audit.Created(&o).Of(o.ID), err
		})
		var unique *store.UniqueError
		if !errors.As(err, &unique) || !unique.On("slug") {
			return o, err
		}
		if given {
			return o, &store.ConflictError{Code: "slug_taken", Message: "an organization with this slug exists"}
		} // else somebody took the free slug that was found: look for the next
	}
}

func (m *Manager) createOrganization(ctx context.Context, tx *store.Tx, in NewOrganization) (o Organization, err error) {
	by := actor(ctx)
	if !by.Sovereign() && by.Type != audit.User {
		return o, &rbac.Denied{Code: "permission_denied", Action: "organizations.create"}
	}
	if err := in.validate(); err != nil {
		return o, err
	}
	if in.Slug == "" {
		if in.Slug, err = freeSlug(ctx, tx, in.Name); err != nil {
			return o, err
		}
	}
	owner := by.Person()
	if in.Owner != "" {
		if !by.Sovereign() {
			return o, store.Invalid("owner", "forbidden", "only the platform names another owner")
		}
		u, err := findUser(ctx, tx, in.Owner)
		if err != nil {
			return o, err
		}
		owner = u.ID
	}
	o = Organization{Name: in.Name, Slug: in.Slug, Description: in.Description, Settings: in.Settings, Metadata: in.Metadata, State: rbac.Active}
	if err := organizations.Insert(ctx, tx, &o); err != nil {
		return o, err
	}
	scope := in.Settings.scope()
	scope.ID = o.ID
	if err := rbac.Scopes.Insert(ctx, tx, &scope); err != nil {
		return o, err
	}
	admin, _, err := rbac.SeedRoles(ctx, tx, o.ID)
	if err != nil || owner == "" {
		return o, err
	}
	return o, rbac.Assignments.Insert(ctx, tx, &rbac.Assignment{OrgID: o.ID, Subject: owner, Kind: rbac.Member,
		State: rbac.Active, RoleID: admin.ID, Source: "manual"})
}

// freeSlug makes a slug out of a name, with a number behind it where it is taken or reserved.
func freeSlug(ctx context.Context, tx *store.Tx, name string) (string, error) {
	base := store.SlugFrom(name)
	if base == "" {
		return "", store.Invalid("slug", "required", "is required where the name has no letter or digit of a-z, 0-9")
	}
	for n := 1; ; n++ {
		slug := base
		if n > 1 {
			suffix := fmt.Sprintf("-%d", n)
			slug = strings.TrimRight(base[:min(len(base), store.MaxSlug-len(suffix))], "-") + suffix
		}
		if slices.Contains(reserved, slug) {
			continue
		}
		if _, err := organizations.Find(ctx, tx, store.Eq("slug", slug)); errors.Is(err, store.ErrNotFound) {
			return slug, nil
		} else if err != nil {
			return "", err
		}
	}
}

// Organization returns an organization by id or slug. It needs organizations.read there.
func (m *Manager) Organization(ctx context.Context, ref string) (o Organization, err error) {
	id, err := m.OrgID(ctx, ref)
	if err != nil {
		return o, err
	}
	err = m.Read(ctx, rbac.Op{Action: "organizations.read", OrgID: id}, func(ctx context.Context, tx *store.Tx) error {
		o, err = organizations.Get(ctx, tx, id)
		return err
	})
	return o, err
}

// OrgID resolves a reference, an id or slug, to an id. It answers store.ErrNotFound alike for what
// does not exist and for where the actor holds nothing.
func (m *Manager) OrgID(ctx context.Context, ref string) (id string, err error) {
	by, ok := audit.ActorFrom(ctx)
	if !ok {
		return "", rbac.ErrNoActor
	}
	err = m.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		o, err := findOrganization(ctx, tx, ref)
		if err != nil {
			return err
		}
		id = o.ID
		return m.mustBelong(ctx, tx, by, o.ID)
	})
	return id, err
}

func findOrganization(ctx context.Context, tx *store.Tx, ref string) (Organization, error) {
	if strings.HasPrefix(ref, organizations.Kind().Prefix+"_") {
		return organizations.Get(ctx, tx, ref)
	}
	return organizations.Find(ctx, tx, store.Eq("slug", store.SlugKey(ref)))
}

// mustBelong answers store.ErrNotFound unless the actor holds something in the organization.
func (m *Manager) mustBelong(ctx context.Context, tx *store.Tx, by audit.Actor, orgID string) error {
	if by.Sovereign() {
		return nil
	}
	return m.Belongs(ctx, tx, orgID, by.ID)
}

// Organizations lists those in which the actor holds something; the platform sees all, newest
// first.
func (m *Manager) Organizations(ctx context.Context, limit int, after string) (page store.Page[Organization], err error) {
	by, ok := audit.ActorFrom(ctx)
	if !ok {
		return page, rbac.ErrNoActor
	}
	err = m.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		q := store.Query{Order: []store.Order{store.Desc("created_at")}, Limit: limit, After: after}
		if !by.Sovereign() {
			ids := map[string]bool{}
			for a, err := range rbac.Assignments.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("subject", by.ID)}}) {
				if err != nil {
					return err
				}
				ids[a.OrgID] = true
			}
			q.Where = []store.Cond{store.In("id", sortedKeys(ids))}
		}
		page, err = organizations.List(ctx, tx, q)
		return err
	})
	return page, err
}

func sortedKeys(set map[string]bool) []string {
	keys := make([]string, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
