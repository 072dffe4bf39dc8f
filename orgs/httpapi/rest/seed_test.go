package rest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/gate/proxy"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// body is one that the first document sends, as the quickstart keeps it. {team} and the like stand
// for ids.
func body(t *testing.T, name string, replace ...string) string {
	b, err := os.ReadFile("../../../examples/quickstart/seed/" + name + ".json")
	require.NoError(t, err)
	return strings.NewReplacer(replace...).Replace(string(b))
}

const office = "203.0.113.7" // in the organization's list

// TestTheSeedReplayed sends the calls 1 to 11 and 19 of the document in its order and then the calls
// of the data plane.
func TestTheSeedReplayed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		tuesday := time.Date(2024, 3, 5, 15, 0, 0, 0, time.UTC) // 10:00 in New York
		clock.Set(tuesday)
		c := newClient(t, s)

		org := c.post("/v1/organizations", body(t, "organization"))
		require.Regexp(t, "^org_", org["id"])
		require.Equal(t, "not_configured", org["sso_status"])
		orgPath := "/v1/organizations/" + org["id"].(string)
		require.Equal(t, parse(t, body(t, "organization"))["metadata"], org["metadata"])
		c.call(409, "POST", "/v1/organizations", body(t, "organization"))

		for _, role := range []string{"org_admin", "team_lead", "developer", "finance", "viewer"} { // F456
			r := c.post(orgPath+"/roles", body(t, "role_"+role))
			require.Equal(t, role, r["slug"])
		}
		require.Equal(t, "slug_taken", c.call(409, "POST", orgPath+"/roles", body(t, "role_org_admin"))["code"])
		require.Len(t, c.call(200, "GET", orgPath+"/roles", "")["data"], 6)

		teams := map[string]string{}
		for _, team := range []string{"engineering", "marketing", "data-science"} {
			o := c.post(orgPath+"/teams", body(t, "team_"+team))
			teams[team] = o["id"].(string)
			require.Equal(t, parse(t, body(t, "team_"+team))["settings"], o["settings"])
			for _, role := range []string{"team_lead", "developer"} {
				c.post("/v1/teams/"+teams[team]+"/roles", body(t, "override_"+role))
				c.call(200, "POST", "/v1/teams/"+teams[team]+"/roles", body(t, "override_"+role)) // F074
			}
		}
		eng := "/v1/teams/" + teams["engineering"]

		ids, tokens := map[string]string{}, map[string]string{}
		for _, name := range []string{"alice", "bob", "carol", "dave"} {
			ids[name], tokens[name] = c.user(name+"@acme.com", tuesday.Add(-time.Hour))
			inv := c.post(eng+"/invitations", body(t, "invite_"+name))
			require.Equal(t, false, inv["email_sent"]) // F466: no mailer, so the token is here
			pending := c.call(409, "POST", eng+"/invitations", body(t, "invite_"+name))
			require.Equal(t, "invitation_pending", pending["code"])
			require.Equal(t, inv["id"], pending["existing_id"])
			require.NotContains(t, c.call(200, "GET", eng+"/invitations/"+inv["id"].(string), ""), "token")
			accept := body(t, "accept", "{token}", inv["token"].(string))
			if name == "bob" {
				require.Equal(t, "invitation_email_mismatch", c.as(tokens["alice"], office).call(403, "POST", "/v1/invitations/accept", accept)["code"])
			}
			joined := c.as(tokens[name], "198.51.100.1").call(200, "POST", "/v1/invitations/accept", accept) // F322: from anywhere
			require.Equal(t, "accepted", joined["status"])
			require.Equal(t, "invitation_used", c.as(tokens[name], office).call(409, "POST", "/v1/invitations/accept", accept)["code"])
		}
		dave := c.call(200, "GET", eng+"/members/"+ids["dave"], "")
		require.Contains(t, dave["effective_permissions"], "deployments.manage") // F115
		member := c.call(200, "GET", orgPath+"/members/"+ids["dave"], "")
		require.Equal(t, "member", member["role"]) // F465

		promoted := c.call(200, "PATCH", eng+"/members/"+ids["dave"], body(t, "promote"))
		require.Equal(t, "team_lead", promoted["role"])
		require.Equal(t, object{"add": []any{}, "remove": []any{}}, promoted["permissions"]) // F331

		carolsKey := c.as(tokens["alice"], office).post("/v1/api-keys", `{"name": "carol's", "team_id": "`+teams["engineering"]+`", "user_id": ""}`)
		require.NotEmpty(t, carolsKey["key"])
		removed := c.call(200, "DELETE", eng+"/members/"+ids["carol"], body(t, "remove"))
		require.Equal(t, true, removed["removed"])
		c.call(404, "GET", eng+"/members/"+ids["carol"], "")

		policy := c.post(eng+"/policies", body(t, "policy"))
		require.Equal(t, parse(t, body(t, "policy"))["statements"], policy["statements"])
		require.NotEmpty(t, policy["warnings"]) // F458

		lead := c.as(tokens["alice"], office)
		key := lead.post("/v1/api-keys", body(t, "api_key", "{team}", teams["engineering"]))
		require.Regexp(t, "^ok_live_", key["key"])
		require.NotContains(t, lead.call(200, "GET", "/v1/api-keys/"+key["id"].(string), ""), "key")
		require.Equal(t, "permission_denied", lead.call(403, "POST", "/v1/api-keys", body(t, "api_key", "{team}", teams["marketing"]))["code"]) // F004
		require.Equal(t, "permission_denied", c.as(tokens["bob"], office).call(403, "POST", "/v1/api-keys", body(t, "api_key", "{team}", teams["engineering"]))["code"])
		require.Equal(t, "ip_denied", c.as(tokens["alice"], "10.0.1.7").call(403, "GET", eng, "")["code"]) // F322

		may := c.call(200, "GET", "/v1/users/"+ids["bob"]+"/permissions?team_id="+teams["engineering"]+"&resource=model:gpt-4-turbo-preview&action=use", "")
		require.Equal(t, true, may["allowed"])
		require.Equal(t, false, may["allowed_now"]) // from no known address
		require.Equal(t, "models.use", may["action"])
		conditions := may["conditions"].(object)
		require.Len(t, conditions, 3)
		require.Contains(t, conditions, "ip_address")
		require.Contains(t, conditions, "time")
		require.Contains(t, conditions, "mfa")

		require.Len(t, c.call(200, "PUT", orgPath+"/audit", body(t, "audit"))["export_destinations"], 2)

		log := c.call(200, "GET", orgPath+"/audit/logs?start_time=2024-01-01T00:00:00Z&end_time=2024-03-31T23:59:59Z"+
			"&event_types=api_key.created&event_types=member.role_changed&limit=100", "")
		require.Len(t, log["data"], 3)
		changed := c.call(200, "GET", orgPath+"/audit/logs?event_types=member.role_changed", "")["data"].([]any)[0].(object)
		require.Equal(t, "Promotion to team lead", changed["reason"])
		require.Equal(t, "developer", changed["before"].(object)["role"])
		byAlice := c.call(200, "GET", orgPath+"/audit/logs?actors=user:alice@acme.com&event_types=api_key.*", "")
		require.Len(t, byAlice["data"], 2)
		require.Len(t, c.call(200, "GET", orgPath+"/audit/logs?resources=team:data_science&event_types=team.created", "")["data"], 1) // F302, F318

		dataPlane(t, c, lead, key["key"].(string), tuesday)
		proxied(t, c, lead, clock, eng, body(t, "api_key", "{team}", teams["engineering"]))
	})
}

