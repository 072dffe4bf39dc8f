package signin

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// MaxPassword is how many bytes a password has at most. A longer one is refused, none is cut.
const MaxPassword = 1024

// rules refuses a password that nobody should have, or this person should not.
func (s *Service) rules(ctx context.Context, field, password string, u orgs.User) error {
	switch n := utf8.RuneCountInString(password); {
	case password == "":
		return store.Invalid(field, "required", "is required")
	case !utf8.ValidString(password) || strings.Contains(password, "\x00"):
		return store.Invalid(field, "pattern", "is no plain text")
	case n < s.opt.MinPassword:
		return store.Invalid(field, "range", "must have at least %d characters", s.opt.MinPassword)
	case len(password) > MaxPassword:
		return store.Invalid(field, "range", "must have at most %d bytes", MaxPassword)
	case strings.EqualFold(password, u.Email), strings.EqualFold(password, u.Name):
		return store.Invalid(field, "guessable", "must not be one's own address or name")
	}
	if s.opt.Refuse == nil {
		return nil
	}
	bad, err := s.opt.Refuse(ctx, password)
	if err == nil && bad {
		err = store.Invalid(field, "guessable", "is known to be a bad one")
	}
	return err
}

// SetPassword gives a user a password; only the platform can. All their sessions end.
func (s *Service) SetPassword(ctx context.Context, user, password string) error {
	u, err := s.m.User(ctx, user)
	if err != nil {
		return err
	}
	if err := s.rules(ctx, "password", password, u); err != nil {
		return err
	}
	hash, err := s.hasher.make(ctx, password)
	if err != nil {
		return err
	}
	return s.keep(ctx, u, hash)
}

// ImportPassword gives a user a password by its hash, of argon2id or bcrypt; only the platform can. All their sessions end.
func (s *Service) ImportPassword(ctx context.Context, user, hash string) error {
	u, err := s.m.User(ctx, user)
	if err != nil {
		return err
	}
	if _, err := parseHash(hash); err != nil {
		return store.Invalid("hash", "pattern", "%s", err.Error())
	}
	return s.keep(ctx, u, hash)
}

func (s *Service) keep(ctx context.Context, u orgs.User, hash string) error {
	return s.change(ctx, rbac.Op{Action: "users.update"}, u.ID, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		return s.newPassword(ctx, tx, u.ID, "", hash, nil)
	})
}

// newPassword keeps a hash, ends all sessions but one, and describes that. also is what else changes.
func (s *Service) newPassword(ctx context.Context, tx *store.Tx, userID, but, hash string, also func(*orgs.Authenticators) error) (audit.Change, error) {
	a, err := orgs.LockAuthenticators(ctx, tx, userID)
	if err != nil {
		return audit.Change{}, err
	}
	if also != nil {
		if err := also(&a); err != nil {
			return audit.Change{}, err
		}
	}
	now := tx.Now()
	a.Password, a.PasswordAt, a.ResetHash, a.ResetEnds = hash, &now, nil, nil
	if err := orgs.AuthenticatorsOf.Update(ctx, tx, &a); err != nil {
		return audit.Change{}, err
	}
	n, err := orgs.EndAllSessions(ctx, tx, userID, but, "password_changed")
	return audit.Change{Type: PasswordType, Resource: audit.Resource{Type: "user", ID: userID}, Data: map[string]any{"sessions_ended": n}}, err
}

// ChangePassword changes one's own password, from a session. All other sessions end. A wrong present one is an
// *orgs.AuthError.
func (s *Service) ChangePassword(ctx context.Context, current, password string) error {
	began := time.Now()
	p, now, err := s.own(ctx)
	if err != nil {
		return err
	}
	if now.Pending {
		return denied("mfa_required", "user:"+p.ID, "verify a second factor")
	}
	if err := s.rules(ctx, "password", password, p.User); err != nil {
		return err
	}
	if err := s.holds(ctx, p, current, began, "change", now.ID); err != nil {
		return err
	}
	hash, err := s.hasher.make(ctx, password)
	if err != nil {
		return err
	}
	return s.change(ctx, rbac.Op{Action: "users.update", Open: true}, p.ID, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		return s.newPassword(ctx, tx, p.ID, now.ID, hash, func(a *orgs.Authenticators) error {
			if a.Password != p.auth.Password {
				return store.ErrConflict
			}
			return nil
		})
	})
}

// cut keeps a guess that no password can be from being hashed: it is wrong all the same.
func cut(guess string) string {
	if len(guess) > MaxPassword {
		return ""
	}
	return guess
}
