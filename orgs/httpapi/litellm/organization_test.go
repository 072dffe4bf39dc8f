package litellm_test

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestAnOrganizationIsMade(t *testing.T) { // F417 to F435
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, clock *storetest.Clock) {
		is := g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"acme-1","max_budget":"100","soft_budget":80.50,"tpm_limit":1000,"rpm_limit":"10",
			"max_parallel_requests":5,"budget_duration":"30d","model_max_budget":{"gpt-4":{"budget_limit":"1e1","time_period":"1d"}},"models":["gpt-4","gpt-3.5"],"metadata":{"a":1},"tags":["x"],"blocked":false}`)
		require.Equal(t, []any{"acme-1", "Acme", 0.0, false}, []any{is["organization_id"], is["organization_alias"], is["spend"], is["blocked"]})
		require.Equal(t, []any{"gpt-4", "gpt-3.5"}, is["models"])
		require.Equal(t, object{"a": 1.0}, is["metadata"])
		require.Equal(t, "default_user_id", is["created_by"])
		budget := is["litellm_budget_table"].(object)
		require.Equal(t, is["budget_id"], budget["budget_id"])
		require.Equal(t, []any{100.0, 80.5, 1000.0, 10.0, 5.0, "30d"}, []any{budget["max_budget"], budget["soft_budget"], budget["tpm_limit"], budget["rpm_limit"], budget["max_parallel_requests"], budget["budget_duration"]})
		require.Equal(t, object{"gpt-4": object{"max_budget": 10.0, "budget_duration": "1d"}}, budget["model_max_budget"])
		now := clock.Now().UTC()
		require.Equal(t, time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC).Format("2006-01-02T15:04:05.000000Z"), budget["budget_reset_at"])

		require.Equal(t, is["budget_id"], g.must("GET", "/organization/info?organization_id=acme-1", "")["budget_id"])
		plain := g.must("POST", "/organization/new", `{"organization_alias":"组织","organization_id":"","unknown":1}`)
		require.NotEmpty(t, plain["budget_id"], "there is always one")
		require.Equal(t, []any{[]any{}, object{}, []any{}}, []any{plain["models"], plain["metadata"], plain["tags"]})
		require.Len(t, g.rows(master, "GET", "/organization/list", ""), 2)
	})
}

func TestWhatCannotBeAnOrganization(t *testing.T) {
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		create := func(rest string) string { return `{"organization_alias":"Acme",` + rest + `}` }
		g.must("POST", "/organization/new", create(`"organization_id":"acme-1"`))
		refused := func(status int, text, body string) {
			t.Helper()
			g.refused(status, text, master, "POST", "/organization/new", body)
		}
		refused(409, "Organization with id 'acme-1' already exists.", create(`"organization_id":"acme-1"`)) // a known fault of LiteLLM: 500
		refused(400, "Budget not found for budget_id=gold", create(`"budget_id":"gold"`))                   // another
		refused(400, "max_budget must be a non-negative finite number. Received: -1", create(`"max_budget":-1`))
		refused(400, "rpm_limit must be a non-negative finite number. Received: -1", create(`"rpm_limit":-1`))
		refused(400, "Unsupported duration unit, passed duration: 3x", create(`"budget_duration":"3x"`))
		refused(400, "Invalid duration format", create(`"budget_duration":"soon"`))
		refused(400, "Set either 'budget_id' or budget fields, not both.", create(`"budget_id":"gold","max_budget":1`))
		refused(422, "model_max_budget: the entry of gpt-4 must be an object", create(`"model_max_budget":{"gpt-4":1}`))
		require.Len(t, g.rows(master, "GET", "/organization/list", ""), 1, "nothing is left of them")
		require.Len(t, g.rows(master, "GET", "/budget/list", ""), 1)

		for body, want := range map[string]string{`{}`: "missing organization_alias", create(`"models":"gpt-4"`): "list_type models", create(`"max_budget":"much"`): "float_parsing max_budget",
			create(`"max_budget":"NaN"`): "float_parsing max_budget", create(`"tpm_limit":1.5`): "int_parsing tpm_limit", create(`"tpm_limit":99999999999999999999`): "int_parsing tpm_limit",
			create(`"metadata":[]`): "dict_type metadata", create(`"blocked":"perhaps"`): "bool_parsing blocked", `{"organization_alias":7}`: "string_type organization_alias", create(`"model_rpm_limit":{"m":-1}`): "dict_type model_rpm_limit"} {
			typ, loc := g.unfit(master, "POST", "/organization/new", body)
			require.Equal(t, want, typ+" "+loc[1].(string), body)
			require.Equal(t, "body", loc[0])
		}
		typ, _ := g.unfit(master, "POST", "/organization/new", `{"organization_alias":`)
		require.Equal(t, "json_invalid", typ)
		code, v := g.send(master, "GET", "/organization/nowhere", "")
		require.Equal(t, []any{404, object{"detail": "Not Found"}}, []any{code, v})
		code, v = g.send(master, "PUT", "/organization/new", "{}")
		require.Equal(t, []any{405, object{"detail": "Method Not Allowed"}}, []any{code, v})
	})
}

func TestOneAliasForMany(t *testing.T) { // N10
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		var all sync.WaitGroup
		codes := make([]int, 8)
		for i := range codes {
			all.Go(func() {
				r := request("POST", "/organization/new", `{"organization_alias":"Acme"}`)
				codes[i] = serve(g.h, r).Code
			})
		}
		all.Wait()
		for _, code := range codes {
			require.Equal(t, 200, code)
		}
		require.Len(t, g.rows(master, "GET", "/organization/list?org_alias=aCm", ""), len(codes))
	})
}

func TestAnUpdateHasThreeStates(t *testing.T) { // F436
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"acme-1","max_budget":100,"tpm_limit":1000,"rpm_limit":10,"metadata":{"a":1,"b":2},"models":["gpt-4"],"tags":["x"]}`)
		update := func(body string) object {
			return g.must("PATCH", "/organization/update", `{"organization_id":"acme-1",`+body+`}`)
		}
		is := update(`"tpm_limit":null,"metadata":{"b":null,"c":3},"organization_alias":null,"models":null,"blocked":null,"budget_id":null,"updated_by":"mallory"`)
		budget := is["litellm_budget_table"].(object)
		require.Equal(t, []any{nil, 10.0, 100.0}, []any{budget["tpm_limit"], budget["rpm_limit"], budget["max_budget"]}, "null clears, and keeps siblings")
		require.Equal(t, []any{object{"a": 1.0, "c": 3.0}, "Acme", []any{"gpt-4"}, "default_user_id"}, []any{is["metadata"], is["organization_alias"], is["models"], is["updated_by"]})
		require.Equal(t, budget, g.must("GET", "/organization/info?organization_id=acme-1", "")["litellm_budget_table"])

		is = update(`"litellm_budget_table":{"max_budget":7,"rpm_limit":null},"metadata":null,"models":[],"tags":["y"],"organization_alias":"Other"`)
		budget = is["litellm_budget_table"].(object)
		require.Equal(t, []any{7.0, 10.0}, []any{budget["max_budget"], budget["rpm_limit"]}, "a form sends null for untouched")
		require.Equal(t, []any{object{"tags": []any{"y"}}, []any{}, []any{"y"}, "Other"}, []any{is["metadata"], is["models"], is["tags"], is["organization_alias"]})
		is = update(`"models":["no-default-models"]`)
		require.Equal(t, []any{"no-default-models"}, is["models"])
		require.Equal(t, "model_not_allowed", g.call(g.key("acme-1"), "gpt-4", 1))
		is = update(`"models":["all-proxy-models"]`)
		require.Equal(t, []any{"all-proxy-models"}, is["models"])
		require.Equal(t, "", g.call(g.key("acme-1"), "gpt-4", 1))

		g.refused(404, "Organization not found for organization_id=nope", master, "PATCH", "/organization/update", `{"organization_id":"nope"}`) // a known fault: 500
		g.refused(400, "organization_id is required", master, "PATCH", "/organization/update", `{}`)
		g.refused(400, "Budget not found for budget_id=none", master, "PATCH", "/organization/update", `{"organization_id":"acme-1","budget_id":"none","organization_alias":"lost"}`)
		require.Equal(t, "Other", g.must("GET", "/organization/info?organization_id=acme-1", "")["organization_alias"], "what is refused changes nothing")
		typ, _ := g.unfit(master, "PATCH", "/organization/update", `{"organization_id":"acme-1","max_budget":{}}`) // a known fault: 500
		require.Equal(t, "float_parsing", typ)

		// The second version of the call.
		patch := func(body string) (int, any) { return g.send(master, "PATCH", "/v2/organization/acme-1", body) }
		code, v := patch(`{"metadata":{"only":true},"max_budget":null}`)
		require.Equal(t, 200, code, "%v", v)
		require.Equal(t, object{"only": true}, v.(object)["metadata"], "metadata are replaced")
		require.Nil(t, v.(object)["litellm_budget_table"].(object)["max_budget"])
		for body, text := range map[string]string{`{"organization_alias":null}`: "organization_alias cannot be cleared; it is required", `{"models":null}`: "models cannot be set to null; send [] to clear it",
			`{"max_budget":-2}`:        "max_budget must be a non-negative finite number. Received: -2",
			`{"object_permission":{}}`: "object_permission cannot be an empty object; send null to clear it, or a non-empty object to set grants"} {
			g.refused(422, text, master, "PATCH", "/v2/organization/acme-1", body)
		}
		typ, loc := g.unfit(master, "PATCH", "/v2/organization/acme-1", `{"spend":1}`)
		require.Equal(t, "extra_forbidden spend", typ+" "+loc[1].(string))
	})
}

