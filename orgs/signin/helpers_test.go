package signin_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

// cheap is hardly any work.
var cheap = signin.Argon2{MemoryKiB: 64, Passes: 1, Lanes: 1}

const (
	password = "correct horse battery staple"
	home     = "198.51.100.7"
)

// world is an organization with one member, who can sign in.
type world struct {
	*orgstest.World
	*signin.Service
	t     testing.TB
	clock *storetest.Clock
	mails *orgstest.Notifications
	seal  *seal.Sealer
	org   orgs.Organization
	owner orgs.User
	user  orgs.User
}

func each(t *testing.T, fn func(t *testing.T, w *world)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) { fn(t, newWorld(t, s, clock, nil)) })
}

// onMemory is each for what no store has to do with.
func onMemory(t *testing.T, change func(o *signin.Options)) *world {
	clock := storetest.NewClock()
	return newWorld(t, storetest.Open(t, "memory", store.Options{Now: clock.Now}), clock, change)
}

func newWorld(t testing.TB, s *store.Store, clock *storetest.Clock, change func(o *signin.Options)) *world {
	t.Helper()
	key, err := seal.ParseKey(seal.GenerateKey())
	require.NoError(t, err)
	w := &world{t: t, clock: clock, mails: &orgstest.Notifications{}}
	w.seal, err = seal.New(key)
	require.NoError(t, err)
	w.World = orgstest.New(t, s, &orgs.Options{Notifier: w.mails, Seal: w.seal, Options: rbac.Options{Audit: audit.Options{NoBackground: true}}})
	w.Service = w.service(change)
	w.org, w.owner = w.Org("acme")
	w.user = w.User("Ann@acme.example")
	w.Add(orgs.Place{OrgID: w.org.ID}, w.user, "member")
	require.NoError(t, w.SetPassword(w.Platform(), w.user.ID, password))
	w.mails.Take()
	return w
}

// service is another one on the same store.
func (w *world) service(change func(o *signin.Options)) *signin.Service {
	w.t.Helper()
	o := &signin.Options{Seal: w.seal, Issuer: "Example AI", Argon2: cheap, AnswerAfter: -1}
	if change != nil {
		change(o)
	}
	s, err := signin.New(w.World.Manager, o)
	require.NoError(w.t, err)
	return s
}

// from is a request that nobody has authenticated, from an address.
func (w *world) from(ip string) context.Context {
	return audit.WithSource(w.t.Context(), audit.Source{IP: netip.MustParseAddr(ip), UserAgent: "test", RequestID: "req_1"})
}

// in is a request in a session, as the edge of a host makes it.
func (w *world) in(token, ip string) context.Context {
	w.t.Helper()
	ctx := w.from(ip)
	a, err := w.AuthenticatePending(ctx, token)
	require.NoError(w.t, err)
	return audit.WithActor(ctx, a)
}

// signIn signs the user in from home.
func (w *world) signIn() (context.Context, signin.SignedIn) {
	w.t.Helper()
	out, err := w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: password})
	require.NoError(w.t, err)
	return w.in(out.Token, home), out
}

// enrol gives the user a second factor, and returns its key, the recovery codes and the session.
func (w *world) enrol() (key string, codes []string, ctx context.Context) {
	w.t.Helper()
	ctx, _ = w.signIn()
	e, err := w.Enrol(ctx)
	require.NoError(w.t, err)
	codes, err = w.ConfirmMFA(ctx, signin.TOTPCode(e.Secret, w.clock.Now()))
	require.NoError(w.t, err)
	return e.Secret, codes, ctx
}

// code is the next code that was not used.
func (w *world) code(key string) string {
	w.clock.Advance(30 * time.Second)
	return signin.TOTPCode(key, w.clock.Now())
}

// types are those of events in a log that are of signing in and no failures, oldest first.
func (w *world) types(org string) (list []string) {
	w.t.Helper()
	page, err := w.Audit().List(w.t.Context(), org, audit.Filter{Types: []string{"authentication.*", signin.EnrolledType, signin.MFARemovedType,
		signin.RecoveryCodesType, signin.PasswordType, signin.ResetType, signin.ResetRequestedType}, Outcome: audit.Success, Ascending: true, Limit: audit.MaxPage})
	require.NoError(w.t, err)
	for _, e := range page.Items {
		list = append(list, e.Type)
	}
	return list
}

func wrong(t testing.TB, err error, why ...any) {
	t.Helper()
	var auth *orgs.AuthError
	require.ErrorAs(t, err, &auth, why...)
	require.Equal(t, "invalid_api_key", auth.Code)
}

// braked is how long somebody has to wait.
func braked(t testing.TB, err error) time.Duration {
	t.Helper()
	var wait *orgs.TooManyTries
	require.ErrorAs(t, err, &wait)
	return wait.RetryAfter
}

func refused(t testing.TB, err error, code string) {
	t.Helper()
	var d *rbac.Denied
	require.ErrorAs(t, err, &d)
	require.Equal(t, code, d.Code)
}

func invalid(t testing.TB, err error, field, code string) {
	t.Helper()
	var f *store.FieldError
	require.ErrorAs(t, err, &f)
	require.Equal(t, []string{field, code}, []string{f.Field, f.Code})
}

func conflict(t testing.TB, err error, code string) {
	t.Helper()
	var c *store.ConflictError
	require.ErrorAs(t, err, &c)
	require.Equal(t, code, c.Code)
}
