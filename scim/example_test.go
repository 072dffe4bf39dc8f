package scim_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/scim"
	"github.com/orgkit/orgkit/store/memory"
)

func Example() {
	m, err := orgs.New(memory.New(nil), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	handler, err := scim.New(m, "https://gateway.example/scim/v2", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/scim/v2/", http.StripPrefix("/scim/v2", handler))

	// An organization switches it on and gives its identity provider a token.
	ctx := audit.WithActor(context.Background(), audit.PlatformAdmin())
	if _, err := m.CreateOrganization(ctx, orgs.NewOrganization{Name: "Acme", Slug: "acme"}); err != nil {
		fmt.Println(err)
		return
	}
	if _, _, err := m.SetProvisioning(ctx, "acme", orgs.NewProvisioning{Enabled: true, AutoProvision: true, SyncGroups: true}); err != nil {
		fmt.Println(err)
		return
	}
	_, token, err := m.CreateSCIMToken(ctx, "acme", orgs.NewSCIMToken{Name: "Okta"})
	if err != nil {
		fmt.Println(err)
		return
	}

	// The identity provider makes a member.
	r := httptest.NewRequest("POST", "/scim/v2/Users", strings.NewReader(
		`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"anna@acme.example"}`))
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("Content-Type"))

	acme, err := m.OrgPlace(ctx, "acme")
	if err != nil {
		fmt.Println(err)
		return
	}
	anna, err := m.Member(ctx, acme, "anna@acme.example")
	fmt.Println(anna.Role, anna.Source, anna.State, err)
	// Output:
	// 201 application/scim+json
	// member scim active <nil>
}
