package opengatellm_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs/httpapi/opengatellm"
)

func TestRoles(t *testing.T) { // F411
	each(t, func(t *testing.T, w *world) {
		w.golden("a/role.create", "POST", roles, `{"name": " Admins ", "permissions": ["admin", "read_metric", "admin"], "limits": []}`)
		w.golden("a/roles", "GET", roles, "")
		w.golden("a/role.taken", "POST", roles, `{"name": "Admins"}`)
		w.golden("a/role.invalid", "POST", roles, `{"permissions": ["admin", "root"], "limits": [{"router": 1, "type": "tpm", "value": 1}]}`)
		second := fmt.Sprint(roles, "/", w.create(roles, `{"name": "Second"}`))
		w.fails(409, "Role already exists.", "PATCH", second, `{"name": "Admins"}`)
		w.golden("a/role.update", "PATCH", second, `{"name": null, "permissions": ["provide_models"]}`)
		w.call(204, "PATCH", second, `{}`)
		require.Equal(t, []any{"Second", []any{"provide_models"}}, []any{w.get(second)["name"], w.get(second)["permissions"]})
		w.create(users, `{"email": "ann@b.example", "password": "secure_password", "role": 2}`)
		w.golden("a/role.held", "DELETE", second, "")
		w.call(204, "DELETE", users+"/1", "")
		w.golden("a/role.delete", "DELETE", second, "")
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			w.fails(404, "Role not found.", method, second, "")
		}
		require.Equal(t, 3, w.create(roles, `{"name": "Second"}`))
		page, err := w.Audit().List(t.Context(), "", audit.Filter{Types: []string{"role.*"}})
		require.NoError(t, err)
		var types []string
		for _, e := range page.Items {
			types = append(types, e.Type)
		}
		require.Equal(t, []string{"role.created", "role.deleted", "role.updated", "role.created", "role.created"}, types)
	})
}

// TestAdminsActForThePlatform gives a person the role, and takes it away again.
func TestAdminsActForThePlatform(t *testing.T) { // F368, F388
	each(t, func(t *testing.T, w *world) {
		w.create(roles, `{"name": "admins", "permissions": ["admin"]}`)
		w.create(roles, `{"name": "users", "permissions": ["read_metric"]}`)
		w.create(users, `{"email": "ann@b.example", "password": "secure_password", "role": 1}`)
		u, err := w.Manager.User(w.Platform(), "ann@b.example")
		require.NoError(t, err)
		ann := w.of(u)
		ann.create(organizations, `{"name": "Hers"}`)
		page, err := w.Audit().List(t.Context(), w.organization(t), audit.Filter{Types: []string{"organization.created"}})
		require.NoError(t, err)
		require.Equal(t, u.ID, page.Items[0].ActorID, "the log says who it was")
		w.call(204, "PATCH", users+"/1", `{"role": 2}`)
		ann.fails(403, "Insufficient rights.", "GET", organizations, "")
		w.call(204, "PATCH", roles+"/2", `{"permissions": ["admin"]}`)
		ann.get(organizations)
		w.call(204, "DELETE", users+"/1", "")
		ann.fails(403, "Invalid API key.", "GET", organizations, "")
	})
}

// TestTheDefaultRoleHasTheNameOfTheOption, and gives nobody anything.
func TestTheDefaultRoleHasTheNameOfTheOption(t *testing.T) { // F388
	w := onMemory(t, &opengatellm.Options{DefaultRole: "guests"})
	_ = w.User("native@b.example")
	require.Equal(t, []any{1.0}, w.list(users, "role"))
	require.Equal(t, []any{"guests", 1.0}, []any{w.get(roles + "/1")["name"], w.get(roles + "/1")["users"]})
	w.call(204, "PATCH", roles+"/1", `{"permissions": ["admin"]}`)
	u, err := w.Manager.User(w.Platform(), "native@b.example")
	require.NoError(t, err)
	w.of(u).fails(403, "Insufficient rights.", "GET", users, "")
	w.fails(401, "Invalid current password.", "POST", login, `{"email": "master", "password": "wrong"}`)
	w.call(200, "POST", login, `{"email": "master", "password": "`+adminKey+`"}`)

	h, err := opengatellm.New(w.Manager, &opengatellm.Options{AdminKey: adminKey, SignIn: w.signin, NoMasterLogin: true})
	require.NoError(t, err)
	w.handler = h
	w.as("").fails(401, "Invalid current password.", "POST", login, `{"email": "master", "password": "`+adminKey+`"}`)
}