func TestLimitsAreInForce(t *testing.T) { // F423 to F430
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, clock *storetest.Clock) {
		g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"acme-1","max_budget":0.06,"budget_duration":"1d"}`)
		key := g.key("acme-1")
		require.Equal(t, []string{"", "budget_exceeded"}, []string{g.call(key, "gpt-4", 60), g.call(key, "gpt-4", 1)})
		is := g.must("GET", "/organization/info?organization_id=acme-1", "")
		require.Equal(t, []any{0.06, 0.06}, []any{is["spend"], is["total_spend"]})
		clock.Advance(24 * time.Hour)
		is = g.must("GET", "/organization/info?organization_id=acme-1", "")
		require.Equal(t, []any{0.0, 0.06}, []any{is["spend"], is["total_spend"]}, "a known fault of LiteLLM: budgets of organizations are never reset")
		require.Equal(t, "", g.call(key, "gpt-4", 60))

		update := func(body string) {
			t.Helper()
			g.must("PATCH", "/organization/update", `{"organization_id":"acme-1",`+body+`}`)
		}
		update(`"max_budget":null,"budget_duration":null`)
		require.Equal(t, "", g.call(key, "gpt-4", 1000))
		update(`"max_budget":0`)
		require.Equal(t, "budget_exceeded", g.call(key, "gpt-4", 1))
		update(`"max_budget":null,"model_max_budget":{"gpt-4":{"max_budget":0}}`)
		require.Equal(t, []string{"budget_exceeded", ""}, []string{g.call(key, "gpt-4", 1), g.call(key, "gpt-3.5", 1)})
		update(`"model_max_budget":null,"max_parallel_requests":0`)
		require.Equal(t, "concurrency_limit", g.call(key, "gpt-4", 1))
		update(`"max_parallel_requests":null,"tpm_limit":10`)
		require.Equal(t, "rate_limit_exceeded", g.call(key, "gpt-4", 11))
		update(`"tpm_limit":null,"rpm_limit":0`)
		require.Equal(t, "rate_limit_exceeded", g.call(key, "gpt-4", 1))
		update(`"rpm_limit":null,"model_rpm_limit":{"gpt-4":0}`)
		require.Equal(t, []string{"rate_limit_exceeded", ""}, []string{g.call(key, "gpt-4", 1), g.call(key, "gpt-3.5", 1)})
		update(`"model_rpm_limit":null,"blocked":true`)
		require.Equal(t, "org_suspended", g.call(key, "gpt-4", 1))
		require.Equal(t, true, g.must("GET", "/organization/info?organization_id=acme-1", "")["blocked"])
		update(`"blocked":false,"models":["gpt-3.5"]`)
		require.Equal(t, []string{"model_not_allowed", ""}, []string{g.call(key, "gpt-4", 1), g.call(key, "gpt-3.5", 1)})
	})
}

// TestALimitWithoutAPeriodCountsWhatWasEverSpent (T2, T3): it is of all that the organization spends, and none of it is forgotten by
// taking the limit away for a while.
func TestALimitWithoutAPeriodCountsWhatWasEverSpent(t *testing.T) { // F422, F428
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, clock *storetest.Clock) {
		g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"acme-1"}`)
		key := g.key("acme-1")
		require.Equal(t, "", g.call(key, "gpt-4", 60))
		update := func(body string, spend float64) {
			t.Helper()
			is := g.must("PATCH", "/organization/update", `{"organization_id":"acme-1",`+body+`}`)
			require.Equal(t, spend, is["spend"])
		}
		update(`"max_budget":0.07`, 0.06)
		require.Equal(t, []string{"", "budget_exceeded"}, []string{g.call(key, "gpt-4", 10), g.call(key, "gpt-4", 1)})
		update(`"max_budget":null`, 0.07)
		require.Equal(t, "", g.call(key, "gpt-4", 10))
		update(`"max_budget":0.05`, 0.08)
		require.Equal(t, "budget_exceeded", g.call(key, "gpt-4", 1), "more than that is spent already")
		update(`"max_budget":0.1`, 0.08)
		require.Equal(t, []string{"budget_exceeded", "", "budget_exceeded"}, []string{g.call(key, "gpt-4", 21), g.call(key, "gpt-4", 20), g.call(key, "gpt-4", 1)})

		update(`"budget_duration":"1d"`, 0)
		require.Equal(t, "", g.call(key, "gpt-4", 10), "of a day only what is spent in it counts")
		update(`"budget_duration":null`, 0.11)
		require.Equal(t, "budget_exceeded", g.call(key, "gpt-4", 1), "and without one everything does again")
		require.Equal(t, 0.11, g.must("GET", "/organization/info?organization_id=acme-1", "")["total_spend"])
	})
}

