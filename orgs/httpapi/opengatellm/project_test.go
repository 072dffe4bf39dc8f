package opengatellm_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/opengatellm"
)

const projects = "/v1/admin/projects"

// team is Ann and Bob in organization 1, whose role lets them use all models.
func team(w *world) {
	inhabited(w)
	w.call(204, "PATCH", roles+"/1", `{"limits": `+open("gpt-4o", "small")+`}`)
	w.call(204, "PATCH", users+"/2", `{"organization": 1}`)
}

func TestProjects(t *testing.T) { // F381
	each(t, func(t *testing.T, w *world) {
		team(w)
		w.create(organizations, `{"name": "Second"}`)
		w.create(users, person("eve@b.example", `, "organization": 2`))
		w.golden("a/project.create", "POST", projects, `{"name": "Search", "organization": 1, "description": "finds", "budget": 10, "limits": [{"router": 1, "type": "rpm", "value": 5}], "users": [1]}`)
		w.golden("a/project", "GET", projects+"/1", "")
		w.golden("a/project.taken", "POST", projects, `{"name": " Search ", "organization": 1}`)
		require.Equal(t, 2, w.create(projects, `{"name": "Search", "organization": 2}`), "another organization's")
		require.Equal(t, 3, w.create(projects, `{"name": "search", "organization": 1}`), "other letters, whose slug is another one")
		w.golden("a/projects", "GET", projects+"?organization=1&order_by=name", "")
		require.Equal(t, []any{1.0, 2.0, 3.0}, w.list(projects, "id"))
		require.Empty(t, w.list(projects+"?organization=9", "id"))
		w.golden("a/project.outsider", "POST", projects, `{"name": "x", "organization": 1, "users": [1, 3]}`)
		w.golden("a/project.invalid", "POST", projects, `{"name": "", "budget": -1, "users": ["1"], "limits": [{}]}`)
		w.fails(404, "Organization not found.", "POST", projects, `{"name": "x", "organization": 9}`)
		w.fails(404, "User not found.", "POST", projects, `{"name": "x", "organization": 1, "users": [9]}`)
		w.fails(404, "Model router not found.", "POST", projects, `{"name": "x", "organization": 1, "limits": [{"router": 9, "type": "rpm", "value": 1}]}`)
		w.fails(409, "Project already exists.", "PATCH", projects+"/3", `{"name": "Search"}`)
		w.call(204, "PATCH", projects+"/1", `{"name": "Find"}`)
		is := w.get(projects + "/1")
		require.Equal(t, []any{"Find", "finds", 10.0}, []any{is["name"], is["description"], is["budget"]}, "what is absent stays")
		require.Len(t, is["limits"], 1)
		w.call(204, "PATCH", projects+"/1", `{"description": null, "budget": null, "limits": null}`)
		is = w.get(projects + "/1")
		require.Equal(t, []any{nil, nil, []any{}}, []any{is["description"], is["budget"], is["limits"]}, "null takes away")
		require.Equal(t, "string_type", w.invalid("PATCH", projects+"/1", `{"name": null}`)["type"])

		native, err := w.Projects(w.Platform(), w.organizationNamed(t, "My Organization"), orgs.PartFilter{})
		require.NoError(t, err)
		require.Len(t, native.Items, 2, "they are those of the native API")
		w.tokenOf(1, `, "project": 1`)
		require.Equal(t, 1.0, w.get(projects + "/1")["keys"])
		w.golden("a/project.full", "DELETE", projects+"/1", "")
		w.call(204, "DELETE", tokens+"/1", "")
		w.golden("a/project.delete", "DELETE", projects+"/1", "")
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			w.fails(404, "Project not found.", method, projects+"/1", "")
		}
		w.call(204, "DELETE", users+"/3", "")
		w.call(204, "DELETE", organizations+"/2", "")
		w.fails(404, "Project not found.", "GET", projects+"/2", "")
		require.Equal(t, []any{3.0}, w.list(projects, "id"))
	})
}

