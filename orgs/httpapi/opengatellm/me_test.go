package opengatellm_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/opengatellm"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

const (
	info  = "/v1/me/info"
	usage = "/v1/me/usage"
	login = "/v1/auth/login"
)

// modelUser is a role that lets somebody use models.
var modelUser = rbac.NewRole{Name: "Model user", Slug: "model_user", Permissions: []string{"api_keys.use", "models.use"}}

// events are what has been used in an organization.
func (w *world) events(orgID string) (list []billing.UsageEvent) {
	w.t.Helper()
	require.NoError(w.t, w.Metering().Flush(w.t.Context()))
	require.NoError(w.t, w.Store().View(w.t.Context(), func(ctx context.Context, tx *store.Tx) error {
		list = nil
		for e, err := range w.Metering().Events(ctx, tx, orgID, time.Unix(0, 0), w.clock.Now().AddDate(1, 0, 0)) {
			if err != nil {
				return err
			}
			list = append(list, e)
		}
		return nil
	}))
	return list
}

func TestOwnAccount(t *testing.T) { // F414
	each(t, func(t *testing.T, w *world) {
		expires := seeded(w)
		w.call(204, "PATCH", roles+"/1", `{"permissions": ["read_metric"], "limits": [{"router": 1, "type": "rpm", "value": 5}, {"router": "small", "type": "tpd", "value": 0}]}`)
		w.create(users, person("ann@b.example", fmt.Sprintf(`, "name": "Ann", "organization": 1, "budget": 5.5, "priority": 2, "expires": %d`, expires)))
		w.create(users, person("bob@b.example", ""))
		ann := w.as(w.tokenOf(1, ""))
		ann.golden("a/me", "GET", info, "")
		w.golden("a/me.master", "GET", info, "")
		ann.golden("a/me.update", "PATCH", info, `{"name": "Ann Lee"}`)
		ann.golden("a/me.password", "PATCH", info, `{"password": "another_password", "current_password": "wrong"}`)
		ann.fails(401, "Invalid current password.", "PATCH", info, `{"email": "new@b.example"}`)
		ann.fails(409, "User already exists.", "PATCH", info, `{"email": "BOB@b.example", "current_password": "secure_password"}`)
		ann.fails(403, "Reserved email.", "PATCH", info, `{"email": "master", "current_password": "secure_password"}`)
		ann.call(204, "PATCH", info, `{"email": "new@b.example", "current_password": "secure_password", "password": "another_password", "budget": 1000, "expires": null, "role": 9}`)
		is := ann.get(info)
		require.Equal(t, []any{"new@b.example", "Ann Lee", 5.5, float64(expires), 1.0}, []any{is["email"], is["name"], is["budget"], is["expires"], is["organization"]},
			"budget, expires and organization are no business of their owner")
		w.call(200, "POST", login, `{"email": "new@b.example", "password": "another_password"}`)
		require.Equal(t, "string_too_short", ann.invalid("PATCH", info, `{"name": ""}`)["type"])
		require.Equal(t, "value_error", ann.invalid("PATCH", info, `{"password": "short", "current_password": "another_password"}`)["type"])
		w.fails(403, "Insufficient rights.", "PATCH", info, `{"name": "x"}`)
		page, err := w.Audit().List(t.Context(), "", audit.Filter{Types: []string{"user.updated"}})
		require.NoError(t, err)
		u, err := w.Manager.User(w.Platform(), "new@b.example")
		require.NoError(t, err)
		require.Equal(t, u.ID, page.Items[0].ActorID, "the log says who it was")
	})
}

func TestGuessesAtOnesOwnPasswordAreSlowed(t *testing.T) { // F414
	w := onMemory(t, nil)
	inhabited(w)
	ann := w.as(w.tokenOf(1, ""))
	guess := func(current string) int {
		return ann.do("PATCH", info, fmt.Sprintf(`{"password": "another_password", "current_password": %q}`, current)).Code
	}
	for range 6 {
		require.Equal(t, 401, guess("wrong"))
	}
	require.Equal(t, 401, ann.do("PATCH", info, `{"password": "another_password"}`).Code, "who names none does not guess")
	ann.golden("a/me.slowed", "PATCH", info, `{"password": "another_password", "current_password": "secure_password"}`)
	w.clock.Advance(time.Minute)
	require.Equal(t, 204, guess("secure_password"))
	require.Equal(t, 401, guess("secure_password"), "it is another one now")
}

