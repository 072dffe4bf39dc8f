package orgs

import (
	"context"
	"errors"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// InvitationStatus is where an invitation stands.
type InvitationStatus string

// The statuses.
const (
	InvitationPending  InvitationStatus = "pending"
	InvitationAccepted InvitationStatus = "accepted"
	InvitationDeclined InvitationStatus = "declined"
	InvitationExpired  InvitationStatus = "expired"
)

// Invitation offers a person a role in a team, or in the organization. Its token is known to the
// invitee alone: only a hash is kept. It works once, until it expires, and for a user with the
// verified address of the invitation.
type Invitation struct {
	store.Meta
	OrgID         string           `json:"organization_id"`
	TeamID        string           `json:"team_id"`
	Email         string           `json:"email"`
	EmailKey      string           `json:"-"`
	RoleID        string           `json:"role_id"`
	Role          string           `json:"role"` // slug
	Message       string           `json:"message"`
	Permissions   Grants           `json:"permissions"`
	Status        InvitationStatus `json:"status"` // as stored; see StatusAt
	ExpiresAt     time.Time        `json:"expires_at"`
	InvitedBy     string           `json:"invited_by"`
	InvitedByType audit.ActorType  `json:"invited_by_type"`
	EmailSent     bool             `json:"email_sent"`
	Hash          string           `json:"-"`
	// Pending is the address while the invitation is pending and null afterwards, so that a unique
	// set allows one pending invitation per place and address.
	Pending *string `json:"-"`
}

var invitations = store.Define[Invitation]("invitations", "inv",
	store.Unique("hash"), store.Unique("org_id", "team_id", "pending"), store.Index("org_id", "team_id", "created_at"))

// AuditResource is how the log names the invitation.
func (i Invitation) AuditResource() audit.Resource {
	return audit.Resource{Type: "invitation", ID: i.ID}
}

// StatusAt is the status at that time: a pending invitation whose time is over has expired.
func (i Invitation) StatusAt(now time.Time) InvitationStatus {
	if i.Status == InvitationPending && !now.Before(i.ExpiresAt) {
		return InvitationExpired
	}
	return i.Status
}

const invitationPrefix = "ok_inv_"

// NewInvitation is the input of [Manager.Invite].
type NewInvitation struct {
	Email         string
	Role          string // slug or id
	Message       string
	Permissions   Grants
	ExpiresInDays int // 1 to 90; 0 is 7
	SendEmail     bool
}

// Invite makes an invitation. With SendEmail and a host that mails, the token is in the mail only
// and the second result is empty; else it is returned here, once (F466).
func (m *Manager) Invite(ctx context.Context, at Place, in NewInvitation) (inv Invitation, token string, err error) {
	op := rbac.Op{Action: "members.invite", OrgID: at.OrgID, TeamID: at.TeamID}
	mailed := in.SendEmail && m.opt.Mail != nil
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		email, err := in.validate()
		if err != nil {
			return audit.Change{}, err
		}
		role, err := m.assignableRole(ctx, tx, at, in.Role)
		if err != nil {
			return audit.Change{}, err
		}
		if err := m.Ceiling(ctx, tx, at.handout("permissions.add", in.Permissions.Add...)); err != nil {
			return audit.Change{}, err
		}
		if err := m.notYetInvited(ctx, tx, at, email); err != nil {
			return audit.Change{}, err
		}
		by, key := actor(ctx), emailKey(email)
		token = newSecret(invitationPrefix)
		inv = Invitation{OrgID: at.OrgID, TeamID: at.TeamID, Email: email, EmailKey: key, Pending: &key,
			RoleID: role.ID, Role: role.Slug, Message: in.Message, Permissions: in.Permissions, Status: InvitationPending,
			ExpiresAt: tx.Now().AddDate(0, 0, in.days()), InvitedBy: by.ID, InvitedByType: by.Type, EmailSent: mailed, Hash: hashSecret(token)}
		return audit.Created(&inv).As("member.invited").In(at.TeamID), invitations.Insert(ctx, tx, &inv)
	})
	if err != nil || !mailed {
		return inv, token, err
	}
	return inv, "", m.opt.Mail(ctx, inv, token)
}

