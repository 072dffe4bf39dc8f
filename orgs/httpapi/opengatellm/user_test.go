package opengatellm_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/opengatellm"
	"github.com/orgkit/orgkit/orgs/signin"
)

const (
	users    = "/v1/admin/users"
	roles    = "/v1/admin/roles"
	password = "secure_password"
)

// seeded is a world with the role and the organization of the page, and a time that lies in the future.
func seeded(w *world) (expires int64) {
	w.t.Helper()
	require.Equal(w.t, 1, w.create(roles, `{"name": "user"}`))
	require.Equal(w.t, 1, w.create(organizations, `{"name": "My Organization"}`))
	return w.clock.Now().Add(24 * time.Hour).Unix()
}

func person(email, more string) string {
	return fmt.Sprintf(`{"email": %q, "password": %q, "role": 1%s}`, email, password, more)
}

// TestTheSeedsUsers replays the calls of the page.
func TestTheSeedsUsers(t *testing.T) { // F384-F409
	each(t, func(t *testing.T, w *world) {
		expires := seeded(w)
		w.golden("a/user.create", "POST", users, fmt.Sprintf(`{"email": "john.doe@example.com", "name": "John Doe", "password": "secure_password", "role": 1, "organization": 1, "budget": 100.0, "expires": %d}`, expires))
		w.golden("a/users", "GET", users+"?role=1&organization=1&offset=0&limit=10&order_by=id&order_direction=asc", "")
		w.golden("a/user", "GET", users+"/1", "")
		w.golden("a/user.taken", "POST", users, person("John.Doe@example.com", ""))
		w.golden("a/user.update", "PATCH", users+"/1", `{"email": "new.email@example.com", "name": "John Smith", "budget": 200.0}`)
		w.golden("a/user.cleared", "GET", users+"/1", "") // organization and expires are gone, as that system has it
		w.golden("a/user.invalid", "POST", users, `{"email": "", "password": "x", "role": "admin", "budget": -1, "expires": 1735689600, "priority": 1.5}`)
		w.golden("a/user.missing", "GET", users+"/2", "")
		w.golden("a/role", "GET", roles+"/1", "")
		w.golden("a/user.delete", "DELETE", users+"/1", "")
		w.fails(404, "User not found.", "GET", users+"/1", "")
		require.Empty(t, w.list(users, "id"))
	})
}

func TestTheNewestGenerationOfUsers(t *testing.T) { // F384, F395, F399, F405, F409
	w := onMemory(t, &opengatellm.Options{Generation: opengatellm.GenerationC})
	seeded(w)
	w.golden("c/user.create", "POST", users, `{"email": "john.doe@example.com", "password": "secure_password", "role_id": 1, "organization_id": 1}`)
	w.golden("c/users", "GET", users+"?email=DOE@&organization_id=1", "")
	w.golden("c/users.none", "GET", users+"?email=nobody", "")
	w.golden("c/user.update.partial", "PATCH", users+"/1", `{"email": "a@example.com"}`)
	w.golden("c/user.update", "PATCH", users+"/1", `{"email": "a@example.com", "name": null, "role_id": 1, "organization_id": null, "budget": null, "expires": null, "priority": 3}`)
	w.golden("c/user.role", "POST", users, `{"email": "b@example.com", "password": "secure_password", "role_id": 9}`)
	w.golden("c/role.held", "DELETE", roles+"/1", "")
	w.golden("c/user.delete", "DELETE", users+"/1", "")
	w.golden("c/role.delete", "DELETE", roles+"/1", "")
}

