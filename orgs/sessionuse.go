package orgs

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Why a session does nothing any more, for the log.
const (
	whyEnded = "ended"
	whyIdle  = "idle"
)

// AuthenticatePending is [Manager.Authenticate] for a session alone, also for one that waits for its second factor: for
// nothing but that, and to sign out. Whoever takes the actor it returns for anything else lets people in by one factor.
func (m *Manager) AuthenticatePending(ctx context.Context, secret string) (audit.Actor, error) {
	if !strings.HasPrefix(secret, sessionPrefix) {
		return audit.Actor{}, &AuthError{Code: "invalid_api_key"}
	}
	return m.bySession(ctx, secret, true)
}

// bySession is who acts by a session. It notes the use.
func (m *Manager) bySession(ctx context.Context, secret string, pending bool) (a audit.Actor, err error) {
	var s Session
	var idle time.Duration
	err = m.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		s, a, idle, err = sessionActor(ctx, tx, secret)
		return err
	})
	var auth *AuthError
	switch {
	case errors.As(err, &auth) && s.ID != "":
		if auth.why == whyIdle {
			m.endIdle(ctx, s)
		}
		m.Audit().Decided(&audit.Decision{Action: "sessions.use", Resource: "session:" + s.ID, Actor: a.From(ctx), Code: auth.why, Type: SessionDeniedType})
		return audit.Actor{}, err
	case err != nil:
		return audit.Actor{}, err
	case s.Pending && !pending:
		return audit.Actor{}, &rbac.Denied{Code: "mfa_required", Action: "sessions.use", Resource: "session:" + s.ID,
			Decision: rbac.Decision{Remedy: []string{"verify a second factor"}}}
	}
	m.seen(ctx, s, idle)
	return a.From(ctx), nil
}

// sessionActor is who acts by a session, and how long it may be idle. With an error that it is over, both are those that
// it was of.
func sessionActor(ctx context.Context, tx *store.Tx, secret string) (s Session, a audit.Actor, idle time.Duration, err error) {
	s, err = sessions.Find(ctx, tx, store.Eq("hash", hashSecret(secret)))
	if errors.Is(err, store.ErrNotFound) {
		return s, a, 0, &AuthError{Code: "invalid_api_key"}
	} else if err != nil {
		return s, a, 0, err
	}
	a = audit.Actor{Type: audit.User, ID: s.UserID, Session: true, SessionID: s.ID, MFAAt: s.MFAVerifiedAt}
	u, err := users.Get(ctx, tx, s.UserID)
	if errors.Is(err, store.ErrNotFound) || err == nil && (u.State != rbac.Active || u.Expired(tx.Now())) {
		return s, a, 0, &AuthError{"session_expired", whyEnded}
	} else if err != nil {
		return s, a, 0, err
	}
	a.Label = u.Email
	if !s.lives(tx.Now()) {
		return s, a, 0, &AuthError{"session_expired", whyEnded}
	}
	if idle, err = IdleTimeout(ctx, tx, s.UserID); err != nil {
		return s, a, 0, err
	}
	if tx.Now().Sub(s.SeenAt) >= idle {
		return s, a, 0, &AuthError{"session_expired", whyIdle}
	}
	return s, a, idle, nil
}

// defaultIdle is the time-out of who is a member of no organization.
const defaultIdle = rbac.DefaultSessionMinutes * time.Minute

// IdleTimeout is how long a session of the person may be idle: the shortest of what the organizations say in which they
// are an active member, as they say it now. An organization whose members come by an inherited role from one above is
// bound by what that one says.
func IdleTimeout(ctx context.Context, tx *store.Tx, userID string) (time.Duration, error) {
	held, err := everywhere(ctx, tx, userID)
	if err != nil {
		return 0, err
	}
	var ids []string
	for _, a := range held {
		if a.State == rbac.Active {
			ids = append(ids, a.OrgID)
		}
	}
	if len(ids) == 0 {
		return defaultIdle, nil
	}
	least := time.Duration(0)
	for scope, err := range rbac.Scopes.All(ctx, tx, store.Query{Where: []store.Cond{store.In("id", ids)}}) {
		if err != nil {
			return 0, err
		}
		if d := scope.SessionTimeout(); scope.State != rbac.Gone && (least == 0 || d < least) {
			least = d
		}
	}
	if least == 0 {
		least = defaultIdle
	}
	return least, nil
}

// NeedsMFA says whether an organization that the person is a member of demands a second factor of sessions.
func NeedsMFA(ctx context.Context, tx *store.Tx, userID string) (bool, error) {
	held, err := everywhere(ctx, tx, userID)
	if err != nil {
		return false, err
	}
	for _, a := range held {
		scope, err := rbac.Scopes.Get(ctx, tx, a.OrgID)
		if err != nil {
			return false, err
		}
		if a.State == rbac.Active && scope.State != rbac.Gone && scope.RequireMFA {
			return true, nil
		}
	}
	return false, nil
}

// exactness is by which part of the time-out it may be too short: a use is written down when that part has passed since
// the last one that was, so that not every call writes.
const exactness = 60

// seen notes that a session was used. It is no part of what it is used for, and what fails is noted with the next use.
func (m *Manager) seen(ctx context.Context, s Session, idle time.Duration) {
	if m.store.Now().Sub(s.SeenAt) < min(idle/exactness, time.Minute) {
		return
	}
	_ = m.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		s, err := sessions.Lock(ctx, tx, s.ID)
		if err != nil || !s.lives(tx.Now()) || !s.SeenAt.Before(tx.Now()) {
			return err
		}
		s.SeenAt = tx.Now()
		return sessions.Update(ctx, tx, &s)
	})
}

// endIdle ends what was idle too long, so that a longer time-out does not bring it back.
func (m *Manager) endIdle(ctx context.Context, s Session) {
	_ = m.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		now, err := sessions.Lock(ctx, tx, s.ID)
		if err != nil || now.EndedAt != nil || !now.SeenAt.Equal(s.SeenAt) {
			return err
		}
		at := tx.Now()
		now.EndedAt, now.EndedBecause = &at, whyIdle
		return sessions.Update(ctx, tx, &now)
	})
}
