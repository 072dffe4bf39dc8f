package litellm_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/gate/proxy"
	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// step is one request of a flow: of the operator where it says nothing else.
type step struct {
	method, path, body string
	key                string        // of who calls
	header             string        // where it stands
	name, field        string        // what the answer has in the field is known by the name to later steps
	after              time.Duration // how long after the step before
}

// op is a request. What its path, its body or the key of who makes it has in braces, {{name}}, is what is known by that name.
func op(method, path, body string) step {
	return step{method: method, path: path, body: body, key: master, header: "Authorization"}
}

// chat is a call of a model, with other fields beside.
func chat(model, more string) step {
	return op("POST", "/v1/chat/completions", `{"model":"`+model+`","messages":[]`+more+`}`)
}

func (s step) as(name, field string) step     { s.name, s.field = name, field; return s }
func (s step) by(key string) step             { s.key = key; return s }
func (s step) in(header string) step          { s.header = header; return s }
func (s step) later(after time.Duration) step { s.after = after; return s }
func (s step) onPlane() bool                  { return strings.HasPrefix(s.path, "/v1/") }

// random is what no two runs have in common: secrets, and what is made of them.
var random = regexp.MustCompile(`sk-[0-9A-Za-z]{20,}|ok_pat_[0-9A-Za-z]+|sk-\.\.\.[0-9A-Za-z]{4}|[0-9a-f]{64}`)

// flows are what is replayed, by the names of their files.
var flows = map[string][]step{"organizations": organizations, "members": members, "budgets": budgets, "refusals": refusals, "neighbours": neighbours, "callers": callers, "calls": calls}

// filled is a text with what is known by now.
func filled(text string, known map[string]string) string {
	for name, is := range known {
		text = strings.ReplaceAll(text, "{{"+name+"}}", is)
	}
	return text
}

func (s step) request(known map[string]string) *http.Request {
	r := httptest.NewRequest(s.method, filled(s.path, known), strings.NewReader(filled(s.body, known)))
	if key := filled(s.key, known); key != "" {
		r.Header.Set(s.header, "Bearer "+key)
	}
	return r
}

// remember keeps what later steps are to have of the answer.
func (s step) remember(t *testing.T, known map[string]string, answer []byte) {
	if s.name == "" {
		return
	}
	var is map[string]any
	require.NoError(t, json.Unmarshal(answer, &is), "%s", answer)
	require.IsType(t, "", is[s.field], "%s", answer)
	known[s.name] = is[s.field].(string)
}

// both are the dialect, and models that its keys call: each answers as much as it may, of 20 tokens at most.
func (g *gateway) both() http.Handler {
	model := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Max int64 `json:"max_tokens"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		if in.Max == 0 || in.Max > 20 {
			in.Max = 20
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":%d}}`, in.Max)
	})
	plane, err := proxy.New(g.gate, model, &proxy.Options{Fit: []string{litellm.Dialect}, Refusals: map[string]proxy.Refusal{litellm.Dialect: litellm.Refusals(g.Manager, nil)}})
	require.NoError(g.t, err)
	mux := http.NewServeMux()
	mux.Handle("/v1/", plane)
	mux.Handle("/", g.h)
	return mux
}

// TestClientsOfLiteLLM replays what clients are documented to send, and holds it against what was answered before.
func TestClientsOfLiteLLM(t *testing.T) { // F417 to F452
	for name, steps := range flows {
		t.Run(name, func(t *testing.T) {
			clock := storetest.NewClock()
			g := newGateway(t, storetest.Open(t, "memory", store.Options{Now: clock.Now, NewID: storetest.IDs()}), litellm.Options{})
			h := g.both()
			var b strings.Builder
			known := map[string]string{}
			for _, s := range steps {
				if clock.Advance(s.after); s.after > 0 {
					fmt.Fprintf(&b, "%s later\n\n", s.after)
				}
				w := serve(h, s.request(known))
				s.remember(t, known, w.Body.Bytes())
				fmt.Fprintf(&b, "> %s %s\n", s.method, filled(s.path, known))
				if s.key != master || s.header != "Authorization" {
					fmt.Fprintf(&b, "%s: Bearer %s\n", s.header, s.key)
				}
				if s.body != "" {
					fmt.Fprintln(&b, strings.Join(strings.Fields(filled(s.body, known)), " "))
				}
				var out bytes.Buffer
				require.NoError(t, json.Indent(&out, bytes.TrimSpace(w.Body.Bytes()), "", "  "))
				fmt.Fprintf(&b, "< %d %s\n%s\n\n", w.Code, http.StatusText(w.Code), out.String())
			}
			golden(t, name, b.String())
		})
	}
}

