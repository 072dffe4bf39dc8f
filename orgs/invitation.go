package orgs

import (
	"context"
	"errors"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

// InvitationStatus is where an invitation stands.
type InvitationStatus string

// The statuses.
const (
	InvitationPending  InvitationStatus = "pending"
	InvitationAccepted InvitationStatus = "accepted"
	InvitationDeclined InvitationStatus = "declined"
	InvitationRevoked  InvitationStatus = "revoked"
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
	Days          int              `json:"expires_in_days"`
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
	store.Unique("hash"), store.Unique("org_id", "team_id", "pending"), store.Index("org_id", "team_id", "created_at"),
	store.Index("status", "expires_at"))

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
	mailed := in.SendEmail && m.mails()
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
			RoleID: role.ID, Role: role.Slug, Message: in.Message, Permissions: in.Permissions, Status: InvitationPending, Days: in.days(),
			ExpiresAt: tx.Now().AddDate(0, 0, in.days()), InvitedBy: by.ID, InvitedByType: by.Type, EmailSent: mailed, Hash: hashSecret(token)}
		if err := invitations.Insert(ctx, tx, &inv); err != nil {
			return audit.Change{}, err
		}
		return audit.Created(&inv).As(KindInvited).In(at.TeamID), m.tellInvited(ctx, tx, KindInvited, inv, token)
	})
	return inv, inv.shown(token), err
}

// tellInvited mails an invitation to whom it is for, if it is to be mailed, and tells webhooks.
func (m *Manager) tellInvited(ctx context.Context, tx *store.Tx, kind string, inv Invitation, token string) error {
	n := Notification{Kind: kind, OrgID: inv.OrgID, TeamID: inv.TeamID, About: InvitationOffer{Invitation: inv}}
	if inv.EmailSent {
		n.To, n.About = []string{inv.Email}, InvitationOffer{inv, seal.NewSecret(token)}
	}
	return m.Tell(ctx, tx, n)
}

// shown is the token where an answer may show it: unless a mail carries it.
func (i Invitation) shown(token string) string {
	if i.EmailSent {
		return ""
	}
	return token
}

// OpenInvitation returns the invitation that can be answered now with this token; else store.ErrNotFound. It asks nobody:
// it is for who mails, so that nobody gets what was revoked or replaced meanwhile.
func OpenInvitation(ctx context.Context, tx *store.Tx, orgID, id string, token seal.Secret) (Invitation, error) {
	inv, err := invitations.Get(ctx, tx, id)
	if err == nil && (inv.OrgID != orgID || inv.Hash != hashSecret(token.Reveal()) || inv.StatusAt(tx.Now()) != InvitationPending) {
		return Invitation{}, store.ErrNotFound
	}
	return inv, err
}

// InviteMany makes invitations, each by itself, or, with atomic, all or none.
func (m *Manager) InviteMany(ctx context.Context, at Place, in []NewInvitation, atomic bool) ([]Row[Invited], error) {
	return eachRow(ctx, m, in, atomic, func(ctx context.Context, in NewInvitation) (Invited, error) {
		inv, token, err := m.Invite(ctx, at, in)
		return Invited{inv, token}, err
	})
}

// Invited is an invitation with its token, which is empty where a mail carries it.
type Invited struct {
	Invitation Invitation
	Token      string
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

// Invitation returns one invitation of the place; its token is nowhere to be read.
func (m *Manager) Invitation(ctx context.Context, at Place, id string) (inv Invitation, err error) {
	op := rbac.Op{Action: "members.read", OrgID: at.OrgID, TeamID: at.TeamID}
	err = m.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		inv, err = ownInvitation(ctx, tx, at, id)
		return err
	})
	return inv, err
}

// InvitationFilter says which invitations to list; what is empty does not matter.
type InvitationFilter struct {
	Status InvitationStatus
	Email  string
	Limit  int
	After  string
}

// Invitations lists the invitations of the place, newest first.
func (m *Manager) Invitations(ctx context.Context, at Place, f InvitationFilter) (page store.Page[Invitation], err error) {
	if err := oneOf("status", string(f.Status), "", string(InvitationPending), string(InvitationAccepted), string(InvitationDeclined),
		string(InvitationRevoked), string(InvitationExpired)); err != nil {
		return page, err
	}
	op := rbac.Op{Action: "members.read", OrgID: at.OrgID, TeamID: at.TeamID}
	err = m.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		page, err = invitations.Filter(ctx, tx, store.Query{
			Where: []store.Cond{store.Eq("org_id", at.OrgID), store.Eq("team_id", at.TeamID)},
			Order: []store.Order{store.Desc("created_at")}, Limit: f.Limit, After: f.After}, func(i *Invitation) bool {
			return (f.Status == "" || i.StatusAt(tx.Now()) == f.Status) && (f.Email == "" || i.EmailKey == emailKey(f.Email))
		})
		return err
	})
	return page, err
}

