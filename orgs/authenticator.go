package orgs

import (
	"context"
	"errors"
	"time"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

// Authenticators are what a person signs in by; the id is that of the user. Package orgs/signin writes them and has what
// makes and checks the secrets; they are kept here so that they go with their user. None of it is in any event.
type Authenticators struct {
	store.Meta
	Password   string     `json:"-"` // its hash; "" for none
	PasswordAt *time.Time `json:"-"` // when it was set

	// A link that sets a password: the hash of its token, and until when it works once.
	ResetHash *string    `json:"-"`
	ResetEnds *time.Time `json:"-"`

	// The second factor (TOTP): its sealed key, the last step of time whose code was used, and the one that is offered and
	// not confirmed yet.
	Factor      seal.Sealed `json:"-"`
	FactorAt    *time.Time  `json:"-"`
	FactorStep  int64       `json:"-"`
	Offered     seal.Sealed `json:"-"`
	OfferedAt   *time.Time  `json:"-"`
	Recovery    []string    `json:"-"` // hashes of the codes that are left
	MFAProvedAt *time.Time  `json:"-"` // in any session

	Places []string `json:"-"` // hashes of where the person has signed in, the latest last
}

// AuthenticatorsOf are those of all users that have any. Only package orgs/signin writes them.
var AuthenticatorsOf = store.Define[Authenticators]("authenticators", "usr", store.Unique("reset_hash"))

// LockAuthenticators locks a user and then their authenticators, which are none where nobody has made any. store.ErrNotFound:
// there is no such user.
func LockAuthenticators(ctx context.Context, tx *store.Tx, userID string) (a Authenticators, err error) {
	if _, err := users.Lock(ctx, tx, userID); err != nil {
		return a, err
	}
	a.ID = userID
	if _, err := AuthenticatorsOf.InsertNew(ctx, tx, &a); err != nil {
		return a, err
	}
	return AuthenticatorsOf.Lock(ctx, tx, userID)
}

// HashSecret is what is kept of a secret of random bits: plain SHA-256, since nothing can be guessed of it.
func HashSecret(secret string) string { return hashSecret(secret) }

// NewSecret returns a secret of 256 random bits behind a prefix.
func NewSecret(prefix string) string { return newSecret(prefix) }

// proved notes when a person has proved a second factor, and has their organizations look at them again: policies ask for
// it, of their keys too (F455). It is done before anything of the person is locked.
func proved(ctx context.Context, tx *store.Tx, userID string, at *time.Time) error {
	if err := stir(ctx, tx, userID); err != nil {
		return err
	}
	a, err := LockAuthenticators(ctx, tx, userID)
	if err != nil {
		return err
	}
	if at != nil && a.MFAProvedAt != nil && a.MFAProvedAt.After(*at) {
		return nil
	}
	a.MFAProvedAt = micros(at)
	return AuthenticatorsOf.Update(ctx, tx, &a)
}

// ForgetProof takes back all proofs of a second factor that a person has given in sessions: for who takes the factor away.
func ForgetProof(ctx context.Context, tx *store.Tx, userID string) error {
	if err := proved(ctx, tx, userID, nil); err != nil {
		return err
	}
	live, err := liveSessions(ctx, tx, userID)
	if err != nil {
		return err
	}
	for _, s := range live {
		if s.MFAVerifiedAt == nil {
			continue
		}
		s.MFAVerifiedAt = nil
		if err := sessions.Update(ctx, tx, &s); err != nil {
			return err
		}
	}
	return nil
}

// OpenReset returns whose password the link with a token of that hash sets; else store.ErrNotFound. It asks nobody, and is
// for who mails too, so that nobody gets a link that was replaced.
func OpenReset(ctx context.Context, tx *store.Tx, hash string) (Authenticators, error) {
	a, err := AuthenticatorsOf.Find(ctx, tx, store.Eq("reset_hash", hash))
	if err == nil && !tx.Now().Before(*a.ResetEnds) {
		return Authenticators{}, store.ErrNotFound
	}
	return a, err
}

// dropReset makes a link that sets a password work no more: the address that it was sent to is another one.
func dropReset(ctx context.Context, tx *store.Tx, userID string) error {
	a, err := AuthenticatorsOf.Lock(ctx, tx, userID)
	if errors.Is(err, store.ErrNotFound) || err == nil && a.ResetHash == nil {
		return nil
	} else if err != nil {
		return err
	}
	a.ResetHash, a.ResetEnds = nil, nil
	return AuthenticatorsOf.Update(ctx, tx, &a)
}

// UserByEmail returns the user of an address, whatever its case. It asks nobody: it is for who signs people in.
func UserByEmail(ctx context.Context, tx *store.Tx, email string) (User, error) {
	return users.Find(ctx, tx, store.Eq("email_key", emailKey(email)))
}

// UserByID returns a user. Like [UserByEmail] it asks nobody.
func UserByID(ctx context.Context, tx *store.Tx, id string) (User, error) {
	return users.Get(ctx, tx, id)
}

// UsersByID returns those of some users that there are, by their ids. Like [UserByEmail] it asks nobody.
func UsersByID(ctx context.Context, tx *store.Tx, ids []string) (map[string]User, error) {
	found := make(map[string]User, len(ids))
	for u, err := range users.All(ctx, tx, store.Query{Where: []store.Cond{store.In("id", ids)}}) {
		if err != nil {
			return nil, err
		}
		found[u.ID] = u
	}
	return found, nil
}

// EmailKey is the form in which addresses are compared.
func EmailKey(email string) string { return emailKey(email) }
