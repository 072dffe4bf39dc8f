package opengatellm_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/opengatellm"
)

// confined is the same program with a handler below a root, an organization that the other one knows as number 2; 1 has Ann, a
// project and a token of hers.
func (w world) confined(o opengatellm.Options) (*world, orgs.Organization) {
	w.t.Helper()
	inhabited(&w)
	w.create(projects, `{"name": "Theirs", "organization": 1}`)
	w.tokenOf(1, "")
	root, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "Root", Slug: "acme"})
	require.NoError(w.t, err)
	require.Equal(w.t, []any{1.0, 2.0}, w.list(organizations, "id"))
	o.AdminKey, o.SignIn, o.Root = adminKey, w.signin, "acme"
	w.handler, err = opengatellm.New(w.Manager, &o)
	require.NoError(w.t, err)
	return &w, root
}

// TestARootHidesAllThatIsNotBelowIt: nothing of the rest is listed, found, named or changed, whoever calls.
func TestARootHidesAllThatIsNotBelowIt(t *testing.T) { // F369-F379, F396-F403, F410, F411
	each(t, func(t *testing.T, w *world) {
		in, root := w.confined(opengatellm.Options{})
		require.Equal(t, []any{"Root"}, in.list(organizations, "name"))
		for _, path := range []string{users, roles, tokens, projects, users + "?role=1", users + "?organization=1", projects + "?organization=1", tokens + "?user=1"} {
			require.Empty(t, in.list(path, "id"), path)
		}
		in.fails(404, "User not found.", "GET", users+"?email=ann@b.example", "")
		for path, noun := range map[string]string{organizations + "/1": "Organization", users + "/1": "User", roles + "/1": "Role", tokens + "/1": "Token", projects + "/1": "Project"} {
			in.fails(404, noun+" not found.", "GET", path, "")
			in.fails(404, noun+" not found.", "DELETE", path, "")
			if noun != "Token" {
				in.fails(404, noun+" not found.", "PATCH", path, `{"name": "taken over"}`)
			}
		}
		in.fails(404, "Project not found.", "GET", projects+"/1/users", "")
		in.fails(404, "Project not found.", "POST", projects+"/1/users", `{"user": 1}`)
		in.fails(404, "Role not found.", "POST", users, person("eve@b.example", ""))
		in.fails(404, "User not found.", "POST", tokens, `{"name": "t", "user": 1}`)
		in.fails(404, "Organization not found.", "POST", projects, `{"name": "p", "organization": 1}`)

		// What is made is made below it, by names that others may have.
		role, org := in.create(roles, `{"name": "user"}`), in.create(organizations, `{"name": "My Organization"}`)
		in.fails(409, "Role already exists.", "POST", roles, `{"name": "user"}`)
		in.fails(409, "Organization already exists.", "POST", organizations, `{"name": "My Organization"}`)
		page, err := w.Organizations(w.Platform(), orgs.OrganizationFilter{Parent: root.ID})
		require.NoError(t, err)
		require.Len(t, page.Items, 1)
		as := func(email, more string) int {
			return in.create(users, fmt.Sprintf(`{"email": %q, "password": "secure_password", "role": %d%s}`, email, role, more))
		}
		in.fails(404, "Organization not found.", "POST", users, fmt.Sprintf(`{"email": "eve@b.example", "password": "secure_password", "role": %d, "organization": 1}`, role))
		eve, dan := as("eve@b.example", fmt.Sprintf(`, "organization": %d`, org)), as("dan@b.example", "")
		in.fails(409, "User already exists.", "POST", users, fmt.Sprintf(`{"email": "ann@b.example", "password": "secure_password", "role": %d}`, role))
		p := in.create(projects, fmt.Sprintf(`{"name": "Theirs", "organization": %d, "users": [%d]}`, org, eve))
		in.fails(404, "User not found.", "POST", fmt.Sprint(projects, "/", p, "/users"), `{"user": 1}`)
		in.tokenOf(eve, "")
		in.tokenOf(eve, fmt.Sprintf(`, "project": %d`, p))
		in.fails(404, "Project not found.", "POST", tokens, fmt.Sprintf(`{"name": "t", "user": %d, "project": 1}`, eve))
		ids := func(n ...int) (list []any) {
			for _, id := range n {
				list = append(list, float64(id))
			}
			return list
		}
		for path, want := range map[string][]any{
			organizations: ids(2, org), users: ids(eve, dan), roles: ids(role), tokens: ids(2, 3), projects: ids(p),
			users + fmt.Sprint("?organization=", org): ids(eve), users + "?organization=2": ids(dan), users + "?email=eve@b.example": ids(eve),
			users + fmt.Sprint("?role=", role): ids(eve, dan), users + "?offset=1&limit=1": ids(dan), projects + fmt.Sprint("?organization=", org): ids(p),
		} {
			require.Equal(t, want, in.list(path, "id"), path)
		}
		require.Equal(t, []any{float64(org), 2.0}, in.list(users, "organization"), "who is in none is in the root")
		require.Equal(t, []any{2.0}, in.list(roles, "users"))
		made, err := w.Manager.User(w.Platform(), "eve@b.example")
		require.NoError(t, err)
		require.False(t, made.EmailVerified, "an admin of a part proves no address to the rest")
		require.Equal(t, ids(1, 2, org), w.list(organizations, "id"), "a handler without a root sees it all")
		require.Equal(t, ids(1, role), w.list(roles, "id"))

		// Whose organization is taken away stays below it.
		for range 2 {
			in.call(204, "PATCH", fmt.Sprint(users, "/", eve), `{"name": "Eve"}`)
			require.Equal(t, []any{2.0, 2.0}, in.list(users, "organization"))
		}
		in.fails(404, "Organization not found.", "PATCH", fmt.Sprint(users, "/", eve), `{"organization": 1}`)
		in.fails(404, "Role not found.", "PATCH", fmt.Sprint(users, "/", eve), `{"role": 1}`)
		in.call(204, "DELETE", fmt.Sprint(users, "/", dan), "")
		in.fails(403, "Insufficient rights.", "DELETE", organizations+"/2", "")
		in.call(204, "DELETE", fmt.Sprint(projects, "/", in.create(projects, `{"name": "x", "organization": 2}`)), "")
	})
}

