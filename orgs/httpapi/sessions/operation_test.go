package sessions_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/httpapi/sessions"
)

// TestWhatIsDescribedIsServed: every call that is described answers who may not, and reads the fields that are described
// and no other.
func TestWhatIsDescribedIsServed(t *testing.T) {
	w := onMemory(t)
	open := 0
	for _, op := range sessions.Operations() {
		path := strings.NewReplacer("{user}", "me", "{session}", "current").Replace(op.Path)
		name := op.Method + " " + op.Path
		if op.Open {
			open++
			w.fails(400, "invalid_request", op.Method, path, `{"unknown": 1}`, "")
		} else {
			w.fails(401, "missing_api_key", op.Method, path, "", "")
		}
		if op.Query != nil {
			w.fails(400, "invalid_request", op.Method, path+"?unknown=1", "", w.signIn())
			for _, f := range reflect.VisibleFields(reflect.TypeOf(op.Query)) {
				o := w.fails(400, "invalid_request", op.Method, path+"?"+f.Tag.Get("query")+"=x%FFx", "", w.signIn())
				require.Equal(t, "query."+f.Tag.Get("query"), o["errors"].([]any)[0].(object)["location"], name)
			}
		}
		if op.Body == nil {
			continue
		}
		for _, f := range reflect.VisibleFields(reflect.TypeOf(op.Body)) {
			field, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			o := w.fails(400, "invalid_request", op.Method, path, `{"`+field+`": 7}`, w.signIn())
			require.Equal(t, object{"location": "body." + field, "code": "type"}, object{"location": o["errors"].([]any)[0].(object)["location"], "code": o["errors"].([]any)[0].(object)["code"]}, name)
		}
	}
	require.Equal(t, 3, open)
}

// Answers have the fields that are described.
func TestAnswersAreAsDescribed(t *testing.T) {
	w := onMemory(t)
	described := map[string]any{}
	for _, op := range sessions.Operations() {
		described[op.Method+" "+op.Path] = op.Answer
	}
	like := func(name, path, body, token string, status int) object {
		method, _, _ := strings.Cut(name, " ")
		o := w.call(status, method, path, body, token)
		text, err := json.Marshal(o)
		require.NoError(t, err)
		d := json.NewDecoder(strings.NewReader(string(text)))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(reflect.New(reflect.TypeOf(described[name])).Interface()), name)
		return o
	}
	token := like("POST /v1/sessions", "/v1/sessions", `{"email": "`+email+`", "password": "`+password+`"}`, "", 201)["token"].(string)
	like("GET /v1/sessions", "/v1/sessions", "", token, 200)
	like("GET /v1/sessions/current", "/v1/sessions/current", "", token, 200)
	like("GET /v1/users/{user}/mfa", "/v1/users/me/mfa", "", token, 200)
	like("POST /v1/users/{user}/mfa", "/v1/users/me/mfa", "", token, 201)
	like("PUT /v1/users/{user}/password", "/v1/users/me/password", `{"current_password": "`+password+`", "password": "`+another+`"}`, token, 200)
	like("POST /v1/users/{user}/password-resets", "/v1/users/"+w.user.ID+"/password-resets", "", adminKey, 201)
	like("DELETE /v1/sessions", "/v1/sessions", "", token, 200)
	require.True(t, slices.Contains([]int{401}, w.do("GET", "/v1/sessions", "", token).Code))
}
