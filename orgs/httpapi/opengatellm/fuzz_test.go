package opengatellm_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/opengatellm"
)

// FuzzBodies sends anything to every path: the answer is a success or says what is wrong, and nothing fails here.
func FuzzBodies(f *testing.F) {
	for _, body := range []string{`{"name": "x", "organization": 1, "limits": [{"router": 1, "type": "rpm", "value": 5}], "users": [1]}`,
		`{"email": "a@b.example", "password": "secure_password", "role": 1, "budget": 1e3, "expires": 99999999999}`,
		`{"name": "t", "user": 1, "project": 1}`, `{"rules": [{"type": "email", "value": "@x"}, {"type": "role", "role_id": 1}]}`,
		`{"limits": [{"router": "gpt", "type": "tpd", "value": null}, null, 7]}`, `{"email": "a@b.example", "token": "t"}`, `{"name": null}`, `[`, `{"expires": 1e40, "budget": "1", "user": -1}`} {
		for i := range uint(24) {
			f.Add(i, body, "limit=5&offset=1&order_by=name")
		}
	}
	f.Fuzz(func(t *testing.T, which uint, body, query string) {
		w := onMemory(t, &opengatellm.Options{Generation: opengatellm.GenerationC,
			IDToken: func(context.Context, string) (orgs.Asserted, error) {
				return orgs.Asserted{}, &orgs.SSORefused{Code: "bad_token"}
			}})
		seeded(w)
		w.call(201, "POST", users, person("first@b.example", `, "organization": 1`))
		calls := [][2]string{{"POST", organizations}, {"PATCH", organizations + "/1"}, {"GET", organizations}, {"POST", users}, {"PATCH", users + "/1"}, {"GET", users}, {"POST", roles},
			{"PATCH", roles + "/1"}, {"GET", roles}, {"POST", "/v1/admin/keys"}, {"GET", "/v1/admin/keys"}, {"DELETE", "/v1/admin/keys/1"}, {"POST", projects}, {"PATCH", projects + "/1"},
			{"GET", projects}, {"POST", projects + "/1/users"}, {"GET", routers}, {"PUT", policy}, {"POST", ssoLogin}, {"POST", ownKeys}, {"PATCH", info}, {"GET", usage}, {"GET", "/v1/usage"}, {"POST", login}}
		call := calls[which%uint(len(calls))]
		path := call[1]
		if call[0] == "GET" {
			path += "?x=" // what follows is no part of the request line
			if clean := json.Valid([]byte(`"` + query + `"`)); clean {
				path = call[1] + "?" + escaped(query)
			}
		}
		answer := w.do(call[0], path, body)
		require.Less(t, answer.Code, 500, "%s %s %q: %s", call[0], path, body, answer.Body)
		if answer.Body.Len() > 0 {
			require.True(t, json.Valid(answer.Body.Bytes()), "%s", answer.Body)
		}
	})
}

// escaped keeps what a request line can have.
func escaped(query string) string {
	var b []byte
	for i := range len(query) {
		if c := query[i]; c > ' ' && c < 0x7f && c != '#' {
			b = append(b, c)
		}
	}
	return string(b)
}