// TestAdminsOfARootAreThoseOfNothingElse: neither their role nor anybody's that they give counts anywhere else.
func TestAdminsOfARootAreThoseOfNothingElse(t *testing.T) { // F368, F388, S1
	each(t, func(t *testing.T, w *world) {
		in, root := w.confined(opengatellm.Options{ProtectLastAdmin: true})
		role := in.create(roles, `{"name": "admins", "permissions": ["admin"]}`)
		eve := in.create(users, fmt.Sprintf(`{"email": "eve@b.example", "password": "secure_password", "role": %d}`, role))
		token := in.tokenOf(eve, "")
		in.as(token).get(organizations)
		in.as(token).fails(404, "User not found.", "GET", users+"/1", "")
		w.as(token).fails(403, "Insufficient rights.", "GET", organizations, "")
		in.fails(409, "Last admin user cannot be removed.", "PATCH", fmt.Sprint(roles, "/", role), `{"permissions": []}`)

		// Who is not there any more is not the last one, either.
		left := in.create(users, fmt.Sprintf(`{"email": "left@b.example", "password": "secure_password", "role": %d}`, role))
		in.call(204, "PATCH", fmt.Sprint(users, "/", left), `{}`)
		w.call(204, "PATCH", fmt.Sprint(users, "/", left), `{"organization": 1}`)
		in.fails(404, "User not found.", "GET", fmt.Sprint(users, "/", left), "")
		in.fails(409, "Last admin user cannot be removed.", "DELETE", fmt.Sprint(users, "/", eve), "")

		// Those of the whole host are here too, and nobody here changes them.
		all := w.create(roles, `{"name": "operators", "permissions": ["admin"]}`)
		w.call(204, "PATCH", users+"/1", fmt.Sprintf(`{"role": %d, "organization": 2}`, all))
		ann := w.tokenOf(1, "")
		in.as(ann).get(organizations)
		require.Equal(t, "ann@b.example", in.get(users + "/1")["email"])
		require.NotEqual(t, float64(all), in.get(users + "/1")["role"], "a role of the host is none of its own")
		_ = w.User("native@b.example") // who has no role, and is not below the root
		shown := fmt.Sprint(roles, "/", in.get(users + "/1")["role"])
		require.Equal(t, []any{"default", 1.0, 0.0}, []any{in.get(shown)["name"], in.get(shown)["users"], w.get(shown)["users"]})
		for _, change := range []string{`{"password": "another_password"}`, fmt.Sprintf(`{"role": %d}`, role), `{"email": "x@b.example"}`} {
			in.as(token).fails(403, "Insufficient rights.", "PATCH", users+"/1", change)
		}
		in.as(token).fails(403, "Insufficient rights.", "POST", tokens, `{"name": "t", "user": 1}`)
		require.Equal(t, []any{float64(2)}, in.list(tokens, "id"), "nor are her tokens here")

		// Who is not there any more is no admin there.
		u, err := w.Manager.User(w.Platform(), "eve@b.example")
		require.NoError(t, err)
		_, err = w.RemoveMember(w.Platform(), orgs.Place{OrgID: root.ID}, u.ID, orgs.MemberRemoval{})
		require.NoError(t, err)
		in.as(token).fails(403, "Insufficient rights.", "GET", organizations, "")
		in.fails(404, "User not found.", "GET", fmt.Sprint(users, "/", eve), "")
	})
}

