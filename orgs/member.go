package orgs

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/orgkit/orgkit/audit"
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

// Membership is a user in an organization or team, as it is read.
type Membership struct {
	ID          string
	Place       Place
	User        User
	Role        string // slug
	Permissions Grants
	Effective   []string // what the member may do there, policies and settings aside
	State       rbac.State
	Source      string
	JoinedAt    time.Time
	UpdatedAt   time.Time
	Version     int64
}

func (m *Manager) membership(ctx context.Context, tx *store.Tx, a rbac.Assignment) (Membership, error) {
	u, err := users.Get(ctx, tx, a.Subject)
	if err != nil {
		return Membership{}, err
	}
	role, err := rbac.RoleSlug(ctx, tx, a.RoleID)
	if err != nil {
		return Membership{}, err
	}
	effective, err := m.Holds(ctx, tx, a.OrgID, a.TeamID, a.Subject)
	return Membership{ID: a.ID, Place: Place{a.OrgID, a.TeamID}, User: u, Role: role, Permissions: Grants{a.Add, a.Remove},
		Effective: effective, State: a.State, Source: a.Source, JoinedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt, Version: a.Version}, err
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
		ms, err = m.membership(ctx, tx, a)
		return err
	})
	return ms, err
}

// Members lists the members of an organization or team, in the order in which they joined.
func (m *Manager) Members(ctx context.Context, at Place, limit int, after string) (page store.Page[Membership], err error) {
	op := rbac.Op{Action: "members.read", OrgID: at.OrgID, TeamID: at.TeamID}
	err = m.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		rows, err := rbac.Assignments.List(ctx, tx, store.Query{
			Where: []store.Cond{store.Eq("org_id", at.OrgID), store.Eq("team_id", at.TeamID), store.Eq("kind", rbac.Member)},
			Order: []store.Order{store.Asc("created_at")}, Limit: limit, After: after})
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
		return nil
	})
	return page, err
}

// MemberUpdate changes a member; nil leaves as it is. Empty Grants take all custom grants away.
type MemberUpdate struct {
	Role        *string // slug or id
	Permissions *Grants
	Reason      string
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
		if err := m.updateAssignment(ctx, tx, at, &a, in); err != nil {
			return audit.Change{}, err
		}
		if ms, err = m.membership(ctx, tx, a); err != nil {
			return audit.Change{}, err
		}
		return audit.Updated(memberEvent(before), memberEvent(ms)).As("member.role_changed").In(at.TeamID).Because(in.Reason), nil
	})
	return ms, err
}

