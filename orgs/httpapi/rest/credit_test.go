package rest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// leadKey is a key of the lead of engineering, who may see what is used there.
func (w shop) leadKey() string {
	lead := w.lead.call(200, "GET", "/v1/users/me", "")["id"].(string)
	return w.post("/v1/api-keys", `{"name": "lead", "team_id": "`+w.eng+`", "user_id": "`+lead+`", "permissions": ["api_keys.use", "models.use", "usage.read"]}`)["key"].(string)
}

func TestWhatIsUsedTodayOfTheKey(t *testing.T) { // dialects 2.8: GET /v1/usage/current
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w := newShop(t, s)
		clock.Advance(time.Minute)
		used := &billing.Usage{InputTokens: 1000, OutputTokens: 500, Latency: time.Second}
		w.uses(t, w.engKey, "gpt-4-turbo-preview", used)
		w.uses(t, w.dataKey, "gpt-4-32k", used)
		clock.Advance(2 * time.Hour)
		w.uses(t, w.engKey, "gpt-4-32k", used)

		key := w.as(w.leadKey(), "")
		now := key.call(200, "GET", "/v1/usage/current?include_breakdown=true", "")
		require.Equal(t, []any{2.0, "USD", "hour"}, []any{now["requests"], now["currency"], now["granularity"]}, "of its team alone")
		require.Equal(t, object{"prompt": 2000.0, "completion": 1000.0, "total": 3000.0}, now["tokens"])
		models := now["breakdown"].(object)["by_model"].([]any)
		require.Len(t, models, 2)
		dearest := models[0].(object)
		require.Equal(t, []any{"gpt-4-32k", 1.0, 1000.0}, []any{dearest["name"], dearest["requests"], dearest["avg_latency_ms"]})
		require.InDelta(t, now["cost"], dearest["cost"].(float64)+models[1].(object)["cost"].(float64), 1e-12)

		whole := w.call(200, "GET", "/v1/usage/current?organization_id="+w.org, "")
		series := whole["series"].([]any)
		require.Len(t, series, 10, "hours from midnight in New York, where it is nine")
		at := func(i int) []any { return []any{series[i].(object)["start"], series[i].(object)["requests"]} }
		require.Equal(t, []any{"2024-03-05T07:00:00-05:00", 2.0}, at(7))
		require.Equal(t, []any{"2024-03-05T09:00:00-05:00", 1.0}, at(9))
		require.NotContains(t, whole, "breakdown")

		minutes := w.call(200, "GET", "/v1/usage/current?granularity=minute&organization_id="+w.org, "")
		require.Equal(t, 3.0, minutes["requests"], "of the day")
		last := minutes["series"].([]any)
		require.Len(t, last, 60, "of the hour")
		require.Equal(t, []any{"2024-03-05T09:00:00-05:00", 1.0}, []any{last[58].(object)["start"], last[58].(object)["requests"]}, "before a second of latency")
		day := w.call(200, "GET", "/v1/usage/current?granularity=day&organization_id="+w.org, "")["series"].([]any)
		require.Len(t, day, 1)
		require.Equal(t, []any{"2024-03-05", 3.0}, []any{day[0].(object)["start"], day[0].(object)["requests"]})

		own := w.dev.call(200, "GET", "/v1/usage/current", "")
		require.Equal(t, []any{2.0, []any{}}, []any{own["requests"], own["series"]}, "who is in only one need not name it, and sees what is theirs")
		require.Equal(t, 2.0, w.lead.call(200, "GET", "/v1/usage/current", "")["requests"], "of the teams that they see")
		w.call(400, "GET", "/v1/usage/current?granularity=second&organization_id="+w.org, "")
		w.call(400, "GET", "/v1/usage/current", "")
		other := w.post("/v1/organizations", `{"name": "Other"}`)["id"].(string)
		key.call(404, "GET", "/v1/usage/current?organization_id="+other, "")
	})
}

func TestWhatTheKeyMayStillSpend(t *testing.T) { // dialects 2.8: GET /v1/credits
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w := newShop(t, s)
		secret := w.leadKey()
		key := w.as(secret, "")
		unlimited := key.call(200, "GET", "/v1/credits", "")
		require.Equal(t, object{"credits": nil, "currency": "USD"}, unlimited["balance"])
		require.Nil(t, unlimited["limits"].(object)["daily_limit"].(object)["credits"])
		require.Nil(t, unlimited["billing"].(object)["next_billing_date"])

		w.call(200, "PUT", w.at+"/budgets", `{"scope": "org", "limit": 100, "hard_limit": true}`)
		w.call(200, "PUT", w.at+"/budgets", `{"scope": "team", "scope_id": "`+w.eng+`", "name": "day", "limit": 7, "window": "calendar_day", "hard_limit": true}`)
		soft := w.call(200, "PUT", w.at+"/budgets", `{"scope": "team", "scope_id": "`+w.eng+`", "name": "soft", "limit": 1}`)
		w.call(200, "PUT", w.at+"/limits", `{"scope": "org", "requests_per_minute": 100, "tokens_per_minute": 90000}`)
		w.call(200, "PUT", w.at+"/limits", `{"scope": "team", "scope_id": "`+w.eng+`", "requests_per_minute": 20}`)
		w.call(200, "PUT", w.at+"/limits", `{"scope": "org", "model": "gpt-4-32k", "requests_per_minute": 3}`)
		w.call(200, "PUT", w.at+"/billing", `{"payment_methods": [{"type": "credit_card", "is_default": true, "details": {"stripe_payment_method_id": "pm_1234567890"}}]}`)
		w.uses(t, secret, "gpt-4-32k", &billing.Usage{InputTokens: 1000, OutputTokens: 500})
		left := key.call(200, "GET", "/v1/credits", "")
		cost := left["usage"].(object)["daily"].(object)["credits_used"].(float64)
		require.Positive(t, cost)
		require.InDelta(t, 7-cost, left["balance"].(object)["credits"], 1e-12, "the tightest that is hard")
		require.Equal(t, object{"rate_limit": object{"requests_per_minute": 20.0, "tokens_per_minute": 90000.0},
			"daily_limit": object{"credits": 7.0, "remaining": left["balance"].(object)["credits"]}}, left["limits"])
		require.Equal(t, object{"credits_used": cost, "requests": 1.0, "tokens": object{"prompt": 1000.0, "completion": 500.0, "total": 1500.0}}, left["usage"].(object)["monthly"])
		require.Equal(t, object{"plan": nil, "auto_recharge": object{"enabled": false, "threshold": nil, "amount": nil}, "next_billing_date": "2024-04-01"}, left["billing"])
		require.Equal(t, "credit_balance", left["object"])

		w.call(200, "POST", w.at+"/budgets/"+soft["id"].(string)+"/suspend", "")
		require.Equal(t, 0.0, key.call(200, "GET", "/v1/credits", "")["balance"].(object)["credits"], "what is suspended lets nothing through")

		dev := w.as(w.dataKey, "").call(200, "GET", "/v1/credits", "")
		require.Equal(t, 100-cost, dev["balance"].(object)["credits"])
		require.Len(t, dev, 2, "without usage.read there is no more")
		require.Len(t, w.dev.call(200, "GET", "/v1/credits?organization_id="+w.org, ""), 2)
		w.call(400, "GET", "/v1/credits", "")
		_, out := w.person(w.post("/v1/organizations", `{"name": "Other"}`)["id"].(string), "out@other.com", "org_admin")
		out.call(404, "GET", "/v1/credits?organization_id="+w.org, "")
	})
}