// TestWhoIsElsewhereTooIsNobodysAccount: an admin below a root cannot become them, and may show them the door.
func TestWhoIsElsewhereTooIsNobodysAccount(t *testing.T) { // F384, F405, F409, F410, S1
	each(t, func(t *testing.T, w *world) {
		in, root := w.confined(opengatellm.Options{})
		role := in.create(roles, `{"name": "user"}`)
		eve := in.create(users, fmt.Sprintf(`{"email": "eve@b.example", "password": "secure_password", "role": %d}`, role))
		path := fmt.Sprint(users, "/", eve)
		own := in.tokenOf(eve, "")
		w.clock.Advance(time.Minute)
		u, err := w.Manager.User(w.Platform(), "eve@b.example")
		require.NoError(t, err)
		theirs := w.get(organizations + "/1")["name"].(string)
		page, err := w.Organizations(w.Platform(), orgs.OrganizationFilter{Name: theirs})
		require.NoError(t, err)
		other := page.Items[0]
		_, err = w.AddMember(w.Platform(), orgs.Place{OrgID: other.ID}, orgs.NewMember{User: u.ID, Role: "org_admin"})
		require.NoError(t, err)
		home, verified := other.ID, true // an owner who counts, of which nothing is to be told either
		_, err = w.UpdateUser(w.Platform(), u.ID, orgs.UserUpdate{Home: &home, EmailVerified: &verified})
		require.NoError(t, err)

		require.Equal(t, 2.0, in.get(path)["organization"], "where else they are nobody hears")
		for _, change := range []string{`{"password": "another_password"}`, `{"email": "x@b.example"}`, `{"budget": 0}`, `{"organization": 2, "expires": null}`, fmt.Sprintf(`{"role": %d}`, role)} {
			in.fails(403, "Insufficient rights.", "PATCH", path, change)
		}
		in.fails(403, "Insufficient rights.", "POST", tokens, fmt.Sprintf(`{"name": "t", "user": %d}`, eve))
		require.Empty(t, in.list(tokens, "id"))
		in.fails(404, "Token not found.", "DELETE", tokens+"/2", "")
		require.Equal(t, []any{"t"}, in.as(own).list(ownKeys, "name"), "to themselves it is there")
		p := in.create(projects, fmt.Sprintf(`{"name": "p", "organization": 2, "users": [%d]}`, eve))
		in.tokenOf(eve, fmt.Sprintf(`, "project": %d`, p))
		require.Equal(t, []any{3.0}, in.list(tokens, "id"), "what they have here is")

		in.call(204, "DELETE", path, "")
		in.fails(404, "User not found.", "GET", path, "")
		require.Equal(t, 1.0, w.get(path)["organization"], "and stay where else they are")
		require.NotEqual(t, float64(role), w.get(path)["role"])
		require.Empty(t, w.list(fmt.Sprint(users, "?role=", role), "id"))
		in.as(own).fails(403, "Invalid API key.", "GET", info, "")
		w.as(own).get(info)
		require.Empty(t, in.list(tokens, "id"))
		_, err = w.Member(w.Platform(), orgs.Place{OrgID: root.ID}, u.ID)
		require.Error(t, err)
	})
}

