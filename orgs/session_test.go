package orgs_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// signedIn starts a session of a day.
func signedIn(t *testing.T, w *orgstest.World, u orgs.User) (orgs.Session, string) {
	t.Helper()
	return started(t, w, orgs.NewSession{UserID: u.ID, Methods: []string{"pwd"}, Lifetime: 24 * time.Hour})
}

func started(t *testing.T, w *orgstest.World, in orgs.NewSession) (s orgs.Session, token string) {
	t.Helper()
	require.NoError(t, w.Store().Update(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
		s, token, err = orgs.StartSession(ctx, tx, in)
		return err
	}))
	return s, token
}

// inSession is a context in which somebody acts by a token.
func inSession(t *testing.T, w *orgstest.World, token string) context.Context {
	t.Helper()
	a, err := w.Authenticate(t.Context(), token)
	require.NoError(t, err)
	return audit.WithActor(t.Context(), a)
}

func isOver(t *testing.T, w *orgstest.World, token string) {
	t.Helper()
	_, err := w.Authenticate(t.Context(), token)
	var auth *orgs.AuthError
	require.ErrorAs(t, err, &auth)
	require.Equal(t, "session_expired", auth.Code)
}

func timeOut(t *testing.T, w *orgstest.World, o orgs.Organization, minutes int) {
	t.Helper()
	settings := orgs.OrgSettings{Security: &orgs.SecuritySettings{SessionTimeoutMinutes: minutes}}
	require.NoError(t, second(w.UpdateOrganization(w.Platform(), o.ID, orgs.OrganizationUpdate{Settings: &settings})))
}

func TestASessionActsAsItsUser(t *testing.T) { // F005
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		u := w.User("user@acme.example")
		s, token := signedIn(t, w, u)
		require.True(t, strings.HasPrefix(token, "ok_ses_"))
		a, err := w.Authenticate(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, audit.Actor{Type: audit.User, ID: u.ID, Label: u.Email, Session: true, SessionID: s.ID}, a)

		require.NoError(t, third(w.CreateToken(inSession(t, w, token), "me", orgs.NewToken{Name: "laptop"})), "people make tokens from a session")
		_, err = w.Authenticate(t.Context(), token+"x")
		var auth *orgs.AuthError
		require.ErrorAs(t, err, &auth)
		require.Equal(t, "invalid_api_key", auth.Code)
		own, err := w.Session(inSession(t, w, token), "me", "current")
		require.NoError(t, err)
		require.Equal(t, s.ID, own.ID)
	})
}

func TestASessionThatIsIdleTooLongEnds(t *testing.T) { // F031
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		o, owner := w.Org("acme")
		_, token := signedIn(t, w, owner)
		for range 5 { // used now and then it lives on
			clock.Advance(58 * time.Minute)
			inSession(t, w, token)
		}
		timeOut(t, w, o, 30)
		clock.Advance(29 * time.Minute)
		inSession(t, w, token)
		clock.Advance(20 * time.Minute)
		timeOut(t, w, o, 20)
		isOver(t, w, token)
		timeOut(t, w, o, 600)
		isOver(t, w, token)

		_, token = signedIn(t, w, owner)
		clock.Advance(599 * time.Minute)
		inSession(t, w, token)
		clock.Advance(600 * time.Minute)
		isOver(t, w, token)
	})
}

// TestUsesInARowAreAllCounted: the time-out runs from the last one, to a sixtieth of it.
func TestUsesInARowAreAllCounted(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		o, owner := w.Org("acme")
		timeOut(t, w, o, 5)
		_, token := signedIn(t, w, owner)
		for range 40 {
			clock.Advance(4 * time.Second)
			inSession(t, w, token)
		}
		clock.Advance(5*time.Minute - 5*time.Second)
		inSession(t, w, token)
		clock.Advance(5 * time.Minute)
		isOver(t, w, token)
	})
}

