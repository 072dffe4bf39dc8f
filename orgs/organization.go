package orgs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Organization is a tenant. Organizations form a tree: what an inherited role, a policy or a budget of one
// says holds below it too.
type Organization struct {
	store.Meta
	ParentID       string          `json:"parent_id"` // "" for a root
	Name           string          `json:"name"`
	Slug           string          `json:"slug"` // unique over all; kept with - only (F318)
	Description    string          `json:"description"`
	Settings       OrgSettings     `json:"settings"`
	Metadata       json.RawMessage `json:"metadata"`       // an object of the host's own
	Tags           []string        `json:"tags"`           //
	Customizations json.RawMessage `json:"customizations"` // an object: how it looks
	State          rbac.State      `json:"status"`         // its own; see OrganizationFigures
	SuspendedBy    audit.ActorType `json:"suspended_by"`   // what only the platform suspends only the platform resumes
	DeletedAt      *time.Time      `json:"deleted_at"`
	StateBefore    rbac.State      `json:"-"`                      // the deletion
	AliasID        *string         `json:"alias_id,omitempty"`     // an id that a client of another system has chosen; unique over all
	AllowanceID    string          `json:"allowance_id,omitempty"` // "" for none
}

var organizations = store.Define[Organization]("organizations", "org",
	store.Unique("alias_id"), store.Index("created_at"), store.Index("parent_id", "created_at"), store.Index("allowance_id", "id"), store.Index("name"))

// AuditResource is how the log names the organization.
func (o Organization) AuditResource() audit.Resource {
	return audit.Resource{Type: "organization", ID: o.ID, Slug: o.Slug}
}

// Limits of an organization.
const (
	MaxMetadata = 64 << 10 // bytes
	MaxTags     = 100
	MaxTag      = 100 // characters
)

// NewOrganization is the input of [Manager.CreateOrganization].
type NewOrganization struct {
	Name           string
	Slug           string // "" makes a free one out of the name
	Description    string
	Settings       OrgSettings
	Metadata       json.RawMessage
	Tags           []string
	Customizations json.RawMessage
	Parent         string // id or slug of the organization above, "" for a root
	// Owner is the user (id or e-mail address) who will hold org_admin; for the platform only. ""
	// is the caller, where that is a person and has no rights there by an inherited role.
	Owner string
	// AliasID is an id of the client's own choice, under which the organization is found beside its own; for the platform
	// only. It belongs to the organization until that is deleted.
	AliasID string
	// Allowance is the id of the limits that the organization has, for the platform only.
	Allowance string
}

// validate checks the fields that a change checks too. The slug is optional.
func (o *Organization) validate() (err error) {
	o.Name = strings.TrimSpace(o.Name)
	if err := rbac.CheckText("name", o.Name, 1, rbac.MaxName); err != nil {
		return err
	}
	if o.Slug != "" {
		if o.Slug, err = checkOrgSlug(o.Slug); err != nil {
			return err
		}
	}
	if err := rbac.CheckText("description", o.Description, 0, rbac.MaxDescription); err != nil {
		return err
	}
	if err := o.Settings.Validate(); err != nil {
		return err
	}
	if err := checkTags("tags", o.Tags); err != nil {
		return err
	}
	if err := checkCustomizations(&o.Customizations); err != nil {
		return err
	}
	return checkObject("metadata", &o.Metadata)
}

// checkObject takes a free JSON object; nothing is the empty one.
func checkObject(field string, m *json.RawMessage) error {
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

func checkTags(field string, tags []string) error {
	if len(tags) > MaxTags {
		return store.Invalid(field, "range", "must have at most %d entries", MaxTags)
	}
	for i, tag := range tags {
		if err := rbac.CheckText(fmt.Sprintf("%s[%d]", field, i), tag, 1, MaxTag); err != nil {
			return err
		}
	}
	return nil
}

// CreateOrganization makes an organization with its system roles, org_admin and member, and its
// owner, in one unit. A root is for the platform, or for everybody by Options.SelfServiceOrgs; below
// another it takes organizations.create there. A slug that is taken is a *store.ConflictError slug_taken,
// whoever came first.
func (m *Manager) CreateOrganization(ctx context.Context, in NewOrganization) (o Organization, err error) {
	op := rbac.Op{Action: "organizations.create", Open: m.opt.SelfServiceOrgs}
	if in.Parent != "" {
		op.Open = false
		if op.OrgID, err = m.OrgID(ctx, in.Parent); err != nil {
			return o, err
		}
	}
	for {
		err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
			o, err = m.createOrganization(ctx, tx, op.OrgID, in)
			return audit.Created(o.masked()).Of(o.ID), err
		})
		if in.Slug != "" || !isCode(err, "slug_taken") || m.store.InUnit(ctx) {
			return o, err
		} // else somebody took the free slug that was found: look for the next
	}
}

