package litellm_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
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

// TestClientsOfLiteLLM replays what clients are documented to send, and holds it against what was answered before.
func TestClientsOfLiteLLM(t *testing.T) { // F417 to F450
	for name, steps := range map[string][]step{"organizations": organizations, "members": members, "budgets": budgets, "refusals": refusals} {
		t.Run(name, func(t *testing.T) {
			clock := storetest.NewClock()
			g := newGateway(t, storetest.Open(t, "memory", store.Options{Now: clock.Now, NewID: storetest.IDs()}), litellm.Options{})
			var b strings.Builder
			known := map[string]string{}
			for _, s := range steps {
				body, path := s.body, s.path
				for name, is := range known {
					body, path = strings.ReplaceAll(body, "{{"+name+"}}", is), strings.ReplaceAll(path, "{{"+name+"}}", is)
				}
				w := serve(g.h, request(s.method, path, body))
				if s.name != "" {
					var is map[string]any
					require.NoError(t, json.Unmarshal(w.Body.Bytes(), &is), w.Body)
					known[s.name] = is[s.field].(string)
				}
				fmt.Fprintf(&b, "> %s %s\n", s.method, path)
				if body != "" {
					fmt.Fprintln(&b, strings.Join(strings.Fields(body), " "))
				}
				var out bytes.Buffer
				require.NoError(t, json.Indent(&out, bytes.TrimSpace(w.Body.Bytes()), "", "  "))
				fmt.Fprintf(&b, "< %d %s\n%s\n\n", w.Code, http.StatusText(w.Code), out.String())
			}
			file := filepath.Join("testdata", name+".golden")
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), b.String())
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
