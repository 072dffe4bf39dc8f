package signin

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

// Enrolment is a second factor that is offered: it counts when it was confirmed by a code.
type Enrolment struct {
	Secret string // for who types it in
	URL    string // otpauth, for a QR code
}

// MFA is what there is to say of the second factor of a person.
type MFA struct {
	EnrolledAt    *time.Time // nil: there is none
	RecoveryCodes int        // that are left
}

// MFA says what second factor a user has: one's own, or anybody's for the platform.
func (s *Service) MFA(ctx context.Context, user string) (m MFA, err error) {
	u, err := s.m.User(ctx, user)
	if err != nil {
		return m, err
	}
	err = s.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		a, err := orgs.AuthenticatorsOf.Get(ctx, tx, u.ID)
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		m = MFA{EnrolledAt: a.FactorAt, RecoveryCodes: len(a.Recovery)}
		return err
	})
	return m, err
}

// keyPlace is where the key of a factor is kept: of a person, since people belong to no organization.
func keyPlace(userID string) seal.Place {
	return seal.Place{OrgID: userID, Field: "signin.totp"}
}

// Enrol offers a second factor to who signed in of late, in place of one that they have if they have verified that. It
// counts when [Service.ConfirmMFA] has seen a code of it.
func (s *Service) Enrol(ctx context.Context) (e Enrolment, err error) {
	p, now, err := s.own(ctx)
	if err != nil {
		return e, err
	}
	if err := p.fresh(s.store.Now(), now); err != nil {
		return e, err
	}
	key := newTOTPKey()
	sealed, err := s.opt.Seal.Seal(seal.NewSecret(key), keyPlace(p.ID))
	if err != nil {
		return e, err
	}
	err = s.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		a, err := orgs.LockAuthenticators(ctx, tx, p.ID)
		if err != nil {
			return err
		}
		at := tx.Now()
		a.Offered, a.OfferedAt = sealed, &at
		return orgs.AuthenticatorsOf.Update(ctx, tx, &a)
	})
	return Enrolment{Secret: key, URL: totpURL(s.opt.Issuer, p.Email, key)}, err
}

var errNoOffer = &store.ConflictError{Code: "conflict", Message: "no second factor is offered, or it was too long ago"}

// ConfirmMFA makes the offered factor count, by a code of it, and returns new recovery codes, which are shown once. All
// other sessions of the person end. A wrong code is an *orgs.AuthError.
func (s *Service) ConfirmMFA(ctx context.Context, code string) (recovery []string, err error) {
	began := time.Now()
	p, now, err := s.own(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.fresh(s.store.Now(), now); err != nil {
		return nil, err
	}
	if p.auth.OfferedAt == nil || s.store.Now().Sub(*p.auth.OfferedAt) >= FreshFor {
		return nil, errNoOffer
	}
	guess := mfaSide(now)
	if err := s.try(ctx, guess); err != nil {
		return nil, err
	}
	key, err := s.opt.Seal.Open(p.auth.Offered, keyPlace(p.ID))
	if err != nil {
		return nil, err
	}
	step, right := totpMatch(key.Reveal(), code, s.store.Now(), 0)
	if !right {
		s.failed(ctx, p, "sessions.verify", "wrong_code")
		s.even(ctx, began)
		return nil, errWrong
	}
	s.forgive(ctx, guess)
	err = s.change(ctx, rbac.Op{Action: "users.update", Open: true}, p.ID, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if _, err := s.proved(ctx, tx, now, "otp"); err != nil {
			return audit.Change{}, err
		}
		a, err := orgs.LockAuthenticators(ctx, tx, p.ID)
		if err != nil {
			return audit.Change{}, err
		}
		if a.Offered != p.auth.Offered {
			return audit.Change{}, errNoOffer
		}
		at := tx.Now()
		a.Factor, a.FactorAt, a.FactorStep, a.Offered, a.OfferedAt = a.Offered, &at, step, "", nil
		recovery, a.Recovery = newRecovery()
		if err := orgs.AuthenticatorsOf.Update(ctx, tx, &a); err != nil {
			return audit.Change{}, err
		}
		n, err := orgs.EndAllSessions(ctx, tx, p.ID, now.ID, "mfa_enrolled")
		return audit.Change{Type: EnrolledType, Data: map[string]any{"sessions_ended": n}}, err
	})
	if err != nil {
		return nil, err
	}
	return recovery, nil
}

func mfaSide(now orgs.Session) side {
	return side{[]string{"mfa-session", now.ID}, 5, 15 * time.Minute}
}

// proved notes the proof in the session of the context.
func (s *Service) proved(ctx context.Context, tx *store.Tx, now orgs.Session, method string) (orgs.Session, error) {
	return orgs.ProveSession(ctx, tx, orgs.Proof{UserID: now.UserID, SessionID: now.ID, Method: method, Lifetime: s.opt.Lifetime})
}

// newRecovery returns recovery codes and what is kept of them.
func newRecovery() (codes, hashes []string) {
	for range recoveryCodes {
		code := newRecoveryCode()
		codes, hashes = append(codes, code), append(hashes, orgs.HashSecret(plainRecovery(code)))
	}
	return codes, hashes
}

// Proof is a second factor as it is given: a code of the authenticator, or one of those for recovery.
type Proof struct {
	Code     string
	Recovery string
	Device   string // as in [Credentials]
}