// ownInvitation returns an invitation of the place.
func ownInvitation(ctx context.Context, tx *store.Tx, at Place, id string) (Invitation, error) {
	inv, err := invitations.Get(ctx, tx, id)
	if err == nil && (inv.OrgID != at.OrgID || inv.TeamID != at.TeamID) {
		return Invitation{}, store.ErrNotFound
	}
	return inv, err
}

// closed is the error of what can only be done with an invitation that was not answered.
func (i Invitation) closed() error {
	switch i.Status {
	case InvitationPending, InvitationExpired:
		return nil
	case InvitationRevoked:
		return &store.ConflictError{Code: "invitation_revoked", Message: "the invitation was revoked"}
	}
	return &store.ConflictError{Code: "invitation_used", Message: "the invitation was answered before"}
}

// RevokeInvitation ends an invitation that was not answered: its token is dead at once.
func (m *Manager) RevokeInvitation(ctx context.Context, at Place, id string) (Invitation, error) {
	return m.changeInvitation(ctx, at, id, "member.invitation_revoked", func(_ context.Context, _ *store.Tx, inv *Invitation) error {
		inv.Status, inv.Pending = InvitationRevoked, nil
		return nil
	})
}

// changeInvitation changes an invitation that was not answered.
func (m *Manager) changeInvitation(ctx context.Context, at Place, id, event string, fn func(ctx context.Context, tx *store.Tx, inv *Invitation) error) (inv Invitation, err error) {
	op := rbac.Op{Action: "members.invite", OrgID: at.OrgID, TeamID: at.TeamID}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if inv, err = ownInvitation(ctx, tx, at, id); err != nil {
			return audit.Change{}, err
		}
		if err := inv.closed(); err != nil {
			return audit.Change{}, err
		}
		before := inv
		if err := fn(ctx, tx, &inv); err != nil {
			return audit.Change{}, err
		}
		return audit.Updated(before, &inv).As(event).In(at.TeamID), invitations.Update(ctx, tx, &inv)
	})
	return inv, err
}

// revokePending revokes all that is pending for a place that is about to go.
func revokePending(ctx context.Context, tx *store.Tx, at Place) error {
	for inv, err := range invitations.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", at.OrgID), store.Eq("team_id", at.TeamID)}}) {
		if err != nil {
			return err
		}
		if inv.Status != InvitationPending {
			continue
		}
		inv.Status, inv.Pending = InvitationRevoked, nil
		if err := invitations.Update(ctx, tx, &inv); err != nil {
			return err
		}
	}
	return nil
}

// ResendInvitation gives an invitation that was not answered a new token, and as many days as it had; the
// old token is dead at once. The result is as of [Manager.Invite].
func (m *Manager) ResendInvitation(ctx context.Context, at Place, id string) (inv Invitation, token string, err error) {
	inv, err = m.changeInvitation(ctx, at, id, KindInvitationResent, func(ctx context.Context, tx *store.Tx, inv *Invitation) error {
		role, err := rbac.FindRole(ctx, tx, at.OrgID, inv.RoleID)
		if err != nil {
			return err
		}
		if err := m.Ceiling(ctx, tx, at.roleHandout("role", role, inv.Permissions.Add...)); err != nil {
			return err
		}
		if inv.StatusAt(tx.Now()) == InvitationExpired { // another one may have taken its place
			inv.Pending = nil
			if err := invitations.Update(ctx, tx, inv); err != nil {
				return err
			}
			if err := m.notYetInvited(ctx, tx, at, inv.Email); err != nil {
				return err
			}
		}
		token = newSecret(invitationPrefix)
		inv.Status, inv.Pending, inv.Hash = InvitationPending, &inv.EmailKey, hashSecret(token)
		inv.ExpiresAt = tx.Now().AddDate(0, 0, inv.Days)
		inv.EmailSent = inv.EmailSent && m.mails() // a host may have given it up
		return m.tellInvited(ctx, tx, KindInvitationResent, *inv, token)
	})
	return inv, inv.shown(token), err
}