// golden holds a text against a file, where what is random is hidden.
func golden(t *testing.T, name, is string) {
	is = random.ReplaceAllString(is, "~")
	file := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(is), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), is)
}

var organizations = []step{
	op("POST", "/organization/new", `{"organization_alias":"Research","organization_id":"research","models":["gpt-4"],"max_budget":100,"budget_duration":"30d","metadata":{"team":"ml"},"tags":["prod"]}`),
	op("POST", "/organization/new", `{"organization_alias":"Sales"}`),
	op("GET", "/organization/list", ""),
	op("PATCH", "/organization/update", `{"organization_id":"research","organization_alias":"Research & Co","max_budget":null,"tpm_limit":1000}`),
	op("PATCH", "/v2/organization/research", `{"metadata":{"team":"nlp"},"budget_duration":"1d"}`),
	op("GET", "/organization/info?organization_id=research", ""),
	op("POST", "/organization/info", `{"organizations":["research"]}`),
	op("PATCH", "/organization/update", `{"organization_id":"research","object_permission":{"vector_stores":["vs_1"]},"model_aliases":{"best":"gpt-4"},"blocked":true}`),
	op("DELETE", "/organization/delete", `{"organization_ids":["research"]}`),
	op("GET", "/organization/info?organization_id=research", ""),
	op("POST", "/organization/new", `{"organization_alias":"Everything","organization_id":"all","models":["gpt-4","gpt-3.5"],"max_budget":100.5,"soft_budget":80,"tpm_limit":100000,"rpm_limit":"60","max_parallel_requests":5,
		"model_max_budget":{"gpt-4":{"budget_limit":10,"time_period":"1d"}},"budget_duration":"7d","metadata":{"department":"all"},"blocked":false,"tags":["prod","eu"],"model_aliases":{"best":"gpt-4"},"object_permission":{"vector_stores":["vs_1"]}}`),
}

var members = []step{
	op("POST", "/organization/new", `{"organization_alias":"Research","organization_id":"research"}`),
	op("POST", "/organization/member_add", `{"organization_id":"research","member":{"role":"org_admin","user_email":"anna@research.example"},"max_budget_in_organization":10}`),
	op("POST", "/organization/member_add", `{"organization_id":"research","member":[{"role":"internal_user","user_id":"bob"}]}`),
	op("PATCH", "/organization/member_update", `{"organization_id":"research","user_id":"bob","role":"internal_user_viewer","max_budget_in_organization":5}`),
	op("GET", "/organization/info?organization_id=research", ""),
	op("PATCH", "/organization/member_update", `{"organization_id":"research","user_email":"Anna@research.example","max_budget_in_organization":20}`),
	op("PATCH", "/organization/member_update", `{"organization_id":"research","user_id":"bob","max_budget_in_organization":null}`),
	op("POST", "/organization/member_add", `{"organization_id":"research","member":{"role":"internal_user","user_id":"bob"}}`),
	op("PATCH", "/organization/member_update", `{"organization_id":"nope","user_id":"bob","role":"org_admin"}`),
	op("PATCH", "/organization/member_update", `{"organization_id":"research","user_id":"nobody","role":"org_admin"}`),
	op("PATCH", "/organization/member_update", `{"organization_id":"research","user_email":"nobody@research.example","role":"org_admin"}`),
	op("PATCH", "/organization/member_update", `{"organization_id":"research","user_id":"bob","role":"boss"}`),
	op("DELETE", "/organization/member_delete", `{"organization_id":"research","user_id":"bob"}`),
	op("DELETE", "/organization/member_delete", `{"organization_id":"research","user_id":"bob"}`),
}

var budgets = []step{
	op("POST", "/budget/new", `{"budget_id":"gold","max_budget":100,"soft_budget":80,"budget_duration":"1d","model_max_budget":{"gpt-4":{"max_budget":10,"budget_duration":"1h","rpm_limit":5}}}`),
	op("POST", "/budget/new", `{"tpm_limit":1000}`).as("made", "budget_id"),
	op("POST", "/organization/new", `{"organization_alias":"Research","organization_id":"research","budget_id":"gold"}`),
	op("POST", "/budget/update", `{"budget_id":"gold","soft_budget":null}`),
	op("POST", "/budget/info", `{"budgets":["gold"]}`),
	op("GET", "/budget/list", ""),
	op("POST", "/budget/delete", `{"id":"gold"}`),
	op("POST", "/budget/delete", `{"id":"{{made}}"}`),
}

