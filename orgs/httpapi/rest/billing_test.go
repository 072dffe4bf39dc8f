package rest_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store/memory"
)

// seedBilling is the configuration of the first document.
const seedBilling = `{
	"payment_methods": [
		{"type": "credit_card", "is_default": true, "details": {"stripe_payment_method_id": "pm_1234567890"}},
		{"type": "invoice", "is_default": false, "details": {"net_terms": 30, "purchase_order_required": true,
			"billing_address": {"line1": "123 Main St", "city": "New York", "state": "NY", "postal_code": "10001", "country": "US"}}}],
	"billing_alerts": [
		{"type": "threshold", "amount": 5000.00, "period": "monthly", "notify": ["finance@acme.com", "cfo@acme.com"]},
		{"type": "anomaly", "sensitivity": "high", "notify": ["security@acme.com"]},
		{"type": "budget_exceeded", "action": "notify", "notify": ["finance@acme.com", "team_leads"]}],
	"cost_allocation": {"strategy": "tag_based", "required_tags": ["project", "environment", "team"],
		"cost_centers": {"engineering": "CC-001", "marketing": "CC-002", "data_science": "CC-003"}}}`

func TestBillingIsConfiguredAtOnce(t *testing.T) { // F205 to F232, F461
	c := newClient(t, memory.New(nil))
	org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
	path := "/v1/organizations/" + org
	empty := c.call(200, "GET", path+"/billing", "")
	require.Equal(t, []any{[]any{}, []any{}, object{"strategy": "none", "required_tags": []any{}, "cost_centers": object{}}}, []any{empty["payment_methods"], empty["billing_alerts"], empty["cost_allocation"]})

	p := c.call(400, "PUT", path+"/billing", seedBilling)
	require.Equal(t, []any{"body.billing_alerts[2].notify[1]", "unknown"}, []any{p["errors"].([]any)[0].(object)["location"], p["errors"].([]any)[0].(object)["code"]})
	c.post(path+"/roles", `{"name": "Team Lead", "permissions": ["usage.read"]}`)
	is := c.call(200, "PUT", path+"/billing", seedBilling)
	require.Equal(t, is, c.call(200, "GET", path+"/billing", ""))
	card := is["payment_methods"].([]any)[0].(object)
	require.Equal(t, object{"stripe_payment_method_id": "***7890", "stripe_payment_method_id_set": true}, card["details"])
	alert := is["billing_alerts"].([]any)[0].(object)
	require.Equal(t, []any{5000.0, "monthly", []any{"finance@acme.com", "cfo@acme.com"}}, []any{alert["amount"], alert["period"], alert["notify"]})
	require.Equal(t, object{"engineering": "CC-001", "marketing": "CC-002", "data_science": "CC-003"}, is["cost_allocation"].(object)["cost_centers"])
	shown := c.call(200, "GET", path, "")["settings"].(object)["billing"].(object)
	require.Equal(t, "***7890", shown["payment_method_id"])
	shown["tax_id"] = "T1"
	sent, err := json.Marshal(object{"settings": object{"billing": shown}})
	require.NoError(t, err)
	c.call(200, "PATCH", path, string(sent)) // what is sent back as it was read is no change
	require.Equal(t, is["payment_methods"], c.call(200, "GET", path+"/billing", "")["payment_methods"])

	again := c.call(200, "PUT", path+"/billing", seedBilling)
	require.Equal(t, []any{is["payment_methods"], is["billing_alerts"]}, []any{again["payment_methods"], again["billing_alerts"]}, "idempotent")
	p = c.call(400, "PATCH", path, `{"settings": {"billing": {"payment_method_id": "pm_unknown7890"}}}`)
	require.Equal(t, "body.settings.billing.payment_method_id", p["errors"].([]any)[0].(object)["location"])

	least := c.call(200, "PUT", path+"/billing", `{"payment_methods": [], "billing_alerts": [
		{"type": "threshold", "amount": "0.5", "notify": ["a@acme.com"]}, {"type": "anomaly", "notify": ["a@acme.com"]}, {"type": "budget_exceeded", "notify": ["a@acme.com"]}]}`)
	for i, field := range []string{"period monthly", "sensitivity medium", "action notify"} {
		name, value, _ := strings.Cut(field, " ")
		require.Equal(t, value, least["billing_alerts"].([]any)[i].(object)[name])
	}
	require.Equal(t, "none", least["cost_allocation"].(object)["strategy"], "the whole of it is replaced")
}