// TestTheTokenOfALoginWorksForAsLongAsTheOptionSays, and no longer.
func TestTheTokenOfALoginWorksForAsLongAsTheOptionSays(t *testing.T) { // F416
	w := onMemory(t, &opengatellm.Options{PlaygroundDuration: 10 * time.Minute})
	inhabited(w)
	made := w.as("").call(200, "POST", login, `{"email": "ann@b.example", "password": "secure_password"}`).(object)
	ann := w.as(made["key"].(string))
	w.clock.Advance(10*time.Minute - time.Second)
	ann.get(info)
	w.clock.Advance(time.Second)
	ann.fails(403, "Invalid API key.", "GET", info, "")
}

func TestLogin(t *testing.T) { // F410, F416
	each(t, func(t *testing.T, w *world) {
		inhabited(w)
		nobody := w.as("")
		made := nobody.golden("a/login", "POST", login, `{"email": "ann@b.example", "password": "secure_password"}`).(object)
		ann := w.as(made["key"].(string))
		require.Equal(t, []any{"playground"}, ann.list(ownKeys, "name"))
		nobody.golden("a/login.wrong", "POST", login, `{"email": "ann@b.example", "password": "wrong"}`)
		nobody.golden("a/login.unknown", "POST", login, `{"email": "nobody@b.example", "password": "wrong"}`)
		nobody.golden("a/login.invalid", "POST", login, `{"email": "ann@b.example"}`)
		nobody.golden("a/login.master", "POST", login, fmt.Sprintf(`{"email": "master", "password": %q}`, adminKey))
		nobody.fails(401, "Invalid current password.", "POST", login, `{"email": "Master", "password": "wrong"}`)
		nobody.fails(401, "Invalid current password.", "POST", login, fmt.Sprintf(`{"email": "master", "password": %q}`, made["key"]))
		_ = w.User("idp@b.example")
		nobody.fails(404, "Password not set, please contact an administrator.", "POST", login, `{"email": "idp@b.example", "password": "wrong"}`)

		again := nobody.call(200, "POST", login, `{"email": "ANN@b.example", "password": "secure_password"}`).(object)
		ann.fails(403, "Invalid API key.", "GET", info, "") // the one before has ended
		ann = w.as(again["key"].(string))
		ann.get(info)
		w.clock.Advance(time.Hour)
		ann.fails(403, "Invalid API key.", "GET", info, "")
		page, err := w.Audit().List(t.Context(), w.organization(t), audit.Filter{Types: []string{"authentication.login"}})
		require.NoError(t, err)
		require.Len(t, page.Items, 2)
	})
}

func TestLoginsAreSlowedAndHidden(t *testing.T) { // F410
	w := onMemory(t, &opengatellm.Options{Generation: opengatellm.GenerationC, HideUnknownUsers: true})
	inhabited(w)
	nobody := w.as("")
	nobody.golden("c/login", "POST", login, `{"email": "ann@b.example", "password": "secure_password"}`)
	nobody.fails(401, "Invalid password.", "POST", login, `{"email": "nobody@b.example", "password": "wrong"}`)
	status := 0
	for range 12 {
		answer := nobody.do("POST", login, `{"email": "bob@b.example", "password": "wrong"}`)
		if status = answer.Code; status == http.StatusTooManyRequests {
			require.NotEmpty(t, answer.Header().Get("Retry-After"))
			break
		}
		require.Equal(t, 401, status)
	}
	require.Equal(t, http.StatusTooManyRequests, status)
	require.Equal(t, http.StatusTooManyRequests, nobody.do("POST", login, `{"email": "bob@b.example", "password": "secure_password"}`).Code)
}

