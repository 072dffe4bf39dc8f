package orgs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Grants are a member's own, beside those of the role.
type Grants struct {
	Add    []string `json:"add"`
	Remove []string `json:"remove"`
}

func (g Grants) validate(field string) error {
	if err := rbac.CheckPermissions(field+".add", g.Add); err != nil {
		return err
	}
	return rbac.CheckPermissions(field+".remove", g.Remove)
}

// Membership is a user in an organization, team or project, as it is read.
type Membership struct {
	ID          string
	Place       Place
	User        User
	Role        string   // slug; of several the highest, see [rbac.Guard.Ranked]
	Roles       []string // slugs, the highest first: one, and those that the identity provider gives beside it
	Permissions Grants
	Effective   []string // what the member may do there, policies and settings aside
	State       rbac.State
	Source      string
	ExternalID  *string // at the identity provider of the organization, as far as it knows them; where members are read
	JoinedAt    time.Time
	UpdatedAt   time.Time
	Version     int64
}

func (m *Manager) membership(ctx context.Context, tx *store.Tx, a rbac.Assignment) (Membership, error) {
	u, err := users.Get(ctx, tx, a.Subject)
	if err != nil {
		return Membership{}, err
	}
	roles, err := m.roleSlugs(ctx, tx, a)
	if err != nil {
		return Membership{}, err
	}
	effective, err := m.Holds(ctx, tx, a.OrgID, a.TeamID, a.Subject)
	return Membership{ID: a.ID, Place: Place{a.OrgID, a.TeamID}, User: u, Role: roles[0], Roles: roles, Permissions: Grants{a.Add, a.Remove},
		Effective: effective, State: a.State, Source: a.Source, JoinedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt, Version: a.Version}, err
}

// roleSlugs are the slugs of all roles of a member there, the highest first.
func (m *Manager) roleSlugs(ctx context.Context, tx *store.Tx, a rbac.Assignment) ([]string, error) {
	if len(a.Given) == 0 {
		slug, err := rbac.RoleSlug(ctx, tx, a.RoleID)
		return []string{slug}, err
	}
	ranked, err := m.Ranked(ctx, tx, append([]string{a.RoleID}, a.Given...)...)
	if err != nil {
		return nil, err
	}
	var slugs []string
	for _, r := range ranked {
		slugs = append(slugs, r.Slug)
	}
	return slugs, nil
}

// findMember returns the assignment of a user (id, e-mail address or "me") at the place.
func findMember(ctx context.Context, tx *store.Tx, at Place, user string) (rbac.Assignment, User, error) {
	u, err := findUser(ctx, tx, user)
	if err != nil {
		return rbac.Assignment{}, u, err
	}
	a, err := rbac.Assignments.Find(ctx, tx, store.Eq("subject", u.ID), store.Eq("org_id", at.OrgID), store.Eq("team_id", at.TeamID))
	return a, u, err
}

// Member returns one member. It needs members.read there; everybody may read themselves.
func (m *Manager) Member(ctx context.Context, at Place, user string) (ms Membership, err error) {
	by := actor(ctx)
	self := user == "me" || user == by.Person() && user != ""
	op := rbac.Op{Action: "members.read", OrgID: at.OrgID, TeamID: at.TeamID, Self: self}
	err = m.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		a, _, err := findMember(ctx, tx, at, user)
		if err != nil {
			return err
		}
		one := make([]Membership, 1)
		if one[0], err = m.membership(ctx, tx, a); err != nil {
			return err
		}
		err = addExternalIDs(ctx, tx, at.OrgID, one)
		ms = one[0]
		return err
	})
	return ms, err
}

// MemberFilter says which members to list; what is empty does not matter.
type MemberFilter struct {
	Role       string // slug or id
	Status     rbac.State
	ExternalID string // what the identity provider of the organization calls them
	Limit      int
	After      string
}

// Members lists the members of an organization, team or project, in the order in which they joined: all,
// or, for members.read:own, the caller alone.
func (m *Manager) Members(ctx context.Context, at Place, f MemberFilter) (page store.Page[Membership], err error) {
	if err := oneOf("status", string(f.Status), "", string(rbac.Active), string(rbac.Suspended)); err != nil {
		return page, err
	}
	op := rbac.Op{Action: "members.read", OrgID: at.OrgID, TeamID: at.TeamID}
	err = m.Visible(ctx, op, func(ctx context.Context, tx *store.Tx, all bool) error {
		page = store.Page[Membership]{}
		q := store.Query{
			Where: []store.Cond{store.Eq("org_id", at.OrgID), store.Eq("team_id", at.TeamID), store.Eq("kind", rbac.Member)},
			Order: []store.Order{store.Asc("created_at")}, Limit: f.Limit, After: f.After}
		if !all {
			if err := mustBeIn(ctx, tx, at); err != nil {
				return err
			}
			q.Where = append(q.Where, store.Eq("subject", actor(ctx).Person()))
		}
		if f.Role != "" {
			role, err := rbac.FindRole(ctx, tx, at.OrgID, f.Role)
			if errors.Is(err, store.ErrNotFound) {
				return store.Invalid("role", "unknown", "is no role of the organization")
			} else if err != nil {
				return err
			}
			q.Where = append(q.Where, store.Eq("role_id", role.ID))
		}
		subject := ""
		if f.ExternalID != "" {
			u, err := provisionedUsers.Find(ctx, tx, store.Eq("org_id", at.OrgID), store.Eq("external_id", f.ExternalID))
			if errors.Is(err, store.ErrNotFound) {
				return nil
			} else if err != nil {
				return err
			}
			if subject = u.UserID; all {
				q.Where = append(q.Where, store.Eq("subject", subject))
			}
		}
		rows, err := rbac.Assignments.Filter(ctx, tx, q, func(a *rbac.Assignment) bool {
			return (f.Status == "" || a.State == f.Status) && (subject == "" || a.Subject == subject)
		})
		if err != nil {
			return err
		}
		page = store.Page[Membership]{Next: rows.Next}
		for _, a := range rows.Items {
			ms, err := m.membership(ctx, tx, a)
			if err != nil {
				return err
			}
			page.Items = append(page.Items, ms)
		}
		return addExternalIDs(ctx, tx, at.OrgID, page.Items)
	})
	return page, err
}

