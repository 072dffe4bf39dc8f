package signin

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Credentials are what somebody signs in with.
type Credentials struct {
	Email        string
	Password     string
	Organization string // id or slug of one whose rules for addresses count at once; "" for none
	Device       string // what an earlier sign-in has given this device; "" for none
}

// SignedIn is a session that has begun.
type SignedIn struct {
	Session orgs.Session
	Token   string // of the session, shown once
	User    orgs.User
	// MFARequired says that a second factor is needed before the session is good for what it is asked for: a code, where the
	// session is pending, or else an enrolment.
	MFARequired bool
	// Device is a secret for this device to keep and show at the next sign-in: see the package on brakes. "" where it has
	// shown one, and while the session is pending.
	Device string
}

// devicePrefix begins the secrets of devices.
const devicePrefix = "ok_dev_"

// SignIn starts a session. Wrong credentials are one *orgs.AuthError for every cause; *orgs.TooManyTries asks to wait; what
// the organization refuses is a *rbac.Denied ip_denied, and one that the person is nobody in store.ErrNotFound. The address
// of the client comes from the source of the context.
func (s *Service) SignIn(ctx context.Context, in Credentials) (out SignedIn, err error) {
	began := time.Now()
	in.Email = strings.TrimSpace(in.Email)
	switch {
	case in.Email == "":
		return out, store.Invalid("email", "required", "is required")
	case in.Password == "":
		return out, store.Invalid("password", "required", "is required")
	}
	if out, err = s.signIn(ctx, in); errors.Is(err, orgs.ErrUnauthenticated) {
		s.even(ctx, began)
	}
	return out, err
}

func (s *Service) signIn(ctx context.Context, in Credentials) (out SignedIn, err error) {
	p, stale, err := s.proves(ctx, in)
	if err != nil {
		return out, err
	}
	if err := s.admits(ctx, p, in.Organization); err != nil {
		return out, err
	}
	rehashed := ""
	if stale {
		if rehashed, err = s.hasher.make(ctx, in.Password); err != nil {
			return out, err
		}
	}
	return s.start(ctx, p, in.Device, rehashed)
}

// proves is whose credentials they are, and whether the hash of the password is to be made anew.
func (s *Service) proves(ctx context.Context, in Credentials) (p person, stale bool, err error) {
	if p, err = s.byEmail(ctx, in.Email); err != nil {
		return p, false, err
	}
	sides := p.sides(ctx, in)
	if err := s.try(ctx, sides...); err != nil {
		return p, false, err
	}
	is, stale, err := s.hasher.check(ctx, p.auth.Password, cut(in.Password))
	if err != nil {
		return p, false, err
	}
	if why := p.refuses(is, s.store.Now()); why != "" {
		s.failed(ctx, p, "sessions.create", why)
		return p, false, errWrong
	}
	s.forgive(ctx, sides...)
	return p, stale, nil
}

// refuses says in a word why somebody is not let in, "" for not at all.
func (p person) refuses(right bool, now time.Time) string {
	switch {
	case !p.known:
		return "unknown_address"
	case p.auth.Password == "":
		return "no_password"
	case !right:
		return "wrong_password"
	case p.State != rbac.Active:
		return "user_suspended"
	case p.Expired(now):
		return "user_expired"
	}
	return ""
}

// sides are what a try to sign in counts on, see the package. That of who tries alone is the first.
func (p person) sides(ctx context.Context, in Credentials) []side {
	from := client(audit.Actor{}.From(ctx).IP)
	account := orgs.HashSecret(orgs.EmailKey(in.Email))
	longest := 15 * time.Minute
	if p.knows(device(in.Device)) {
		return []side{{[]string{"device", account, in.Device}, 5, longest}}
	}
	pair := side{[]string{"pair", account, from}, 5, longest}
	if p.knows(address(p.ID, from)) {
		return []side{pair}
	}
	return []side{pair, {[]string{"account", account}, 20, longest}, {[]string{"client", from}, 50, time.Minute}}
}

// Places are known by hashes.
func device(secret string) string { return "d:" + orgs.HashSecret(secret) }

func address(userID, client string) string { return "a:" + orgs.HashSecret(userID+" "+client) }

func (p person) knows(place string) bool { return slices.Contains(p.auth.Places, place) }

