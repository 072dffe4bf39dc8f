package examples_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	money "github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/gate/proxy"
	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/orgs/httpapi/opengatellm"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// plane is calls of models with keys of all dialects.
type plane struct {
	*orgstest.World
	t     *testing.T
	clock *storetest.Clock
	org   orgs.Organization
	team  orgs.Team
	front func(errorDialect string) http.Handler
}

func newPlane(t *testing.T) *plane {
	price := &billing.Price{OutputPerMillion: money.NewFromInt(1000)}
	models, err := billing.NewCatalogue(billing.Model{ID: "gpt-4", MaxOutputTokens: 1000, Price: price}, billing.Model{ID: "claude", MaxOutputTokens: 1000, Price: price})
	require.NoError(t, err)
	p := &plane{t: t, clock: storetest.NewClock()}
	p.World = orgstest.New(t, storetest.Open(t, "memory", store.Options{Now: p.clock.Now}), &orgs.Options{Catalogue: models})
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	p.org, _ = p.Org("acme")
	p.Roles(p.org)
	no := false
	p.team = p.Team(p.org, "lab", orgs.TeamSettings{Models: &orgs.ModelSettings{Allowed: []string{"gpt-4"}}, Features: &orgs.FeatureSettings{Vision: &no}})
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"usage": {"completion_tokens": 1}}`)) })
	g := gate.New(p.Manager)
	p.front = func(errorDialect string) http.Handler {
		h, err := proxy.New(g, next, &proxy.Options{ErrorDialect: errorDialect, Refusals: map[string]proxy.Refusal{
			litellm.Dialect:     litellm.Refusals(p.Manager, nil),
			opengatellm.Dialect: opengatellm.Refusals(nil),
			"generationc":       opengatellm.Refusals(&opengatellm.Options{Generation: opengatellm.GenerationC}),
		}})
		require.NoError(t, err)
		return h
	}
	return p
}

// key is one of the team that a dialect has made.
func (p *plane) key(dialect string, until *time.Time) (orgs.APIKey, string) {
	p.t.Helper()
	nobody := ""
	k, secret, err := p.CreateAPIKey(p.Platform(), orgs.NewAPIKey{Name: "k", Team: p.team.ID, InheritTeam: true, User: &nobody, Permissions: []string{"*"}, Dialect: dialect, ExpiresAt: until})
	require.NoError(p.t, err)
	return k, secret
}

// ask asks for an answer, and returns what is said instead.
func (p *plane) ask(h http.Handler, secret, path, body string) (int, map[string]any, http.Header) {
	p.t.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/"+path, strings.NewReader(body))
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	h.ServeHTTP(w, r)
	require.NotContains(p.t, w.Body.String(), "value-of-the-request")
	var o map[string]any
	require.NoError(p.t, json.Unmarshal(w.Body.Bytes(), &o), w.Body)
	return w.Code, o, w.Header()
}

// TestRefusalsAreWrittenInTheDialectOfTheKey has each refusal in front of models come out for a key of each dialect.
func TestRefusalsAreWrittenInTheDialectOfTheKey(t *testing.T) {
	const chat = `{"model": "gpt-4", "max_tokens": 10, "messages": []}`
	limit := func(n int64) *int64 { return &n }
	for _, row := range []struct {
		code            string
		provoke         func(ctx context.Context, p *plane, k orgs.APIKey) error
		body            string
		native, lite    int
		typ, text       string // of LiteLLM
		flat, c         int
		detail, detailC string // of OpenGateLLM; "" is a list of faults
	}{
		{"expired_api_key", func(_ context.Context, p *plane, _ orgs.APIKey) error { p.clock.Advance(2 * time.Hour); return nil }, chat,
			401, 401, "expired_key", "Expired Key", 403, 401, "Invalid API key.", "Invalid API key."},
		{"invalid_api_key", func(ctx context.Context, p *plane, k orgs.APIKey) error {
			_, err := p.RevokeAPIKey(ctx, k.ID, "")
			return err
		}, chat,
			401, 401, "token_not_found_in_db", "Invalid proxy server token passed", 403, 401, "Invalid API key.", "Invalid API key."},
		{"invalid_api_key", func(ctx context.Context, p *plane, k orgs.APIKey) error {
			_, err := p.DisableAPIKey(ctx, k.ID, "")
			return err
		}, chat,
			401, 401, "auth_error", "Key is blocked", 403, 401, "Invalid API key.", "Invalid API key."},
		{"invalid_api_key", func(ctx context.Context, p *plane, _ orgs.APIKey) error {
			_, err := p.DeleteOrganization(ctx, p.org.ID, true, "")
			return err
		}, chat,
			401, 401, "token_not_found_in_db", "Invalid proxy server token passed", 403, 401, "Invalid API key.", "Invalid API key."},
		{"org_suspended", func(ctx context.Context, p *plane, _ orgs.APIKey) error {
			_, err := p.SuspendOrganization(ctx, p.org.ID, "")
			return err
		}, chat,
			403, 401, "auth_error", "Organization=org_", 403, 403, "Insufficient rights.", "User has no admin rights."},
		{"team_archived", func(ctx context.Context, p *plane, _ orgs.APIKey) error {
			_, err := p.ArchiveTeam(ctx, p.team.ID)
			return err
		}, chat,
			403, 401, "auth_error", "Team=team_", 403, 403, "Insufficient rights.", "User has no admin rights."},
		{"unsupported_model", nil, `{"model": "value-of-the-request", "max_tokens": 10, "messages": []}`,
			400, 400, "bad_request_error", "Invalid model name passed", 404, 404, "Model not found.", "Model not found."},
		{"model_not_allowed", nil, `{"model": "claude", "max_tokens": 10, "messages": []}`,
			403, 403, "team_model_access_denied", "team not allowed to access model", 403, 403, "Insufficient permissions to access the model.", "Insufficient permissions to access the model."},
		{"feature_disabled", nil, `{"model": "gpt-4", "max_tokens": 10, "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}`,
			403, 403, "team_model_access_denied", "team not allowed to access model", 403, 403, "Insufficient permissions to access the model.", "Insufficient permissions to access the model."},
		{"budget_exceeded", func(ctx context.Context, p *plane, k orgs.APIKey) error {
			_, err := p.SetBudget(ctx, billing.Budget{OrgID: p.org.ID, Scope: billing.ScopeKey, ScopeID: k.ID, Window: billing.Lifetime, Hard: true})
			return err
		}, chat, 402, 400, "budget_exceeded", "Budget has been exceeded! Current cost: 0.0, Max budget: 0.0", 400, 400, "Insufficient budget.", "Insufficient budget."},
		{"rate_limit_exceeded", func(ctx context.Context, p *plane, k orgs.APIKey) error {
			_, err := p.SetRateLimit(ctx, billing.RateLimit{OrgID: p.org.ID, Scope: billing.ScopeTeam, ScopeID: p.team.ID, RequestsPerMinute: limit(0)})
			return err
		}, chat, 429, 429, "throttling_error", "Rate limit exceeded for team: team_", 429, 429, "0 requests per minute exceeded (remaining: 0).", "Request limit per minute exceeded."},
		{"concurrency_limit", func(ctx context.Context, p *plane, k orgs.APIKey) error {
			_, err := p.SetRateLimit(ctx, billing.RateLimit{OrgID: p.org.ID, Scope: billing.ScopeOrg, ScopeID: p.org.ID, MaxParallelRequests: limit(0)})
			return err
		}, chat, 429, 429, "throttling_error", "Limit type: max_parallel_requests. Current limit: 0, Remaining: 0", 429, 429, "0 calls of the org run already", "0 calls of the org run already"},
		{"invalid_request", nil, `{"model": `, 400, 400, "bad_request_error", "must be a JSON object", 422, 422, "", ""},
	} {
		t.Run(row.code, func(t *testing.T) {
			p := newPlane(t)
			later := p.clock.Now().Add(time.Hour)
			secrets, keys := map[string]string{}, []orgs.APIKey{}
			for _, d := range []string{"", litellm.Dialect, opengatellm.Dialect, "generationc"} {
				k, secret := p.key(d, &later)
				secrets[d], keys = secret, append(keys, k)
			}
			for i, k := range keys {
				if row.provoke == nil {
					break
				}
				if err := row.provoke(p.Platform(), p, k); i == 0 {
					require.NoError(t, err) // what is of all keys is done by now
				}
			}
			h := p.front("")
			status, o, _ := p.ask(h, secrets[""], "chat/completions", row.body)
			require.Equal(t, []any{row.native, row.code}, []any{status, o["code"]})
			status, o, _ = p.ask(h, secrets[""], "messages", row.body)
			require.Equal(t, []any{row.native, "error"}, []any{status, o["type"]}, "Anthropic's clients read Anthropic's errors")

			for _, path := range []string{"chat/completions", "messages"} {
				status, o, header := p.ask(h, secrets[litellm.Dialect], path, row.body)
				of, _ := o["error"].(map[string]any)
				require.Equal(t, []any{row.lite, row.typ, strconv.Itoa(row.lite)}, []any{status, of["type"], of["code"]}, "%v", o)
				require.Contains(t, of["message"], row.text)
				require.Len(t, o, 1)
				require.Equal(t, status == 429, header.Get("Retry-After") != "")

				status, o, header = p.ask(h, secrets[opengatellm.Dialect], path, row.body)
				p.flat(row.flat, row.detail, status, o)
				require.Equal(t, status == 429, header.Get("Retry-After") != "")
				status, o, _ = p.ask(h, secrets["generationc"], path, row.body)
				p.flat(row.c, row.detailC, status, o)
			}

			// The host may have one for all of them.
			status, o, _ = p.ask(p.front("native"), secrets[litellm.Dialect], "chat/completions", row.body)
			require.Equal(t, []any{row.native, row.code}, []any{status, o["code"]})
			status, o, _ = p.ask(p.front(litellm.Dialect), secrets[""], "chat/completions", row.body)
			require.Equal(t, []any{row.lite, row.typ}, []any{status, o["error"].(map[string]any)["type"]})
		})
	}
}