// MemberUpdate changes a member; nil leaves as it is. Empty Grants take all custom grants away.
type MemberUpdate struct {
	Role        *string // slug or id
	Permissions *Grants
	Reason      string
	// AllowOwnerless lets the last owner go, and the event says so: for systems whose contract has no such
	// lock (LD-36).
	AllowOwnerless bool
}

// UpdateMember changes the role or the custom grants of a member. Nobody gives what they do not
// hold, nobody changes what is above them, and the last owner stays one.
func (m *Manager) UpdateMember(ctx context.Context, at Place, user string, in MemberUpdate) (ms Membership, err error) {
	op := rbac.Op{Action: "members.update", OrgID: at.OrgID, TeamID: at.TeamID}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if err := rbac.CheckText("reason", in.Reason, 0, rbac.MaxDescription); err != nil {
			return audit.Change{}, err
		}
		a, _, err := findMember(ctx, tx, at, user)
		if err != nil {
			return audit.Change{}, err
		}
		before, err := m.membership(ctx, tx, a)
		if err != nil {
			return audit.Change{}, err
		}
		ownerless, err := m.updateAssignment(ctx, tx, at, &a, in)
		if err != nil {
			return audit.Change{}, err
		}
		if ms, err = m.membership(ctx, tx, a); err != nil {
			return audit.Change{}, err
		}
		change := audit.Updated(memberEvent(before), memberEvent(ms)).As("member.role_changed").In(at.TeamID).Because(in.Reason)
		change.Data = ownerless
		return change, nil
	})
	return ms, err
}

func (m *Manager) updateAssignment(ctx context.Context, tx *store.Tx, at Place, a *rbac.Assignment, in MemberUpdate) (data any, err error) {
	// Who could not have given the present role cannot take it away either.
	if err := m.ceilingOfMember(ctx, tx, at, *a); err != nil {
		return nil, err
	}
	if in.Role != nil {
		role, err := m.assignableRole(ctx, tx, at, *in.Role)
		if err != nil {
			return nil, err
		}
		if role.ID != a.RoleID {
			if data, err = m.keepOwner(ctx, tx, *a, in.AllowOwnerless); err != nil {
				return nil, err
			}
		}
		a.RoleID = role.ID
	}
	if in.Permissions != nil {
		if err := in.Permissions.validate("permissions"); err != nil {
			return nil, err
		}
		if err := m.Ceiling(ctx, tx, at.handout("permissions.add", in.Permissions.Add...)); err != nil {
			return nil, err
		}
		if err := m.Ceiling(ctx, tx, at.handout("permissions.remove", slices.Concat(a.Remove, in.Permissions.Remove)...)); err != nil {
			return nil, err
		}
		a.Add, a.Remove = in.Permissions.Add, in.Permissions.Remove
	}
	return data, rbac.Assignments.Update(ctx, tx, a)
}

// assignableRole returns a role that the actor may hand out at the place. A slug that names no role
// is a wrong field, as the caller wrote it.
func (m *Manager) assignableRole(ctx context.Context, tx *store.Tx, at Place, ref string) (rbac.Role, error) {
	role, err := rbac.FindRole(ctx, tx, at.OrgID, ref)
	if errors.Is(err, store.ErrNotFound) {
		return role, store.Invalid("role", "unknown", "is no role of the organization")
	} else if err != nil {
		return role, err
	}
	return role, m.Ceiling(ctx, tx, at.roleHandout("role", role))
}

func (m *Manager) ceilingOfMember(ctx context.Context, tx *store.Tx, at Place, a rbac.Assignment) error {
	role, err := rbac.FindRole(ctx, tx, at.OrgID, a.RoleID)
	if err != nil {
		return err
	}
	return m.Ceiling(ctx, tx, at.roleHandout("", role, a.Add...))
}

