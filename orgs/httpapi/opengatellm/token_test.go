package opengatellm_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/opengatellm"
)

const (
	tokens  = "/v1/admin/tokens"
	ownKeys = "/v1/me/keys"
)

// inhabited has Ann in organization 1, and Bob in none.
func inhabited(w *world) {
	seeded(w)
	w.create(users, person("ann@b.example", `, "name": "Ann", "organization": 1`))
	w.create(users, person("bob@b.example", ""))
}

// tokenOf makes a token of a user.
func (w *world) tokenOf(user int, more string) string {
	w.t.Helper()
	return w.call(201, "POST", tokens, fmt.Sprintf(`{"name": "t", "user": %d%s}`, user, more)).(object)["token"].(string)
}

func TestTokensOfTheSeed(t *testing.T) { // F413
	each(t, func(t *testing.T, w *world) {
		inhabited(w)
		soon := w.clock.Now().Add(time.Hour).Unix()
		w.golden("a/token.create", "POST", tokens, fmt.Sprintf(`{"name": "my token", "user": 1, "expires": %d}`, soon))
		w.golden("a/token", "GET", tokens+"/1", "")
		w.tokenOf(2, "")
		w.golden("a/tokens", "GET", tokens+"?user=1&offset=0&limit=10&order_by=id&order_direction=asc", "")
		w.golden("a/token.invalid", "POST", tokens, `{"name": "", "user": "1", "expires": 1}`)
		w.golden("a/token.user", "POST", tokens, `{"name": "x", "user": 9}`)
		require.Equal(t, []any{2.0, 1.0}, w.list(tokens+"?order_direction=desc", "id"))
		require.Empty(t, w.list(tokens+"?user=9", "id"))
		w.fails(404, "Token not found.", "DELETE", tokens+"/1?user=2", "")
		w.golden("a/token.delete", "DELETE", tokens+"/1?user=1", "")
		w.golden("a/token.missing", "GET", tokens+"/1", "")
		require.Equal(t, []any{2.0}, w.list(tokens, "id"))
		require.Equal(t, 3, w.create(tokens, fmt.Sprintf(`{"name": "t", "user": 2, "expires": %d}`, soon)), "an equal name is fine")
		w.clock.Advance(time.Hour)
		require.Equal(t, []any{2.0}, w.list(tokens, "id"), "what has expired is left out")
	})
}

func TestTokensOfTheNewestGeneration(t *testing.T) { // F413, F414
	w := onMemory(t, &opengatellm.Options{Generation: opengatellm.GenerationC, KeyMaxExpirationDays: 30})
	inhabited(w)
	const keys = "/v1/admin/keys"
	made := w.golden("c/key.create", "POST", keys, `{"name": "first", "user_id": 1}`).(object)
	w.golden("c/keys", "GET", keys+"?sort_by=name&status=active", "")
	w.golden("c/key.late", "POST", keys, fmt.Sprintf(`{"name": "late", "user": 1, "expires": %d}`, w.clock.Now().AddDate(0, 0, 31).Unix()))
	ann := w.as(made["value"].(string))
	ann.golden("c/own_key.create", "POST", "/v1/keys", `{"name": "second"}`)
	ann.golden("c/own_key.rename", "PATCH", "/v1/keys/2", `{"name": "other"}`)
	ann.golden("c/own_key.reserved", "POST", "/v1/keys", `{"name": "_system_playground_key"}`)
	ann.golden("c/own_key.delete", "DELETE", ownKeys+"/2", "")
	require.Equal(t, []any{"revoked"}, w.list(keys+"?status=revoked", "status"))
	require.Equal(t, 404, ann.do("GET", "/v1/admin/tokens", "").Code)
	w.golden("c/key.delete", "DELETE", keys+"/1", "")
	ann.golden("c/key.dead", "GET", "/v1/keys", "")
}

func TestOwnKeys(t *testing.T) { // F414
	each(t, func(t *testing.T, w *world) {
		inhabited(w)
		ann, bob := w.as(w.tokenOf(1, "")), w.as(w.tokenOf(2, ""))
		ann.golden("a/own_key.create", "POST", ownKeys, `{"name": "laptop"}`)
		ann.golden("a/own_keys", "GET", ownKeys, "")
		ann.golden("a/own_key", "GET", ownKeys+"/3", "")
		for _, method := range []string{"GET", "DELETE"} {
			bob.fails(404, "Token not found.", method, ownKeys+"/3", "")
			bob.fails(404, "Token not found.", method, ownKeys+"/99", "")
		}
		bob.fails(403, "Insufficient rights.", "GET", tokens, "")
		require.Equal(t, []any{2.0}, bob.list(ownKeys, "id"))
		ann.golden("a/own_key.delete", "DELETE", ownKeys+"/3", "")
		require.Equal(t, []any{1.0}, ann.list(ownKeys, "id"))
		require.Empty(t, w.list(ownKeys, "id"), "the platform is no person")
		w.fails(403, "Insufficient rights.", "POST", ownKeys, `{"name": "x"}`)

		u, err := w.Manager.User(w.Platform(), "ann@b.example")
		require.NoError(t, err)
		native := w.of(u)
		native.fails(403, "Insufficient rights.", "POST", ownKeys, `{"name": "x"}`) // a personal token begets none that outlives it
		page, err := w.Audit().List(t.Context(), "", audit.Filter{Types: []string{"token.created"}})
		require.NoError(t, err)
		for _, e := range page.Items {
			require.NotContains(t, fmt.Sprint(e), "sk-0", "no secret is in the log")
		}
	})
}