// TestStrangersToARootAreNobody: neither their password nor a credential of theirs is any good.
func TestStrangersToARootAreNobody(t *testing.T) { // F410, F414, F416
	each(t, func(t *testing.T, w *world) {
		in, _ := w.confined(opengatellm.Options{})
		ann := w.tokenOf(1, "")
		ask := func(email, password string) string {
			return fmt.Sprintf(`{"email": %q, "password": %q}`, email, password)
		}
		in.as("").fails(404, "User not found.", "POST", login, ask("ann@b.example", password))
		in.as("").fails(404, "User not found.", "POST", login, ask("ann@b.example", "wrong"))
		w.as("").call(200, "POST", login, ask("ann@b.example", password))
		for _, path := range []string{info, ownKeys, usage} {
			in.as(ann).fails(403, "Invalid API key.", "GET", path, "")
		}
		in.as(ann).fails(403, "Invalid API key.", "POST", ownKeys, `{"name": "k"}`)
		w.as(ann).get(info)

		role := in.create(roles, `{"name": "user"}`)
		in.create(users, fmt.Sprintf(`{"email": "eve@b.example", "password": "secure_password", "role": %d}`, role))
		made := in.as("").call(200, "POST", login, ask("eve@b.example", password)).(object)
		require.Equal(t, 2.0, in.as(made["key"].(string)).get(info)["organization"])
		in.get(info) // the platform's
	})
}

// TestLimitsOfARootHoldThereAlone: what a role of it forbids somebody is theirs elsewhere.
func TestLimitsOfARootHoldThereAlone(t *testing.T) { // F412
	each(t, func(t *testing.T, w *world) {
		in, _ := w.confined(opengatellm.Options{})
		role := in.create(roles, `{"name": "user"}`) // of no model
		eve := in.create(users, fmt.Sprintf(`{"email": "eve@b.example", "password": "secure_password", "role": %d}`, role))
		token := in.tokenOf(eve, "")
		require.Equal(t, "unsupported_model", w.calls(token, "small"))
		w.call(204, "PATCH", fmt.Sprint(users, "/", eve), `{"organization": 1}`)
		require.Empty(t, w.calls(token, "small"))

		in.call(204, "PATCH", fmt.Sprint(roles, "/", role), `{"permissions": ["admin"], "limits": [{"router": "small", "type": "rpm", "value": 1}]}`)
		require.Equal(t, []any{[]any{}, []any{}}, []any{w.as(token).get(info)["permissions"], w.as(token).get(info)["limits"]})
		w.call(204, "PATCH", fmt.Sprint(users, "/", eve), `{"organization": 2}`)
		require.Equal(t, []any{"admin"}, in.as(token).get(info)["permissions"])
		require.Empty(t, w.as(token).get(info)["permissions"])
		require.Len(t, w.as(token).get(info)["limits"], 1)
		in.call(204, "PATCH", fmt.Sprint(roles, "/", role), `{"limits": []}`)
		require.Equal(t, "unsupported_model", w.calls(token, "small"))
		in.call(204, "PATCH", fmt.Sprint(roles, "/", role), `{"limits": `+open("small")+`}`)
		require.Empty(t, w.calls(token, "small"))
	})
}

func TestRootsThatCannotWork(t *testing.T) {
	w := onMemory(t, nil)
	gone, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "Gone", Slug: "gone"})
	require.NoError(t, err)
	_, err = w.DeleteOrganization(w.Platform(), gone.ID, false, "")
	require.NoError(t, err)
	_, err = w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "Acme", Slug: "acme"})
	require.NoError(t, err)
	verify := func(context.Context, string) (orgs.Asserted, error) { return orgs.Asserted{}, nil }
	for _, o := range []opengatellm.Options{{Root: "nobody"}, {Root: "org_nobody"}, {Root: gone.ID}, {Root: "acme", IDToken: verify}} {
		_, err := opengatellm.New(w.Manager, &o)
		require.Error(t, err)
	}
	c, err := opengatellm.New(w.Manager, &opengatellm.Options{AdminKey: adminKey, SignIn: w.signin, Root: "acme", Generation: opengatellm.GenerationC})
	require.NoError(t, err)
	w.handler = c
	w.fails(404, "Not Found", "GET", "/v1/admin/sso", "") // whose rules are the whole host's
	require.Equal(t, 1.0, w.get(organizations)["total"])
}
