package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/gate/proxy"
	"github.com/orgkit/orgkit/store/memory"
)

// Function serve is all that it takes to put the gate in front of the API of a vendor.
func ExampleNew() {
	serve := func(m *orgs.Manager, vendor, key string) (http.Handler, error) {
		to, err := url.Parse(vendor)
		if err != nil {
			return nil, err
		}
		forward := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Header.Set("Authorization", "Bearer "+key)
		}}
		return proxy.New(gate.New(m), forward, nil)
	}

	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"choices": [{"message": {"content": "I am fine."}}], "usage": {"prompt_tokens": 12, "completion_tokens": 4}}`)
	}))
	defer vendor.Close()
	m, secret := lab()
	h, err := serve(m, vendor.URL, "key-of-the-host")
	if err != nil {
		panic(err)
	}
	for _, model := range []string{"gpt-4o", "gpt-4o-pro"} {
		r := httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(`{"model": "`+model+`", "max_tokens": 100, "messages": [{"role": "user", "content": "How are you?"}]}`))
		r.Header.Set("Authorization", "Bearer "+secret)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		text, _ := io.ReadAll(w.Result().Body)
		fmt.Println(w.Code, strings.Contains(string(text), "I am fine."))
	}
	// Output:
	// 200 true
	// 403 false
}

// lab is an organization with a team that may use one model.
func lab() (*orgs.Manager, string) {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	price := &billing.Price{InputPerMillion: decimal.RequireFromString("2.5"), OutputPerMillion: decimal.RequireFromString("10")}
	models, err := billing.NewCatalogue(billing.Model{ID: "gpt-4o", Price: price}, billing.Model{ID: "gpt-4o-pro", Price: price})
	must(err)
	m, err := orgs.New(memory.New(nil), &orgs.Options{Catalogue: models})
	must(err)
	as := audit.WithActor(context.Background(), audit.PlatformAdmin())
	ada, err := m.CreateUser(as, orgs.NewUser{Email: "ada@acme.example", EmailVerified: true})
	must(err)
	org, err := m.CreateOrganization(as, orgs.NewOrganization{Name: "Acme", Owner: ada.ID})
	must(err)
	team, err := m.CreateTeam(as, org.ID, orgs.NewTeam{Name: "Lab", Settings: orgs.TeamSettings{Models: &orgs.ModelSettings{Allowed: []string{"gpt-4o"}}}})
	must(err)
	_, secret, err := m.CreateAPIKey(as, orgs.NewAPIKey{Name: "k", Team: team.ID, InheritTeam: true})
	must(err)
	return m, secret
}
