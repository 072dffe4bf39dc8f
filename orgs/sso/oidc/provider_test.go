package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

type object = map[string]any

// provider is an OpenID provider in the process. It is strict: a code works once, for the client, redirect URI and verifier
// that it was asked for with.
type provider struct {
	*httptest.Server
	t   *testing.T
	now func() time.Time
	key *rsa.PrivateKey

	mu       sync.Mutex
	codes    map[string]url.Values // of the authorization request
	calls    map[string]int        // by path
	document object
	keys     []jose.JSONWebKey
	claims   object              // of the next ID token, beside the usual ones; nil removes one
	sign     func(object) string // the next ID token; nil signs by the key
	info     object              // of the user info endpoint
	secret   string
	serve    map[string]http.HandlerFunc // in the place of a path
}

const clientID = "client-1"

func newProvider(t *testing.T, now func() time.Time) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p := &provider{t: t, now: now, key: key, codes: map[string]url.Values{}, calls: map[string]int{}, claims: object{}, secret: "secret-of-the-client",
		serve: map[string]http.HandlerFunc{}, keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k1", Algorithm: "RS256", Use: "sig"}}}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) { reply(w, p.document) })
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { reply(w, jose.JSONWebKeySet{Keys: p.keys}) })
	mux.HandleFunc("/token", p.token)
	mux.HandleFunc("/userinfo", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer at-1" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		reply(w, p.info)
	})
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.calls[r.URL.Path]++
		if h := p.serve[r.URL.Path]; h != nil {
			h(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	p.document = object{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys"}
	return p
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// authorize is what the person does at the provider: it answers the query of the redirect back.
func (p *provider) authorize(to string) url.Values {
	p.t.Helper()
	u, err := url.Parse(to)
	require.NoError(p.t, err)
	q := u.Query()
	require.Equal(p.t, "code", q.Get("response_type"))
	require.Equal(p.t, "S256", q.Get("code_challenge_method"))
	require.Equal(p.t, clientID, q.Get("client_id"))
	p.mu.Lock()
	defer p.mu.Unlock()
	code := "code-" + q.Get("state")
	p.codes[code] = q
	return url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.URL}}
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	_ = r.ParseForm()
	asked := p.codes[r.PostForm.Get("code")]
	delete(p.codes, r.PostForm.Get("code"))
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if id != clientID || secret != p.secret || asked == nil || r.PostForm.Get("redirect_uri") != asked.Get("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge") {
		w.WriteHeader(http.StatusBadRequest)
		reply(w, object{"error": "invalid_grant", "error_description": "canary of the provider"})
		return
	}
	at := sha256.Sum256([]byte("at-1"))
	claims := object{"iss": p.URL, "aud": clientID, "sub": "sub-1", "exp": p.now().Add(5 * time.Minute).Unix(), "iat": p.now().Unix(), "nonce": asked.Get("nonce"),
		"email": "ann@acme.example", "email_verified": true, "name": "Ann", "at_hash": base64.RawURLEncoding.EncodeToString(at[:16])}
	for name, v := range p.claims {
		if claims[name] = v; v == nil {
			delete(claims, name)
		}
	}
	sign := p.sign
	if sign == nil {
		sign = func(c object) string { return sign1(p.t, jose.RS256, p.key, object{"kid": "k1"}, c) }
	}
	reply(w, object{"access_token": "at-1", "token_type": "Bearer", "id_token": sign(claims)})
}

// sign1 signs claims with a header of one's own.
func sign1(t *testing.T, alg jose.SignatureAlgorithm, key any, head, claims object) string {
	t.Helper()
	o := &jose.SignerOptions{}
	for name, v := range head {
		o.WithHeader(jose.HeaderKey(name), v)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, o)
	require.NoError(t, err)
	raw, err := json.Marshal(claims)
	require.NoError(t, err)
	jws, err := s.Sign(raw)
	require.NoError(t, err)
	text, err := jws.CompactSerialize()
	require.NoError(t, err)
	return text
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return k
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return k
}

// pemOf is what an attacker knows of a key, as bytes.
func pemOf(t *testing.T, key *rsa.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// unsigned is a token of the algorithm none.
func unsigned(t *testing.T, claims object) string {
	t.Helper()
	raw, err := json.Marshal(claims)
	require.NoError(t, err)
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"none"}`)) + "." + part(raw) + "."
}
