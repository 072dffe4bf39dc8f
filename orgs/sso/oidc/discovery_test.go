package oidc_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/orgs/sso"
	"github.com/orgkit/orgkit/orgs/sso/oidc"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/seal"
)

// login is the status of a sign-in that is begun.
func (w *world) login() int { return w.browser().do("GET", "/sso/acme/login").Code }

func TestADocumentIsThatOfTheIssuer(t *testing.T) { // A20, OIDC-1
	for name, change := range map[string]func(d object, url string){
		"another issuer":        func(d object, _ string) { d["issuer"] = "https://evil.example" },
		"a slash":               func(d object, url string) { d["issuer"] = url + "/" },
		"no issuer":             func(d object, _ string) { delete(d, "issuer") },
		"another case":          func(d object, url string) { d["issuer"] = strings.ToUpper(url) },
		"keys inside":           func(d object, _ string) { d["jwks_uri"] = "https://169.254.169.254/keys" },
		"a token endpoint":      func(d object, _ string) { d["token_endpoint"] = "http://10.0.0.1/token" },
		"no token endpoint":     func(d object, _ string) { delete(d, "token_endpoint") },
		"browsers sent to http": func(d object, _ string) { d["authorization_endpoint"] = "http://public.com/authorize" },
		"a script":              func(d object, _ string) { d["authorization_endpoint"] = "javascript:alert(1)" },
		"user info inside":      func(d object, _ string) { d["userinfo_endpoint"] = "https://[::1]/userinfo" },
		"keys of another name":  func(d object, _ string) { d["jwks_uri"] = "https://localhost/keys" },
	} {
		t.Run(name, func(t *testing.T) {
			w := onMemory(t)
			change(w.provider.document, w.provider.URL)
			require.Equal(t, http.StatusForbidden, w.login())
			require.Contains(t, w.reasons(), `"discovery_`)
		})
	}
}

func TestAProviderThatMisbehavesIsNotFollowed(t *testing.T) { // A19, A26, M8
	for name, serve := range map[string]http.HandlerFunc{
		"redirects": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		},
		"an error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"no JSON":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>canary</html>")) },
		"far too big": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`"` + strings.Repeat("x", 2<<20) + `"`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := onMemory(t)
			w.provider.serve["/.well-known/openid-configuration"] = serve
			require.Equal(t, http.StatusForbidden, w.login())
			require.Equal(t, http.StatusForbidden, w.login())
			require.Equal(t, 1, w.provider.calls["/.well-known/openid-configuration"], "asked again after a minute only")
			w.clock.Advance(time.Minute)
			delete(w.provider.serve, "/.well-known/openid-configuration")
			require.Equal(t, http.StatusSeeOther, w.login())

			// The last good one is better than none, and is asked for anew after a day.
			w.provider.serve["/.well-known/openid-configuration"] = serve
			w.clock.Advance(24 * time.Hour)
			require.Equal(t, http.StatusSeeOther, w.login())
			require.Equal(t, 3, w.provider.calls["/.well-known/openid-configuration"])

			// The same at the other endpoints.
			delete(w.provider.serve, "/.well-known/openid-configuration")
			for path, reason := range map[string]string{"/token": "token_endpoint_failed", "/keys": "unknown_key"} {
				w.provider.serve[path] = serve
				b := w.browser()
				answer := b.back(w.provider.authorize(b.begin("")))
				require.Equal(t, http.StatusForbidden, answer.Code)
				if path == "/token" { // of which an error can be the provider's own
					require.Regexp(t, `"(token_endpoint_failed|code_refused|no_id_token)"`, w.reasons())
				} else {
					require.Contains(t, w.reasons(), reason)
				}
				require.NotContains(t, w.reasons(), "canary")
				delete(w.provider.serve, path)
				w.clock.Advance(time.Minute)
			}
		})
	}
}

