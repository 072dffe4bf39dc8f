package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// dialect is how the clients of one system manage organizations.
type dialect struct {
	all    string // where they are made
	at     string // and where one of them is
	remove string // what else its deletion needs
	number bool   // ids are numbers
}

var dialects = map[string]dialect{
	"native":      {all: "/v1/organizations", at: "/v1/organizations/%s", remove: "?cascade=true"},
	"/orgs":       {all: "/orgs", at: "/orgs/%s"},
	"OpenGateLLM": {all: "/v1/admin/organizations", at: "/v1/admin/organizations/%s", number: true},
}

// path is where the dialect has the organization of that name.
func (d dialect) path(t *testing.T, p *process, name string) string {
	t.Helper()
	list := dialects["native"]
	if d.number {
		list = d
	}
	status, o, err := p.call("GET", list.all+"?limit=100", "")
	require.NoError(t, err)
	require.Equal(t, 200, status, o)
	for _, one := range o["data"].([]any) {
		if one := one.(map[string]any); one["name"] == name {
			return fmt.Sprintf(d.at, fmt.Sprint(one["id"]))
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
	do := func(method, path, body string) map[string]any {
		t.Helper()
		status, o, err := p.call(method, path, body)
		require.NoError(t, err)
		require.Less(t, status, 300, "%s %s: %v", method, path, o)
		return o
	}
	for by, maker := range dialects {
		for in, other := range dialects {
			t.Run(by+" and "+in, func(t *testing.T) {
				name := "Made by " + by + " for " + in
				do("POST", maker.all, fmt.Sprintf(`{"name": %q}`, name))
				require.Equal(t, name, do("GET", other.path(t, p, name), "")["name"])
				do("PATCH", other.path(t, p, name), fmt.Sprintf(`{"name": %q}`, name+", renamed"))
				name += ", renamed"
				require.Equal(t, name, do("GET", maker.path(t, p, name), "")["name"])

				org := dialects["/orgs"].path(t, p, name)
				secret := do("POST", org+"/api_keys", `{"name": "k", "permissions": ["models.use"]}`)["key"].(string)
				m.let <- 200
				res, o := p.chats(t, secret, `{"model": "gpt-4o", "max_tokens": 200, "messages": []}`)
				require.Equal(t, 200, res.StatusCode, "%v", o)
				<-m.asked
				used := do("GET", org+"/consumption", "")
				require.Equal(t, []any{1.0, 150.0, 0.0025}, []any{used["api_calls"], used["total_tokens"], used["cost"]})

				gone := map[string]string{}
				for title, d := range dialects {
					gone[title] = d.path(t, p, name)
				}
				do("DELETE", gone[in]+other.remove, "")
				for title, path := range gone {
					status, o, err := p.call("GET", path, "")
					require.NoError(t, err)
					if title == "native" { // which can give it back to the operator
						require.Equal(t, "deleted", o["status"])
						continue
					}
					require.Equal(t, 404, status, title)
				}
				res, _ = p.chats(t, secret, `{"model": "gpt-4o", "max_tokens": 200, "messages": []}`)
				require.Equal(t, 401, res.StatusCode, "its keys are dead at once")
			})
		}
	}
}
