package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// model is an upstream that answers when it is let.
type model struct {
	*httptest.Server
	asked chan map[string]any
	let   chan int // the status
}

func newModel(t *testing.T) *model {
	m := &model{asked: make(chan map[string]any, 100), let: make(chan int, 100)}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if json.NewDecoder(r.Body).Decode(&body) != nil || r.URL.Path != "/v1/chat/completions" || r.Header.Get("Authorization") != "Bearer key-of-the-upstream" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		m.asked <- body
		status := <-m.let
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, `{"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 50}}`)
	}))
	t.Cleanup(m.Close)
	return m
}

// chats asks the gateway for a completion.
func (p *process) chats(t *testing.T, secret, body string) (*http.Response, map[string]any) {
	r, err := http.NewRequest("POST", p.url+"/v1/chat/completions", strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+secret)
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	var o map[string]any
	require.NoError(t, json.Unmarshal(text, &o), "%s", text)
	return res, o
}

func TestDataPlaneSaysWhereTheLimitsStand(t *testing.T) { // F015, F095, F106
	m := newModel(t)
	prices := filepath.Join(t.TempDir(), "prices.json")
	require.NoError(t, os.WriteFile(prices, []byte(`{"currency": "USD", "models": {"gpt-4o": [{"prices": {"input_token": "0.00001", "output_token": "0.00003"}}]}}`), 0o600))
	t.Setenv("ORGKIT_UPSTREAM_KEY", "key-of-the-upstream")
	p := start(t, "memory:", "-upstream", m.URL+"/v1", "-prices", prices)
	do := func(method, path, body string) map[string]any {
		status, o, err := p.call(method, path, body)
		require.NoError(t, err)
		require.Less(t, status, 300, "%v", o)
		return o
	}
	org := do("POST", "/v1/organizations", `{"name": "Acme"}`)["id"].(string)
	team := do("POST", "/v1/organizations/"+org+"/teams", `{"name": "Lab", "settings": {"models": {"rate_limits": {"gpt-*": {"requests_per_day": 3}}}, "resources": {"max_parallel_requests": 1}}}`)["id"].(string)
	secret := do("POST", "/v1/api-keys", `{"name": "k", "team_id": "`+team+`", "inherit_team_permissions": true}`)["key"].(string)
	const body = `{"model": "gpt-4o", "max_tokens": 200, "messages": [{"role": "user", "content": "How are you?"}]}`

	m.let <- 200
	res, o := p.chats(t, secret, body)
	require.Equal(t, 200, res.StatusCode, "%v", o)
	require.Contains(t, o, "choices")
	sent := <-m.asked
	require.Equal(t, []any{"gpt-4o", 200.0, nil}, []any{sent["model"], sent["max_tokens"], sent["max_completion_tokens"]})
	h := res.Header
	require.Equal(t, []string{"3", "2", "3;w=86400"}, []string{h.Get("X-RateLimit-Limit"), h.Get("X-RateLimit-Remaining"), h.Get("X-RateLimit-Policy")})
	require.Equal(t, fmt.Sprintf(`%q;r=2;t=%s`, h.Get("X-RateLimit-Bucket"), h.Get("X-RateLimit-Reset-After")), h.Get("RateLimit"))
	require.Empty(t, h.Get("Retry-After"))

	ended := make(chan int, 1)
	go func() {
		res, _ := p.chats(t, secret, body)
		ended <- res.StatusCode
	}()
	<-m.asked // the second one runs
	res, o = p.chats(t, secret, body)
	require.Equal(t, []any{429, "concurrency_limit", "1"}, []any{res.StatusCode, o["code"], res.Header.Get("Retry-After")})
	require.Equal(t, "rate_limit_error", o["error"].(map[string]any)["type"])
	m.let <- 500
	require.Equal(t, 500, <-ended)

	m.let <- 200
	res, _ = p.chats(t, secret, body)
	require.Equal(t, "0", res.Header.Get("X-RateLimit-Remaining"), "what the upstream failed at was a request as well")
	res, o = p.chats(t, secret, body)
	require.Equal(t, []any{429, "rate_limit_exceeded"}, []any{res.StatusCode, o["code"]})
	after, err := strconv.Atoi(res.Header.Get("Retry-After"))
	require.NoError(t, err)
	require.Equal(t, o["retry_after"], float64(after))
	require.Equal(t, res.Header.Get("X-RateLimit-Reset-After"), res.Header.Get("Retry-After"))
	require.Equal(t, "0", res.Header.Get("X-RateLimit-Remaining"))
	require.NotEmpty(t, o["limit_id"])
	require.NotEmpty(t, o["decision_id"])

	for want, in := range map[string][2]string{"unsupported_model": {secret, `{"model": "gpt-5"}`}, "invalid_request": {secret, `{"stream": 1}`}, "invalid_api_key": {"ok_live_none", body}} {
		res, o := p.chats(t, in[0], in[1])
		require.Equal(t, want, o["code"])
		require.Less(t, res.StatusCode, 402)
	}
}

