package rbac

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

// Role is a named set of permissions of one organization.
type Role struct {
	store.Meta
	OrgID       string   `json:"organization_id"`
	Name        string   `json:"name"`
	Slug        string   `json:"slug"` // as first written
	SlugKey     string   `json:"-"`
	Description string   `json:"description"`
	Permissions []string `json:"permissions"` // as written
	Inherited   bool     `json:"inherited"`   // held at the level of the organization it acts below it too
	IsSystem    bool     `json:"is_system"`
	Adopted     bool     `json:"-"` // a seeded role that the platform has taken over (F456)
}

var roles = store.Define[Role]("roles", "role", store.Traced("id"), store.Unique("org_id", "slug_key"))

// AuditResource is how the log names the role.
func (r Role) AuditResource() audit.Resource {
	return audit.Resource{Type: "role", ID: r.ID, Slug: r.Slug}
}

// OwnerRole and MemberRole are the slugs of the two roles that every organization is born with.
const (
	OwnerRole  = "org_admin"
	MemberRole = "member"
)

// Limits of a role.
const (
	MaxName        = 200
	MaxDescription = 2000
	MaxPermissions = 500
)

// NewRole is the input of [Guard.CreateRole].
type NewRole struct {
	Name        string
	Slug        string // "" takes it from the name
	Description string
	Permissions []string
	Inherited   bool
	IsSystem    bool // the platform only (F324)
}

func (in *NewRole) validate() error {
	in.Name = strings.TrimSpace(in.Name)
	if in.Slug == "" {
		in.Slug = store.SlugFrom(in.Name)
	}
	in.Slug = strings.ToLower(in.Slug)
	if err := CheckText("name", in.Name, 1, MaxName); err != nil {
		return err
	}
	if err := store.CheckSlug("slug", in.Slug); err != nil {
		return err
	}
	if err := CheckText("description", in.Description, 0, MaxDescription); err != nil {
		return err
	}
	if in.Permissions == nil {
		return store.Invalid("permissions", "required", "is required")
	}
	return CheckPermissions("permissions", in.Permissions)
}

// CheckText returns a *[store.FieldError] unless the text has from least to most characters.
func CheckText(field, text string, least, most int) error {
	n := len([]rune(text))
	switch {
	case n < least && n == 0:
		return store.Invalid(field, "required", "is required")
	case n < least || n > most:
		return store.Invalid(field, "range", "must have from %d to %d characters", least, most)
	}
	return nil
}

// CheckPermissions returns a *[store.FieldError] naming the first entry that is no permission.
func CheckPermissions(field string, permissions []string) error {
	if len(permissions) > MaxPermissions {
		return store.Invalid(field, "range", "must have at most %d entries", MaxPermissions)
	}
	for i, p := range permissions {
		if _, err := ParsePermission(p); err != nil {
			return store.Invalid(fmt.Sprintf("%s[%d]", field, i), "pattern", "must be a permission such as teams.read, billing.*, *.read or usage.read:own")
		}
	}
	return nil
}

// CreateRole makes a role. Nobody can put into it what they do not hold at the level of the
// organization. org_admin and member are there from the start; the platform's first CreateRole of
// org_admin adopts it instead, with its name and description (F456).
func (g *Guard) CreateRole(ctx context.Context, orgID string, in NewRole) (role Role, err error) {
	err = g.Change(ctx, Op{Action: "roles.create", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if err := in.validate(); err != nil {
			return audit.Change{}, err
		}
		if in.IsSystem && !actor(ctx).Sovereign() {
			return audit.Change{}, &Denied{Code: "system_role_forbidden", Action: "roles.create",
				Decision: Decision{Remedy: []string{"leave out is_system; only the platform makes system roles"}}}
		}
		role, err = roles.Find(ctx, tx, store.Eq("org_id", orgID), store.Eq("slug_key", store.SlugKey(in.Slug)))
		switch {
		case err == nil:
			return adopt(ctx, tx, &role, in)
		case !errors.Is(err, store.ErrNotFound):
			return audit.Change{}, err
		}
		role = Role{OrgID: orgID, Name: in.Name, Slug: in.Slug, SlugKey: store.SlugKey(in.Slug),
			Description: in.Description, Permissions: in.Permissions, Inherited: in.Inherited, IsSystem: in.IsSystem}
		if err := g.Ceiling(ctx, tx, Handout{OrgID: orgID, Role: &role, Field: "permissions"}); err != nil {
			return audit.Change{}, err
		}
		return audit.Created(&role), roles.Insert(ctx, tx, &role)
	})
	return role, err
}

func adopt(ctx context.Context, tx *store.Tx, role *Role, in NewRole) (audit.Change, error) {
	taken := &store.ConflictError{Code: "slug_taken", Message: "a role with this slug exists"}
	if role.SlugKey != store.SlugKey(OwnerRole) || role.Adopted || !actor(ctx).Sovereign() {
		return audit.Change{}, taken
	}
	if !slices.Equal(in.Permissions, role.Permissions) {
		taken.Message = "org_admin exists and holds every permission; permissions must be [\"*\"]"
		return audit.Change{}, taken
	}
	before := *role
	role.Name, role.Description, role.Adopted = in.Name, in.Description, true
	return audit.Updated(before, role), roles.Update(ctx, tx, role)
}