func TestTheStrictestOrganizationOfAPersonCounts(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		a, u := w.Org("acme")
		b, _ := w.Org("bolt")
		other, _ := w.Org("other")
		w.Add(orgs.Place{OrgID: b.ID}, u, "member")
		timeOut(t, w, a, 300)
		timeOut(t, w, b, 10)
		timeOut(t, w, other, 5) // in which they are nobody
		_, token := signedIn(t, w, u)
		clock.Advance(9 * time.Minute)
		inSession(t, w, token)
		clock.Advance(10 * time.Minute)
		isOver(t, w, token)
		_, token = signedIn(t, w, w.User("nobody@else.example"))
		clock.Advance(59 * time.Minute)
		inSession(t, w, token)
		clock.Advance(time.Hour)
		isOver(t, w, token)
	})
}

func TestASessionHasAnAbsoluteEnd(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		_, token := signedIn(t, w, w.User("user@acme.example"))
		for range 47 {
			clock.Advance(30 * time.Minute)
			inSession(t, w, token)
		}
		clock.Advance(30 * time.Minute)
		isOver(t, w, token)
		clock.Advance(29 * 24 * time.Hour)
		require.NoError(t, second(w.PruneSessions(t.Context())))
		isOver(t, w, token)
		clock.Advance(25 * time.Hour)
		n, err := w.PruneSessions(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}

func TestWhoIsSuspendedIsSignedOutForGood(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		u := w.User("user@acme.example")
		_, token := signedIn(t, w, u)
		for _, state := range []rbac.State{rbac.Suspended, rbac.Active} {
			require.NoError(t, second(w.UpdateUser(w.Platform(), u.ID, orgs.UserUpdate{Status: &state})))
			isOver(t, w, token)
		}
		state := rbac.Suspended
		require.NoError(t, second(w.UpdateUser(w.Platform(), u.ID, orgs.UserUpdate{Status: &state})))
		err := w.Store().Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return third(orgs.StartSession(ctx, tx, orgs.NewSession{UserID: u.ID, Lifetime: time.Hour}))
		})
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

func TestSessionsEndWithTheMembership(t *testing.T) { // F130, F131
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		o, _ := w.Org("acme")
		team := w.Team(o, "crew", orgs.TeamSettings{})
		timeOut(t, w, o, 43200)
		at := orgs.Place{OrgID: o.ID}
		now, later := w.Join(team, "now@acme.example", "member"), w.Join(team, "later@acme.example", "member")
		_, token := signedIn(t, w, now)
		_, lasting := started(t, w, orgs.NewSession{UserID: later.ID, Lifetime: 30 * 24 * time.Hour})

		r, err := w.RemoveMember(w.Platform(), orgs.Place{OrgID: o.ID, TeamID: team.ID}, now.ID, orgs.MemberRemoval{})
		require.NoError(t, err)
		require.Zero(t, r.Sessions, "the person is still in the organization")
		inSession(t, w, token)
		r, err = w.RemoveMember(w.Platform(), at, now.ID, orgs.MemberRemoval{})
		require.NoError(t, err)
		require.Equal(t, 1, r.Sessions)
		isOver(t, w, token)

		r, err = w.RemoveMember(w.Platform(), at, later.ID, orgs.MemberRemoval{Later: true})
		require.NoError(t, err)
		require.Equal(t, 1, r.Sessions)
		for range 24 {
			inSession(t, w, lasting)
			clock.Advance(time.Hour - time.Second)
		}
		inSession(t, w, lasting)
		clock.Advance(24 * time.Second)
		isOver(t, w, lasting)
	})
}

func TestNothingIsLeftOfADeletedUser(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		u := w.User("user@acme.example")
		s, token := signedIn(t, w, u)
		prove(t, w, u, s)
		require.NoError(t, second(w.DeleteUser(w.Platform(), u.ID, "")))
		_, err := w.Authenticate(t.Context(), token)
		require.ErrorIs(t, err, orgs.ErrUnauthenticated)
		require.NoError(t, w.Store().View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			_, err := orgs.AuthenticatorsOf.Get(ctx, tx, u.ID)
			require.ErrorIs(t, err, store.ErrNotFound)
			return nil
		}))
	})
}