func TestADeleteIsAllOrNothing(t *testing.T) { // F437, F438
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		for _, id := range []string{"one", "two", "three"} {
			g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"`+id+`","max_budget":5}`)
		}
		one, three := g.key("one"), g.key("three")
		g.refused(404, "Organization=nope not found", master, "DELETE", "/organization/delete", `{"organization_ids":["one","nope"]}`) // a known fault: one is gone
		require.Equal(t, "", g.call(one, "gpt-4", 1))
		rows := g.rows(master, "DELETE", "/organization/delete", `{"organization_ids":["two","one","two"]}`)
		require.Len(t, rows, 2)
		require.Equal(t, []any{"two", "one"}, []any{rows[0].(object)["organization_id"], rows[1].(object)["organization_id"]})
		require.Equal(t, []any{[]any{}, []any{}}, []any{rows[0].(object)["members"], rows[0].(object)["teams"]})
		require.Equal(t, []string{"invalid_api_key", ""}, []string{g.call(one, "gpt-4", 1), g.call(three, "gpt-4", 1)}, "keys die at once")
		g.refused(404, "Organization not found", master, "GET", "/organization/info?organization_id=one", "")
		g.refused(404, "Organization=one not found", master, "DELETE", "/organization/delete", `{"organization_ids":["one"]}`)
		require.Empty(t, g.rows(master, "DELETE", "/organization/delete", `{"organization_ids":[]}`))
		typ, _ := g.unfit(master, "DELETE", "/organization/delete", "")
		require.Equal(t, "missing", typ)

		// Its budget is left, and goes by itself; that of one that is there does not.
		budget := rows[1].(object)["budget_id"].(string)
		require.Len(t, g.rows(master, "POST", "/budget/info", `{"budgets":["`+budget+`","none"]}`), 1)
		require.Equal(t, budget, g.must("POST", "/budget/delete", `{"id":"`+budget+`"}`)["budget_id"])
		is := g.must("GET", "/organization/info?organization_id=three", "")
		g.refused(400, "Budget is linked to Organization=three", master, "POST", "/budget/delete", `{"id":"`+is["budget_id"].(string)+`"}`)

		// The id is free, and what has it then begins with nothing.
		require.Equal(t, 0.0, g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"one"}`)["total_spend"])
	})
}

