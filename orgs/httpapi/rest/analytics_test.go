package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// seedMetrics are those of the seed's call, as its client sends them.
const seedMetrics = "&metrics=total_requests&metrics=total_tokens&metrics=total_cost&metrics=active_users&metrics=model_distribution&metrics=team_usage&metrics=error_rate&metrics=average_latency"

// shop is an organization in New York with two teams, whose people call models.
type shop struct {
	*client
	org, at   string
	eng, data string
	lead      *client // of eng
	dev       *client // in eng
	devID     string
	engKey    string
	dataKey   string
}

func newShop(t *testing.T, s *store.Store) shop {
	c := newClient(t, s)
	org := c.post("/v1/organizations", `{"name": "Acme", "settings": {"defaults": {"timezone": "America/New_York"}}}`)["id"].(string)
	w := shop{client: c, org: org, at: "/v1/organizations/" + org}
	c.post(w.at+"/roles", `{"name": "Developer", "permissions": ["models.use", "api_keys.use", "usage.read:own"]}`)
	c.post(w.at+"/roles", `{"name": "Lead", "permissions": ["models.use", "api_keys.use", "usage.read"]}`)
	w.eng = c.post(w.at+"/teams", `{"name": "Engineering"}`)["id"].(string)
	w.data = c.post(w.at+"/teams", `{"name": "Data Science"}`)["id"].(string)
	leadID, lead := c.person(org, "lead@acme.com", "member")
	devID, dev := c.person(org, "dev@acme.com", "member")
	c.post("/v1/teams/"+w.eng+"/members", `{"user_id": "`+leadID+`", "role": "lead"}`)
	c.post("/v1/teams/"+w.eng+"/members", `{"user_id": "`+devID+`", "role": "developer"}`)
	w.lead, w.dev, w.devID = lead, dev, devID
	w.engKey = c.post("/v1/api-keys", `{"name": "k", "team_id": "`+w.eng+`", "user_id": "`+devID+`"}`)["key"].(string)
	w.dataKey = c.post("/v1/api-keys", `{"name": "k", "team_id": "`+w.data+`", "user_id": null, "inherit_team_permissions": true}`)["key"].(string)
	return w
}

func (w shop) uses(t *testing.T, key, model string, u *billing.Usage) {
	t.Helper()
	adm, err := w.gate.Admit(t.Context(), gate.Call{Secret: key, Model: model, InputTokens: 1000, MaxOutputTokens: 1000, IP: netip.MustParseAddr("10.0.0.1")})
	require.NoError(t, err)
	if u == nil {
		require.NoError(t, adm.Release(t.Context()))
		return
	}
	require.NoError(t, adm.Settle(context.Background(), *u))
}

func TestAnalyticsOfTheSeed(t *testing.T) { // F234 to F244
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w := newShop(t, s)
		w.uses(t, w.engKey, "gpt-4-turbo-preview", &billing.Usage{InputTokens: 1000, OutputTokens: 500, Latency: time.Second})
		w.uses(t, w.engKey, "gpt-4-32k", &billing.Usage{InputTokens: 1000, OutputTokens: 0, Latency: 2 * time.Second})
		w.uses(t, w.engKey, "gpt-4-32k", nil)
		w.uses(t, w.dataKey, "gpt-4-turbo-preview", &billing.Usage{InputTokens: 1000, OutputTokens: 500})
		path := w.at + "/analytics?period=last_30_days"

		a := w.call(200, "GET", path+seedMetrics, "")
		m := a["metrics"].(object)
		require.Equal(t, []any{4.0, 4000.0, 0.11, 1.0, 0.25, 1500.0}, []any{m["total_requests"], m["total_tokens"], m["total_cost"], m["active_users"], m["error_rate"], m["average_latency"]})
		require.Contains(t, m, "latency_p50")
		models, teams := m["model_distribution"].([]any), m["team_usage"].([]any)
		require.Equal(t, object{"model": "gpt-4-32k", "requests": 2.0, "tokens": 1000.0, "cost": 0.06, "share": 0.5, "cost_share": 0.545455}, models[0])
		require.Equal(t, object{"model": "gpt-4-turbo-preview", "requests": 2.0, "tokens": 3000.0, "cost": 0.05, "share": 0.5, "cost_share": 0.454545}, models[1])
		require.Equal(t, object{"team_id": w.eng, "slug": "engineering", "name": "Engineering", "requests": 3.0, "tokens": 2500.0, "cost": 0.085}, teams[0])
		require.Equal(t, object{"team_id": w.data, "slug": "data-science", "name": "Data Science", "requests": 1.0, "tokens": 1500.0, "cost": 0.025}, teams[1])
		require.Equal(t, object{"name": "last_30_days", "start": "2024-02-04T12:00:00.000000Z", "end": "2024-03-05T12:00:00.000001Z", "timezone": "America/New_York"}, a["period"], "the answer echoes the instants (F330)")
		require.Equal(t, []any{"USD", "organization"}, []any{a["currency"], a["scope"]})

		all := w.call(200, "GET", path, "")["metrics"].(object)
		require.Equal(t, m, all, "omitted is all")
		some := w.call(200, "GET", path+"&metrics[]=total_cost&metrics=active_users,error_rate", "")["metrics"].(object)
		require.Len(t, some, 3)
		none := w.call(200, "GET", w.at+"/analytics?start=2024-01-01&end=2024-01-31", "")["metrics"].(object)
		require.Equal(t, []any{0.0, 0.0, nil, []any{}}, []any{none["total_requests"], none["error_rate"], none["average_latency"], none["model_distribution"]})

		days := w.call(200, "GET", w.at+"/analytics?start=2024-03-04&end=2024-03-05&group_by=day&metrics=total_cost", "")["groups"].([]any)
		require.Len(t, days, 2)
		require.Equal(t, []any{"2024-03-05", 4.0, 0.11}, []any{days[1].(object)["value"], days[1].(object)["requests"], days[1].(object)["cost"]})
		tags := w.call(200, "GET", path+"&group_by=tag.team", "")["groups"].([]any)
		require.Equal(t, "engineering", tags[0].(object)["value"])

		for q, fault := range map[string]string{
			"period=last_30_days&metrics=total_cost&metrics=happiness": "query.metrics", "period=fortnight": "query.period", "end=2024-01-01": "query.start", "period=today&start=2024-01-01": "query.period",
			"start=2024-02-02&end=2024-02-01": "query.end", "period=today&group_by=mood": "query.group_by", "period=today&teams=nobody": "query.teams", "period=today&oops=1": "query.oops",
		} {
			p := w.call(400, "GET", w.at+"/analytics?"+q, "")
			require.Equal(t, fault, p["errors"].([]any)[0].(object)["location"], q)
		}
		wrong := w.call(400, "GET", path+"&metrics=happiness", "")["errors"].([]any)[0].(object)["message"].(string)
		for _, metric := range billing.Metrics {
			require.Contains(t, wrong, string(metric), "it lists the valid ones (F244)")
		}
	})
}

