package locktera_test

import (
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/locktera"
	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store/seal"
)

func TestAccessLogHasRealSignIns(t *testing.T) { // F351-F355
	each(t, func(t *testing.T, w *world) {
		key, err := seal.ParseKey(seal.GenerateKey())
		require.NoError(t, err)
		sealer, err := seal.New(key)
		require.NoError(t, err)
		service, err := signin.New(w.Manager, &signin.Options{Seal: sealer, Issuer: "Example AI", AnswerAfter: -1, Argon2: signin.Argon2{MemoryKiB: 64, Passes: 1, Lanes: 1}})
		require.NoError(t, err)
		require.NoError(t, service.SetPassword(w.Platform(), w.owner.ID, "correct horse battery staple"))
		_, err = service.SignIn(t.Context(), signin.Credentials{Email: w.owner.Email, Password: "wrong password"})
		require.Error(t, err)
		require.Len(t, w.list("/orgs/acme/access_log"), 1) // failures are written together, at the latest when somebody looks
		w.clock.Advance(time.Second)
		in, err := service.SignIn(t.Context(), signin.Credentials{Email: w.owner.Email, Password: "correct horse battery staple"})
		require.NoError(t, err)
		w.clock.Advance(time.Second)
		_, err = w.EndSession(audit.WithActor(t.Context(), audit.Actor{Type: audit.User, ID: w.owner.ID, Label: w.owner.Email, Session: true, SessionID: in.Session.ID}), "me", "current")
		require.NoError(t, err)

		var got []string
		for _, e := range w.golden("access_log.sign_in", "GET", "/orgs/acme/access_log", "").([]any) {
			entry := e.(object)
			if entry["user"] == "admin" {
				require.Equal(t, "DATA_VIEW", entry["action"], "of who looked")
				continue
			}
			require.Equal(t, w.owner.Email, entry["user"])
			require.Equal(t, w.owner.ID, entry["user_id"])
			got = append(got, entry["action"].(string)+" "+entry["status"].(string))
		}
		require.Equal(t, []string{"LOGOUT SUCCESS", "LOGIN SUCCESS", "LOGIN FAILURE"}, got, "newest first")
		require.Empty(t, w.list("/orgs/acme-labs/access_log"), "it is the organization's own")
		require.Empty(t, w.list("/orgs/acme/access_log?end=2024-01-01T00:00:00Z"))
		for _, e := range w.list("/orgs/acme/access_log?start=" + url.QueryEscape(w.clock.Now().Format(time.RFC3339))) {
			require.NotEqual(t, "LOGIN", e.(object)["action"], "that was before")
		}
		w.member("ann@acme.example").fails(401, "GET", "/orgs/acme/access_log", "")
	})
}

func TestChildrenAuditIsOfDescendantsAlone(t *testing.T) { // F356, F357
	each(t, func(t *testing.T, w *world) {
		grandchild, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "Deep", Parent: w.child.ID})
		require.NoError(t, err)
		_, err = w.CreateTeam(w.Platform(), w.other.ID, orgs.NewTeam{Name: "Theirs"})
		require.NoError(t, err)
		_, err = w.CreateTeam(w.Platform(), w.org.ID, orgs.NewTeam{Name: "Own"})
		require.NoError(t, err)
		team, err := w.CreateTeam(w.Platform(), grandchild.ID, orgs.NewTeam{Name: "Below"})
		require.NoError(t, err)
		_, err = w.DeleteTeam(w.Platform(), team.ID, false)
		require.NoError(t, err)
		_, _, err = w.CreateAPIKey(w.Platform(), orgs.NewAPIKey{Name: "k", Organization: w.child.ID})
		require.NoError(t, err)
		u := w.User("bob@acme.example")
		w.Add(orgs.Place{OrgID: w.child.ID}, u, "member")
		_, err = w.RemoveMember(w.Platform(), orgs.Place{OrgID: w.child.ID}, u.ID, orgs.MemberRemoval{})
		require.NoError(t, err)

		actions := map[string]string{}
		for _, e := range w.list("/orgs/acme/children_audit") {
			entry := e.(object)
			require.Contains(t, []any{w.child.ID, grandchild.ID}, entry["org_id"])
			actions[entry["type"].(string)] = entry["action"].(string)
			if entry["resource_type"] == "user" {
				require.Equal(t, u.ID, entry["address_id"])
			}
		}
		for event, action := range map[string]string{"organization.created": "insert", "team.created": "insert", "team.deleted": "delete", "member.removed": "delete",
			"member.joined": "update", "api_key.created": "insert"} {
			require.Equal(t, action, actions[event], event)
		}
		require.Empty(t, w.list("/orgs/"+grandchild.ID+"/children_audit"))
	})
}

func TestLongLogsGoOnBehindALink(t *testing.T) {
	w := onMemory(t, &locktera.Options{LogCap: 3, PublicURL: "https://ai.example"})
	for range 7 {
		w.clock.Advance(time.Second)
		_, err := w.UpdateOrganization(w.Platform(), w.child.ID, orgs.OrganizationUpdate{})
		require.NoError(t, err)
	}
	form := regexp.MustCompile(`^<https://ai\.example(/orgs/acme/children_audit\?[^>]+)>; rel="next"$`)
	path, seen := "/orgs/acme/children_audit?start=2024-01-01T00:00:00Z", 0
	for pages := 1; ; pages++ {
		answer := w.do("GET", path, "")
		require.Equal(t, 200, answer.Code, answer.Body)
		seen += strings.Count(answer.Body.String(), `"admin_id"`)
		next := form.FindStringSubmatch(answer.Header().Get("Link"))
		if next == nil {
			require.Empty(t, answer.Header().Get("Link"))
			require.Equal(t, 3, pages)
			break
		}
		path = next[1]
		require.Contains(t, path, "start=2024-01-01T00")
	}
	require.Equal(t, 8, seen, "and none of them twice")
}

