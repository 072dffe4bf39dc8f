package opengatellm_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/orgs/httpapi/opengatellm"
	"github.com/orgkit/orgkit/store/memory"
)

const organizations = "/v1/admin/organizations"

// TestTheSeedsOrganizations replays the calls of the page.
func TestTheSeedsOrganizations(t *testing.T) { // F368, F370-F373, F377-F380
	each(t, func(t *testing.T, w *world) {
		w.golden("a/organization.create", "POST", organizations, `{"name": "My Organization"}`)
		w.clock.Advance(time.Minute)
		w.golden("a/organizations", "GET", organizations+"?offset=0&limit=10&order_by=id&order_direction=asc", "")
		w.golden("a/organization", "GET", organizations+"/1", "")
		w.golden("a/organization.update", "PATCH", organizations+"/1", `{"name": "New Organization Name"}`)
		w.golden("a/organization.taken", "POST", organizations, `{"name": " New Organization Name "}`)
		w.golden("a/organization.missing", "GET", organizations+"/2", "")
		w.golden("a/organization.invalid", "POST", organizations, `{"name": " "}`)
		w.golden("a/unauthenticated", "GET", organizations, "", "Authorization", "")
		w.golden("a/bad_key", "GET", organizations, "", "Authorization", "Bearer sk-nobody")
		w.golden("a/scheme", "GET", organizations, "", "Authorization", "Basic YTpi")
		w.golden("a/no_admin", "GET", organizations, "", "Authorization", "Bearer "+w.of(w.User("ann@acme.example")).token)
		w.golden("a/organization.delete", "DELETE", organizations+"/1", "")
		w.golden("a/organizations.none", "GET", organizations, "")
		w.fails(404, "Organization not found.", "GET", organizations+"/1", "")
	})
}

func TestTheNewestGenerationAnswersWithObjects(t *testing.T) { // F371, F372, F375, F376, F378, F379
	w := onMemory(t, &opengatellm.Options{Generation: opengatellm.GenerationC, Prefix: "/ai"})
	const organizations = "/ai" + organizations
	w.golden("c/organization.create", "POST", organizations, `{"name": "My Organization"}`)
	w.golden("c/organizations", "GET", organizations+"?sort_by=name&sort_order=desc", "")
	w.golden("c/organization.update", "PATCH", organizations+"/1", `{"name": "New Organization Name"}`)
	w.golden("c/organization.update.empty", "PATCH", organizations+"/1", `{}`)
	w.golden("c/organization.taken", "POST", organizations, `{"name": "New Organization Name"}`)
	w.golden("c/organization.missing", "GET", organizations+"/2", "")
	w.golden("c/bad_key", "GET", organizations, "", "Authorization", "Bearer sk-nobody")
	w.golden("c/no_admin", "GET", organizations, "", "Authorization", "Bearer "+w.of(w.User("ann@acme.example")).token)
	w.golden("c/organization.path", "GET", organizations+"/first", "")
	w.Add(orgs.Place{OrgID: w.organization(t)}, w.User("bob@acme.example"), "member")
	w.golden("c/organization.full", "DELETE", organizations+"/1", "")
	w.create(organizations, `{"name": "Empty"}`)
	w.golden("c/organization.delete", "DELETE", organizations+"/2", "")
}

// organization is the only one there is.
func (w *world) organization(t *testing.T) string {
	page, err := w.Organizations(w.Platform(), orgs.OrganizationFilter{})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	return page.Items[0].ID
}

