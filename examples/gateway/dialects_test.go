package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// request is one call of a client.
type request struct{ method, path, body string }

// dialect is how the clients of one system manage organizations: by paths, bodies or queries, whatever they have.
type dialect struct {
	create       func(name string) request
	rename       func(id, name string) request
	read, remove func(id string) request
	name         string         // the field that has it
	numbered     func() request // lists them where ids are numbers
	deleted      int            // the status of what is read of one that is deleted
}

// byPath is a dialect that has organizations at paths of their own.
func byPath(all, query string, deleted int) dialect {
	of := func(name string) string { return fmt.Sprintf(`{"name": %q}`, name) }
	return dialect{
		create:  func(name string) request { return request{"POST", all, of(name)} },
		rename:  func(id, name string) request { return request{"PATCH", all + "/" + id, of(name)} },
		read:    func(id string) request { return request{"GET", all + "/" + id, ""} },
		remove:  func(id string) request { return request{"DELETE", all + "/" + id + query, ""} },
		name:    "name",
		deleted: deleted,
	}
}

var dialects = map[string]dialect{
	"native":      byPath("/v1/organizations", "?cascade=true", 200), // which can give it back to the operator
	"/orgs":       byPath("/orgs", "", 404),
	"OpenGateLLM": openGateLLM(),
	"LiteLLM": {
		create: func(name string) request {
			return request{"POST", "/organization/new", fmt.Sprintf(`{"organization_alias": %q}`, name)}
		},
		rename: func(id, name string) request {
			return request{"PATCH", "/organization/update", fmt.Sprintf(`{"organization_id": %q, "organization_alias": %q}`, id, name)}
		},
		read: func(id string) request { return request{"GET", "/organization/info?organization_id=" + id, ""} },
		remove: func(id string) request {
			return request{"DELETE", "/organization/delete", fmt.Sprintf(`{"organization_ids": [%q]}`, id)}
		},
		name:    "organization_alias",
		deleted: 404,
	},
}

func openGateLLM() dialect {
	d := byPath("/v1/admin/organizations", "", 404)
	d.numbered = func() request { return request{"GET", "/v1/admin/organizations?limit=100", ""} }
	return d
}

// id is what the dialect calls the organization of that name.
func (d dialect) id(t *testing.T, p *process, name string) string {
	t.Helper()
	list := request{"GET", "/v1/organizations?limit=100", ""}
	if d.numbered != nil {
		list = d.numbered()
	}
	status, o, err := p.call(list.method, list.path, list.body)
	require.NoError(t, err)
	require.Equal(t, 200, status, o)
	for _, one := range o["data"].([]any) {
		if one := one.(map[string]any); one["name"] == name {
			return fmt.Sprint(one["id"])
		}
	}
	t.Fatalf("no organization is named %s", name)
	return ""
}

// TestWhatOneDialectWritesEveryOtherShows makes an organization in each dialect and reads, renames, charges and deletes it in each.
func TestWhatOneDialectWritesEveryOtherShows(t *testing.T) {
	m := newModel(t)
	prices := filepath.Join(t.TempDir(), "prices.json")
	require.NoError(t, os.WriteFile(prices, []byte(`{"currency": "USD", "models": {"gpt-4o": [{"prices": {"input_token": "0.00001", "output_token": "0.00003"}}]}}`), 0o600))
	t.Setenv("ORGKIT_UPSTREAM_KEY", "key-of-the-upstream")
	p := start(t, "memory:", "-upstream", m.URL+"/v1", "-prices", prices)
	do := func(r request) map[string]any {
		t.Helper()
		status, o, err := p.call(r.method, r.path, r.body)
		require.NoError(t, err)
		require.Less(t, status, 300, "%s %s: %v", r.method, r.path, o)
		return o
	}
	for by, maker := range dialects {
		for in, other := range dialects {
			t.Run(by+" and "+in, func(t *testing.T) {
				name := "Made by " + by + " for " + in
				do(maker.create(name))
				require.Equal(t, name, do(other.read(other.id(t, p, name)))[other.name])
				do(other.rename(other.id(t, p, name), name+", renamed"))
				name += ", renamed"
				require.Equal(t, name, do(maker.read(maker.id(t, p, name)))[maker.name])

				org := "/orgs/" + dialects["/orgs"].id(t, p, name)
				secret := do(request{"POST", org + "/api_keys", `{"name": "k", "permissions": ["models.use"]}`})["key"].(string)
				m.let <- 200
				res, o := p.chats(t, secret, `{"model": "gpt-4o", "max_tokens": 200, "messages": []}`)
				require.Equal(t, 200, res.StatusCode, "%v", o)
				<-m.asked
				used := do(request{"GET", org + "/consumption", ""})
				require.Equal(t, []any{1.0, 150.0, 0.0025}, []any{used["api_calls"], used["total_tokens"], used["cost"]})

				gone := map[string]string{}
				for title, d := range dialects {
					gone[title] = d.id(t, p, name)
				}
				do(other.remove(gone[in]))
				for title, d := range dialects {
					r := d.read(gone[title])
					status, o, err := p.call(r.method, r.path, r.body)
					require.NoError(t, err)
					require.Equal(t, d.deleted, status, title)
					if status == 200 {
						require.Equal(t, "deleted", o["status"])
					}
				}
				res, _ = p.chats(t, secret, `{"model": "gpt-4o", "max_tokens": 200, "messages": []}`)
				require.Equal(t, 401, res.StatusCode, "its keys are dead at once")
			})
		}
	}
}
