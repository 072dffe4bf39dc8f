package locktera_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/locktera"
	"github.com/orgkit/orgkit/store/memory"
)

func Example() {
	m, _ := orgs.New(memory.New(nil), nil)
	defer m.Close()
	handler, _ := locktera.New(m, &locktera.Options{AdminKey: "the key of the operator"})
	mux := http.NewServeMux()
	for _, path := range []string{"/org", "/orgs", "/orgs/"} {
		mux.Handle(path, handler)
	}

	call := func(method, path, body string) {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("X-API-Key", "the key of the operator")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	mux.ServeHTTP(httptest.NewRecorder(), operator("POST", "/orgs", `{"name": "Acme"}`))
	call("PUT", "/orgs/acme/customizations", `{"theme": "dark"}`)
	call("GET", "/orgs/acme/tags", "")
	call("DELETE", "/orgs/acme", "")
	call("GET", "/orgs/acme", "")
	// Output:
	// 200 {"message":"Organization customizations updated successfully","customizations":{"theme":"dark"}}
	// 200 []
	// 200 {"message":"Organization deleted successfully"}
	// 404 {"message":"Not found","code":404,"fields":{}}
}

func operator(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer the key of the operator")
	return r
}
