package litellm_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/store/storetest"
)

func (g *gateway) acme() {
	g.t.Helper()
	g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"acme-1"}`)
}

func add(member string) string { return `{"organization_id":"acme-1","member":` + member + `}` }

func TestMembersAreAdded(t *testing.T) { // F442 to F446
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		known := g.User("anna@acme.example")
		is := g.must("POST", "/organization/member_add", `{"organization_id":"acme-1","max_budget_in_organization":10.5,"member":[{"role":"org_admin","user_email":" Anna@acme.example"},
			{"role":"internal_user","user_id":"bob"},{"role":"internal_user_viewer","user_id":"c@acme.example"},{"role":"internal_user","user_email":"new@acme.example"}]}`)
		require.Equal(t, "acme-1", is["organization_id"])
		users, rows := is["updated_users"].([]any), is["updated_organization_memberships"].([]any)
		require.Len(t, users, 4)
		for i, want := range []struct{ id, email, role any }{{known.ID, "anna@acme.example", "org_admin"}, {"bob", nil, "internal_user"}, {"c@acme.example", "c@acme.example", "internal_user_viewer"}, {nil, "new@acme.example", "internal_user"}} {
			u, row := users[i].(object), rows[i].(object)
			if want.id != nil {
				require.Equal(t, want.id, u["user_id"])
			}
			require.Equal(t, []any{u["user_id"], want.email, want.role, "acme-1"}, []any{row["user_id"], row["user_email"], row["user_role"], row["organization_id"]})
			budget := row["litellm_budget_table"].(object)
			require.Equal(t, []any{row["budget_id"], 10.5}, []any{budget["budget_id"], budget["max_budget"]})
			require.NotContains(t, u, "password")
		}
		one := g.must("POST", "/organization/member_add", add(`{"role":"internal_user","user_id":"dave","user_email":"dave@acme.example"}`))
		require.Len(t, one["updated_users"], 1)
		require.Nil(t, one["updated_organization_memberships"].([]any)[0].(object)["litellm_budget_table"])
		require.Empty(t, g.must("POST", "/organization/member_add", add(`[]`))["updated_users"])

		info := g.must("GET", "/organization/info?organization_id=acme-1", "")
		require.Len(t, info["members"], 5)
		person := info["members"].([]any)[0].(object)["user"].(object)
		require.Equal(t, object{"user_id": known.ID, "user_email": "anna@acme.example", "user_alias": nil, "user_role": "internal_user"}, person)
		require.Nil(t, g.rows(master, "GET", "/organization/list", "")[0].(object)["members"].([]any)[0].(object)["user"])
	})
}

func TestAllMembersAreAddedOrNone(t *testing.T) {
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		g.must("POST", "/organization/member_add", add(`{"role":"internal_user","user_id":"bob"}`))
		barred := func(status int, typ, text, body string) { // always shape B (A1)
			t.Helper()
			require.Equal(t, text, g.barred(status, typ, "None", master, "POST", "/organization/member_add", body)["message"])
		}
		barred(409, "bad_request_error", "User bob is already a member of organization acme-1", add(`[{"role":"internal_user","user_id":"eve"},{"role":"internal_user","user_id":"bob"}]`)) // a known fault: eve stays
		barred(409, "bad_request_error", "User eve is already a member of organization acme-1", add(`[{"role":"internal_user","user_id":"eve"},{"role":"org_admin","user_id":"eve"}]`))
		barred(404, "auth_error", "Organization not found for organization_id=nope", `{"organization_id":"nope","member":{"role":"internal_user","user_id":"eve"}}`)
		barred(400, "bad_request_error", "max_budget_in_organization must be a non-negative finite number. Received: -1",
			`{"organization_id":"acme-1","member":{"role":"internal_user","user_id":"eve"},"max_budget_in_organization":-1}`)
		require.Len(t, g.must("GET", "/organization/info?organization_id=acme-1", "")["members"], 1)
		_, err := g.Manager.User(g.Platform(), "eve")
		require.Error(t, err, "nobody is left of what was refused")

		for body, want := range map[string]string{add(`{"role":"boss","user_id":"eve"}`): "enum [body member role]", add(`{"user_id":"eve"}`): "missing [body member role]",
			add(`{"role":"internal_user"}`): "value_error [body member]", add(`7`): "dict_type [body member]", `{"organization_id":"acme-1"}`: "missing [body member]", `{"member":[]}`: "missing [body organization_id]"} {
			typ, loc := g.unfit(master, "POST", "/organization/member_add", body)
			require.Equal(t, want, fmt.Sprint(typ, " ", loc), body)
		}
	})
}

func TestConcurrentAddsOfOneUserMakeOneMembership(t *testing.T) { // a known fault: concurrent calls give several
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		var all sync.WaitGroup
		var mu sync.Mutex
		codes := map[int]int{}
		for range 6 {
			all.Go(func() {
				w := serve(g.h, request("POST", "/organization/member_add", add(`{"role":"internal_user","user_id":"bob"}`)))
				mu.Lock()
				defer mu.Unlock()
				codes[w.Code]++
			})
		}
		all.Wait()
		require.Equal(t, map[int]int{200: 1, 409: 5}, codes)
		require.Len(t, g.must("GET", "/organization/info?organization_id=acme-1", "")["members"], 1)
	})
}

func TestMembersAreChanged(t *testing.T) { // F447 to F449
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		g.must("POST", "/organization/member_add", add(`{"role":"org_admin","user_id":"bob","user_email":"bob@acme.example"}`))
		update := func(body string) object {
			t.Helper()
			return g.must("PATCH", "/organization/member_update", `{"organization_id":"acme-1",`+body+`}`)
		}
		is := update(`"user_id":"bob","max_budget_in_organization":"7.25"`)
		require.Equal(t, []any{"bob", "org_admin", 7.25}, []any{is["user_id"], is["user_role"], is["litellm_budget_table"].(object)["max_budget"]})
		id := is["budget_id"]
		is = update(`"user_email":"BOB@acme.example","role":"internal_user","max_budget_in_organization":8`)
		require.Equal(t, []any{"internal_user", id, 8.0}, []any{is["user_role"], is["budget_id"], is["litellm_budget_table"].(object)["max_budget"]}, "the last org_admin may go")
		is = update(`"user_id":"bob","role":null`)
		require.Equal(t, []any{"internal_user", id}, []any{is["user_role"], is["budget_id"]})
		is = update(`"user_id":"bob","max_budget_in_organization":null`)
		require.Equal(t, []any{nil, nil}, []any{is["budget_id"], is["litellm_budget_table"]}, "a known fault: it cannot be cleared")

		refused := func(status int, text, body string) {
			t.Helper()
			g.refused(status, text, master, "PATCH", "/organization/member_update", body)
		}
		refused(400, "Organization not found for organization_id=nope", `{"organization_id":"nope","user_id":"bob"}`)
		refused(404, "Member not found in organization for user_id=eve", `{"organization_id":"acme-1","user_id":"eve"}`)
		refused(400, "Unique user not found for user_email=e@x.org. Potential duplicate OR non-existent user_email in LiteLLM_UserTable. Use 'user_id' instead.", `{"organization_id":"acme-1","user_email":"e@x.org"}`)
		refused(400, "max_budget_in_organization must be a non-negative finite number. Received: -1", `{"organization_id":"acme-1","user_id":"bob","max_budget_in_organization":-1}`)
		typ, _ := g.unfit(master, "PATCH", "/organization/member_update", `{"organization_id":"acme-1","user_id":"bob","role":"boss"}`)
		require.Equal(t, "value_error", typ)
	})
}

func TestABudgetOfAMemberIsInForce(t *testing.T) { // LD-15, a known fault: it is ignored
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		g.must("POST", "/organization/member_add", `{"organization_id":"acme-1","member":{"role":"internal_user","user_id":"bob"},"max_budget_in_organization":0.01}`)
		bob := "bob"
		_, secret, err := g.CreateAPIKey(g.Platform(), orgs.NewAPIKey{Name: "bob's", Organization: "acme-1", User: &bob, Permissions: []string{"models.use"}})
		require.NoError(t, err)
		require.Equal(t, []string{"", "budget_exceeded"}, []string{g.call(secret, "gpt-4", 10), g.call(secret, "gpt-4", 1)})
		row := g.must("GET", "/organization/info?organization_id=acme-1", "")["members"].([]any)[0].(object)
		require.Equal(t, 0.01, row["spend"])
		g.must("PATCH", "/organization/member_update", `{"organization_id":"acme-1","user_id":"bob","max_budget_in_organization":null}`)
		require.Equal(t, "", g.call(secret, "gpt-4", 10))

		// With the membership their keys die (LD-43).
		is := g.must("DELETE", "/organization/member_delete", `{"organization_id":"acme-1","user_id":"bob"}`)
		require.Equal(t, []any{"bob", "acme-1", "internal_user", nil}, []any{is["user_id"], is["organization_id"], is["user_role"], is["litellm_budget_table"]})
		require.Equal(t, "invalid_api_key", g.call(secret, "gpt-4", 1))
		code, v := g.send(master, "DELETE", "/organization/member_delete", `{"organization_id":"acme-1","user_id":"bob"}`)
		require.Equal(t, []any{200, nil}, []any{code, v}, "who is no member is no error")
		code, v = g.send(master, "DELETE", "/organization/member_delete", `{"organization_id":"nope","user_id":"bob"}`)
		require.Equal(t, []any{200, nil}, []any{code, v})
	})
}

func TestStrict(t *testing.T) {
	each(t, litellm.Options{Strict: true, ProtectLastOrgAdmin: true, RejectUnknownFields: true}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		anna := g.join("acme-1", "anna", "org_admin")
		g.refused(404, "Organization not found for organization_id=nope", master, "PATCH", "/organization/member_update", `{"organization_id":"nope","user_id":"bob"}`)
		g.refused(404, "Member not found in organization for user_id=bob", master, "DELETE", "/organization/member_delete", `{"organization_id":"acme-1","user_id":"bob"}`)
		g.barred(403, "auth_error", "user_role", anna, "POST", "/organization/new", `{"organization_alias":"Mine"}`)
		typ, _ := g.unfit(master, "POST", "/organization/new", `{"organization_alias":"Acme","max_budgte":1}`)
		require.Equal(t, "extra_forbidden", typ)

		// An owner counts as one with an address that is verified.
		owner, _ := g.Manager.User(g.Platform(), "anna")
		mail, verified := "anna@acme.example", true
		_, err := g.UpdateUser(g.Platform(), owner.ID, orgs.UserUpdate{Email: &mail, EmailVerified: &verified})
		require.NoError(t, err)
		g.refused(400, "the last org_admin of the organization stays one", master, "DELETE", "/organization/member_delete", `{"organization_id":"acme-1","user_id":"anna"}`)
	})
}

// routes are calls that name an organization, with the answer to who is none of its members.
var routes = []struct{ method, path, body string }{
	{"GET", "/organization/info?organization_id=ORG", ""},
	{"POST", "/organization/member_add", `{"organization_id":"ORG","member":{"role":"org_admin","user_id":"mallory"}}`},
	{"PATCH", "/organization/member_update", `{"organization_id":"ORG","user_id":"anna","role":"internal_user"}`},
	{"DELETE", "/organization/member_delete", `{"organization_id":"ORG","user_id":"anna"}`},
	{"POST", "/organization/info", `{"organizations":["ORG"]}`},
	{"PATCH", "/organization/update", `{"organization_id":"ORG","organization_alias":"Mine"}`},
	{"PATCH", "/v2/organization/ORG", `{"organization_alias":"Mine"}`},
	{"DELETE", "/organization/delete", `{"organization_ids":["ORG"]}`},
	{"GET", "/organization/list?org_id=ORG", ""},
}

func TestEveryCallIsAuthorizedInItsOrganization(t *testing.T) { // a known fault: any key edits any organization
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		g.must("POST", "/organization/new", `{"organization_alias":"Rival","organization_id":"rival-1","metadata":{"secret":"hunter2"}}`)
		g.join("acme-1", "anna", "org_admin")
		mallory, nobody := g.join("rival-1", "mallory", "org_admin"), g.token(g.User("nobody@x.example").ID)
		o, err := g.Organization(g.Platform(), "acme-1")
		require.NoError(t, err)
		for _, r := range routes {
			for _, key := range []string{mallory, nobody} {
				ask := func(id string) string {
					code, v := g.send(key, r.method, strings.ReplaceAll(r.path, "ORG", id), strings.ReplaceAll(r.body, "ORG", id))
					return strings.ReplaceAll(fmt.Sprint(code, v), id, "ORG")
				}
				want := ask("nope")
				for _, id := range []string{"acme-1", o.ID, o.Slug} {
					require.Equal(t, want, ask(id), "%s %s", r.method, r.path)
				}
			}
		}
		is := g.must("GET", "/organization/info?organization_id=acme-1", "")
		require.Equal(t, "Acme", is["organization_alias"])
		require.Len(t, is["members"], 1)
		for _, seen := range g.seen {
			require.NotContains(t, seen, "hunter2\",", seen)
		}
	})
}

func TestWhoMayCallWhat(t *testing.T) {
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		g.must("POST", "/organization/new", `{"organization_alias":"Rival","organization_id":"rival-1"}`)
		anna, bob := g.join("acme-1", "anna", "org_admin"), g.join("acme-1", "bob", "internal_user")
		nobody := g.token(g.User("nobody@x.example").ID)
		says := func(text, param, key, method, path, body string) {
			t.Helper()
			require.Equal(t, text, g.barred(401, "auth_error", param, key, method, path, body)["message"])
		}
		says("Only proxy admins can create new organizations", "user_role", anna, "POST", "/organization/new", `{"organization_alias":"Mine"}`)
		says("Tried to access route=/organization/info but you are not a member of any organization. Please contact the proxy admin to request access.", "organization_id", nobody, "GET", "/organization/info?organization_id=acme-1", "")
		says("Passed organization_id is None, please pass an organization_id in your request", "organization_id", anna, "POST", "/organization/member_add", `{}`)
		says("You do not have a role within the selected organization. Passed organization_id: rival-1. Please contact the organization admin to request access.", "organization_id", anna, "GET", "/organization/info?organization_id=rival-1", "")
		says("You do not have the required role to perform this action. Your role is internal_user in Organization acme-1", "user_role", bob, "GET", "/organization/info?organization_id=acme-1", "")
		says("You do not have the required role to perform this action. Your role is internal_user in Organization acme-1", "user_role", bob, "DELETE", "/organization/member_delete", `{"organization_id":"acme-1","user_id":"anna"}`) // a known fault: no gate there
		message := g.barred(401, "auth_error", "None", anna, "PATCH", "/organization/update", `{"organization_id":"acme-1","max_budget":1000000}`)["message"]
		require.Contains(t, message, "Only proxy admin can be used to generate, delete, update info for new keys/users/teams. Route=/organization/update. Your role=internal_user.")
		g.barred(401, "auth_error", "None", anna, "POST", "/budget/new", `{}`)
		g.refused(400, "Admin-only endpoint. Not allowed to access this., your role=internal_user", anna, "GET", "/budget/list", "")
		g.refused(401, "Only proxy admins can delete organizations", anna, "DELETE", "/organization/delete", `{"organization_ids":["acme-1"]}`)
		code, v := g.send(bob, "POST", "/organization/info", `{"organizations":["acme-1"]}`)
		require.Equal(t, []any{403, object{"detail": "You do not have access to this organization"}}, []any{code, v})

		// An administrator has the members of their own organization.
		require.Len(t, g.by(anna, "GET", "/organization/info?organization_id=acme-1", "")["members"], 2)
		require.Len(t, g.rows(anna, "POST", "/organization/info", `{"organizations":["acme-1"]}`), 1)
		g.by(anna, "POST", "/organization/member_add", `{"organization_id":"acme-1","member":{"role":"internal_user","user_id":"carl"},"max_budget_in_organization":1}`)
		g.by(anna, "PATCH", "/organization/member_update", `{"organization_id":"acme-1","user_id":"carl","role":"org_admin","max_budget_in_organization":null}`)
		require.Equal(t, "carl", g.by(anna, "DELETE", "/organization/member_delete", `{"organization_id":"acme-1","user_id":"carl"}`)["user_id"])

		// What is listed is one's own, and to a member of that only themselves (LD-08).
		require.Empty(t, g.rows(nobody, "GET", "/organization/list", ""))
		require.Len(t, g.rows(anna, "GET", "/organization/list", ""), 1)
		rows := g.rows(bob, "GET", "/organization/list", "")
		require.Len(t, rows, 1)
		members := rows[0].(object)["members"].([]any)
		require.Len(t, members, 1)
		require.Equal(t, "bob", members[0].(object)["user_id"])
	})
}

func TestKeysStandInManyHeaders(t *testing.T) { // F452
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		for _, name := range []string{"x-litellm-api-key", "Authorization", "API-Key", "x-api-key", "x-goog-api-key", "Ocp-Apim-Subscription-Key"} {
			for _, value := range []string{master, "Bearer " + master, "bearer  " + master} {
				r := httptest.NewRequest("GET", "/organization/list", nil)
				r.Header.Set(name, value)
				code, v := g.answer(r)
				require.Equal(t, 200, code, "%s: %v", name, v)
			}
		}
		// A foreign token in Authorization hides no good key, which it does in LiteLLM.
		r := httptest.NewRequest("GET", "/organization/list", nil)
		r.Header.Set("Authorization", "Bearer eyJ.foreign.token")
		r.Header.Set("x-api-key", master)
		code, _ := g.answer(r)
		require.Equal(t, 200, code)

		bad := "sk-1234567890abcdef1234"
		is := g.barred(401, "token_not_found_in_db", "key", bad, "GET", "/organization/list", "")
		require.Equal(t, fmt.Sprintf("Authentication Error, Invalid proxy server token passed. Received API Key = sk-...1234, Key Hash (Token) =%x. "+
			"Unable to find token in cache or `LiteLLM_VerificationTokenTable`", orgs.HashKey(bad)), is["message"])
		require.Equal(t, "Authentication Error, No api key passed in.", g.barred(401, "auth_error", "None", "", "POST", "/organization/new", `{"`)["message"], "a bad body with a bad key is 401")

		// A key of a blocked organization.
		g.acme()
		key := g.key("acme-1")
		require.Len(t, g.rows(key, "GET", "/organization/list", ""), 1)
		g.must("PATCH", "/organization/update", `{"organization_id":"acme-1","blocked":true}`)
		require.Contains(t, g.barred(401, "auth_error", "organization_id", key, "GET", "/organization/list", "")["message"], "is blocked. Update via `/organization/update` if you're an admin.")
	})
}

