package litellm_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
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

// TestAStoreThatIsAwayIsNoDatabase has the store closed under the dialect.
func TestAStoreThatIsAwayIsNoDatabase(t *testing.T) { // F454
	s := storetest.Open(t, "memory", store.Options{})
	w := orgstest.New(t, s, nil)
	require.NoError(t, w.Close())
	h, err := litellm.New(w.Manager, &litellm.Options{AdminKey: master})
	require.NoError(t, err)
	g := &gateway{World: w, t: t, h: h}
	require.NoError(t, s.Close())
	answer := serve(h, request("GET", "/organization/list", ""))
	golden(t, "away", fmt.Sprintf("> GET /organization/list\n< %d %s\n%s", answer.Code, http.StatusText(answer.Code), answer.Body))
	for _, key := range []string{master, "sk-1234567890abcdef1234"} {
		g.refused(500, "No db connected", key, "GET", "/organization/list", "")
		require.Equal(t, "No db connected", g.barred(500, "no_db_connection", "None", key, "GET", "/user/info?user_id=bob", "")["message"])
	}
}

// TestTagsOfAnOrganizationAreOnItsUsage (LD-12): LiteLLM drops them.
func TestTagsOfAnOrganizationAreOnItsUsage(t *testing.T) { // F431
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, clock *storetest.Clock) {
		g.must("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"acme-1","tags":["prod","eu"]}`)
		key := g.key("acme-1")
		require.Equal(t, "", g.call(key, "gpt-4", 1))
		g.must("PATCH", "/organization/update", `{"organization_id":"acme-1","tags":["`+strings.Repeat("x", 90)+`","`+strings.Repeat("y", 90)+`","`+strings.Repeat("z", 90)+`","eu"]}`)
		require.Equal(t, "", g.call(key, "gpt-4", 1))
		g.must("PATCH", "/organization/update", `{"organization_id":"acme-1","tags":null}`)
		require.Equal(t, "", g.call(key, "gpt-4", 1))
		require.NoError(t, g.Metering().Flush(t.Context()))
		o, err := g.Organization(g.Platform(), "acme-1")
		require.NoError(t, err)
		var seen []string
		require.NoError(t, g.Store().View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			for e, err := range g.Metering().Events(ctx, tx, o.ID, time.Unix(0, 0), clock.Now().AddDate(1, 0, 0)) {
				if err != nil {
					return err
				}
				seen = append(seen, e.Tags["organization_tags"])
			}
			return nil
		}))
		require.ElementsMatch(t, []string{"prod,eu", strings.Repeat("x", 90) + "," + strings.Repeat("y", 90) + ",eu", ""}, seen)
	})
}
