package orgs

import (
	"context"
	"errors"
	"fmt"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// DeleteUser deletes a user for good: their memberships end as by [Manager.RemoveMember], with an event in
// each organization, and their tokens, sessions and keys with them. Only the platform can. The last owner of an
// organization stays: *store.ConflictError last_owner; unless it is deleted, and the event says so.
func (m *Manager) DeleteUser(ctx context.Context, ref, reason string) (u User, err error) {
	err = m.Change(ctx, rbac.Op{Action: "users.delete"}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if err := rbac.CheckText("reason", reason, 0, rbac.MaxDescription); err != nil {
			return audit.Change{}, err
		}
		if u, err = findUser(ctx, tx, ref); err != nil {
			return audit.Change{}, err
		}
		held, err := everywhere(ctx, tx, u.ID)
		if err != nil {
			return audit.Change{}, err
		}
		for _, a := range held {
			if err := m.expel(ctx, Place{OrgID: a.OrgID}, u.ID, reason); err != nil {
				return audit.Change{}, err
			}
		}
		// Organizations are locked before people, here and where somebody joins. Who joined one meanwhile has
		// not been expelled from it; from here on they cannot.
		if _, err := users.Lock(ctx, tx, u.ID); err != nil {
			return audit.Change{}, err
		}
		if held, err = everywhere(ctx, tx, u.ID); err != nil {
			return audit.Change{}, err
		} else if len(held) > 0 {
			return audit.Change{}, fmt.Errorf("%w: the user has joined an organization", store.ErrTransient)
		}
		if err := forgetUser(ctx, tx, u.ID); err != nil {
			return audit.Change{}, err
		}
		return audit.Deleted(u).Because(reason), users.Delete(ctx, tx, u.ID)
	})
	return u, err
}

// expel ends a membership of an organization, even of one that is deleted: it may be restored.
func (m *Manager) expel(ctx context.Context, at Place, userID, reason string) error {
	op := rbac.Op{Action: "members.remove", OrgID: at.OrgID, Gone: true}
	return m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		a, _, err := findMember(ctx, tx, at, userID)
		if err != nil {
			return audit.Change{}, err
		}
		gone, err := isGone(ctx, tx, at.OrgID)
		if err != nil {
			return audit.Change{}, err
		}
		_, change, err := m.removeMember(ctx, tx, at, a, MemberRemoval{Reason: reason, AllowOwnerless: gone})
		return change, err
	})
}

// forgetUser removes what is left of a user: tokens, sessions, by what they sign in, and what identity providers know of them.
func forgetUser(ctx context.Context, tx *store.Tx, userID string) error {
	if err := errors.Join(forgetProvisioned(ctx, tx, userID), forgetLinks(ctx, tx, userID)); err != nil {
		return err
	}
	for t, err := range tokens.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("user_id", userID)}}) {
		if err != nil {
			return err
		}
		if err := tokens.Delete(ctx, tx, t.ID); err != nil {
			return err
		}
	}
	switch _, err := AuthenticatorsOf.Get(ctx, tx, userID); {
	case err == nil:
		if err := AuthenticatorsOf.Delete(ctx, tx, userID); err != nil {
			return err
		}
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	for s, err := range sessions.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("user_id", userID)}}) {
		if err != nil {
			return err
		}
		if err := sessions.Delete(ctx, tx, s.ID); err != nil {
			return err
		}
	}
	return nil
}
