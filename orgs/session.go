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

// Session is a sign-in that lasts: it acts as its user, in all of their organizations, until it ends. Only the hash of
// its token is kept.
//
// It ends at the latest at ExpiresAt, after a time without a call that the organizations of the person choose
// (session_timeout_minutes, see [IdleTimeout]), when it is signed out, and in the unit in which the person is suspended,
// deleted, or ceases to be a member of an organization. What has ended stays ended.
type Session struct {
	store.Meta
	UserID        string     `json:"user_id"`
	Hash          string     `json:"-"`
	Methods       []string   `json:"methods"` // how the person proved who they are: RFC 8176, such as pwd and otp
	ExpiresAt     time.Time  `json:"expires_at"`
	SeenAt        time.Time  `json:"-"` // when it was used last, to a sixtieth of the time-out
	MFAVerifiedAt *time.Time `json:"mfa_verified_at"`
	Pending       bool       `json:"mfa_pending"` // good for nothing but its second factor, and to end it
	IP            string     `json:"ip"`
	UserAgent     string     `json:"user_agent"`
	EndedAt       *time.Time `json:"ended_at"`
	EndedBecause  string     `json:"ended_because"`

	// SignedInBy is the identity provider that signed the person in, nil where it was not one.
	SignedInBy *SessionIdP `json:"signed_in_by,omitempty"`
}

// SessionIdP says how an identity provider signed somebody in.
type SessionIdP struct {
	OrgID           string     `json:"organization_id"` // whose provider it is
	AuthenticatedAt *time.Time `json:"authenticated_at"`
	Context         string     `json:"context"`       // acr, or the class of the SAML context
	Index           string     `json:"session_index"` // of the provider's own session
}

var sessions = store.Define[Session]("sessions", "ses",
	store.Unique("hash"), store.Index("user_id", "created_at"), store.Index("expires_at"))

// AuditResource is how the log names the session.
func (s Session) AuditResource() audit.Resource { return audit.Resource{Type: "session", ID: s.ID} }

// lives says whether the session is neither signed out nor at its absolute end. It may be idle all the same.
func (s Session) lives(now time.Time) bool { return s.EndedAt == nil && now.Before(s.ExpiresAt) }

const sessionPrefix = "ok_ses_"

// The types of the events of sessions. Signing in and out is in the log of each organization of the person and of the
// platform; what the platform ends is in its own.
const (
	LoginType         = "authentication.login"
	LoginFailedType   = "authentication.failed"
	LogoutType        = "authentication.logout"
	SessionEndedType  = "session.ended"
	SessionDeniedType = "session.denied" // a session that has ended is used; in the log of the platform
)

// Session returns a session of a user by its id or "current": one's own, or anybody's for the platform.
func (m *Manager) Session(ctx context.Context, user, id string) (s Session, err error) {
	u, err := m.sessionsOf(ctx, user)
	if err != nil {
		return s, err
	}
	err = m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		s, err = findSession(ctx, tx, u, id)
		return err
	})
	return s, err
}

// sessionsOf is the user whose sessions the actor may see. A key is no person that signs in.
func (m *Manager) sessionsOf(ctx context.Context, user string) (string, error) {
	if actor(ctx).Type == audit.APIKey {
		return "", store.ErrNotFound
	}
	u, err := m.User(ctx, user)
	return u.ID, err
}

func findSession(ctx context.Context, tx *store.Tx, userID, id string) (Session, error) {
	if id == "current" {
		return OwnSession(ctx, tx)
	}
	s, err := sessions.Get(ctx, tx, id)
	if err == nil && (s.UserID != userID || !s.lives(tx.Now())) {
		err = store.ErrNotFound
	}
	return s, err
}

// Sessions lists the sessions of a user that have not ended, newest first: one's own, or anybody's for the platform.
// Those that nobody has used for long are among them until somebody tries to.
func (m *Manager) Sessions(ctx context.Context, user string, limit int, after string) (page store.Page[Session], err error) {
	u, err := m.sessionsOf(ctx, user)
	if err != nil {
		return page, err
	}
	err = m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		page, err = sessions.Filter(ctx, tx, store.Query{Where: []store.Cond{store.Eq("user_id", u)}, Order: []store.Order{store.Desc("created_at")},
			Limit: limit, After: after}, func(s *Session) bool { return s.lives(tx.Now()) })
		return err
	})
	return page, err
}

