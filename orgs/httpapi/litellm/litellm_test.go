package litellm_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

const master = "sk-master-1234"

// gateway is what a client of LiteLLM talks to.
type gateway struct {
	*orgstest.World
	t    *testing.T
	h    http.Handler
	gate *gate.Gate
	seen []string // every answer
}

func newGateway(t *testing.T, s *store.Store, o litellm.Options) *gateway {
	t.Helper()
	models, err := billing.NewCatalogue(billing.Model{ID: "gpt-4", MaxOutputTokens: 1000, Price: &billing.Price{OutputPerMillion: decimal.NewFromInt(1000)}},
		billing.Model{ID: "gpt-3.5", MaxOutputTokens: 1000, Price: &billing.Price{OutputPerMillion: decimal.NewFromInt(1)}},
		billing.Model{ID: "gpt-new", MaxOutputTokens: 1000})
	require.NoError(t, err)
	w := orgstest.New(t, s, &orgs.Options{Catalogue: models, KeyPrefix: "sk-", Enlisting: true})
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	o.AdminKey = master
	h, err := litellm.New(w.Manager, &o)
	require.NoError(t, err)
	return &gateway{World: w, t: t, h: h, gate: gate.New(w.Manager)}
}

// each runs a test on every store, with the options of a dialect.
func each(t *testing.T, o litellm.Options, fn func(t *testing.T, g *gateway, clock *storetest.Clock)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) { fn(t, newGateway(t, s, o), clock) })
}

// object is a JSON object.
type object = map[string]any

// send sends a request with a key and returns the status and the answer.
func (g *gateway) send(key, method, path, body string) (int, any) {
	g.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	return g.answer(r)
}

func (g *gateway) answer(r *http.Request) (int, any) {
	g.t.Helper()
	w := httptest.NewRecorder()
	g.h.ServeHTTP(w, r)
	require.Equal(g.t, "application/json", w.Header().Get("Content-Type"))
	g.seen = append(g.seen, w.Body.String())
	var v any
	require.NoError(g.t, json.Unmarshal(w.Body.Bytes(), &v), w.Body.String())
	return w.Code, v
}

// must is send for the operator, and what has to work.
func (g *gateway) must(method, path, body string) object {
	g.t.Helper()
	return g.by(master, method, path, body)
}

// by is must for somebody.
func (g *gateway) by(key, method, path, body string) object {
	g.t.Helper()
	code, v := g.send(key, method, path, body)
	require.Equal(g.t, 200, code, "%s %s: %v", method, path, v)
	o, _ := v.(object)
	return o
}

// rows is must for a list.
func (g *gateway) rows(key, method, path, body string) []any {
	g.t.Helper()
	code, v := g.send(key, method, path, body)
	require.Equal(g.t, 200, code, "%v", v)
	return v.([]any)
}

// refused is a rule that was broken: shape A.
func (g *gateway) refused(status int, text, key, method, path, body string) {
	g.t.Helper()
	code, v := g.send(key, method, path, body)
	require.Equal(g.t, status, code, "%v", v)
	require.Equal(g.t, object{"detail": object{"error": text}}, v)
}

// barred is what was decided before: shape B. It answers the object.
func (g *gateway) barred(status int, typ, param, key, method, path, body string) object {
	g.t.Helper()
	code, v := g.send(key, method, path, body)
	require.Equal(g.t, status, code, "%v", v)
	is, _ := v.(object)["error"].(object)
	require.NotNil(g.t, is, "%v", v)
	require.Equal(g.t, []any{typ, param, http.StatusText(status)}, []any{is["type"], is["param"], http.StatusText(code)})
	require.Len(g.t, is, 4)
	require.IsType(g.t, "", is["code"])
	return is
}

// unfit is a body that does not fit: shape C. It answers type and place of the first fault.
func (g *gateway) unfit(key, method, path, body string) (typ string, loc []any) {
	g.t.Helper()
	code, v := g.send(key, method, path, body)
	require.Equal(g.t, 422, code, "%v", v)
	list, _ := v.(object)["detail"].([]any)
	require.NotEmpty(g.t, list, "%v", v)
	first := list[0].(object)
	require.Nil(g.t, first["input"], "nothing is repeated")
	return first["type"].(string), first["loc"].([]any)
}

// token is a personal token of a user.
func (g *gateway) token(user string) string {
	g.t.Helper()
	_, secret, err := g.CreateToken(g.Platform(), user, orgs.NewToken{Name: "test"})
	require.NoError(g.t, err)
	return secret
}

// join makes a user a member and returns a token of theirs.
func (g *gateway) join(org, user, role string) string {
	g.t.Helper()
	g.must("POST", "/organization/member_add", `{"organization_id":"`+org+`","member":{"user_id":"`+user+`","role":"`+role+`"}}`)
	return g.token(user)
}

// call asks for an answer of that many tokens with a key of the organization, and answers the code of a refusal.
func (g *gateway) call(secret, model string, tokens int64) string {
	g.t.Helper()
	adm, err := g.gate.Admit(g.t.Context(), gate.Call{Secret: secret, Model: model, MaxOutputTokens: tokens})
	if err != nil {
		var d *gate.Denied
		require.ErrorAs(g.t, err, &d)
		return d.Code
	}
	require.NoError(g.t, adm.Settle(g.t.Context(), billing.Usage{OutputTokens: tokens}))
	return ""
}

// key is one of the organization.
func (g *gateway) key(org string) string {
	g.t.Helper()
	_, secret, err := g.CreateAPIKey(g.Platform(), orgs.NewAPIKey{Name: "key", Organization: org, Permissions: []string{"models.use"}})
	require.NoError(g.t, err)
	return secret
}

// request is one of the operator.
func request(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+master)
	return r
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