func (m *Manager) updateAssignment(ctx context.Context, tx *store.Tx, at Place, a *rbac.Assignment, in MemberUpdate) error {
	// Who could not have given the present role cannot take it away either.
	if err := m.ceilingOfMember(ctx, tx, at, *a); err != nil {
		return err
	}
	if in.Role != nil {
		role, err := m.assignableRole(ctx, tx, at, *in.Role)
		if err != nil {
			return err
		}
		if role.ID != a.RoleID {
			if err := m.keepOwner(ctx, tx, *a); err != nil {
				return err
			}
		}
		a.RoleID = role.ID
	}
	if in.Permissions != nil {
		if err := in.Permissions.validate("permissions"); err != nil {
			return err
		}
		if err := m.Ceiling(ctx, tx, at.handout("permissions.add", in.Permissions.Add...)); err != nil {
			return err
		}
		a.Add, a.Remove = in.Permissions.Add, in.Permissions.Remove
	}
	return rbac.Assignments.Update(ctx, tx, a)
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

// keepOwner is called before the assignment stops being what it is. The organization is locked by
// the change, so that of two owners who go at once one stays.
func (m *Manager) keepOwner(ctx context.Context, tx *store.Tx, a rbac.Assignment) error {
	if a.TeamID != "" {
		return nil
	}
	owner, err := rbac.FindRole(ctx, tx, a.OrgID, rbac.OwnerRole)
	if err != nil || a.RoleID != owner.ID || a.State != rbac.Active {
		return err
	}
	for other, err := range rbac.Assignments.All(ctx, tx, store.Query{Where: []store.Cond{
		store.Eq("org_id", a.OrgID), store.Eq("team_id", ""), store.Eq("kind", rbac.Member)}}) {
		if err != nil {
			return err
		}
		if other.RoleID == owner.ID && other.State == rbac.Active && other.ID != a.ID {
			u, err := users.Get(ctx, tx, other.Subject)
			if err != nil {
				return err
			}
			if u.State == rbac.Active && u.EmailVerified {
				return nil
			}
		}
	}
	return &store.ConflictError{Code: "last_owner", Message: "the organization would be left without an owner"}
}

// memberEvent is what the log keeps of a membership.
type memberRecord struct {
	id          string
	UserID      string   `json:"user_id"`
	Email       string   `json:"email"`
	Role        string   `json:"role"`
	Permissions Grants   `json:"permissions"`
	Effective   []string `json:"effective_permissions"`
}

func memberEvent(ms Membership) memberRecord {
	return memberRecord{ms.User.ID, ms.User.ID, ms.User.Email, ms.Role, ms.Permissions, ms.Effective}
}

// AuditResource is how the log names the member: by the user.
func (r memberRecord) AuditResource() audit.Resource { return audit.Resource{Type: "user", ID: r.id} }

// MemberRemoval says how a member goes.
type MemberRemoval struct {
	// ReassignTo (id or e-mail address) takes over the member's keys; a member of the same place.
	// "": the keys are disabled.
	ReassignTo string
	// Later lets keys that are disabled work for up to 24 hours more.
	Later  bool
	Reason string
}

// Removed says what the removal of a member has done.
type Removed struct {
	Place        Place
	UserID       string
	Reassigned   int // keys
	Disabled     int // keys
	AccessEndsAt time.Time
}

// RemoveMember ends a membership, of a team or of the whole organization with all its teams. The
// member's keys there are disabled or handed over in the same unit. Everybody may leave; the last
// owner stays.
func (m *Manager) RemoveMember(ctx context.Context, at Place, user string, in MemberRemoval) (r Removed, err error) {
	by := actor(ctx)
	self := user == "me" || user == by.Person() && user != ""
	op := rbac.Op{Action: "members.remove", OrgID: at.OrgID, TeamID: at.TeamID, Self: self}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if err := rbac.CheckText("reason", in.Reason, 0, rbac.MaxDescription); err != nil {
			return audit.Change{}, err
		}
		a, u, err := findMember(ctx, tx, at, user)
		if err != nil {
			return audit.Change{}, err
		}
		before, err := m.membership(ctx, tx, a)
		if err != nil {
			return audit.Change{}, err
		}
		if !self {
			if err := m.ceilingOfMember(ctx, tx, at, a); err != nil {
				return audit.Change{}, err
			}
		}
		if err := m.keepOwner(ctx, tx, a); err != nil {
			return audit.Change{}, err
		}
		r = Removed{Place: at, UserID: u.ID, AccessEndsAt: tx.Now()}
		if in.Later {
			r.AccessEndsAt = tx.Now().Add(24 * time.Hour)
		}
		if err := m.endKeys(ctx, tx, at, u.ID, in, &r); err != nil {
			return audit.Change{}, err
		}
		if err := endAssignments(ctx, tx, at, u.ID); err != nil {
			return audit.Change{}, err
		}
		return audit.Deleted(memberEvent(before)).As("member.removed").In(at.TeamID).Because(in.Reason), nil
	})
	return r, err
}

func endAssignments(ctx context.Context, tx *store.Tx, at Place, user string) error {
	held, err := rbac.Held(ctx, tx, at.OrgID, user)
	if err != nil {
		return err
	}
	for _, a := range held {
		if at.TeamID == "" || a.TeamID == at.TeamID {
			if err := rbac.Assignments.Delete(ctx, tx, a.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// endKeys disables the keys that are bound to the user there, or hands them over.
func (m *Manager) endKeys(ctx context.Context, tx *store.Tx, at Place, user string, in MemberRemoval, r *Removed) error {
	var heir User
	if in.ReassignTo != "" {
		a, u, err := findMember(ctx, tx, at, in.ReassignTo)
		if errors.Is(err, store.ErrNotFound) || err == nil && (a.State != rbac.Active || u.ID == user) {
			return store.Invalid("reassign_resources_to", "unknown", "must be another member of the same place")
		} else if err != nil {
			return err
		}
		heir = u
	}
	where := []store.Cond{store.Eq("org_id", at.OrgID), store.Eq("user_id", user)}
	if at.TeamID != "" {
		where = append(where, store.Eq("team_id", at.TeamID))
	}
	var keys []APIKey
	for k, err := range apiKeys.All(ctx, tx, store.Query{Where: where}) {
		if err != nil {
			return err
		}
		keys = append(keys, k)
	}
	keys = slices.DeleteFunc(keys, func(k APIKey) bool { return k.StatusAt(tx.Now()) != KeyActive })
	for _, k := range keys {
		switch {
		case heir.ID != "":
			k.UserID = heir.ID
			r.Reassigned++
		case in.Later:
			if k.ExpiresAt == nil || k.ExpiresAt.After(r.AccessEndsAt) {
				k.ExpiresAt = &r.AccessEndsAt
			}
			r.Disabled++
		default:
			k.Disabled = true
			r.Disabled++
		}
		if err := k.save(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}