func TestListsOfOrganizations(t *testing.T) { // F373-F376
	each(t, func(t *testing.T, w *world) {
		for _, name := range []string{"b", "c", "a"} {
			w.create(organizations, `{"name": "`+name+`"}`)
			w.clock.Advance(time.Minute)
		}
		w.call(204, "PATCH", organizations+"/1", `{"name": "d"}`)
		for query, want := range map[string][]any{
			"":                                       {"d", "c", "a"},
			"?order_direction=desc":                  {"a", "c", "d"},
			"?order_by=name":                         {"a", "c", "d"},
			"?sort_by=name&sort_order=desc":          {"d", "c", "a"},
			"?order_by=created&order_direction=desc": {"a", "c", "d"},
			"?order_by=updated":                      {"c", "a", "d"},
			"?limit=2":                               {"d", "c"},
			"?offset=1&limit=1":                      {"c"},
			"?offset=3":                              nil,
			"?offset=9223372036854775807":            nil,
			"?unknown=1":                             {"d", "c", "a"},
		} {
			require.Equal(t, want, w.list(organizations+query, "name"), query)
		}
		w.golden("a/organizations.page", "GET", organizations+"?offset=1&limit=2&order_by=name&order_direction=desc", "")
		w.golden("a/organizations.invalid", "GET", organizations+"?offset=-1&limit=101&order_by=users&order_direction=up", "")
		for query, want := range map[string][2]string{
			"offset=-1":                      {"greater_than_equal", "Input should be greater than or equal to 0"},
			"limit=0":                        {"greater_than_equal", "Input should be greater than or equal to 1"},
			"limit=101":                      {"less_than_equal", "Input should be less than or equal to 100"},
			"limit=ten":                      {"int_parsing", "Input should be a valid integer, unable to parse string as an integer"},
			"order_by=users":                 {"literal_error", "Input should be 'id', 'name', 'created' or 'updated'"},
			"order_direction=up":             {"literal_error", "Input should be 'asc' or 'desc'"},
			"order_by=name&sort_by=id":       {"value_error", "Value error, sort_by says something else than order_by."},
			"order_by=name&order_by=nothing": {"literal_error", "Input should be 'id', 'name', 'created' or 'updated'"},
		} {
			fault := w.invalid("GET", organizations+"?"+query, "")
			require.Equal(t, []any{want[0], want[1]}, []any{fault["type"], fault["msg"]}, query)
			require.Equal(t, "query", fault["loc"].([]any)[0])
		}
	})
}

func TestNamesOfOrganizations(t *testing.T) { // F370, F378
	each(t, func(t *testing.T, w *world) {
		first := w.create(organizations, `{"name": " Acme ", "unknown": true}`)
		require.Equal(t, "Acme", w.get(fmt.Sprint(organizations, "/", first))["name"])
		w.fails(409, "Organization already exists.", "POST", organizations, `{"name": "Acme"}`)
		second := w.create(organizations, `{"name": "acme"}`) // other letters
		w.golden("a/organization.update.taken", "PATCH", fmt.Sprint(organizations, "/", second), `{"name": "Acme"}`)
		for _, same := range []string{`{}`, ``, `{"name": null}`, `{"name": "acme"}`, `{"name": " acme "}`} {
			w.call(204, "PATCH", fmt.Sprint(organizations, "/", second), same)
		}
		for body, want := range map[string]string{`{}`: "missing", `{"name": null}`: "string_type", `{"name": 5}`: "string_type", `{"name": "  "}`: "string_too_short",
			`{"name": "` + strings.Repeat("x", 5000) + `"}`: "string_too_long", `{"name": "a\u0000"}`: "value_error", `{"name`: "json_invalid", `["name"]`: "model_attributes_type"} {
			require.Equal(t, want, w.invalid("POST", organizations, body)["type"], "%.40s", body)
		}
		require.Equal(t, "value_error", w.invalid("POST", organizations, `name=a`, "Content-Type", "application/x-www-form-urlencoded")["type"])
		w.call(413, "POST", organizations, `{"name": "`+strings.Repeat("x", httpapi.MaxBody)+`"}`)
		require.Len(t, w.list(organizations, "id"), 2)

		_, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "Acme"}) // elsewhere that is fine
		require.NoError(t, err)
		require.Equal(t, []any{"Acme", "acme", "Acme"}, w.list(organizations, "name"))
		w.call(204, "DELETE", fmt.Sprint(organizations, "/", first), "")
		w.fails(409, "Organization already exists.", "POST", organizations, `{"name": "Acme"}`)
		w.call(204, "DELETE", organizations+"/3", "")
		require.Equal(t, 4, w.create(organizations, `{"name": "Acme"}`), "a name comes back, a number does not")
	})
}

// TestOneNameIsGivenOnce has many make an organization of one name at one time.
func TestOneNameIsGivenOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var made, refused atomic.Int64
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				switch w.do("POST", organizations, `{"name": "Acme"}`).Code {
				case 201:
					made.Add(1)
				case 409:
					refused.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, made.Load())
		require.EqualValues(t, 5, refused.Load())
	})
}

