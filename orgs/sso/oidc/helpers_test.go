package oidc_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/orgs/sso"
	"github.com/orgkit/orgkit/orgs/sso/oidc"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

const (
	home     = "https://gateway.example"
	adminKey = "the-key-of-the-operator"
)

// world is a host with an organization whose provider is one in the process.
type world struct {
	*orgstest.World
	t        *testing.T
	clock    *storetest.Clock
	provider *provider
	handler  http.Handler
	org      orgs.Organization
	owner    orgs.User
	in       orgs.NewSSO
}

func each(t *testing.T, fn func(t *testing.T, w *world)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) { fn(t, newWorld(t, s, clock)) })
}

func onMemory(t *testing.T) *world {
	clock := storetest.NewClock()
	return newWorld(t, storetest.Open(t, "memory", store.Options{Now: clock.Now}), clock)
}

func newWorld(t *testing.T, s *store.Store, clock *storetest.Clock) *world {
	t.Helper()
	key, err := seal.ParseKey(seal.GenerateKey())
	require.NoError(t, err)
	sealer, err := seal.New(key)
	require.NoError(t, err)
	guard, err := outbound.New(&outbound.Options{Allow: []string{"127.0.0.1"}})
	require.NoError(t, err)
	w := &world{t: t, clock: clock, provider: newProvider(t, clock.Now)}
	w.World = orgstest.New(t, s, &orgs.Options{Seal: sealer, URLs: guard, Options: rbac.Options{Audit: audit.Options{NoBackground: true}}})
	w.handler, err = sso.New(w.Manager, &sso.Options{URL: home + "/sso", Seal: sealer, Protocols: []sso.Protocol{oidc.New(clock.Now, guard)},
		Authenticate: httpapi.Bearer(w.Manager, adminKey), Home: "/home"})
	require.NoError(t, err)
	w.org, w.owner = w.Org("acme")
	w.Roles(w.org)
	_, err = w.SetVerifiedDomains(w.Platform(), w.org.ID, "acme.example")
	require.NoError(t, err)
	secret := seal.NewSecret(w.provider.secret)
	w.in = orgs.NewSSO{Provider: "custom", Protocol: orgs.ProtocolOIDC, Enabled: true, Issuer: w.provider.URL, ClientID: clientID,
		RoleMapping: map[string]string{"Engineering": "developer"}, Provisioning: &orgs.NewProvisioning{AutoProvision: true},
		Secrets: map[string]*seal.Secret{"client_secret": &secret}}
	w.set(w.org)
	return w
}

func (w *world) set(o orgs.Organization) {
	w.t.Helper()
	_, _, err := w.SetSSO(w.Platform(), o.ID, w.in)
	require.NoError(w.t, err)
}

// browser keeps cookies.
type browser struct {
	w       *world
	cookies map[string]*http.Cookie
	bearer  string
}

func (w *world) browser() *browser { return &browser{w: w, cookies: map[string]*http.Cookie{}} }

func (b *browser) do(method, to string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, to, nil)
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	if b.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+b.bearer)
	}
	answer := httptest.NewRecorder()
	b.w.handler.ServeHTTP(answer, r)
	for _, c := range answer.Result().Cookies() {
		if b.cookies[c.Name] = c; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return answer
}

// begin goes to the provider, and answers where that is.
func (b *browser) begin(query string) string {
	b.w.t.Helper()
	answer := b.do("GET", "/sso/acme/login"+query)
	require.Equal(b.w.t, http.StatusSeeOther, answer.Code, answer.Body)
	return answer.Header().Get("Location")
}

// back comes from the provider.
func (b *browser) back(q url.Values) *httptest.ResponseRecorder {
	return b.do("GET", "/sso/"+b.w.org.ID+"/oidc/callback?"+q.Encode())
}

// token is that of the session in the cookie.
func (b *browser) token() string {
	if c := b.cookies[httpapi.SessionCookie]; c != nil {
		return c.Value
	}
	return ""
}

// signIn signs in, which has to work, and answers who acts.
func (b *browser) signIn() audit.Actor {
	b.w.t.Helper()
	answer := b.back(b.w.provider.authorize(b.begin("")))
	require.Equal(b.w.t, http.StatusSeeOther, answer.Code, "%s %s", answer.Body, b.w.reasons())
	by, err := b.w.Authenticate(b.w.t.Context(), b.token())
	require.NoError(b.w.t, err)
	return by
}

// reasons are those of the log that are of this moment, in one text.
func (w *world) reasons() string {
	w.t.Helper()
	require.NoError(w.t, w.Audit().Flush(w.t.Context()))
	page, err := w.AuditLog(w.Platform(), w.org.ID, audit.Filter{Types: []string{orgs.LoginFailedType}, Start: w.clock.Now(), Limit: 100})
	require.NoError(w.t, err)
	text, err := json.Marshal(page.Items)
	require.NoError(w.t, err)
	return string(text)
}

// refused wants an answer that signs nobody in, tells nothing but the request, and is in the log with its reason.
func (w *world) refused(b *browser, answer *httptest.ResponseRecorder, reason string) {
	w.t.Helper()
	require.Equal(w.t, http.StatusForbidden, answer.Code, answer.Body)
	require.Empty(w.t, b.token())
	require.Contains(w.t, answer.Body.String(), answer.Header().Get("X-Request-Id"))
	require.NotContains(w.t, answer.Body.String(), reason)
	require.NotContains(w.t, answer.Body.String(), "canary")
	require.Contains(w.t, w.reasons(), `"`+reason+`"`)
	require.NotContains(w.t, w.reasons(), "canary")
	w.clock.Advance(time.Minute) // so that the next one is told anew
	users, err := w.Users(w.Platform(), 10, "")
	require.NoError(w.t, err)
	for _, u := range users.Items {
		require.False(w.t, strings.HasPrefix(u.Email, "ann@"), "nothing is made")
	}
}
