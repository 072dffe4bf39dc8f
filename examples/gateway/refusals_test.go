package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestClientsOfLiteLLMUnderstandRefusals has the running gateway refuse calls of keys that LiteLLM's clients have made.
func TestClientsOfLiteLLMUnderstandRefusals(t *testing.T) { // F422 to F425, F430, F451
	m := newModel(t)
	prices := filepath.Join(t.TempDir(), "prices.json")
	require.NoError(t, os.WriteFile(prices, []byte(`{"currency": "USD", "models": {"gpt-4o": [{"prices": {"input_token": "0.0001", "output_token": "0.001"}}], "o1": [{"prices": {"input_token": "0.0001", "output_token": "0.001"}}]}}`), 0o600))
	t.Setenv("ORGKIT_UPSTREAM_KEY", "key-of-the-upstream")
	p := start(t, "memory:", "-upstream", m.URL+"/v1", "-prices", prices)
	do := func(method, path, body string) map[string]any {
		t.Helper()
		status, o, err := p.call(method, path, body)
		require.NoError(t, err)
		require.Equal(t, 200, status, "%s %s: %v", method, path, o)
		return o
	}
	do("POST", "/organization/new", `{"organization_alias": "Acme", "organization_id": "acme", "max_budget": 0.06, "models": ["gpt-4o"]}`)
	secret := do("POST", "/key/generate", `{"organization_id": "acme"}`)["key"].(string)
	const chat = `{"model": "gpt-4o", "max_tokens": 50, "messages": []}`
	refused := func(secret, body string, status int, typ string, param any, message string) {
		t.Helper()
		res, o := p.chats(t, secret, body)
		of, _ := o["error"].(map[string]any)
		require.Equal(t, []any{status, typ, param, fmt.Sprint(status)}, []any{res.StatusCode, of["type"], of["param"], of["code"]}, "%v", o)
		require.Contains(t, of["message"], message)
		require.Equal(t, status == 429, res.Header.Get("Retry-After") != "")
	}
	m.let <- 200 // costs 100 * 0.0001 + 50 * 0.001: all that there is
	res, o := p.chats(t, secret, chat)
	require.Equal(t, 200, res.StatusCode, "%v", o)
	<-m.asked
	refused(secret, chat, 400, "budget_exceeded", nil, "Budget has been exceeded! Organization=acme Current cost: 0.06, Max budget: 0.06")
	require.Equal(t, 0.06, do("GET", "/organization/info?organization_id=acme", "")["spend"])
	refused(secret, `{"model": "o1", "max_tokens": 100, "messages": []}`, 403, "org_model_access_denied", "model", "organization not allowed to access model")
	refused(secret, `{"model": "nobody", "messages": []}`, 400, "bad_request_error", "model", "Invalid model name passed")
	refused(secret, `{"model": 1}`, 400, "bad_request_error", "None", "model")

	do("PATCH", "/organization/update", `{"organization_id": "acme", "max_budget": null, "rpm_limit": 0}`)
	refused(secret, chat, 429, "throttling_error", "None", "Rate limit exceeded for organization: acme. Limit type: requests. Current limit: 0, Remaining: 0. Limit resets at: ")
	do("PATCH", "/organization/update", `{"organization_id": "acme", "rpm_limit": null, "max_parallel_requests": 0}`)
	refused(secret, chat, 429, "throttling_error", "None", "Limit type: max_parallel_requests. Current limit: 0")
	do("PATCH", "/organization/update", `{"organization_id": "acme", "max_parallel_requests": null, "blocked": true}`)
	refused(secret, chat, 401, "auth_error", "organization_id", "Authentication Error, Organization=acme is blocked.")
	do("PATCH", "/organization/update", `{"organization_id": "acme", "blocked": false}`)

	do("POST", "/organization/member_add", `{"organization_id": "acme", "member": {"role": "internal_user", "user_id": "bob"}, "max_budget_in_organization": 0}`)
	of := do("POST", "/key/generate", `{"organization_id": "acme", "user_id": "bob"}`)["key"].(string)
	refused(of, chat, 400, "budget_exceeded", nil, "Budget has been exceeded! User=bob in Organization=acme Current cost: 0.0, Max budget: 0.0")
	team := do("POST", "/team/new", `{"organization_id": "acme", "team_alias": "lab", "team_id": "lab", "max_budget": 0}`)["team_id"].(string)
	of = do("POST", "/key/generate", `{"team_id": "`+team+`"}`)["key"].(string)
	refused(of, chat, 400, "budget_exceeded", nil, "Budget has been exceeded! Team=lab Current cost: 0.0, Max budget: 0.0")

	// Keys of others hear what they know.
	org := do("GET", "/v1/organizations?limit=1", "")["data"].([]any)[0].(map[string]any)["id"].(string)
	status, o, err := p.call("POST", "/v1/api-keys", `{"name": "k", "organization_id": "`+org+`", "permissions": ["models.use"]}`)
	require.NoError(t, err)
	require.Equal(t, 201, status)
	res, o = p.chats(t, o["key"].(string), `{"model": "o1", "max_tokens": 100, "messages": []}`)
	require.Equal(t, []any{403, "model_not_allowed"}, []any{res.StatusCode, o["code"]})

	// Keys die with their organization.
	status, _, err = p.call("DELETE", "/organization/delete", `{"organization_ids": ["acme"]}`)
	require.NoError(t, err)
	require.Equal(t, 200, status)
	refused(secret, chat, 401, "token_not_found_in_db", "key", "Authentication Error, Invalid proxy server token passed. Received API Key = sk-...")
}

