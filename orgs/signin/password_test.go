package signin_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

func TestSigningInByPassword(t *testing.T) { // F002, F005, F276
	each(t, func(t *testing.T, w *world) {
		out, err := w.SignIn(w.from(home), signin.Credentials{Email: " ANN@acme.example", Password: password, Organization: "acme"})
		require.NoError(t, err)
		require.Equal(t, w.user.ID, out.User.ID)
		require.False(t, out.MFARequired)
		require.Equal(t, w.clock.Now().Add(24*time.Hour), out.Session.ExpiresAt)
		require.Equal(t, []any{[]string{"pwd"}, home, "test"}, []any{out.Session.Methods, out.Session.IP, out.Session.UserAgent})
		a, err := w.Authenticate(w.from(home), out.Token)
		require.NoError(t, err)
		require.True(t, a.Session)
		require.NoError(t, second(w.Organization(audit.WithActor(t.Context(), a), w.org.ID)))

		page, err := w.AccessLog(w.As(w.owner), w.org.ID, audit.Filter{Types: []string{"authentication.*"}})
		require.NoError(t, err)
		last := page.Items[0]
		require.Equal(t, []any{orgs.Login, w.user.Email, true, signin.LoginType, home, w.user.ID, out.Session.ID},
			[]any{last.Did, last.Who, last.Granted, last.Type, last.IP, last.ActorID, last.ResourceID})
		require.Contains(t, w.types(""), signin.LoginType)
	})
}

func second[A any](_ A, err error) error { return err }

// TestEveryWrongWayInHasOneAnswer: unknown, without password, wrong, and suspended.
func TestEveryWrongWayInHasOneAnswer(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		gone := w.User("gone@acme.example")
		require.NoError(t, w.SetPassword(w.Platform(), gone.ID, password))
		suspended := rbac.Suspended
		require.NoError(t, second(w.UpdateUser(w.Platform(), gone.ID, orgs.UserUpdate{Status: &suspended})))
		for _, in := range []signin.Credentials{
			{Email: "nobody@acme.example", Password: password},
			{Email: "nobody", Password: password},
			{Email: "a\x00b@acme.example", Password: password},
			{Email: strings.Repeat("a", 1000) + "@acme.example", Password: password},
			{Email: w.owner.Email, Password: password},
			{Email: w.user.Email, Password: "x"},
			{Email: w.user.Email, Password: strings.Repeat("x", 5000)},
			{Email: w.user.Email, Password: password + " "},
			{Email: gone.Email, Password: password},
			{Email: w.user.Email, Password: "wrong", Organization: "no-such"},
		} {
			_, err := w.SignIn(w.from(home), in)
			wrong(t, err)
			require.EqualError(t, err, "the credential is not valid")
		}
		invalid(t, second(w.SignIn(w.from(home), signin.Credentials{Password: "x"})), "email", "required")
		invalid(t, second(w.SignIn(w.from(home), signin.Credentials{Email: "x"})), "password", "required")
	})
}

func TestFailuresAreLogged(t *testing.T) { // F276
	each(t, func(t *testing.T, w *world) {
		for range 3 {
			wrong(t, second(w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: "wrong"})))
		}
		wrong(t, second(w.SignIn(w.from(home), signin.Credentials{Email: "my password by mistake", Password: "wrong"})))
		page, err := w.AccessLog(w.As(w.owner), w.org.ID, audit.Filter{Types: []string{signin.FailedType}})
		require.NoError(t, err)
		require.Len(t, page.Items, 1, "of a minute one is enough")
		last := page.Items[0]
		require.Equal(t, []any{orgs.Login, w.user.Email, false, "wrong_password", home}, []any{last.Did, last.Who, last.Granted, last.Code, last.IP})
		all, err := w.Audit().List(t.Context(), "", audit.Filter{Types: []string{signin.FailedType}})
		require.NoError(t, err)
		require.Len(t, all.Items, 2)
		for _, e := range all.Items {
			require.NotContains(t, e.ActorLabel+string(e.Data)+string(e.After)+e.ResourceID, "mistake")
		}
	})
}

