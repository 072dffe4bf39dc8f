package orgs

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Token is a personal token: it acts as its user, in all of their organizations. One of a dialect whose tokens are also the
// keys of the data plane calls models too, in the organization that its user is at home in when they call: see [KeyCaller].
type Token struct {
	store.Meta
	UserID        string     `json:"user_id"`
	Name          string     `json:"name"`
	Dialect       string     `json:"dialect"` // whose token it is, and how calls that it makes are answered; "" is ours, which makes none
	Prefix        string     `json:"prefix"`
	Last4         string     `json:"last4"`
	Hash          string     `json:"-"`
	ExpiresAt     *time.Time `json:"expires_at"` // nil, of a dialect's only: never
	MFAVerifiedAt *time.Time `json:"mfa_verified_at"`
	Revoked       bool       `json:"revoked"`
}

// AuditResource is how the log names the token.
func (t Token) AuditResource() audit.Resource { return audit.Resource{Type: "token", ID: t.ID} }

var tokens = store.Define[Token]("tokens", "tok",
	store.Unique("hash"), store.Index("user_id", "created_at"), store.Index("created_at"))

// NewToken is the input of [Manager.CreateToken].
type NewToken struct {
	Name          string
	ExpiresInDays int        // 1 to 365; 0 is 90
	MFAVerifiedAt *time.Time // when the host saw the person prove a second factor

	// Dialect makes the token that of a dialect, by its name: its secret begins with Prefix, and it ends at ExpiresAt, or never.
	Dialect   string
	Prefix    string
	ExpiresAt *time.Time
}

// CreateToken makes a token for a user and returns its secret, which is kept nowhere. The platform
// makes them for anybody; people make their own only from a session, so that one token cannot beget
// another that outlives it. Tokens of a dialect may make more of that dialect, as its clients expect.
func (m *Manager) CreateToken(ctx context.Context, user string, in NewToken) (t Token, secret string, err error) {
	err = m.Change(ctx, rbac.Op{Action: "tokens.create", Open: true}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		u, err := findUser(ctx, tx, user)
		if err != nil {
			return audit.Change{}, err
		}
		by := actor(ctx)
		if !by.Sovereign() && (by.Type != audit.User || by.ID != u.ID) {
			return audit.Change{}, store.ErrNotFound
		}
		begets, err := sameDialect(ctx, tx, by, in.Dialect)
		if err != nil {
			return audit.Change{}, err
		}
		if !by.Sovereign() && (!by.Session && !begets || in.MFAVerifiedAt != nil) {
			return audit.Change{}, &rbac.Denied{Code: "permission_denied", Action: "tokens.create", Resource: "user:" + u.ID,
				Decision: rbac.Decision{MissingPermission: "tokens.create", Remedy: []string{"sign in, or ask the operator of the platform"}}}
		}
		if err := rbac.CheckText("name", in.Name, 1, rbac.MaxName); err != nil {
			return audit.Change{}, err
		}
		prefix, ends, err := in.form(tx.Now())
		if err != nil {
			return audit.Change{}, err
		}
		if in.MFAVerifiedAt != nil && in.MFAVerifiedAt.After(tx.Now()) {
			return audit.Change{}, store.Invalid("mfa_verified_at", "range", "lies in the future")
		}
		if in.MFAVerifiedAt != nil {
			if err := stir(ctx, tx, u.ID); err != nil {
				return audit.Change{}, err
			}
		}
		secret = newSecret(prefix)
		t = Token{UserID: u.ID, Name: in.Name, Dialect: in.Dialect, Prefix: prefix, Last4: secret[len(secret)-4:], Hash: hashSecret(secret),
			ExpiresAt: ends, MFAVerifiedAt: micros(in.MFAVerifiedAt)}
		return audit.Created(&t), tokens.Insert(ctx, tx, &t)
	})
	return t, secret, err
}

// form is how the secret of the token begins, and when it ends.
func (in NewToken) form(now time.Time) (prefix string, ends *time.Time, err error) {
	if in.Dialect != "" {
		if !keyPrefixForm.MatchString(in.Prefix) || strings.HasPrefix(in.Prefix, "ok_") { // which would be another credential
			return "", nil, store.Invalid("prefix", "pattern", "must be 1 to 20 letters, digits, _ and -, and not begin with ok_")
		}
		ends = micros(in.ExpiresAt)
		return in.Prefix, ends, inFuture("expires_at", ends, now)
	}
	days := cmp.Or(in.ExpiresInDays, 90)
	if days < 1 || days > 365 {
		return "", nil, store.Invalid("expires_in_days", "range", "must be from 1 to 365")
	}
	at := now.AddDate(0, 0, days)
	return tokenPrefix, &at, nil
}

