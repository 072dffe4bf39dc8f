package orgs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// LinkPolicy says when a person whom the identity provider tells of is somebody who has an account already.
type LinkPolicy string

// The policies.
const (
	// LinkVerified: when the account has proved its address, which is of a verified domain of the organization or of a member
	// of it, and no other organization's identity provider manages the account. So nobody gets hold of an account, or of what
	// somebody is told by it, that is not theirs.
	LinkVerified LinkPolicy = "verified"
	LinkNever    LinkPolicy = "never"
	// LinkInvite: as LinkVerified of who is a member already. Everybody else who has an account is invited, once, with the
	// default role, and the provider hears that the account is in the way until they have accepted.
	LinkInvite LinkPolicy = "invite"
)

// Provisioning says what the identity provider of an organization does in it by SCIM. The zero one is that nothing is
// provisioned.
type Provisioning struct {
	store.Meta                   // the id of the organization
	Enabled         bool         `json:"scim_enabled"`  // else its tokens are not accepted
	BaseURL         string       `json:"scim_base_url"` // where resources say that they are; "" is what the host says
	AutoProvision   bool         `json:"auto_provision_users"`
	AutoDeprovision bool         `json:"auto_deprovision_users"`
	SyncGroups      bool         `json:"sync_groups"`
	RoleMapping     []MappedRole `json:"role_mapping"`
	DefaultRole     string       `json:"default_role"`  // id, of members whom the provider makes
	AllowedRoles    []string     `json:"allowed_roles"` // ids; null is every role but the owner's
	Link            LinkPolicy   `json:"link"`
	LocalEdits      bool         `json:"local_edits"` // members and teams of the provider may be changed by others too
	Domains         []string     `json:"verified_domains"`
}

// MappedRole is a role for the members of a group. Group is the group's id, external id or name; one that is named so is
// pinned to the first group that has the name, so that neither a rename nor another group of that name changes anything.
type MappedRole struct {
	Group  string `json:"group"`
	RoleID string `json:"role_id"`
	Pinned string `json:"pinned"` // id of a group
}

var provisionings = store.Define[Provisioning]("provisionings", "org")

// AuditResource is how the log names the provisioning: by the organization.
func (p Provisioning) AuditResource() audit.Resource {
	return audit.Resource{Type: "scim", ID: p.ID}
}

// ProvisioningSettings are a provisioning, with the slugs of the roles that it names by their ids.
type ProvisioningSettings struct {
	Provisioning
	Slugs map[string]string
}

// settings names the roles of a provisioning.
func (p Provisioning) settings(ctx context.Context, tx *store.Tx) (ProvisioningSettings, error) {
	s := ProvisioningSettings{p, map[string]string{}}
	named := append([]string{p.DefaultRole}, p.AllowedRoles...)
	for _, r := range p.RoleMapping {
		named = append(named, r.RoleID)
	}
	for _, id := range named {
		slug, err := rbac.RoleSlug(ctx, tx, id)
		if err != nil {
			return s, err
		}
		s.Slugs[id] = slug
	}
	return s, nil
}

// NewProvisioning is the input of [Manager.SetProvisioning].
type NewProvisioning struct {
	Enabled         bool
	BaseURL         string
	AutoProvision   bool
	AutoDeprovision *bool // nil is true
	SyncGroups      bool
	RoleMapping     map[string]string // group to role, slug or id
	DefaultRole     string            // slug or id; "" is the plain member's
	AllowedRoles    []string          // slugs or ids; nil is every role but the owner's
	Link            LinkPolicy        // "" is LinkVerified
	LocalEdits      bool
}

// Limits of a provisioning.
const (
	MaxMappedRoles = 500
	maxMappedGroup = 256 // characters
)

// SetProvisioning replaces what the identity provider of the organization may do, at once: members of mapped groups lose
// what the mapping before gave them and hold what this one gives. It needs sso.update. Nobody maps to a role what they do
// not hold. A role of the mapping that no provider may give is kept, gives nothing, and is warned of.
func (m *Manager) SetProvisioning(ctx context.Context, org string, in NewProvisioning) (s ProvisioningSettings, warnings []store.Warning, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return s, nil, err
	}
	err = m.Change(ctx, rbac.Op{Action: "sso.update", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		p, some, change, err := m.putProvisioning(ctx, tx, orgID, in)
		if err != nil {
			return audit.Change{}, err
		}
		warnings = some
		s, err = p.settings(ctx, tx)
		return change.As("scim.updated"), err
	})
	return s, warnings, err
}

// putProvisioning is SetProvisioning inside of a unit.
func (m *Manager) putProvisioning(ctx context.Context, tx *store.Tx, orgID string, in NewProvisioning) (p Provisioning, warnings []store.Warning, c audit.Change, err error) {
	before, err := provisioningOf(ctx, tx, orgID)
	if err != nil {
		return p, nil, c, err
	}
	p = Provisioning{Meta: before.Meta, Enabled: in.Enabled, BaseURL: in.BaseURL, AutoProvision: in.AutoProvision,
		AutoDeprovision: in.AutoDeprovision == nil || *in.AutoDeprovision, SyncGroups: in.SyncGroups, Link: in.Link,
		LocalEdits: in.LocalEdits, Domains: before.Domains}
	if err := p.validate(); err != nil {
		return p, nil, c, err
	}
	if warnings, err = m.mapRoles(ctx, tx, &p, before, in); err != nil {
		return p, nil, c, err
	}
	if c = audit.Updated(before, &p); before.Version == 0 {
		c = audit.Created(&p)
		err = provisionings.Insert(ctx, tx, &p)
	} else {
		err = provisionings.Update(ctx, tx, &p)
	}
	if err != nil {
		return p, nil, c, err
	}
	if err := m.reapplySSO(ctx, tx, before, &p); err != nil {
		return p, nil, c, err
	}
	if err := m.reapply(ctx, tx, before, &p); err != nil { // which may pin groups
		return p, nil, c, err
	}
	return p, warnings, c, nil
}

