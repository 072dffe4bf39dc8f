package litellm_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestInternalUsersMakeKeysOfTheirOwn is a known fault of LiteLLM (500), and another that they make keys for others.
func TestInternalUsersMakeKeysOfTheirOwn(t *testing.T) {
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		anna, bob, carl := g.join("acme-1", "anna", "org_admin"), g.join("acme-1", "bob", "internal_user"), g.join("acme-1", "carl", "internal_user_viewer")
		g.must("POST", "/team/new", `{"team_id":"lab-1","organization_id":"acme-1","members_with_roles":[{"role":"user","user_id":"bob"}],"max_budget":1}`)
		is := g.by(bob, "POST", "/key/generate", `{"key_alias":"mine","max_budget":0.005}`)
		key := is["key"].(string)
		require.Equal(t, []any{"bob", "acme-1", nil, "bob"}, []any{is["user_id"], is["organization_id"], is["team_id"], is["created_by"]})
		require.Equal(t, []string{"", "budget_exceeded"}, []string{g.call(key, "gpt-4", 5), g.call(key, "gpt-4", 5)})
		require.Equal(t, "bob", g.by(key, "GET", "/user/info", "")["user_id"])
		of := g.by(bob, "POST", "/key/generate", `{"team_id":"lab-1","user_id":"bob","key_type":"llm_api"}`)
		require.Equal(t, []any{"bob", "lab-1"}, []any{of["user_id"], of["team_id"]})
		require.Equal(t, "", g.call(of["key"].(string), "gpt-4", 5))
		g.by(key, "POST", "/key/generate", `{"key_type":"read_only"}`) // a key of theirs makes another

		for _, user := range []string{"anna", "carl", "nobody"} {
			require.Equal(t, "You can only create keys for yourself", g.barred(403, "auth_error", "None", bob, "POST", "/key/generate", `{"organization_id":"acme-1","user_id":"`+user+`"}`)["message"])
		}
		g.barred(401, "auth_error", "None", carl, "POST", "/key/generate", `{"organization_id":"acme-1"}`)

		// It is theirs to see and to delete, and what they may do is all that it does.
		g.barred(401, "auth_error", "user_role", key, "POST", "/organization/member_add", `{"organization_id":"acme-1","member":{"user_id":"eve","role":"org_admin"}}`)
		require.Equal(t, "mine", g.by(bob, "GET", "/key/info?key="+key, "")["info"].(object)["key_alias"])
		g.barred(404, "not_found_error", "None", carl, "GET", "/key/info?key="+key, "")
		others := g.by(anna, "POST", "/key/generate", `{"organization_id":"acme-1","user_id":"anna"}`)["key"].(string)
		g.barred(404, "not_found_error", "None", bob, "POST", "/key/delete", `{"keys":["`+others+`"]}`)
		require.Equal(t, []any{key}, g.by(bob, "POST", "/key/delete", `{"keys":["`+key+`"]}`)["deleted_keys"])
		require.Equal(t, "invalid_api_key", g.call(key, "gpt-4", 1))
	})
}

func TestKeysHaveModelsAliasesAndPermissions(t *testing.T) { // section 9, 6 and 7
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"acme-1","model_aliases":{"best":"gpt-4","house":"gpt-3.5"},"object_permission":{"vector_stores":["vs_1","vs_2"]}}`)
		is := g.must("POST", "/key/generate", `{"organization_id":"acme-1","models":["gpt-3.5"],"aliases":{"best":"gpt-3.5","mine":"gpt-4"},"object_permission":{"vector_stores":["vs_2","vs_3"],"blocked_tools":["shell"]}}`)
		require.Equal(t, []any{[]any{"gpt-3.5"}, object{"best": "gpt-3.5", "mine": "gpt-4"}, []any{"vs_2", "vs_3"}}, []any{is["models"], is["aliases"], is["object_permission"].(object)["vector_stores"]})
		key := is["key"].(string)
		require.Equal(t, []string{"", "", "model_not_allowed", "model_not_allowed"}, []string{g.call(key, "best", 1), g.call(key, "house", 1), g.call(key, "mine", 1), g.call(key, "gpt-4", 1)})
		models, err := g.gate.Models(t.Context(), gate.Call{Secret: key})
		require.NoError(t, err)
		require.Len(t, models, 1)
		uses := func(object string) string {
			_, err := g.gate.Admit(t.Context(), gate.Call{Secret: key, Model: "gpt-3.5", MaxOutputTokens: 1, Objects: []string{object}})
			var d *gate.Denied
			if errors.As(err, &d) {
				require.NotEmpty(t, d.DecisionID)
				return d.Code
			}
			require.NoError(t, err)
			return ""
		}
		require.Equal(t, []string{"object_not_allowed", "", "object_not_allowed", "object_not_allowed", ""}, []string{uses("vector_store:vs_1"), uses("vector_store:vs_2"), uses("vector_store:vs_3"), uses("tool:shell"), uses("tool:other")})
		require.Equal(t, []any{[]any{"no-default-models"}}, []any{g.must("POST", "/key/generate", `{"organization_id":"acme-1","models":["no-default-models"]}`)["models"]})
		typ, loc := g.unfit(master, "POST", "/key/generate", `{"organization_id":"acme-1","aliases":{"a":1}}`)
		require.Equal(t, []any{"dict_type", []any{"body", "aliases"}}, []any{typ, loc})
	})
}
