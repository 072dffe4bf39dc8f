package orgs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestOwnersEnlistWhereTheHostLetsThem(t *testing.T) { // F442
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := orgstest.New(t, s, nil)
		acme, owner := w.Org("acme")
		anna := w.User("anna@acme.example")
		at := orgs.Place{OrgID: acme.ID}
		_, err := w.AddMember(w.As(owner), at, orgs.NewMember{User: anna.ID, Role: "member"})
		refused(t, err, "permission_denied")

		w = orgstest.New(t, s, &orgs.Options{Enlisting: true})
		enlist := func(in orgs.NewMember) (orgs.Membership, error) {
			in.Role = "member"
			return w.AddMember(w.As(owner), at, in)
		}
		ms, err := enlist(orgs.NewMember{User: "nobody", New: &orgs.NewUser{AliasID: "nobody", Email: " ANNA@acme.example"}})
		require.NoError(t, err)
		require.Equal(t, anna.ID, ms.User.ID, "who is known by the address is nobody new")
		ms, err = enlist(orgs.NewMember{User: "bob", New: &orgs.NewUser{AliasID: "bob", EmailVerified: true}})
		require.NoError(t, err)
		require.Equal(t, []string{"bob", ""}, []string{ms.User.PublicID(), ms.User.Email})
		ms, err = enlist(orgs.NewMember{New: &orgs.NewUser{Email: "carl@acme.example", EmailVerified: true}})
		require.NoError(t, err)
		require.False(t, ms.User.EmailVerified, "an owner vouches for no address")
		_, err = enlist(orgs.NewMember{User: "bob"})
		inTheWay(t, err, "already_member")
		_, err = enlist(orgs.NewMember{User: "dave"})
		require.ErrorIs(t, err, store.ErrNotFound)

		// Users are found by the ids that were chosen for them, which lead to nobody else.
		is, err := w.Manager.Member(w.As(owner), at, "bob")
		require.NoError(t, err)
		require.Equal(t, "bob", is.User.PublicID())
		for _, alias := range []string{"me", "usr_1", "a\tb", " x", "eve@acme.example"} {
			_, err = w.CreateUser(w.Platform(), orgs.NewUser{AliasID: alias, Email: "other@acme.example"})
			wrongField(t, err, "alias_id")
		}
		_, err = w.CreateUser(w.Platform(), orgs.NewUser{AliasID: "bob"})
		inTheWay(t, err, "alias_taken")

		// Nobody enlists in a team: its members are those of the organization.
		team := w.Team(acme, "lab", orgs.TeamSettings{})
		_, err = w.AddMember(w.As(owner), orgs.Place{OrgID: acme.ID, TeamID: team.ID}, orgs.NewMember{User: "eve", Role: "member", New: &orgs.NewUser{AliasID: "eve"}})
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

func TestTeamsAndKeysHaveOtherNames(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := orgstest.New(t, s, &orgs.Options{Enlisting: true})
		acme, owner := w.Org("acme")
		_, rival := w.Org("rival")
		team, err := w.CreateTeam(w.As(owner), acme.ID, orgs.NewTeam{Name: "Lab", AliasID: "lab-1"})
		require.NoError(t, err)
		is, err := w.Manager.Team(w.As(owner), "lab-1")
		require.NoError(t, err)
		require.True(t, is.Known("lab-1") && is.Known(team.ID) && !is.Known("lab"))
		_, err = w.Manager.Team(w.As(rival), "lab-1")
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = w.CreateTeam(w.As(rival), "rival", orgs.NewTeam{Name: "Lab", AliasID: "lab-1"})
		inTheWay(t, err, "alias_taken")
		_, err = w.CreateTeam(w.As(owner), acme.ID, orgs.NewTeam{Name: "Lab two", AliasID: "team_1"})
		wrongField(t, err, "alias_id")
		_, err = orgstest.New(t, s, nil).CreateTeam(w.As(owner), acme.ID, orgs.NewTeam{Name: "Lab two", AliasID: "lab-2"})
		wrongField(t, err, "alias_id")

		key, secret, err := w.CreateAPIKey(w.As(owner), orgs.NewAPIKey{Name: "key", Team: "lab-1", Prefix: "sk-"})
		require.NoError(t, err)
		require.Equal(t, "sk-", secret[:3])
		found, err := w.Manager.APIKey(w.As(owner), key.Hash)
		require.NoError(t, err)
		require.Equal(t, key.ID, found.ID)
		_, err = w.Manager.APIKey(w.As(rival), key.Hash)
		require.ErrorIs(t, err, store.ErrNotFound)
		for _, prefix := range []string{"ok_pat_", "ok_ses_", "has blank", "much-too-long-for-that-"} {
			_, _, err = w.CreateAPIKey(w.As(owner), orgs.NewAPIKey{Name: "key", Team: "lab-1", Prefix: prefix})
			wrongField(t, err, "prefix")
		}
	})
}
