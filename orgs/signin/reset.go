package signin

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

// ResetFor is how long a link works that sets a password.
const ResetFor = time.Hour

const resetPrefix = "ok_rst_"

// ErrNoMail: the host mails nothing, so nobody can be sent a link; the platform makes one by [Service.NewReset].
var ErrNoMail = errors.New("the host does not mail")

// RequestReset mails a link that sets a password, to the verified address of an active user, at most a few in an hour.
// Whether there is one the answer does not tell, nor its time. *orgs.TooManyTries asks a client to wait who has asked for
// many.
func (s *Service) RequestReset(ctx context.Context, email string) error {
	began := time.Now()
	if !s.m.Mails() {
		return ErrNoMail
	}
	if email = strings.TrimSpace(email); email == "" {
		return store.Invalid("email", "required", "is required")
	}
	from := client(audit.Actor{}.From(ctx).IP)
	if err := s.try(ctx, side{[]string{"reset-client", from}, 20, 15 * time.Minute}); err != nil {
		return err
	}
	err := s.requestReset(ctx, email)
	s.even(ctx, began)
	return err
}

func (s *Service) requestReset(ctx context.Context, email string) error {
	p, err := s.byEmail(ctx, email)
	if err != nil {
		return err
	}
	var wait *orgs.TooManyTries
	if err := s.try(ctx, side{[]string{"reset", orgs.EmailKey(email)}, 3, time.Hour}); errors.As(err, &wait) {
		return nil // the mailbox has had enough of them
	} else if err != nil {
		return err
	}
	if !p.known || p.State != rbac.Active || !p.EmailVerified {
		return nil
	}
	_, err = s.reset(audit.WithActor(ctx, audit.System("password reset").From(ctx)), p.User, true)
	if errors.Is(err, store.ErrNotFound) { // deleted at this moment
		return nil
	}
	return err
}

// NewReset returns the token of a link that sets the password of a user, for the platform to hand over; only it can.
func (s *Service) NewReset(ctx context.Context, user string) (token string, err error) {
	u, err := s.m.User(ctx, user)
	if err != nil {
		return "", err
	}
	return s.reset(ctx, u, false)
}

func (s *Service) reset(ctx context.Context, u orgs.User, mailed bool) (token string, err error) {
	err = s.m.Change(ctx, rbac.Op{Action: "users.update"}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		a, err := orgs.LockAuthenticators(ctx, tx, u.ID)
		if err != nil {
			return audit.Change{}, err
		}
		token = orgs.NewSecret(resetPrefix)
		hash, ends := orgs.HashSecret(token), tx.Now().Add(ResetFor)
		a.ResetHash, a.ResetEnds = &hash, &ends
		if err := orgs.AuthenticatorsOf.Update(ctx, tx, &a); err != nil {
			return audit.Change{}, err
		}
		if mailed {
			if err := s.m.MailReset(ctx, tx, u, orgs.PasswordReset{UserID: u.ID, ExpiresAt: ends, Token: seal.NewSecret(token)}); err != nil {
				return audit.Change{}, err
			}
		}
		return audit.Change{Type: ResetRequestedType, Resource: u.AuditResource()}, nil
	})
	return token, err
}

// ResetPassword sets a password by the token of a link, once. All sessions of the person end. A link that was used,
// replaced or is too old, or never was one, is a *store.ConflictError link_expired.
func (s *Service) ResetPassword(ctx context.Context, token, password string) error {
	expired := &store.ConflictError{Code: "link_expired", Message: "the link was used or replaced, or is too old"}
	hash := orgs.HashSecret(token)
	var p person
	err := s.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		a, err := orgs.OpenReset(ctx, tx, hash)
		if err != nil {
			return err
		}
		u, err := orgs.UserByID(ctx, tx, a.ID)
		if err == nil && u.State != rbac.Active {
			err = store.ErrNotFound
		}
		p = person{User: u}
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return expired
	} else if err != nil {
		return err
	}
	if err := s.rules(ctx, "password", password, p.User); err != nil {
		return err
	}
	made, err := s.hasher.make(ctx, password)
	if err != nil {
		return err
	}
	ctx = audit.WithActor(ctx, p.actor(ctx))
	return s.change(ctx, rbac.Op{Action: "users.update", Open: true}, p.ID, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		c, err := s.newPassword(ctx, tx, p.ID, "", made, func(a *orgs.Authenticators) error {
			if a.ResetHash == nil || *a.ResetHash != hash || !tx.Now().Before(*a.ResetEnds) {
				return expired
			}
			remember(a, address(p.ID, client(audit.Actor{}.From(ctx).IP)))
			return nil
		})
		return c.As(ResetType), err
	})
}
