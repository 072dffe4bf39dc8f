package litellm_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

func Example() {
	clock := storetest.NewClock()
	m, err := orgs.New(memory.New(&memory.Options{Store: store.Options{Now: clock.Now}}), &orgs.Options{Enlisting: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	handler, err := litellm.New(m, &litellm.Options{AdminKey: "sk-1234"})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	for _, path := range litellm.Paths() {
		mux.Handle(path, handler)
	}

	// A client of LiteLLM has nothing changed but the host.
	post := func(path, body string) (int, string) {
		r := httptest.NewRequest("POST", path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer sk-1234")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	code, _ := post("/organization/new", `{"organization_id": "research", "organization_alias": "Research", "max_budget": 100, "budget_duration": "30d"}`)
	fmt.Println(code)
	code, _ = post("/organization/member_add", `{"organization_id": "research", "member": {"role": "org_admin", "user_id": "anna"}}`)
	fmt.Println(code)
	fmt.Println(post("/organization/new", `{"organization_id": "research", "organization_alias": "Twice"}`))
	// Output:
	// 200
	// 200
	// 409 {"detail":{"error":"Organization with id 'research' already exists."}}
}
