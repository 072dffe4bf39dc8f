package oidc_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store/seal"
)

func TestSignInEndToEnd(t *testing.T) { // F184, SSO-17, SSO-18; the end of §9.3
	each(t, func(t *testing.T, w *world) {
		w.provider.claims = object{"groups": []string{"Engineering"}, "amr": []string{"pwd", "mfa"}, "acr": "urn:strong", "auth_time": w.clock.Now().Add(-time.Minute).Unix(), "sid": "s-1"}
		b := w.browser()
		to := b.begin("?return_to=/console%3Ftab%3D1")
		answer := b.back(w.provider.authorize(to))
		require.Equal(t, http.StatusSeeOther, answer.Code, "%s %s", answer.Body, w.reasons())
		require.Equal(t, "/console?tab=1", answer.Header().Get("Location"))
		require.Len(t, b.cookies, 1, "that of the flow is gone")
		by, err := w.Authenticate(t.Context(), b.token())
		require.NoError(t, err)
		require.True(t, w.clock.Now().Add(-time.Minute).Equal(*by.MFAAt))
		ctx := audit.WithActor(t.Context(), by)
		me, err := w.Member(ctx, orgs.Place{OrgID: w.org.ID}, "me")
		require.NoError(t, err)
		require.Contains(t, me.Roles, "developer")
		s, err := w.Session(ctx, "me", "current")
		require.NoError(t, err)
		require.Equal(t, []string{"sso", "pwd", "mfa"}, s.Methods)
		require.Equal(t, "urn:strong", s.SignedInBy.Context)
		require.Equal(t, "s-1", s.SignedInBy.Index)

		w.provider.claims = object{"groups": "Sales"}
		again := w.browser().signIn()
		require.Equal(t, by.ID, again.ID)
		require.Nil(t, again.MFAAt)
		me, err = w.Member(audit.WithActor(t.Context(), again), orgs.Place{OrgID: w.org.ID}, "me")
		require.NoError(t, err)
		require.NotContains(t, me.Roles, "developer")
		state, err := w.SSO(w.Platform(), w.org.ID)
		require.NoError(t, err)
		require.Equal(t, orgs.SSOReady, state.Status)
	})
}