// TestATokenFollowsItsPerson has a token call models wherever its person is at home.
func TestATokenFollowsItsPerson(t *testing.T) { // F413
	each(t, func(t *testing.T, w *world) {
		inhabited(w)
		w.create(organizations, `{"name": "Second"}`)
		w.call(204, "PATCH", roles+"/1", `{"limits": `+open("small")+`}`)
		ann, bob := w.tokenOf(1, ""), w.tokenOf(2, "")
		require.Empty(t, w.calls(ann, "small"))
		require.Equal(t, "permission_denied", w.calls(bob, "small"), "nobody is to pay")
		w.call(204, "PATCH", users+"/2", `{"organization": 2}`)
		require.Empty(t, w.calls(bob, "small"))
		w.call(204, "PATCH", users+"/1", `{"organization": 2}`)
		require.Empty(t, w.calls(ann, "small"))
		w.call(204, "PATCH", users+"/1", `{}`)
		require.Equal(t, "permission_denied", w.calls(ann, "small"))
		require.Equal(t, "ann@b.example", w.as(ann).get("/v1/me/info")["email"], "and it is theirs all the same")
		w.call(204, "PATCH", users+"/1", `{"organization": 1}`)
		require.Empty(t, w.calls(ann, "small"))
		w.call(204, "DELETE", tokens+"/1", "")
		require.Equal(t, "invalid_api_key", w.calls(ann, "small"), "from the next call on")
		w.as(ann).fails(403, "Invalid API key.", "GET", "/v1/me/info", "")
		w.call(204, "DELETE", users+"/2", "")
		require.Equal(t, "invalid_api_key", w.calls(bob, "small"))
	})
}

// TestWhoMovesBetweenTheirOrganizations is about a home that changes while no membership does.
func TestWhoMovesBetweenTheirOrganizations(t *testing.T) { // F389, F413
	each(t, func(t *testing.T, w *world) {
		inhabited(w)
		w.create(organizations, `{"name": "Second"}`)
		w.call(204, "PATCH", roles+"/1", `{"limits": `+open("gpt-4o")+`}`)
		u, err := w.Manager.User(w.Platform(), "ann@b.example")
		require.NoError(t, err)
		page, err := w.Organizations(w.Platform(), orgs.OrganizationFilter{})
		require.NoError(t, err)
		second, first := page.Items[0], page.Items[1]
		require.Equal(t, "Second", second.Name)
		role, err := w.CreateRole(w.Platform(), second.ID, modelUser)
		require.NoError(t, err)
		_, err = w.AddMember(w.Platform(), orgs.Place{OrgID: second.ID}, orgs.NewMember{User: u.ID, Role: role.Slug})
		require.NoError(t, err)
		ann := w.tokenOf(1, "")
		for _, home := range []string{first.ID, second.ID, first.ID} {
			_, err = w.UpdateUser(w.Platform(), u.ID, orgs.UserUpdate{Home: &home})
			require.NoError(t, err)
			require.Empty(t, w.calls(ann, "gpt-4o"))
		}
		require.Equal(t, []int{2, 1}, []int{len(w.events(first.ID)), len(w.events(second.ID))})
	})
}

func TestExpiredAccountsAndKeys(t *testing.T) { // F391
	each(t, func(t *testing.T, w *world) {
		expires := seeded(w)
		w.call(204, "PATCH", roles+"/1", `{"limits": `+open("small")+`}`)
		w.create(users, person("ann@b.example", fmt.Sprintf(`, "organization": 1, "expires": %d`, expires)))
		key := w.tokenOf(1, "")
		ann := w.as(key)
		require.Empty(t, w.calls(key, "small"))
		w.clock.Set(time.Unix(expires, 0))
		require.Equal(t, "expired_api_key", w.calls(key, "small"))
		ann.golden("a/expired.me", "GET", "/v1/me/info", "")
		ann.golden("a/expired.keys", "GET", ownKeys, "")
		ann.golden("a/expired.chat", "POST", chat, asking("small"))
		for _, call := range [][2]string{{"PATCH", "/v1/me/info"}, {"GET", ownKeys}, {"GET", "/v1/me/usage"}, {"GET", organizations}} {
			ann.fails(403, "Invalid API key.", call[0], call[1], "")
		}
		w.call(204, "PATCH", users+"/1", `{"organization": 1}`)
		require.Empty(t, w.calls(key, "small"), "and is back at once")
	})
	w := onMemory(t, &opengatellm.Options{Generation: opengatellm.GenerationC})
	expires := seeded(w)
	w.call(201, "POST", users, person("ann@b.example", fmt.Sprintf(`, "expires": %d`, expires)))
	made := w.call(201, "POST", "/v1/admin/keys", `{"name": "x", "user": 1}`).(object)
	short := w.call(201, "POST", "/v1/admin/keys", fmt.Sprintf(`{"name": "x", "user": 1, "expires": %d}`, expires-1)).(object)
	w.clock.Set(time.Unix(expires, 0))
	w.as(made["value"].(string)).golden("c/expired_account", "GET", "/v1/keys", "")
	w.as(made["value"].(string)).get("/v1/me")
	w.as(short["value"].(string)).fails(401, "Invalid API key.", "GET", "/v1/me", "")
}
