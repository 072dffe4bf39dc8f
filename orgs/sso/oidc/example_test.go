package oidc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/sso"
	"github.com/orgkit/orgkit/orgs/sso/oidc"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/seal"
)

func Example() {
	// An identity provider: a real one is at a public address, and the guard needs no exception.
	var provider *httptest.Server
	provider = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": provider.URL, "authorization_endpoint": provider.URL + "/authorize",
			"token_endpoint": provider.URL + "/token", "jwks_uri": provider.URL + "/keys"})
	}))
	defer provider.Close()
	guard, _ := outbound.New(&outbound.Options{Allow: []string{"127.0.0.1"}})

	key, _ := seal.ParseKey(seal.GenerateKey()) // a host keeps it
	sealer, _ := seal.New(key)
	m, _ := orgs.New(memory.New(nil), &orgs.Options{Seal: sealer, URLs: guard})
	defer m.Close()
	admin := audit.WithActor(context.Background(), audit.PlatformAdmin())
	org, _ := m.CreateOrganization(admin, orgs.NewOrganization{Name: "Acme"})
	_, _ = m.SetVerifiedDomains(admin, org.ID, "acme.example") // whose addresses its provider may speak for
	secret := seal.NewSecret("secret-of-the-client")
	s, _, err := m.SetSSO(admin, org.ID, orgs.NewSSO{Provider: "custom", Protocol: orgs.ProtocolOIDC, Enabled: true, Issuer: provider.URL, ClientID: "gateway",
		Secrets: map[string]*seal.Secret{"client_secret": &secret}, Provisioning: &orgs.NewProvisioning{AutoProvision: true}})
	fmt.Println(s.Status, err)

	handler, _ := sso.New(m, &sso.Options{URL: "https://gateway.example/sso", Seal: sealer, Protocols: []sso.Protocol{oidc.New(m.Store().Now, guard)}})
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/sso/acme/login?return_to=/console", nil))
	to, _ := url.Parse(w.Header().Get("Location"))
	fmt.Println(w.Code, to.Path, to.Query().Get("scope"), to.Query().Get("code_challenge_method"))
	// Output:
	// unproved <nil>
	// 303 /authorize openid email profile S256
}
