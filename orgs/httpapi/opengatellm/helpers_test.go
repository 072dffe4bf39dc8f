package opengatellm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/gate/proxy"
	"github.com/orgkit/orgkit/orgs/httpapi/opengatellm"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const adminKey = "platform-admin-key-of-the-test"

type object = map[string]any

// world is the dialect over a host that has nothing yet.
type world struct {
	*orgstest.World
	t       *testing.T
	clock   *storetest.Clock
	handler http.Handler
	plane   http.Handler // in front of models
	signin  *signin.Service
	gate    *gate.Gate
	token   string // of who calls
}

// catalogue has a model that costs 10 USD a million of input tokens and 100 of output, and one that costs nothing.
func catalogue(t *testing.T) *billing.Catalogue {
	models, err := billing.NewCatalogue(billing.Model{ID: "gpt-4o", Aliases: []string{"gpt"}, MaxOutputTokens: 4096}, billing.Model{ID: "small", MaxOutputTokens: 4096})
	require.NoError(t, err)
	book, err := billing.ParsePrices(strings.NewReader(`{"currency": "USD", "models": {"gpt-4o": [{"prices": {"input_token": "0.00001", "output_token": "0.0001"}}], "small": [{"prices": {"input_token": "0", "output_token": "0"}}]}}`))
	require.NoError(t, err)
	require.NoError(t, models.SetPrices(book))
	return models
}

// calls has a model called by a token, and returns why it is refused, "" where it is not.
func (w *world) calls(token, model string) string {
	w.t.Helper()
	adm, err := w.gate.Admit(w.t.Context(), gate.Call{Secret: token, Model: model, InputTokens: 1000, MaxOutputTokens: 100})
	if denied := (*gate.Denied)(nil); errors.As(err, &denied) {
		return denied.Code
	}
	require.NoError(w.t, err)
	require.NoError(w.t, adm.Settle(w.t.Context(), billing.Usage{InputTokens: 1000, OutputTokens: 100, Endpoint: "/v1/chat/completions", Method: "POST", Status: 200}))
	return ""
}

func each(t *testing.T, fn func(t *testing.T, w *world)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) { fn(t, newWorld(t, s, clock, nil)) })
}

func onMemory(t *testing.T, o *opengatellm.Options) *world {
	clock := storetest.NewClock()
	return newWorld(t, storetest.Open(t, "memory", store.Options{Now: clock.Now, NewID: storetest.IDs()}), clock, o)
}

func newWorld(t *testing.T, s *store.Store, clock *storetest.Clock, o *opengatellm.Options) *world {
	t.Helper()
	w := &world{t: t, clock: clock, token: adminKey}
	w.World = orgstest.New(t, s, &orgs.Options{Catalogue: catalogue(t), Options: rbac.Options{Audit: audit.Options{NoBackground: true}}})
	w.gate = gate.New(w.Manager)
	if o == nil {
		o = &opengatellm.Options{}
	}
	o.AdminKey = adminKey
	key, err := seal.ParseKey(seal.GenerateKey())
	require.NoError(t, err)
	sealer, err := seal.New(key)
	require.NoError(t, err)
	w.signin, err = signin.New(w.Manager, &signin.Options{Seal: sealer, Issuer: "Example AI", AnswerAfter: -1, MinPassword: 6,
		Argon2: signin.Argon2{MemoryKiB: 64, Passes: 1, Lanes: 1}})
	require.NoError(t, err)
	o.SignIn = w.signin
	w.plane, err = proxy.New(w.gate, w.upstream(), &proxy.Options{Fit: []string{opengatellm.Dialect}, Costs: []string{opengatellm.Dialect},
		Refusals: map[string]proxy.Refusal{opengatellm.Dialect: opengatellm.Refusals(o)}})
	require.NoError(t, err)
	w.handler, err = opengatellm.New(w.Manager, o)
	require.NoError(t, err)
	return w
}