func TestOrganizationsGoWithoutTheirUsersOnly(t *testing.T) { // F369, F379
	each(t, func(t *testing.T, w *world) {
		n := fmt.Sprint(organizations, "/", w.create(organizations, `{"name": "Acme"}`))
		id := w.organization(t)
		u := w.User("ann@acme.example")
		w.Add(orgs.Place{OrgID: id}, u, "member")
		w.golden("a/organization.users", "GET", n, "")
		w.golden("a/organization.full", "DELETE", n, "")
		_, key, err := w.CreateAPIKey(w.Platform(), orgs.NewAPIKey{Name: "k", Organization: id})
		require.NoError(t, err)
		_, err = w.CreateTeam(w.Platform(), id, orgs.NewTeam{Name: "Team"})
		require.NoError(t, err)
		_, err = w.RemoveMember(w.Platform(), orgs.Place{OrgID: id}, u.ID, orgs.MemberRemoval{})
		require.NoError(t, err)
		_, err = w.Authenticate(t.Context(), key)
		require.NoError(t, err)
		w.call(204, "DELETE", n, "")
		_, err = w.Authenticate(t.Context(), key)
		require.Error(t, err, "its keys are dead at once")
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			w.fails(404, "Organization not found.", method, n, "")
		}
		require.Empty(t, w.list(organizations, "id"))
	})
}

// TestNobodyElseIsAdmin asks for what there is and what there is not as everybody but the platform: they hear the same.
func TestNobodyElseIsAdmin(t *testing.T) { // F368, S1
	each(t, func(t *testing.T, w *world) {
		n := w.create(organizations, `{"name": "Acme"}`)
		owner := w.User("ann@acme.example")
		w.Add(orgs.Place{OrgID: w.organization(t)}, owner, "org_admin")
		_, key, err := w.CreateAPIKey(w.Platform(), orgs.NewAPIKey{Name: "k", Organization: w.organization(t), Permissions: []string{"*"}})
		require.NoError(t, err)
		for _, path := range []string{organizations, fmt.Sprint(organizations, "/", n), organizations + "/999", organizations + "/x", "/v1/admin/nothing"} {
			for _, method := range []string{"GET", "POST", "PATCH", "DELETE"} {
				if code := w.do(method, path, "{").Code; code == http.StatusNotFound && path == "/v1/admin/nothing" || code == http.StatusMethodNotAllowed {
					continue
				}
				for _, token := range []string{w.of(owner).token, key} {
					w.as(token).fails(403, "Insufficient rights.", method, path, "{")
				}
				w.as("").fails(401, "Not authenticated", method, path, "{")
				w.as("sk-nobody").fails(403, "Invalid API key.", method, path, "{")
			}
		}
		w.fails(404, "Not Found", "GET", "/v1/admin/nothing", "")
		w.fails(405, "Method Not Allowed", "PUT", organizations, "")
		w.fails(404, "Organization not found.", "GET", organizations+"/99999999999999999999", "")
		require.Equal(t, "int_parsing", w.invalid("GET", organizations+"/1.5", "")["type"])
	})
}

func TestOptionsThatCannotWork(t *testing.T) {
	w := onMemory(t, nil)
	for _, o := range []*opengatellm.Options{{Generation: "B"}, {Prefix: "ai"}, {Prefix: "/ai/"}, {KeyMaxExpirationDays: -1},
		{KeyMaxExpirationDays: 1_000_000}, {PlaygroundDuration: -time.Second}, {DefaultRole: "a\x00"}, {DefaultRole: strings.Repeat("x", 201)}} {
		_, err := opengatellm.New(w.Manager, o)
		require.Error(t, err)
	}
	_, err := opengatellm.New(nil, nil)
	require.Error(t, err)
	w.handler, err = opengatellm.New(w.Manager, nil)
	require.NoError(t, err)
	w.fails(403, "Invalid API key.", "GET", organizations, "") // nobody is the platform
}

func TestWhatFailsHereSaysNothing(t *testing.T) {
	s := memory.New(nil)
	m, err := orgs.New(s, nil)
	require.NoError(t, err)
	h, err := opengatellm.New(m, &opengatellm.Options{AdminKey: adminKey})
	require.NoError(t, err)
	w := &world{t: t, handler: h, token: adminKey}
	require.NoError(t, m.Close())
	require.NoError(t, s.Close())
	w.fails(503, "try again later", "GET", organizations, "")
}