// memberEvent is what the log keeps of a membership.
type memberRecord struct {
	id          string
	version     int64
	UserID      string   `json:"user_id"`
	Email       string   `json:"email"`
	Role        string   `json:"role"`
	Permissions Grants   `json:"permissions"`
	Effective   []string `json:"effective_permissions"`
}

func memberEvent(ms Membership) memberRecord {
	return memberRecord{ms.User.ID, ms.Version, ms.User.ID, ms.User.Email, ms.Role, ms.Permissions, ms.Effective}
}

// AuditResource is how the log names the member: by the user.
func (r memberRecord) AuditResource() audit.Resource { return audit.Resource{Type: "user", ID: r.id} }

// RecordVersion is that of the membership.
func (r memberRecord) RecordVersion() int64 { return r.version }

// NewMember is the input of [Manager.AddMember].
type NewMember struct {
	User        string // id or e-mail address
	Role        string // slug or id
	Permissions Grants
	// New, at the level of organizations, is who is made where there is no such user: by its address, if it has one,
	// they are looked for first.
	New *NewUser
	// OnlyNew makes New in any case: it is a conflict where there is somebody of that id or address.
	OnlyNew bool
	// NewBudget is what New may spend over all organizations, where they are made: whose it is need not be said. Nil: as much
	// as everybody.
	NewBudget *billing.Budget
}

// AddMember makes a member of the organization a member of one of its teams or projects, without an
// invitation. Into the organization itself only the platform adds people, unless Options.Enlisting: anybody else has to ask
// them.
func (m *Manager) AddMember(ctx context.Context, at Place, in NewMember) (ms Membership, err error) {
	op := rbac.Op{Action: "members.invite", OrgID: at.OrgID, TeamID: at.TeamID, Platform: at.TeamID == "" && !m.opt.Enlisting}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if in.Role == "" {
			return audit.Change{}, store.Invalid("role", "required", "is required")
		}
		if err := in.Permissions.validate("permissions"); err != nil {
			return audit.Change{}, err
		}
		role, err := m.assignableRole(ctx, tx, at, in.Role)
		if err != nil {
			return audit.Change{}, err
		}
		if err := m.Ceiling(ctx, tx, at.handout("permissions.add", in.Permissions.Add...)); err != nil {
			return audit.Change{}, err
		}
		if err := m.Ceiling(ctx, tx, at.handout("permissions.remove", in.Permissions.Remove...)); err != nil {
			return audit.Change{}, err
		}
		u, err := m.newcomer(ctx, tx, at, in)
		if err != nil {
			return audit.Change{}, err
		}
		if at.TeamID != "" {
			if a, _, err := findMember(ctx, tx, Place{OrgID: at.OrgID}, u.ID); err != nil {
				return audit.Change{}, err
			} else if a.State != rbac.Active {
				return audit.Change{}, store.Invalid("user_id", "state", "must be an active member of the organization")
			}
		}
		a := rbac.Assignment{OrgID: at.OrgID, TeamID: at.TeamID, Subject: u.ID, RoleID: role.ID, Source: "manual",
			Add: in.Permissions.Add, Remove: in.Permissions.Remove}
		if a, err = admit(ctx, tx, a); err != nil {
			return audit.Change{}, err
		}
		ms, err = m.membership(ctx, tx, a)
		return audit.Created(memberEvent(ms)).As("member.joined").In(at.TeamID), err
	})
	return ms, err
}

// newcomer is the user whom a new member is, and may be made for it: that has an event of its own.
func (m *Manager) newcomer(ctx context.Context, tx *store.Tx, at Place, in NewMember) (u User, err error) {
	if in.New == nil || in.User != "" && !in.OnlyNew {
		if u, err = findUser(ctx, tx, in.User); !errors.Is(err, store.ErrNotFound) || in.New == nil || at.TeamID != "" {
			return u, err
		}
	}
	if in.New.Email != "" && !in.OnlyNew {
		if u, err = findUser(ctx, tx, strings.TrimSpace(in.New.Email)); !errors.Is(err, store.ErrNotFound) {
			return u, err
		}
	}
	err = m.Change(ctx, rbac.Op{Action: "users.create", Open: true}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		one := *in.New
		one.EmailVerified = one.EmailVerified && actor(ctx).Sovereign() // nobody else vouches for an address
		u, err = makeUser(ctx, tx, one)
		return audit.Created(&u), err
	})
	if err != nil || in.NewBudget == nil {
		return u, err
	}
	b := *in.NewBudget
	b.OrgID, b.Scope, b.ScopeID, b.TeamID = "", billing.ScopeUser, u.ID, ""
	limits := audit.System("limits of a new user")
	limits.OnBehalfOf = actor(ctx).Person()
	_, err = m.SetBudget(audit.WithActor(ctx, limits.From(ctx)), b) // of all organizations, which is the platform's to set
	return u, err
}

// AddMembers adds members, each by itself, or, with atomic, all or none.
func (m *Manager) AddMembers(ctx context.Context, at Place, in []NewMember, atomic bool) ([]Row[Membership], error) {
	return eachRow(ctx, m, in, atomic, func(ctx context.Context, in NewMember) (Membership, error) { return m.AddMember(ctx, at, in) })
}