func TestProjectsOfTheNewestGeneration(t *testing.T) { // F381
	w := onMemory(t, &opengatellm.Options{Generation: opengatellm.GenerationC})
	seeded(w)
	w.golden("c/project.create", "POST", projects, `{"name": "Search", "organization_id": 1, "limits": [{"router_id": 2, "type": "tpm", "value": 5}]}`)
	w.golden("c/project.update", "PATCH", projects+"/1", `{"budget": 5}`)
	w.golden("c/projects", "GET", projects, "")
	w.golden("c/project.missing", "GET", projects+"/9", "")
	w.golden("c/project.delete", "DELETE", projects+"/1", "")
}

func TestUsersOfProjects(t *testing.T) { // F381, F382
	each(t, func(t *testing.T, w *world) {
		team(w)
		w.create(projects, `{"name": "Search", "organization": 1}`)
		const members = projects + "/1/users"
		w.golden("a/project.user.add", "POST", members, `{"user": 1}`)
		w.golden("a/project.users", "GET", members, "")
		w.golden("a/project.user.again", "POST", members, `{"user": 1}`)
		w.fails(404, "User not found.", "POST", members, `{"user": 9}`)
		w.fails(404, "Role not found.", "POST", members, `{"user": 2, "role": 9}`)
		w.create(roles, `{"name": "other"}`)
		require.Equal(t, "value_error", w.invalid("POST", members, `{"user": 2, "role": 2}`)["type"])
		w.create(users, person("eve@b.example", ""))
		require.Equal(t, "value_error", w.invalid("POST", members, `{"user": 3}`)["type"])
		require.Equal(t, 2, w.create(members, `{"user": 2, "role": 1}`))
		require.Equal(t, []any{1.0, 2.0}, w.list(members, "user"))

		bob := w.tokenOf(2, `, "project": 1`)
		require.Empty(t, w.calls(bob, "small"))
		w.call(204, "DELETE", members+"/2", "")
		require.Equal(t, "invalid_api_key", w.calls(bob, "small"), "who is taken out of a project loses their keys of it")
		w.fails(404, "User not found.", "DELETE", members+"/2", "")
		w.fails(404, "Project not found.", "POST", tokens, `{"name": "t", "user": 2, "project": 1}`)
		w.fails(404, "Project not found.", "POST", tokens, `{"name": "t", "user": 2, "project": 9}`)
	})
}

// TestProjectsAreIsolated has keys of two projects, and a token of none, look at each other.
func TestProjectsAreIsolated(t *testing.T) { // F382
	each(t, func(t *testing.T, w *world) {
		team(w)
		w.create(projects, `{"name": "One", "organization": 1, "users": [1, 2]}`)
		w.create(projects, `{"name": "Two", "organization": 1, "users": [1]}`)
		ann := w.as(w.tokenOf(1, ""))
		secret := ann.call(201, "POST", ownKeys, `{"name": "of one", "project": 1}`).(object)["key"].(string)
		ann.call(201, "POST", ownKeys, `{"name": "of two", "project": 2}`)
		bob := w.as(w.tokenOf(2, ""))
		bob.call(201, "POST", ownKeys, `{"name": "bob's", "project": 1}`)
		bob.fails(404, "Project not found.", "POST", ownKeys, `{"name": "x", "project": 2}`)

		one := w.as(secret)
		w.golden("a/project.token", "GET", tokens+"/2", "")
		require.Equal(t, []any{"t", "of one", "of two"}, ann.list(ownKeys, "name"))
		require.Equal(t, []any{"of one"}, one.list(ownKeys, "name"))
		one.golden("a/project.isolated", "GET", ownKeys+"/3", "")
		for _, n := range []string{"1", "3", "4", "5"} { // no project, another one, another person
			one.fails(404, "Token not found.", "GET", ownKeys+"/"+n, "")
		}
		require.Equal(t, "of one", one.get(ownKeys + "/2")["name"])
		require.Empty(t, w.calls(secret, "small"))
		require.Empty(t, w.calls(ann.token, "gpt-4o"))
		require.Equal(t, []any{"small"}, one.list(usage, "model"), "what was used outside of the project is none of its business")
		require.Equal(t, []any{"gpt-4o", "small"}, ann.list(usage+"?limit=2", "model"))
		_, err := w.Project(w.actor(secret), w.organization(t), w.projectID(t, "Two"))
		require.Error(t, err, "another project does not exist for it")
		_, err = w.Project(w.actor(secret), w.organization(t), w.projectID(t, "One"))
		require.NoError(t, err)
		ann.call(204, "DELETE", ownKeys+"/2", "")
		require.Equal(t, "invalid_api_key", w.calls(secret, "small"))
	})
}