// TestNoRouteGoesRoundTheGate tries whatever an upstream may serve with a key whose budget is spent.
func TestNoRouteGoesRoundTheGate(t *testing.T) { // billing edge 44
	var reached atomic.Int64
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		fmt.Fprint(w, `{}`)
	}))
	t.Cleanup(up.Close)
	prices := filepath.Join(t.TempDir(), "prices.json")
	require.NoError(t, os.WriteFile(prices, []byte(`{"currency": "USD", "models": {"gpt-4o": [{"prices": {"input_token": "0.00001", "output_token": "0.00003"}}]}}`), 0o600))
	p := start(t, "memory:", "-upstream", up.URL+"/v1", "-prices", prices)
	do := func(method, path, body string) map[string]any {
		status, o, err := p.call(method, path, body)
		require.NoError(t, err)
		require.Less(t, status, 300, "%v", o)
		return o
	}
	org := do("POST", "/v1/organizations", `{"name": "Acme"}`)["id"].(string)
	team := do("POST", "/v1/organizations/"+org+"/teams", `{"name": "Lab", "settings": {"budget": {"monthly_limit": 0.0001, "hard_limit": true}}}`)["id"].(string)
	secret := do("POST", "/v1/api-keys", `{"name": "k", "team_id": "`+team+`", "inherit_team_permissions": true}`)["key"].(string)
	const body = `{"model": "gpt-4o", "max_tokens": 200, "messages": [], "input": "a", "prompt": "a"}`
	res, o := p.chats(t, secret, body)
	require.Equal(t, []any{402, "budget_exceeded"}, []any{res.StatusCode, o["code"]})
	for _, path := range []string{"/v1/chat/completions", "/v1/chat/completions/", "/v1//chat/completions", "/V1/chat/completions", "/v1/chat/completions/chatcmpl_1", "/chat/completions",
		"/openai/v1/chat/completions", "/openai/deployments/gpt-4o/chat/completions", "/engines/gpt-4o/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages",
		"/v1/embeddings", "/v1/images/generations", "/v1/audio/speech", "/v1/batches", "/v1/files", "/v1/realtime", "/passthrough", "/passthrough/v1/chat/completions",
		"/v1/organizations/../chat/completions", "/v1/chat%2Fcompletions"} {
		for _, method := range []string{"GET", "POST", "PUT"} {
			r, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
			require.NoError(t, err)
			r.Header.Set("Authorization", "Bearer "+secret)
			r.Header.Set("Upgrade", "websocket")
			r.Header.Set("X-HTTP-Method-Override", "POST")
			if res, err := http.DefaultClient.Do(r); err == nil {
				require.GreaterOrEqual(t, res.StatusCode, 400, "%s %s", method, path)
				res.Body.Close()
			}
		}
	}
	require.Zero(t, reached.Load())
}