func (m *Manager) createOrganization(ctx context.Context, tx *store.Tx, parent string, in NewOrganization) (o Organization, err error) {
	by := actor(ctx)
	if parent == "" && !by.Sovereign() && by.Type != audit.User {
		return o, &rbac.Denied{Code: "permission_denied", Action: "organizations.create"}
	}
	o = Organization{ParentID: parent, Name: in.Name, Slug: in.Slug, Description: in.Description, Settings: in.Settings, Metadata: in.Metadata,
		Tags: in.Tags, Customizations: in.Customizations, State: rbac.Active, AllowanceID: in.Allowance}
	if err := o.validate(); err != nil {
		return o, err
	}
	if in.AliasID != "" {
		if !by.Sovereign() {
			return o, store.Invalid("alias_id", "forbidden", "only the platform chooses ids")
		}
		if err := checkOrgAlias(ctx, tx, in.AliasID); err != nil {
			return o, err
		}
		o.AliasID = &in.AliasID
	}
	if in.Allowance != "" && !by.Sovereign() {
		return o, store.Invalid("allowance_id", "forbidden", "only the platform gives allowances")
	}
	if o.Slug == "" {
		if o.Slug, err = freeSlug(ctx, tx, o.Name); err != nil {
			return o, err
		}
	}
	if parent != "" {
		chain, err := rbac.Lineage(ctx, tx, parent)
		if err != nil {
			return o, err
		}
		if len(chain) >= rbac.MaxDepth {
			return o, errTooDeep
		}
	}
	if err := organizations.Insert(ctx, tx, &o); errors.Is(err, store.ErrExists) { // lost the race to another call
		return o, errOrgAliasTaken
	} else if err != nil {
		return o, err
	}
	if err := claimSlug(ctx, tx, o.ID, o.Slug); err != nil {
		return o, err
	}
	scope := rbac.Scope{ParentID: parent, State: rbac.Active}
	scope.ID = o.ID
	o.Settings.scope(&scope)
	if err := rbac.Scopes.Insert(ctx, tx, &scope); err != nil {
		return o, err
	}
	if err := m.takeCard(ctx, tx, &o, true); err != nil {
		return o, err
	}
	if err := m.restrict(ctx, tx, o); err != nil {
		return o, err
	}
	admin, _, err := rbac.SeedRoles(ctx, tx, o.ID)
	if err != nil {
		return o, err
	}
	owner, err := m.firstOwner(ctx, tx, o, in.Owner)
	if err != nil || owner == "" {
		return o, err
	}
	_, err = admit(ctx, tx, rbac.Assignment{OrgID: o.ID, Subject: owner, RoleID: admin.ID, Source: "manual"})
	return o, err
}

func (m *Manager) firstOwner(ctx context.Context, tx *store.Tx, o Organization, named string) (string, error) {
	by := actor(ctx)
	if named != "" {
		if !by.Sovereign() {
			return "", store.Invalid("owner", "forbidden", "only the platform names another owner")
		}
		u, err := findUser(ctx, tx, named)
		return u.ID, err
	}
	person := by.Person()
	if person == "" || o.ParentID == "" {
		return person, nil
	}
	err := m.Belongs(ctx, tx, o.ID, person)
	if errors.Is(err, store.ErrNotFound) {
		return person, nil
	}
	return "", err
}