func TestAnIssuerInsideIsNotCalled(t *testing.T) { // A19, S16.3, OIDC-20, OIDC-21
	w := onMemory(t)
	strict, err := outbound.New(nil)
	require.NoError(t, err)
	m, err := orgs.New(w.Store(), &orgs.Options{URLs: strict})
	require.NoError(t, err)
	defer m.Close()
	in := w.in
	in.Secrets = map[string]*seal.Secret{"client_secret": nil}
	for _, issuer := range []string{w.provider.URL, "https://127.0.0.1", "https://[::1]", "https://10.0.0.1", "https://169.254.169.254", "https://[fd00::1]", "https://100.64.0.1",
		"https://0.0.0.0", "https://2130706433", "https://0x7f.0.0.1", "https://[::ffff:127.0.0.1]", "https://localhost", "http://login.example.com", "https://user@login.example.com",
		"https://login.example.com/#x", "https://login.example.com/?x", "https://login.microsoftonline.com/common/v2.0", "https://login.microsoftonline.com/{tenantid}/v2.0", "javascript:alert(1)", ""} {
		in.Issuer = issuer
		_, _, err := m.SetSSO(w.Platform(), w.org.ID, in)
		var fault *store.FieldError
		require.ErrorAs(t, err, &fault, issuer)
		require.Equal(t, "settings.issuer", fault.Field, issuer)
	}
	// One that was written when the host let it, or that leads inside by now, is refused by the client.
	sealer := sealerOf(t)
	h, err := sso.New(w.Manager, &sso.Options{URL: home + "/sso", Seal: sealer, Protocols: []sso.Protocol{oidc.New(w.clock.Now, strict)}})
	require.NoError(t, err)
	w.handler = h
	require.Equal(t, http.StatusForbidden, w.login())
	require.Empty(t, w.provider.calls)
}

func sealerOf(t *testing.T) *seal.Sealer {
	t.Helper()
	key, err := seal.ParseKey(seal.GenerateKey())
	require.NoError(t, err)
	s, err := seal.New(key)
	require.NoError(t, err)
	return s
}

func TestKeysRotateAndMadeUpOnesDoNotMakeUsCall(t *testing.T) { // A26, OIDC-3, M5
	w := onMemory(t)
	w.browser().signIn()
	require.Equal(t, 1, w.provider.calls["/keys"])
	next := ecKey(t)
	w.provider.keys = []jose.JSONWebKey{{Key: next.Public(), KeyID: "k2"}, {Key: []byte("a shared key"), KeyID: "k3"}}
	w.in.Algs = []string{"RS256", "ES256"}
	w.set(w.org)
	w.provider.sign = func(c object) string { return sign1(t, jose.ES256, next, object{"kid": "k2"}, c) }
	w.clock.Advance(time.Minute)
	w.browser().signIn()
	require.Equal(t, 2, w.provider.calls["/keys"])
	for range 5 {
		w.provider.sign = func(c object) string { return sign1(t, jose.ES256, ecKey(t), object{"kid": "made up"}, c) }
		b := w.browser()
		require.Equal(t, http.StatusForbidden, b.back(w.provider.authorize(b.begin(""))).Code)
	}
	require.Equal(t, 2, w.provider.calls["/keys"])
	// The old key is gone, though its tokens were good before.
	w.clock.Advance(time.Minute)
	w.provider.sign = nil
	b := w.browser()
	require.Equal(t, http.StatusForbidden, b.back(w.provider.authorize(b.begin(""))).Code)
	require.Equal(t, 3, w.provider.calls["/keys"])
}

