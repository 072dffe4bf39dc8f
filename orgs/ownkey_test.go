package orgs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestPeopleMakeKeysOfTheirOwn who hold api_keys.create:own: none for others or for nobody, none that does more than they may, and none
// that acts as a team.
func TestPeopleMakeKeysOfTheirOwn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := orgstest.New(t, s, nil)
		t.Cleanup(func() { require.NoError(t, w.Close()) })
		o, _ := w.Org("acme")
		w.Roles(o)
		_, err := w.CreateRole(w.Platform(), o.ID, rbac.NewRole{Name: "User", Slug: "user", Permissions: []string{"api_keys.create:own", "api_keys.use", "models.use"}})
		require.NoError(t, err)
		team := w.Team(o, "lab", orgs.TeamSettings{})
		bob, anna := w.User("bob@acme.example"), w.User("anna@acme.example")
		for _, u := range []orgs.User{bob, anna} {
			w.Add(orgs.Place{OrgID: o.ID}, u, "user")
			w.Add(orgs.Place{OrgID: o.ID, TeamID: team.ID}, u, "user")
		}
		nobody := ""
		for name, in := range map[string]struct {
			key  orgs.NewAPIKey
			code string
		}{
			"their own":         {orgs.NewAPIKey{Permissions: []string{"models.use"}}, ""},
			"named":             {orgs.NewAPIKey{User: &bob.ID, Team: team.ID}, ""},
			"of others":         {orgs.NewAPIKey{User: &anna.ID}, "permission_denied"},
			"of nobody":         {orgs.NewAPIKey{User: &nobody}, "permission_denied"},
			"doing more":        {orgs.NewAPIKey{Permissions: []string{"teams.create"}}, "grant_ceiling"},
			"acting as a team":  {orgs.NewAPIKey{Team: team.ID, InheritTeam: true}, "grant_ceiling"},
			"making all others": {orgs.NewAPIKey{Permissions: []string{"api_keys.create"}}, "grant_ceiling"},
		} {
			in.key.Name, in.key.Organization = "k", o.ID
			k, _, err := w.CreateAPIKey(w.As(bob), in.key)
			if in.code == "" {
				require.NoError(t, err, name)
				require.Equal(t, bob.ID, k.UserID)
				continue
			}
			var denied *rbac.Denied
			require.ErrorAs(t, err, &denied, name)
			require.Equal(t, in.code, denied.Code, name)
		}
	})
}
