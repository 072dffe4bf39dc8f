package litellm_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestUsersAreMade(t *testing.T) {
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		is := g.must("POST", "/user/new", `{"user_id":"anna","user_email":"anna@acme.example","user_alias":"Anna","user_role":"internal_user","organizations":["acme-1"],"models":[],"metadata":{}}`)
		require.Equal(t, []any{"anna", "anna@acme.example", "Anna", "internal_user"}, []any{is["user_id"], is["user_email"], is["user_alias"], is["user_role"]})
		key := is["key"].(string)
		require.True(t, strings.HasPrefix(key, "sk-"))
		require.Equal(t, "", g.call(key, "gpt-4", 1), "the key calls models")
		require.Len(t, g.by(key, "GET", "/user/info", "")["keys"], 1)
		require.Equal(t, "anna", g.by(key, "GET", "/user/info", "")["user_id"])
		require.Len(t, g.must("GET", "/organization/info?organization_id=acme-1", "")["members"], 1)

		bare := g.must("POST", "/user/new", `{"auto_create_key":false}`)
		require.Equal(t, "", bare["key"])
		require.Equal(t, bare["user_id"], g.must("GET", "/user/info?user_id="+bare["user_id"].(string), "")["user_info"].(object)["user_id"])

		says := func(status int, text, body string) {
			t.Helper()
			require.Equal(t, text, g.barred(status, "bad_request_error", "None", master, "POST", "/user/new", body)["message"])
		}
		says(409, "User with id anna already exists", `{"user_id":"anna"}`)
		says(409, "User with email ANNA@acme.example already exists", `{"user_email":"ANNA@acme.example"}`)
		says(400, "Organization not found for organization_id=nope", `{"user_id":"bob","organizations":["nope"]}`) // a known fault: it is swallowed
		says(400, "max_budget is not supported by this gateway", `{"user_id":"bob","max_budget":1}`)
		g.barred(404, "not_found_error", "None", master, "GET", "/user/info?user_id=bob", "")
		g.barred(403, "auth_error", "None", key, "GET", "/user/info?user_id="+bare["user_id"].(string), "")
		g.barred(403, "auth_error", "None", key, "GET", "/user/info?user_id=bob", "")
		g.barred(401, "auth_error", "None", key, "POST", "/user/delete", `{"user_ids":["anna"]}`)

		g.barred(404, "not_found_error", "None", master, "POST", "/user/delete", `{"user_ids":["anna","bob"]}`)
		require.Equal(t, "", g.call(key, "gpt-4", 1), "nobody is deleted then")
		code, v := g.send(master, "POST", "/user/delete", `{"user_ids":["anna"]}`)
		require.Equal(t, []any{200, 1.0}, []any{code, v})
		require.Equal(t, "invalid_api_key", g.call(key, "gpt-4", 1))
	})
}