// upstream answers every call by 1000 tokens of input and 100 of output.
func (w *world) upstream() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}}`)
	})
}

// as is the same program with another credential.
func (w world) as(token string) *world {
	w.token = token
	return &w
}

// of is the same program with a token of that user.
func (w *world) of(u orgs.User) *world {
	w.t.Helper()
	_, secret, err := w.CreateToken(w.Platform(), u.ID, orgs.NewToken{Name: "test"})
	require.NoError(w.t, err)
	return w.as(secret)
}

func (w *world) do(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, bytes.NewBufferString(body))
	r.Header.Set("X-Request-Id", "req_of_the_test")
	if w.token != "" {
		r.Header.Set("Authorization", "Bearer "+w.token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	if h := w.handler; strings.HasPrefix(path, chat) {
		w.plane.ServeHTTP(answer, r)
	} else {
		h.ServeHTTP(answer, r)
	}
	return answer
}

// call wants a status and returns what the body says.
func (w *world) call(status int, method, path, body string, headers ...string) (v any) {
	w.t.Helper()
	answer := w.do(method, path, body, headers...)
	require.Equal(w.t, status, answer.Code, "%s %s: %s", method, path, answer.Body)
	if status == http.StatusNoContent {
		require.Empty(w.t, answer.Body.String())
		return nil
	}
	require.Equal(w.t, "application/json", answer.Header().Get("Content-Type"))
	require.NoError(w.t, json.Unmarshal(answer.Body.Bytes(), &v))
	return v
}

// get wants an object.
func (w *world) get(path string) object {
	w.t.Helper()
	return w.call(200, "GET", path, "").(object)
}

// list wants a list and returns one field of all that is in it.
func (w *world) list(path, field string) (values []any) {
	w.t.Helper()
	l := w.get(path)
	require.Equal(w.t, "list", l["object"])
	for _, o := range l["data"].([]any) {
		values = append(values, o.(object)[field])
	}
	return values
}

// create wants a new object and returns its id.
func (w *world) create(path, body string) int {
	w.t.Helper()
	return int(w.call(201, "POST", path, body).(object)["id"].(float64))
}

// fails wants an error of that status with the text.
func (w *world) fails(status int, detail, method, path, body string, headers ...string) {
	w.t.Helper()
	require.Equal(w.t, object{"detail": detail}, w.call(status, method, path, body, headers...), "%s %s", method, path)
}

// invalid wants one fault and returns it.
func (w *world) invalid(method, path, body string, headers ...string) object {
	w.t.Helper()
	list := w.call(422, method, path, body, headers...).(object)["detail"].([]any)
	require.Len(w.t, list, 1, "%v", list)
	fault := list[0].(object)
	require.Len(w.t, fault, 4)
	return fault
}

var (
	secrets = regexp.MustCompile(`(ok_pat_|sk-)[0-9A-Za-z]{20,}`)
	masked  = regexp.MustCompile(`sk-\.\.\.[0-9a-z]{4}`)
)

// golden compares a request and its answer with those of the file.
func (w *world) golden(name, method, path, body string, headers ...string) any {
	w.t.Helper()
	answer := w.do(method, path, body, headers...)
	text := method + " " + path + "\n"
	for i := 0; i+1 < len(headers); i += 2 {
		text += headers[i] + ": " + headers[i+1] + "\n"
	}
	text += body + "\n\n" + fmt.Sprintln(answer.Code, http.StatusText(answer.Code))
	for _, h := range []string{"Content-Type", "Retry-After", "Www-Authenticate", "Allow"} {
		for _, v := range answer.Header().Values(h) {
			text += h + ": " + v + "\n"
		}
	}
	var v any
	if answer.Body.Len() > 0 {
		require.NoError(w.t, json.Unmarshal(answer.Body.Bytes(), &v))
		var pretty bytes.Buffer
		require.NoError(w.t, json.Indent(&pretty, answer.Body.Bytes(), "", "  "))
		text += "\n" + pretty.String()
	}
	text = masked.ReplaceAllString(secrets.ReplaceAllString(strings.TrimRight(text, "\n")+"\n", "SECRET"), "sk-...LAST")
	file := filepath.Join("testdata", name+".txt")
	if *update {
		require.NoError(w.t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(w.t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(w.t, err)
	require.Equal(w.t, string(want), text)
	return v
}

func callOf(token string) gate.Call { return gate.Call{Secret: token} }

// protect has the handler keep the last admin.
func (w *world) protect() {
	h, err := opengatellm.New(w.Manager, &opengatellm.Options{AdminKey: adminKey, SignIn: w.signin, ProtectLastAdmin: true})
	require.NoError(w.t, err)
	w.handler = h
}

// actor is who comes by a secret.
func (w *world) actor(secret string) context.Context {
	w.t.Helper()
	by, err := w.Authenticate(w.t.Context(), secret)
	require.NoError(w.t, err)
	return audit.WithActor(w.t.Context(), by)
}