// TestAnswersTakeTheSameTime: a refusal, and every answer to who asks for a link.
func TestAnswersTakeTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := onMemory(t, func(o *signin.Options) { o.AnswerAfter = time.Second })
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		require.NoError(t, err)
		require.NoError(t, w.ImportPassword(w.Platform(), w.owner.ID, string(hash)))
		for _, email := range []string{w.user.Email, w.owner.Email, "nobody@acme.example"} {
			began := time.Now()
			wrong(t, second(w.SignIn(w.from(home), signin.Credentials{Email: email, Password: "wrong"})))
			require.Equal(t, time.Second, time.Since(began), email)
			for range 4 { // the last one is not mailed
				began = time.Now()
				require.NoError(t, w.RequestReset(w.from(home), email))
				require.Equal(t, time.Second, time.Since(began), email)
			}
		}
		began := time.Now()
		_, _ = w.signIn()
		require.Zero(t, time.Since(began))
		ctx, cancel := context.WithCancel(w.from(home))
		cancel()
		began = time.Now()
		require.Error(t, second(w.SignIn(ctx, signin.Credentials{Email: w.user.Email, Password: "wrong"})))
		require.Zero(t, time.Since(began), "who has gone waits for nothing")
	})
}

func TestWhatAPasswordHasToBe(t *testing.T) {
	w := onMemory(t, func(o *signin.Options) {
		o.Refuse = func(_ context.Context, p string) (bool, error) {
			if p == "the list is unreachable" {
				return false, errors.New("unreachable")
			}
			return p == "passwordpassword", nil
		}
	})
	name := "Ann-Sophie Somebody"
	require.NoError(t, second(w.UpdateUser(w.Platform(), w.user.ID, orgs.UserUpdate{Name: &name})))
	for text, code := range map[string]string{
		"":                           "required",
		"short":                      "range",
		strings.Repeat("ä", 14):      "range",
		strings.Repeat("x", 1025):    "range",
		"not \xff plain text at all": "pattern",
		"with a NUL\x00 character":   "pattern",
		"ann@ACME.example":           "guessable",
		"ann-sophie somebody":        "guessable",
		"passwordpassword":           "guessable",
	} {
		invalid(t, w.SetPassword(w.Platform(), w.user.ID, text), "password", code)
	}
	require.EqualError(t, w.SetPassword(w.Platform(), w.user.ID, "the list is unreachable"), "unreachable")
	for _, good := range []string{strings.Repeat("ä", 15), strings.Repeat("x", 1024), "               ", "日本語のパスワードは長くてもよい。"} {
		require.NoError(t, w.SetPassword(w.Platform(), w.user.ID, good))
		require.NoError(t, second(w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: good})))
		wrong(t, second(w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: good[:len(good)-1] + "y"})))
	}
}

func TestOnlyThePlatformSetsPasswords(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, _ := w.signIn()
		refused(t, w.SetPassword(ctx, "me", "another good password"), "permission_denied")
		require.ErrorIs(t, w.SetPassword(w.As(w.owner), w.user.ID, "another good password"), store.ErrNotFound)
		require.ErrorIs(t, w.ImportPassword(w.As(w.owner), w.user.ID, ""), store.ErrNotFound)
		require.ErrorIs(t, w.SetPassword(t.Context(), w.user.ID, "another good password"), rbac.ErrNoActor)
		require.NoError(t, w.SetPassword(w.Platform(), w.user.ID, "another good password"))
		_, err := w.Authenticate(t.Context(), "")
		require.ErrorIs(t, err, orgs.ErrUnauthenticated)
		wrong(t, second(w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: password})))
		require.NoError(t, second(w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: "another good password"})))
	})
}

// hashOf is what is kept of the user's password.
func (w *world) hashOf(u orgs.User) (hash string) {
	require.NoError(w.t, w.Store().View(w.t.Context(), func(ctx context.Context, tx *store.Tx) error {
		a, err := orgs.AuthenticatorsOf.Get(ctx, tx, u.ID)
		hash = a.Password
		return err
	}))
	return hash
}

func TestHashesThatWereBroughtAlongBecomeOurs(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		old, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		require.NoError(t, err)
		php := "$2y$" + string(old)[4:]
		require.NoError(t, w.ImportPassword(w.Platform(), w.user.ID, php))
		require.Equal(t, php, w.hashOf(w.user))
		wrong(t, second(w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: "wrong"})))
		require.Equal(t, php, w.hashOf(w.user))
		w.signIn()
		ours := w.hashOf(w.user)
		require.True(t, strings.HasPrefix(ours, "$argon2id$v=19$m=64,t=1,p=1$"), ours)
		w.signIn()
		require.Equal(t, ours, w.hashOf(w.user), "once")

		costlier := w.service(func(o *signin.Options) { o.Argon2.Passes = 2 })
		require.NoError(t, second(costlier.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: password})))
		require.True(t, strings.HasPrefix(w.hashOf(w.user), "$argon2id$v=19$m=64,t=2,p=1$"))
	})
}