// broken are ID tokens that are refused, and why.
func TestIDTokensAreRefused(t *testing.T) { // A16, A17, A20, A21; M1 to M7, M10
	w := onMemory(t)
	now := w.clock.Now()
	sign := func(alg jose.SignatureAlgorithm, key any, head object) func(object) string {
		return func(c object) string { return sign1(t, alg, key, head, c) }
	}
	foreign := ecKey(t)
	for name, broken := range map[string]struct {
		claims object
		sign   func(object) string
		reason string
	}{
		"no nonce":                  {claims: object{"nonce": nil}, reason: "other_nonce"},
		"another nonce":             {claims: object{"nonce": "x"}, reason: "other_nonce"},
		"a nonce of another case":   {claims: object{"nonce": nil, "NONCE": "x"}, reason: "other_nonce"},
		"another audience":          {claims: object{"aud": "client-2"}, reason: "bad_token"},
		"two audiences":             {claims: object{"aud": []string{clientID, "client-2"}, "azp": clientID}, reason: "other_audience"},
		"another party":             {claims: object{"azp": "client-2"}, reason: "other_party"},
		"another issuer":            {claims: object{"iss": "https://evil.example"}, reason: "bad_token"},
		"an issuer with a slash":    {claims: object{"iss": w.provider.URL + "/"}, reason: "bad_token"},
		"an issuer of another case": {claims: object{"iss": strings.ToUpper(w.provider.URL)}, reason: "bad_token"},
		"expired":                   {claims: object{"exp": now.Add(-61 * time.Second).Unix()}, reason: "expired"},
		"no expiry":                 {claims: object{"exp": nil}, reason: "no_times"},
		"not issued":                {claims: object{"iat": nil}, reason: "no_times"},
		"issued in the future":      {claims: object{"iat": now.Add(2 * time.Hour).Unix()}, reason: "from_the_future"},
		"issued long ago":           {claims: object{"iat": now.Add(-12 * time.Minute).Unix()}, reason: "too_old"},
		"not before":                {claims: object{"nbf": now.Add(2 * time.Minute).Unix()}, reason: "from_the_future"},
		"authenticated in future":   {claims: object{"auth_time": now.Add(2 * time.Minute).Unix()}, reason: "from_the_future"},
		"no subject":                {claims: object{"sub": nil}, reason: "bad_subject"},
		"an empty subject":          {claims: object{"sub": ""}, reason: "bad_subject"},
		"a long subject":            {claims: object{"sub": strings.Repeat("x", 256)}, reason: "bad_subject"},
		"a subject of another type": {claims: object{"sub": 1}, reason: "bad_token"},
		"a subject of another case": {claims: object{"sub": nil, "SUB": "sub-1"}, reason: "bad_subject"},
		"another access token":      {claims: object{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, reason: "other_access_token"},
		"too long":                  {claims: object{"more": strings.Repeat("x", 64<<10)}, reason: "token_too_long"},
		"unverified address":        {claims: object{"email_verified": false}, reason: "email_unverified"},
		"nothing of the address":    {claims: object{"email_verified": nil}, reason: "email_unverified"},
		"unverified in words":       {claims: object{"email_verified": "false"}, reason: "email_unverified"},
		"verified by a number":      {claims: object{"email_verified": 1}, reason: "email_unverified"},
		"verified in another case":  {claims: object{"email_verified": false, "EMAIL_VERIFIED": true}, reason: "email_unverified"},
		"an address of others":      {claims: object{"email": "ann@other.example"}, reason: "domain_unverified"},
		"a homograph":               {claims: object{"email": "ann@аcme.example"}, reason: "domain_unverified"},
		"no address":                {claims: object{"email": nil}, reason: "no_email"},
		"two addresses":             {claims: object{"email": []string{"ann@acme.example", "bob@acme.example"}}, reason: "no_email"},
		"no algorithm":              {sign: func(c object) string { return unsigned(t, c) }, reason: "bad_token"},
		"a shared key":              {sign: sign(jose.HS256, pemOf(t, &w.provider.key.PublicKey), object{"kid": "k1"}), reason: "bad_token"},
		"an algorithm not allowed":  {sign: sign(jose.RS512, w.provider.key, object{"kid": "k1"}), reason: "bad_token"},
		"another key of that id":    {sign: sign(jose.ES256, foreign, object{"kid": "k1"}), reason: "bad_token"},
		"a key that is not there":   {sign: sign(jose.RS256, w.provider.key, object{"kid": "../../etc/passwd"}), reason: "unknown_key"},
		"a key of its own":          {sign: sign(jose.RS256, rsaKey(t), object{"jwk": jose.JSONWebKey{Key: &w.provider.key.PublicKey}}), reason: "bad_token"},
		"a key from somewhere":      {sign: sign(jose.RS256, rsaKey(t), object{"jku": "https://evil.example/keys", "x5u": "https://evil.example"}), reason: "bad_token"},
		"something critical":        {sign: sign(jose.RS256, w.provider.key, object{"kid": "k1", "crit": []string{"exp"}}), reason: "bad_token"},
		"five parts":                {sign: func(object) string { return "a.b.c.d.e" }, reason: "bad_token"},
		"nothing":                   {sign: func(object) string { return "" }, reason: "bad_token"},
		"changed after it was signed": {sign: func(c object) string {
			parts := strings.Split(sign1(t, jose.RS256, w.provider.key, object{"kid": "k1"}, c), ".")
			return parts[0] + "." + strings.Split(unsigned(t, object{"sub": "sub-2"}), ".")[1] + "." + parts[2]
		}, reason: "bad_token"},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			w.provider.claims, w.provider.sign = broken.claims, broken.sign
			b := w.browser()
			for n, v := range broken.claims { // times are told from when the test began
				if at, is := v.(int64); is {
					broken.claims[n] = at + int64(w.clock.Now().Sub(now)/time.Second)
				}
			}
			w.refused(b, b.back(w.provider.authorize(b.begin(""))), broken.reason)
		})
	}
	w.t, w.provider.claims, w.provider.sign = t, nil, nil
	w.clock.Advance(time.Minute)
	w.browser().signIn()
}

