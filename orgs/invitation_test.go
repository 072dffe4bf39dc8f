package orgs_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// invited is a world with a team and an invitation of bob, made by the team's lead.
func invited(t *testing.T, w *orgstest.World) (at orgs.Place, lead, bob orgs.User, token string) {
	org, _ := w.Org("acme")
	w.Roles(org)
	team := w.Team(org, "engineering", orgs.TeamSettings{})
	at = orgs.Place{OrgID: org.ID, TeamID: team.ID}
	_, _, err := w.SetOverride(w.Platform(), org.ID, team.ID, "team_lead", []string{"api_keys.use", "models.*"}, nil)
	require.NoError(t, err)
	lead = w.Join(team, "lead@acme.example", "team_lead")
	bob = w.User("bob@acme.example")
	_, token, err = w.Invite(w.As(lead), at, orgs.NewInvitation{Email: "BOB@acme.example", Role: "developer"})
	require.NoError(t, err)
	return at, lead, bob, token
}

func TestOneOfAHundredAcceptsWins(t *testing.T) { // S6.9
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		_, _, bob, token := invited(t, w)
		var won atomic.Int64
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if _, ms, err := w.AnswerInvitation(w.As(bob), token, true); err == nil && ms != nil {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, won.Load())
	})
}

func TestInvitationIsBoundToItsAddress(t *testing.T) { // S6.1-3
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		_, _, bob, token := invited(t, w)
		_, _, err := w.AnswerInvitation(w.As(w.User("bob+x@acme.example")), token, true)
		refused(t, err, "invitation_email_mismatch")
		_, _, err = w.AnswerInvitation(w.Platform(), token, true)
		refused(t, err, "invitation_email_mismatch")
		_, _, err = w.AnswerInvitation(w.As(bob), "ok_inv_unknown", true)
		require.ErrorIs(t, err, store.ErrNotFound)
		inv, ms, err := w.AnswerInvitation(w.As(bob), token, true) // the case of letters does not matter
		require.NoError(t, err)
		require.Equal(t, orgs.InvitationAccepted, inv.Status)
		require.Equal(t, "developer", ms.Role)
	})
}

func TestUnverifiedAddressAcceptsNothing(t *testing.T) { // S6.2
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, _ := w.Org("acme")
		u, err := w.CreateUser(w.Platform(), orgs.NewUser{Email: "new@acme.example"})
		require.NoError(t, err)
		_, token, err := w.Invite(w.Platform(), orgs.Place{OrgID: org.ID}, orgs.NewInvitation{Email: u.Email, Role: "member"})
		require.NoError(t, err)
		_, _, err = w.AnswerInvitation(w.As(u), token, true)
		refused(t, err, "invitation_email_mismatch")
	})
}

func TestInvitationExpires(t *testing.T) { // F116
	each(t, func(t *testing.T, w *orgstest.World, clock *storetest.Clock) {
		at, lead, bob, token := invited(t, w)
		_, _, err := w.Invite(w.As(lead), at, orgs.NewInvitation{Email: bob.Email, Role: "developer"})
		inTheWay(t, err, "invitation_pending")
		clock.Advance(7*24*time.Hour - time.Second)
		page, err := w.Invitations(w.As(lead), at, orgs.InvitationFilter{})
		require.NoError(t, err)
		require.Len(t, page.Items, 2)
		clock.Advance(time.Second)
		_, _, err = w.AnswerInvitation(w.As(bob), token, true)
		inTheWay(t, err, "invitation_expired")
		_, second, err := w.Invite(w.As(lead), at, orgs.NewInvitation{Email: bob.Email, Role: "developer"})
		require.NoError(t, err, "it has made room")
		_, _, err = w.AnswerInvitation(w.As(bob), second, false)
		require.NoError(t, err)
		_, _, err = w.AnswerInvitation(w.As(bob), second, true) // F122
		inTheWay(t, err, "invitation_used")
		_, err = w.Member(w.Platform(), at, bob.ID)
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

func TestInvitersRightsAreLookedAtAgain(t *testing.T) { // S4.10
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		at, lead, bob, token := invited(t, w)
		_, err := w.UpdateMember(w.Platform(), at, lead.ID, orgs.MemberUpdate{Role: ptr("viewer")})
		require.NoError(t, err)
		_, _, err = w.AnswerInvitation(w.As(bob), token, true)
		inTheWay(t, err, "conflict")
		_, err = w.UpdateMember(w.Platform(), at, lead.ID, orgs.MemberUpdate{Role: ptr("team_lead")})
		require.NoError(t, err)
		_, _, err = w.AnswerInvitation(w.As(bob), token, true) // it has stayed pending
		require.NoError(t, err)
	})
}

func TestTokenIsInTheMailOnly(t *testing.T) { // F466, S6.6
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		told := &orgstest.Notifications{}
		w := orgstest.New(t, s, &orgs.Options{Notifier: told})
		org, _ := w.Org("acme")
		at := orgs.Place{OrgID: org.ID}
		inv, token, err := w.Invite(w.Platform(), at, orgs.NewInvitation{Email: "a@acme.example", Role: "member", SendEmail: true})
		require.NoError(t, err)
		require.Empty(t, token)
		require.True(t, inv.EmailSent)
		first := mailed(t, told, "a@acme.example")
		require.NotEqual(t, first, inv.Hash)

		rows, err := w.InviteMany(w.Platform(), at, []orgs.NewInvitation{{Email: "m@acme.example", Role: "member", SendEmail: true}}, true)
		require.NoError(t, err)
		require.Empty(t, rows[0].Value.Token)
		mailed(t, told, "m@acme.example")

		_, token, err = w.ResendInvitation(w.Platform(), at, inv.ID)
		require.NoError(t, err)
		require.Empty(t, token)
		require.NotEqual(t, first, mailed(t, told, "a@acme.example"))

		inv, token, err = w.Invite(w.Platform(), at, orgs.NewInvitation{Email: "b@acme.example", Role: "member"})
		require.NoError(t, err)
		require.NotEmpty(t, token)
		require.False(t, inv.EmailSent)
		n := told.Take()[0]
		require.Empty(t, n.To, "only webhooks hear of it")
		require.Empty(t, n.About.(orgs.InvitationOffer).Token.Reveal())

		// A host that does not mail any more gives the token to who resends, who then has to pass it on.
		w = orgstest.New(t, s, nil)
		for _, in := range []string{"c@acme.example", "d@acme.example"} {
			inv, token, err = w.Invite(w.Platform(), at, orgs.NewInvitation{Email: in, Role: "member", SendEmail: true})
			require.NoError(t, err)
			require.NotEmpty(t, token)
			require.False(t, inv.EmailSent)
		}
		page, err := w.Invitations(w.Platform(), at, orgs.InvitationFilter{Email: "a@acme.example"})
		require.NoError(t, err)
		inv, token, err = w.ResendInvitation(w.Platform(), at, page.Items[0].ID)
		require.NoError(t, err)
		require.NotEmpty(t, token)
		require.False(t, inv.EmailSent)
	})
}

