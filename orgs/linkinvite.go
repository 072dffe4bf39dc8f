package orgs

import (
	"context"
	"errors"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// toInvite says that somebody who has an account has to accept an invitation before the identity provider of the organization
// may take it to be theirs, see [LinkInvite].
type toInvite struct{ email string }

func (e *toInvite) Error() string { return e.Unwrap().Error() }

// Unwrap is what the provider hears.
func (e *toInvite) Unwrap() error {
	return &store.ConflictError{Code: "uniqueness", Message: "the person has an account, and is asked by an invitation: provision them again once they have accepted"}
}

// inviteToLink invites somebody, unless they have an invitation that they have not answered, have declined one, or had one that was revoked:
// providers try again every few minutes.
func (m *Manager) inviteToLink(ctx context.Context, orgID, action, email string) error {
	at, mailed := Place{OrgID: orgID}, m.mails()
	err := m.Change(ctx, rbac.Op{Action: action, OrgID: orgID, Open: true}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		p, err := provisioningOf(ctx, tx, orgID)
		if err != nil {
			return audit.Change{}, err
		}
		if p.Link != LinkInvite || !p.AutoProvision {
			return audit.Change{}, ErrUnchanged
		}
		for old, err := range invitations.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID), store.Eq("team_id", "")}}) {
			if err != nil {
				return audit.Change{}, err
			}
			if status := old.StatusAt(tx.Now()); old.EmailKey == emailKey(email) && status != InvitationExpired && status != InvitationAccepted {
				return audit.Change{}, ErrUnchanged
			}
		}
		var conflict *store.ConflictError
		if err := m.notYetInvited(ctx, tx, at, email); errors.As(err, &conflict) { // a member by now
			return audit.Change{}, ErrUnchanged
		} else if err != nil {
			return audit.Change{}, err
		}
		role, err := rbac.FindRole(ctx, tx, orgID, p.DefaultRole)
		if err != nil {
			return audit.Change{}, err
		}
		// It is the organization's configuration that invites: whoever wrote it could hand out the role.
		key, token := emailKey(email), newSecret(invitationPrefix)
		in := NewInvitation{}
		inv := Invitation{OrgID: orgID, Email: email, EmailKey: key, Pending: &key, RoleID: role.ID, Role: role.Slug, Status: InvitationPending, Days: in.days(),
			ExpiresAt: tx.Now().AddDate(0, 0, in.days()), InvitedBy: "identity provider", InvitedByType: audit.Internal, EmailSent: mailed, Hash: hashSecret(token)}
		if err := invitations.Insert(ctx, tx, &inv); err != nil {
			return audit.Change{}, err
		}
		return audit.Created(&inv).As(KindInvited), m.tellInvited(ctx, tx, KindInvited, inv, token)
	})
	if errors.Is(err, ErrUnchanged) {
		return nil
	}
	return err
}
