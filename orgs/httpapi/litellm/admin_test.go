package litellm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestUsersAreProxyAdmins(t *testing.T) { // F417, F438
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		is := g.must("POST", "/user/new", `{"user_id":"root","user_email":"root@platform.example","user_role":"proxy_admin"}`)
		require.Equal(t, []any{"root", "proxy_admin"}, []any{is["user_id"], is["user_role"]})
		root := is["key"].(string)
		require.NotEmpty(t, root, "a key, though they are in no organization")
		view := g.must("POST", "/user/new", `{"user_id":"eye","user_role":"proxy_admin_viewer"}`)["key"].(string)
		require.Equal(t, "", g.must("POST", "/user/new", `{"user_id":"none","user_role":"proxy_admin","auto_create_key":false}`)["key"])

		// They do what the operator does, and the log names them.
		is = g.by(root, "POST", "/organization/new", `{"organization_alias":"Other","organization_id":"other-1"}`)
		require.Empty(t, g.by(root, "GET", "/organization/info?organization_id=other-1", "")["members"], "and become members of nothing")
		page, err := g.AuditLog(g.Platform(), "other-1", audit.Filter{})
		require.NoError(t, err)
		u, err := g.Manager.User(g.Platform(), "root")
		require.NoError(t, err)
		for _, e := range page.Items {
			require.Equal(t, u.ID, e.ActorID, e.Type)
		}
		require.Len(t, g.rows(root, "GET", "/organization/list", ""), 2)
		require.Equal(t, []any{"root", "proxy_admin"}, []any{g.by(root, "GET", "/user/info", "")["user_id"], g.by(root, "GET", "/user/info", "")["user_info"].(object)["user_role"]})
		require.Equal(t, "internal_user", g.must("POST", "/user/new", `{"user_id":"plain"}`)["user_role"])

		// Who views sees everything, and changes nothing.
		require.Len(t, g.rows(view, "GET", "/organization/list", ""), 2)
		require.Len(t, g.rows(view, "POST", "/organization/info", `{"organizations":["acme-1"]}`), 1)
		require.Equal(t, "plain", g.by(view, "GET", "/user/info?user_id=plain", "")["user_id"])
		for _, c := range []struct{ method, path, body string }{{"POST", "/organization/new", `{"organization_alias":"x"}`}, {"PATCH", "/organization/update", `{"organization_id":"acme-1"}`},
			{"PATCH", "/v2/organization/acme-1", `{}`}, {"DELETE", "/organization/delete", `{"organization_ids":["acme-1"]}`}, {"POST", "/organization/member_add", `{"organization_id":"acme-1","member":[]}`},
			{"PATCH", "/organization/member_update", `{"organization_id":"acme-1","user_id":"plain"}`}, {"DELETE", "/organization/member_delete", `{"organization_id":"acme-1","user_id":"plain"}`},
			{"POST", "/user/new", `{}`}, {"POST", "/team/new", `{"organization_id":"acme-1"}`}, {"POST", "/key/generate", `{"organization_id":"acme-1"}`}, {"POST", "/budget/new", `{}`}} {
			message := g.barred(403, "auth_error", "None", view, c.method, c.path, c.body)["message"]
			require.Contains(t, message, "proxy_admin_viewer")
			require.Contains(t, message, "Route=/")
		}

		// What they are in an organization only the operator changes.
		anna := g.join("acme-1", "anna", "org_admin")
		g.must("POST", "/organization/member_add", `{"organization_id":"acme-1","member":{"user_id":"root","role":"internal_user"}}`)
		require.Equal(t, "proxy_admin", g.must("GET", "/organization/info?organization_id=acme-1", "")["members"].([]any)[1].(object)["user"].(object)["user_role"])
		g.refused(403, "Only PROXY_ADMIN may modify the organization role of a user who is a global PROXY_ADMIN.", anna, "PATCH", "/organization/member_update", `{"organization_id":"acme-1","user_id":"root","role":"internal_user_viewer"}`)
		g.by(root, "PATCH", "/organization/member_update", `{"organization_id":"acme-1","user_id":"root","role":"org_admin"}`)

		// A key of theirs is no more than it was made for.
		calls := g.must("POST", "/key/generate", `{"organization_id":"acme-1","user_id":"root","key_type":"llm_api"}`)["key"].(string)
		g.barred(401, "auth_error", "user_role", calls, "POST", "/organization/new", `{"organization_alias":"x"}`)
		all := g.must("POST", "/key/generate", `{"organization_id":"acme-1","user_id":"root"}`)["key"].(string)
		g.by(all, "POST", "/organization/new", `{"organization_alias":"x"}`)

		// Nobody makes one of themselves, or of others, and it ends with the user.
		require.Contains(t, g.barred(401, "auth_error", "None", anna, "POST", "/user/new", `{"user_id":"eve","user_role":"proxy_admin"}`)["message"], "Only proxy admin")
		typ, _ := g.unfit(master, "POST", "/user/new", `{"user_role":"org_admin"}`)
		require.Equal(t, "literal_error", typ)
		g.by(root, "PATCH", "/organization/member_update", `{"organization_id":"acme-1","user_id":"root","role":"internal_user"}`) // else it is the last one that can be one
		code, _ := g.send(master, "POST", "/user/delete", `{"user_ids":["root"]}`)
		require.Equal(t, 200, code)
		for _, key := range []string{root, all} {
			g.barred(401, "token_not_found_in_db", "key", key, "GET", "/organization/list", "")
		}
	})
}
