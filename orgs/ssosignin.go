package orgs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// AssertedSignIn is what a sign-in by an identity provider has come to.
type AssertedSignIn struct {
	Session Session
	Token   string // of the session, shown once
	User    User
	Made    bool     // the account was made by it
	Joined  bool     // so was the membership
	Roles   []string // ids of what the groups give, beside the role of the membership
	// GroupsUnknown: the provider told of less groups than there are, so the roles are those of the sign-in before.
	GroupsUnknown bool
}

// ssoSeen is something that was seen and must not be seen again.
type ssoSeen struct {
	store.Meta
	ForgetAt time.Time
}

var ssoSeenOnce = store.Define[ssoSeen]("sso_seen", "ssn", store.Index("forget_at"))

// SignInAsserted signs in whom an identity provider tells of, for at most lifetime, in one unit: the account, which is the
// one that the provider's subject is linked to, or one that [LinkVerified] lets be theirs, or a new one; the membership, where
// the organization lets its provider make members; the roles of the groups, unless groups are synced by SCIM; and the session.
// A refusal is an *[SSORefused], stores nothing, and is in the log of the organization. It asks nobody: the caller has
// verified what was asserted.
func (m *Manager) SignInAsserted(ctx context.Context, in Asserted, lifetime time.Duration) (AssertedSignIn, error) {
	return m.assert(ctx, in, lifetime, false)
}

// TryAsserted says what [Manager.SignInAsserted] would do, and keeps nothing of it but the proof that the configuration
// works. It needs sso.update.
func (m *Manager) TryAsserted(ctx context.Context, in Asserted) (out AssertedSignIn, err error) {
	err = m.Read(ctx, rbac.Op{Action: "sso.update", OrgID: in.OrgID}, func(context.Context, *store.Tx) error { return nil })
	if err != nil {
		return out, err
	}
	if out, err = m.assert(ctx, in, time.Minute, true); err != nil {
		return out, err
	}
	err = m.Change(ctx, rbac.Op{Action: "sso.update", OrgID: in.OrgID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		c, err := ssoConfigs.Lock(ctx, tx, in.OrgID)
		if err == nil && c.Issuer != in.Issuer {
			err = refuse("issuer")
		}
		if err != nil {
			return audit.Change{}, err
		}
		before, now := c, tx.Now()
		c.ProvedAt = &now
		return audit.Updated(before, &c).As("sso.tested"), ssoConfigs.Update(ctx, tx, &c)
	})
	return out, err
}

// errOnlyTried ends a unit of which nothing is to be kept.
var errOnlyTried = errors.New("only tried")

func (m *Manager) assert(ctx context.Context, in Asserted, lifetime time.Duration, try bool) (out AssertedSignIn, err error) {
	account := "" // the address of the one that was found
	if err = in.check(); err == nil {
		err = m.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			a := &arrival{Asserted: in, m: m, tx: tx, lifetime: lifetime}
			err := a.arrive(ctx)
			if account = a.out.User.Email; err != nil {
				return err
			}
			if out = a.out; try {
				return errOnlyTried
			}
			return nil
		})
	}
	var refused *SSORefused
	switch {
	case errors.Is(err, errOnlyTried):
		out.Session, out.Token = Session{}, ""
		return out, nil
	case errors.Is(err, store.ErrExists): // made at the same time
		err = refuse("at_the_same_time")
	}
	if errors.As(err, &refused) {
		m.SSOFailed(ctx, in.OrgID, refused.Code)
		if refused.Code == whyInvited && !try {
			by := audit.WithActor(ctx, audit.System("single sign-on").From(ctx))
			if failed := m.inviteToLink(by, in.OrgID, "sessions.create", account); failed != nil {
				err = errors.Join(err, failed)
			}
		}
	}
	if err != nil {
		return AssertedSignIn{}, err
	}
	return out, nil
}

// SSOFailed tells the log of an organization that somebody was not signed in by its identity provider, and why, in one
// word.
func (m *Manager) SSOFailed(ctx context.Context, orgID, code string) {
	m.Audit().Decided(&audit.Decision{OrgID: orgID, Action: "sessions.create", Resource: "sso:" + orgID, Code: code, Type: LoginFailedType,
		Actor: audit.System("single sign-on").From(ctx)})
}

// pruneSeen forgets what would be refused by now without being remembered.
func (m *Manager) pruneSeen(ctx context.Context) (pruned int, err error) {
	for {
		var ids []string
		err := m.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			page, err := ssoSeenOnce.List(ctx, tx, store.Query{Where: []store.Cond{store.Below("forget_at", tx.Now())},
				Order: []store.Order{store.Asc("forget_at")}, Limit: store.MaxLimit})
			if ids = nil; err != nil || len(page.Items) == 0 {
				return err
			}
			for _, s := range page.Items {
				ids = append(ids, s.ID)
			}
			return ssoSeenOnce.DeleteMany(ctx, tx, ids)
		})
		if errors.Is(err, store.ErrNotFound) { // another process was faster
			continue
		}
		if err != nil {
			return pruned, fmt.Errorf("sso: %w", err)
		}
		if pruned += len(ids); len(ids) < store.MaxLimit {
			return pruned, nil
		}
	}
}