// TestPatchesKeepWhatTheyDoNotName has two clients change keys that lie beside each other at one time.
func TestPatchesKeepWhatTheyDoNotName(t *testing.T) { // F346-F348
	each(t, func(t *testing.T, w *world) {
		w.call(200, "PATCH", "/orgs/acme", `{"customizations": {"theme": "dark", "kept": {"a": 1, "b": 2}}, "first_name": "Ann", "last_name": "Lee"}`)
		var both sync.WaitGroup
		for _, body := range []string{`{"customizations": {"left": 1}}`, `{"customizations": {"right": 2}}`, `{"first_name": null}`} {
			both.Go(func() {
				if answer := w.do("PATCH", "/orgs/acme", body); answer.Code != 200 {
					t.Errorf("%s: %s", body, answer.Body)
				}
			})
		}
		both.Wait()
		o := w.golden("organization.merge", "PATCH", "/orgs/acme", `{"customizations": {"theme": null, "kept": {"a": null}}, "unknown": 1}`).(object)
		want := object{"left": 1.0, "right": 2.0, "kept": object{"b": 2.0}}
		require.Equal(t, want, o["customizations"])
		require.Equal(t, want, w.get("/orgs/acme/customizations"))
		require.Nil(t, o["first_name"])
		require.Equal(t, "Lee", o["last_name"])
		require.Equal(t, "acme", o["name"], "null and absent leave the name")
		require.Equal(t, "acme", w.call(200, "PATCH", "/orgs/acme", `{"name": null}`).(object)["name"])

		native, err := w.Organization(w.Platform(), "acme")
		require.NoError(t, err)
		require.JSONEq(t, `{"contact": {"last_name": "Lee"}}`, string(native.Metadata), "every other dialect shows it")
	})
}

func TestWriteIsAsMuchAsTheCallerHolds(t *testing.T) { // F366
	each(t, func(t *testing.T, w *world) {
		_, err := w.CreateRole(w.Platform(), w.org.ID, rbac.NewRole{Name: "Builder", Permissions: []string{"*.read", "models.use", "api_keys.*", "teams.create"}})
		require.NoError(t, err)
		u := w.User("ann@acme.example")
		w.Add(orgs.Place{OrgID: w.org.ID}, u, "builder")
		builder := w.of(u)
		k := builder.call(200, "POST", "/orgs/acme/api_keys", `{"name": "ci", "permissions": ["write"]}`).(object)
		require.ElementsMatch(t, []any{"read", "models.use", "api_keys.create", "api_keys.update", "api_keys.delete", "teams.create"}, k["permissions"])
		full := w.of(w.owner).call(200, "POST", "/orgs/acme/api_keys", `{"name": "ci", "permissions": ["write", "read"]}`).(object)
		require.Equal(t, []any{"read", "write"}, full["permissions"])
		k = builder.call(200, "POST", "/orgs/acme/api_keys", `{"name": "exact", "permissions": ["teams.create"]}`).(object)
		require.Equal(t, []any{"teams.create"}, k["permissions"])
		builder.fails(401, "POST", "/orgs/acme/api_keys", `{"name": "more", "permissions": ["organizations.delete"]}`)
		w.member("bob@acme.example").fails(401, "POST", "/orgs/acme/api_keys", `{"name": "none", "permissions": ["read"]}`)
		kept, err := w.APIKey(w.Platform(), k["id"].(string))
		require.NoError(t, err)
		require.Empty(t, kept.UserID)
	})
}

func TestPeopleComeInByTheirRole(t *testing.T) { // F365
	each(t, func(t *testing.T, w *world) {
		w.call(204, "POST", "/orgs/acme/children", `{"role": "org_admin", "email": "boss@acme.example", "first_name": "The", "last_name": "Boss"}`)
		ms, err := w.Member(w.Platform(), orgs.Place{OrgID: w.org.ID}, "boss@acme.example")
		require.NoError(t, err)
		require.Equal(t, []string{"org_admin", "The Boss"}, []string{ms.Role, ms.User.Name})
		w.fails(400, "POST", "/orgs/acme/children", `{"role": "user", "email": "boss@acme.example"}`) // a member already

		w.of(w.owner).call(204, "POST", "/orgs/acme/children", `{"role": "user_admin", "email": "ann@acme.example"}`)
		w.of(w.owner).call(204, "POST", "/orgs/acme/children", `{"role": "user", "email": "bob@acme.example"}`)
		page, err := w.Invitations(w.Platform(), orgs.Place{OrgID: w.org.ID}, orgs.InvitationFilter{Status: "pending"})
		require.NoError(t, err)
		roles := map[string]string{}
		for _, inv := range page.Items {
			role, err := w.Role(w.Platform(), w.org.ID, inv.RoleID)
			require.NoError(t, err)
			roles[inv.Email] = role.Slug
		}
		require.Equal(t, map[string]string{"ann@acme.example": "user_admin", "bob@acme.example": "member"}, roles)
		w.member("carl@acme.example").fails(401, "POST", "/orgs/acme/children", `{"role": "user", "email": "dora@acme.example"}`)
		w.member("emil@acme.example").fails(401, "POST", "/orgs/acme/children", `{"org_name": "Mine"}`)
	})
}
