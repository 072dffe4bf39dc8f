package litellm_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/store"
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

// noOption is a set of options that New refuses.
func noOption(t *testing.T, text string, o litellm.Options) {
	t.Helper()
	_, err := litellm.New(new(unserved), &o)
	require.ErrorContains(t, err, text)
}

func TestKeysOutliveTheMembershipOfTheirPerson(t *testing.T) { // LD-43
	each(t, litellm.Options{KeepKeysOnMemberDelete: true}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		anna, bob := g.join("acme-1", "anna", "org_admin"), g.join("acme-1", "bob", "internal_user")
		g.join("acme-1", "carl", "internal_user")
		g.join("acme-1", "dave", "internal_user_viewer")
		g.must("POST", "/team/new", `{"team_id":"lab-1","organization_id":"acme-1","members_with_roles":[{"role":"user","user_id":"bob"}]}`)
		made := func(by, body string) string {
			t.Helper()
			return g.by(by, "POST", "/key/generate", body)["key"].(string)
		}
		own, given := made(bob, `{"key_alias":"mine"}`), made(master, `{"organization_id":"acme-1","user_id":"bob","max_budget":0.01}`)
		ofTeam, viewing := made(master, `{"team_id":"lab-1","user_id":"bob"}`), made(master, `{"organization_id":"acme-1","user_id":"dave"}`)
		carls := made(anna, `{"organization_id":"acme-1","user_id":"carl"}`)
		g.by(own, "GET", "/user/info", "")

		leave := func(by, user string) {
			t.Helper()
			g.by(by, "DELETE", "/organization/member_delete", `{"organization_id":"acme-1","user_id":"`+user+`"}`)
		}
		leave(anna, "bob")
		leave(anna, "dave")
		require.Equal(t, []string{"", "", "", "permission_denied"}, []string{g.call(own, "gpt-4", 1), g.call(given, "gpt-4", 1), g.call(ofTeam, "gpt-4", 1), g.call(viewing, "gpt-4", 1)})
		require.Equal(t, "budget_exceeded", g.call(given, "gpt-4", 10), "its own limits are in force")
		info := g.must("GET", "/key/info?key="+own, "")["info"].(object)
		require.Equal(t, []any{nil, "active"}, []any{info["user_id"], info["status"]})
		for _, key := range []string{own, given, ofTeam} {
			code, _ := g.send(key, "GET", "/organization/info?organization_id=acme-1", "")
			require.NotEqual(t, 200, code, "they call models, and nothing else")
		}
		leave(master, "anna")
		require.Equal(t, []string{"", ""}, []string{g.call(carls, "gpt-4", 1), g.call(own, "gpt-4", 1)}, "what rested on her rights, as what she had made and what she had kept, rests on the operator's")
	})
}

