package proxy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/gate/proxy"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// front is a gateway whose upstream is a function of the test.
type front struct {
	*orgstest.World
	t      *testing.T
	h      http.Handler
	url    string
	org    orgs.Organization
	secret string
	errs   chan error

	upstream func(w http.ResponseWriter, r *http.Request, body map[string]any)
}

const everything = `{}`

func newFront(t *testing.T, settings string, o *proxy.Options) *front {
	models, err := billing.NewCatalogue(
		billing.Model{ID: "gpt-4o", Aliases: []string{"gpt"}, Provider: "openai", MaxOutputTokens: 4096},
		billing.Model{ID: "claude", Provider: "anthropic", MaxOutputTokens: 4096},
		billing.Model{ID: "embed", Provider: "openai"},
		billing.Model{ID: "painter", Provider: "openai"},
	)
	require.NoError(t, err)
	book, err := billing.ParsePrices(strings.NewReader(`{"currency": "USD", "models": {"gpt-4o": [{"prices": {"input_token": "0.00001", "output_token": "0.0001"}}],
		"claude": [{"prices": {"input_token": "0.00001", "output_token": "0.0001"}}], "embed": [{"prices": {"input_token": "0.00001"}}],
		"painter": [{"prices": {"image": "0.04", "input_token": "0", "output_token": "0"}}]}}`))
	require.NoError(t, err)
	require.NoError(t, models.SetPrices(book))
	clock := storetest.NewClock()
	s := storetest.Open(t, "memory", store.Options{Now: clock.Now})
	f := &front{World: orgstest.New(t, s, &orgs.Options{Catalogue: models}), t: t, errs: make(chan error, 100)}
	f.org, _ = f.Org("acme")
	f.Roles(f.org)
	var set orgs.TeamSettings
	require.NoError(t, json.Unmarshal([]byte(settings), &set))
	team := f.Team(f.org, "lab", set)
	f.secret = f.Key(team, f.Join(team, "dev@acme.com", "team_lead"))

	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"Authorization", "X-Api-Key", "Cookie", "X-Tags"} {
			if r.Header.Get(name) != "" {
				t.Errorf("%s has reached the upstream", name)
			}
		}
		f.upstream(w, r, body)
	}))
	t.Cleanup(upstream.Close)
	to, err := url.Parse(upstream.URL)
	require.NoError(t, err)
	if o == nil {
		o = &proxy.Options{}
	}
	o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	o.Fail = func(_ *http.Request, err error) { f.errs <- err }
	h, err := proxy.New(gate.New(f.Manager), &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, ErrorLog: quiet}, o)
	require.NoError(t, err)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	f.h, f.url = h, server.URL
	return f
}

// TestATimeOutOfTheServerIsNotForModels has an answer come, whole or streamed, that takes longer than the server gives each, and one
// after it over the same connection.
func TestATimeOutOfTheServerIsNotForModels(t *testing.T) {
	f := newFront(t, everything, nil)
	f.upstream = func(w http.ResponseWriter, _ *http.Request, body map[string]any) {
		if body["stream"] == true {
			w.Header().Set("Content-Type", "text/event-stream")
			for range 3 {
				time.Sleep(150 * time.Millisecond)
				fmt.Fprint(w, "data: {}\n\n")
				_ = http.NewResponseController(w).Flush()
			}
			return
		}
		time.Sleep(400 * time.Millisecond)
		fmt.Fprintf(w, `{"text": %q, "usage": {"prompt_tokens": 1, "completion_tokens": 1}}`, strings.Repeat("x", int(body["seed"].(float64))))
	}
	for name, timeout := range map[string]time.Duration{"short": 200 * time.Millisecond, "none": 0} {
		server := httptest.NewUnstartedServer(f.h)
		server.Config.WriteTimeout = timeout
		server.Start()
		t.Cleanup(server.Close)
		f.url = server.URL
		for _, more := range []string{`"seed": 10`, `"seed": 100000`, `"stream": true, "seed": 10`, `"seed": 10`} {
			res := f.post(t.Context(), "/v1/chat/completions", `{"model": "gpt-4o", "max_tokens": 5, "messages": [], `+more+`}`)
			text, err := io.ReadAll(res.Body)
			require.NoError(t, err, "%s time-out, %s", name, more)
			require.Equal(t, http.StatusOK, res.StatusCode, "%s time-out, %s: %s", name, more, text)
			require.NoError(t, res.Body.Close())
		}
	}
}