// sameDialect says whether the actor came by a token of that dialect, which is not ours.
func sameDialect(ctx context.Context, tx *store.Tx, by audit.Actor, dialect string) (bool, error) {
	if dialect == "" || by.TokenID == "" {
		return false, nil
	}
	t, err := tokens.Get(ctx, tx, by.TokenID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return t.Dialect == dialect, err
}

// StatusAt is the status of the token at that time.
func (t Token) StatusAt(now time.Time) KeyStatus {
	switch {
	case t.Revoked:
		return KeyRevoked
	case t.ExpiresAt != nil && !now.Before(*t.ExpiresAt):
		return KeyExpired
	}
	return KeyActive
}

// key is the token as a credential of the data plane, in an organization of its user.
func (t Token) key(orgID string) APIKey {
	return APIKey{Meta: t.Meta, OrgID: orgID, Name: t.Name, UserID: t.UserID, CreatedBy: t.UserID, Prefix: t.Prefix, Last4: t.Last4, Hash: t.Hash, Dialect: t.Dialect, ExpiresAt: t.ExpiresAt}
}

// micros brings a time from outside into the form in which all stores keep times.
func micros(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC().Truncate(time.Microsecond)
	return &u
}

// Tokens lists the tokens of a user, newest first: one's own, or anybody's for the platform, which has those of everybody by "".
// To a key, which is less than its person, there are none.
func (m *Manager) Tokens(ctx context.Context, user string, limit int, after string) (page store.Page[Token], err error) {
	if actor(ctx).Type == audit.APIKey {
		return page, store.ErrNotFound
	}
	q := store.Query{Order: []store.Order{store.Desc("created_at")}, Limit: limit, After: after}
	if user != "" || !actor(ctx).Sovereign() {
		u, err := m.User(ctx, user)
		if err != nil {
			return page, err
		}
		q.Where = []store.Cond{store.Eq("user_id", u.ID)}
	}
	err = m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		page, err = tokens.List(ctx, tx, q)
		return err
	})
	return page, err
}

// RevokeToken ends a token at once.
func (m *Manager) RevokeToken(ctx context.Context, user, id string) (t Token, err error) {
	if by := actor(ctx); by.Type == audit.APIKey {
		return t, store.ErrNotFound
	}
	u, err := m.User(ctx, user)
	if err != nil {
		return t, err
	}
	err = m.Change(ctx, rbac.Op{Action: "tokens.delete", Open: true}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if t, err = tokenOf(ctx, tx, u.ID, id); err != nil {
			return audit.Change{}, err
		}
		if t.MFAVerifiedAt != nil || t.Dialect != "" { // whose calls are answered from memory
			if err := stir(ctx, tx, u.ID); err != nil {
				return audit.Change{}, err
			}
		}
		before := t
		t.Revoked = true
		return audit.Updated(before, &t).As("token.revoked"), tokens.Update(ctx, tx, &t)
	})
	return t, err
}

// TokenUpdate changes a token; nil leaves as it is.
type TokenUpdate struct{ Name *string }

// UpdateToken changes a token that works: one's own, or anybody's for the platform.
func (m *Manager) UpdateToken(ctx context.Context, user, id string, in TokenUpdate) (t Token, err error) {
	if by := actor(ctx); by.Type == audit.APIKey {
		return t, store.ErrNotFound
	}
	u, err := m.User(ctx, user)
	if err != nil {
		return t, err
	}
	err = m.Change(ctx, rbac.Op{Action: "tokens.update", Open: true}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if t, err = tokenOf(ctx, tx, u.ID, id); err != nil {
			return audit.Change{}, err
		}
		if t.Revoked {
			return audit.Change{}, &store.ConflictError{Code: "conflict", Message: "the token was revoked"}
		}
		before := t
		set(&t.Name, in.Name)
		if err := rbac.CheckText("name", t.Name, 1, rbac.MaxName); err != nil {
			return audit.Change{}, err
		}
		return audit.Updated(before, &t), tokens.Update(ctx, tx, &t)
	})
	return t, err
}

// tokenOf returns a token of the user; that of another one does not exist.
func tokenOf(ctx context.Context, tx *store.Tx, userID, id string) (Token, error) {
	t, err := tokens.Get(ctx, tx, id)
	if err == nil && t.UserID != userID {
		err = store.ErrNotFound
	}
	return t, err
}

// Token returns a token of a user: one's own, or anybody's for the platform, for which "" stands for whose it is.
func (m *Manager) Token(ctx context.Context, user, id string) (t Token, err error) {
	if actor(ctx).Type == audit.APIKey {
		return t, store.ErrNotFound
	}
	if user == "" && actor(ctx).Sovereign() {
		err = m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			t, err = tokens.Get(ctx, tx, id)
			return err
		})
		return t, err
	}
	u, err := m.User(ctx, user)
	if err != nil {
		return t, err
	}
	err = m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		t, err = tokenOf(ctx, tx, u.ID, id)
		return err
	})
	return t, err
}
