package sessions_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/orgs/httpapi/rest"
	"github.com/orgkit/orgkit/orgs/httpapi/sessions"
	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/seal"
)

func Example() {
	key, _ := seal.ParseKey(seal.GenerateKey()) // a host keeps it
	sealer, _ := seal.New(key)
	m, _ := orgs.New(memory.New(nil), &orgs.Options{Seal: sealer})
	defer m.Close()
	service, _ := signin.New(m, &signin.Options{Seal: sealer, Issuer: "Example AI"})

	// One function for all that the host mounts: cookies of browsers, and bearer tokens.
	auth, _ := sessions.Cookie(m, httpapi.Bearer(m, "the key of the operator"), "https://console.example.com")
	api, _ := rest.New(m, &rest.Options{Authenticate: auth})
	handler, _ := sessions.New(service, api, &sessions.Options{Authenticate: auth, Origins: []string{"https://console.example.com"}})

	call := func(method, path, body, token string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	call("POST", "/v1/users", `{"email": "ann@acme.example"}`, "the key of the operator")
	call("PUT", "/v1/users/ann@acme.example/password", `{"password": "correct horse battery staple"}`, "the key of the operator")
	in := call("POST", "/v1/sessions", `{"email": "ann@acme.example", "password": "correct horse battery staple", "cookie": true}`, "")
	fmt.Println(in.Code, in.Result().Cookies()[0].Name)

	r := httptest.NewRequest("GET", "/v1/users/me", nil)
	r.AddCookie(in.Result().Cookies()[0])
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(http.StatusText(w.Code))
	// Output:
	// 201 __Host-orgkit_session
	// OK
}