func TestWhatOthersWriteIsShown(t *testing.T) {
	each(t, litellm.Options{EmbedCap: 1}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		o, owner := g.Org("acme")
		hard, ten := true, billing.NewAmount(decimal.NewFromInt(10))
		team := g.Team(o, "lab", orgs.TeamSettings{Budget: &orgs.BudgetSettings{MonthlyLimit: &ten, HardLimit: &hard}, Models: &orgs.ModelSettings{Allowed: []string{"gpt-*"}}})
		g.Join(team, "lead@acme.example", "member")
		g.Team(o, "other", orgs.TeamSettings{})
		is := g.must("GET", "/organization/info?organization_id="+o.ID, "")
		require.Len(t, is["members"], 2)
		require.Equal(t, []any{owner.ID, "org_admin"}, []any{is["members"].([]any)[0].(object)["user_id"], is["members"].([]any)[0].(object)["user_role"]})
		require.Len(t, is["teams"], 2)
		row := is["teams"].([]any)[0].(object)
		require.Equal(t, []any{team.ID, "lab", 10.0, []any{"gpt-*"}, false}, []any{row["team_id"], row["team_alias"], row["max_budget"], row["models"], row["blocked"]})
		require.Len(t, row["members_with_roles"], 1)
		list := g.rows(master, "GET", "/organization/list", "")[0].(object)
		require.Equal(t, []any{1, 2.0, 1, 2.0}, []any{len(list["members"].([]any)), list["members_total"], len(list["teams"].([]any)), list["teams_total"]})
	})
}