func TestUsersWhoAreAddedHaveABudget(t *testing.T) { // section 12
	dime := decimal.RequireFromString("0.01")
	each(t, litellm.Options{UserDefaults: litellm.UserDefaults{MaxBudget: &dime, BudgetDuration: "1d"}}, func(t *testing.T, g *gateway, clock *storetest.Clock) {
		g.acme()
		g.must("POST", "/organization/new", `{"organization_alias":"Other","organization_id":"other-1"}`)
		g.must("POST", "/user/new", `{"user_id":"known","auto_create_key":false}`)
		anna := g.join("acme-1", "anna", "org_admin")
		is := g.must("POST", "/organization/member_add", add(`[{"role":"internal_user","user_id":"bob"},{"role":"internal_user","user_id":"known"}]`))
		users := is["updated_users"].([]any)
		bob, known := users[0].(object), users[1].(object)
		require.Equal(t, []any{0.01, "1d", 0.0}, []any{bob["max_budget"], bob["budget_duration"], bob["spend"]})
		require.NotNil(t, bob["budget_reset_at"])
		require.Equal(t, []any{nil, nil, nil}, []any{known["max_budget"], known["budget_duration"], known["budget_reset_at"]}, "who was there has none")
		is = g.by(anna, "POST", "/organization/member_add", add(`{"role":"internal_user","user_id":"carl"}`))
		require.Nil(t, is["updated_users"].([]any)[0].(object)["max_budget"], "an administrator of one organization is not told what is of all")

		g.must("POST", "/organization/member_add", `{"organization_id":"other-1","member":{"role":"internal_user","user_id":"bob"}}`)
		key := func(org, user string) string {
			t.Helper()
			return g.must("POST", "/key/generate", `{"organization_id":"`+org+`","user_id":"`+user+`"}`)["key"].(string)
		}
		require.Equal(t, []string{"", "budget_exceeded"}, []string{g.call(key("acme-1", "bob"), "gpt-4", 8), g.call(key("other-1", "bob"), "gpt-4", 8)}, "over all organizations")
		require.Equal(t, "budget_exceeded", g.call(key("acme-1", "carl"), "gpt-4", 11))
		require.Equal(t, "", g.call(key("acme-1", "known"), "gpt-4", 11))
		for _, by := range []string{master, g.token("bob")} {
			info := g.by(by, "GET", "/user/info?user_id=bob", "")["user_info"].(object)
			require.Equal(t, []any{0.01, 0.008}, []any{info["max_budget"], info["spend"]})
		}
		clock.Advance(24 * time.Hour)
		require.Equal(t, "", g.call(key("other-1", "bob"), "gpt-4", 8))
	})
	none := decimal.NewFromInt(-1)
	noOption(t, "limit", litellm.Options{UserDefaults: litellm.UserDefaults{MaxBudget: &none}})
	noOption(t, "BudgetDuration", litellm.Options{UserDefaults: litellm.UserDefaults{MaxBudget: &dime, BudgetDuration: "1 fortnight"}})
	noOption(t, "BudgetDuration", litellm.Options{UserDefaults: litellm.UserDefaults{BudgetDuration: "1d"}})
}