func TestNothingOfAPasswordIsCut(t *testing.T) {
	w := onMemory(t, nil)
	long := strings.Repeat("x", 72)
	hash, err := bcrypt.GenerateFromPassword([]byte(long), bcrypt.MinCost)
	require.NoError(t, err)
	require.NoError(t, w.ImportPassword(w.Platform(), w.user.ID, string(hash)))
	wrong(t, second(w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: long + "y"})))
	require.NoError(t, second(w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: long})))
	wrong(t, second(w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: long + "y"})))
}

func TestHashesThatAreNoneOrCostTooMuchAreRefused(t *testing.T) {
	w := onMemory(t, nil)
	hash := w.hashOf(w.user)
	for _, bad := range []string{"", "x", password, strings.ToUpper(hash), hash + "$", hash + "=", strings.Replace(hash, "argon2id", "argon2i", 1),
		strings.Replace(hash, "v=19", "v=16", 1), strings.Replace(hash, "m=64", "m=4000000", 1), strings.Replace(hash, "t=1", "t=0", 1), strings.Replace(hash, "t=1", "t=17", 1),
		strings.Replace(hash, "p=1", "p=0", 1), strings.Replace(hash, "p=1", "p=257", 1), strings.Replace(hash, "m=64", "m=064", 1), strings.Replace(hash, "m=64", "m=7", 1),
		strings.Replace(hash, "m=64,t=1", "t=1,m=64", 1), "$argon2id$v=19$m=64,t=1,p=1$YQ$YQ", "$2a$16$" + strings.Repeat("a", 53), "$2a$03$" + strings.Repeat("a", 53),
		"$2x$10$" + strings.Repeat("a", 53), "$2a$10$" + strings.Repeat("a", 52), "$5$rounds=5000$salt$hash"} {
		err := w.ImportPassword(w.Platform(), w.user.ID, bad)
		invalid(t, err, "hash", "pattern")
		require.Equal(t, "hash: must be an argon2id hash in the PHC form, or a bcrypt hash", err.Error())
	}
}

func TestChangingOnesPassword(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, out := w.signIn()
		_, other := w.signIn()
		wrong(t, w.ChangePassword(ctx, "wrong", "another good password"))
		invalid(t, w.ChangePassword(ctx, password, "short"), "password", "range")
		refused(t, w.ChangePassword(w.As(w.user), password, "another good password"), "permission_denied")
		require.ErrorIs(t, w.ChangePassword(t.Context(), password, "another good password"), rbac.ErrNoActor)
		require.NoError(t, w.ChangePassword(ctx, password, "another good password"))
		require.NoError(t, second(w.Authenticate(t.Context(), out.Token)))
		require.ErrorIs(t, second(w.Authenticate(t.Context(), other.Token)), orgs.ErrUnauthenticated)
		wrong(t, second(w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: password})))
		require.NoError(t, second(w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: "another good password"})))
		require.Contains(t, w.types(w.org.ID), signin.PasswordType)

		for range 5 { // who has taken a session over does not guess for ever
			wrong(t, w.ChangePassword(ctx, "wrong", "yet another good password"))
		}
		wrong(t, w.ChangePassword(ctx, "wrong", "yet another good password"))
		require.Equal(t, time.Second, braked(t, w.ChangePassword(ctx, "another good password", "yet another good password")))
	})
}

// TestAnOrganizationsListOfAddressesBindsSigningIn to it (F030).
func TestAnOrganizationsListOfAddressesBindsSigningIn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		settings := orgs.OrgSettings{Security: &orgs.SecuritySettings{IPAllowlist: []string{"203.0.113.0/24"}}}
		require.NoError(t, second(w.UpdateOrganization(w.Platform(), w.org.ID, orgs.OrganizationUpdate{Settings: &settings})))
		in := signin.Credentials{Email: w.user.Email, Password: password, Organization: w.org.ID}
		refused(t, second(w.SignIn(w.from(home), in)), "ip_denied")
		events, err := w.Audit().List(t.Context(), w.org.ID, audit.Filter{Types: []string{orgs.IPDeniedType}})
		require.NoError(t, err)
		require.Len(t, events.Items, 1)
		require.NoError(t, second(w.SignIn(w.from("203.0.113.9"), in)))
		w.Org("other")
		in.Organization = "other"
		require.ErrorIs(t, second(w.SignIn(w.from("203.0.113.9"), in)), store.ErrNotFound)
		in.Organization = "no-such"
		require.ErrorIs(t, second(w.SignIn(w.from("203.0.113.9"), in)), store.ErrNotFound)
	})
}

func FuzzHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U")
	f.Add("$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy")
	f.Fuzz(func(t *testing.T, s string) {
		again, err := signin.Reprinted(s)
		if err == nil {
			require.Equal(t, s, again, "one hash, one text")
		} else {
			require.NotContains(t, err.Error(), "$"+s)
		}
	})
}