// dataPlane holds the paragraph under the table of calls, up to the rate limit. The key is bound to
// the lead, who proved a second factor an hour before.
func dataPlane(t *testing.T, c, lead *client, secret string, now time.Time) {
	call := gate.Call{Secret: secret, Model: "gpt-4-turbo-preview", InputTokens: 1000, MaxOutputTokens: 1000, IP: netip.MustParseAddr("10.0.1.7"), Now: now}
	admit := func(change func(*gate.Call)) (string, *gate.Denied) {
		one := call
		change(&one)
		adm, err := c.gate.Admit(t.Context(), one)
		if err == nil {
			require.NoError(t, adm.Settle(t.Context(), billing.Usage{InputTokens: 10}))
			return "", nil
		}
		var d *gate.Denied
		require.ErrorAs(t, err, &d)
		return d.Code, d
	}
	code := func(change func(*gate.Call)) string {
		code, _ := admit(change)
		return code
	}
	require.Empty(t, code(func(*gate.Call) {}))
	require.Equal(t, "policy_denied", code(func(c *gate.Call) { c.Now = now.Add(10 * time.Hour); c.IP = netip.MustParseAddr("10.0.1.7") }))
	require.Equal(t, "ip_denied", code(func(c *gate.Call) { c.IP = netip.MustParseAddr("10.0.2.7") }))
	require.Equal(t, "mfa_required", code(func(c *gate.Call) { c.Now = now.Add(7*time.Hour + 59*time.Minute) })) // 17:59, but too long ago
	require.Equal(t, "model_not_allowed", code(func(c *gate.Call) { c.Model = "dall-e-3" }))

	reasonless, d := admit(func(c *gate.Call) { c.Model = "gpt-4-32k" })
	require.Equal(t, "approval_required", reasonless)
	require.True(t, d.ReasonRequired)
	require.Empty(t, d.ApprovalID)
	_, d = admit(func(c *gate.Call) { c.Model, c.ApprovalReason = "gpt-4-32k", "long contracts" })
	require.NotEmpty(t, d.ApprovalID)
	decision := "/v1/approvals/" + d.ApprovalID + "/decision"
	lead.call(403, "POST", decision, `{"decision": "approve"}`) // it is her own
	c.call(403, "POST", decision, `{"decision": "approve"}`)    // the platform is nobody's approver
	c.call(400, "POST", decision, `{"decision": "perhaps"}`)
	dave := c.call(200, "GET", "/v1/users/dave@acme.com", "")["id"].(string)
	token := c.post("/v1/users/"+dave+"/tokens", `{"name": "approve"}`)["token"].(string)
	c.as(token, office).call(200, "POST", decision, `{"decision": "approve", "reason": "fine"}`)
	require.Empty(t, code(func(c *gate.Call) { c.Model = "gpt-4-32k" }))
	require.Equal(t, "cost_limit_exceeded", code(func(c *gate.Call) { c.Model, c.InputTokens = "gpt-4-32k", 200_000 }))
}