// flat tests an error of OpenGateLLM.
func (p *plane) flat(want int, detail string, status int, o map[string]any) {
	p.t.Helper()
	require.Equal(p.t, want, status, "%v", o)
	if detail == "" {
		require.Len(p.t, o["detail"], 1)
		return
	}
	require.Contains(p.t, o["detail"], detail)
}

// TestWhoHasNoKeyHearsTheNativeDialect is of keys that nobody knows: unless the host has one dialect for all.
func TestWhoHasNoKeyHearsTheNativeDialect(t *testing.T) {
	const chat = `{"model": "gpt-4", "max_tokens": 10, "messages": []}`
	p := newPlane(t)
	for secret, code := range map[string]string{"": "missing_api_key", "sk-nobody-knows-this-one": "invalid_api_key"} {
		status, o, _ := p.ask(p.front(""), secret, "chat/completions", chat)
		require.Equal(t, []any{401, code}, []any{status, o["code"]})
	}
	status, o, _ := p.ask(p.front(litellm.Dialect), "sk-nobody-knows-this-one", "chat/completions", chat)
	require.Equal(t, []any{401, "token_not_found_in_db"}, []any{status, o["error"].(map[string]any)["type"]})
	require.Contains(t, o["error"].(map[string]any)["message"], "Received API Key = sk-...-one, Key Hash (Token) =")
	status, o, _ = p.ask(p.front(litellm.Dialect), "", "chat/completions", chat)
	require.Equal(t, []any{401, "Authentication Error, No api key passed in."}, []any{status, o["error"].(map[string]any)["message"]})
	_, err := proxy.New(gate.New(p.Manager), nil, &proxy.Options{ErrorDialect: "klingon"})
	require.ErrorContains(t, err, "none of the refusals")
}