func (in NewInvitation) days() int {
	if in.ExpiresInDays == 0 {
		return 7
	}
	return in.ExpiresInDays
}

func (in NewInvitation) validate() (email string, err error) {
	if email, err = checkEmail("email", in.Email); err != nil {
		return "", err
	}
	if in.Role == "" {
		return "", store.Invalid("role", "required", "is required")
	}
	if err := rbac.CheckText("message", in.Message, 0, rbac.MaxDescription); err != nil {
		return "", err
	}
	if d := in.days(); d < 1 || d > 90 {
		return "", store.Invalid("expires_in_days", "range", "must be from 1 to 90")
	}
	return email, in.Permissions.validate("permissions")
}

// notYetInvited refuses a second pending invitation of the same address to the same place, and one
// for a member. One whose time is over makes room.
func (m *Manager) notYetInvited(ctx context.Context, tx *store.Tx, at Place, email string) error {
	old, err := invitations.Find(ctx, tx, store.Eq("org_id", at.OrgID), store.Eq("team_id", at.TeamID), store.Eq("pending", emailKey(email)))
	switch {
	case err == nil && old.StatusAt(tx.Now()) == InvitationPending:
		return &store.ConflictError{Code: "invitation_pending", Message: "this address has a pending invitation here", ID: old.ID}
	case err == nil:
		old.Status, old.Pending = InvitationExpired, nil
		if err := invitations.Update(ctx, tx, &old); err != nil {
			return err
		}
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	_, _, err = findMember(ctx, tx, at, email)
	if err == nil {
		return &store.ConflictError{Code: "already_member", Message: "the user with this address is a member here"}
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

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
		if err := admit(ctx, tx, rbac.Assignment{OrgID: inv.OrgID, Subject: u.ID, RoleID: plain.ID}); err != nil && !isCode(err, "already_member") {
			return err
		}
	}
	return admit(ctx, tx, rbac.Assignment{OrgID: inv.OrgID, TeamID: inv.TeamID, Subject: u.ID, RoleID: role.ID,
		Add: inv.Permissions.Add, Remove: inv.Permissions.Remove})
}

func admit(ctx context.Context, tx *store.Tx, a rbac.Assignment) error {
	a.Kind, a.State, a.Source = rbac.Member, rbac.Active, "invitation"
	fresh, err := rbac.Assignments.InsertNew(ctx, tx, &a)
	if err == nil && !fresh {
		return &store.ConflictError{Code: "already_member", Message: "the user is a member here"}
	}
	return err
}

func isCode(err error, code string) bool {
	var c *store.ConflictError
	return errors.As(err, &c) && c.Code == code
}

// Invitation returns one invitation of the place; its token is nowhere to be read.
func (m *Manager) Invitation(ctx context.Context, at Place, id string) (inv Invitation, err error) {
	op := rbac.Op{Action: "members.read", OrgID: at.OrgID, TeamID: at.TeamID}
	err = m.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		inv, err = invitations.Get(ctx, tx, id)
		if err == nil && (inv.OrgID != at.OrgID || inv.TeamID != at.TeamID) {
			return store.ErrNotFound
		}
		return err
	})
	return inv, err
}

// Invitations lists the invitations of the place, newest first.
func (m *Manager) Invitations(ctx context.Context, at Place, limit int, after string) (page store.Page[Invitation], err error) {
	op := rbac.Op{Action: "members.read", OrgID: at.OrgID, TeamID: at.TeamID}
	err = m.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		page, err = invitations.List(ctx, tx, store.Query{
			Where: []store.Cond{store.Eq("org_id", at.OrgID), store.Eq("team_id", at.TeamID)},
			Order: []store.Order{store.Desc("created_at")}, Limit: limit, After: after})
		return err
	})
	return page, err
}
