package litellm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestAdministratorsMakeUsersOfTheirOrganization, and of no other, and none of the platform's own.
func TestAdministratorsMakeUsersOfTheirOrganization(t *testing.T) {
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		g.must("POST", "/organization/new", `{"organization_alias":"Rival","organization_id":"rival-1"}`)
		anna, bob := g.join("acme-1", "anna", "org_admin"), g.join("acme-1", "bob", "internal_user")
		is := g.by(anna, "POST", "/user/new", `{"user_id":"carl","user_email":"carl@acme.example","user_alias":"Carl","organizations":["acme-1"]}`)
		require.Equal(t, []any{"carl", "carl@acme.example", "Carl", "internal_user"}, []any{is["user_id"], is["user_email"], is["user_alias"], is["user_role"]})
		require.Equal(t, "", g.call(is["key"].(string), "gpt-4", 1), "the key calls models")
		require.Len(t, g.must("GET", "/organization/info?organization_id=acme-1", "")["members"], 3)
		is = g.by(anna, "POST", "/user/new", `{"user_email":"viewer@acme.example","user_role":"internal_user_viewer","organizations":["acme-1"],"auto_create_key":false}`)
		require.Equal(t, "", is["key"])

		refusal := func(key, body string) string {
			code, v := g.send(key, "POST", "/user/new", body)
			require.NotEqual(t, 200, code, "%v", v)
			return v.(object)["error"].(object)["message"].(string)
		}
		require.Equal(t, "User with id bob already exists", refusal(anna, `{"user_id":"bob","organizations":["acme-1"]}`))
		require.Equal(t, "User with email CARL@acme.example already exists", refusal(anna, `{"user_email":"CARL@acme.example","organizations":["acme-1"]}`))
		require.Equal(t, "Only proxy admins can create administrative users", refusal(anna, `{"user_id":"eve","user_role":"proxy_admin","organizations":["acme-1"]}`))
		for _, body := range []string{`{"user_id":"eve","organizations":["rival-1"]}`, `{"user_id":"eve","organizations":["acme-1","rival-1"]}`, `{"user_id":"eve","organizations":["acme-1","nope"]}`} {
			require.Contains(t, refusal(anna, body), "You do not have a role within the selected organization.")
		}
		for _, body := range []string{`{"user_id":"eve"}`, `{"user_id":"eve","organizations":[]}`, `{"user_id":"eve","organizations":"acme-1"}`} {
			require.Contains(t, refusal(anna, body), "Only proxy admin can be used to generate")
		}
		require.Contains(t, refusal(bob, `{"user_id":"eve","organizations":["acme-1"]}`), "You do not have the required role to perform this action.")
		require.Contains(t, refusal(g.key("acme-1"), `{"user_id":"eve","organizations":["acme-1"]}`), "Only proxy admin can be used to generate")
		g.barred(404, "not_found_error", "None", master, "GET", "/user/info?user_id=eve", "")
	})
}

func TestKeysAreDeletedByTheirAliases(t *testing.T) {
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		g.must("POST", "/organization/new", `{"organization_alias":"Rival","organization_id":"rival-1"}`)
		anna, mallory := g.join("acme-1", "anna", "org_admin"), g.join("rival-1", "mallory", "org_admin")
		made := func(org, alias string) string {
			return g.must("POST", "/key/generate", `{"organization_id":"`+org+`","key_alias":"`+alias+`"}`)["key"].(string)
		}
		first, second, third, rival := made("acme-1", "first"), made("acme-1", "second"), made("acme-1", "third"), made("rival-1", "first")
		says := func(status int, text, key, body string) {
			t.Helper()
			code, v := g.send(key, "POST", "/key/delete", body)
			require.Equal(t, []any{status, text}, []any{code, v.(object)["error"].(object)["message"]})
		}
		says(404, "Keys not found", mallory, `{"key_aliases":["second"]}`)
		says(404, "Keys not found", anna, `{"key_aliases":["second","nobody's"]}`)
		says(400, "several keys have the alias first: pass them as keys", master, `{"key_aliases":["first"]}`)
		require.Equal(t, []string{"", "", "", ""}, []string{g.call(first, "gpt-4", 1), g.call(second, "gpt-4", 1), g.call(third, "gpt-4", 1), g.call(rival, "gpt-4", 1)}, "all or none")

		is := g.by(anna, "POST", "/key/delete", `{"key_aliases":["first"]}`)
		require.Equal(t, []any{"first"}, is["deleted_keys"])
		require.Equal(t, []string{"invalid_api_key", ""}, []string{g.call(first, "gpt-4", 1), g.call(rival, "gpt-4", 1)}, "her own one was meant")
		is = g.must("POST", "/key/delete", `{"keys":["`+second+`"],"key_aliases":["third","first"]}`)
		require.Equal(t, []any{second, "third", "first"}, is["deleted_keys"])
		require.Equal(t, []string{"invalid_api_key", "invalid_api_key", "invalid_api_key"}, []string{g.call(second, "gpt-4", 1), g.call(third, "gpt-4", 1), g.call(rival, "gpt-4", 1)})
		says(404, "Keys not found", master, `{"key_aliases":["third"]}`)
		typ, _ := g.unfit(master, "POST", "/key/delete", `{"keys":[],"key_aliases":[]}`)
		require.Equal(t, "missing", typ)
	})
}

