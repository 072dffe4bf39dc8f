package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/httpapi/rest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/seal"
)

const adminKey = "platform-admin-key-of-the-test"

// client is a program that knows nothing but HTTP.
type client struct {
	t       *testing.T
	handler http.Handler
	gate    *gate.Gate
	audit   *audit.Log
	manager *orgs.Manager
	sealer  *seal.Sealer
	token   string
	ip      string
	prefix  string
	headers [][2]string
	names   *strings.Replacer // of what may be there once in a database, for a second world in it; nil: as they are
}

// deaf is a notifier that delivers nothing.
type deaf struct{}

func (deaf) Notify(context.Context, *store.Tx, orgs.Notification) error { return nil }
func (deaf) Mails() bool                                                { return false }

type object = map[string]any

func newClient(t *testing.T, s *store.Store) *client {
	price := func(in, out string) *billing.Price {
		return &billing.Price{InputPerMillion: decimal.RequireFromString(in), OutputPerMillion: decimal.RequireFromString(out)}
	}
	models, err := billing.NewCatalogue(
		billing.Model{ID: "gpt-4-turbo-preview", Price: price("10", "30"), MaxOutputTokens: 4096},
		billing.Model{ID: "gpt-4-32k", Price: price("60", "120"), MaxOutputTokens: 32768},
		billing.Model{ID: "dall-e-3", Price: &billing.Price{PerImage: decimal.RequireFromString("0.04")}})
	require.NoError(t, err)
	signer, verifier, err := audit.NewKey("gateway.example")
	require.NoError(t, err)
	key, err := note.NewSigner(signer)
	require.NoError(t, err)
	sealKey, err := seal.ParseKey(seal.GenerateKey())
	require.NoError(t, err)
	sealer, err := seal.New(sealKey)
	require.NoError(t, err)
	guard, err := outbound.New(nil)
	require.NoError(t, err)
	m, err := orgs.New(s, &orgs.Options{Catalogue: models, Seal: sealer, URLs: guard, Notifier: deaf{}, Options: rbac.Options{Actions: []string{"deployments.manage"},
		Audit: audit.Options{Signers: []note.Signer{key}, Verifiers: []string{verifier}, Seal: sealer}}})
	require.NoError(t, err)
	h, err := rest.New(m, &rest.Options{AdminKey: adminKey, SSOURL: "https://gateway.example/sso", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	require.NoError(t, err)
	return &client{t: t, handler: h, gate: gate.New(m), audit: m.Audit(), manager: m, sealer: sealer, token: adminKey}
}

// as is the same program with another credential, calling from an address.
func (c client) as(token, ip string) *client {
	c.token, c.ip = token, ip
	return &c
}

// with is the same program that sends a header more.
func (c client) with(name, value string) *client {
	c.headers = append(slices.Clone(c.headers), [2]string{name, value})
	return &c
}

// do sends a request and returns the status and the raw answer.
func (c *client) do(method, path, body string) *httptest.ResponseRecorder {
	if c.names != nil {
		path, body = c.names.Replace(path), c.names.Replace(body)
	}
	r := httptest.NewRequest(method, c.prefix+path, bytes.NewBufferString(body))
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.ip != "" {
		r.Header.Set("X-Forwarded-For", c.ip) // the peer of httptest is 192.0.2.1
	}
	for _, h := range c.headers {
		r.Header.Add(h[0], h[1])
	}
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	return w
}

// call wants a status and returns the object.
func (c *client) call(status int, method, path, body string) object {
	c.t.Helper()
	w := c.do(method, path, body)
	require.Equal(c.t, status, w.Code, "%s %s: %s", method, path, w.Body)
	require.NotEqual(c.t, http.StatusNoContent, w.Code)
	var o object
	require.NoError(c.t, json.Unmarshal(w.Body.Bytes(), &o), "%s", w.Body)
	if status >= 400 {
		require.Equal(c.t, "application/problem+json", w.Header().Get("Content-Type"))
		vendor := o["error"].(object)
		require.Equal(c.t, o["code"], vendor["code"])
		require.EqualValues(c.t, status, vendor["status"])
		require.NotEmpty(c.t, o["request_id"])
	}
	if status == http.StatusCreated {
		require.NotEmpty(c.t, w.Header().Get("Location"))
	}
	return o
}

func (c *client) post(path, body string) object {
	c.t.Helper()
	return c.call(201, "POST", path, body)
}

// user makes a user and a token for them.
func (c *client) user(email string, mfa time.Time) (id, token string) {
	c.t.Helper()
	id = c.post("/v1/users", `{"email": "`+email+`"}`)["id"].(string)
	body := `{"name": "test"}`
	if !mfa.IsZero() {
		body = `{"name": "test", "mfa_verified_at": "` + mfa.Format(time.RFC3339) + `"}`
	}
	return id, c.post("/v1/users/"+id+"/tokens", body)["token"].(string)
}

func parse(t *testing.T, text string) (o object) {
	require.NoError(t, json.Unmarshal([]byte(text), &o))
	return o
}

// person makes a user with a role in the organization and returns a client for them.
func (c *client) person(org, email, role string) (string, *client) {
	c.t.Helper()
	id, token := c.user(email, time.Time{})
	c.post("/v1/organizations/"+org+"/members", `{"user_id": "`+id+`", "role": "`+role+`"}`)
	return id, c.as(token, "")
}

// ids are those of a list, in its order.
func (c *client) ids(path string) (ids []string) {
	c.t.Helper()
	for _, o := range c.call(200, "GET", path, "")["data"].([]any) {
		ids = append(ids, o.(object)["id"].(string))
	}
	return ids
}
