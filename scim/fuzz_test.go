package scim_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// FuzzBodies: whatever is sent, the service answers with what it did or with what is wrong, and the same way again.
func FuzzBodies(f *testing.F) {
	f.Add("POST", "/Users", `{`+userSchema+`,"userName":"a@b.org","emails":[{"value":"x","primary":"True"}],"active":"false"}`)
	f.Add("PATCH", "/Users/scu_000001", `{`+patchSchema+`,"Operations":[{"op":"add","path":"emails[type eq \"work\"].value","value":"1"}]}`)
	f.Add("PATCH", "/Groups/scg_000001", `{`+patchSchema+`,"Operations":[{"op":"remove","path":"members[value eq \"scu_000001\"]"},{"op":"add","value":{"members":["scu_000001"]}}]}`)
	f.Add("PUT", "/Groups/scg_000001", `{`+groupSchema+`,"displayName":"x","members":[{"$ref":"/Users/scu_000001"}]}`)
	f.Add("POST", "/Users/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"userName sw \"a\"","sortBy":"name.givenName","count":1e3}`)
	f.Add("POST", "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{"method":"POST","path":"/Users","bulkId":"a","data":{`+userSchema+`,"userName":"bulkId:b"}},{"method":"POST","path":"/Groups","bulkId":"b","data":{`+groupSchema+`,"displayName":"bulkId:a"}}]}`)
	f.Fuzz(func(t *testing.T, method, path, body string) {
		if _, err := url.ParseRequestURI("/scim/v2" + path); err != nil || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " \x7f") {
			return
		}
		if method != "POST" && method != "PUT" && method != "PATCH" {
			return
		}
		p := newProvider(t, storetest.Open(t, "memory", store.Options{NewID: storetest.IDs()}), "acme", nil)
		p.group("Staff", p.user("anna"))
		r := httptest.NewRequest(method, "/scim/v2"+path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+p.secret)
		w := httptest.NewRecorder()
		p.h.ServeHTTP(w, r)
		if w.Code >= 500 && w.Code != http.StatusNotImplemented {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if w.Code < 300 {
			require.Equal(t, 200, p.do("GET", "/Users", "").Code, "what was stored can be read")
			require.Equal(t, 200, p.do("GET", "/Groups", "").Code)
		}
	})
}

// FuzzCursor: a cursor that was not made here never shows anything.
func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add("AAAAAAAAAAAAAAAAAAAAAHsiaSI6IiJ9")
	f.Fuzz(func(t *testing.T, cursor string) {
		p, _ := here(t, nil)
		p.user("anna")
		a := p.do("GET", "/Users?cursor="+url.QueryEscape(cursor), "")
		if cursor == "" {
			require.Equal(t, 200, a.Code)
			return
		}
		require.Equal(t, 400, a.Code)
		require.Equal(t, "invalidCursor", a.json["scimType"])
	})
}