// post asks for something as the client of a vendor does.
func (f *front) post(ctx context.Context, path, body string) *http.Response {
	f.t.Helper()
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(ctx, method, f.url+path, strings.NewReader(body))
	require.NoError(f.t, err)
	r.Header.Set("Authorization", "Bearer "+f.secret)
	r.Header.Set("Cookie", "a=b")
	r.Header.Set("X-Tags", "environment=test")
	r.Header.Set("X-Forwarded-For", "10.0.1.7")
	res, err := http.DefaultClient.Do(r)
	require.NoError(f.t, err)
	f.t.Cleanup(func() { res.Body.Close() })
	return res
}

// ask is post for an answer that is whole.
func (f *front) ask(path, body string) (status int, answer string) {
	f.t.Helper()
	res := f.post(f.t.Context(), path, body)
	text, err := io.ReadAll(res.Body)
	require.NoError(f.t, err)
	return res.StatusCode, string(text)
}

// events are what was used, when so many calls have ended.
func (f *front) events(n int) (list []billing.UsageEvent) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		require.NoError(f.t, f.Metering().Flush(f.t.Context()))
		require.NoError(f.t, f.Store().View(f.t.Context(), func(ctx context.Context, tx *store.Tx) error {
			list = nil
			for e, err := range f.Metering().Events(ctx, tx, f.org.ID, time.Unix(0, 0), time.Now().AddDate(1, 0, 0)) {
				if err != nil {
					return err
				}
				list = append(list, e)
			}
			return nil
		}))
		return len(list) >= n
	}, 10*time.Second, time.Millisecond)
	require.Len(f.t, list, n)
	return list
}

const chat = `{"model": "gpt", "max_tokens": 200, "messages": [{"role": "user", "content": "How are you?"}]}`

func answer(text string) func(http.ResponseWriter, *http.Request, map[string]any) {
	return func(w http.ResponseWriter, _ *http.Request, _ map[string]any) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Ratelimit-Limit", "of the host's account")
		w.Header().Set("Openai-Organization", "host")
		fmt.Fprint(w, text)
	}
}

func TestACallIsForwardedAndPaidForAsItWasUsed(t *testing.T) {
	f := newFront(t, everything, nil)
	var told map[string]any
	f.upstream = func(w http.ResponseWriter, r *http.Request, body map[string]any) {
		told = body
		require.Equal(t, "/v1/chat/completions", r.URL.Path)
		answer(`{"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 20}}}`)(w, r, body)
	}
	res := f.post(t.Context(), "/v1/chat/completions", chat)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, 200, res.StatusCode, "%s", text)
	require.JSONEq(t, `{"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 20}}}`, string(text))
	require.Empty(t, res.Header.Get("Openai-Organization"))
	require.NotEqual(t, "of the host's account", res.Header.Get("X-Ratelimit-Limit"))
	require.NotEmpty(t, res.Header.Get("X-Request-Id"))
	require.Equal(t, map[string]any{"model": "gpt-4o", "max_tokens": 200.0, "messages": []any{map[string]any{"role": "user", "content": "How are you?"}}}, told)

	e := f.events(1)[0]
	require.Equal(t, []int64{100, 20, 50}, []int64{e.InputTokens, e.CachedTokens, e.OutputTokens})
	require.Equal(t, "0.006", e.Cost.String()) // 100 at 10 and 50 at 100 a million
	require.Equal(t, []any{"/v1/chat/completions", "POST", 200, "gpt-4o"}, []any{e.Endpoint, e.Method, e.Status, e.Model})
	require.Equal(t, map[string]string{"environment": "test", "team": "lab"}, e.Tags)
	require.Positive(t, e.Latency)
}