func TestAdministratorsChangeWhatTheOptionNames(t *testing.T) { // LD-37
	each(t, litellm.Options{OrgAdminMayUpdate: []string{"organization_alias", "metadata"}}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"acme-1","max_budget":5,"tags":["x"],"models":["gpt-4"],"metadata":{"a":1}}`)
		g.must("POST", "/organization/new", `{"organization_alias":"Rival","organization_id":"rival-1"}`)
		anna, bob := g.join("acme-1", "anna", "org_admin"), g.join("acme-1", "bob", "internal_user")
		is := g.by(anna, "PATCH", "/organization/update", `{"organization_id":"acme-1","organization_alias":"Acme & Co","metadata":{"b":2}}`)
		require.Equal(t, []any{"Acme & Co", object{"a": 1.0, "b": 2.0}, []any{"x"}, []any{"gpt-4"}}, []any{is["organization_alias"], is["metadata"], is["tags"], is["models"]})
		require.Equal(t, 5.0, is["litellm_budget_table"].(object)["max_budget"])
		is = g.by(anna, "PATCH", "/v2/organization/acme-1", `{"metadata":{"c":3}}`)
		require.Equal(t, object{"c": 3.0}, is["metadata"])
		for _, more := range []string{`"max_budget":1000`, `"organization_alias":"x","models":[]`, `"blocked":false`, `"budget_id":"gold"`} {
			g.barred(401, "auth_error", "None", anna, "PATCH", "/organization/update", `{"organization_id":"acme-1",`+more+`}`)
		}
		g.barred(401, "auth_error", "organization_id", anna, "PATCH", "/organization/update", `{"organization_id":"rival-1","organization_alias":"Mine"}`)
		g.barred(401, "auth_error", "user_role", bob, "PATCH", "/organization/update", `{"organization_id":"acme-1","organization_alias":"Mine"}`)
		is = g.must("GET", "/organization/info?organization_id=acme-1", "")
		require.Equal(t, []any{"Acme & Co", 5.0}, []any{is["organization_alias"], is["litellm_budget_table"].(object)["max_budget"]})
	})
	_, err := litellm.New(new(unserved), &litellm.Options{OrgAdminMayUpdate: []string{"max_budget"}})
	require.ErrorContains(t, err, "organization_alias")
}

func TestABudgetOfZeroIsNone(t *testing.T) { // LD-22
	each(t, litellm.Options{ZeroBudgetUnlimited: true}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		is := g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"acme-1","max_budget":0}`)
		require.Nil(t, is["litellm_budget_table"].(object)["max_budget"])
		require.Equal(t, "", g.call(g.key("acme-1"), "gpt-4", 10))
		g.must("PATCH", "/organization/update", `{"organization_id":"acme-1","max_budget":0.001}`)
		require.Equal(t, "budget_exceeded", g.call(g.key("acme-1"), "gpt-4", 10))
		g.must("PATCH", "/organization/update", `{"organization_id":"acme-1","max_budget":0.0}`)
		require.Equal(t, "", g.call(g.key("acme-1"), "gpt-4", 10))
		is = g.must("POST", "/organization/member_add", `{"organization_id":"acme-1","member":{"role":"internal_user","user_id":"bob"},"max_budget_in_organization":0}`)
		require.Nil(t, is["updated_organization_memberships"].([]any)[0].(object)["budget_id"])
		g.must("PATCH", "/organization/member_update", `{"organization_id":"acme-1","user_id":"bob","max_budget_in_organization":0.001}`)
		is = g.must("PATCH", "/organization/member_update", `{"organization_id":"acme-1","user_id":"bob","max_budget_in_organization":0}`)
		require.Nil(t, is["budget_id"])
		key := g.must("POST", "/key/generate", `{"organization_id":"acme-1","max_budget":0}`)
		require.Nil(t, key["max_budget"])
		require.Equal(t, "", g.call(key["key"].(string), "gpt-4", 10))
		g.refused(400, "max_budget must be a non-negative finite number. Received: -1", master, "PATCH", "/organization/update", `{"organization_id":"acme-1","max_budget":-1}`)
	})
}