func TestAnAnswerCountsForItsBrowserAndOnce(t *testing.T) { // A14, A17, A29
	each(t, func(t *testing.T, w *world) {
		victim, attacker := w.browser(), w.browser()
		w.refused(victim, victim.back(w.provider.authorize(attacker.begin(""))), "unknown_flow") // login CSRF
		w.refused(victim, victim.back(url.Values{"code": {"x"}}), "unknown_flow")
		w.refused(victim, victim.back(url.Values{"code": {"x"}, "state": {"made-up"}}), "unknown_flow")

		// The cookie of one flow under the name of another.
		q := w.provider.authorize(attacker.begin(""))
		victim.begin("")
		for _, mine := range victim.cookies {
			for name := range attacker.cookies {
				if attacker.cookies[name].MaxAge > 0 {
					forged := *mine
					forged.Name = name
					victim.cookies = map[string]*http.Cookie{name: &forged}
				}
			}
			break
		}
		w.refused(victim, victim.back(q), "unknown_flow")

		// The code of another browser: the verifier is not that of its request.
		stolen := w.provider.authorize(attacker.begin("")).Get("code")
		b := w.browser()
		q = w.provider.authorize(b.begin(""))
		q.Set("code", stolen)
		w.refused(b, b.back(q), "code_refused")

		b = w.browser()
		q = w.provider.authorize(b.begin(""))
		w.clock.Advance(orgs.SSOFlowFor)
		w.refused(b, b.back(q), "flow_expired")
		for _, twice := range []string{"state", "code", "iss"} {
			q = w.provider.authorize(b.begin(""))
			q.Add(twice, "other")
			w.refused(b, b.back(q), "bad_answer")
		}
		q = w.provider.authorize(b.begin(""))
		q.Set("iss", "https://other.example") // mix-up, RFC 9207
		w.refused(b, b.back(q), "other_issuer")
		q = w.provider.authorize(b.begin(""))
		q.Set("error", "access_denied")
		w.refused(b, b.back(q), "provider_refused")

		// The same answer twice, by a browser that keeps its cookies.
		q = w.provider.authorize(b.begin(""))
		kept := map[string]*http.Cookie{}
		for name, c := range b.cookies {
			kept[name] = c
		}
		require.Equal(t, http.StatusSeeOther, b.back(q).Code, w.reasons())
		b.cookies = kept
		code := q.Get("code")
		w.provider.mu.Lock()
		w.provider.codes[code] = url.Values{} // even a provider that takes codes twice
		w.provider.mu.Unlock()
		require.Equal(t, http.StatusForbidden, b.back(q).Code)
		require.Empty(t, b.token())

		// That of one organization at another's callback.
		other, _ := w.Org("other")
		w.Roles(other)
		w.set(other)
		q = w.provider.authorize(b.begin(""))
		require.Equal(t, http.StatusForbidden, b.do("GET", "/sso/"+other.ID+"/oidc/callback?"+q.Encode()).Code)
		require.Equal(t, http.StatusNotFound, b.do("GET", "/sso/nobody/login").Code)
		require.Empty(t, b.token())
	})
}