// The bytes that one answer was held in hold others after it.
func TestEachClientHasItsOwnAnswer(t *testing.T) {
	f := newFront(t, everything, nil)
	f.upstream = func(w http.ResponseWriter, r *http.Request, body map[string]any) {
		said := body["messages"].([]any)[0].(map[string]any)["content"].(string)
		n, err := strconv.Atoi(said)
		require.NoError(t, err)
		answer(`{"said": "`+strings.Repeat(said+" ", 1+n*n)+`", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}`)(w, r, body)
	}
	var wg sync.WaitGroup
	for client := range 8 {
		wg.Go(func() {
			for turn := range 20 {
				n := (client*20 + turn*37) % 160 // up to 100 KiB
				status, text := f.ask("/v1/chat/completions", strings.Replace(chat, "How are you?", strconv.Itoa(n), 1))
				assert.Equal(t, 200, status)
				assert.Equal(t, `{"said": "`+strings.Repeat(strconv.Itoa(n)+" ", 1+n*n)+`", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}`, text)
			}
		})
	}
	wg.Wait()
}

func TestSeveralAnswersAreHeldAndTold(t *testing.T) {
	f := newFront(t, `{"budget": {"monthly_limit": 0.05, "hard_limit": true}}`, nil)
	f.upstream = answer(`{"usage": {"prompt_tokens": 10, "completion_tokens": 40}}`)
	status, text := f.ask("/v1/chat/completions", strings.Replace(chat, `"max_tokens"`, `"n": 4, "max_tokens"`, 1))
	require.Equal(t, http.StatusPaymentRequired, status, "4 answers of 200 tokens cost 0.08: %s", text)
	status, text = f.ask("/v1/chat/completions", strings.Replace(chat, `"max_tokens"`, `"n": 2, "max_tokens"`, 1))
	require.Equal(t, 200, status, text)
	status, text = f.ask("/v1/chat/completions", strings.Replace(chat, `"max_tokens"`, `"n": 1000, "max_tokens"`, 1))
	require.Equal(t, http.StatusBadRequest, status, text)
	require.Contains(t, text, `"body.n"`, "the field as the client has it")
}

func TestEachEndpointIsPaidForByWhatItTells(t *testing.T) {
	const message = `{"model": "claude", "max_tokens": 9, "messages": []}`
	held := decimal.New(int64(len(message)), -5).Add(decimal.New(9, -4)).String() // no token is shorter than a byte
	for name, c := range map[string]struct{ path, body, answer, cost string }{
		"embeddings":        {"/v1/embeddings", `{"model": "embed", "input": ["a", "b"]}`, `{"data": [], "usage": {"prompt_tokens": 30, "total_tokens": 30}}`, "0.0003"},
		"images":            {"/v1/images/generations", `{"model": "painter", "prompt": "a cat", "n": 3}`, `{"data": [{"url": "x"}, {"url": "y"}]}`, "0.08"},
		"a job":             {"/v1/fine_tuning/jobs", `{"model": "gpt-4o", "training_file": "file-1"}`, `{"id": "ftjob-1"}`, "0"},
		"a message":         {"/v1/messages", message, `{"usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 3}}`, "0.00045"},
		"usage is not told": {"/v1/messages", message, `{"content": []}`, held},
		"usage is nonsense": {"/v1/messages", message, `{"usage": {"input_tokens": -10, "output_tokens": 3}}`, held},
		"no JSON":           {"/v1/messages", message, `{"content": `, held},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, everything, nil)
			f.upstream = answer(c.answer)
			status, text := f.ask(c.path, c.body)
			require.Equal(t, 200, status, text)
			require.Equal(t, c.answer, text)
			require.Equal(t, c.cost, f.events(1)[0].Cost.String())
		})
	}
}

func TestAnAnswerThatIsTooLongToReadPassesAndCostsWhatWasHeld(t *testing.T) {
	f := newFront(t, everything, &proxy.Options{MaxAnswer: 1000})
	long := `{"usage": {"prompt_tokens": 1, "completion_tokens": 1}, "text": "` + strings.Repeat("x", 5000) + `"}`
	f.upstream = answer(long)
	status, text := f.ask("/v1/chat/completions", chat)
	require.Equal(t, 200, status)
	require.Equal(t, long, text)
	require.Equal(t, decimal.New(int64(len(chat)), -5).Add(decimal.New(200, -4)).String(), f.events(1)[0].Cost.String())
}

func TestWhatComesToNothingCostsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		upstream func(http.ResponseWriter, *http.Request, map[string]any)
		status   int
	}{
		"an error of the upstream": {func(w http.ResponseWriter, _ *http.Request, _ map[string]any) {
			http.Error(w, `{"error": {"message": "overloaded"}}`, http.StatusServiceUnavailable)
		}, 503},
		"a refusal of the upstream": {func(w http.ResponseWriter, _ *http.Request, _ map[string]any) {
			http.Error(w, `{"error": {"message": "no"}}`, http.StatusBadRequest)
		}, 400},
		"no answer": {func(http.ResponseWriter, *http.Request, map[string]any) { panic(http.ErrAbortHandler) }, 503},
		"half an answer": {func(w http.ResponseWriter, _ *http.Request, _ map[string]any) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"usage": `)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, 503},
		"no answer in time": {func(_ http.ResponseWriter, r *http.Request, _ map[string]any) { <-r.Context().Done() }, 503},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, everything, &proxy.Options{Timeout: 200 * time.Millisecond})
			f.upstream = c.upstream
			status, text := f.ask("/v1/chat/completions", chat)
			require.Equal(t, c.status, status, text)
			require.True(t, json.Valid([]byte(text)), text)
			e := f.events(1)[0]
			require.True(t, e.Cost.IsZero())
			require.Less(t, e.Status, 200, "it has failed")
		})
	}
}

func TestACallWhoseClientIsGoneIsPaidForAsItWasUsed(t *testing.T) {
	f := newFront(t, everything, nil)
	asked, gone := make(chan bool), make(chan bool)
	f.upstream = func(w http.ResponseWriter, r *http.Request, body map[string]any) {
		close(asked)
		<-gone
		select {
		case <-r.Context().Done():
			t.Error("the upstream is told that nobody wants the answer")
		case <-time.After(20 * time.Millisecond):
		}
		answer(`{"usage": {"prompt_tokens": 100, "completion_tokens": 50}}`)(w, r, body)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
		close(gone)
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url+"/v1/chat/completions", strings.NewReader(chat))
	require.NoError(t, err)
	r.Header.Set("X-Api-Key", f.secret)
	_, err = http.DefaultClient.Do(r)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "0.006", f.events(1)[0].Cost.String())
}

func TestFeaturesAreSeenWhereverTheyAre(t *testing.T) { // F098 to F103
	f := newFront(t, `{"models": {"allow_embeddings": false}, "features": {"function_calling": false, "vision": false, "web_search": false, "fine_tuning": false,
		"structured_outputs": false, "image_generation": false}}`, nil)
	f.upstream = answer(`{"usage": {"prompt_tokens": 1, "completion_tokens": 1}}`)
	with := func(more string) string { return strings.Replace(chat, `"max_tokens"`, more+`, "max_tokens"`, 1) }
	content := func(parts string) string {
		return `{"model": "gpt", "max_tokens": 20, "messages": [{"role": "user", "content": ` + parts + `}]}`
	}
	for name, c := range map[string]struct{ path, body string }{
		"tools":                     {"chat/completions", with(`"tools": [{"type": "function", "function": {"name": "f"}}]`)},
		"functions":                 {"chat/completions", with(`"functions": [{"name": "f"}]`)},
		"tools twice":               {"chat/completions", with(`"tools": null, "tools": [{"type": "function"}]`)},
		"an image":                  {"chat/completions", content(`[{"type": "image_url", "image_url": {"url": "https://a"}}]`)},
		"an image, written oddly":   {"chat/completions", content(`[{"type": "im\u0061ge_url", "im\u0061ge_url": {"url": "https://a"}}]`)},
		"an image, hidden":          {"chat/completions", content(`[{"type": "image_url", "type": "text", "text": "a"}]`)},
		"an image, hidden behind":   {"chat/completions", content(`[{"type": "text", "type": "image_url", "text": "a"}]`)},
		"an image in capitals":      {"chat/completions", content(`[{"Type": "image_url"}]`)},
		"content twice":             {"chat/completions", content(`[{"type": "image_url"}], "content": "text"`)},
		"search":                    {"chat/completions", with(`"web_search_options": {"search_context_size": "low"}`)},
		"a plugin":                  {"chat/completions", with(`"plugins": [{"id": "web"}]`)},
		"a tool of the vendor":      {"messages", `{"model": "claude", "max_tokens": 9, "messages": [], "tools": [{"type": "web_search_20250305", "name": "web_search"}]}`},
		"tools of a message":        {"messages", `{"model": "claude", "max_tokens": 9, "messages": [], "tools": [{"name": "f", "input_schema": {}}]}`},
		"an image of a message":     {"messages", `{"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}`},
		"an image of a tool result": {"messages", `{"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "tool_result", "content": [{"type": "image"}]}]}]}`},
		"embeddings":                {"embeddings", `{"model": "embed", "input": "a"}`},
		"an image to be made":       {"images/generations", `{"model": "painter", "prompt": "a"}`},
		"an answer in a schema":     {"chat/completions", with(`"response_format": {"type": "json_schema", "json_schema": {}}`)},
		"an answer in JSON":         {"chat/completions", with(`"response_format": {"type": "json_object"}`)},
		"a message in a schema":     {"messages", `{"model": "claude", "max_tokens": 9, "messages": [], "output_format": {"type": "json_schema", "schema": {}}}`},
		"fine-tuning":               {"fine_tuning/jobs", `{"model": "gpt", "training_file": "f"}`},
	} {
		status, text := f.ask("/v1/"+c.path, c.body)
		require.Equal(t, http.StatusForbidden, status, "%s: %s", name, text)
		require.Contains(t, text, `"feature_disabled"`, name)
		require.NotContains(t, text, "this is not allowed", "it says what")
	}
	for name, body := range map[string]string{
		"nothing of it":         chat,
		"no tools":              with(`"tools": []`),
		"an answer as text":     with(`"response_format": {"type": "text"}`),
		"an image is spoken of": content(`"describe an image_url of type image"`),
		"text":                  content(`[{"type": "text", "text": "image"}]`),
	} {
		status, text := f.ask("/v1/chat/completions", body)
		require.Equal(t, 200, status, "%s: %s", name, text)
	}
}

func TestAKeyIsForSomeClients(t *testing.T) { // F164, F464
	f := newFront(t, everything, nil)
	f.upstream = answer(`{"usage": {"prompt_tokens": 1, "completion_tokens": 1}}`)
	limited := func(r orgs.KeyRestrictions) string {
		_, secret, err := f.CreateAPIKey(f.Platform(), orgs.NewAPIKey{Name: "limited", Organization: f.org.ID, User: new(string), Permissions: []string{"api_keys.use", "models.use", "models.read"}, Restrictions: r})
		require.NoError(t, err)
		return secret
	}
	ask := func(secret string, headers ...string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+"/v1/chat/completions", strings.NewReader(chat))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+secret)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer res.Body.Close()
		return res.StatusCode
	}
	page := limited(orgs.KeyRestrictions{Domains: []string{"*.acme.com"}})
	require.Equal(t, 200, ask(page, "Origin", "https://app.Acme.com:8443"))
	require.Equal(t, 403, ask(page, "Origin", "https://acme.com.evil.example"))
	require.Equal(t, 403, ask(page), "who says nothing comes from no domain")
	link := limited(orgs.KeyRestrictions{Referrers: []string{"https://acme.com/app/*", "docs.acme.com/*"}})
	require.Equal(t, 200, ask(link, "Referer", "https://acme.com/app/x"))
	require.Equal(t, 200, ask(link, "Referer", "https://docs.acme.com/"))
	require.Equal(t, 403, ask(link, "Referer", "https://evil.example/?https://acme.com/app/"))
	require.Equal(t, 403, ask(link))
	program := limited(orgs.KeyRestrictions{UserAgents: []string{"acme-bot/"}})
	require.Equal(t, 200, ask(program, "User-Agent", "acme-bot/2.1"))
	require.Equal(t, 403, ask(program, "User-Agent", "curl/8 acme-bot/"))
}

