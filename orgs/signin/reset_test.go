package signin_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// links are the tokens that were mailed to an address since somebody looked last.
func (w *world) links(to string) (tokens []string) {
	w.t.Helper()
	for _, n := range w.mails.Take() {
		if about, is := n.About.(orgs.PasswordReset); is {
			require.Equal(w.t, []string{to}, n.To)
			require.Empty(w.t, n.OrgID)
			tokens = append(tokens, about.Token.Reveal())
		}
	}
	return tokens
}

const another = "another good password"

func TestAPasswordIsSetByALink(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, out := w.signIn()
		require.NoError(t, w.RequestReset(w.from(home), "ann@ACME.example "))
		links := w.links(w.user.Email)
		require.Len(t, links, 1)
		invalid(t, w.ResetPassword(w.from(home), links[0], "short"), "password", "range")
		require.NoError(t, second(w.Authenticate(t.Context(), out.Token)))
		require.NoError(t, w.ResetPassword(w.from(home), links[0], another))
		conflict(t, w.ResetPassword(w.from(home), links[0], "yet another good one"), "link_expired")
		require.ErrorIs(t, second(w.Authenticate(t.Context(), out.Token)), orgs.ErrUnauthenticated)
		wrong(t, second(w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: password})))
		require.NoError(t, second(w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: another})))
		require.Contains(t, w.types(w.org.ID), signin.ResetType)
		require.Contains(t, w.types(""), signin.ResetRequestedType)
	})
}

func TestALinkWorksOnceAndNotForLong(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ask := func() string {
			require.NoError(t, w.RequestReset(w.from(home), w.user.Email))
			w.clock.Advance(time.Minute)
			return w.links(w.user.Email)[0]
		}
		first, next := ask(), ask()
		conflict(t, w.ResetPassword(w.from(home), first, another), "link_expired")
		w.clock.Advance(time.Hour - time.Minute)
		conflict(t, w.ResetPassword(w.from(home), next, another), "link_expired")
		conflict(t, w.ResetPassword(w.from(home), "", another), "link_expired")
		conflict(t, w.ResetPassword(w.from(home), "ok_rst_\x00", another), "link_expired")

		email := "ann@new.example"
		link := ask()
		require.NoError(t, second(w.UpdateUser(w.Platform(), w.user.ID, orgs.UserUpdate{Email: &email})))
		conflict(t, w.ResetPassword(w.from(home), link, another), "link_expired")

		suspended := rbac.Suspended
		link, err := w.NewReset(w.Platform(), w.user.ID)
		require.NoError(t, err)
		require.NoError(t, second(w.UpdateUser(w.Platform(), w.user.ID, orgs.UserUpdate{Status: &suspended})))
		conflict(t, w.ResetPassword(w.from(home), link, another), "link_expired")
		w.signInFails(t)
	})
}

func (w *world) signInFails(t *testing.T) {
	t.Helper()
	wrong(t, second(w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: another})))
}

// TestOneOfManyAtOnceUsesALink, also where each has seen that it works.
func TestOneOfManyAtOnceUsesALink(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		link, err := w.NewReset(w.Platform(), w.user.ID)
		require.NoError(t, err)
		errs := make(chan error)
		for range 8 {
			go func() { errs <- w.ResetPassword(w.from(home), link, another) }()
		}
		set := 0
		for range 8 {
			if err := <-errs; err == nil {
				set++
			} else {
				conflict(t, err, "link_expired")
			}
		}
		require.Equal(t, 1, set)
	})
}

// TestWhoAsksForALinkLearnsNothing of whether there is anybody, and nobody is flooded.
func TestWhoAsksForALinkLearnsNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		unverified, err := w.CreateUser(w.Platform(), orgs.NewUser{Email: "typo@acme.example"})
		require.NoError(t, err)
		for _, email := range []string{"nobody@acme.example", "x", "a\x00b", unverified.Email} {
			require.NoError(t, w.RequestReset(w.from(home), email))
		}
		require.Empty(t, w.mails.Take())
		for range 6 {
			require.NoError(t, w.RequestReset(w.from(home), w.user.Email))
		}
		require.Len(t, w.links(w.user.Email), 4, "the fifth would come within a second")
		for range 10 {
			require.NoError(t, w.RequestReset(w.from(home), "nobody@acme.example"))
		}
		require.NoError(t, w.RequestReset(w.from(home), "nobody@acme.example"))
		require.Equal(t, time.Second, braked(t, w.RequestReset(w.from(home), "nobody@acme.example")))
		require.NoError(t, w.RequestReset(w.from("192.0.2.1"), "nobody@acme.example"))
		invalid(t, w.RequestReset(w.from(home), " "), "email", "required")
	})
}

// TestAFirstPasswordIsSetByALinkToo: of a user whom the platform has made.
func TestAFirstPasswordIsSetByALinkToo(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		require.NoError(t, w.RequestReset(w.from(home), w.owner.Email))
		require.NoError(t, w.ResetPassword(w.from(home), w.links(w.owner.Email)[0], another))
		require.NoError(t, second(w.SignIn(w.from(home), signin.Credentials{Email: w.owner.Email, Password: another})))
		require.ErrorIs(t, second(w.NewReset(w.As(w.user), w.owner.ID)), store.ErrNotFound)
		refused(t, second(w.NewReset(w.As(w.user), "me")), "permission_denied")
	})
}

func TestALinkTakesNoSecondFactorAway(t *testing.T) {
	w := onMemory(t, nil)
	key, _, _ := w.enrol()
	require.NoError(t, w.RequestReset(w.from(home), w.user.Email))
	require.NoError(t, w.ResetPassword(w.from(home), w.links(w.user.Email)[0], another))
	out, err := w.SignIn(w.from(home), signin.Credentials{Email: w.user.Email, Password: another})
	require.NoError(t, err)
	require.True(t, out.Session.Pending)
	_, _, err = w.Service.VerifyMFA(w.in(out.Token, home), signin.Proof{Code: w.code(key)})
	require.NoError(t, err)
}

func TestAHostThatDoesNotMailSaysSo(t *testing.T) {
	w := onMemory(t, nil)
	clock := storetest.NewClock()
	silent := orgstest.New(t, storetest.Open(t, "memory", store.Options{Now: clock.Now}), nil)
	s, err := signin.New(silent.Manager, &signin.Options{Seal: w.seal, Issuer: "x", Argon2: cheap, AnswerAfter: -1})
	require.NoError(t, err)
	require.ErrorIs(t, s.RequestReset(w.from(home), w.user.Email), signin.ErrNoMail)
}