// TestProjectsHaveTheirOwnMoneyAndLimits has a call spend from its person and its project, and be limited by both.
func TestProjectsHaveTheirOwnMoneyAndLimits(t *testing.T) { // F383, F390, F415
	each(t, func(t *testing.T, w *world) {
		w.clock.Set(time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC))
		team(w)
		w.call(204, "PATCH", users+"/1", `{"organization": 1, "budget": 1}`)
		w.create(projects, `{"name": "One", "organization": 1, "budget": 0.05, "users": [1, 2]}`)
		ann, bob, free := w.tokenOf(1, `, "project": 1`), w.tokenOf(2, `, "project": 1`), w.tokenOf(2, "")
		require.Empty(t, w.calls(ann, "gpt-4o")) // for 0.02
		require.Empty(t, w.calls(bob, "gpt-4o"))
		require.Equal(t, 0.01, w.get(projects + "/1")["budget"])
		require.Equal(t, 0.98, w.get(users + "/1")["budget"])
		require.Equal(t, "budget_exceeded", w.calls(bob, "gpt-4o"), "the project has less than that")
		require.Empty(t, w.calls(bob, "small"), "what costs nothing passes")
		require.Empty(t, w.calls(free, "gpt-4o"), "and so does what is of no project")
		w.call(204, "PATCH", projects+"/1", `{"budget": 5}`)
		require.Empty(t, w.calls(bob, "gpt-4o"), "from now on")
		w.call(204, "PATCH", users+"/1", `{"organization": 1, "budget": 0}`)
		require.Equal(t, "budget_exceeded", w.calls(ann, "gpt-4o"), "both have to have it")
		require.Equal(t, 4.98, w.get(projects + "/1")["budget"], "and nothing is taken of a refused call")

		w.call(204, "PATCH", projects+"/1", `{"limits": [{"router": 2, "type": "rpm", "value": 2}]}`)
		w.clock.Advance(time.Minute)
		require.Equal(t, []string{"", "", "rate_limit_exceeded"}, []string{w.calls(ann, "small"), w.calls(bob, "small"), w.calls(bob, "small")}, "all of its keys together")
		require.Empty(t, w.calls(bob, "gpt-4o"), "what it does not name is not limited by it")
		require.Empty(t, w.calls(free, "small"))
		w.call(204, "PATCH", projects+"/1", `{"limits": [{"router": 2, "type": "rpm", "value": 0}]}`)
		require.Equal(t, "model_not_allowed", w.calls(bob, "small"))
		w.call(204, "PATCH", projects+"/1", `{"limits": [{"router": 1, "type": "tpm", "value": 1500}]}`)
		w.clock.Advance(time.Minute)
		require.Equal(t, []string{"", "rate_limit_exceeded"}, []string{w.calls(bob, "gpt-4o"), w.calls(bob, "gpt-4o")})

		of := w.events(w.organization(t))
		require.Equal(t, w.projectID(t, "One"), of[0].ProjectID)
	})
}

// organizationNamed is the id of an organization.
func (w *world) organizationNamed(t *testing.T, name string) string {
	page, err := w.Organizations(w.Platform(), orgs.OrganizationFilter{Name: name})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	return page.Items[0].ID
}

// projectID is the id of a project of the only organization.
func (w *world) projectID(t *testing.T, name string) string {
	page, err := w.Projects(w.Platform(), w.organization(t), orgs.PartFilter{})
	require.NoError(t, err)
	for _, p := range page.Items {
		if p.Name == name {
			return p.ID
		}
	}
	require.Fail(t, fmt.Sprint("there is no project ", name))
	return ""
}