// proxied holds the same paragraph through package proxy, with a key of its own, the rate limit included.
func proxied(t *testing.T, c, lead *client, clock *storetest.Clock, team, key string) {
	secret := lead.post("/v1/api-keys", strings.Replace(key, `"name": "`, `"name": "proxied `, 1))["key"].(string)
	model := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"usage": {"prompt_tokens": 10, "completion_tokens": 10}}`)
	})
	front, err := proxy.New(c.gate, model, &proxy.Options{Options: httpapi.Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}})
	require.NoError(t, err)
	ask := func(model, ip, reason string, more string) (int, object) {
		r := httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(`{"model": "`+model+`", "max_tokens": 100`+more+`, "messages": []}`))
		r.Header.Set("Authorization", "Bearer "+secret)
		r.Header.Set("X-Forwarded-For", ip)
		r.Header.Set("X-Approval-Reason", reason)
		w := httptest.NewRecorder()
		front.ServeHTTP(w, r)
		return w.Code, parse(t, w.Body.String())
	}
	code := func(model, ip string) any {
		status, o := ask(model, ip, "", "")
		if status == 200 {
			return status
		}
		require.Equal(t, 403, status)
		return o["code"]
	}
	const turbo, inside = "gpt-4-turbo-preview", "10.0.1.7"
	require.Equal(t, 200, code(turbo, inside))
	require.Equal(t, "ip_denied", code(turbo, "10.0.2.7"))
	require.Equal(t, "model_not_allowed", code("dall-e-3", inside))

	for _, granted := range c.call(200, "GET", team+"/approvals", "")["data"].([]any) { // or it would be open
		lead.call(200, "DELETE", "/v1/approvals/"+granted.(object)["id"].(string), `{}`)
	}
	_, o := ask("gpt-4-32k", inside, "", "")
	require.Equal(t, object{"status": "reason_required"}, o["required_approval"])
	dave := c.call(200, "GET", "/v1/users/dave@acme.com", "")["id"].(string)
	token := c.post("/v1/users/"+dave+"/tokens", `{"name": "approve again"}`)["token"].(string)
	status, o := ask("gpt-4-32k", inside, "longer contracts", "")
	require.Equal(t, []any{403, "approval_required"}, []any{status, o["code"]})
	needed := o["required_approval"].(object)
	require.Equal(t, "pending", needed["status"])
	c.as(token, office).call(200, "POST", needed["request_url"].(string)+"/decision", `{"decision": "approve", "reason": "fine"}`)
	require.Equal(t, 200, code("gpt-4-32k", inside))
	status, o = ask("gpt-4-32k", inside, "", `, "metadata": {"text": "`+strings.Repeat("x", 200_000)+`"}`)
	require.Equal(t, []any{403, "cost_limit_exceeded"}, []any{status, o["code"]})

	clock.Advance(time.Minute) // another window
	for n := range 100 {
		status, o := ask(turbo, inside, "", "")
		require.Equal(t, 200, status, "call %d: %v", n, o)
	}
	status, o = ask(turbo, inside, "", "")
	require.Equal(t, []any{429, "rate_limit_exceeded"}, []any{status, o["code"]})
	clock.Advance(7*time.Hour + 57*time.Minute) // 17:58, and the second factor was proved too long ago
	require.Equal(t, "mfa_required", code(turbo, inside))
	clock.Advance(2*time.Hour + 2*time.Minute) // 20:00
	require.Equal(t, "policy_denied", code(turbo, inside))
}