func prove(t *testing.T, w *orgstest.World, u orgs.User, s orgs.Session) {
	t.Helper()
	require.NoError(t, w.Store().Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return second(orgs.ProveSession(ctx, tx, orgs.Proof{UserID: u.ID, SessionID: s.ID, Method: "otp", Lifetime: 24 * time.Hour}))
	}))
}

func TestSigningOut(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		o, u := w.Org("acme")
		stranger := w.User("stranger@else.example")
		one, first := signedIn(t, w, u)
		_, other := signedIn(t, w, u)
		_, third := signedIn(t, w, u)
		require.ErrorIs(t, second(w.EndSession(w.As(stranger), u.ID, one.ID)), store.ErrNotFound)
		require.ErrorIs(t, second(w.EndSession(w.As(stranger), "me", one.ID)), store.ErrNotFound)
		require.ErrorIs(t, second(w.EndSession(w.As(u), "me", "current")), store.ErrNotFound, "a token is no session")

		page, err := w.Sessions(inSession(t, w, first), "me", 2, "")
		require.NoError(t, err)
		require.Len(t, page.Items, 2)
		page, err = w.Sessions(inSession(t, w, first), "me", 2, page.Next)
		require.NoError(t, err)
		require.Len(t, page.Items, 1)

		require.NoError(t, second(w.EndSession(inSession(t, w, first), "me", "current")))
		isOver(t, w, first)
		require.ErrorIs(t, second(w.EndSession(w.As(u), "me", one.ID)), store.ErrNotFound, "it has ended")
		n, err := w.EndSessions(inSession(t, w, other), "me", true)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		isOver(t, w, third)
		n, err = w.EndSessions(inSession(t, w, other), "me", false)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		isOver(t, w, other)

		page2, err := w.AccessLog(w.As(u), o.ID, audit.Filter{Types: []string{"authentication.*"}})
		require.NoError(t, err)
		require.Len(t, page2.Items, 3)
		for _, a := range page2.Items { // F276
			require.Equal(t, []any{orgs.Logout, u.Email, true}, []any{a.Did, a.Who, a.Granted})
		}
		_, fourth := signedIn(t, w, u)
		require.NoError(t, second(w.EndSessions(w.Platform(), u.ID, false)))
		isOver(t, w, fourth)
		events, err := w.Audit().List(t.Context(), "", audit.Filter{Types: []string{orgs.SessionEndedType}})
		require.NoError(t, err)
		require.Len(t, events.Items, 1)
	})
}

func TestASessionWaitsForItsSecondFactor(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		u := w.User("user@acme.example")
		s, token := started(t, w, orgs.NewSession{UserID: u.ID, Methods: []string{"pwd"}, Pending: true, Lifetime: 10 * time.Minute})
		_, err := w.Authenticate(t.Context(), token)
		refused(t, err, "mfa_required")
		a, err := w.AuthenticatePending(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, s.ID, a.SessionID)
		require.Nil(t, a.MFAAt)

		prove(t, w, u, s)
		a, err = w.Authenticate(t.Context(), token)
		require.NoError(t, err)
		require.True(t, a.MFAAt.Equal(clock.Now()))
		clock.Advance(30 * time.Minute)
		got, err := w.Session(inSession(t, w, token), "me", "current")
		require.NoError(t, err)
		require.Equal(t, []string{"pwd", "otp"}, got.Methods)

		_, late := started(t, w, orgs.NewSession{UserID: u.ID, Pending: true, Lifetime: 10 * time.Minute})
		clock.Advance(10 * time.Minute)
		_, err = w.AuthenticatePending(t.Context(), late)
		require.ErrorIs(t, err, orgs.ErrUnauthenticated)
		_, err = w.AuthenticatePending(t.Context(), "ok_pat_x")
		require.ErrorIs(t, err, orgs.ErrUnauthenticated)
	})
}

