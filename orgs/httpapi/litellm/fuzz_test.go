package litellm_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// FuzzBodies: whatever is sent, the dialect answers with what it did or with what is wrong, in JSON, and what was stored can
// be read.
func FuzzBodies(f *testing.F) {
	for _, steps := range flows {
		for _, s := range steps {
			f.Add(s.method, s.path, s.body)
		}
	}
	f.Add("PATCH", "/organization/update", `{"organization_id":"research","object_permission":{"vector_stores":["*",""],"mcp_tool_permissions":{"":["a"],"b":null},"agents":null},"model_aliases":{"":"x","a":null}}`)
	f.Add("POST", "/key/generate", `{"organization_id":"research","models":["no-default-models","*"],"aliases":{"a":"\u0000"},"object_permission":{"skills":[""]}}`)
	f.Add("POST", "/organization/new", `{"organization_alias":"A","max_budget":1e308,"tpm_limit":"9e18","model_max_budget":{"*":{"budget_limit":"1e-9","time_period":"1mo"}}}`)
	f.Add("PATCH", "/organization/update", `{"organization_id":"research","metadata":{"model_rpm_limit":{"m":1}},"litellm_budget_table":{"max_budget":"x"},"tags":[null],"blocked":"on"}`)
	f.Add("POST", "/organization/member_add", `{"organization_id":"research","member":{"role":"internal_user","user_id":"a@b","user_email":"x@y.z"},"max_budget_in_organization":"1"}`)
	f.Add("POST", "/team/new", `{"organization_id":"research","team_alias":"\u0000","members_with_roles":[{"role":"user","user_id":"me"}]}`)
	f.Add("POST", "/key/generate", `{"organization_id":"research","duration":"99999mo","metadata":{"a":[]}}`)
	f.Add("POST", "/user/new", `{"user_id":"usr_1","organizations":["research"],"teams":["x"]}`)
	f.Fuzz(func(t *testing.T, method, path, body string) {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " %?#\x7f") || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r > '~' }) {
			return
		}
		switch method {
		case "GET", "POST", "PATCH", "DELETE":
		default:
			return
		}
		g := newGateway(t, storetest.Open(t, "memory", store.Options{NewID: storetest.IDs()}), litellm.Options{})
		g.must("POST", "/organization/new", `{"organization_alias":"Research","organization_id":"research","max_budget":1,"budget_duration":"1d"}`)
		w := serve(g.h, request(method, path, body))
		if w.Code >= 500 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if w.Code != http.StatusMovedPermanently && w.Code != http.StatusTemporaryRedirect {
			require.True(t, json.Valid(w.Body.Bytes()), "%s", w.Body)
		}
		g.rows(master, "GET", "/organization/list", "")
		g.rows(master, "GET", "/budget/list", "")
	})
}

// FuzzDuration: what is taken as a duration has an end that lies ahead, and says the same again.
func FuzzDuration(f *testing.F) {
	for _, s := range []string{"30d", "1mo", "7d", "2h", "36h", "90s", "5min", "1month", "", "none", "0d", "1", "d", "999999999mo", "-1d", "1.5h", "60S"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		clock := storetest.NewClock()
		g := newGateway(t, storetest.Open(t, "memory", store.Options{Now: clock.Now, NewID: storetest.IDs()}), litellm.Options{})
		body, err := json.Marshal(map[string]string{"budget_id": "gold", "budget_duration": text})
		require.NoError(t, err)
		code, v := g.send(master, "POST", "/budget/new", string(body))
		if code != 200 {
			require.Contains(t, []int{400, 422}, code, "%v", v)
			return
		}
		is := v.(object)
		if is["budget_duration"] == nil {
			require.Nil(t, is["budget_reset_at"])
			return
		}
		at, err := time.Parse(time.RFC3339, is["budget_reset_at"].(string))
		require.NoError(t, err)
		require.True(t, at.After(clock.Now()))
		again := g.must("POST", "/budget/update", `{"budget_id":"gold","max_budget":1}`)
		require.Equal(t, []any{is["budget_duration"], is["budget_reset_at"]}, []any{again["budget_duration"], again["budget_reset_at"]})
	})
}
