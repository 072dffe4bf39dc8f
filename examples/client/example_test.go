package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"

	"github.com/orgkit/orgkit/examples/client"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/rest"
	"github.com/orgkit/orgkit/store/memory"
)

func Example() {
	m, err := orgs.New(memory.New(nil), nil)
	if err != nil {
		panic(err)
	}
	api, err := rest.New(m, &rest.Options{AdminKey: "secret"})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(api)
	defer server.Close()

	ctx, c := context.Background(), &client.Client{URL: server.URL, Token: "secret"}
	org, err := c.PostOrganizations(ctx, client.NewOrganization{Name: "Acme"}, &client.Options{IdempotencyKey: "make-acme"})
	if err != nil {
		panic(err)
	}
	again, err := c.PostOrganizations(ctx, client.NewOrganization{Name: "Acme"}, &client.Options{IdempotencyKey: "make-acme"})
	fmt.Println(org.Slug, org.ID == again.ID, err)

	_, err = c.PatchOrganizationsByOrg(ctx, "acme", client.PatchOrganizationsByOrgQuery{}, client.Patch{"name": "New"}, &client.Options{IfMatch: `"99"`})
	var p *client.Problem
	fmt.Println(errors.As(err, &p), p.Code)
	// Output:
	// acme true <nil>
	// true version_mismatch
}
