package orgs_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestObjectsAndAliasesThatCannotBe are refused by the name of their field, wherever they are set, and nothing is stored.
func TestObjectsAndAliasesThatCannotBe(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := orgstest.New(t, s, nil)
		t.Cleanup(func() { require.NoError(t, w.Close()) })
		o, _ := w.Org("acme")
		long := strings.Repeat("x", 501)
		for field, bad := range map[string]orgs.ObjectSettings{
			"vector_stores[1]": {VectorStores: []string{"vs_1", ""}},
			"mcp_servers[0]":   {MCPServers: []string{long}},
			"agents":           {Agents: make([]string, orgs.MaxModelEntries+1)},
			"blocked_tools[0]": {BlockedTools: []string{""}},
			"mcp_tools[0]":     {MCPTools: map[string][]string{"": {"a"}}},
			"skills[0]":        {Skills: []string{long}},
		} {
			var wrong *store.FieldError
			_, err := w.CreateTeam(w.Platform(), o.ID, orgs.NewTeam{Name: "Lab", Settings: orgs.TeamSettings{Objects: &bad}})
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, "settings.objects."+field, wrong.Field)
			_, err = w.UpdateOrganization(w.Platform(), o.ID, orgs.OrganizationUpdate{Settings: &orgs.OrgSettings{Objects: &bad}})
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, "settings.objects."+field, wrong.Field)
			_, _, err = w.CreateAPIKey(w.Platform(), orgs.NewAPIKey{Name: "k", Organization: o.ID, Restrictions: orgs.KeyRestrictions{Objects: &bad}})
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, "additional_restrictions.objects."+field, wrong.Field)
		}
		for field, bad := range map[string]orgs.NewAPIKey{
			"additional_restrictions.models.allowed[0]": {Restrictions: orgs.KeyRestrictions{Models: &orgs.KeyModels{Allowed: []string{""}}}},
			"additional_restrictions.model_aliases":     {Restrictions: orgs.KeyRestrictions{ModelAliases: map[string]string{"a": ""}}},
			"dialect":                                   {Dialect: "No Such"},
		} {
			bad.Name, bad.Organization = "k", o.ID
			_, _, err := w.CreateAPIKey(w.Platform(), bad)
			var wrong *store.FieldError
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, field, wrong.Field)
		}
		keys, err := w.APIKeys(w.Platform(), orgs.Place{OrgID: o.ID}, orgs.KeyFilter{})
		require.NoError(t, err)
		require.Empty(t, keys.Items)
		is, err := w.Organization(w.Platform(), o.ID)
		require.NoError(t, err)
		require.Nil(t, is.Settings.Objects)
	})
}
