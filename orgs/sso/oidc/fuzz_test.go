package oidc_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/sso/oidc"
)

// FuzzVerify: whatever is accepted was signed as it stands, by the one key that there is, and says what is asserted
// (OIDC-28, A30). To look for more:
//
//	go test ./orgs/sso/oidc -run XXX -fuzz FuzzVerify -fuzztime 30m
func FuzzVerify(f *testing.F) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(f, err)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	flow := orgs.SSOFlow{Handle: "h", Secret: "s", StartedAt: now}
	c := orgs.SSOConnection{SSO: orgs.SSO{Issuer: "https://idp.example", ClientID: clientID, Algs: []string{"RS256"}, SkewSeconds: 60}}
	keys := []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k1"}}
	sign := func(t *testing.T, head, payload string) string {
		part := base64.RawURLEncoding.EncodeToString
		input := part([]byte(head)) + "." + part([]byte(payload))
		sum := sha256.Sum256([]byte(input))
		s, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		require.NoError(t, err)
		return input + "." + part(s)
	}
	good := `{"iss": "https://idp.example", "aud": "client-1", "sub": "s1", "exp": 1767323345, "iat": 1767323045, "nonce": "` + oidc.Nonce(flow) + `"`
	for _, more := range []string{`}`, `, "groups": ["a", 1], "amr": ["mfa"], "email_verified": "true"}`, `, "sub": "s2"}`, `, "SUB": "s2"}`, `, "exp": 1e400}`, `, "exp": -1}`, `, "iat": "now"}`,
		`, "_claim_names": {"groups": "x"}}`, `, "aud": ["client-1"]}`, `, "aud": []}`, `, "aud": null}`, `, "azp": null}`, `, "nonce": null}`, `, "auth_time": 99999999999999}`, `, "amr": "mfa"}`} {
		f.Add(`{"alg": "RS256", "kid": "k1"}`, good+more, true, "")
	}
	f.Add(`{"alg": "none"}`, good+"}", true, "")
	f.Add(`{"alg": "RS256"}`, good+"}", false, "a.b.c")
	f.Add(`{"alg": "RS256", "crit": ["b64"], "b64": false}`, good+"}", true, "")
	f.Fuzz(func(t *testing.T, head, payload string, signed bool, raw string) {
		if signed { // a provider that says anything
			raw = sign(t, head, payload)
		}
		in, err := oidc.Verify(raw, keys, c, flow, now)
		if err != nil {
			var no *orgs.SSORefused
			require.True(t, errors.As(err, &no), err)
			return
		}
		parts := strings.Split(raw, ".")
		require.Len(t, parts, 3)
		s, err := base64.RawURLEncoding.DecodeString(parts[2])
		require.NoError(t, err)
		sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		require.NoError(t, rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], s))
		body, err := base64.RawURLEncoding.DecodeString(parts[1])
		require.NoError(t, err)
		var said map[string]any
		require.NoError(t, json.Unmarshal(body, &said))
		require.Equal(t, said["sub"], in.Subject)
		require.Equal(t, "https://idp.example", said["iss"])
		require.Equal(t, oidc.Nonce(flow), said["nonce"])
		require.NotEmpty(t, in.Subject)
	})
}
