package litellm_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/store/storetest"
)

// column is a field of all rows of a list.
func column(list any, field string) (values []any) {
	for _, row := range list.([]any) {
		values = append(values, row.(object)[field])
	}
	return values
}

func TestInfoListsKeysAndTeams(t *testing.T) {
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		g.must("POST", "/organization/new", `{"organization_alias":"Rival","organization_id":"rival-1"}`)
		anna, bob, carl := g.join("acme-1", "anna", "org_admin"), g.join("acme-1", "bob", "internal_user"), g.join("acme-1", "carl", "internal_user")
		g.must("POST", "/organization/member_add", `{"organization_id":"rival-1","member":{"user_id":"bob","role":"internal_user"}}`)
		g.must("POST", "/team/new", `{"team_id":"lab-1","organization_id":"acme-1","members_with_roles":[{"role":"user","user_id":"bob"}]}`)
		g.must("POST", "/team/new", `{"team_id":"other-1","organization_id":"acme-1"}`)
		key := func(body string) string { return g.must("POST", "/key/generate", body)["key"].(string) }
		service := key(`{"team_id":"lab-1","key_alias":"service","max_budget":1}`)
		mine := key(`{"team_id":"lab-1","user_id":"bob","key_alias":"bob's"}`)
		key(`{"organization_id":"rival-1","user_id":"bob","key_alias":"elsewhere"}`)
		gone := key(`{"team_id":"lab-1","key_alias":"gone"}`)
		g.must("POST", "/key/delete", `{"keys":["`+gone+`"]}`)
		require.Equal(t, []string{"", "", ""}, []string{g.call(service, "gpt-4", 10), g.call(mine, "gpt-4", 20), g.call(mine, "gpt-3.5", 1000)})

		info := g.by(anna, "GET", "/team/info?team_id=lab-1", "")
		require.ElementsMatch(t, []any{"service", "bob's"}, column(info["keys"], "key_alias"), "those of the team that were not deleted")
		require.ElementsMatch(t, []any{0.01, 0.021}, column(info["keys"], "spend"), "with a budget and without one")
		require.ElementsMatch(t, []any{1.0, nil}, column(info["keys"], "max_budget"))
		require.Equal(t, 0.031, info["team_info"].(object)["spend"])
		require.Equal(t, []any{"bob's"}, column(g.by(bob, "GET", "/team/info?team_id=lab-1", "")["keys"], "key_alias"), "nobody sees those of others")
		for _, row := range append(info["keys"].([]any), info) {
			require.NotContains(t, fmt.Sprint(row), service)
		}

		is := g.must("GET", "/user/info?user_id=bob", "")
		require.ElementsMatch(t, []any{"bob's", "elsewhere"}, column(is["keys"], "key_alias"))
		require.Equal(t, []any{"lab-1"}, column(is["teams"], "team_id"))
		require.Equal(t, []any{"lab-1"}, is["user_info"].(object)["teams"])
		require.ElementsMatch(t, []any{"acme-1", "rival-1"}, column(is["user_info"].(object)["organization_memberships"], "organization_id"))
		require.Equal(t, 0.021, is["user_info"].(object)["spend"])
		of := g.by(bob, "GET", "/user/info", "")
		require.ElementsMatch(t, column(is["keys"], "token_id"), column(of["keys"], "token_id"), "what one sees of oneself")
		require.ElementsMatch(t, column(is["keys"], "spend"), column(of["keys"], "spend"))
		require.Empty(t, g.by(carl, "GET", "/user/info", "")["keys"])

		org := g.must("GET", "/organization/info?organization_id=acme-1", "")
		require.Equal(t, object{"gpt-4": 0.03, "gpt-3.5": 0.001}, org["model_spend"])
		spend := map[any]any{}
		for _, m := range org["members"].([]any) {
			spend[m.(object)["user_id"]] = m.(object)["spend"]
		}
		require.Equal(t, map[any]any{"anna": 0.0, "bob": 0.021, "carl": 0.0}, spend)
	})
}
