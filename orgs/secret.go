package orgs

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

var secretAlphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// newSecret returns a secret of 256 random bits behind its prefix. That much randomness is why a
// plain SHA-256 is the right hash to keep of it: nothing can be guessed, and one hash per request
// is all a check costs.
func newSecret(prefix string) string {
	var b [32]byte
	rand.Read(b[:]) // never fails: it crashes the program instead
	return prefix + secretAlphabet.EncodeToString(b[:])
}

// KeyHash is what is kept of a secret, and all that has to be known of it to find its key.
type KeyHash [sha256.Size]byte

// HashKey is the hash of a secret.
func HashKey(secret string) KeyHash {
	var short [96]byte // no secret of ours is longer, and a copy of that size costs no allocation
	if len(secret) > len(short) {
		return sha256.Sum256([]byte(secret))
	}
	return sha256.Sum256(short[:copy(short[:], secret)])
}

var noSecret = HashKey("")

func (h KeyHash) text() string { return hex.EncodeToString(h[:]) }

func hashSecret(secret string) string { return HashKey(secret).text() }

// ErrUnauthenticated: no credential, or none that is good. The detail is a *[AuthError].
var ErrUnauthenticated = errors.New("not authenticated")

// AuthError says in a stable word what is wrong with a credential: missing_api_key,
// invalid_api_key, expired_api_key or session_expired. A revoked, disabled or malformed one is invalid, no more is
// said.
type AuthError struct {
	Code string

	why string // for the log of who owns it alone: revoked, disabled, rotated, ...
}

func (e *AuthError) Error() string {
	switch e.Code {
	case "missing_api_key":
		return "a credential is required"
	case "expired_api_key":
		return "the credential has expired"
	case "session_expired":
		return "the session has ended"
	}
	return "the credential is not valid"
}

// AccountExpired says whether the credential is good, and the account of its person has expired.
func (e *AuthError) AccountExpired() bool { return e.why == whyUserExpired }

// Unwrap makes every AuthError an [ErrUnauthenticated].
func (e *AuthError) Unwrap() error { return ErrUnauthenticated }

const tokenPrefix = "ok_pat_"

// Authenticate returns the actor of a personal token, session or API key. A key that is stopped is refused; see
// [Caller.Stopped]. So is a session that waits for its second factor, by a *rbac.Denied mfa_required. Secrets are looked up by their
// hash, so that no comparison depends on how much of one was guessed. The address, agent and
// request id of the actor are the caller's to fill in. With an [AuthError.AccountExpired] the actor is who it was.
func (m *Manager) Authenticate(ctx context.Context, secret string) (a audit.Actor, err error) {
	if secret == "" {
		return a, &AuthError{Code: "missing_api_key"}
	}
	if strings.HasPrefix(secret, tokenPrefix) {
		var t Token
		err = m.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			t, a, _, err = tokenActor(ctx, tx, HashKey(secret))
			return err
		})
		if err != nil {
			m.refusedToken(a.From(ctx), t, err)
			return expiredOnly(a, err), err
		}
		return a, nil
	}
	if strings.HasPrefix(secret, sessionPrefix) {
		return m.bySession(ctx, secret, false)
	}
	var c Caller
	err = m.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if c, err = keyCaller(ctx, tx, HashKey(secret)); c.unknown(err) {
			c, err = tokenHolder(ctx, tx, HashKey(secret))
		} else if err == nil {
			err = c.Stopped()
		}
		return err
	})
	c.Actor = c.Actor.From(ctx)
	switch {
	case err != nil:
		m.Refused(c, err)
		return expiredOnly(c.Actor, err), err
	case c.Token == nil:
		_ = m.Used(ctx, c) // what fails here must not fail the request
	}
	return c.Actor, nil
}

// expiredOnly is the actor where nothing but the account has expired, and else nobody.
func expiredOnly(a audit.Actor, err error) audit.Actor {
	if auth := (*AuthError)(nil); errors.As(err, &auth) && auth.AccountExpired() {
		return a
	}
	return audit.Actor{}
}