func TestOwnUsage(t *testing.T) { // F414, F415
	each(t, func(t *testing.T, w *world) {
		inhabited(w)
		w.call(204, "PATCH", roles+"/1", `{"limits": `+open("gpt-4o", "small")+`}`)
		w.call(204, "PATCH", users+"/2", `{"organization": 1}`)
		key, others := w.tokenOf(1, ""), w.tokenOf(2, "")
		ann := w.as(key)
		require.Empty(t, w.calls(key, "gpt"))
		require.Empty(t, w.calls(others, "gpt"))
		w.clock.Advance(25 * time.Hour)
		require.Empty(t, w.calls(key, "small"))
		ann.golden("a/usage", "GET", usage, "")
		require.Equal(t, []any{"small"}, ann.list(usage+"?limit=1", "model"), "the newest first")
		require.Equal(t, []any{"gpt-4o"}, ann.list(usage+"?offset=1", "model"))
		require.Equal(t, []any{"gpt-4o"}, ann.list(fmt.Sprintf("%s?end_time=%d", usage, w.clock.Now().Add(-time.Hour).Unix()), "model"))
		require.Empty(t, ann.list(usage+"?endpoint=/v1/embeddings", "model"))
		require.Equal(t, "literal_error", ann.invalid("GET", usage+"?endpoint=/v1/other", "")["type"])
		require.Equal(t, "value_error", ann.invalid("GET", usage+"?start_time=5&end_time=4", "")["type"])
		require.Empty(t, w.list(usage, "model"))

		c, err := opengatellm.New(w.Manager, &opengatellm.Options{AdminKey: adminKey, SignIn: w.signin, Generation: opengatellm.GenerationC})
		require.NoError(t, err)
		ann.handler = c
		span := fmt.Sprintf("start_time=%d&end_time=%d", w.clock.Now().AddDate(0, 0, -3).Unix(), w.clock.Now().Unix())
		ann.golden("c/usage", "GET", "/v1/usage?"+span, "")
		require.Len(t, ann.list("/v1/usage?models=small&"+span, "cost"), 1)
		require.Len(t, ann.list("/v1/usage?key_id=1&"+span, "cost"), 2)
		ann.fails(404, "Token 2 not found.", "GET", "/v1/usage?key_id=2&"+span, "")
		require.Equal(t, "missing", ann.invalid("GET", "/v1/usage?start_time=1", "")["type"])
		ann.golden("c/organization.own", "GET", "/v1/organizations/me", "")
		ann.golden("c/me", "GET", "/v1/me", "")
	})
}

// TestAKeyIsNotItsPerson has a key of a project ask for what only its person may.
func TestAKeyIsNotItsPerson(t *testing.T) { // F382
	each(t, func(t *testing.T, w *world) {
		inhabited(w)
		u, err := w.Manager.User(w.Platform(), "ann@b.example")
		require.NoError(t, err)
		_, secret, err := w.CreateAPIKey(w.Platform(), orgs.NewAPIKey{Name: "k", Organization: w.organization(t), User: &u.ID, Permissions: []string{"models.use"}})
		require.NoError(t, err)
		key := w.as(secret)
		require.Equal(t, "ann@b.example", key.get(info)["email"])
		key.fails(403, "Insufficient rights.", "POST", ownKeys, `{"name": "more"}`)
		key.fails(403, "Insufficient rights.", "PATCH", info, `{"name": "x"}`)
		key.fails(403, "Insufficient rights.", "GET", users, "")
		id := key.list(ownKeys, "id")
		require.Len(t, id, 1)
		key.fails(403, "Insufficient rights.", "DELETE", fmt.Sprint(ownKeys, "/", id[0]), "")
		_, service, err := w.CreateAPIKey(w.Platform(), orgs.NewAPIKey{Name: "k", Organization: w.organization(t), User: new(string), Permissions: []string{"*"}})
		require.NoError(t, err)
		w.as(service).fails(403, "Insufficient rights.", "GET", info, "") // it is nobody's
	})
}