func TestWhoSeesWhichUsage(t *testing.T) { // F234: role-scoped
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w := newShop(t, s)
		leadKey := w.post("/v1/api-keys", `{"name": "k", "team_id": "`+w.eng+`", "user_id": "`+w.lead.call(200, "GET", "/v1/users/me", "")["id"].(string)+`"}`)["key"].(string)
		w.uses(t, w.engKey, "gpt-4-turbo-preview", &billing.Usage{InputTokens: 100})
		w.uses(t, leadKey, "gpt-4-turbo-preview", &billing.Usage{InputTokens: 100})
		w.uses(t, w.dataKey, "gpt-4-32k", &billing.Usage{InputTokens: 100})
		sees := func(c *client, q string) []any {
			a := c.call(200, "GET", w.at+"/analytics?period=today"+q, "")
			return []any{a["scope"], a["metrics"].(object)["total_requests"], a["metrics"].(object)["active_users"]}
		}
		require.Equal(t, []any{"organization", 3.0, 2.0}, sees(w.client, ""))
		require.Equal(t, []any{"organization", 1.0, 0.0}, sees(w.client, "&teams=data_science"))
		require.Equal(t, []any{"organization", 1.0, nil}, sees(w.client, "&teams=data-science&models=gpt-4-32k"))
		require.Equal(t, []any{"teams", 2.0, 2.0}, sees(w.lead, ""), "a team's member sees the team")
		require.Equal(t, []any{"teams", 2.0, 2.0}, sees(w.lead, "&teams=engineering"))
		w.lead.call(400, "GET", w.at+"/analytics?period=today&teams=data-science", "")
		require.Equal(t, []any{"own", 1.0, 1.0}, sees(w.dev, ""), "or what is theirs")
		w.dev.call(400, "GET", w.at+"/analytics?period=today&group_by=user", "")
		w.post(w.at+"/roles", `{"name": "Guest", "permissions": []}`)
		_, guest := w.person(w.org, "guest@acme.com", "guest")
		guest.call(403, "GET", w.at+"/analytics?period=today", "")
		other := w.post("/v1/organizations", `{"name": "Other"}`)["id"].(string)
		_, out := w.person(other, "out@other.com", "org_admin")
		out.call(404, "GET", w.at+"/analytics?period=fortnight", "")
		read := w.call(200, "GET", w.at+"/audit/logs?event_types=analytics.read", "")["data"].([]any)
		require.Len(t, read, 6, "who has looked is in the log")

		w.call(200, "DELETE", "/v1/users/"+w.devID, "")
		require.Equal(t, []any{"organization", 3.0, 2.0}, sees(w.client, ""), "whoever goes, the totals stay (billing edge 60)")
	})
}

