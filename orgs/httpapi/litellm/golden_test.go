package litellm_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// step is one request of the operator, or of whoever {{name}} stands for. What a path or body has in braces, {{name}}, is the
// text that the answer of the step of that name has in its field.
type step struct{ name, field, method, path, body string }

// random is what no two runs have in common: secrets, and what is made of them.
var random = regexp.MustCompile(`sk-[0-9a-z]{20,}|sk-\.\.\.[0-9a-z]{4}|[0-9a-f]{64}`)

// flows are what is replayed, by the names of their files.
var flows = map[string][]step{"organizations": organizations, "members": members, "budgets": budgets, "refusals": refusals, "neighbours": neighbours}

// filled are the path and the body with what is known by now.
func (s step) filled(known map[string]string) (path, body string) {
	path, body = s.path, s.body
	for name, is := range known {
		path, body = strings.ReplaceAll(path, "{{"+name+"}}", is), strings.ReplaceAll(body, "{{"+name+"}}", is)
	}
	return path, body
}

func (s step) request(known map[string]string) *http.Request {
	path, body := s.filled(known)
	return request(s.method, path, body)
}

// remember keeps what later steps are to have of the answer.
func (s step) remember(t *testing.T, known map[string]string, answer []byte) {
	if s.name == "" {
		return
	}
	var is map[string]any
	require.NoError(t, json.Unmarshal(answer, &is), "%s", answer)
	known[s.name] = is[s.field].(string)
}

// TestClientsOfLiteLLM replays what clients are documented to send, and holds it against what was answered before.
func TestClientsOfLiteLLM(t *testing.T) { // F417 to F450
	for name, steps := range flows {
		t.Run(name, func(t *testing.T) {
			clock := storetest.NewClock()
			g := newGateway(t, storetest.Open(t, "memory", store.Options{Now: clock.Now, NewID: storetest.IDs()}), litellm.Options{})
			var b strings.Builder
			known := map[string]string{}
			for _, s := range steps {
				r := s.request(known)
				w := serve(g.h, r)
				s.remember(t, known, w.Body.Bytes())
				path, body := s.filled(known)
				fmt.Fprintf(&b, "> %s %s\n", s.method, path)
				if body != "" {
					fmt.Fprintln(&b, strings.Join(strings.Fields(body), " "))
				}
				var out bytes.Buffer
				require.NoError(t, json.Indent(&out, bytes.TrimSpace(w.Body.Bytes()), "", "  "))
				fmt.Fprintf(&b, "< %d %s\n%s\n\n", w.Code, http.StatusText(w.Code), out.String())
			}
			is := random.ReplaceAllString(b.String(), "~")
			file := filepath.Join("testdata", name+".golden")
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(is), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), is)
		})
	}
}

var organizations = []step{
	{"", "", "POST", "/organization/new", `{"organization_alias":"Research","organization_id":"research","models":["gpt-4"],"max_budget":100,"budget_duration":"30d","metadata":{"team":"ml"},"tags":["prod"]}`},
	{"", "", "POST", "/organization/new", `{"organization_alias":"Sales"}`},
	{"", "", "GET", "/organization/list", ""},
	{"", "", "PATCH", "/organization/update", `{"organization_id":"research","organization_alias":"Research & Co","max_budget":null,"tpm_limit":1000}`},
	{"", "", "PATCH", "/v2/organization/research", `{"metadata":{"team":"nlp"},"budget_duration":"1d"}`},
	{"", "", "GET", "/organization/info?organization_id=research", ""},
	{"", "", "POST", "/organization/info", `{"organizations":["research"]}`},
	{"", "", "PATCH", "/organization/update", `{"organization_id":"research","object_permission":{"vector_stores":["vs_1"]},"model_aliases":{"best":"gpt-4"},"blocked":true}`},
	{"", "", "DELETE", "/organization/delete", `{"organization_ids":["research"]}`},
	{"", "", "GET", "/organization/info?organization_id=research", ""},
}