// TestKeysOfADeletedOrganizationDieInEveryProcess deletes an organization in one process and calls models by its keys, and those
// of its teams, in another one on the same database. It is a known fault of LiteLLM that keys of teams live on.
func TestKeysOfADeletedOrganizationDieInEveryProcess(t *testing.T) { // F437
	m := newModel(t)
	prices := filepath.Join(t.TempDir(), "prices.json")
	require.NoError(t, os.WriteFile(prices, []byte(`{"currency": "USD", "models": {"gpt-4o": [{"prices": {"input_token": "0.0001", "output_token": "0.001"}}]}}`), 0o600))
	t.Setenv("ORGKIT_UPSTREAM_KEY", "key-of-the-upstream")
	db := "sqlite:" + filepath.Join(t.TempDir(), "shared.db")
	here, there := start(t, db, "-upstream", m.URL+"/v1", "-prices", prices), start(t, db, "-upstream", m.URL+"/v1", "-prices", prices)
	do := func(method, path, body string) map[string]any {
		t.Helper()
		status, o, err := here.call(method, path, body)
		require.NoError(t, err)
		require.Equal(t, 200, status, "%s %s: %v", method, path, o)
		return o
	}
	secrets := map[string]string{}
	for _, org := range []string{"acme", "rival"} {
		do("POST", "/organization/new", `{"organization_alias": "Acme", "organization_id": "`+org+`"}`)
		do("POST", "/team/new", `{"organization_id": "`+org+`", "team_id": "lab-`+org+`"}`)
		secrets[org] = do("POST", "/key/generate", `{"organization_id": "`+org+`"}`)["key"].(string)
		secrets["lab-"+org] = do("POST", "/key/generate", `{"team_id": "lab-`+org+`"}`)["key"].(string)
	}
	answers := func(p *process, name string) int {
		t.Helper()
		m.let <- 200
		res, o := p.chats(t, secrets[name], `{"model": "gpt-4o", "max_tokens": 50, "messages": []}`)
		if res.StatusCode == 200 {
			<-m.asked
			return 200
		}
		<-m.let // nobody was asked
		require.Equal(t, "token_not_found_in_db", o["error"].(map[string]any)["type"], "%v", o)
		return res.StatusCode
	}
	for name := range secrets {
		require.Equal(t, []int{200, 200}, []int{answers(here, name), answers(there, name)})
	}
	do("DELETE", "/organization/delete", `{"organization_ids": ["acme"]}`)
	require.Equal(t, []int{401, 401}, []int{answers(here, "acme"), answers(here, "lab-acme")}, "at once here")
	require.Eventually(t, func() bool { return answers(there, "acme") == 401 && answers(there, "lab-acme") == 401 }, 5*time.Second, 10*time.Millisecond, "and soon elsewhere")
	for _, name := range []string{"rival", "lab-rival"} {
		require.Equal(t, []int{200, 200}, []int{answers(here, name), answers(there, name)}, "those of others live")
	}
}
