package orgs

import (
	"context"
	"slices"
	"time"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// NewSession is the input of [StartSession].
type NewSession struct {
	UserID        string
	Methods       []string
	MFAVerifiedAt *time.Time
	Pending       bool          // until [ProveSession]
	Lifetime      time.Duration // at most
	By            *SessionIdP   // nil where no identity provider is behind it
}

// StartSession starts a session of an active user who has not expired, and returns its token, which is kept nowhere. It asks
// nobody: it is for who signs people in, such as package orgs/signin, inside the unit that says so to the log.
// store.ErrNotFound: there is no such user of that id.
func StartSession(ctx context.Context, tx *store.Tx, in NewSession) (s Session, token string, err error) {
	if in.MFAVerifiedAt != nil {
		if err := proved(ctx, tx, in.UserID, in.MFAVerifiedAt); err != nil {
			return s, "", err
		}
	}
	u, err := users.Lock(ctx, tx, in.UserID) // so that who is suspended at this moment has no session that outlives it
	if err == nil && (u.State != rbac.Active || u.Expired(tx.Now())) {
		err = store.ErrNotFound
	}
	if err != nil {
		return s, "", err
	}
	token = newSecret(sessionPrefix)
	by := actor(ctx).From(ctx)
	s = Session{UserID: in.UserID, Hash: hashSecret(token), Methods: in.Methods, ExpiresAt: tx.Now().Add(in.Lifetime), SeenAt: tx.Now(),
		MFAVerifiedAt: micros(in.MFAVerifiedAt), Pending: in.Pending, UserAgent: by.UserAgent, SignedInBy: in.By}
	if by.IP.IsValid() {
		s.IP = by.IP.String()
	}
	return s, token, sessions.Insert(ctx, tx, &s)
}

// Proof is a second factor that a person has proved in a session.
type Proof struct {
	UserID, SessionID string
	Method            string        // RFC 8176, such as otp
	Lifetime          time.Duration // of the session that begins by it, from now on
}

// ProveSession notes a proof that was given now, and lets a pending session begin. Like [StartSession] it asks nobody.
// store.ErrNotFound: the session has ended.
func ProveSession(ctx context.Context, tx *store.Tx, p Proof) (s Session, err error) {
	now := tx.Now()
	if err := proved(ctx, tx, p.UserID, &now); err != nil {
		return s, err
	}
	s, err = sessions.Lock(ctx, tx, p.SessionID)
	if err == nil && (s.UserID != p.UserID || !s.lives(now)) {
		err = store.ErrNotFound
	}
	if err != nil {
		return s, err
	}
	if s.MFAVerifiedAt = &now; s.Pending {
		s.Pending, s.ExpiresAt = false, now.Add(p.Lifetime)
	}
	if !slices.Contains(s.Methods, p.Method) {
		s.Methods = append(slices.Clone(s.Methods), p.Method)
	}
	return s, sessions.Update(ctx, tx, &s)
}

// OwnSession returns the session in which the actor of the context acts; store.ErrNotFound without one.
func OwnSession(ctx context.Context, tx *store.Tx) (Session, error) {
	by := actor(ctx)
	if by.SessionID == "" {
		return Session{}, store.ErrNotFound
	}
	s, err := sessions.Get(ctx, tx, by.SessionID)
	if err == nil && (s.UserID != by.ID || !s.lives(tx.Now())) {
		err = store.ErrNotFound
	}
	return s, err
}

// EndAllSessions ends all sessions of a user but one ("" for none), for a reason in one word, and says how many. Like
// [StartSession] it asks nobody.
func EndAllSessions(ctx context.Context, tx *store.Tx, userID, but, because string) (n int, err error) {
	live, err := liveSessions(ctx, tx, userID)
	if err != nil {
		return 0, err
	}
	now := tx.Now()
	for _, s := range live {
		if s.ID == but || !s.lives(now) { // somebody else has ended it meanwhile
			continue
		}
		s.EndedAt, s.EndedBecause = &now, because
		if err := sessions.Update(ctx, tx, &s); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// limitSessions lets no session of a user live longer than until then.
func limitSessions(ctx context.Context, tx *store.Tx, userID string, until time.Time) (n int, err error) {
	live, err := liveSessions(ctx, tx, userID)
	if err != nil {
		return 0, err
	}
	for _, s := range live {
		if s.ExpiresAt.After(until) {
			s.ExpiresAt = until
			if err := sessions.Update(ctx, tx, &s); err != nil {
				return n, err
			}
		}
		n++
	}
	return n, nil
}

// liveSessions locks what lives of a user's sessions.
func liveSessions(ctx context.Context, tx *store.Tx, userID string) ([]Session, error) {
	var ids []string
	for s, err := range sessions.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("user_id", userID)}}) {
		if err != nil {
			return nil, err
		}
		if s.lives(tx.Now()) {
			ids = append(ids, s.ID)
		}
	}
	return sessions.LockMany(ctx, tx, ids)
}