func TestUsersAreCheckedInOrder(t *testing.T) { // F384-F391, F394
	each(t, func(t *testing.T, w *world) {
		expires := seeded(w)
		for body, want := range map[string]string{
			`{"password": "secure_password", "role": 1}`:                                         "missing",
			person("a@b.example", `, "name": ""`):                                                "string_too_short",
			person("a@b.example", `, "email": null`):                                             "string_type",
			person(strings.Repeat("a", 250)+"@b.example", ""):                                    "string_too_long",
			person("nobody", ""):                                                                 "value_error",
			`{"email": "a@b.example", "password": "short", "role": 1}`:                           "value_error",
			`{"email": "a@b.example", "password": "` + strings.Repeat("x", 73) + `", "role": 1}`: "string_too_long",
			person("a@b.example", `, "role": "1"`):                                               "int_type",
			person("a@b.example", `, "role_id": 2`):                                              "value_error",
			person("a@b.example", `, "budget": -0.01`):                                           "greater_than_equal",
			person("a@b.example", `, "budget": "5"`):                                             "float_type",
			person("a@b.example", `, "priority": -1`):                                            "greater_than_equal",
			person("a@b.example", fmt.Sprint(`, "expires": `, w.clock.Now().Unix())):             "value_error",
		} {
			fault := w.invalid("POST", users, body)
			require.Equal(t, want, fault["type"], body)
			require.Nil(t, fault["input"])
		}
		w.fails(403, "Reserved email.", "POST", users, `{"email": "Master", "password": "secure_password", "role": 9}`)
		w.golden("a/user.role", "POST", users, `{"email": "a@b.example", "password": "secure_password", "role": 9, "organization": 9}`)
		w.golden("a/user.organization", "POST", users, person("a@b.example", `, "organization": 9`))
		w.golden("a/user.password", "POST", users, `{"email": "a@b.example", "password": "short", "role": 1}`)
		w.golden("a/user.expired", "POST", users, person("a@b.example", `, "expires": 1`))
		require.Empty(t, w.list(users, "id"), "and nobody was made")
		w.create(users, person("a@b.example", fmt.Sprint(`, "organization": 1, "sub": "x", "iss": "y", "expires": `, expires)))
		w.fails(409, "User already exists.", "POST", users, person("A@B.example", ""))
		second := w.create(users, person("c@b.example", ""))
		w.fails(409, "User already exists.", "PATCH", fmt.Sprint(users, "/", second), `{"email": "a@b.example"}`)
		u := w.get(users + "/1")
		require.Equal(t, []any{nil, nil, nil, 1.0, 1.0, float64(expires), 0.0}, []any{u["sub"], u["iss"], u["budget"], u["role"], u["organization"], u["expires"], u["priority"]})
		_, err := w.signin.SignIn(t.Context(), signin.Credentials{Email: "a@b.example", Password: password})
		require.NoError(t, err)
		w.clock.Set(time.Unix(expires, 0))
		_, err = w.signin.SignIn(t.Context(), signin.Credentials{Email: "a@b.example", Password: password})
		require.Error(t, err, "they have expired")
		require.Equal(t, float64(expires), w.get(users + "/1")["expires"], "and admins see them all the same")
	})
}

func TestListsOfUsers(t *testing.T) { // F396-F403
	each(t, func(t *testing.T, w *world) {
		seeded(w)
		require.Equal(t, 2, w.create(roles, `{"name": "other"}`))
		w.create(users, person("c@b.example", `, "name": "x", "organization": 1`))
		w.create(users, person("a@b.example", `, "name": "z"`))
		w.create(users, `{"email": "b@b.example", "password": "secure_password", "role": 2, "name": "y"}`)
		_ = w.User("native@b.example") // of whom nobody here has heard
		for query, want := range map[string][]any{
			"":                            {1.0, 2.0, 3.0, 4.0},
			"?order_by=name":              {4.0, 1.0, 3.0, 2.0},
			"?order_direction=desc":       {4.0, 3.0, 2.0, 1.0},
			"?role=1":                     {1.0, 2.0},
			"?role=2":                     {3.0},
			"?role_id=9":                  nil,
			"?organization=1":             {1.0},
			"?organization=2":             nil,
			"?organization_id=1&role=2":   nil,
			"?email=A@b.example":          {2.0},
			"?offset=1&limit=2":           {2.0, 3.0},
			"?email=a@b.example&offset=1": nil,
		} {
			require.Equal(t, want, w.list(users+query, "id"), query)
		}
		w.golden("a/users.page", "GET", users+"?offset=1&limit=2&order_by=name&order_direction=desc", "")
		w.golden("a/users.email", "GET", users+"?email=c@b.example", "")
		w.golden("a/users.unknown", "GET", users+"?email=nobody@b.example", "")
		w.golden("a/users.invalid", "GET", users+"?role=admin&organization=mine&offset=-1&limit=0&order_by=email&order_direction=up", "")
		require.Equal(t, "int_parsing", w.invalid("GET", users+"?role=admin", "")["type"])
		require.Equal(t, "greater_than_equal", w.invalid("GET", users+"?offset=-1", "")["type"])
		require.Equal(t, []any{"user", "other", "default"}, w.list(roles, "name"), "who has no role here has that")
		require.Equal(t, []any{2.0, 1.0, 1.0}, w.list(roles, "users"))
	})
}

