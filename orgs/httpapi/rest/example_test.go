package rest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/rest"
	"github.com/orgkit/orgkit/store/memory"
)

func ExampleNew() {
	m, err := orgs.New(memory.New(nil), nil)
	if err != nil {
		panic(err)
	}
	api, err := rest.New(m, &rest.Options{Prefix: "/ai", AdminKey: "secret"})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ai/", api)

	r := httptest.NewRequest("POST", "/ai/v1/organizations", strings.NewReader(`{"name": "Acme", "slug": "not a slug"}`))
	r.Header.Set("Authorization", "Bearer secret")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code, strings.Contains(w.Body.String(), `"location":"body.slug"`))
	// Output: 400 true
}