func TestWhatElseAProviderSays(t *testing.T) { // OIDC-16, OIDC-18, OIDC-19, OIDC-23, A23, M9, SSO-15, SSO-17
	w := onMemory(t)
	sign := func(claims object) audit.Actor { w.provider.claims = claims; return w.browser().signIn() }
	refused := func(claims object, reason string) {
		t.Helper()
		w.provider.claims = claims
		b := w.browser()
		require.Equal(t, http.StatusForbidden, b.back(w.provider.authorize(b.begin(""))).Code)
		require.Contains(t, w.reasons(), reason)
		w.clock.Advance(time.Minute)
	}
	roles := func(by audit.Actor) []string {
		me, err := w.Member(audit.WithActor(t.Context(), by), orgs.Place{OrgID: w.org.ID}, "me")
		require.NoError(t, err)
		return me.Roles
	}
	require.Contains(t, roles(sign(object{"groups": []any{"Engineering", 7, object{}}})), "developer")
	for _, overage := range []object{{"hasgroups": true}, {"hasgroups": "true"},
		{"_claim_names": object{"groups": "src1"}, "_claim_sources": object{"src1": object{"endpoint": w.provider.URL + "/groups"}}}} {
		require.Contains(t, roles(sign(overage)), "developer", "they stay")
	}
	require.Zero(t, w.provider.calls["/groups"])
	require.NotContains(t, roles(sign(object{"groups": nil})), "developer")

	require.Nil(t, sign(object{"acr": "urn:strong"}).MFAAt)
	w.in.MFAContexts, w.in.Attributes.Groups = []string{"urn:strong"}, "/realm_access/~1roles"
	w.set(w.org)
	require.NotNil(t, sign(object{"acr": "urn:strong"}).MFAAt)
	require.Contains(t, roles(sign(object{"realm_access": object{"/roles": []string{"Engineering"}}})), "developer")
	w.in.Attributes.Groups = "https://acme.example/groups"
	w.set(w.org)
	require.Contains(t, roles(sign(object{"https://acme.example/groups": "Engineering"})), "developer")

	// What is not in the token may be where the access token leads, of the same person.
	w.in.Attributes.Groups = ""
	w.set(w.org)
	w.provider.document["userinfo_endpoint"] = w.provider.URL + "/userinfo"
	w.clock.Advance(24 * time.Hour)
	w.provider.info = object{"sub": "sub-2", "email": "bob@acme.example", "email_verified": true, "name": "Bob"}
	refused(object{"sub": "sub-3", "email": nil}, "userinfo_subject")
	bob := sign(object{"sub": "sub-2", "email": nil, "name": nil})
	require.Equal(t, "bob@acme.example", bob.Label)
	w.provider.info = object{"sub": "sub-4", "email": "cleo@acme.example"}
	refused(object{"sub": "sub-4", "email": nil, "email_verified": true}, "email_unverified")

	// A provider that is known not to say whether an address is verified.
	refused(object{"sub": "sub-5", "email": "dan@acme.example", "email_verified": nil}, "email_unverified")
	w.in.Provider = "azure"
	w.set(w.org)
	require.Equal(t, "dan@acme.example", sign(object{"sub": "sub-5", "email": "dan@acme.example", "email_verified": nil}).Label)
	refused(object{"sub": "sub-6", "email": "eve@acme.example", "email_verified": false}, "email_unverified")

	w.in.ForceAuthn = true
	w.set(w.org)
	u, err := url.Parse(w.browser().begin(""))
	require.NoError(t, err)
	require.Equal(t, "login", u.Query().Get("prompt"))
	refused(nil, "not_fresh")
	refused(object{"auth_time": w.clock.Now().Add(-2 * time.Minute).Unix()}, "not_fresh")
	sign(object{"auth_time": w.clock.Now().Unix()})
}

