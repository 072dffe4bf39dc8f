package litellm_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestAnUnknownOrganizationIsNever500 names organizations that nobody has, to every call that takes one. It is a known fault of
// LiteLLM.
func TestAnUnknownOrganizationIsNever500(t *testing.T) {
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		anna := g.join("acme-1", "anna", "org_admin")
		for _, id := range []string{"nope", "org_01hr77r8g0sffhnkykts3sxk6s", "", " ", "a/b", "%00", strings.Repeat("x", 300), "\u2028", "'; --", "acme", "me"} {
			text, err := json.Marshal(id)
			require.NoError(t, err)
			for _, c := range []struct{ method, path, body string }{
				{"PATCH", "/organization/update", `{"organization_id":ID}`}, {"PATCH", "/organization/update", `{"organization_id":ID,"max_budget":1,"budget_id":"x"}`},
				{"DELETE", "/organization/delete", `{"organization_ids":[ID]}`}, {"POST", "/organization/info", `{"organizations":[ID]}`},
				{"POST", "/organization/member_add", `{"organization_id":ID,"member":{"role":"internal_user","user_id":"bob"}}`},
				{"PATCH", "/organization/member_update", `{"organization_id":ID,"user_id":"anna","role":"internal_user"}`},
				{"DELETE", "/organization/member_delete", `{"organization_id":ID,"user_id":"anna"}`},
				{"POST", "/team/new", `{"organization_id":ID}`}, {"POST", "/key/generate", `{"organization_id":ID}`}, {"POST", "/user/new", `{"organizations":[ID]}`},
				{"GET", "/organization/info?organization_id=nope", ""}, {"GET", "/organization/list?org_id=nope", ""}, {"PATCH", "/v2/organization/nope", `{"metadata":{}}`},
			} {
				for _, key := range []string{master, anna} {
					code, v := g.send(key, c.method, c.path, strings.ReplaceAll(c.body, "ID", string(text)))
					require.Less(t, code, 500, "%s %s of %q: %v", c.method, c.path, id, v)
				}
			}
		}
	})
}

// TestANullClearsOneLimitAndKeepsItsSiblings takes each limit away by itself. It is a known fault of LiteLLM that it stays, or
// that others go too.
func TestANullClearsOneLimitAndKeepsItsSiblings(t *testing.T) {
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		all := map[string]string{"max_budget": "100", "soft_budget": "80", "max_parallel_requests": "5", "tpm_limit": "1000", "rpm_limit": "10", "budget_duration": `"1d"`,
			"model_max_budget": `{"gpt-4":{"max_budget":1}}`}
		var parts []string
		for name, value := range all {
			parts = append(parts, `"`+name+`":`+value)
		}
		limits := strings.Join(parts, ",")
		g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"acme-1","models":["gpt-4"],"tags":["a"],"metadata":{"b":1,"model_rpm_limit":{"gpt-4":5}},`+limits+`}`)
		for _, path := range []string{"/organization/update", "/v2/organization/acme-1"} {
			for name := range all {
				restored, id := g.must("PATCH", "/organization/update", `{"organization_id":"acme-1",`+limits+`}`), ""
				if path == "/organization/update" {
					id = `"organization_id":"acme-1",`
				}
				is := g.must("PATCH", path, `{`+id+`"`+name+`":null}`)
				before, after := restored["litellm_budget_table"].(object), is["litellm_budget_table"].(object)
				require.NotNil(t, before[name])
				require.Nil(t, after[name], name)
				for sibling := range all {
					if sibling != name {
						require.Equal(t, before[sibling], after[sibling], "%s, when %s is cleared", sibling, name)
					}
				}
				for _, field := range []string{"models", "tags", "metadata", "organization_alias", "budget_id"} {
					require.Equal(t, restored[field], is[field])
				}
				require.Equal(t, after, g.must("GET", "/organization/info?organization_id=acme-1", "")["litellm_budget_table"])
			}
		}
	})
}

// TestBudgetsResetOnTheCalendarInTheSetZone spends a budget of a day over the night in which summer time begins. It is a known fault
// of LiteLLM that budgets of organizations are never reset, or late.
func TestBudgetsResetOnTheCalendarInTheSetZone(t *testing.T) {
	each(t, litellm.Options{Timezone: "Europe/Berlin"}, func(t *testing.T, g *gateway, clock *storetest.Clock) {
		at := func(text string) time.Time {
			v, err := time.Parse(time.RFC3339, text)
			require.NoError(t, err)
			return v
		}
		clock.Advance(at("2024-03-30T12:00:00Z").Sub(clock.Now()))
		is := g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"acme-1","max_budget":0.01,"budget_duration":"1d"}`)
		require.Equal(t, "2024-03-30T23:00:00.000000Z", is["litellm_budget_table"].(object)["budget_reset_at"])
		month := g.must("POST", "/budget/new", `{"max_budget":1,"budget_duration":"30d"}`)
		require.Equal(t, "2024-03-31T22:00:00.000000Z", month["budget_reset_at"], "the first of April there")
		key := g.key("acme-1")
		spend := func() []string { t.Helper(); return []string{g.call(key, "gpt-4", 10), g.call(key, "gpt-4", 1)} }
		require.Equal(t, []string{"", "budget_exceeded"}, spend())
		clock.Advance(at("2024-03-30T22:59:59Z").Sub(clock.Now()))
		require.Equal(t, "budget_exceeded", g.call(key, "gpt-4", 1))
		clock.Advance(time.Second)
		require.Equal(t, []string{"", "budget_exceeded"}, spend(), "from midnight on")
		is = g.must("GET", "/organization/info?organization_id=acme-1", "")
		require.Equal(t, []any{0.01, 0.02, "2024-03-31T22:00:00.000000Z"}, []any{is["spend"], is["total_spend"], is["litellm_budget_table"].(object)["budget_reset_at"]}, "a day of 23 hours")
		clock.Advance(23*time.Hour - time.Second)
		require.Equal(t, "budget_exceeded", g.call(key, "gpt-4", 1))
		clock.Advance(time.Second)
		require.Equal(t, []string{"", "budget_exceeded"}, spend())
	})
	_, err := litellm.New(new(unserved), &litellm.Options{Timezone: "Nowhere/Land"})
	require.ErrorContains(t, err, "time zone")
}

// unserved are services of which none is asked for.
type unserved struct{ litellm.Services }
