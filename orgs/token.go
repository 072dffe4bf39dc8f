package orgs

import (
	"context"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Token is a personal token: it acts as its user, in all of their organizations.
type Token struct {
	store.Meta
	UserID        string     `json:"user_id"`
	Name          string     `json:"name"`
	Hash          string     `json:"-"`
	ExpiresAt     time.Time  `json:"expires_at"`
	MFAVerifiedAt *time.Time `json:"mfa_verified_at"`
	Revoked       bool       `json:"revoked"`
}

// AuditResource is how the log names the token.
func (t Token) AuditResource() audit.Resource { return audit.Resource{Type: "token", ID: t.ID} }

var tokens = store.Define[Token]("tokens", "tok",
	store.Unique("hash"), store.Index("user_id", "created_at"))

// NewToken is the input of [Manager.CreateToken].
type NewToken struct {
	Name          string
	ExpiresInDays int        // 1 to 365; 0 is 90
	MFAVerifiedAt *time.Time // when the host saw the person prove a second factor
}

// CreateToken makes a token for a user and returns its secret, which is kept nowhere. The platform
// makes them for anybody; people make their own only from a session, so that one token cannot beget
// another that outlives it.
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
		if !by.Sovereign() && (!by.Session || in.MFAVerifiedAt != nil) {
			return audit.Change{}, &rbac.Denied{Code: "permission_denied", Action: "tokens.create", Resource: "user:" + u.ID,
				Decision: rbac.Decision{MissingPermission: "tokens.create", Remedy: []string{"sign in, or ask the operator of the platform"}}}
		}
		if err := rbac.CheckText("name", in.Name, 1, rbac.MaxName); err != nil {
			return audit.Change{}, err
		}
		days := in.ExpiresInDays
		if days == 0 {
			days = 90
		}
		if days < 1 || days > 365 {
			return audit.Change{}, store.Invalid("expires_in_days", "range", "must be from 1 to 365")
		}
		if in.MFAVerifiedAt != nil && in.MFAVerifiedAt.After(tx.Now()) {
			return audit.Change{}, store.Invalid("mfa_verified_at", "range", "lies in the future")
		}
		if in.MFAVerifiedAt != nil {
			if err := stir(ctx, tx, u.ID); err != nil {
				return audit.Change{}, err
			}
		}
		secret = newSecret(tokenPrefix)
		t = Token{UserID: u.ID, Name: in.Name, Hash: hashSecret(secret), ExpiresAt: tx.Now().AddDate(0, 0, days), MFAVerifiedAt: micros(in.MFAVerifiedAt)}
		return audit.Created(&t), tokens.Insert(ctx, tx, &t)
	})
	return t, secret, err
}

// micros brings a time from outside into the form in which all stores keep times.
func micros(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC().Truncate(time.Microsecond)
	return &u
}

// Tokens lists the tokens of a user, newest first: one's own, or anybody's for the platform.
func (m *Manager) Tokens(ctx context.Context, user string, limit int, after string) (page store.Page[Token], err error) {
	u, err := m.User(ctx, user)
	if err != nil {
		return page, err
	}
	err = m.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		page, err = tokens.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("user_id", u.ID)},
			Order: []store.Order{store.Desc("created_at")}, Limit: limit, After: after})
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
		if t, err = tokens.Get(ctx, tx, id); err != nil {
			return audit.Change{}, err
		}
		if t.UserID != u.ID {
			return audit.Change{}, store.ErrNotFound
		}
		if t.MFAVerifiedAt != nil {
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
