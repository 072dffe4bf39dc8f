package saml_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/sessions"
)

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func concatenatedSigner(key *ecdsa.PrivateKey) crypto.Signer { return concatenated{key} }

func signerCerts() []*x509.Certificate { return []*x509.Certificate{other().cert} }

func ecdsaParty() party {
	return newParty(ecdsaKey(elliptic.P256()), now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0))
}

func decode(t *testing.T, body string) (out map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(body), &out), body)
	return out
}

// sessionCookies are those that an answer sets.
func sessionCookies(res *http.Response) (list []*http.Cookie) {
	for _, c := range res.Cookies() {
		if c.Name == sessions.SessionCookie {
			list = append(list, c)
		}
	}
	return list
}

// tokenOf is a token of somebody.
func (w *world) tokenOf(u orgs.User) string {
	w.t.Helper()
	_, secret, err := w.CreateToken(w.Platform(), u.ID, orgs.NewToken{Name: "console"})
	require.NoError(w.t, err)
	return secret
}
