package orgs

import (
	"context"
	"errors"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// AnswerInvitation accepts or declines. The caller is a user with the verified address of the
// invitation; what the inviter may hand out, and the role, are looked at again. Of any number of
// simultaneous answers one counts. The membership is nil after a refusal.
func (m *Manager) AnswerInvitation(ctx context.Context, token string, accept bool) (inv Invitation, ms *Membership, err error) {
	if _, ok := audit.ActorFrom(ctx); !ok {
		return inv, nil, rbac.ErrNoActor
	}
	if token == "" {
		return inv, nil, store.Invalid("token", "required", "is required")
	}
	// The organization, which the change locks, is known only from the invitation.
	err = m.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		inv, err = invitations.Find(ctx, tx, store.Eq("hash", hashSecret(token)))
		return err
	})
	if err != nil {
		return Invitation{}, nil, err
	}
	op := rbac.Op{Action: "invitations.accept", OrgID: inv.OrgID, TeamID: inv.TeamID, Resource: "invitation:" + inv.ID, Open: true}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if inv, err = invitations.Lock(ctx, tx, inv.ID); err != nil {
			return audit.Change{}, err
		}
		if inv.Hash != hashSecret(token) {
			return audit.Change{}, store.ErrNotFound
		}
		u, err := m.invitee(ctx, tx, inv)
		if err != nil {
			return audit.Change{}, err
		}
		before := inv
		inv.Pending, inv.Status = nil, InvitationDeclined
		if !accept {
			return audit.Updated(before, &inv).As("member.declined").In(inv.TeamID), invitations.Update(ctx, tx, &inv)
		}
		inv.Status = InvitationAccepted
		if err := m.join(ctx, tx, inv, u); err != nil {
			return audit.Change{}, err
		}
		joined, _, err := findMember(ctx, tx, Place{inv.OrgID, inv.TeamID}, u.ID)
		if err != nil {
			return audit.Change{}, err
		}
		fresh, err := m.membership(ctx, tx, joined)
		if err != nil {
			return audit.Change{}, err
		}
		ms = &fresh
		return audit.Created(memberEvent(fresh)).As("member.joined").In(inv.TeamID), invitations.Update(ctx, tx, &inv)
	})
	if err != nil {
		return Invitation{}, nil, err
	}
	return inv, ms, nil
}

// invitee returns the acting user if the invitation can be answered by them now.
func (m *Manager) invitee(ctx context.Context, tx *store.Tx, inv Invitation) (User, error) {
	mismatch := &rbac.Denied{Code: "invitation_email_mismatch", Action: "invitations.accept", Resource: "invitation:" + inv.ID, TeamID: inv.TeamID,
		Decision: rbac.Decision{Remedy: []string{"sign in as the user whose verified e-mail address was invited"}}}
	by := actor(ctx)
	if by.Type != audit.User {
		return User{}, mismatch
	}
	u, err := users.Get(ctx, tx, by.ID)
	if err != nil {
		return u, err
	}
	if !u.EmailVerified || u.EmailKey != inv.EmailKey {
		return u, mismatch
	}
	switch inv.StatusAt(tx.Now()) {
	case InvitationPending:
		return u, nil
	case InvitationExpired:
		return u, &store.ConflictError{Code: "invitation_expired", Message: "the invitation has expired"}
	case InvitationRevoked:
		return u, &store.ConflictError{Code: "invitation_revoked", Message: "the invitation was revoked"}
	}
	return u, &store.ConflictError{Code: "invitation_used", Message: "the invitation was answered before"}
}

// join makes the user a member: of the team with the role of the invitation, and of the
// organization with the plain member role if they are not in it yet (F465).
func (m *Manager) join(ctx context.Context, tx *store.Tx, inv Invitation, u User) error {
	gone := &store.ConflictError{Code: "conflict", Message: "the inviter may not hand out this role any more, or it is gone"}
	role, err := rbac.FindRole(ctx, tx, inv.OrgID, inv.RoleID)
	if errors.Is(err, store.ErrNotFound) {
		return gone
	} else if err != nil {
		return err
	}
	if inv.InvitedByType == audit.User {
		inviter, err := users.Get(ctx, tx, inv.InvitedBy)
		if errors.Is(err, store.ErrNotFound) || err == nil && inviter.State != rbac.Active {
			return gone
		} else if err != nil {
			return err
		}
	}
	if by := (audit.Actor{Type: inv.InvitedByType}); !by.Sovereign() {
		err = m.CeilingOf(ctx, tx, inv.InvitedBy, Place{inv.OrgID, inv.TeamID}.roleHandout("role", role, inv.Permissions.Add...))
		if errors.Is(err, rbac.ErrDenied) {
			return gone
		} else if err != nil {
			return err
		}
	}
	if inv.TeamID != "" {
		plain, err := rbac.FindRole(ctx, tx, inv.OrgID, rbac.MemberRole)
		if err != nil {
			return err
		}
		_, err = admit(ctx, tx, rbac.Assignment{OrgID: inv.OrgID, Subject: u.ID, RoleID: plain.ID, Source: "invitation"})
		if err != nil && !isCode(err, "already_member") {
			return err
		}
		if a, _, err := findMember(ctx, tx, Place{OrgID: inv.OrgID}, u.ID); err != nil {
			return err
		} else if a.State != rbac.Active {
			return &store.ConflictError{Code: "conflict", Message: "the membership of the organization is suspended"}
		}
	}
	_, err = admit(ctx, tx, rbac.Assignment{OrgID: inv.OrgID, TeamID: inv.TeamID, Subject: u.ID, RoleID: role.ID,
		Add: inv.Permissions.Add, Remove: inv.Permissions.Remove, Source: "invitation"})
	return err
}

// admit makes a member of the user, who is locked: somebody who is deleted at the same time becomes none.
func admit(ctx context.Context, tx *store.Tx, a rbac.Assignment) (rbac.Assignment, error) {
	if _, err := users.Lock(ctx, tx, a.Subject); err != nil {
		return a, err
	}
	a.Kind, a.State = rbac.Member, rbac.Active
	fresh, err := rbac.Assignments.InsertNew(ctx, tx, &a)
	if err == nil && !fresh {
		return a, &store.ConflictError{Code: "already_member", Message: "the user is a member here"}
	}
	return a, err
}

func isCode(err error, code string) bool {
	var c *store.ConflictError
	return errors.As(err, &c) && c.Code == code
}