func TestModelsAreListedByTheDecisionThatAdmits(t *testing.T) { // F090
	f := newFront(t, `{"models": {"allowed": ["gpt-*", "embed"]}}`, nil)
	f.upstream = answer(`{"usage": {"prompt_tokens": 1, "completion_tokens": 1}}`)
	status, text := f.ask("/v1/models", "")
	require.Equal(t, 200, status)
	require.JSONEq(t, `{"object": "list", "data": [{"id": "gpt-4o", "object": "model", "created": 0, "owned_by": "openai"}, {"id": "embed", "object": "model", "created": 0, "owned_by": "openai"}]}`, text)
	for model, is := range map[string]int{"gpt-4o": 200, "gpt": 200, "embed": 200, "claude": 404, "painter": 404, "else": 404} {
		status, text = f.ask("/v1/models/"+model, "")
		require.Equal(t, is, status, "%s: %s", model, text)
		called, text := f.ask("/v1/chat/completions", fmt.Sprintf(`{"model": %q, "max_tokens": 5, "messages": []}`, model))
		require.Equal(t, is == 200, called == 200, "%s: %s", model, text)
	}
	f.secret = "ok_live_nobody"
	status, _ = f.ask("/v1/models", "")
	require.Equal(t, http.StatusUnauthorized, status)
}