var members = []step{
	{"", "", "POST", "/organization/new", `{"organization_alias":"Research","organization_id":"research"}`},
	{"", "", "POST", "/organization/member_add", `{"organization_id":"research","member":{"role":"org_admin","user_email":"anna@research.example"},"max_budget_in_organization":10}`},
	{"", "", "POST", "/organization/member_add", `{"organization_id":"research","member":[{"role":"internal_user","user_id":"bob"}]}`},
	{"", "", "PATCH", "/organization/member_update", `{"organization_id":"research","user_id":"bob","role":"internal_user_viewer","max_budget_in_organization":5}`},
	{"", "", "GET", "/organization/info?organization_id=research", ""},
	{"", "", "DELETE", "/organization/member_delete", `{"organization_id":"research","user_id":"bob"}`},
	{"", "", "DELETE", "/organization/member_delete", `{"organization_id":"research","user_id":"bob"}`},
}

var budgets = []step{
	{"", "", "POST", "/budget/new", `{"budget_id":"gold","max_budget":100,"soft_budget":80,"budget_duration":"1d","model_max_budget":{"gpt-4":{"max_budget":10,"budget_duration":"1h","rpm_limit":5}}}`},
	{"made", "budget_id", "POST", "/budget/new", `{"tpm_limit":1000}`},
	{"", "", "POST", "/organization/new", `{"organization_alias":"Research","organization_id":"research","budget_id":"gold"}`},
	{"", "", "POST", "/budget/update", `{"budget_id":"gold","soft_budget":null}`},
	{"", "", "POST", "/budget/info", `{"budgets":["gold"]}`},
	{"", "", "GET", "/budget/list", ""},
	{"", "", "POST", "/budget/delete", `{"id":"gold"}`},
	{"", "", "POST", "/budget/delete", `{"id":"{{made}}"}`},
}

// neighbours have what is random about keys hidden.
var neighbours = []step{
	{"", "", "POST", "/organization/new", `{"organization_alias":"Research","organization_id":"research"}`},
	{"", "", "POST", "/user/new", `{"user_id":"anna","user_email":"anna@research.example","user_alias":"Anna","auto_create_key":false,"organizations":["research"]}`},
	{"", "", "POST", "/user/new", `{"user_id":"root","user_role":"proxy_admin","auto_create_key":false}`},
	{"", "", "POST", "/team/new", `{"team_alias":"Lab","team_id":"lab","organization_id":"research","members_with_roles":[{"role":"admin","user_id":"anna"}],"max_budget":5,"budget_duration":"1d","model_aliases":{"best":"gpt-4"}}`},
	{"", "", "POST", "/team/member_add", `{"team_id":"lab","member":{"role":"user","user_id":"bob"},"max_budget_in_team":1}`},
	{"token", "token", "POST", "/key/generate", `{"team_id":"lab","user_id":"anna","key_alias":"anna's","max_budget":2}`},
	{"", "", "GET", "/key/info?key={{token}}", ""},
	{"", "", "GET", "/team/info?team_id=lab", ""},
	{"", "", "GET", "/user/info?user_id=anna", ""},
	{"", "", "POST", "/team/member_delete", `{"team_id":"lab","user_id":"bob"}`},
	{"", "", "POST", "/key/delete", `{"keys":["{{token}}"]}`},
	{"", "", "POST", "/team/delete", `{"team_ids":["lab"]}`},
	{"", "", "POST", "/user/delete", `{"user_ids":["anna"]}`},
}

var refusals = []step{
	{"", "", "POST", "/organization/new", `{"organization_alias":"Research","organization_id":"research"}`},
	{"", "", "POST", "/organization/new", `{"organization_alias":"Research","organization_id":"research"}`},
	{"", "", "POST", "/organization/new", `{"models":"gpt-4"}`},
	{"", "", "POST", "/organization/new", `{"organization_alias":`},
	{"", "", "PATCH", "/organization/update", `{"organization_id":"nope"}`},
	{"", "", "POST", "/organization/member_add", `{"organization_id":"nope","member":{"role":"org_admin","user_id":"bob"}}`},
	{"", "", "POST", "/organization/member_add", `{"organization_id":"research","member":{"role":"boss"}}`},
	{"", "", "DELETE", "/organization/delete", `{"organization_ids":["research","nope"]}`},
	{"", "", "POST", "/budget/delete", `{"id":"nope"}`},
	{"", "", "GET", "/organization/info", ""},
	{"", "", "GET", "/nowhere", ""},
	{"", "", "GET", "/organization/update", ""},
}