// tokenActor is who acts by a token. With an error that one is not good any more, both are those that it was of.
func tokenActor(ctx context.Context, tx *store.Tx, h KeyHash) (t Token, a audit.Actor, u User, err error) {
	t, err = tokens.Find(ctx, tx, store.Eq("hash", h.text()))
	if errors.Is(err, store.ErrNotFound) {
		return t, a, u, &AuthError{Code: "invalid_api_key"}
	} else if err != nil {
		return t, a, u, err
	}
	a = audit.Actor{Type: audit.User, ID: t.UserID, TokenID: t.ID, MFAAt: t.MFAVerifiedAt}
	u, err = users.Get(ctx, tx, t.UserID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return t, a, u, err
	}
	a.Label = u.Email
	switch status := t.StatusAt(tx.Now()); {
	case status == KeyRevoked:
		return t, a, u, &AuthError{"invalid_api_key", "revoked"}
	case status == KeyExpired:
		return t, a, u, &AuthError{"expired_api_key", "expired"}
	case err != nil:
		return t, a, u, &AuthError{"invalid_api_key", "user_deleted"}
	case u.State != rbac.Active:
		return t, a, u, &AuthError{"invalid_api_key", whyUserSuspended}
	case u.Expired(tx.Now()):
		return t, a, u, &AuthError{"expired_api_key", whyUserExpired}
	}
	return t, a, u, nil
}

// tokenHolder is who comes by the token of a dialect, wherever they are at home.
func tokenHolder(ctx context.Context, tx *store.Tx, h KeyHash) (c Caller, err error) {
	t, a, _, err := tokenActor(ctx, tx, h)
	if err == nil && t.Dialect == "" { // whose secret has a form of its own
		err = &AuthError{Code: "invalid_api_key"}
	}
	if t.ID != "" {
		c.Token, c.Key, c.Actor = &t, t.key(""), a
	}
	return c, err
}

// keyBySecret returns a key that may be used now, by its secret or by the one before the last rotation, and until when time
// alone changes nothing of that, zero for ever. With an error that it may not be used, the key is the one that was meant.
func keyBySecret(ctx context.Context, tx *store.Tx, h KeyHash) (k APIKey, until time.Time, err error) {
	hash, rotated := h.text(), false
	k, err = apiKeys.Find(ctx, tx, store.Eq("hash", hash))
	if errors.Is(err, store.ErrNotFound) {
		k, err = apiKeys.Find(ctx, tx, store.Eq("previous_hash", hash))
		if err == nil {
			until = *k.PreviousExpiresAt
			rotated = !tx.Now().Before(until)
		}
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return APIKey{}, until, &AuthError{Code: "invalid_api_key"}
	case err != nil:
		return k, until, err
	}
	if k.ExpiresAt != nil && (until.IsZero() || k.ExpiresAt.Before(until)) {
		until = *k.ExpiresAt
	}
	status := k.StatusAt(tx.Now())
	switch {
	case rotated:
		return k, until, &AuthError{"invalid_api_key", "rotated"}
	case status == KeyActive:
		return k, until, nil
	case status == KeyExpired:
		return k, until, &AuthError{"expired_api_key", string(status)}
	}
	return k, until, &AuthError{"invalid_api_key", string(status)}
}

// actor is the key as an actor, with the person bound to it, if there is one.
func (k APIKey) actor(ctx context.Context, tx *store.Tx) (a audit.Actor, u User, err error) {
	a = k.named()
	if k.UserID == "" {
		return a, u, nil
	}
	u, err = users.Get(ctx, tx, k.UserID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return a, u, &AuthError{"invalid_api_key", "user_deleted"}
	case err != nil:
		return a, u, err
	case u.State != rbac.Active:
		return a, u, &AuthError{"invalid_api_key", whyUserSuspended}
	case u.Expired(tx.Now()):
		return a, u, &AuthError{"expired_api_key", whyUserExpired}
	}
	a.MFAAt, err = lastMFA(ctx, tx, k.UserID)
	return a, u, err
}

// lastMFA is when a person last proved a second factor by any credential of theirs (F455).
func lastMFA(ctx context.Context, tx *store.Tx, user string) (*time.Time, error) {
	var last *time.Time
	for t, err := range tokens.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("user_id", user)}}) {
		if err != nil {
			return nil, err
		}
		if t.MFAVerifiedAt != nil && !t.Revoked && (last == nil || t.MFAVerifiedAt.After(*last)) {
			last = t.MFAVerifiedAt
		}
	}
	l, err := AuthenticatorsOf.Get(ctx, tx, user)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if l.MFAProvedAt != nil && (last == nil || l.MFAProvedAt.After(*last)) {
		last = l.MFAProvedAt
	}
	return last, nil
}