func TestTeamsHaveNobodyFromOutside(t *testing.T) { // LD-44
	each(t, litellm.Options{TeamMembersOnlyOfOrg: true}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		g.join("acme-1", "bob", "internal_user")
		g.must("POST", "/team/new", `{"organization_id":"acme-1","team_id":"lab-1"}`)
		g.must("POST", "/team/member_add", `{"team_id":"lab-1","member":{"role":"user","user_id":"bob"}}`)
		message := g.barred(400, "bad_request_error", "None", master, "POST", "/team/member_add", `{"team_id":"lab-1","member":{"role":"user","user_id":"eve"}}`)["message"]
		require.Equal(t, "User eve is no member of organization acme-1, to which the team belongs", message)
		require.Len(t, g.must("GET", "/team/info?team_id=lab-1", "")["team_info"].(object)["members_with_roles"], 1)
	})
}

func TestRulesAreWrittenAsPythonDoes(t *testing.T) { // LD-24
	each(t, litellm.Options{ReprMessages: true}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		says := func(text, path, body string) {
			t.Helper()
			_, v := g.send(master, "POST", path, body)
			require.Equal(t, text, v.(object)["error"].(object)["message"])
		}
		says(`{'error': 'Organization not found for organization_id=x'}`, "/user/new", `{"organizations":["x"]}`)
		says(`{'error': "Organization not found for organization_id=o'x"}`, "/user/new", `{"organizations":["o'x"]}`)
		says(`{'error': 'Organization not found for organization_id=o\'x"y\\'}`, "/user/new", `{"organizations":["o'x\"y\\"]}`)
		require.Equal(t, "Only proxy admins can create new organizations", g.barred(401, "auth_error", "user_role", g.join("acme-1", "bob", "internal_user"), "POST", "/organization/new", `{"organization_alias":"Mine"}`)["message"], "which is no rule of a handler")
		g.refused(404, "Organization not found", master, "GET", "/organization/info?organization_id=x", "")
	})
}

func TestASharedBudgetIsCopied(t *testing.T) { // LD-19
	each(t, litellm.Options{SharedBudgetCopyOnWrite: true}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.must("POST", "/budget/new", `{"budget_id":"gold","max_budget":0.05,"rpm_limit":100}`)
		for _, id := range []string{"one", "two"} {
			g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"`+id+`","budget_id":"gold"}`)
		}
		key := g.key("one")
		require.Equal(t, "", g.call(key, "gpt-4", 20))
		is := g.must("PATCH", "/organization/update", `{"organization_id":"one","max_budget":0.02}`)
		require.NotEqual(t, "gold", is["budget_id"])
		require.Equal(t, []any{0.02, 100.0, 0.02}, []any{is["litellm_budget_table"].(object)["max_budget"], is["litellm_budget_table"].(object)["rpm_limit"], is["spend"]}, "its siblings come along, and what was spent")
		require.Equal(t, "budget_exceeded", g.call(key, "gpt-4", 1))
		two := g.must("GET", "/organization/info?organization_id=two", "")
		require.Equal(t, []any{"gold", 0.05}, []any{two["budget_id"], two["litellm_budget_table"].(object)["max_budget"]})
		is = g.must("PATCH", "/organization/update", `{"organization_id":"two","organization_alias":"Other"}`)
		require.Equal(t, "gold", is["budget_id"], "no limit is changed")
		is = g.must("PATCH", "/organization/update", `{"organization_id":"two","max_budget":1}`)
		require.Equal(t, "gold", is["budget_id"], "nobody else has it any more")
		is = g.must("POST", "/budget/update", `{"budget_id":"gold","max_budget":2}`)
		require.Equal(t, 2.0, is["max_budget"])
	})
}