// provisioningOf is the provisioning of an organization, with its id and version 0 where there is none.
func provisioningOf(ctx context.Context, tx *store.Tx, orgID string) (Provisioning, error) {
	p, err := provisionings.Get(ctx, tx, orgID)
	if errors.Is(err, store.ErrNotFound) {
		return Provisioning{Meta: store.Meta{ID: orgID}, Link: LinkVerified}, nil
	}
	return p, err
}

func (p *Provisioning) validate() error {
	if p.Link == "" {
		p.Link = LinkVerified
	}
	if err := oneOf("link", string(p.Link), string(LinkVerified), string(LinkNever), string(LinkInvite)); err != nil {
		return err
	}
	p.BaseURL = strings.TrimRight(p.BaseURL, "/")
	if p.BaseURL == "" {
		return nil
	}
	u, err := url.Parse(p.BaseURL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(p.BaseURL, "#") ||
		u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) || len(p.BaseURL) > 500 {
		return store.Invalid("scim_base_url", "url", "must be an https URL without query and fragment")
	}
	return nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// mapRoles finds the roles that the input names, under the ceiling of the actor.
func (m *Manager) mapRoles(ctx context.Context, tx *store.Tx, p *Provisioning, before Provisioning, in NewProvisioning) (warnings []store.Warning, err error) {
	at := Place{OrgID: p.ID}
	find := func(field, ref string) (rbac.Role, error) {
		role, err := rbac.FindRole(ctx, tx, p.ID, ref)
		if errors.Is(err, store.ErrNotFound) {
			return role, store.Invalid(field, "unknown", "is no role of the organization")
		} else if err != nil {
			return role, err
		}
		return role, m.Ceiling(ctx, tx, at.roleHandout(field, role))
	}
	plain := in.DefaultRole
	if plain == "" {
		plain = rbac.MemberRole
	}
	role, err := find("default_role", plain)
	if err != nil {
		return nil, err
	}
	if role.Slug == rbac.OwnerRole {
		return nil, store.Invalid("default_role", "enum", "cannot be the owner's")
	}
	p.DefaultRole = role.ID
	for i, ref := range in.AllowedRoles {
		field := fmt.Sprintf("allowed_roles[%d]", i)
		role, err := find(field, ref)
		if err != nil {
			return nil, err
		}
		if role.Slug == rbac.OwnerRole {
			return nil, store.Invalid(field, "enum", "an identity provider makes no owners")
		}
		p.AllowedRoles = append(p.AllowedRoles, role.ID)
	}
	if in.AllowedRoles != nil && p.AllowedRoles == nil {
		p.AllowedRoles = []string{}
	}
	if len(in.RoleMapping) > MaxMappedRoles {
		return nil, store.Invalid("role_mapping", "range", "must have at most %d entries", MaxMappedRoles)
	}
	owner, err := rbac.FindRole(ctx, tx, p.ID, rbac.OwnerRole)
	if err != nil {
		return nil, err
	}
	for _, group := range slices.Sorted(maps.Keys(in.RoleMapping)) {
		if err := rbac.CheckText("role_mapping", group, 1, maxMappedGroup); err != nil {
			return nil, err
		}
		field := "role_mapping." + group
		role, err := find(field, in.RoleMapping[group])
		if err != nil {
			return nil, err
		}
		one := MappedRole{Group: group, RoleID: role.ID}
		if i := slices.IndexFunc(before.RoleMapping, func(r MappedRole) bool { return r.Group == group }); i >= 0 {
			one.Pinned = before.RoleMapping[i].Pinned
		}
		p.RoleMapping = append(p.RoleMapping, one)
		if !p.allows(role.ID, owner.ID) {
			warnings = append(warnings, store.Warning{Code: "not_given", Field: field, Message: "an identity provider may not give this role here: it gives nothing"})
		}
	}
	return warnings, nil
}

// allows says whether the provider may give the role.
func (p *Provisioning) allows(roleID, owner string) bool {
	return roleID != owner && (p.AllowedRoles == nil || slices.Contains(p.AllowedRoles, roleID))
}

// names says whether the provisioning names the role, and puts the other in its place, if there is one.
func (p *Provisioning) names(role rbac.Role, other *rbac.Role) (found bool) {
	put := func(id *string) {
		if *id == role.ID {
			if found = true; other != nil {
				*id = other.ID
			}
		}
	}
	put(&p.DefaultRole)
	for i := range p.AllowedRoles {
		put(&p.AllowedRoles[i])
	}
	for i := range p.RoleMapping {
		put(&p.RoleMapping[i].RoleID)
	}
	return found
}

// Provisioning returns what the identity provider of the organization may do. It needs sso.read.
func (m *Manager) Provisioning(ctx context.Context, org string) (s ProvisioningSettings, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return s, err
	}
	err = m.Read(ctx, rbac.Op{Action: "sso.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) error {
		p, err := provisioningOf(ctx, tx, orgID)
		if err != nil {
			return err
		}
		s, err = p.settings(ctx, tx)
		return err
	})
	return s, err
}
