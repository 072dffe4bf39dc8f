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
)

// Admit signs somebody in who wants something else than a session, such as a token of a dialect: fn makes it, in the unit of the
// sign-in and for the person as the actor. Brakes, rules and answers are those of [Service.SignIn]; and there being nothing that
// could wait for a second factor, who has one, or has to, is a *rbac.Denied mfa_required.
func (s *Service) Admit(ctx context.Context, in Credentials, fn func(ctx context.Context, tx *store.Tx, u orgs.User) error) (u orgs.User, err error) {
	began := time.Now()
	in.Email = strings.TrimSpace(in.Email)
	p, _, err := s.proves(ctx, in)
	if err == nil {
		err = s.admit(ctx, p, fn)
	}
	if errors.Is(err, orgs.ErrUnauthenticated) {
		s.even(ctx, began)
	}
	return p.User, err
}

func (s *Service) admit(ctx context.Context, p person, fn func(ctx context.Context, tx *store.Tx, u orgs.User) error) error {
	ctx = audit.WithActor(ctx, p.actor(ctx))
	err := s.change(ctx, rbac.Op{Action: "sessions.create", Open: true}, p.ID, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if _, err := s.rule(ctx, tx, p); err != nil {
			return audit.Change{}, err
		}
		needs, err := orgs.NeedsMFA(ctx, tx, p.ID)
		switch {
		case err != nil:
			return audit.Change{}, err
		case needs || p.auth.Factor.IsSet():
			return audit.Change{}, refused("mfa_required", "user:"+p.ID, "sign in where a second factor can be given")
		}
		a, err := orgs.LockAuthenticators(ctx, tx, p.ID)
		if err != nil {
			return audit.Change{}, err
		}
		if a.Password != p.auth.Password || a.Factor != p.auth.Factor {
			return audit.Change{}, store.ErrNotFound // what was checked is not so any more
		}
		remember(&a, address(a.ID, client(audit.Actor{}.From(ctx).IP)))
		if err := orgs.AuthenticatorsOf.Update(ctx, tx, &a); err != nil {
			return audit.Change{}, err
		}
		return audit.Change{Type: LoginType}, fn(ctx, tx, p.User)
	})
	if errors.Is(err, store.ErrNotFound) {
		err = errWrong
	}
	return err
}

// Prove holds a password against that of the person who acts, whatever they came by: for who lets somebody change how they sign
// in. A wrong one is an *orgs.AuthError; *orgs.TooManyTries asks to wait.
func (s *Service) Prove(ctx context.Context, password string) error {
	began := time.Now()
	by, ok := audit.ActorFrom(ctx)
	if !ok {
		return rbac.ErrNoActor
	}
	var p person
	err := s.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		u, err := orgs.UserByID(ctx, tx, by.Person())
		if err != nil {
			return err
		}
		p, err = load(ctx, tx, u)
		return err
	})
	if err != nil {
		return err
	}
	return s.holds(ctx, p, password, began, "prove", p.ID)
}

// holds compares a password with that of somebody who is signed in. Those who guess at one of the same brake are slowed down
// together. began is when the question came.
func (s *Service) holds(ctx context.Context, p person, password string, began time.Time, brake ...string) error {
	guess := side{of: brake, free: 5, longest: 15 * time.Minute}
	if err := s.try(ctx, guess); err != nil {
		return err
	}
	is, _, err := s.hasher.check(ctx, p.auth.Password, cut(password))
	if err != nil {
		return err
	}
	if !is {
		s.failed(ctx, p, "users.update", "wrong_password")
		s.even(ctx, began)
		return errWrong
	}
	s.forgive(ctx, guess)
	return nil
}

// HasPassword says whether a user signs in by a password. Like [orgs.UserByEmail] it asks nobody.
func HasPassword(ctx context.Context, tx *store.Tx, userID string) (bool, error) {
	a, err := orgs.AuthenticatorsOf.Get(ctx, tx, userID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return a.Password != "", err
}