// restrict writes what the organization's settings forbid to all below it, and to how much they limit that.
func (m *Manager) restrict(ctx context.Context, tx *store.Tx, o Organization) error {
	limits := o.Settings.Models.limits()
	if o.AllowanceID == "" {
		if err := m.allow(ctx, tx, o, nil); err != nil {
			return err
		}
	} else {
		a, err := allowances.Get(ctx, tx, o.AllowanceID)
		if errors.Is(err, store.ErrNotFound) {
			return store.Invalid("allowance_id", "unknown", "is no allowance")
		} else if err != nil {
			return err
		}
		if err := m.allow(ctx, tx, o, &a); err != nil {
			return err
		}
		limits = together(limits, a.rates())
	}
	if err := m.ApplyRateLimits(ctx, tx, o.ID, billing.ScopeOrg, o.ID, limits); err != nil {
		return err
	}
	r := TeamSettings{Models: o.Settings.Models, Objects: o.Settings.Objects}.restriction()
	r.OrgID, r.State = o.ID, rbac.Active
	old, err := rbac.Restrictions.Get(ctx, tx, o.ID)
	switch {
	case errors.Is(err, store.ErrNotFound) && o.Settings.Models == nil && o.Settings.Objects == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		r.ID = o.ID
		return rbac.Restrictions.Insert(ctx, tx, &r)
	case err != nil:
		return err
	}
	r.Meta = old.Meta
	return rbac.Restrictions.Update(ctx, tx, &r)
}

// OrganizationUpdate changes an organization; nil leaves as it is.
type OrganizationUpdate struct {
	Name           *string
	Slug           *string
	Description    *string
	Settings       *OrgSettings
	Metadata       *json.RawMessage
	Tags           *[]string
	Customizations *json.RawMessage
	Allowance      *string // id of the limits that it has, "" for none; the platform only
	Force          bool    // even where the caller is shut out by it
}

func (in OrganizationUpdate) apply(o *Organization) {
	set(&o.Name, in.Name)
	set(&o.Slug, in.Slug)
	set(&o.Description, in.Description)
	set(&o.Settings, in.Settings)
	set(&o.Metadata, in.Metadata)
	set(&o.Tags, in.Tags)
	set(&o.Customizations, in.Customizations)
	set(&o.AllowanceID, in.Allowance)
}

// set assigns what is given.
func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// UpdateOrganization changes an organization; its settings act from the next request on. Another slug
// leaves the old one leading to it for 90 days. Security settings that would shut out the caller are a
// *store.ConflictError would_lock_out, unless forced. A change of the time zone concerns budgets that are
// set afterwards.
func (m *Manager) UpdateOrganization(ctx context.Context, ref string, in OrganizationUpdate) (o Organization, err error) {
	id, err := m.OrgID(ctx, ref)
	if err != nil {
		return o, err
	}
	err = m.Change(ctx, rbac.Op{Action: "organizations.update", OrgID: id}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if o, err = organizations.Get(ctx, tx, id); err != nil {
			return audit.Change{}, err
		}
		before := o
		in.apply(&o)
		if o.AllowanceID != before.AllowanceID && !actor(ctx).Sovereign() {
			return audit.Change{}, store.Invalid("allowance_id", "forbidden", "only the platform gives allowances")
		}
		if in.Slug != nil && *in.Slug == "" {
			return audit.Change{}, store.Invalid("slug", "required", "is required")
		}
		if err := o.validate(); err != nil {
			return audit.Change{}, err
		}
		scope, err := rbac.Scopes.Get(ctx, tx, id)
		if err != nil {
			return audit.Change{}, err
		}
		o.Settings.scope(&scope)
		if by := actor(ctx); !in.Force && by.Type == audit.User && (!scope.Admits(by.IP) || by.Session && scope.RequireMFA && by.MFAAt == nil) {
			return audit.Change{}, &store.ConflictError{Code: "would_lock_out", Message: "these settings would shut you out; force does it all the same"}
		}
		if err := rbac.Scopes.Update(ctx, tx, &scope); err != nil {
			return audit.Change{}, err
		}
		if o.Slug != before.Slug {
			if err := changeSlug(ctx, tx, before, o.Slug); err != nil {
				return audit.Change{}, err
			}
		}
		if err := m.takeCard(ctx, tx, &o, false); err != nil {
			return audit.Change{}, err
		}
		if err := organizations.Update(ctx, tx, &o); err != nil {
			return audit.Change{}, err
		}
		return audit.Updated(*before.masked(), o.masked()), m.restrict(ctx, tx, o)
	})
	return o, err
}
