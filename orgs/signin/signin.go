// Package signin signs people in: by a password and, where they have one, a second factor, into a session of package orgs.
//
// [New] makes a [Service] of a manager. [Service.SignIn] takes an address and a password and starts a session, whose token
// the manager's Authenticate then turns into an actor; [Service.VerifyMFA] brings the second factor. Package
// orgs/httpapi/sessions serves it over HTTP. A host that knows its people in another way links none of this: it gives
// whatever it mounts a function that turns a request into an actor.
//
// # Passwords
//
// They are kept as argon2id (RFC 9106), with the parameters in each hash, and hashed anew at a sign-in when these have
// changed; a hash of bcrypt can be brought along and becomes one of argon2id that way. What is asked of a password is its
// length, and nothing of its characters (NIST SP 800-63B-4 §3.1.1.2). None is ever cut: bcrypt looks at 72 bytes, so to one of
// its hashes a longer password is wrong. It is compared byte by byte as it was sent; who takes it from a keyboard
// normalizes it (NFC).
//
// A password that is forgotten is set by a link that is mailed to the verified address of its user: it works once, for an
// hour, and the next one replaces it. It takes away no second factor and signs nobody in. A new password ends all sessions,
// but for that in which it was changed.
//
// # What an answer tells
//
// Whether there is a user of an address, whether they have a password, or are suspended: neither the answer nor its time
// tells. For an address that nobody has a hash is made too, and a refusal, as every answer to who asks for a link, comes
// at the earliest after [Options].AnswerAfter, which is longer than any of them takes.
//
// # Second factor
//
// It is TOTP (RFC 6238) with recovery codes, each of which works once. A code works once too: of a step of time that was
// used, or one before it, no code is taken. Who has a factor gives it at every sign-in, whatever organizations demand: until
// then the session is pending, and good for nothing else. Who has none and is asked for one by an organization
// (require_2fa) can sign in and enrol. To change how one signs in takes a sign-in, or, with a factor, a code, of the last
// [FreshFor]; the key of the factor is sealed at rest.
//
// # Brakes
//
// Guesses are slowed, never stopped, and never by locking an account: a lock is a way to keep its owner out. After some free
// tries each further one has to wait twice as long as the last one, up to a bound; a try is counted before it is known to be
// wrong, so that many at a time are no way around it. What is counted is chosen so that nobody can make somebody else wait
// who has proved before that it is them:
//
//   - From a device that has signed in to the account before and shows the secret that it was given then
//     ([SignedIn].Device), the tries of that device alone. Nobody else knows the secret, so nobody else can use them up, not
//     even behind the same address.
//   - From an address that has signed in to the account before, those of that address on this account. Guesses from
//     anywhere else, however many, do not count.
//   - From elsewhere, those of the address on this account, those of everybody from elsewhere on this account, and those of
//     the address on all accounts. So a guesser with many addresses, and one with many accounts, is slowed too.
//
// Who is slowed all the same, in a new place while somebody guesses, gets in by the link to their mailbox: it makes the place
// known. Who has a session is never asked. Second factors have brakes of their own, which only who has the password can wear
// out, and which recovery codes do not know: these are too long to be guessed.
//
// Rejected: captchas, which stop people sooner than programs; locks until somebody from the help desk acts; counting in
// memory, which several processes, or a restart, would each begin anew.
//
// # What is logged
//
// Every sign-in (authentication.login), second factor (.mfa), sign-out (.logout) and failure (.failed) is in the log of each
// organization of the person and in that of the platform; of failures the first of a kind in a minute, and then how many.
// That of an address which nobody has is in the log of the platform alone, without it: people type passwords there. Changes
// of how somebody signs in are in both, as events of the user. No password, code, key or token is in any event, error or log.
package signin

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

// Options of a [Service].
type Options struct {
	// Seal seals the keys of second factors; required. That of the manager.
	Seal *seal.Sealer
	// Issuer is who authenticators say that a code is for, such as the name of the host; required.
	Issuer string
	// MinPassword is how many characters a password has at least; 0 is 15, what NIST SP 800-63B-4 asks of one that may be
	// the only factor.
	MinPassword int
	// Refuse says of a password that it is known to be bad, such as one of a list of those that were stolen somewhere. Nil:
	// none is but those that are the person's own address or name.
	Refuse func(ctx context.Context, password string) (bool, error)
	// Argon2 are the parameters of new hashes; the zero value is [DefaultArgon2].
	Argon2 Argon2
	// Hashes is how many hashes are made at a time; 0 is as many as Go uses processors.
	Hashes int
	// Lifetime is how long a session lasts at most; 0 is 24 hours (NIST SP 800-63B-4 §2.2.3).
	Lifetime time.Duration
	// AnswerAfter is how long a refusal takes at least; 0 is 500 ms, less than 0 nothing. It has to be longer than the
	// slowest hash takes that was brought along.
	AnswerAfter time.Duration
}

// FreshFor is how long a sign-in, or a second factor, is good for changing how one signs in.
const FreshFor = 15 * time.Minute

// pendingFor is how long a session waits for its second factor.
const pendingFor = 10 * time.Minute

// The types of the events of this package, beside those of package orgs.
const (
	LoginType          = orgs.LoginType
	FailedType         = orgs.LoginFailedType
	MFAType            = "authentication.mfa"
	EnrolledType       = "user.mfa_enrolled"
	MFARemovedType     = "user.mfa_removed"
	RecoveryCodesType  = "user.recovery_codes"
	PasswordType       = "user.password_changed"
	ResetType          = "user.password_reset"
	ResetRequestedType = "user.password_reset_requested"
)

// Service signs people in. It is safe for concurrent use, and any number of processes may have one on the same store.
type Service struct {
	m      *orgs.Manager
	store  *store.Store
	opt    Options
	hasher *hasher
}

