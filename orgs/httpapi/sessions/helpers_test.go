package sessions_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/orgs/httpapi/rest"
	"github.com/orgkit/orgkit/orgs/httpapi/sessions"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	adminKey = "platform-admin-key-of-the-test"
	password = "correct horse battery staple"
	another  = "another good password"
	home     = "198.51.100.7"
	email    = "ann@acme.example"
)

type object = map[string]any

// world is the native dialect with sign-in before it, and one member of an organization.
type world struct {
	*orgstest.World
	t       *testing.T
	clock   *storetest.Clock
	mails   *orgstest.Notifications
	handler http.Handler
	org     orgs.Organization
	owner   orgs.User
	user    orgs.User
}

func each(t *testing.T, fn func(t *testing.T, w *world)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) { fn(t, newWorld(t, s, clock)) })
}

func onMemory(t *testing.T) *world {
	clock := storetest.NewClock()
	return newWorld(t, storetest.Open(t, "memory", store.Options{Now: clock.Now, NewID: storetest.IDs()}), clock)
}

func newWorld(t *testing.T, s *store.Store, clock *storetest.Clock) *world {
	t.Helper()
	key, err := seal.ParseKey(seal.GenerateKey())
	require.NoError(t, err)
	sealer, err := seal.New(key)
	require.NoError(t, err)
	w := &world{t: t, clock: clock, mails: &orgstest.Notifications{}}
	w.World = orgstest.New(t, s, &orgs.Options{Notifier: w.mails, Seal: sealer, Options: rbac.Options{Audit: audit.Options{NoBackground: true}}})
	service, err := signin.New(w.Manager, &signin.Options{Seal: sealer, Issuer: "Example AI", AnswerAfter: -1,
		Argon2: signin.Argon2{MemoryKiB: 64, Passes: 1, Lanes: 1}})
	require.NoError(t, err)
	proxies := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	auth, err := sessions.Cookie(w.Manager, httpapi.Bearer(w.Manager, adminKey), "https://console.example")
	require.NoError(t, err)
	api, err := rest.New(w.Manager, &rest.Options{Authenticate: auth, TrustedProxies: proxies})
	require.NoError(t, err)
	w.handler, err = sessions.New(service, api, &sessions.Options{Authenticate: auth, Origins: []string{"https://console.example"}, TrustedProxies: proxies})
	require.NoError(t, err)
	w.org, w.owner = w.Org("acme")
	w.user = w.User(email)
	w.Add(orgs.Place{OrgID: w.org.ID}, w.user, "member")
	require.NoError(t, service.SetPassword(w.Platform(), w.user.ID, password))
	w.mails.Take()
	return w
}

// do sends a request from home. headers are names and values.
func (w *world) do(method, path, body, token string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, bytes.NewBufferString(body))
	r.Header.Set("X-Forwarded-For", home) // the peer of httptest is 192.0.2.1
	r.Header.Set("User-Agent", "test")
	r.Header.Set("X-Request-Id", "req_of_the_test")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	return answer
}

// call wants a status and returns the object.
func (w *world) call(status int, method, path, body, token string, headers ...string) object {
	w.t.Helper()
	answer := w.do(method, path, body, token, headers...)
	require.Equal(w.t, status, answer.Code, "%s %s: %s", method, path, answer.Body)
	var o object
	require.NoError(w.t, json.Unmarshal(answer.Body.Bytes(), &o))
	if status >= 400 {
		require.Equal(w.t, "application/problem+json", answer.Header().Get("Content-Type"))
	} else {
		require.Equal(w.t, "no-store", answer.Header().Get("Cache-Control"))
	}
	return o
}

// fails wants a problem of the code.
func (w *world) fails(status int, code, method, path, body, token string, headers ...string) object {
	w.t.Helper()
	o := w.call(status, method, path, body, token, headers...)
	require.Equal(w.t, code, o["code"], o)
	return o
}

// signIn returns the token of a session.
func (w *world) signIn() string {
	w.t.Helper()
	return w.call(201, "POST", "/v1/sessions", `{"email": "`+email+`", "password": "`+password+`"}`, "")["token"].(string)
}

// links are the tokens that were mailed.
func (w *world) link() string {
	w.t.Helper()
	mails := w.mails.Take()
	require.Len(w.t, mails, 1)
	return mails[0].About.(orgs.PasswordReset).Token.Reveal()
}

var secrets = regexp.MustCompile(`ok_(ses|dev|rst)_[0-9a-z]+|[0-9a-z]{4}(-[0-9a-z]{4}){3}|secret=[A-Z2-7]+|"[A-Z2-7]{32}"|"\d{6}"`)

// golden compares a request and its answer with those of the file.
func (w *world) golden(name, method, path, body, token string, headers ...string) object {
	w.t.Helper()
	answer := w.do(method, path, body, token, headers...)
	var o object
	require.NoError(w.t, json.Unmarshal(answer.Body.Bytes(), &o))
	text := method + " " + path + "\n" + body + "\n\n" + http.StatusText(answer.Code) + "\n"
	for _, h := range []string{"Content-Type", "Location", "Retry-After", "Www-Authenticate", "Cache-Control", "Set-Cookie", "Allow"} {
		for _, v := range answer.Header().Values(h) {
			text += h + ": " + v + "\n"
		}
	}
	var pretty bytes.Buffer
	require.NoError(w.t, json.Indent(&pretty, answer.Body.Bytes(), "", "  "))
	text = secrets.ReplaceAllString(text+"\n"+pretty.String(), "SECRET")
	file := filepath.Join("testdata", name+".txt")
	if *update {
		require.NoError(w.t, os.MkdirAll("testdata", 0o755))
		require.NoError(w.t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(w.t, err)
	require.Equal(w.t, string(want), text)
	return o
}