// RoleUpdate changes a role; nil leaves as it is. The slug stays: policies, settings and mappings name
// roles by it.
type RoleUpdate struct {
	Name        *string
	Description *string
	Permissions *[]string
	Inherited   *bool
}

// UpdateRole changes a role, for everybody who holds it from the next request on. Nobody puts into it, or
// takes out of it, what they do not hold. A system role is changed by the platform alone, and what org_admin
// and member mean by nobody.
func (g *Guard) UpdateRole(ctx context.Context, orgID, ref string, in RoleUpdate) (role Role, err error) {
	err = g.Change(ctx, Op{Action: "roles.update", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if role, err = FindRole(ctx, tx, orgID, ref); err != nil {
			return audit.Change{}, err
		}
		before := role
		if err := in.apply(&role); err != nil {
			return audit.Change{}, err
		}
		if err := mayEdit(ctx, before, "roles.update"); err != nil {
			return audit.Change{}, err
		}
		same := slices.Equal(before.Permissions, role.Permissions) && before.Inherited == role.Inherited
		if before.seeded() && !same {
			return audit.Change{}, &store.ConflictError{Code: "conflict", Message: "the permissions of " + before.Slug + " are the same in every organization"}
		}
		for _, r := range []Role{before, role} {
			if err := g.Ceiling(ctx, tx, Handout{OrgID: orgID, Role: &r, Field: "permissions"}); err != nil {
				return audit.Change{}, err
			}
		}
		return audit.Updated(before, &role), roles.Update(ctx, tx, &role)
	})
	return role, err
}

func (in RoleUpdate) apply(r *Role) error {
	if in.Name != nil {
		r.Name = strings.TrimSpace(*in.Name)
	}
	if in.Description != nil {
		r.Description = *in.Description
	}
	if in.Permissions != nil {
		r.Permissions = *in.Permissions
	}
	if in.Inherited != nil {
		r.Inherited = *in.Inherited
	}
	again := NewRole{Name: r.Name, Slug: r.Slug, Description: r.Description, Permissions: r.Permissions}
	if again.Permissions == nil {
		again.Permissions = []string{}
	}
	return again.validate()
}

// seeded says whether every organization is born with the role.
func (r Role) seeded() bool {
	return r.IsSystem && (r.SlugKey == store.SlugKey(OwnerRole) || r.SlugKey == store.SlugKey(MemberRole))
}

// mayEdit refuses tenants a system role (F324).
func mayEdit(ctx context.Context, r Role, action string) error {
	if !r.IsSystem || actor(ctx).Sovereign() {
		return nil
	}
	return &Denied{Code: "system_role", Action: action, Resource: "role:" + r.ID,
		Decision: Decision{Remedy: []string{"make a role of your own; system roles can only be assigned"}}}
}

// RetireRole removes a role inside the unit of its caller, who has asked for permission and looks after
// what floors above keep of roles. Where members hold it or policies name it as an approver, the other role
// takes its place there; without one it answers how many there are, and removes nothing.
func (g *Guard) RetireRole(ctx context.Context, tx *store.Tx, role Role, other *Role) (uses int, err error) {
	if err := mayEdit(ctx, role, "roles.delete"); err != nil {
		return 0, err
	}
	if role.seeded() {
		return 0, &store.ConflictError{Code: "conflict", Message: "every organization has the role " + role.Slug}
	}
	holders, err := holdersOf(ctx, tx, role)
	if err != nil {
		return 0, err
	}
	var naming []Policy
	for p, err := range policies.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", role.OrgID)}}) {
		if err != nil {
			return 0, err
		}
		if p.replaceApprover(role.SlugKey, "") {
			naming = append(naming, p)
		}
	}
	if other == nil && len(holders)+len(naming) > 0 {
		return len(holders) + len(naming), nil
	}
	for _, a := range holders {
		a.replaceRole(role.ID, other.ID)
		if err := Assignments.Update(ctx, tx, &a); err != nil {
			return 0, err
		}
	}
	for _, p := range naming {
		p.replaceApprover(role.SlugKey, other.Slug)
		if err := policies.Update(ctx, tx, &p); err != nil {
			return 0, err
		}
	}
	if other != nil {
		if err := replaceApprovers(ctx, tx, role, *other); err != nil {
			return 0, err
		}
	}
	for o, err := range overrides.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", role.OrgID)}}) {
		if err != nil {
			return 0, err
		}
		if o.RoleID == role.ID {
			if err := overrides.Delete(ctx, tx, o.ID); err != nil {
				return 0, err
			}
		}
	}
	return 0, roles.Delete(ctx, tx, role.ID)
}