// mailed is the token of the one invitation that was to be mailed.
func mailed(t *testing.T, told *orgstest.Notifications, to string) string {
	t.Helper()
	all := told.Take()
	require.Len(t, all, 1)
	require.Equal(t, []string{to}, all[0].To)
	token := all[0].About.(orgs.InvitationOffer).Token.Reveal()
	require.NotEmpty(t, token)
	return token
}

func TestSlugsAreOneByTheirKey(t *testing.T) { // F318
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, _ := w.Org("acme")
		team := w.Team(org, "data_science", orgs.TeamSettings{})
		_, err := w.CreateTeam(w.Platform(), org.ID, orgs.NewTeam{Name: "x", Slug: "Data-Science"})
		inTheWay(t, err, "slug_taken")
		found, err := w.Manager.Team(w.Platform(), "DATA-science")
		require.NoError(t, err)
		require.Equal(t, team.ID, found.ID)
		require.Equal(t, "data_science", found.Slug, "shown as first written")

		second, _ := w.Org("other")
		w.Team(second, "data-science", orgs.TeamSettings{})
		_, err = w.Manager.Team(w.Platform(), "data-science")
		inTheWay(t, err, "ambiguous_slug")
	})
}

func TestSlugRaceHasOneWinner(t *testing.T) { // F018
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		var won atomic.Int64
		var wg sync.WaitGroup
		errs := make(chan error, 20)
		for range 20 {
			wg.Go(func() {
				_, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "Race", Slug: "race"})
				if err == nil {
					won.Add(1)
				} else {
					errs <- err
				}
			})
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			inTheWay(t, err, "slug_taken")
		}
		require.EqualValues(t, 1, won.Load())
		first, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "Me & My Org!"})
		require.NoError(t, err)
		require.Equal(t, "me-my-org", first.Slug)
		again, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "Me, my org"})
		require.NoError(t, err)
		require.Equal(t, "me-my-org-2", again.Slug)
	})
}

func TestKeyWithOwnGrantsFollowsItsMaker(t *testing.T) { // F163
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, owner := w.Org("acme")
		w.Roles(org)
		k, secret, err := w.CreateAPIKey(w.As(owner), orgs.NewAPIKey{Name: "reader", Organization: org.ID, Permissions: []string{"teams.read"}})
		require.NoError(t, err)
		a, err := w.Authenticate(t.Context(), secret)
		require.NoError(t, err)
		ctx := audit.WithActor(t.Context(), a)
		_, err = w.Teams(ctx, org.ID, orgs.PartFilter{})
		require.NoError(t, err)
		_, err = w.Manager.Roles(ctx, org.ID, 0, "")
		refused(t, err, "permission_denied")

		second := w.User("second@acme.example")
		w.Add(orgs.Place{OrgID: org.ID}, second, "org_admin")
		_, err = w.UpdateMember(w.As(second), orgs.Place{OrgID: org.ID}, owner.ID, orgs.MemberUpdate{Role: ptr("finance")})
		require.NoError(t, err)
		_, err = w.Teams(ctx, org.ID, orgs.PartFilter{})
		refused(t, err, "permission_denied") // the maker may not any more, so the key may not

		_, err = w.RevokeAPIKey(w.As(second), k.ID, "leaked")
		require.NoError(t, err)
		_, err = w.Authenticate(t.Context(), secret)
		require.ErrorIs(t, err, orgs.ErrUnauthenticated)
	})
}
