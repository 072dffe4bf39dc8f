package orgs_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func statements(t *testing.T, text string) (list []rbac.Statement) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &list))
	return list
}

// What is of one policy is warned of when it is written; what follows from others only when all is looked at.
func TestLintLooksAtAllThatIsThere(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		above, _ := w.Org("above")
		org, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "acme", Parent: above.ID})
		require.NoError(t, err)
		team, other := w.Team(org, "crew", orgs.TeamSettings{Models: &orgs.ModelSettings{Blocked: []string{"dall-e-*", "o3"}}}), w.Team(org, "other", orgs.TeamSettings{})
		names := map[string]string{org.ID: "acme", team.ID: "crew", other.ID: "other", "": ""}
		role := func(slug string, permissions ...string) {
			r, err := w.CreateRole(w.Platform(), org.ID, rbac.NewRole{Name: slug, Slug: slug, Permissions: permissions})
			require.NoError(t, err)
			names[r.ID] = slug
		}
		policy := func(orgID, teamID, name, text string) []rbac.Warning {
			p, warnings, err := w.CreatePolicy(w.Platform(), orgID, teamID, rbac.NewPolicy{Name: name, Statements: statements(t, text)})
			require.NoError(t, err)
			names[p.ID] = name
			return warnings
		}
		role("developer", "models.use", "api_key.use")
		role("boss", "*")
		role("doomed", "reports.read", "reports.create:own")
		o, _, err := w.SetOverride(w.Platform(), org.ID, team.ID, "developer", []string{"modles.read"}, []string{"usage.*"})
		require.NoError(t, err)
		names[o.ID] = "override"
		require.Empty(t, policy(org.ID, team.ID, "crew", `[{"effect": "allow", "actions": ["models:use"], "resources": ["model:gpt-4o"]},
			{"effect": "allow", "actions": ["audit:read"], "resources": ["*"]}, {"effect": "allow", "actions": ["invoices:read"], "resources": ["*"]}]`))
		require.Empty(t, policy(org.ID, other.ID, "elsewhere", `[{"effect": "deny", "actions": ["*.read", "models.use"], "resources": ["*"]}]`))
		require.Empty(t, policy(org.ID, "", "no audit", `[{"effect": "deny", "actions": ["audit.*", "reports.*"], "resources": ["*"]}]`))
		require.Empty(t, policy(above.ID, "", "no models", `[{"effect": "deny", "actions": ["models.use"], "resources": ["model:gpt-4o", "model:o3"]}]`))
		warned := policy(org.ID, "", "typo", `[{"effect": "allow", "actions": ["model.use"], "resources": ["*"]}]`)
		require.Len(t, warned, 1)

		found, err := w.Lint(w.Platform(), org.ID)
		require.NoError(t, err)
		var got []string
		for _, f := range found {
			require.NotEmpty(t, f.Message)
			got = append(got, fmt.Sprintf("%s %s in %q: %s %s", f.Type, names[f.ID], names[f.TeamID], f.Code, f.Field))
		}
		require.ElementsMatch(t, []string{
			`override override in "crew": unknown_action permissions_override.add[0]`,
			`policy crew in "crew": never_allows statements[0]`,
			`policy crew in "crew": never_allows statements[1]`,
			`policy typo in "": unknown_action statements[0].actions[0]`,
			`role boss in "": broad permissions`,
			`role developer in "": unknown_action permissions[1]`,
			`role doomed in "": swallowed permissions`,
			`settings crew in "crew": bare_model_glob settings.models.blocked[0]`,
		}, got)
	})
}

func TestNotMoreIsAttachedThanCasbinIsAskedAbout(t *testing.T) { // C18
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, _ := w.Org("acme")
		team := w.Team(org, "crew", orgs.TeamSettings{})
		many := func(n int) rbac.NewPolicy {
			in := rbac.NewPolicy{Name: fmt.Sprint(n, " statements")}
			for i := range n {
				in.Statements = append(in.Statements, statements(t, fmt.Sprintf(`[{"effect": "deny", "actions": ["models:use"], "resources": ["model:m%d"]}]`, i))...)
			}
			return in
		}
		for i := range 5 {
			in := many(rbac.MaxStatements)
			in.Name = fmt.Sprint("p", i)
			p, _, err := w.CreatePolicy(w.Platform(), org.ID, team.ID, in)
			require.NoError(t, err)
			if i == 4 { // itself it is not in its own way
				_, _, err = w.UpdatePolicy(w.Platform(), org.ID, team.ID, p.ID, in)
				require.NoError(t, err)
			}
		}
		_, _, err := w.CreatePolicy(w.Platform(), org.ID, team.ID, many(1))
		var field *store.FieldError
		require.ErrorAs(t, err, &field)
		require.Equal(t, []string{"statements", "limit"}, []string{field.Field, field.Code})
		_, _, err = w.CreatePolicy(w.Platform(), org.ID, "", many(1))
		require.NoError(t, err, "elsewhere there is room")
	})
}