// TestAnAnswerIsThatOfTheProviderThatWasAsked: of two organizations each has its own.
func TestAnAnswerIsThatOfTheProviderThatWasAsked(t *testing.T) { // A18
	each(t, func(t *testing.T, w *world) {
		evil := newProvider(t, w.clock.Now)
		other, _ := w.Org("other")
		w.Roles(other)
		in, secret := w.in, seal.NewSecret(evil.secret)
		in.Issuer, in.Secrets = evil.URL, map[string]*seal.Secret{"client_secret": &secret}
		_, _, err := w.SetSSO(w.Platform(), other.ID, in)
		require.NoError(t, err)
		b := w.browser()
		theirs := func() url.Values {
			answer := b.do("GET", "/sso/other/login")
			require.Equal(t, http.StatusSeeOther, answer.Code)
			return evil.authorize(answer.Header().Get("Location"))
		}

		w.refused(b, b.back(theirs()), "unknown_flow") // the whole answer of the other provider
		mixed := func(keep ...string) url.Values {     // its code, in the sign-in that is begun here after the one there
			from := theirs()
			q := w.provider.authorize(b.begin(""))
			for _, name := range keep {
				q.Set(name, from.Get(name))
			}
			return q
		}
		w.refused(b, b.back(mixed("code", "iss")), "other_issuer")
		w.refused(b, b.back(mixed("code")), "code_refused")
		q := mixed("code")
		q.Del("iss")
		w.refused(b, b.back(q), "code_refused") // who says nothing of itself is asked itself
		w.provider.document["authorization_response_iss_parameter_supported"] = true
		w.clock.Advance(24 * time.Hour)
		q = w.provider.authorize(b.begin(""))
		q.Del("iss")
		w.refused(b, b.back(q), "other_issuer")
		require.Zero(t, evil.calls["/token"], "no code went to it")

		// What it has signed counts here neither under its own name nor under the other's.
		for _, iss := range []string{evil.URL, w.provider.URL} {
			w.provider.claims = object{"iss": iss}
			w.provider.sign = func(c object) string { return sign1(t, jose.RS256, evil.key, object{"kid": "k1"}, c) }
			w.refused(b, b.back(w.provider.authorize(b.begin(""))), "bad_token")
		}
	})
}

// TestClocksMayDiffer by what the configuration says, and a minute where it says nothing.
func TestClocksMayDiffer(t *testing.T) { // M6, OIDC-12
	w := onMemory(t)
	for _, claims := range []object{{"exp": w.clock.Now().Add(-30 * time.Second).Unix()}, {"iat": w.clock.Now().Add(30 * time.Second).Unix()}, {"nbf": w.clock.Now().Add(30 * time.Second).Unix()}} {
		w.provider.claims = claims
		w.browser().signIn()
	}
}

// TestNobodyElseCalls but the client that looks at addresses.
func TestNobodyElseCalls(t *testing.T) { // M12
	w := onMemory(t)
	others := &unguarded{RoundTripper: http.DefaultTransport}
	http.DefaultTransport = others
	defer func() { http.DefaultTransport = others.RoundTripper }()
	w.provider.document["userinfo_endpoint"] = w.provider.URL + "/userinfo"
	w.provider.claims = object{"email": nil}
	w.provider.info = object{"sub": "sub-1", "email": "ann@acme.example", "email_verified": true}
	w.browser().signIn()
	for _, path := range []string{"/.well-known/openid-configuration", "/keys", "/token", "/userinfo"} {
		require.Equal(t, 1, w.provider.calls[path], path)
	}
	require.Zero(t, others.calls)
}

// unguarded counts what goes out by the client that everybody has.
type unguarded struct {
	http.RoundTripper
	calls int
}

func (u *unguarded) RoundTrip(r *http.Request) (*http.Response, error) {
	u.calls++
	return u.RoundTripper.RoundTrip(r)
}

func TestOnlyPathsOfTheHostAreReturnedTo(t *testing.T) { // A15, SSO-19
	w := onMemory(t)
	for _, to := range []string{"https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "/" + strings.Repeat("a", 10_000),
		"/%5cevil", "/%2f%2fevil.example", "/a b", "/\tx", "a", "/http://x\x00"} {
		answer := w.browser().do("GET", "/sso/acme/login?return_to="+url.QueryEscape(to))
		require.Equal(t, http.StatusForbidden, answer.Code, to)
	}
	b := w.browser()
	require.Equal(t, "/home", b.back(w.provider.authorize(b.begin(""))).Header().Get("Location"))
}
