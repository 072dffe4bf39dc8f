package litellm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/store/storetest"
)

// uses asks for an answer by which these objects are used, and answers the code of a refusal.
func (g *gateway) uses(secret string, objects ...string) string {
	g.t.Helper()
	adm, err := g.gate.Admit(g.t.Context(), gate.Call{Secret: secret, Model: "gpt-4", MaxOutputTokens: 1, Objects: objects})
	if err != nil {
		var d *gate.Denied
		require.ErrorAs(g.t, err, &d)
		return d.Code
	}
	require.NoError(g.t, adm.Release(g.t.Context()))
	return ""
}

func TestObjectPermissionsAreInForce(t *testing.T) { // F433, LD-14
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		const no = "object_not_allowed"
		is := g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"acme-1","object_permission":{"vector_stores":["vs_1","vs_2"],"blocked_tools":["shell"],"mcp_servers":[],
			"mcp_tool_permissions":{"github":["search"]}}}`)
		permission := is["object_permission"].(object)
		require.Equal(t, []any{[]any{"vs_1", "vs_2"}, []any{"shell"}, []any{}, object{"github": []any{"search"}}, is["object_permission_id"]},
			[]any{permission["vector_stores"], permission["blocked_tools"], permission["mcp_servers"], permission["mcp_tool_permissions"], permission["object_permission_id"]})
		key := g.key("acme-1")
		uses := func(objects ...string) string { t.Helper(); return g.uses(key, objects...) }
		require.Equal(t, []string{"", no, no, "", "", no, "", no}, []string{uses("vector_store:vs_1", "vector_store:vs_2"), uses("vector_store:vs_1", "vector_store:vs_3"), uses("tool:shell"), uses("tool:weather"),
			uses("mcp_server:github", "mcp_tool:github/search"), uses("mcp_tool:github/delete"), uses("mcp_tool:other/delete"), uses("mcp_tool:other/shell")})

		// That of a team is under that of its organization, whatever it says.
		team := g.must("POST", "/team/new", `{"organization_id":"acme-1","team_id":"lab-1","object_permission":{"vector_stores":["vs_2","vs_3"]},"model_aliases":{"fast":"gpt-3.5"}}`)
		require.Equal(t, []any{[]any{"vs_2", "vs_3"}, object{"fast": "gpt-3.5"}}, []any{team["object_permission"].(object)["vector_stores"], team["model_aliases"]})
		of := g.must("POST", "/key/generate", `{"team_id":"lab-1"}`)["key"].(string)
		require.Equal(t, []string{no, "", no}, []string{g.uses(of, "vector_store:vs_1"), g.uses(of, "vector_store:vs_2"), g.uses(of, "vector_store:vs_3")})
		require.Equal(t, []string{"", "unsupported_model"}, []string{g.call(of, "fast", 1), g.call(key, "fast", 1)})

		// A change keeps what it does not name, and the id.
		id := is["object_permission_id"]
		update := func(body string) object {
			t.Helper()
			return g.must("PATCH", "/organization/update", `{"organization_id":"acme-1",`+body+`}`)
		}
		is = update(`"object_permission":{"vector_stores":null,"agents":["a"]}`)
		permission = is["object_permission"].(object)
		require.Equal(t, []any{[]any{}, []any{"a"}, []any{"shell"}, id}, []any{permission["vector_stores"], permission["agents"], permission["blocked_tools"], is["object_permission_id"]})
		require.Equal(t, []string{"", no, ""}, []string{uses("vector_store:vs_3"), uses("agent:b"), uses("agent:a")}, "null is no limit")
		require.Equal(t, permission, update(`"object_permission":{}`)["object_permission"], "nothing changes nothing")
		require.Equal(t, permission, update(`"organization_alias":"Other"`)["object_permission"])
		is = update(`"object_permission":null`)
		require.Equal(t, []any{nil, nil}, []any{is["object_permission"], is["object_permission_id"]})
		require.Equal(t, "", uses("agent:b", "tool:shell"))
		require.Nil(t, g.must("POST", "/organization/new", `{"organization_alias":"None","object_permission":{"vector_stores":[]}}`)["object_permission"])

		g.refused(400, "object_permission.mcp_access_groups is not supported by this gateway", master, "PATCH", "/organization/update", `{"organization_id":"acme-1","object_permission":{"mcp_access_groups":["dev"]}}`)
		for body, want := range map[string]string{`{"vector_stores":"vs_1"}`: "vector_stores", `{"mcp_tool_permissions":{"a":[1]}}`: "mcp_tool_permissions", `{"agents":[null]}`: "agents"} {
			typ, loc := g.unfit(master, "PATCH", "/organization/update", `{"organization_id":"acme-1","object_permission":`+body+`}`)
			require.Equal(t, []any{"list_type", []any{"body", "object_permission", want}}, []any{typ, loc})
		}
	})
}

func TestModelAliasesAreInForce(t *testing.T) { // F432, LD-13
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		is := g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"acme-1","models":["gpt-3.5"],"model_aliases":{"best":"gpt-4","house":"gpt-3.5","lost":"nothing"}}`)
		require.Equal(t, object{"best": "gpt-4", "house": "gpt-3.5", "lost": "nothing"}, is["model_aliases"])
		key := g.key("acme-1")
		require.Equal(t, []string{"", "model_not_allowed", "unsupported_model", "unsupported_model"}, []string{g.call(key, "house", 1), g.call(key, "best", 1), g.call(key, "lost", 1), g.call(key, "other", 1)})
		is = g.must("PATCH", "/organization/update", `{"organization_id":"acme-1","model_aliases":{"best":"gpt-3.5"}}`)
		require.Equal(t, []any{object{"best": "gpt-3.5"}, []any{"gpt-3.5"}}, []any{is["model_aliases"], is["models"]})
		require.Equal(t, []string{"", "unsupported_model"}, []string{g.call(key, "best", 1), g.call(key, "house", 1)})
		is = g.must("PATCH", "/organization/update", `{"organization_id":"acme-1","model_aliases":null}`)
		require.Equal(t, object{}, is["model_aliases"])
		require.Equal(t, "unsupported_model", g.call(key, "best", 1))
		typ, _ := g.unfit(master, "PATCH", "/organization/update", `{"organization_id":"acme-1","model_aliases":{"a":1}}`)
		require.Equal(t, "dict_type", typ)
		g.refused(400, "settings.models.aliases: is required", master, "PATCH", "/organization/update", `{"organization_id":"acme-1","model_aliases":{"a":""}}`)
	})
}
