package opengatellm_test

import (
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/opengatellm"
	"github.com/orgkit/orgkit/store/memory"
)

func Example() {
	m, _ := orgs.New(memory.New(nil), nil)
	defer m.Close()
	handler, _ := opengatellm.New(m, &opengatellm.Options{AdminKey: "the master key"})

	call := func(method, path, body string) {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer the master key")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Body)))
	}
	call("POST", "/v1/admin/organizations", `{"name": "My Organization"}`)
	call("POST", "/v1/admin/organizations", `{"name": "My Organization"}`)
	call("PATCH", "/v1/admin/organizations/1", `{"name": "New Organization Name"}`)
	call("DELETE", "/v1/admin/organizations/1", "")
	call("GET", "/v1/admin/organizations?limit=10", "")
	// Output:
	// 201 {"id":1}
	// 409 {"detail":"Organization already exists."}
	// 204
	// 204
	// 200 {"object":"list","data":[]}
}
