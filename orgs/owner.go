package orgs

import (
	"context"
	"errors"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// keepOwner is called before the assignment stops being what it is. The organization is locked by
// the change, so that of two owners who go at once one stays. Where the last one may go all the same it
// answers what the event has to say of it.
func (m *Manager) keepOwner(ctx context.Context, tx *store.Tx, a rbac.Assignment, ownerless bool) (data any, err error) {
	if a.TeamID != "" {
		return nil, nil
	}
	owner, err := rbac.FindRole(ctx, tx, a.OrgID, rbac.OwnerRole)
	if err != nil || a.RoleID != owner.ID || a.State != rbac.Active {
		return nil, err
	}
	for other, err := range rbac.Assignments.All(ctx, tx, store.Query{Where: []store.Cond{
		store.Eq("org_id", a.OrgID), store.Eq("role_id", owner.ID)}}) {
		if err != nil {
			return nil, err
		}
		if other.TeamID == "" && other.State == rbac.Active && other.ID != a.ID {
			u, err := users.Get(ctx, tx, other.Subject)
			if err != nil {
				return nil, err
			}
			if u.State == rbac.Active && u.EmailVerified {
				return nil, nil
			}
		}
	}
	if ownerless {
		return map[string]bool{"last_owner": true}, nil
	}
	return nil, &store.ConflictError{Code: "last_owner", Message: "the organization would be left without an owner"}
}

// Transfer is the input of [Manager.TransferOwnership].
type Transfer struct {
	To     string // id or e-mail address of a member of the organization
	Leave  bool   // the giver leaves the organization; otherwise they stay as a plain member
	Reason string
}

// TransferOwnership gives what an owner holds to another member, in one unit: the organization has an owner
// at every moment. Only an owner can; the platform gives without losing anything.
func (m *Manager) TransferOwnership(ctx context.Context, ref string, in Transfer) (ms Membership, err error) {
	at, err := m.OrgPlace(ctx, ref)
	if err != nil {
		return ms, err
	}
	op := rbac.Op{Action: "organizations.transfer", OrgID: at.OrgID, Self: true}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if err := rbac.CheckText("reason", in.Reason, 0, rbac.MaxDescription); err != nil {
			return audit.Change{}, err
		}
		if in.To == "" {
			return audit.Change{}, store.Invalid("to", "required", "is required")
		}
		owner, err := rbac.FindRole(ctx, tx, at.OrgID, rbac.OwnerRole)
		if err != nil {
			return audit.Change{}, err
		}
		giver, err := givingOwner(ctx, tx, at, owner)
		if err != nil {
			return audit.Change{}, err
		}
		a, u, err := findMember(ctx, tx, at, in.To)
		if err != nil {
			return audit.Change{}, err
		}
		switch {
		case a.ID == giver.ID:
			return audit.Change{}, store.Invalid("to", "state", "must be somebody else")
		case a.State != rbac.Active || u.State != rbac.Active || !u.EmailVerified:
			return audit.Change{}, store.Invalid("to", "state", "must be an active member with a verified e-mail address")
		}
		a.RoleID, a.Add, a.Remove = owner.ID, nil, nil
		if err := rbac.Assignments.Update(ctx, tx, &a); err != nil {
			return audit.Change{}, err
		}
		if err := m.stepDown(ctx, tx, at, giver, in.Leave); err != nil {
			return audit.Change{}, err
		}
		o, err := organizations.Get(ctx, tx, at.OrgID)
		if err != nil {
			return audit.Change{}, err
		}
		ms, err = m.membership(ctx, tx, a)
		return audit.Change{Type: "organization.transferred", Resource: o.AuditResource(), Reason: in.Reason,
			Before: ownerRecord{o.Version, giver.Subject}, After: ownerRecord{o.Version, a.Subject},
			Data: map[string]bool{"left": in.Leave && giver.ID != ""}}, err
	})
	return ms, err
}

// ownerRecord is what the log keeps of who owns an organization.
type ownerRecord struct {
	version int64
	Owner   string `json:"owner"`
}

// RecordVersion is that of the organization.
func (r ownerRecord) RecordVersion() int64 { return r.version }

// givingOwner is the actor's own ownership; zero for the platform.
func givingOwner(ctx context.Context, tx *store.Tx, at Place, owner rbac.Role) (rbac.Assignment, error) {
	by := actor(ctx)
	if by.Sovereign() {
		return rbac.Assignment{}, nil
	}
	refused := &rbac.Denied{Code: "permission_denied", Action: "organizations.transfer", Resource: "organization:" + at.OrgID,
		Decision: rbac.Decision{Remedy: []string{"let an owner of the organization do it"}}}
	if by.Type != audit.User {
		return rbac.Assignment{}, refused
	}
	a, _, err := findMember(ctx, tx, at, by.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && (a.RoleID != owner.ID || a.State != rbac.Active) {
		return a, refused
	}
	return a, err
}

func (m *Manager) stepDown(ctx context.Context, tx *store.Tx, at Place, giver rbac.Assignment, leave bool) error {
	if giver.ID == "" {
		return nil
	}
	if leave {
		_, _, err := m.removeMember(ctx, tx, at, giver, MemberRemoval{})
		return err
	}
	plain, err := rbac.FindRole(ctx, tx, at.OrgID, rbac.MemberRole)
	if err != nil {
		return err
	}
	giver.RoleID = plain.ID
	return rbac.Assignments.Update(ctx, tx, &giver)
}
