package orgs

import (
	"context"
	"errors"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// MemberRemoval says how a member goes.
type MemberRemoval struct {
	// ReassignTo (id or e-mail address) takes over the member's keys; a member of the same place.
	// "": the keys are disabled.
	ReassignTo string
	// Later lets keys that are disabled, and sessions, work for up to 24 hours more.
	Later bool
	// KeepKeys lets the member's keys call models on, and those that they have made in the organization: as keys of nobody
	// that do no more of it than they could, and nothing else. What rested on the rights of the member rests on those of
	// whoever removes them, so the keys of people who leave by themselves end all the same. ReassignTo goes before it.
	KeepKeys bool
	Reason   string
	// AllowOwnerless is as in MemberUpdate.
	AllowOwnerless bool
}

// Removed says what the removal of a member has done.
type Removed struct {
	Place        Place
	UserID       string
	Reassigned   int // keys
	Disabled     int // keys
	Kept         int // keys
	Sessions     int // that have ended, or, later, will
	AccessEndsAt time.Time
}

// RemoveMember ends a membership, of a team or project, or of the whole organization with all its teams and
// projects. The member's keys there are disabled or handed over in the same unit, and with the membership of an
// organization all sessions of the person end. Everybody may leave; the last owner stays.
func (m *Manager) RemoveMember(ctx context.Context, at Place, user string, in MemberRemoval) (r Removed, err error) {
	by := actor(ctx)
	self := by.Type == audit.User && (user == "me" || user == by.ID)
	op := rbac.Op{Action: "members.remove", OrgID: at.OrgID, TeamID: at.TeamID, Self: self}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if err := rbac.CheckText("reason", in.Reason, 0, rbac.MaxDescription); err != nil {
			return audit.Change{}, err
		}
		a, _, err := findMember(ctx, tx, at, user)
		if err != nil {
			return audit.Change{}, err
		}
		if err := m.managedMember(ctx, tx, a); err != nil {
			return audit.Change{}, err
		}
		if !self {
			if err := m.ceilingOfMember(ctx, tx, at, a); err != nil {
				return audit.Change{}, err
			}
		}
		var change audit.Change
		r, change, err = m.removeMember(ctx, tx, at, a, in)
		return change, err
	})
	return r, err
}

// removeMember ends a membership for whoever has asked already.
func (m *Manager) removeMember(ctx context.Context, tx *store.Tx, at Place, a rbac.Assignment, in MemberRemoval) (r Removed, c audit.Change, err error) {
	before, err := m.membership(ctx, tx, a)
	if err != nil {
		return r, c, err
	}
	c = audit.Deleted(memberEvent(before)).As("member.removed").In(at.TeamID).Because(in.Reason)
	r, c.Data, err = m.endMembership(ctx, tx, at, a, in)
	return r, c, err
}

// endMembership is removeMember without the event. ownerless is what that has to say where the last owner goes.
func (m *Manager) endMembership(ctx context.Context, tx *store.Tx, at Place, a rbac.Assignment, in MemberRemoval) (r Removed, ownerless any, err error) {
	if ownerless, err = m.keepOwner(ctx, tx, a, in.AllowOwnerless); err != nil {
		return r, nil, err
	}
	r = Removed{Place: at, UserID: a.Subject, AccessEndsAt: tx.Now()}
	if in.Later {
		r.AccessEndsAt = tx.Now().Add(24 * time.Hour)
	}
	if err := m.endKeys(ctx, tx, at, a.Subject, in, &r); err != nil {
		return r, nil, err
	}
	if at.TeamID == "" {
		if in.Later {
			r.Sessions, err = limitSessions(ctx, tx, a.Subject, r.AccessEndsAt)
		} else {
			r.Sessions, err = EndAllSessions(ctx, tx, a.Subject, "", "membership_ended")
		}
		if err != nil {
			return r, nil, err
		}
	}
	if err := m.EndApprovals(ctx, tx, at.OrgID, at.TeamID, a.Subject, "the membership has ended"); err != nil {
		return r, nil, err
	}
	return r, ownerless, endAssignments(ctx, tx, at, a.Subject)
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

// endKeys disables the keys that are bound to the user there, hands them over, or keeps them.
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
	keeps := in.KeepKeys && heir.ID == "" && actor(ctx).Person() != user
	where := []store.Cond{store.Eq("org_id", at.OrgID), store.Eq("user_id", user)}
	if keeps && at.TeamID == "" { // those that they have made, too
		where = where[:1]
	}
	var keys []APIKey
	for k, err := range apiKeys.All(ctx, tx, store.Query{Where: where}) {
		if err != nil {
			return err
		}
		if k.UserID != user && k.CreatedBy != user || k.StatusAt(tx.Now()) != KeyActive {
			continue
		}
		if at.TeamID == "" || k.TeamID == at.TeamID || k.ProjectID == at.TeamID {
			keys = append(keys, k)
		}
	}
	for _, k := range keys {
		kept := false
		if keeps {
			var err error
			if kept, err = m.keepKey(ctx, tx, k, user); err != nil {
				return err
			}
		}
		switch {
		case kept:
			r.Kept++
			continue
		case k.UserID != user: // somebody else's, which rests on nobody's rights from now on
			continue
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

// calling are the permissions of a key that calls models and does nothing else.
var calling = []string{"models.use", "models.read", "api_keys.use"}

// keepKey has a key call models without the user, as far as it could with them. It is false where it could not.
func (m *Manager) keepKey(ctx context.Context, tx *store.Tx, k APIKey, user string) (bool, error) {
	var could []string
	for _, p := range calling {
		err := m.CeilingOf(ctx, tx, k.ID, Place{k.OrgID, k.Context()}.handout("", p))
		switch {
		case err == nil:
			could = append(could, p)
		case !errors.Is(err, rbac.ErrDenied):
			return false, err
		}
	}
	if len(could) == 0 && !k.InheritTeam {
		return false, nil
	}
	k.Permissions = could
	if k.UserID == user {
		k.UserID = ""
	}
	if k.CreatedBy == user || k.CreatedBy == "" && k.UserID == "" {
		var err error
		if k.CreatedBy, err = makerOf(ctx, tx, k.OrgID); err != nil {
			return false, err
		}
	}
	return true, k.save(ctx, tx)
}