// neighbours have what is random about keys hidden.
var neighbours = []step{
	op("POST", "/organization/new", `{"organization_alias":"Research","organization_id":"research"}`),
	op("POST", "/user/new", `{"user_id":"anna","user_email":"anna@research.example","user_alias":"Anna","auto_create_key":false,"organizations":["research"]}`),
	op("POST", "/user/new", `{"user_id":"root","user_role":"proxy_admin","auto_create_key":false}`),
	op("POST", "/team/new", `{"team_alias":"Lab","team_id":"lab","organization_id":"research","members_with_roles":[{"role":"admin","user_id":"anna"}],"max_budget":5,"budget_duration":"1d","model_aliases":{"best":"gpt-4"}}`),
	op("POST", "/team/member_add", `{"team_id":"lab","member":{"role":"user","user_id":"bob"},"max_budget_in_team":1}`),
	op("POST", "/key/generate", `{"team_id":"lab","user_id":"anna","key_alias":"anna's","max_budget":2}`).as("token", "token"),
	op("GET", "/key/info?key={{token}}", ""),
	op("GET", "/team/info?team_id=lab", ""),
	op("GET", "/user/info?user_id=anna", ""),
	op("POST", "/team/member_delete", `{"team_id":"lab","user_id":"bob"}`),
	op("POST", "/key/delete", `{"keys":["{{token}}"]}`),
	op("POST", "/team/delete", `{"team_ids":["lab"]}`),
	op("POST", "/user/delete", `{"user_ids":["anna"]}`),
}

var refusals = []step{
	op("POST", "/organization/new", `{"organization_alias":"Research","organization_id":"research"}`),
	op("POST", "/organization/new", `{"organization_alias":"Research","organization_id":"research"}`),
	op("POST", "/organization/new", `{"models":"gpt-4"}`),
	op("POST", "/organization/new", `{"organization_alias":`),
	op("PATCH", "/organization/update", `{"organization_id":"nope"}`),
	op("POST", "/organization/member_add", `{"organization_id":"nope","member":{"role":"org_admin","user_id":"bob"}}`),
	op("POST", "/organization/member_add", `{"organization_id":"research","member":{"role":"boss"}}`),
	op("DELETE", "/organization/delete", `{"organization_ids":["research","nope"]}`),
	op("POST", "/budget/delete", `{"id":"nope"}`),
	op("GET", "/organization/info", ""),
	op("POST", "/organization/info", `{"organizations":[]}`),
	op("POST", "/organization/new", `{"organization_alias":"Other","budget_id":"gold","max_budget":1}`),
	op("POST", "/organization/new", `{"organization_alias":"Other","budget_id":"gold"}`),
	op("POST", "/organization/new", `{"organization_alias":"Other","max_budget":-1}`),
	op("POST", "/organization/new", `{"organization_alias":"Other","model_max_budget":{"gpt-4":1}}`),
	op("GET", "/nowhere", ""),
	op("GET", "/organization/update", ""),
}

