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

func hashSecret(secret string) string {
	h := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(h[:])
}

// ErrUnauthenticated: no credential, or none that is good. The detail is a *[AuthError].
var ErrUnauthenticated = errors.New("not authenticated")

// AuthError says in a stable word what is wrong with a credential: missing_api_key,
// invalid_api_key or expired_api_key. A revoked, disabled or malformed one is invalid, no more is
// said.
type AuthError struct{ Code string }

func (e *AuthError) Error() string {
	switch e.Code {
	case "missing_api_key":
		return "a credential is required"
	case "expired_api_key":
		return "the credential has expired"
	}
	return "the credential is not valid"
}

// Unwrap makes every AuthError an [ErrUnauthenticated].
func (e *AuthError) Unwrap() error { return ErrUnauthenticated }

const tokenPrefix = "ok_pat_"

// Authenticate returns the actor of a personal token or API key. A key that is stopped is refused; see
// [Caller.Stopped]. Secrets are looked up by their
// hash, so that no comparison depends on how much of one was guessed. The address, agent and
// request id of the actor are the caller's to fill in.
func (m *Manager) Authenticate(ctx context.Context, secret string) (a audit.Actor, err error) {
	if secret == "" {
		return a, &AuthError{"missing_api_key"}
	}
	var key APIKey
	err = m.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if strings.HasPrefix(secret, tokenPrefix) {
			a, err = tokenActor(ctx, tx, secret)
			return err
		}
		c, err := KeyCaller(ctx, tx, secret)
		if err != nil {
			return err
		}
		a, key = c.Actor, c.Key
		return c.Stopped()
	})
	if err == nil && key.ID != "" {
		_ = m.Used(ctx, key.OrgID, key.ID) // what fails here must not fail the request
	}
	return a, err
}

func tokenActor(ctx context.Context, tx *store.Tx, secret string) (audit.Actor, error) {
	t, err := tokens.Find(ctx, tx, store.Eq("hash", hashSecret(secret)))
	if errors.Is(err, store.ErrNotFound) {
		return audit.Actor{}, &AuthError{"invalid_api_key"}
	} else if err != nil {
		return audit.Actor{}, err
	}
	if t.Revoked {
		return audit.Actor{}, &AuthError{"invalid_api_key"}
	}
	if !tx.Now().Before(t.ExpiresAt) {
		return audit.Actor{}, &AuthError{"expired_api_key"}
	}
	u, err := users.Get(ctx, tx, t.UserID)
	if errors.Is(err, store.ErrNotFound) || err == nil && u.State != rbac.Active {
		return audit.Actor{}, &AuthError{"invalid_api_key"}
	} else if err != nil {
		return audit.Actor{}, err
	}
	return audit.Actor{Type: audit.User, ID: u.ID, Label: u.Email, MFAAt: t.MFAVerifiedAt}, nil
}

// keyBySecret returns a key that may be used now, by its secret or by the one before the last rotation.
func keyBySecret(ctx context.Context, tx *store.Tx, secret string) (APIKey, error) {
	hash := hashSecret(secret)
	k, err := apiKeys.Find(ctx, tx, store.Eq("hash", hash))
	if errors.Is(err, store.ErrNotFound) {
		k, err = apiKeys.Find(ctx, tx, store.Eq("previous_hash", hash))
		if err == nil && !tx.Now().Before(*k.PreviousExpiresAt) {
			err = store.ErrNotFound
		}
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return APIKey{}, &AuthError{"invalid_api_key"}
	case err != nil:
		return k, err
	}
	switch k.StatusAt(tx.Now()) {
	case KeyActive:
		return k, nil
	case KeyExpired:
		return k, &AuthError{"expired_api_key"}
	}
	return k, &AuthError{"invalid_api_key"}
}

// actor is the key as an actor, with the person bound to it.
func (k APIKey) actor(ctx context.Context, tx *store.Tx) (audit.Actor, error) {
	a := audit.Actor{Type: audit.APIKey, ID: k.ID, Label: k.Name, OnBehalfOf: k.UserID}
	if k.UserID == "" {
		return a, nil
	}
	u, err := users.Get(ctx, tx, k.UserID)
	if errors.Is(err, store.ErrNotFound) || err == nil && u.State != rbac.Active {
		return a, &AuthError{"invalid_api_key"}
	} else if err != nil {
		return a, err
	}
	a.MFAAt, err = lastMFA(ctx, tx, k.UserID)
	return a, err
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
	return last, nil
}