// EndSession ends a session at once, by its id or "current": signing out. One's own, or anybody's for the platform.
func (m *Manager) EndSession(ctx context.Context, user, id string) (s Session, err error) {
	u, err := m.sessionsOf(ctx, user)
	if err != nil {
		return s, err
	}
	err = m.Change(ctx, rbac.Op{Action: "sessions.delete", Open: true}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if s, err = findSession(ctx, tx, u, id); err != nil {
			return audit.Change{}, err
		}
		if s, err = sessions.Lock(ctx, tx, s.ID); err != nil {
			return audit.Change{}, err
		} else if !s.lives(tx.Now()) {
			return audit.Change{}, store.ErrNotFound
		}
		before, now := s, tx.Now()
		s.EndedAt, s.EndedBecause = &now, "signed_out"
		if err := sessions.Update(ctx, tx, &s); err != nil {
			return audit.Change{}, err
		}
		return m.signedOut(ctx, tx, u, audit.Updated(before, &s))
	})
	return s, err
}

// EndSessions ends all sessions of a user, or all but that in which the actor acts, and says how many: signing out
// everywhere. One's own, or anybody's for the platform.
func (m *Manager) EndSessions(ctx context.Context, user string, others bool) (n int, err error) {
	u, err := m.sessionsOf(ctx, user)
	if err != nil {
		return n, err
	}
	err = m.Change(ctx, rbac.Op{Action: "sessions.delete", Open: true}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		but := ""
		if others {
			but = actor(ctx).SessionID
		}
		if n, err = EndAllSessions(ctx, tx, u, but, "signed_out"); err != nil {
			return audit.Change{}, err
		}
		return m.signedOut(ctx, tx, u, audit.Change{Resource: audit.Resource{Type: "user", ID: u}, Data: map[string]any{"sessions": n}})
	})
	return n, err
}

// signedOut is the event of sessions that somebody has ended: of the person themselves it is in the logs of their
// organizations too.
func (m *Manager) signedOut(ctx context.Context, tx *store.Tx, userID string, c audit.Change) (audit.Change, error) {
	if actor(ctx).Person() != userID {
		return c.As(SessionEndedType), nil
	}
	c = c.As(LogoutType)
	return c, m.AppendPersonal(ctx, tx, userID, "sessions.delete", c)
}

// AppendPersonal writes an event of a person into the log of each organization that they are a member of, in the caller's
// unit. That of the platform has it by the change itself.
func (m *Manager) AppendPersonal(ctx context.Context, tx *store.Tx, userID, action string, c audit.Change) error {
	ids, err := OrganizationsOf(ctx, tx, userID)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := m.Audit().Append(ctx, tx, id, action, c); err != nil {
			return err
		}
	}
	return nil
}

// OrganizationsOf are the ids of the organizations that a person is a member of. It asks nobody.
func OrganizationsOf(ctx context.Context, tx *store.Tx, userID string) (ids []string, err error) {
	held, err := everywhere(ctx, tx, userID)
	for _, a := range held {
		ids = append(ids, a.OrgID)
	}
	return ids, err
}

// keptSessions is for how long a session is remembered after its end.
const keptSessions = 30 * 24 * time.Hour

// PruneSessions forgets sessions that ended long ago, and says how many. It is the host's, to be called now and then; see
// [Manager.Sweep].
func (m *Manager) PruneSessions(ctx context.Context) (pruned int, err error) {
	for {
		var n int
		err := m.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			page, err := sessions.List(ctx, tx, store.Query{Where: []store.Cond{store.Below("expires_at", tx.Now().Add(-keptSessions))},
				Order: []store.Order{store.Asc("expires_at")}, Limit: store.MaxLimit})
			if n = len(page.Items); err != nil || n == 0 {
				return err
			}
			ids := make([]string, n)
			for i, s := range page.Items {
				ids[i] = s.ID
			}
			return sessions.DeleteMany(ctx, tx, ids)
		})
		if errors.Is(err, store.ErrNotFound) { // another process was faster
			continue
		}
		pruned += n
		if err != nil {
			return pruned, fmt.Errorf("sessions: %w", err)
		}
		if n < store.MaxLimit {
			return pruned, nil
		}
	}
}