// maxPlaces is how many places of a person are known, the latest.
const maxPlaces = 20

// remember makes places known.
func remember(a *orgs.Authenticators, places ...string) {
	a.Places = slices.DeleteFunc(slices.Clone(a.Places), func(p string) bool { return slices.Contains(places, p) })
	a.Places = append(a.Places, places...)
	a.Places = a.Places[max(0, len(a.Places)-maxPlaces):]
}

// arrive makes the place of the request known, and returns a secret for its device where it has shown none.
func arrive(ctx context.Context, a *orgs.Authenticators, shown string) (fresh string) {
	here := address(a.ID, client(audit.Actor{}.From(ctx).IP))
	if !slices.Contains(a.Places, device(shown)) {
		fresh = orgs.NewSecret(devicePrefix)
		shown = fresh
	}
	remember(a, here, device(shown))
	return fresh
}

// admits holds a sign-in against the rules of the organization that it is for. A factor is still to come.
func (s *Service) admits(ctx context.Context, p person, org string) error {
	switch {
	case org == "":
		return nil
	case store.PlainText(org, 300) != org: // nobody's, and nothing to ask a database for
		return store.ErrNotFound
	}
	ctx = audit.WithActor(ctx, p.actor(ctx))
	id, err := s.m.OrgID(ctx, org)
	if err != nil {
		return err
	}
	return s.m.Read(ctx, rbac.Op{Action: "sessions.create", OrgID: id, Self: true}, func(context.Context, *store.Tx) error { return nil })
}

// start starts the session of a person who has given the right password.
func (s *Service) start(ctx context.Context, p person, shown, rehashed string) (out SignedIn, err error) {
	ctx = audit.WithActor(ctx, p.actor(ctx))
	err = s.change(ctx, rbac.Op{Action: "sessions.create", Open: true}, p.ID, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		out = SignedIn{User: p.User}
		if _, err := s.rule(ctx, tx, p); err != nil {
			return audit.Change{}, err
		}
		in := orgs.NewSession{UserID: p.ID, Methods: []string{"pwd"}, Lifetime: s.opt.Lifetime}
		if in.Pending = p.auth.Factor.IsSet(); in.Pending {
			in.Lifetime = min(pendingFor, s.opt.Lifetime)
		}
		out.Session, out.Token, err = orgs.StartSession(ctx, tx, in)
		if err != nil {
			return audit.Change{}, err
		}
		a, err := orgs.LockAuthenticators(ctx, tx, p.ID)
		if err != nil {
			return audit.Change{}, err
		}
		if a.Password != p.auth.Password || a.Factor != p.auth.Factor {
			return audit.Change{}, store.ErrNotFound // what was checked is not so any more
		}
		if rehashed != "" {
			a.Password = rehashed
		}
		if !in.Pending {
			out.Device = arrive(ctx, &a, shown)
		}
		if err := orgs.AuthenticatorsOf.Update(ctx, tx, &a); err != nil {
			return audit.Change{}, err
		}
		needs, err := orgs.NeedsMFA(ctx, tx, p.ID)
		out.MFARequired = needs || in.Pending
		return audit.Created(&out.Session).As(LoginType), err
	})
	if errors.Is(err, store.ErrNotFound) { // suspended, or given another password, at this moment
		err = errWrong
	}
	if err != nil {
		return SignedIn{}, err
	}
	return out, nil
}

// rule refuses who has to sign in by the identity provider of an organization, and who may not do without a second factor.
func (s *Service) rule(ctx context.Context, tx *store.Tx, p person) (orgs.PasswordRule, error) {
	r, err := s.m.PasswordRuleOf(ctx, tx, p.ID)
	switch {
	case err != nil:
		return r, err
	case r.RefusedBy != "":
		return r, refused("sso_required", "organization:"+r.RefusedBy, "sign in by the identity provider of the organization")
	case len(r.BreakGlass) > 0 && !p.auth.Factor.IsSet():
		return r, refused("mfa_required", "organization:"+r.BreakGlass[0], "have a second factor, or sign in by the identity provider of the organization")
	}
	return r, nil
}

func refused(code, resource, remedy string) error {
	return &rbac.Denied{Code: code, Action: "sessions.create", Resource: resource, Decision: rbac.Decision{Remedy: []string{remedy}}}
}