// VerifyMFA takes the second factor of the session in which the actor acts, and returns it, with a secret for the device as
// [SignedIn] has it. It lets a pending session begin, and renews the age of the proof that the mfa condition asks for. A
// wrong or used code is an *orgs.AuthError.
func (s *Service) VerifyMFA(ctx context.Context, in Proof) (now orgs.Session, device string, err error) {
	began := time.Now()
	p, before, err := s.own(ctx)
	if err != nil {
		return now, "", err
	}
	switch {
	case !p.auth.Factor.IsSet():
		return now, "", &store.ConflictError{Code: "conflict", Message: "there is no second factor; enrol one"}
	case (in.Code == "") == (in.Recovery == ""):
		return now, "", store.Invalid("code", "required", "is required, or a recovery_code instead")
	}
	sides := []side{mfaSide(before)}
	if in.Code != "" {
		sides = append(sides, side{[]string{"mfa", p.ID}, 20, 15 * time.Minute})
	}
	if err := s.try(ctx, sides...); err != nil {
		return now, "", err
	}
	if why, err := s.use(&p.auth, in, s.store.Now()); err != nil {
		return now, "", err
	} else if why != "" {
		s.failed(ctx, p, "sessions.verify", why)
		s.even(ctx, began)
		return now, "", errWrong
	}
	s.forgive(ctx, sides...)
	err = s.change(ctx, rbac.Op{Action: "sessions.verify", Open: true}, p.ID, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		method := "otp"
		if in.Recovery != "" {
			method = "recovery"
		}
		after, err := s.proved(ctx, tx, before, method)
		if err != nil {
			return audit.Change{}, err
		}
		if before.Pending { // it began by a password
			rule, err := s.rule(ctx, tx, p)
			if err == nil {
				err = s.m.BrokeGlass(ctx, tx, after, rule.BreakGlass)
			}
			if err != nil {
				return audit.Change{}, err
			}
		}
		a, err := orgs.LockAuthenticators(ctx, tx, p.ID)
		if err != nil {
			return audit.Change{}, err
		}
		if why, err := s.use(&a, in, tx.Now()); err != nil || why != "" { // somebody has used it at this moment
			return audit.Change{}, errors.Join(err, errWrong)
		}
		device = arrive(ctx, &a, in.Device)
		if err := orgs.AuthenticatorsOf.Update(ctx, tx, &a); err != nil {
			return audit.Change{}, err
		}
		c := audit.Updated(before, &after).As(MFAType)
		c.Data = map[string]any{"method": method, "recovery_codes": len(a.Recovery)}
		now = after
		return c, nil
	})
	if err != nil {
		return now, "", err
	}
	return now, device, nil
}

// use takes a factor from the authenticators, or says in a word why it cannot.
func (s *Service) use(a *orgs.Authenticators, in Proof, now time.Time) (why string, err error) {
	if in.Recovery != "" {
		i := slices.Index(a.Recovery, orgs.HashSecret(plainRecovery(in.Recovery)))
		if i < 0 {
			return "wrong_recovery_code", nil
		}
		a.Recovery = slices.Delete(slices.Clone(a.Recovery), i, i+1)
		return "", nil
	}
	if !a.Factor.IsSet() {
		return "wrong_code", nil
	}
	key, err := s.opt.Seal.Open(a.Factor, keyPlace(a.ID))
	if err != nil {
		return "", err
	}
	step, fresh := totpMatch(key.Reveal(), in.Code, now, a.FactorStep)
	switch {
	case fresh:
		a.FactorStep = step
		return "", nil
	case step != 0:
		return "used_code", nil
	}
	return "wrong_code", nil
}

// NewRecoveryCodes replaces the recovery codes of who has verified their factor of late, and returns them, once.
func (s *Service) NewRecoveryCodes(ctx context.Context) (codes []string, err error) {
	p, now, err := s.own(ctx)
	if err != nil {
		return nil, err
	}
	if !p.auth.Factor.IsSet() {
		return nil, &store.ConflictError{Code: "conflict", Message: "there is no second factor; enrol one"}
	}
	if err := p.fresh(s.store.Now(), now); err != nil {
		return nil, err
	}
	err = s.change(ctx, rbac.Op{Action: "users.update", Open: true}, p.ID, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		a, err := orgs.LockAuthenticators(ctx, tx, p.ID)
		if err != nil {
			return audit.Change{}, err
		}
		codes, a.Recovery = newRecovery()
		return audit.Change{Type: RecoveryCodesType}, orgs.AuthenticatorsOf.Update(ctx, tx, &a)
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}

// RemoveMFA takes the second factor of a user away, with what was proved by it: one's own, verified of late, or, for the
// platform, that of somebody who has lost it.
func (s *Service) RemoveMFA(ctx context.Context, user string) error {
	u, err := s.m.User(ctx, user)
	if err != nil {
		return err
	}
	if by, _ := audit.ActorFrom(ctx); !by.Sovereign() {
		p, now, err := s.own(ctx)
		if err != nil {
			return err
		}
		if err := p.fresh(s.store.Now(), now); err != nil {
			return err
		}
	}
	return s.change(ctx, rbac.Op{Action: "users.update", Open: true}, u.ID, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if err := orgs.ForgetProof(ctx, tx, u.ID); err != nil {
			return audit.Change{}, err
		}
		a, err := orgs.LockAuthenticators(ctx, tx, u.ID)
		if err != nil {
			return audit.Change{}, err
		}
		if !a.Factor.IsSet() {
			return audit.Change{}, &store.ConflictError{Code: "conflict", Message: "there is no second factor"}
		}
		a.Factor, a.FactorAt, a.FactorStep, a.Offered, a.OfferedAt, a.Recovery = "", nil, 0, "", nil, nil
		return audit.Change{Type: MFARemovedType}, orgs.AuthenticatorsOf.Update(ctx, tx, &a)
	})
}