func TestBillingTellsEverythingThatIsWrong(t *testing.T) { // F205, F208, F216
	c := newClient(t, memory.New(nil))
	path := "/v1/organizations/" + c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string) + "/billing"
	p := c.call(400, "PUT", path, `{"payment_methods": [
			{"type": "credit_card", "is_default": true, "details": {"stripe_payment_method_id": "pm `+canary+`"}},
			{"type": "invoice", "is_default": true, "details": {"net_terms": 121, "billing_address": {"line1": "1 Main St", "city": "X", "postal_code": "1", "country": "USA"}}}],
		"billing_alerts": [{"type": "threshold", "amount": 0, "period": "hourly", "notify": ["`+canary+`@", "nobody"]}],
		"cost_allocation": {"strategy": "by_magic"}}`)
	var faults []string
	for _, f := range p["errors"].([]any) {
		faults = append(faults, f.(object)["location"].(string))
	}
	require.Equal(t, []string{"body.payment_methods[0].details.stripe_payment_method_id", "body.payment_methods[1].details.net_terms", "body.payment_methods[1].details.billing_address.country",
		"body.payment_methods", "body.billing_alerts[0].amount", "body.billing_alerts[0].period", "body.cost_allocation.strategy", "body.billing_alerts[0].notify[0]", "body.billing_alerts[0].notify[1]"}, faults)
	require.Empty(t, c.call(200, "GET", path, "")["billing_alerts"], "nothing is kept")
	c.call(400, "PUT", path, `{}`)
}

func TestWhoSeesBilling(t *testing.T) { // F205
	c := newClient(t, memory.New(nil))
	org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
	path := "/v1/organizations/" + org
	c.post(path+"/roles", `{"name": "Finance", "permissions": ["billing.*"]}`)
	_, finance := c.person(org, "finance@acme.com", "finance")
	_, member := c.person(org, "member@acme.com", "member")
	finance.call(200, "PUT", path+"/billing", `{"payment_methods": []}`)
	finance.call(200, "GET", path+"/billing", "")
	member.call(403, "GET", path+"/billing", "")
	member.call(403, "PUT", path+"/billing", `{"payment_methods": []}`)

	c.post(path+"/roles", `{"name": "Editor", "permissions": ["organizations.*"]}`)
	_, editor := c.person(org, "editor@acme.com", "editor")
	editor.call(200, "PATCH", path, `{"settings": {"billing": {"tax_id": "T1"}}}`)
	editor.call(403, "PATCH", path, `{"settings": {"billing": {"payment_method_id": "pm_1234567890"}}}`)
}

func TestSpendingBelongsToItsCostCenter(t *testing.T) { // F227, F232, F318
	c := newClient(t, memory.New(nil))
	org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
	path := "/v1/organizations/" + org
	c.post(path+"/roles", `{"name": "Team Lead", "permissions": ["usage.read"]}`)
	c.call(200, "PUT", path+"/billing", seedBilling)
	team := c.post(path+"/teams", `{"name": "Data Science"}`)["id"].(string)
	now := time.Now().UTC().Format(time.RFC3339)
	event := func(id, team, cost string) string {
		return `{"specversion": "1.0", "id": "` + id + `", "source": "host", "type": "ai.usage.v1", "time": "` + now + `", "data": {"model": "m", "cost": "` + cost + `"` + team + `}}`
	}
	c.call(200, "POST", path+"/usage", `[`+event("1", `, "team_id": "`+team+`"`, "1.005")+`,`+event("2", "", "0.005")+`]`)
	centers := c.call(200, "GET", path+"/cost_centers?period=today", "")["data"].([]any)
	require.Equal(t, object{"cost_center": "CC-003", "teams": []any{"data-science"}, "requests": 1.0, "cost": 1.005, "amount": 1.01}, centers[0])
	require.Equal(t, []any{nil, 0.005, 0.0}, []any{centers[1].(object)["cost_center"], centers[1].(object)["cost"], centers[1].(object)["amount"]})
	c.call(400, "GET", path+"/cost_centers?period=never", "")

	require.Empty(t, c.call(200, "GET", path+"/billing/alerts", "")["data"])
	c.call(200, "POST", path+"/usage", `[`+event("3", "", "4999")+`]`)
	fired := c.call(200, "GET", path+"/billing/alerts?limit=1", "")["data"].([]any)[0].(object)
	require.Equal(t, []any{"threshold", 5000.0, 5000.01, nil, false}, []any{fired["kind"], fired["threshold"], fired["spent"], fired["budget_id"], fired["suspended"]})
	require.Equal(t, c.call(200, "GET", path+"/billing", "")["billing_alerts"].([]any)[0].(object)["id"], fired["alert_id"])
	c.call(200, "GET", path+"/cost_centers", "")
}

func TestABudgetHasThresholds(t *testing.T) { // F083; billing edges 51 and 53
	c := newClient(t, memory.New(nil))
	org := c.post("/v1/organizations", `{"name": "Acme"}`)["id"].(string)
	path := "/v1/organizations/" + org
	c.call(200, "PUT", path+"/billing", `{"payment_methods": [], "billing_alerts": [{"type": "budget_exceeded", "action": "suspend", "notify": ["a@acme.com"]}]}`)
	c.post(path+"/teams", `{"name": "Lab"}`)
	b := c.call(200, "PUT", path+"/budgets", `{"scope": "org", "limit": 0, "thresholds": [{"share": 0.5}, {"amount": "40.50"}]}`)
	require.Equal(t, []any{object{"share": 0.5}, object{"amount": 40.5}}, b["thresholds"])
	require.NotContains(t, b, "suspended_by")
	p := c.call(400, "PUT", path+"/budgets", `{"scope": "org", "limit": 5, "thresholds": [{"share": 0.5, "amount": 1}]}`)
	require.Equal(t, "body.thresholds[0]", p["errors"].([]any)[0].(object)["location"])
}