func TestABudgetIsShared(t *testing.T) { // F423
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, clock *storetest.Clock) {
		is := g.must("POST", "/budget/new", `{"budget_id":"gold","max_budget":0.01,"budget_duration":"2h"}`)
		require.Equal(t, []any{"gold", 0.01, "2h"}, []any{is["budget_id"], is["max_budget"], is["budget_duration"]})
		require.Equal(t, clock.Now().Truncate(2*time.Hour).Add(2*time.Hour).Format("2006-01-02T15:04:05.000000Z"), is["budget_reset_at"])
		g.refused(400, "Budget with id 'gold' already exists.", master, "POST", "/budget/new", `{"budget_id":"gold"}`)
		for _, id := range []string{"one", "two"} {
			is := g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"`+id+`","budget_id":"gold"}`)
			require.Equal(t, "gold", is["litellm_budget_table"].(object)["budget_id"])
		}
		one, two := g.key("one"), g.key("two")
		require.Equal(t, []string{"", "budget_exceeded", ""}, []string{g.call(one, "gpt-4", 10), g.call(one, "gpt-4", 1), g.call(two, "gpt-4", 10)}, "each spends by itself")
		is = g.must("POST", "/budget/update", `{"budget_id":"gold","max_budget":0.02}`)
		require.Equal(t, []any{0.02, "2h"}, []any{is["max_budget"], is["budget_duration"]})
		require.Equal(t, []string{"", ""}, []string{g.call(one, "gpt-4", 10), g.call(two, "gpt-4", 10)})
		g.must("PATCH", "/organization/update", `{"organization_id":"two","max_budget":null}`)
		require.Nil(t, g.must("GET", "/organization/info?organization_id=one", "")["litellm_budget_table"].(object)["max_budget"], "written through")
		g.refused(404, "Budget not found for budget_id=none", master, "POST", "/budget/update", `{"budget_id":"none"}`)
		g.refused(404, "Budget not found for budget_id=none", master, "POST", "/budget/delete", `{"id":"none"}`)
		g.refused(400, "budget_id is required", master, "POST", "/budget/update", `{}`)
		g.refused(400, "Specify list of budget id's to query. Passed in=[]", master, "POST", "/budget/info", `{"budgets":[]}`)
		require.Len(t, g.rows(master, "GET", "/budget/list", ""), 1)

		// Another one takes its place, and what was spent stays spent by its own measure.
		g.must("POST", "/budget/new", `{"budget_id":"none at all","max_budget":0}`)
		g.must("PATCH", "/organization/update", `{"organization_id":"one","budget_id":"none at all"}`)
		require.Equal(t, []string{"budget_exceeded", ""}, []string{g.call(one, "gpt-4", 10), g.call(two, "gpt-4", 10)})
	})
}

func TestListsArePaged(t *testing.T) { // F439
	each(t, litellm.Options{ListCap: 3}, func(t *testing.T, g *gateway, clock *storetest.Clock) {
		for i := range 4 {
			clock.Advance(time.Second)
			g.must("POST", "/organization/new", fmt.Sprintf(`{"organization_alias":"Acme %d","organization_id":"o%d"}`, i, i))
		}
		w := serve(g.h, request("GET", "/organization/list", ""))
		require.Equal(t, []string{"true"}, w.Header()["X-Has-More"])
		require.Equal(t, 3, strings.Count(w.Body.String(), `"organization_alias"`))
		require.Less(t, strings.Index(w.Body.String(), `"o3"`), strings.Index(w.Body.String(), `"o1"`), "newest first")
		more := request("GET", "/organization/list?org_alias=acme", "")
		next, linked := strings.CutSuffix(serve(g.h, more).Header().Get("Link"), `>; rel="next"`)
		require.True(t, linked)
		at, err := more.URL.Parse(strings.TrimPrefix(next, "<"))
		require.NoError(t, err)
		require.Equal(t, []string{"/organization/list", "acme"}, []string{at.Path, at.Query().Get("org_alias")})
		require.Equal(t, 1, strings.Count(serve(g.h, request("GET", at.String(), "")).Body.String(), `"organization_alias"`))
		w = serve(g.h, request("GET", "/organization/list?cursor="+w.Header().Get("X-Next-Cursor"), ""))
		require.Empty(t, w.Header()["X-Has-More"])
		require.Empty(t, w.Header()["Link"])
		require.Equal(t, 1, strings.Count(w.Body.String(), `"organization_alias"`))
		require.Len(t, g.rows(master, "GET", "/organization/list?limit=2", ""), 2)
		require.Len(t, g.rows(master, "GET", "/organization/list?org_id=o1", ""), 1)
		require.Empty(t, g.rows(master, "GET", "/organization/list?org_id=none", ""))
		require.Len(t, g.rows(master, "POST", "/organization/list?org_alias=ACME", ""), 3)

		// What was made in another way is shown too.
		o, err := g.CreateOrganization(g.Platform(), orgs.NewOrganization{Name: "Native"})
		require.NoError(t, err)
		require.Equal(t, "Native", g.must("GET", "/organization/info?organization_id="+o.ID, "")["organization_alias"])
		g.refused(404, "Organization not found", master, "GET", "/organization/info?organization_id=native", "")
		is := g.must("PATCH", "/organization/update", `{"organization_id":"`+o.ID+`","max_budget":1}`)
		require.NotEmpty(t, is["budget_id"])
		rows := g.rows(master, "POST", "/organization/info", `{"organizations":["o2","none","o1"]}`)
		require.Len(t, rows, 2)
		require.Equal(t, "o2", rows[0].(object)["organization_id"])
		require.Contains(t, rows[0].(object)["litellm_budget_table"], "budget_reset_at")
		g.refused(400, "Specify list of organization id's to query. Passed in=[]", master, "POST", "/organization/info", `{"organizations":[]}`)
	})
}

func TestChangesLeaveEvents(t *testing.T) { // a known fault: there is no event of organizations
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		r := request("PATCH", "/organization/update", `{"organization_id":"acme-1","max_budget":5,"blocked":true}`)
		r.Header.Set("litellm-changed-by", "anna@acme.example")
		code, v := g.answer(r)
		require.Equal(t, 200, code, "%v", v)
		page, err := g.AuditLog(g.Platform(), "acme-1", audit.Filter{})
		require.NoError(t, err)
		var seen []string
		for _, e := range page.Items {
			if e.OnBehalfOf == "anna@acme.example" {
				seen = append(seen, e.Type)
			}
		}
		require.ElementsMatch(t, []string{"organization.suspended", "organization.updated", "organization.updated"}, seen, "who is called for is named")
		bob := g.join("acme-1", "bob", "org_admin")
		r.Header.Set("Authorization", "Bearer "+bob)
		r.Method, r.URL.Path, r.Body = "POST", "/organization/member_add", io.NopCloser(strings.NewReader(add(`{"role":"internal_user","user_id":"carl"}`)))
		code, v = g.answer(r)
		require.NotEqual(t, 500, code, "%v", v)
		page, err = g.AuditLog(g.Platform(), "acme-1", audit.Filter{})
		require.NoError(t, err)
		for _, e := range page.Items {
			require.False(t, e.ActorType == audit.User && e.OnBehalfOf != "", "nobody else is believed")
		}
	})
}