func TestADryRunSaysWhyAndSignsNobodyIn(t *testing.T) { // F323, SSO-21, §1.3
	each(t, func(t *testing.T, w *world) {
		admin := w.browser()
		require.Equal(t, http.StatusUnauthorized, admin.do("POST", "/sso/acme/test").Code)
		_, stranger, err := w.CreateToken(w.Platform(), w.User("bob@acme.example").ID, orgs.NewToken{Name: "t"})
		require.NoError(t, err)
		admin.bearer = stranger
		require.Equal(t, http.StatusNotFound, admin.do("POST", "/sso/acme/test").Code)
		_, admin.bearer, err = w.CreateToken(w.Platform(), w.owner.ID, orgs.NewToken{Name: "t"})
		require.NoError(t, err)
		begin := func() string {
			answer := admin.do("POST", "/sso/acme/test")
			require.Equal(t, http.StatusCreated, answer.Code, answer.Body)
			var o struct {
				URL string `json:"url"`
			}
			require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &o))
			answer = admin.do("GET", strings.TrimPrefix(o.URL, home))
			require.Equal(t, http.StatusSeeOther, answer.Code, answer.Body)
			return answer.Header().Get("Location")
		}
		w.provider.claims = object{"email_verified": false}
		answer := admin.back(w.provider.authorize(begin()))
		require.Equal(t, http.StatusForbidden, answer.Code)
		require.Contains(t, answer.Body.String(), "email_unverified")
		w.provider.claims = nil
		state, err := w.SSO(w.Platform(), w.org.ID)
		require.NoError(t, err)
		require.Equal(t, orgs.SSOUnproved, state.Status)

		answer = admin.back(w.provider.authorize(begin()))
		require.Equal(t, http.StatusOK, answer.Code, answer.Body)
		require.Contains(t, answer.Body.String(), "ann@acme.example")
		require.Empty(t, admin.token())
		users, err := w.Users(w.Platform(), 10, "")
		require.NoError(t, err)
		require.Len(t, users.Items, 2, "owner and stranger")
		state, err = w.SSO(w.Platform(), w.org.ID)
		require.NoError(t, err)
		require.Equal(t, orgs.SSOReady, state.Status)
		require.Equal(t, http.StatusForbidden, admin.do("GET", "/sso/acme/login?test=made-up").Code)

		// Whoever is no administrator any more by the time proves nothing.
		to := begin()
		u := w.User("carl@acme.example")
		w.Add(orgs.Place{OrgID: w.org.ID}, u, "org_admin")
		_, err = w.RemoveMember(w.Platform(), orgs.Place{OrgID: w.org.ID}, w.owner.ID, orgs.MemberRemoval{})
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, admin.back(w.provider.authorize(to)).Code)
	})
}

func TestNoSecretIsAnywhere(t *testing.T) { // A28, F336, SSO-23
	w := onMemory(t)
	b := w.browser()
	q := w.provider.authorize(b.begin(""))
	require.Equal(t, http.StatusSeeOther, b.back(q).Code)
	failed := w.browser()
	again := w.provider.authorize(failed.begin(""))
	again.Set("code", "canary-code")
	require.Equal(t, http.StatusForbidden, failed.back(again).Code)
	require.NoError(t, w.Audit().Flush(t.Context()))
	var all strings.Builder
	for _, org := range []string{w.org.ID} {
		page, err := w.AuditLog(w.Platform(), org, audit.Filter{Limit: 200})
		require.NoError(t, err)
		raw, err := json.Marshal(page.Items)
		require.NoError(t, err)
		all.Write(raw)
	}
	state, err := w.SSO(w.Platform(), w.org.ID)
	require.NoError(t, err)
	raw, err := json.Marshal(state)
	require.NoError(t, err)
	all.Write(raw)
	for _, secret := range []string{w.provider.secret, b.token(), "at-1", "canary", q.Get("code"), q.Get("state")} {
		require.NotEmpty(t, secret)
		require.NotContains(t, all.String(), secret)
	}
	require.NotContains(t, b.begin(""), w.provider.secret)
	for name, c := range b.cookies {
		require.True(t, strings.HasPrefix(name, "__Host-") && c.HttpOnly && c.Secure, name)
	}
	require.Equal(t, httpapi.SessionCookie, "__Host-orgkit_session")
}
