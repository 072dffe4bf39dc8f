package litellm_test

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestAPostIsRepeatedByItsKey(t *testing.T) { // section 10
	each(t, litellm.Options{}, func(t *testing.T, g *gateway, _ *storetest.Clock) {
		g.acme()
		anna := g.join("acme-1", "anna", "org_admin")
		send := func(key, path, idempotency, body string) *httptest.ResponseRecorder {
			r := request("POST", path, body)
			r.Header.Set("Authorization", "Bearer "+key)
			r.Header.Set("Idempotency-Key", idempotency)
			return serve(g.h, r)
		}
		for _, c := range []struct{ path, body, other string }{
			{"/organization/new", `{"organization_alias":"Twice","max_budget":5}`, `{"organization_alias":"Other"}`},
			{"/organization/member_add", `{"organization_id":"acme-1","member":{"user_id":"bob","role":"internal_user"}}`, `{"organization_id":"acme-1","member":{"user_id":"carl","role":"internal_user"}}`},
			{"/team/new", `{"organization_id":"acme-1","team_alias":"Lab"}`, `{"organization_id":"acme-1","team_alias":"Labs"}`},
			{"/budget/new", `{"max_budget":1}`, `{"max_budget":2}`},
		} {
			first := send(master, c.path, "k-1", c.body)
			require.Equal(t, 200, first.Code, first.Body)
			again := send(master, c.path, "k-1", c.body)
			require.Equal(t, 200, again.Code, again.Body)
			require.JSONEq(t, first.Body.String(), again.Body.String())
			require.Equal(t, []string{"", "true"}, []string{first.Header().Get("Idempotency-Replayed"), again.Header().Get("Idempotency-Replayed")})
			require.Equal(t, 422, send(master, c.path, "k-1", c.other).Code, "another request under the same key")
		}
		require.Len(t, g.rows(master, "GET", "/organization/list?org_alias=Twice", ""), 1)
		second := send(master, "/team/new", "k-2", `{"organization_id":"acme-1","team_alias":"Lab"}`)
		require.Equal(t, 200, second.Code, "names of teams need not be unique: %s", second.Body)
		require.Equal(t, 400, send(master, "/budget/new", "a b", `{}`).Code)

		// What fails is not kept, a key is the caller's own, and a secret is told once.
		require.Equal(t, 400, send(master, "/organization/new", "k-3", `{"organization_alias":"Late","budget_id":"late"}`).Code)
		g.must("POST", "/budget/new", `{"budget_id":"late"}`)
		require.Equal(t, 200, send(master, "/organization/new", "k-3", `{"organization_alias":"Late","budget_id":"late"}`).Code)
		mine, others := send(anna, "/key/generate", "k-4", `{"organization_id":"acme-1"}`), send(master, "/key/generate", "k-4", `{"organization_id":"acme-1"}`)
		require.Equal(t, []int{200, 200}, []int{mine.Code, others.Code})
		require.NotEqual(t, mine.Body.String(), others.Body.String())
		require.Contains(t, mine.Body.String(), `"key":"sk-`)
		again := send(anna, "/key/generate", "k-4", `{"organization_id":"acme-1"}`)
		require.Equal(t, 200, again.Code)
		require.NotContains(t, again.Body.String(), `"key":"sk-`)
		require.Contains(t, again.Body.String(), `"key":""`)
	})
}