func TestWhatCannotBeServed(t *testing.T) {
	f := newFront(t, everything, &proxy.Options{MaxBody: 2000})
	f.upstream = func(http.ResponseWriter, *http.Request, map[string]any) { t.Error("it has reached the upstream") }
	for name, c := range map[string]struct {
		path, body string
		status     int
		code       string
	}{
		"another call":           {"/v1/files", `{"model": "gpt"}`, 404, "not_found"},
		"of another prefix":      {"/v2/chat/completions", chat, 404, "not_found"},
		"what is left of a path": {"/v1/", `{}`, 404, "not_found"},
		"a call to read":         {"/v1/chat/completions", "", 405, "method_not_allowed"},
		"models to write":        {"/v1/models", `{}`, 405, "method_not_allowed"},
		"no JSON":                {"/v1/chat/completions", `{"model"`, 400, "invalid_request"},
		"no object":              {"/v1/chat/completions", `null`, 400, "invalid_request"},
		"no model":               {"/v1/chat/completions", `{"messages": []}`, 400, "invalid_request"},
		"a model in capitals":    {"/v1/chat/completions", `{"model": "gpt", "Model": "claude"}`, 400, "invalid_request"},
		"another type":           {"/v1/chat/completions", `{"model": "gpt", "max_tokens": "many"}`, 400, "invalid_request"},
		"less than nothing":      {"/v1/chat/completions", `{"model": "gpt", "max_tokens": -1}`, 400, "invalid_request"},
		"a stream of numbers":    {"/v1/embeddings", `{"model": "embed", "stream": true}`, 400, "invalid_request"},
		"too much":               {"/v1/chat/completions", `{"model": "gpt", "x": "` + strings.Repeat("x", 3000) + `"}`, 413, "payload_too_large"},
		"an unknown model":       {"/v1/chat/completions", `{"model": "else", "messages": []}`, 400, "unsupported_model"},
	} {
		status, text := f.ask(c.path, c.body)
		require.Equal(t, c.status, status, "%s: %s", name, text)
		var p struct {
			Error struct{ Message, Type, Code string } `json:"error"`
		}
		require.NoError(t, json.Unmarshal([]byte(text), &p), text)
		require.Equal(t, c.code, p.Error.Code, "%s: %s", name, text)
		require.NotEmpty(t, p.Error.Message)
	}
	status, text := f.ask("/v1/messages", `{"model": "else", "max_tokens": 9}`)
	require.Equal(t, 400, status)
	require.Contains(t, text, `"type":"invalid_request_error"`)
	require.Contains(t, text, `"type":"error"`)
	require.Empty(t, f.events(0))
	f.secret = ""
	status, text = f.ask("/v1/chat/completions", chat)
	require.Equal(t, http.StatusUnauthorized, status, text)
	require.Empty(t, f.errs, "none of it is the host's")
}

func TestOptionsThatCannotBe(t *testing.T) {
	for _, o := range []proxy.Options{{Prefix: "v1"}, {Prefix: "/v1/"}, {Timeout: -1}, {MaxBody: -1}, {MaxWait: -1}, {MaxAnswer: -1}, {ImageTokens: -1}} {
		_, err := proxy.New(nil, nil, &o)
		require.Error(t, err, "%+v", o)
	}
}

var quiet = log.New(io.Discard, "", 0)