// TestCallsWithoutAPriceCostAMinimum where they are refused by default.
func TestCallsWithoutAPriceCostAMinimum(t *testing.T) { // section 9, 3
	for _, charged := range []bool{false, true} {
		o := litellm.Options{UnknownPrice: billing.RejectUnknown}
		if charged {
			o = litellm.Options{UnknownPrice: billing.ReserveMinimum, UnknownMinimum: decimal.RequireFromString("0.004")}
		}
		want := map[bool][]string{false: {"budget_exceeded", "budget_exceeded"}, true: {"", "budget_exceeded"}}[charged]
		each(t, o, func(t *testing.T, g *gateway, _ *storetest.Clock) {
			twice := func(secret string) []string {
				t.Helper()
				return []string{g.call(secret, "gpt-new", 1), g.call(secret, "gpt-new", 1)}
			}
			g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"acme-1","max_budget":0.007}`)
			require.Equal(t, want, twice(g.key("acme-1")), "of an organization")
			g.must("POST", "/organization/new", `{"organization_alias":"Model","organization_id":"model-1","model_max_budget":{"gpt-new":{"max_budget":0.007}}}`)
			require.Equal(t, want, twice(g.key("model-1")), "of a model")
			g.must("POST", "/organization/new", `{"organization_alias":"Other","organization_id":"other-1"}`)
			require.Equal(t, []string{"", ""}, twice(g.key("other-1")), "nothing limits it")
			g.must("POST", "/team/new", `{"team_id":"lab-1","organization_id":"other-1","max_budget":0.007}`)
			require.Equal(t, want, twice(g.must("POST", "/key/generate", `{"team_id":"lab-1"}`)["key"].(string)), "of a team")
			require.Equal(t, want, twice(g.must("POST", "/key/generate", `{"organization_id":"other-1","max_budget":0.007}`)["key"].(string)), "of a key")
			g.must("POST", "/organization/member_add", `{"organization_id":"other-1","member":{"role":"internal_user","user_id":"bob"},"max_budget_in_organization":0.007}`)
			require.Equal(t, want, twice(g.must("POST", "/key/generate", `{"organization_id":"other-1","user_id":"bob"}`)["key"].(string)), "of a member")
		})
	}
	noOption(t, "hard", litellm.Options{UnknownPrice: billing.AllowUnknown})
	noOption(t, "unknown_price", litellm.Options{UnknownPrice: "free"})
	noOption(t, "unknown_minimum", litellm.Options{UnknownPrice: billing.ReserveMinimum})
	noOption(t, "unknown_minimum", litellm.Options{UnknownMinimum: decimal.NewFromInt(1)})
	noOption(t, "unknown_minimum", litellm.Options{UnknownPrice: billing.RejectUnknown, UnknownMinimum: decimal.NewFromInt(1)})
	noOption(t, "unknown_minimum", litellm.Options{UnknownPrice: billing.ReserveMinimum, UnknownMinimum: decimal.NewFromInt(-1)})
}

// resets is when budgets of these durations are reset that are made at that moment, and when they are after that.
func resets(t *testing.T, g *gateway, clock *storetest.Clock, at string, durations ...string) (list []string) {
	t.Helper()
	now, err := time.Parse(time.RFC3339, at)
	require.NoError(t, err)
	clock.Set(now)
	for _, d := range durations {
		is := g.must("POST", "/budget/new", `{"max_budget":1,"budget_duration":"`+d+`"}`)
		first, err := time.Parse(time.RFC3339, is["budget_reset_at"].(string))
		require.NoError(t, err)
		clock.Set(first)
		again := g.rows(master, "POST", "/budget/info", `{"budgets":["`+is["budget_id"].(string)+`"]}`)[0].(object)["budget_reset_at"].(string)
		list = append(list, d+" "+first.Format("01-02T15:04:05")+" "+again[5:19])
		clock.Set(now)
	}
	return list
}

func TestBudgetsRoll(t *testing.T) { // LD-23
	each(t, litellm.Options{ResetMode: litellm.Rolling}, func(t *testing.T, g *gateway, clock *storetest.Clock) {
		require.Equal(t, []string{"1d 02-01T10:20:30 02-02T10:20:30", "7d 02-07T10:20:30 02-14T10:20:30", "30d 03-01T10:20:30 03-31T10:20:30", "1mo 02-29T10:20:30 03-31T10:20:30", "2h 01-31T12:20:30 01-31T14:20:30"},
			resets(t, g, clock, "2024-01-31T10:20:30Z", "1d", "7d", "30d", "1mo", "2h"))
		g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"acme-1","max_budget":0.01,"budget_duration":"1d","model_max_budget":{"gpt-3.5":{"max_budget":0.00001,"budget_duration":"2d"}}}`)
		key := g.key("acme-1")
		spend := func(model string) []string {
			t.Helper()
			return []string{g.call(key, model, 10), g.call(key, model, 1)}
		}
		require.Equal(t, []string{"", "budget_exceeded"}, spend("gpt-3.5"))
		clock.Advance(time.Hour)
		g.must("PATCH", "/organization/update", `{"organization_id":"acme-1","budget_duration":"1d","model_max_budget":{"gpt-3.5":{"max_budget":0.00001,"budget_duration":"2d"}}}`)
		clock.Advance(23*time.Hour - time.Second)
		require.Equal(t, "budget_exceeded", g.call(key, "gpt-3.5", 1))
		clock.Advance(time.Second)
		require.Equal(t, []string{"", "budget_exceeded"}, spend("gpt-4"), "the duration is the same: it goes on")
		require.Equal(t, "budget_exceeded", g.call(key, "gpt-3.5", 1))
		clock.Advance(24 * time.Hour)
		require.Equal(t, []string{"", "budget_exceeded"}, spend("gpt-3.5"))
	})
	noOption(t, "calendar or rolling", litellm.Options{ResetMode: "sliding"})
}