// New returns a service. An option that cannot work is an error.
func New(m *orgs.Manager, o *Options) (*Service, error) {
	if m == nil || o == nil {
		return nil, errors.New("signin: a manager and options are required")
	}
	s := &Service{m: m, store: m.Store(), opt: *o}
	if s.opt.Argon2 == (Argon2{}) {
		s.opt.Argon2 = DefaultArgon2
	}
	switch {
	case !o.Seal.Ready():
		return nil, errors.New("signin: a Sealer is required: keys of second factors are kept sealed")
	case o.Issuer == "":
		return nil, errors.New("signin: an Issuer is required: authenticators show it")
	case o.MinPassword < 0 || o.MinPassword > MaxPassword || o.Lifetime < 0 || o.Hashes < 0:
		return nil, errors.New("signin: an option is out of range")
	}
	if err := s.opt.Argon2.validate(); err != nil {
		return nil, err
	}
	if s.opt.MinPassword == 0 {
		s.opt.MinPassword = 15
	}
	if s.opt.Hashes == 0 {
		s.opt.Hashes = runtime.GOMAXPROCS(0)
	}
	if s.opt.Lifetime == 0 {
		s.opt.Lifetime = 24 * time.Hour
	}
	if s.opt.AnswerAfter == 0 {
		s.opt.AnswerAfter = 500 * time.Millisecond
	}
	s.hasher = newHasher(s.opt.Argon2, s.opt.Hashes)
	return s, nil
}

// Manager is that of the service.
func (s *Service) Manager() *orgs.Manager { return s.m }

// even waits until as much time has passed as a refusal takes, whatever it was for.
func (s *Service) even(ctx context.Context, began time.Time) {
	left := s.opt.AnswerAfter - time.Since(began)
	if left <= 0 {
		return
	}
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// errWrong is the one answer to wrong credentials, whatever is wrong.
var errWrong error = &orgs.AuthError{Code: "invalid_api_key"}

// maxEmail is how many bytes an address has at most (RFC 5321 §4.5.3.1.3).
const maxEmail = 254

// person is a user with what they sign in by.
type person struct {
	orgs.User
	auth  orgs.Authenticators
	orgs  []string
	known bool
}

// actor is the person as they come by this request.
func (p person) actor(ctx context.Context) audit.Actor {
	return audit.Actor{Type: audit.User, ID: p.ID, Label: p.Email}.From(ctx)
}

func (s *Service) byEmail(ctx context.Context, email string) (p person, err error) {
	if store.PlainText(email, maxEmail) != email {
		return p, nil // nobody's, and nothing to ask a database for
	}
	err = s.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		u, err := orgs.UserByEmail(ctx, tx, email)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		p, err = load(ctx, tx, u)
		return err
	})
	return p, err
}

func load(ctx context.Context, tx *store.Tx, u orgs.User) (p person, err error) {
	p = person{User: u, known: true}
	if p.auth, err = orgs.AuthenticatorsOf.Get(ctx, tx, u.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
		return p, err
	}
	p.orgs, err = orgs.OrganizationsOf(ctx, tx, u.ID)
	return p, err
}

// own is the person whose session the context is of, with the session.
func (s *Service) own(ctx context.Context) (p person, now orgs.Session, err error) {
	by, ok := audit.ActorFrom(ctx)
	if !ok {
		return p, now, rbac.ErrNoActor
	}
	err = s.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if now, err = orgs.OwnSession(ctx, tx); errors.Is(err, store.ErrNotFound) {
			return denied("permission_denied", "user:"+by.ID, "sign in")
		} else if err != nil {
			return err
		}
		u, err := orgs.UserByID(ctx, tx, now.UserID)
		if err != nil {
			return err
		}
		p, err = load(ctx, tx, u)
		return err
	})
	return p, now, err
}

func denied(code, resource, remedy string) error {
	return &rbac.Denied{Code: code, Action: "users.update", Resource: resource, Decision: rbac.Decision{Remedy: []string{remedy}}}
}

// fresh refuses to change how somebody signs in who has not proved of late that it is them.
func (p person) fresh(now time.Time, s orgs.Session) error {
	switch {
	case s.Pending, p.auth.Factor.IsSet() && (s.MFAVerifiedAt == nil || now.Sub(*s.MFAVerifiedAt) >= FreshFor):
		return denied("mfa_required", "user:"+p.ID, "verify a second factor again")
	case !p.auth.Factor.IsSet() && now.Sub(s.CreatedAt) >= FreshFor:
		return denied("permission_denied", "user:"+p.ID, "sign in again")
	}
	return nil
}

// failed tells the logs of a guess that was wrong.
func (s *Service) failed(ctx context.Context, p person, action, code string) {
	d := audit.Decision{Action: action, Code: code, Type: FailedType, Actor: audit.System("sign-in").From(ctx)}
	if p.known {
		d.Actor, d.Resource = p.actor(ctx), "user:"+p.ID
	}
	for _, orgID := range append([]string{""}, p.orgs...) {
		d.OrgID = orgID
		s.m.Audit().Decided(&d)
	}
}

// change changes something of a person for the actor of the context, with one event in the log of the platform and one in
// that of each of their organizations.
func (s *Service) change(ctx context.Context, op rbac.Op, userID string, fn func(ctx context.Context, tx *store.Tx) (audit.Change, error)) error {
	return s.m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		c, err := fn(ctx, tx)
		if err != nil {
			return c, err
		}
		if c.Resource == (audit.Resource{}) && c.After == nil {
			c.Resource = audit.Resource{Type: "user", ID: userID}
		}
		return c, s.m.AppendPersonal(ctx, tx, userID, op.Action, c)
	})
}