// TestPatchTakesAwayWhatItDoesNotName is the documented rule of that system, and its option.
func TestPatchTakesAwayWhatItDoesNotName(t *testing.T) { // F405-F408
	each(t, func(t *testing.T, w *world) {
		expires := seeded(w)
		w.create(organizations, `{"name": "Second"}`)
		shape := func(path string) []any {
			u := w.get(path)
			return []any{u["email"], u["name"], u["role"], u["organization"], u["budget"], u["expires"], u["priority"]}
		}
		full := fmt.Sprintf(`, "name": "Ann", "organization": 1, "budget": 5.5, "expires": %d, "priority": 2`, expires)
		w.create(users, person("ann@b.example", full))
		w.call(204, "PATCH", users+"/1", fmt.Sprintf(`{"email": null, "name": null, "role": null, "priority": null, "organization": 1, "budget": 5.5, "expires": %d}`, expires))
		require.Equal(t, []any{"ann@b.example", "Ann", 1.0, 1.0, 5.5, float64(expires), 2.0}, shape(users+"/1"))
		w.golden("a/user.organization.update", "PATCH", users+"/1", `{"organization": 2, "budget": 0}`)
		require.Equal(t, []any{"ann@b.example", "Ann", 1.0, 2.0, 0.0, nil, 2.0}, shape(users+"/1"))
		require.Equal(t, []any{0.0, 1.0}, w.list(organizations, "users"), "the membership has moved")
		w.call(204, "PATCH", users+"/1", ``)
		require.Equal(t, []any{"ann@b.example", "Ann", 1.0, nil, nil, nil, 2.0}, shape(users+"/1"))

		keeps, err := opengatellm.New(w.Manager, &opengatellm.Options{AdminKey: adminKey, SignIn: w.signin, PatchKeepsAbsent: true})
		require.NoError(t, err)
		w.handler = keeps
		w.create(users, person("bob@b.example", strings.Replace(full, "Ann", "Bob", 1)))
		w.call(204, "PATCH", users+"/2", `{"name": "Rob"}`)
		require.Equal(t, []any{"bob@b.example", "Rob", 1.0, 1.0, 5.5, float64(expires), 2.0}, shape(users+"/2"))
		w.call(204, "PATCH", users+"/2", `{"budget": null}`)
		require.Equal(t, []any{"bob@b.example", "Rob", 1.0, 1.0, nil, float64(expires), 2.0}, shape(users+"/2"), "its siblings stay")
		w.call(204, "PATCH", users+"/2", `{"organization": null, "expires": null}`)
		require.Equal(t, []any{"bob@b.example", "Rob", 1.0, nil, nil, nil, 2.0}, shape(users+"/2"))
		require.Equal(t, "value_error", w.invalid("PATCH", users+"/2", `{"password": "another_password", "current_password": "x"}`)["type"])
		w.call(204, "PATCH", users+"/2", `{"password": "another_password"}`)
		_, err = w.signin.SignIn(t.Context(), signin.Credentials{Email: "bob@b.example", Password: "another_password"})
		require.NoError(t, err)
	})
}

func TestTheOrganizationOfAUser(t *testing.T) { // F389
	each(t, func(t *testing.T, w *world) {
		seeded(w)
		w.create(organizations, `{"name": "Second"}`)
		w.create(users, person("ann@b.example", `, "organization": 1`))
		u, err := w.Manager.User(w.Platform(), "ann@b.example")
		require.NoError(t, err)
		third, _ := w.Org("third") // a membership of another dialect
		w.clock.Advance(time.Minute)
		_, err = w.AddMember(w.Platform(), orgs.Place{OrgID: third.ID}, orgs.NewMember{User: u.ID, Role: "member"})
		require.NoError(t, err)
		require.Equal(t, 1.0, w.get(users + "/1")["organization"])
		w.call(204, "PATCH", users+"/1", `{"organization": 2}`)
		require.Equal(t, 2.0, w.get(users + "/1")["organization"], "that which was given here, and not the oldest")
		w.call(204, "PATCH", users+"/1", `{}`)
		require.Equal(t, 3.0, w.get(users + "/1")["organization"], "what another dialect has made stays")
		w.call(204, "PATCH", users+"/1", `{"organization": 3}`)
		page, err := w.Members(w.Platform(), orgs.Place{OrgID: third.ID}, orgs.MemberFilter{})
		require.NoError(t, err)
		require.Len(t, page.Items, 2)
	})
}

func TestABudgetIsWhatIsLeft(t *testing.T) { // F390, F408
	each(t, func(t *testing.T, w *world) {
		seeded(w)
		w.create(users, person("ann@b.example", `, "organization": 1, "budget": 10`))
		u, err := w.Manager.User(w.Platform(), "ann@b.example")
		require.NoError(t, err)
		spend := func(cost string) error {
			c := decimal.RequireFromString(cost)
			r, err := w.Reserve(context.Background(), billing.Path{OrgID: w.organizationOf(t, u), UserID: u.ID}, &c)
			if err != nil {
				return err
			}
			return r.Settle(context.Background(), c)
		}
		require.NoError(t, spend("2.5000004"))
		require.Equal(t, 7.5, w.get(users + "/1")["budget"], "to six places, half to even")
		var over *billing.Exceeded
		require.ErrorAs(t, spend("8"), &over)
		w.call(204, "PATCH", users+"/1", `{"budget": 1, "organization": 1}`)
		require.Equal(t, 1.0, w.get(users + "/1")["budget"], "from now on")
		require.ErrorAs(t, spend("1.01"), &over)
		require.NoError(t, spend("1"))
		require.Equal(t, 0.0, w.get(users + "/1")["budget"])
		w.call(204, "PATCH", users+"/1", `{"organization": 1}`)
		require.Nil(t, w.get(users + "/1")["budget"])
		require.NoError(t, spend("1000"))
	})
}

func (w *world) organizationOf(t *testing.T, u orgs.User) string {
	page, err := w.Organizations(w.As(u), orgs.OrganizationFilter{})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	return page.Items[0].ID
}