// callers are people and keys of several kinds.
var callers = []step{
	op("POST", "/organization/new", `{"organization_alias":"Research","organization_id":"research"}`),
	op("POST", "/organization/new", `{"organization_alias":"Rival","organization_id":"rival"}`),
	op("POST", "/organization/member_add", `{"organization_id":"research","member":[{"role":"org_admin","user_id":"anna"},{"role":"internal_user","user_id":"bob"}]}`),
	op("POST", "/key/generate", `{"organization_id":"research","user_id":"anna","key_alias":"anna's"}`).as("anna", "key"),
	op("POST", "/key/generate", `{"organization_id":"research","user_id":"bob","key_alias":"bob's"}`).as("bob", "key"),
	op("POST", "/key/generate", `{"organization_id":"research","key_alias":"nobody's"}`).as("nobody", "key"),
	op("GET", "/organization/list", "").in("x-litellm-api-key"),
	op("GET", "/organization/list", "").by(""),
	op("GET", "/organization/list", "").by("sk-1234567890abcdef1234"),
	op("POST", "/organization/new", `{"organization_alias":"Mine"}`).by("{{anna}}"),
	op("POST", "/organization/new", `{"organization_alias":"Mine"}`).by("{{nobody}}"),
	op("PATCH", "/organization/update", `{"organization_id":"research","max_budget":1000}`).by("{{anna}}"),
	op("PATCH", "/organization/update", `{"organization_id":"research","max_budget":1000}`).by("{{nobody}}"),
	op("DELETE", "/organization/delete", `{"organization_ids":["research"]}`).by("{{anna}}"),
	op("GET", "/organization/list", "").by("{{bob}}"),
	op("GET", "/organization/info?organization_id=rival", "").by("{{anna}}"),
	op("GET", "/organization/info?organization_id=research", "").by("{{bob}}"),
	op("POST", "/organization/info", `{"organizations":["research","rival"]}`).by("{{anna}}"),
	op("POST", "/organization/member_add", `{"organization_id":"research","member":{"role":"internal_user","user_email":"carl@research.example"}}`).by("{{anna}}"),
	op("POST", "/organization/member_add", `{"organization_id":"research","member":{"role":"internal_user","user_id":"dora"}}`).by("{{bob}}"),
}

// calls are what limits, models and objects of an organization mean for the calls of its keys.
var calls = []step{
	op("POST", "/organization/new", `{"organization_alias":"Acme","organization_id":"acme","max_budget":0.02,"budget_duration":"1d","models":["gpt-4","gpt-3.5"],"tags":["prod"]}`),
	op("POST", "/key/generate", `{"organization_id":"acme","key_alias":"acme's"}`).as("key", "key"),
	chat("gpt-4", `,"max_tokens":20`).by("{{key}}"),
	chat("gpt-4", `,"max_tokens":20`).by("{{key}}"),
	op("GET", "/organization/info?organization_id=acme", ""),
	chat("gpt-4", `,"max_tokens":20`).by("{{key}}").later(24 * time.Hour),
	op("PATCH", "/organization/update", `{"organization_id":"acme","max_budget":null,"budget_duration":null,"models":["gpt-3.5"],"model_aliases":{"best":"gpt-3.5"}}`),
	chat("gpt-4", ``).by("{{key}}"),
	chat("best", ``).by("{{key}}"),
	op("PATCH", "/organization/update", `{"organization_id":"acme","tpm_limit":10}`),
	chat("gpt-3.5", `,"max_tokens":11`).by("{{key}}"),
	op("PATCH", "/organization/update", `{"organization_id":"acme","tpm_limit":null,"rpm_limit":0}`),
	chat("gpt-3.5", ``).by("{{key}}"),
	op("PATCH", "/organization/update", `{"organization_id":"acme","rpm_limit":null,"max_parallel_requests":0}`),
	chat("gpt-3.5", ``).by("{{key}}"),
	op("PATCH", "/organization/update", `{"organization_id":"acme","max_parallel_requests":null,"soft_budget":0.00001}`),
	chat("gpt-3.5", ``).by("{{key}}"),
	op("PATCH", "/organization/update", `{"organization_id":"acme","soft_budget":null,"model_max_budget":{"gpt-3.5":{"max_budget":0}}}`),
	chat("gpt-3.5", ``).by("{{key}}"),
	op("PATCH", "/organization/update", `{"organization_id":"acme","model_max_budget":null,"object_permission":{"vector_stores":["vs_1"]}}`),
	chat("gpt-3.5", `,"vector_store_ids":["vs_2"]`).by("{{key}}"),
	chat("gpt-3.5", `,"vector_store_ids":["vs_1"]`).by("{{key}}"),
	op("PATCH", "/organization/update", `{"organization_id":"acme","blocked":true}`),
	chat("gpt-3.5", ``).by("{{key}}"),
	op("PATCH", "/organization/update", `{"organization_id":"acme","blocked":false}`),
	op("POST", "/organization/member_add", `{"organization_id":"acme","member":{"role":"internal_user","user_id":"bob"},"max_budget_in_organization":0}`),
	op("POST", "/key/generate", `{"organization_id":"acme","user_id":"bob","key_alias":"bob's"}`).as("bob", "key"),
	chat("gpt-3.5", ``).by("{{bob}}"),
	op("DELETE", "/organization/delete", `{"organization_ids":["acme"]}`),
	chat("gpt-3.5", ``).by("{{key}}"),
}
