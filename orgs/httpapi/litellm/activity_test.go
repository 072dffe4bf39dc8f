package litellm_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestDailyActivity(t *testing.T) {
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, clock *storetest.Clock) {
		g.acme()
		g.must("POST", "/organization/new", `{"organization_alias":"Rival","organization_id":"rival-1"}`)
		anna, bob := g.join("acme-1", "anna", "org_admin"), g.join("acme-1", "bob", "internal_user")
		made := g.must("POST", "/key/generate", `{"organization_id":"acme-1","key_alias":"service"}`)
		key, rival := made["key"].(string), g.key("rival-1")
		first := clock.Now().UTC().Format(time.DateOnly)
		require.Equal(t, []string{"", "", ""}, []string{g.call(key, "gpt-4", 10), g.call(key, "gpt-3.5", 100), g.call(rival, "gpt-4", 7)})
		clock.Advance(48 * time.Hour)
		last := clock.Now().UTC().Format(time.DateOnly)
		require.Equal(t, "", g.call(key, "gpt-4", 20))
		path := func(more string) string {
			return fmt.Sprintf("/organization/daily/activity?start_date=%s&end_date=%s%s", first, last, more)
		}

		is := g.by(anna, "GET", path(""), "")
		require.Equal(t, []any{last, first}, column(is["results"], "date"))
		require.Equal(t, object{"total_spend": 0.0301, "total_prompt_tokens": 0.0, "total_completion_tokens": 130.0, "total_tokens": 130.0, "total_api_requests": 3.0, "total_successful_requests": 3.0,
			"total_failed_requests": 0.0, "page": 1.0, "total_pages": 1.0, "has_more": false}, is["metadata"])
		day := is["results"].([]any)[1].(object)
		require.Equal(t, []any{0.0101, 110.0, 2.0}, []any{day["metrics"].(object)["spend"], day["metrics"].(object)["completion_tokens"], day["metrics"].(object)["api_requests"]})
		parts := day["breakdown"].(object)
		require.Equal(t, 0.01, parts["models"].(object)["gpt-4"].(object)["metrics"].(object)["spend"])
		require.Equal(t, 0.0001, parts["models"].(object)["gpt-3.5"].(object)["metrics"].(object)["spend"])
		require.Equal(t, "service", parts["api_keys"].(object)[made["token"].(string)].(object)["metadata"].(object)["key_alias"])
		require.Equal(t, object{"organization_alias": "Acme"}, parts["entities"].(object)["acme-1"].(object)["metadata"])

		is = g.by(anna, "GET", path("&page_size=1&page=2"), "")
		require.Equal(t, []any{first}, column(is["results"], "date"))
		require.Equal(t, []any{2.0, 2.0, false}, []any{is["metadata"].(object)["page"], is["metadata"].(object)["total_pages"], is["metadata"].(object)["has_more"]})
		is = g.by(anna, "GET", path("&model=gpt-3.5"), "")
		require.Equal(t, 0.0001, is["metadata"].(object)["total_spend"])
		require.Equal(t, 0.0371, g.must("GET", path(""), "")["metadata"].(object)["total_spend"], "the operator sees all")
		require.Equal(t, 0.007, g.must("GET", path("&organization_ids=rival-1,acme-1&exclude_organization_ids=acme-1"), "")["metadata"].(object)["total_spend"])

		for _, id := range []string{"rival-1", "nope"} {
			g.refused(403, "User is not org_admin for Organization= "+id+".", anna, "GET", path("&organization_ids=acme-1,"+id), "")
			g.refused(403, "User is not org_admin for Organization= "+id+".", bob, "GET", path("&organization_ids="+id), "")
		}
		require.Empty(t, g.by(bob, "GET", path(""), "")["results"])
		g.refused(400, "Please provide start_date and end_date", anna, "GET", "/organization/daily/activity", "")
		g.refused(400, "api_key is not supported by this gateway", anna, "GET", path("&api_key=x"), "")
		for _, bad := range []string{"/organization/daily/activity?start_date=yesterday&end_date=today", "/organization/daily/activity?start_date=2020-01-01&end_date=2024-01-01"} {
			code, v := g.send(anna, "GET", bad, "")
			require.Equal(t, 400, code, "%v", v)
		}
		typ, _ := g.unfit(anna, "GET", path("&page=0"), "")
		require.Equal(t, "int_parsing", typ)
	})
}