func TestDaysAndWeeksBeginWhereTheOptionsSay(t *testing.T) { // LD-23
	each(t, litellm.Options{Timezone: "Europe/Berlin", WeekStart: "Sunday", ResetTimeOfDay: "06:30"}, func(t *testing.T, g *gateway, clock *storetest.Clock) {
		require.Equal(t, []string{"1d 03-31T04:30:00 04-01T04:30:00", "7d 03-31T04:30:00 04-07T04:30:00", "30d 04-01T04:30:00 05-01T04:30:00", "1mo 04-01T04:30:00 05-01T04:30:00", "3d 04-02T04:30:00 04-05T04:30:00", "2mo 05-01T04:30:00 07-01T04:30:00", "2h 03-31T03:00:00 03-31T05:00:00"},
			resets(t, g, clock, "2024-03-31T01:10:00Z", "1d", "7d", "30d", "1mo", "3d", "2mo", "2h"), "the night in which summer time begins")
		clock.Set(time.Date(2024, 4, 1, 4, 29, 0, 0, time.UTC))
		g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"acme-1","max_budget":0.01,"budget_duration":"1d","model_max_budget":{"gpt-3.5":{"max_budget":0.00001,"budget_duration":"7d"}}}`)
		g.must("POST", "/team/new", `{"team_id":"lab-1","organization_id":"acme-1","max_budget":0.005,"budget_duration":"1d"}`)
		g.must("POST", "/organization/new", `{"organization_alias":"Lone","organization_id":"lone-1","model_max_budget":{"gpt-3.5":{"max_budget":0.00001,"budget_duration":"7d"}}}`)
		lone := g.key("lone-1")
		key, ofTeam := g.key("acme-1"), g.must("POST", "/key/generate", `{"team_id":"lab-1"}`)["key"].(string)
		require.Equal(t, []string{"", "budget_exceeded"}, []string{g.call(ofTeam, "gpt-4", 5), g.call(ofTeam, "gpt-4", 1)})
		require.Equal(t, []string{"", "budget_exceeded"}, []string{g.call(key, "gpt-4", 5), g.call(key, "gpt-4", 1)})
		clock.Advance(59 * time.Second)
		require.Equal(t, "budget_exceeded", g.call(key, "gpt-4", 1))
		clock.Advance(time.Second)
		require.Equal(t, []string{"", "", "budget_exceeded"}, []string{g.call(ofTeam, "gpt-4", 4), g.call(key, "gpt-3.5", 10), g.call(key, "gpt-3.5", 1)})
		require.Equal(t, []string{"", "budget_exceeded"}, []string{g.call(lone, "gpt-3.5", 10), g.call(lone, "gpt-3.5", 1)}, "nothing else has a duration there")
		clock.Set(time.Date(2024, 4, 7, 4, 29, 59, 0, time.UTC))
		require.Equal(t, []string{"budget_exceeded", "budget_exceeded"}, []string{g.call(key, "gpt-3.5", 1), g.call(lone, "gpt-3.5", 1)})
		clock.Advance(time.Second)
		require.Equal(t, []string{"", ""}, []string{g.call(key, "gpt-3.5", 1), g.call(lone, "gpt-3.5", 1)})
	})
	each(t, litellm.Options{WeekStart: "sunday"}, func(t *testing.T, g *gateway, clock *storetest.Clock) {
		require.Equal(t, []string{"1d 03-07T00:00:00 03-08T00:00:00", "1w 03-10T00:00:00 03-17T00:00:00", "30d 04-01T00:00:00 05-01T00:00:00"}, resets(t, g, clock, "2024-03-06T01:10:00Z", "1d", "1w", "30d"))
	})
	noOption(t, "monday to sunday", litellm.Options{WeekStart: "sun"})
	for _, at := range []string{"6:30", "24:00", "06:60", "06:30:00", "noon"} {
		noOption(t, "HH:MM", litellm.Options{ResetTimeOfDay: at})
	}
	noOption(t, "rolls", litellm.Options{ResetMode: litellm.Rolling, WeekStart: "sunday"})
	noOption(t, "rolls", litellm.Options{ResetMode: litellm.Rolling, ResetTimeOfDay: "06:30"})
}

// TestABudgetOutlivesItsOrganizationByAMonth and one that nobody has ever had stays.
func TestABudgetOutlivesItsOrganizationByAMonth(t *testing.T) { // LD-39
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, clock *storetest.Clock) {
		for _, id := range []string{"gold", "free"} {
			g.must("POST", "/budget/new", `{"budget_id":"`+id+`","max_budget":1}`)
		}
		for _, id := range []string{"one", "two"} {
			g.must("POST", "/organization/new", `{"organization_alias":"`+id+`","organization_id":"`+id+`","budget_id":"gold"}`)
			g.must("DELETE", "/organization/delete", `{"organization_ids":["`+id+`"]}`)
			clock.Advance(24 * time.Hour)
		}
		there := func() (ids []any) {
			t.Helper()
			_, err := g.PruneAllowances(g.Platform())
			require.NoError(t, err)
			for _, row := range g.rows(master, "GET", "/budget/list", "") {
				ids = append(ids, row.(object)["budget_id"])
			}
			return ids
		}
		clock.Advance(orgs.Restorable - 24*time.Hour - time.Second)
		require.ElementsMatch(t, []any{"gold", "free"}, there())
		clock.Advance(time.Second)
		require.Equal(t, []any{"free"}, there())
	})
}

// away is a driver whose database cannot be reached at times.
type away struct {
	store.Driver
	now *atomic.Bool
}

func (a away) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	if a.now.Load() {
		return nil, errors.New("the database is away")
	}
	return a.Driver.Begin(ctx, writable)
}

// TestRateLimitsAreOpenOrClosedWithoutADatabase: an open one admits what it would let this process alone admit.
func TestRateLimitsAreOpenOrClosedWithoutADatabase(t *testing.T) { // LD-32
	for _, name := range []string{"memory", "sqlite", "postgres"} {
		for _, open := range []bool{false, true} {
			t.Run(name+map[bool]string{false: "/closed", true: "/open"}[open], func(t *testing.T) {
				var now atomic.Bool
				s := storetest.Open(t, name, store.Options{Now: storetest.NewClock().Now, Wrap: func(d store.Driver) store.Driver { return away{d, &now} }})
				g := newGateway(t, s, litellm.Options{FailOpen: open})
				t.Cleanup(func() { now.Store(false) })
				made := func(org, more string) string {
					t.Helper()
					g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"`+org+`"`+more+`}`)
					return g.key(org)
				}
				of := func(body string) string {
					t.Helper()
					return g.must("POST", "/key/generate", body)["key"].(string)
				}
				keys := map[string]string{"an organization": made("acme-1", `,"rpm_limit":40`), "its model": made("acme-2", `,"model_rpm_limit":{"gpt-4":40}`),
					"the model of a budget": made("acme-3", `,"model_max_budget":{"gpt-4":{"rpm_limit":40}}`)}
				made("acme-4", "")
				g.must("POST", "/team/new", `{"team_id":"lab-1","organization_id":"acme-4","rpm_limit":40}`)
				keys["a team"], keys["a key"] = of(`{"team_id":"lab-1"}`), of(`{"organization_id":"acme-4","rpm_limit":40}`)
				passes := func(key string) (n int, err error) {
					for ; n < 60; n++ {
						adm, err := g.gate.Admit(t.Context(), gate.Call{Secret: key, Model: "gpt-4", MaxOutputTokens: 1})
						if err != nil {
							return n, err
						}
						adm.Release(t.Context())
					}
					return n, nil
				}
				g.must("POST", "/team/new", `{"team_id":"lab-2","organization_id":"acme-4","max_parallel_requests":2}`)
				o, err := g.Organization(g.Platform(), "acme-4")
				require.NoError(t, err)
				limits, err := g.RateLimits(g.Platform(), o.ID, 0, "")
				require.NoError(t, err)
				require.Len(t, limits.Items, 3)
				for _, l := range limits.Items {
					require.Equal(t, open, l.FailOpen, l.Scope)
				}
				for _, key := range keys {
					require.Equal(t, "", g.call(key, "gpt-4", 1))
				}
				now.Store(true)
				for what, key := range keys {
					n, err := passes(key)
					var d *gate.Denied
					require.Error(t, err)
					require.Equal(t, open, errors.As(err, &d), "%s: %v", what, err)
					if open {
						require.Equal(t, 39, n, what)
					} else {
						require.Less(t, n, 39, what)
					}
				}
			})
		}
	}
}