// TestAnOrganizationDemandsASecondFactorOfSessions: of tokens it does not (F027, F455).
func TestAnOrganizationDemandsASecondFactorOfSessions(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		o, owner := w.Org("acme")
		settings := orgs.OrgSettings{Security: &orgs.SecuritySettings{Require2FA: true}}
		s, token := signedIn(t, w, owner)
		change := orgs.OrganizationUpdate{Settings: &settings}
		_, err := w.UpdateOrganization(inSession(t, w, token), o.ID, change)
		var conflict *store.ConflictError
		require.True(t, errors.As(err, &conflict) && conflict.Code == "would_lock_out", err)
		change.Force = true
		require.NoError(t, second(w.UpdateOrganization(inSession(t, w, token), o.ID, change)))
		_, err = w.Organization(inSession(t, w, token), o.ID)
		refused(t, err, "mfa_required")
		require.NoError(t, second(w.Organization(w.As(owner), o.ID)))
		prove(t, w, owner, s)
		require.NoError(t, second(w.Organization(inSession(t, w, token), o.ID)))
		require.NoError(t, w.Store().Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return orgs.ForgetProof(ctx, tx, owner.ID)
		}))
		_, err = w.Organization(inSession(t, w, token), o.ID)
		refused(t, err, "mfa_required")
	})
}

// TestAKeyHasTheSecondFactorOfItsPerson proved in any session (F455).
func TestAKeyHasTheSecondFactorOfItsPerson(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		o, _ := w.Org("acme")
		team := w.Team(o, "crew", orgs.TeamSettings{})
		owner := w.Join(team, "user@acme.example", "member")
		secret := w.Key(team, owner)
		mfa := func() *time.Time {
			a, err := w.Authenticate(t.Context(), secret)
			require.NoError(t, err)
			return a.MFAAt
		}
		require.Nil(t, mfa())
		s, token := signedIn(t, w, owner)
		require.Nil(t, mfa())
		prove(t, w, owner, s)
		require.True(t, mfa().Equal(clock.Now()))
		at := clock.Now()
		clock.Advance(time.Minute)
		require.NoError(t, second(w.EndSession(inSession(t, w, token), "me", "current")))
		require.True(t, mfa().Equal(at), "it was proved all the same")
	})
}

func TestTheListOfAddressesBindsSessions(t *testing.T) { // F030, F322
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		o, owner := w.Org("acme")
		_, token := signedIn(t, w, owner)
		from := func(ip string) context.Context {
			ctx := audit.WithSource(t.Context(), audit.Source{IP: netip.MustParseAddr(ip)})
			a, err := w.Authenticate(ctx, token)
			require.NoError(t, err)
			return audit.WithActor(ctx, a)
		}
		settings := orgs.OrgSettings{Security: &orgs.SecuritySettings{IPAllowlist: []string{"203.0.113.0/24"}}}
		change := orgs.OrganizationUpdate{Settings: &settings}
		_, err := w.UpdateOrganization(from("198.51.100.1"), o.ID, change)
		var conflict *store.ConflictError
		require.True(t, errors.As(err, &conflict) && conflict.Code == "would_lock_out", err)
		require.NoError(t, second(w.UpdateOrganization(from("203.0.113.9"), o.ID, change)))
		require.NoError(t, second(w.Organization(from("203.0.113.9"), o.ID)))
		_, err = w.Organization(from("198.51.100.1"), o.ID)
		refused(t, err, "ip_denied")
		events, err := w.Audit().List(t.Context(), o.ID, audit.Filter{Types: []string{orgs.IPDeniedType}})
		require.NoError(t, err)
		require.Len(t, events.Items, 1)
	})
}