func TestUsageIsReportedAsCloudEvents(t *testing.T) { // billing §7.2, edges 55 and 58
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w := newShop(t, s)
		key := w.ids("/v1/api-keys?organization_id=" + w.org)[0]
		keyTeam := w.call(200, "GET", "/v1/api-keys/"+key, "")["team_id"].(string)
		event := func(id, data string) string {
			return fmt.Sprintf(`{"specversion": "1.0", "type": "ai.usage.v1", "source": "batch", "id": "%s", "time": "2024-03-05T11:00:00Z", "subject": "%s/%s", "data": %s}`, id, w.org, w.devID, data)
		}
		batch := w.with("Content-Type", "application/cloudevents-batch+json")
		body := "[" + strings.Join([]string{
			event("a", `{"team_id": "`+w.eng+`", "model": "gpt-4", "input_tokens": 10, "output_tokens": 5, "cost": "0.123456789012", "currency": "USD", "latency_ms": 1500.5, "tags": {"environment": "prod"}}`),
			event("b", `{"model": "gpt-4", "status": 502}`), event("a", `{"model": "gpt-4", "status": 502}`),
			event("c", `{"unit": "gb", "quantity": "1.5", "resource": "bucket"}`), event("d", `{"corrects": "a", "cost": "-0.1"}`)}, ",") + "]"
		done := batch.call(200, "POST", w.at+"/usage", body)
		require.Equal(t, object{"accepted": 4.0, "duplicates": 0.0, "conflicts": []any{object{"index": 2.0, "source": "batch", "id": "a"}}}, done)
		require.Equal(t, []any{0.0, 4.0}, []any{batch.call(200, "POST", w.at+"/usage", body)["accepted"], batch.call(200, "POST", w.at+"/usage", body)["duplicates"]})
		m := w.call(200, "GET", w.at+"/analytics?period=today", "")["metrics"].(object)
		require.Equal(t, []any{2.0, 15.0, 0.023456789012, 1.0, 0.5, 1500.5}, []any{m["total_requests"], m["total_tokens"], m["total_cost"], m["active_users"], m["error_rate"], m["average_latency"]})

		keyed := strings.Replace(event("e", `{"key_id": "`+key+`", "team_id": "team_else", "model": "m"}`), `"subject": "`+w.org+`/`+w.devID+`", `, "", 1)
		batch.call(200, "POST", w.at+"/usage", "["+keyed+"]")
		byTeam := w.call(200, "GET", w.at+"/analytics?period=today&models=m", "")["metrics"].(object)["team_usage"].([]any)[0].(object)
		require.Equal(t, keyTeam, byTeam["team_id"], "the team is always that of the key (F334)")

		for fault, bad := range map[string]string{
			"body[1].data.cost": event("x", `{"cost": "1e3"}`), "body[1].data.status": event("x", `{"status": 7}`), "body[1].data.team_id": event("x", `{"team_id": "team_x"}`),
			"body[1].data.key_id": event("x", `{"key_id": "key_x"}`), "body[1].data.currency": event("x", `{"currency": "EUR"}`), "body[1].specversion": strings.Replace(event("x", `{}`), "1.0", "0.3", 1),
			"body[1].time": strings.Replace(event("x", `{}`), "11:00", "12:06", 1), "body[1].subject": strings.Replace(event("x", `{}`), w.org+"/", "org_x/", 1), "body[1].data.tokens": event("x", `{"tokens": 1}`),
			"body[1].data.corrects": event("x", `{"corrects": "nothing"}`), "body[1].id": event("", `{}`),
		} {
			p := batch.call(400, "POST", w.at+"/usage", "["+event("good", `{}`)+","+bad+"]")
			require.Equal(t, fault, p["errors"].([]any)[0].(object)["location"], "%s: %v", fault, p)
		}
		events := w.call(200, "GET", w.at+"/audit/logs?event_types=billing.usage_ingested", "")["data"].([]any)
		require.Len(t, events, 4)
		_, owner := w.person(w.org, "owner@acme.com", "org_admin")
		owner.call(403, "POST", w.at+"/usage", "[]")
	})
}

// What a body says comes out as it was, or is refused: no cost goes through a float.
func FuzzUsageEvent(f *testing.F) {
	s := storetest.Open(f, "memory", store.Options{})
	c := newClient(&testing.T{}, s)
	org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
	f.Add("0.1", int64(1), "x")
	f.Add("-1", int64(-1), "\x00")
	f.Fuzz(func(t *testing.T, cost string, tokens int64, text string) {
		data, err := json.Marshal(object{"cost": cost, "input_tokens": tokens, "model": text, "tags": object{text: text}})
		require.NoError(t, err)
		w := c.do("POST", "/v1/organizations/"+org+"/usage", `[{"specversion": "1.0", "type": "ai.usage.v1", "source": "s", "id": "`+fmt.Sprint(time.Now().UnixNano())+`", "time": "2024-01-01T00:00:00Z", "data": `+string(data)+`}]`)
		require.Contains(t, []int{200, 400}, w.Code, w.Body.String())
	})
}