func TestTeamsAreMade(t *testing.T) {
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"acme-1","max_budget":10,"models":["gpt-4"],"rpm_limit":100}`)
		g.must("POST", "/organization/new", `{"organization_alias":"Rival","organization_id":"rival-1"}`)
		anna, bob, mallory := g.join("acme-1", "anna", "org_admin"), g.join("acme-1", "bob", "internal_user"), g.join("rival-1", "mallory", "org_admin")
		is := g.by(anna, "POST", "/team/new", `{"team_alias":"Lab","team_id":"lab-1","organization_id":"acme-1","max_budget":0.01,"budget_duration":"1d","models":["gpt-4"],"rpm_limit":50,
			"members_with_roles":[{"role":"user","user_id":"bob"},{"role":"user","user_email":"new@acme.example"}]}`)
		require.Equal(t, []any{"lab-1", "Lab", "acme-1", 0.01, "1d", 50.0, []any{"gpt-4"}, false}, []any{is["team_id"], is["team_alias"], is["organization_id"], is["max_budget"], is["budget_duration"], is["rpm_limit"], is["models"], is["blocked"]})
		require.Len(t, is["members_with_roles"], 3)
		require.Equal(t, []any{"anna"}, is["admins"], "who makes it is its admin")
		require.Len(t, g.must("GET", "/organization/info?organization_id=acme-1", "")["members"], 3, "and its members are members of the organization")
		g.by(anna, "POST", "/team/new", `{"team_alias":"Lab","organization_id":"acme-1"}`) // names need not be unique

		refused := func(status int, typ, text, key, body string) {
			t.Helper()
			require.Equal(t, text, g.barred(status, typ, "None", key, "POST", "/team/new", body)["message"])
		}
		refused(400, "bad_request_error", "Team id = lab-1 already exists. Please use a different team id.", anna, `{"team_id":"lab-1","organization_id":"acme-1"}`)
		refused(400, "bad_request_error", "Team max_budget (11.0) exceeds organization's max_budget (10.0).", anna, `{"organization_id":"acme-1","max_budget":11}`)
		refused(400, "bad_request_error", "Model gpt-3.5 not in organization's allowed models", anna, `{"organization_id":"acme-1","models":["gpt-3.5"]}`)
		refused(400, "bad_request_error", "Team rpm_limit exceeds organization's rpm_limit.", anna, `{"organization_id":"acme-1","rpm_limit":101}`)
		refused(400, "bad_request_error", "Organization not found for organization_id=nope", master, `{"organization_id":"nope"}`)
		refused(400, "bad_request_error", "organization_id is required: every team belongs to an organization", master, `{"team_alias":"x"}`)
		g.barred(401, "auth_error", "user_role", bob, "POST", "/team/new", `{"organization_id":"acme-1"}`)
		g.barred(401, "auth_error", "organization_id", mallory, "POST", "/team/new", `{"organization_id":"acme-1"}`)

		// Its budget is in force for its keys.
		key := g.by(anna, "POST", "/key/generate", `{"team_id":"lab-1","user_id":"bob","key_alias":"bob's"}`)
		require.Equal(t, []any{"acme-1", "lab-1", "bob"}, []any{key["organization_id"], key["team_id"], key["user_id"]})
		require.Equal(t, []string{"", "budget_exceeded"}, []string{g.call(key["key"].(string), "gpt-4", 10), g.call(key["key"].(string), "gpt-4", 1)})
		info := g.by(anna, "GET", "/team/info?team_id=lab-1", "")
		require.Equal(t, 0.01, info["team_info"].(object)["spend"])

		add := `{"team_id":"lab-1","member":{"role":"admin","user_id":"carl"},"max_budget_in_team":3}`
		is = g.by(anna, "POST", "/team/member_add", add)
		require.Len(t, is["members_with_roles"], 4)
		require.Equal(t, []any{object{"user_id": "carl", "team_id": "lab-1"}}, is["updated_team_memberships"])
		require.Contains(t, g.barred(400, "team_member_already_in_team", "user_id", anna, "POST", "/team/member_add", add)["message"], "already in team lab-1")
		is = g.by(anna, "POST", "/team/member_delete", `{"team_id":"lab-1","user_id":"carl"}`)
		require.Len(t, is["members_with_roles"], 3)
		g.barred(400, "bad_request_error", "None", anna, "POST", "/team/member_delete", `{"team_id":"lab-1","user_id":"carl"}`)

		// To others it does not exist.
		for _, call := range []struct{ method, path, body string }{{"GET", "/team/info?team_id=ID", ""}, {"POST", "/team/delete", `{"team_ids":["ID"]}`},
			{"POST", "/team/member_add", `{"team_id":"ID","member":{"role":"admin","user_id":"mallory"}}`}, {"POST", "/team/member_delete", `{"team_id":"ID","user_id":"bob"}`},
			{"POST", "/key/generate", `{"team_id":"ID"}`}} {
			ask := func(id string) string {
				code, v := g.send(mallory, call.method, strings.ReplaceAll(call.path, "ID", id), strings.ReplaceAll(call.body, "ID", id))
				require.Equal(t, 404, code, "%v", v)
				return strings.ReplaceAll(fmt.Sprint(v), id, "ID")
			}
			require.Equal(t, ask("nope"), ask("lab-1"), call.path)
			require.Equal(t, ask("nope"), ask("lab"), call.path)
		}
		g.refused(404, "Team not found, passed team_id=nope", master, "POST", "/team/delete", `{"team_ids":["lab-1","nope"]}`)
		require.Equal(t, []any{"lab-1"}, g.by(anna, "POST", "/team/delete", `{"team_ids":["lab-1"]}`)["deleted_teams"])
		require.Equal(t, "invalid_api_key", g.call(key["key"].(string), "gpt-4", 1))
	})
}

func TestKeysAreMade(t *testing.T) {
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, clock *storetest.Clock) {
		g.acme()
		g.must("POST", "/organization/new", `{"organization_alias":"Rival","organization_id":"rival-1"}`)
		anna, bob, mallory := g.join("acme-1", "anna", "org_admin"), g.join("acme-1", "bob", "internal_user"), g.join("rival-1", "mallory", "org_admin")
		is := g.must("POST", "/key/generate", `{"organization_id":"acme-1","team_id":"","key_alias":"service","max_budget":0.01,"rpm_limit":3,"duration":"1h","metadata":{"a":1}}`)
		key, token := is["key"].(string), is["token"].(string)
		require.Equal(t, fmt.Sprintf("%x", orgs.HashKey(key)), token)
		require.Equal(t, []any{token, "sk-..." + key[len(key)-4:], nil, "acme-1", object{"a": 1.0}}, []any{is["token_id"], is["key_name"], is["user_id"], is["organization_id"], is["metadata"]})
		require.Equal(t, clock.Now().Add(time.Hour).Format("2006-01-02T15:04:05.000000Z"), is["expires"])
		require.Equal(t, []string{"", "budget_exceeded", "", "", "rate_limit_exceeded"},
			[]string{g.call(key, "gpt-4", 9), g.call(key, "gpt-4", 5), g.call(key, "gpt-3.5", 1), g.call(key, "gpt-3.5", 1), g.call(key, "gpt-3.5", 1)})
		for _, ref := range []string{key, token} {
			info := g.by(anna, "GET", "/key/info?key="+ref, "")
			row := info["info"].(object)
			require.Equal(t, []any{ref, "service", 0.01, 3.0, "active"}, []any{info["key"], row["key_alias"], row["max_budget"], row["rpm_limit"], row["status"]})
			require.Less(t, 0.0, row["spend"])
		}
		clock.Advance(time.Hour)
		require.Equal(t, "expired_api_key", g.call(key, "gpt-4", 1))
		g.barred(401, "expired_key", "key", key, "GET", "/key/info", "")

		// That of a person does what they may, and knows itself.
		mine := g.by(anna, "POST", "/key/generate", `{"organization_id":"acme-1","user_id":"anna"}`)["key"].(string)
		require.Len(t, g.by(mine, "GET", "/organization/info?organization_id=acme-1", "")["members"], 2)
		require.Equal(t, "anna", g.by(mine, "GET", "/key/info", "")["info"].(object)["user_id"])
		g.barred(401, "auth_error", "organization_id", mine, "GET", "/organization/info?organization_id=rival-1", "")

		for body, text := range map[string]string{`{"organization_id":"nope"}`: "Organization not found for organization_id=nope", `{}`: "organization_id or team_id is required: every key belongs to an organization",
			`{"organization_id":"acme-1","models":["gpt-4"]}`: "models is not supported by this gateway", `{"organization_id":"acme-1","user_id":"mallory"}`: "user_id=mallory is no member of the key's organization or team",
			`{"organization_id":"acme-1","duration":"3x"}`: "Unsupported duration unit, passed duration: 3x"} {
			require.Equal(t, text, g.barred(400, "bad_request_error", "None", master, "POST", "/key/generate", body)["message"])
		}
		g.barred(400, "bad_request_error", "None", mallory, "POST", "/key/generate", `{"organization_id":"acme-1"}`)
		g.barred(403, "auth_error", "None", bob, "POST", "/key/generate", `{"organization_id":"acme-1","user_id":"anna"}`)

		// Nobody else sees or deletes it.
		for _, ref := range []string{key, token, "sk-none"} {
			g.barred(404, "not_found_error", "None", mallory, "GET", "/key/info?key="+ref, "")
			g.barred(404, "not_found_error", "None", mallory, "POST", "/key/delete", `{"keys":["`+ref+`"]}`)
		}
		typ, _ := g.unfit(anna, "POST", "/key/delete", `{}`)
		require.Equal(t, "missing", typ)
		g.barred(404, "not_found_error", "None", anna, "POST", "/key/delete", `{"keys":["`+mine+`","sk-none"]}`)
		require.Equal(t, "", g.call(mine, "gpt-4", 1))
		require.Equal(t, []any{mine}, g.by(anna, "POST", "/key/delete", `{"keys":["`+mine+`"]}`)["deleted_keys"])
		require.Equal(t, "invalid_api_key", g.call(mine, "gpt-4", 1))
		require.Equal(t, "deleted", g.by(anna, "GET", fmt.Sprintf("/key/info?key=%x", orgs.HashKey(mine)), "")["info"].(object)["status"])
	})
}