// holdersOf are the assignments by a role, or with one that is given beside theirs.
func holdersOf(ctx context.Context, tx *store.Tx, role Role) (holders []Assignment, err error) {
	for a, err := range Assignments.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", role.OrgID), store.Eq("role_id", role.ID)}}) {
		if err != nil {
			return nil, err
		}
		holders = append(holders, a)
	}
	for a, err := range Assignments.All(ctx, tx, store.Query{Where: []store.Cond{
		store.Eq("org_id", role.OrgID), store.Eq("team_id", ""), store.Eq("kind", Member)}}) {
		if err != nil {
			return nil, err
		}
		if a.RoleID != role.ID && slices.Contains(a.Given, role.ID) {
			holders = append(holders, a)
		}
	}
	return holders, nil
}

// replaceRole puts one role in the place of another.
func (a *Assignment) replaceRole(id, other string) {
	if a.RoleID == id {
		a.RoleID = other
	}
	given := slices.DeleteFunc(slices.Clone(a.Given), func(role string) bool { return role == id || role == other })
	if len(given) < len(a.Given) {
		given = append(given, other)
	}
	slices.Sort(given)
	a.Given = given
}

// Ranked returns the roles of those ids, the highest first: the owner's, then those whose holders may do more than read, then
// those that read more; of equal ones that of the lower id. The order of the ids does not matter.
func (g *Guard) Ranked(ctx context.Context, tx *store.Tx, ids ...string) ([]Role, error) {
	type ranked struct {
		Role
		rank int
	}
	var found []ranked
	for r, err := range roles.All(ctx, tx, store.Query{Where: []store.Cond{store.In("id", ids)}}) {
		if err != nil {
			return nil, err
		}
		one := ranked{Role: r}
		permissions, err := parsePermissions(r.Permissions)
		if err != nil {
			return nil, err
		}
		all := g.vocabulary.Actions()
		for _, action := range all {
			switch {
			case !slices.ContainsFunc(permissions, func(p Permission) bool { return p.Covers(action) }):
			case strings.HasSuffix(action, ".read"):
				one.rank++
			default:
				one.rank += len(all)
			}
		}
		if r.Slug == OwnerRole {
			one.rank = len(all) * len(all)
		}
		found = append(found, one)
	}
	slices.SortFunc(found, func(a, b ranked) int { return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(a.ID, b.ID)) })
	all := make([]Role, len(found))
	for i := range found {
		all[i] = found[i].Role
	}
	return all, nil
}

// HeldBy counts the memberships by a role.
func HeldBy(ctx context.Context, tx *store.Tx, role Role) (int, error) {
	return Assignments.Count(ctx, tx, store.Eq("org_id", role.OrgID), store.Eq("role_id", role.ID))
}

// SeedRoles gives a new organization its two system roles. It runs inside the unit that creates
// the organization.
func SeedRoles(ctx context.Context, tx *store.Tx, orgID string) (owner, member Role, err error) {
	for _, t := range SystemRoles() {
		r := Role{OrgID: orgID, Name: t.Name, Slug: t.Slug, SlugKey: store.SlugKey(t.Slug),
			Description: t.Description, Permissions: t.Permissions, Inherited: t.Inherited, IsSystem: true}
		if err := roles.Insert(ctx, tx, &r); err != nil {
			return owner, member, err
		}
		if t.Slug == OwnerRole {
			owner = r
		} else {
			member = r
		}
	}
	return owner, member, nil
}

// Role returns a role by its id or slug.
func (g *Guard) Role(ctx context.Context, orgID, ref string) (role Role, err error) {
	err = g.Read(ctx, Op{Action: "roles.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) error {
		role, err = FindRole(ctx, tx, orgID, ref)
		return err
	})
	return role, err
}

// Roles lists the roles of an organization by their slugs.
func (g *Guard) Roles(ctx context.Context, orgID string, limit int, after string) (page store.Page[Role], err error) {
	err = g.Read(ctx, Op{Action: "roles.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) error {
		page, err = roles.List(ctx, tx, store.Query{
			Where: []store.Cond{store.Eq("org_id", orgID)},
			Order: []store.Order{store.Asc("slug_key")}, Limit: limit, After: after})
		return err
	})
	return page, err
}

// FindRole returns the role of the organization with that id or slug, or store.ErrNotFound. It
// checks nothing: it serves the service methods that already did.
func FindRole(ctx context.Context, tx *store.Tx, orgID, ref string) (Role, error) {
	if strings.HasPrefix(ref, roles.Kind().Prefix+"_") {
		if r, err := roles.Get(ctx, tx, ref); err == nil && r.OrgID == orgID {
			return r, nil
		}
	}
	return roles.Find(ctx, tx, store.Eq("org_id", orgID), store.Eq("slug_key", store.SlugKey(ref)))
}

// RoleSlug returns the slug of a role id, "" when there is none.
func RoleSlug(ctx context.Context, tx *store.Tx, roleID string) (string, error) {
	if roleID == "" {
		return "", nil
	}
	r, err := roles.Get(ctx, tx, roleID)
	return r.Slug, err
}
