package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// turn is a request to the gateway. What is in braces, {{name}}, is what an earlier turn has kept under the name.
type turn struct {
	rows, key, request, body string // what it shows; whose key has it, the operator's where it is "", nobody's where it is "-"
	keep                     string // "name=field" of the answer
}

// asks is a call of a model that has a price.
const asks = `{"model": "gpt-4o", "max_tokens": 50, "messages": []}`

// conversations are what clients of each system send, feature by feature.
var conversations = map[string][]turn{
	"orgs": {
		{"", "", "POST /orgs", `{"name": "Acme"}`, "org=id"},
		{"F338 F339", "-", "GET /orgs/{{org}}", "", ""},
		{"F338 F339", "nobody", "GET /orgs/org-123", "", ""},
		{"F339", "", "GET /orgs/org-123", "", ""},
		{"F340-F345", "", "GET /orgs/{{org}}", "", ""},
		{"F345-F348", "", "PATCH /orgs/{{org}}", `{"name": "Acme Corporation", "customizations": {"theme": "dark", "branding_color": "#0047AB"}}`, ""},
		{"F348", "", "PATCH /orgs/{{org}}", `{"customizations": {"theme": null}}`, ""},
		{"F339 F346 F347", "", "PATCH /orgs/{{org}}", `{"name": " "}`, ""},
		{"F360 F361", "", "GET /orgs/{{org}}/customizations", "", ""},
		{"F361-F364", "", "PUT /orgs/{{org}}/customizations", `{"theme": "light", "logo_url": "https://acme.example/logo.png", "font": "serif"}`, ""},
		{"F363", "", "PUT /orgs/{{org}}/customizations", `{"customizations": {"theme": "dark"}}`, ""},
		{"F361", "", "PUT /orgs/{{org}}/customizations", `{"branding_color": "blue"}`, ""},
		{"F363", "", "PUT /orgs/{{org}}/customizations", "", ""},
		{"F365", "", "POST /orgs", `{"name": "Acme Labs", "parent_org_id": "{{org}}"}`, "below=id"},
		{"F356 F357", "", "GET /orgs/{{org}}/children_audit", "", ""},
		{"F366", "", "POST /orgs/{{org}}/api_keys", `{"name": "ci", "permissions": ["read", "models.use"]}`, "key=key"},
		{"F366", "", "GET /orgs/{{org}}/api_keys", "", ""},
		{"", "", "POST /v1/users", `{"email": "ann@acme.example"}`, "ann=id"},
		{"", "", "PUT /v1/users/{{ann}}/password", `{"password": "correct horse battery staple"}`, ""},
		{"", "", "POST /v1/organizations/{{org}}/members", `{"user_id": "{{ann}}", "role": "member"}`, ""},
		{"", "-", "POST /v1/sessions", `{"email": "ann@acme.example", "password": "wrong password"}`, ""},
		{"", "-", "POST /v1/sessions", `{"email": "ann@acme.example", "password": "correct horse battery staple"}`, ""},
		{"F351-F355", "", "GET /orgs/{{org}}/access_log", "", ""},
		{"", "key", "POST /v1/chat/completions", asks, ""},
		{"F358 F359", "", "GET /orgs/{{org}}/consumption", "", ""},
		{"", "", "PATCH /v1/organizations/{{org}}", `{"tags": ["eu"]}`, ""},
		{"F367", "", "GET /orgs/{{org}}/tags", "", ""},
		{"F349 F350 F365", "", "DELETE /orgs/{{org}}", "", ""},
		{"F349", "", "GET /orgs/{{org}}", "", ""},
		{"F349 F365", "", "GET /orgs/{{below}}", "", ""},
		{"F366", "key", "GET /org", "", ""},
	},
	"opengatellm": {
		{"F368", "-", "GET /v1/admin/organizations", "", ""},
		{"F368", "nobody", "GET /v1/admin/organizations", "", ""},
		{"F370 F371", "", "POST /v1/admin/organizations", `{"name": " My Organization "}`, ""},
		{"F370", "", "POST /v1/admin/organizations", `{"name": "My Organization"}`, ""},
		{"F370", "", "POST /v1/admin/organizations", `{"name": ""}`, ""},
		{"F371 F380", "", "POST /v1/admin/organizations", `{"name": "Other"}`, ""},
		{"F372-F376", "", "GET /v1/admin/organizations?offset=0&limit=1&order_by=name&order_direction=desc", "", ""},
		{"F373-F376", "", "GET /v1/admin/organizations?offset=-1&limit=101&order_by=users&order_direction=up", "", ""},
		{"F378", "", "PATCH /v1/admin/organizations/1", `{"name": "New Organization Name"}`, ""},
		{"F378", "", "PATCH /v1/admin/organizations/2", `{"name": "New Organization Name"}`, ""},
		{"F411", "", "POST /v1/admin/roles", `{"name": "user", "permissions": [], "limits": []}`, ""},
		{"F384-F391", "", "POST /v1/admin/users", `{"email": "john.doe@example.com", "name": "John Doe", "password": "secure_password", "role": 1, "organization": 1, "budget": 100.0, "expires": {{tomorrow}}}`, ""},
		{"F384 F385", "", "POST /v1/admin/users", `{"email": "JOHN.DOE@example.com", "password": "secure_password", "role": 1}`, ""},
		{"F384 F388", "", "POST /v1/admin/users", `{"email": "a@example.com", "password": "secure_password", "role": 9}`, ""},
		{"F384 F389", "", "POST /v1/admin/users", `{"email": "a@example.com", "password": "secure_password", "role": 1, "organization": 9}`, ""},
		{"F385-F387 F390 F391", "", "POST /v1/admin/users", `{"email": "", "name": "", "password": "", "role": 1, "budget": -1, "expires": 1}`, ""},
		{"F369 F377", "", "GET /v1/admin/organizations/1", "", ""},
		{"F379", "", "DELETE /v1/admin/organizations/1", "", ""},
		{"F379", "", "DELETE /v1/admin/organizations/2", "", ""},
		{"F377", "", "GET /v1/admin/organizations/2", "", ""},
		{"F392-F395 F404", "", "GET /v1/admin/users/1", "", ""},
		{"F396-F398 F400-F403", "", "GET /v1/admin/users?role=1&organization=1&offset=0&limit=10&order_by=created&order_direction=desc", "", ""},
		{"F397 F398 F400-F403", "", "GET /v1/admin/users?role=x&organization=x&offset=x&limit=0&order_by=x&order_direction=x", "", ""},
		{"F399", "", "GET /v1/admin/users?email=john.doe@example.com", "", ""},
		{"F399", "", "GET /v1/admin/users?email=nobody@example.com", "", ""},
		{"F404", "", "GET /v1/admin/users/9", "", ""},
		{"F405-F408", "", "PATCH /v1/admin/users/1", `{"email": "new.email@example.com", "name": "John Smith", "budget": 200.0}`, ""},
		{"F405 F408", "", "GET /v1/admin/users/1", "", ""},
		{"F405", "", "PATCH /v1/admin/users/1", `{"organization": 1, "budget": 0.004}`, ""},
		{"F410 F416", "-", "POST /v1/auth/login", `{"email": "new.email@example.com", "password": "secure_password"}`, "login=key"},
		{"F410 F416", "-", "POST /v1/auth/login", `{"email": "new.email@example.com", "password": "wrong"}`, ""},
		{"F414", "login", "GET /v1/me/info", "", ""},
		{"F413", "", "POST /v1/admin/tokens", `{"name": "my token", "user": 1}`, "token=token"},
		{"F413", "", "GET /v1/admin/tokens?user=1", "", ""},
		{"F413", "", "POST /v1/admin/tokens", `{"name": "my token", "user": 1, "expires": 1}`, ""},
		{"F414", "token", "POST /v1/me/keys", `{"name": "laptop"}`, ""},
		{"F414", "token", "GET /v1/me/keys", "", ""},
		{"F368", "token", "GET /v1/admin/organizations", "", ""},
		{"F412", "token", "POST /v1/chat/completions", asks, ""},
		{"F411 F412", "", "PATCH /v1/admin/roles/1", `{"limits": [{"router": "gpt-4o", "type": "tpm", "value": null}, {"router": "gpt-4o", "type": "tpd", "value": null}, {"router": "gpt-4o", "type": "rpm", "value": 0}, {"router": "gpt-4o", "type": "rpd", "value": null}]}`, ""},
		{"F412", "token", "POST /v1/chat/completions", asks, ""},
		{"F411", "", "PATCH /v1/admin/roles/1", `{"limits": [{"router": "gpt-4o", "type": "tpm", "value": null}, {"router": "gpt-4o", "type": "tpd", "value": null}, {"router": "gpt-4o", "type": "rpm", "value": null}, {"router": "gpt-4o", "type": "rpd", "value": 2}]}`, ""},
		{"F415", "token", "POST /v1/chat/completions", asks, ""},
		{"F390 F414", "token", "GET /v1/me/info", "", ""},
		{"F390 F415", "token", "POST /v1/chat/completions", asks, ""},
		{"F390", "", "GET /v1/admin/users/1", "", ""},
		{"F412", "token", "POST /v1/chat/completions", asks, ""},
		{"F411", "", "PATCH /v1/admin/roles/1", `{"limits": [{"router": "gpt-4o", "type": "tpm", "value": null}, {"router": "gpt-4o", "type": "tpd", "value": null}, {"router": "gpt-4o", "type": "rpm", "value": null}, {"router": "gpt-4o", "type": "rpd", "value": null}]}`, ""},
		{"F390", "token", "POST /v1/chat/completions", asks, ""},
		{"F414", "token", "GET /v1/me/usage", "", ""},
		{"F381", "", "POST /v1/admin/projects", `{"name": "Search", "organization": 1, "budget": 0, "users": [1]}`, ""},
		{"F381", "", "POST /v1/admin/projects", `{"name": "Other", "organization": 1, "users": [1]}`, ""},
		{"F381", "", "GET /v1/admin/projects?organization=1", "", ""},
		{"", "", "PATCH /v1/admin/users/1", `{"organization": 1}`, ""},
		{"F382", "token", "POST /v1/me/keys", `{"name": "of search", "project": 1}`, "search=key"},
		{"", "token", "POST /v1/me/keys", `{"name": "of other", "project": 2}`, ""},
		{"F382", "search", "GET /v1/me/keys", "", ""},
		{"F382", "search", "GET /v1/me/keys/5", "", ""},
		{"F383", "search", "POST /v1/chat/completions", asks, ""},
		{"F391", "", "PATCH /v1/admin/users/1", `{"organization": 1, "expires": {{soon}}}`, ""},
		{"F391", "token", "WAIT", "", ""},
		{"F391 F414", "token", "GET /v1/me/info", "", ""},
		{"F391", "token", "GET /v1/me/keys", "", ""},
		{"F391", "token", "POST /v1/chat/completions", asks, ""},
		{"F411", "", "DELETE /v1/admin/roles/1", "", ""},
		{"F409", "", "DELETE /v1/admin/users/1", "", ""},
		{"F409", "token", "GET /v1/me/info", "", ""},
	},
	"litellm": {
		{"F452", "-", "GET /organization/list", "", ""},
		{"F452", "sk-1234567890abcdef1234", "GET /organization/list", "", ""},
		{"F417-F420 F422-F435", "", "POST /organization/new", `{"organization_alias": "Research", "organization_id": "research", "models": ["gpt-4o", "o1"], "max_budget": 0.002, "soft_budget": 0.001, "tpm_limit": 100000, "rpm_limit": 1000,
			"max_parallel_requests": 5, "model_max_budget": {"o1": {"max_budget": 0}}, "budget_duration": "30d", "metadata": {"department": "ml"}, "blocked": false, "tags": ["prod"], "model_aliases": {"best": "gpt-4o"},
			"object_permission": {"vector_stores": ["vs_1"]}}`, ""},
		{"F419 F451", "", "POST /organization/new", `{"organization_alias": "Research", "organization_id": "research"}`, ""},
		{"F421", "", "POST /budget/new", `{"budget_id": "gold", "max_budget": 10, "budget_duration": "1d"}`, ""},
		{"F421", "", "POST /organization/new", `{"organization_alias": "Sales", "organization_id": "sales", "budget_id": "gold"}`, ""},
		{"F421 F451", "", "POST /organization/new", `{"organization_alias": "Sales", "budget_id": "nope"}`, ""},
		{"F442-F446", "", "POST /organization/member_add", `{"organization_id": "research", "member": [{"role": "org_admin", "user_email": "anna@research.example", "user_id": "anna"}, {"role": "internal_user", "user_id": "bob"}], "max_budget_in_organization": 0}`, ""},
		{"F443 F451", "", "POST /organization/member_add", `{"organization_id": "nope", "member": {"role": "internal_user", "user_id": "bob"}}`, ""},
		{"F444 F451", "", "POST /organization/member_add", `{"organization_id": "research", "member": {"role": "boss"}}`, ""},
		{"", "", "POST /key/generate", `{"organization_id": "research", "key_alias": "research"}`, "key=key"},
		{"", "", "POST /key/generate", `{"organization_id": "research", "user_id": "anna", "key_alias": "of anna"}`, "anna=key"},
		{"", "", "POST /key/generate", `{"organization_id": "research", "user_id": "bob", "key_alias": "of bob"}`, "bob=key"},
		{"F417 F451", "anna", "POST /organization/new", `{"organization_alias": "Mine"}`, ""},
		{"F417", "key", "POST /organization/new", `{"organization_alias": "Mine"}`, ""},
		{"F436", "key", "PATCH /organization/update", `{"organization_id": "research", "max_budget": 1000}`, ""},
		{"F438", "anna", "DELETE /organization/delete", `{"organization_ids": ["research"]}`, ""},
		{"F439", "bob", "GET /organization/list", "", ""},
		{"F440 F451", "bob", "GET /organization/info?organization_id=research", "", ""},
		{"F442", "bob", "POST /organization/member_add", `{"organization_id": "research", "member": {"role": "internal_user", "user_id": "carl"}}`, ""},
		{"F442 F444", "anna", "POST /organization/member_add", `{"organization_id": "research", "member": {"role": "internal_user", "user_id": "carl"}}`, ""},
		{"F445", "bob", "POST /v1/chat/completions", asks, ""},
		{"F432", "key", "POST /v1/chat/completions", `{"model": "best", "max_tokens": 50, "messages": []}`, ""},
		{"F422 F426", "key", "POST /v1/chat/completions", asks, ""},
		{"F420", "key", "POST /v1/chat/completions", `{"model": "gpt-4o-mini", "max_tokens": 50, "messages": []}`, ""},
		{"F433", "key", "POST /v1/chat/completions", `{"model": "gpt-4o", "max_tokens": 50, "messages": [], "vector_store_ids": ["vs_2"]}`, ""},
		{"F422 F428 F435 F436", "", "PATCH /organization/update", `{"organization_id": "research", "max_budget": null, "budget_duration": null}`, ""},
		{"F422 F426", "key", "POST /v1/chat/completions", asks, ""},
		{"F427", "key", "POST /v1/chat/completions", `{"model": "o1", "max_tokens": 50, "messages": []}`, ""},
		{"F423 F427", "", "PATCH /organization/update", `{"organization_id": "research", "model_max_budget": null, "tpm_limit": 1}`, ""},
		{"F423", "key", "POST /v1/chat/completions", asks, ""},
		{"F424", "", "PATCH /organization/update", `{"organization_id": "research", "tpm_limit": null, "rpm_limit": 0}`, ""},
		{"F424", "key", "POST /v1/chat/completions", asks, ""},
		{"F425", "", "PATCH /organization/update", `{"organization_id": "research", "rpm_limit": null, "max_parallel_requests": 0}`, ""},
		{"F425", "key", "POST /v1/chat/completions", asks, ""},
		{"F430", "", "PATCH /organization/update", `{"organization_id": "research", "max_parallel_requests": null, "blocked": true}`, ""},
		{"F430", "key", "POST /v1/chat/completions", asks, ""},
		{"F436 F451", "", "PATCH /organization/update", `{"organization_id": "nope"}`, ""},
		{"F439", "", "GET /organization/list", "", ""},
		{"F440 F446", "", "GET /organization/info?organization_id=research", "", ""},
		{"F440", "", "GET /organization/info?organization_id=nope", "", ""},
		{"F441", "", "POST /organization/info", `{"organizations": ["research"]}`, ""},
		{"F441", "", "POST /organization/info", `{"organizations": []}`, ""},
		{"F447 F448", "", "PATCH /organization/member_update", `{"organization_id": "research", "user_id": "bob", "role": "internal_user_viewer", "max_budget_in_organization": 5}`, ""},
		{"F447 F448", "", "PATCH /organization/member_update", `{"organization_id": "research", "user_email": "anna@research.example", "max_budget_in_organization": null}`, ""},
		{"F449", "", "PATCH /organization/member_update", `{"organization_id": "nope", "user_id": "bob", "role": "org_admin"}`, ""},
		{"F449", "", "PATCH /organization/member_update", `{"organization_id": "research", "user_id": "nobody", "role": "org_admin"}`, ""},
		{"F449", "", "PATCH /organization/member_update", `{"organization_id": "research", "user_email": "nobody@research.example", "role": "org_admin"}`, ""},
		{"F450", "", "DELETE /organization/member_delete", `{"organization_id": "research", "user_id": "bob"}`, ""},
		{"F437", "", "DELETE /organization/delete", `{"organization_ids": ["research", "nope"]}`, ""},
		{"F437", "", "DELETE /organization/delete", `{"organization_ids": ["research"]}`, ""},
		{"F437", "key", "POST /v1/chat/completions", asks, ""},
	},
}

// masks hide what no two runs have in common.
var masks = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`\b(sk-|ok_live_|ok_pat_|ok_ses_|ok_dev_)[0-9A-Za-z_]{10,}`), "SECRET"},
	{regexp.MustCompile(`\bsk-[0-9A-Za-z]*\.\.\.[0-9A-Za-z]{4,8}`), "sk-...LAST"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "HASH"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC)`), "TIME"},
	{regexp.MustCompile(`"\d{4}-\d\d"`), `"MONTH"`},
	{regexp.MustCompile(`\b(1[7-9]|2\d)\d{8}\b`), "0"}, // seconds since 1970, which stay a number
	{regexp.MustCompile(`Retry-After: \d+`), "Retry-After: SECONDS"},
	{regexp.MustCompile(`"latency": \d+`), `"latency": 0`},
	{regexp.MustCompile(`"user_agent": "[^"]+"`), `"user_agent": "AGENT"`},
}

var identifiers = regexp.MustCompile(`\b(perm_)?(org|key|usr|ses|allow|bud|role|mem|evt|req)_[0-9a-zA-Z]{10,}`)

// replay has a gateway asked turn by turn.
type replay struct {
	*process
	t       *testing.T
	program string // curl, "" for none
	known   map[string]string
	ids     map[string]string
	text    bytes.Buffer
}

func (c *replay) fill(text string) string {
	for name, is := range c.known {
		text = strings.ReplaceAll(text, "{{"+name+"}}", is)
	}
	require.NotContains(c.t, text, "{{")
	return text
}

// masked is a text without what is random, where ids are named in the order in which they are seen.
func (c *replay) masked(text string) string {
	for _, m := range masks {
		text = m.what.ReplaceAllString(text, m.with)
	}
	return identifiers.ReplaceAllStringFunc(text, func(id string) string {
		if c.ids[id] == "" {
			c.ids[id] = fmt.Sprintf("%s_%d", id[:strings.LastIndex(id, "_")], len(c.ids)+1)
		}
		return c.ids[id]
	})
}

// turn asks once, or waits until what was to end soon has ended, and writes down what was asked, as a line for curl, and answered.
func (c *replay) turn(s turn) {
	c.t.Helper()
	if s.request == "WAIT" {
		soon, err := strconv.ParseInt(c.known["soon"], 10, 64)
		require.NoError(c.t, err)
		time.Sleep(time.Until(time.Unix(soon, 0)) + 100*time.Millisecond)
		return
	}
	method, path, _ := strings.Cut(c.fill(s.request), " ")
	body := c.fill(strings.Join(strings.Fields(s.body), " "))
	ask := []string{"-X", method, c.url + path}
	line := fmt.Sprintf("curl -X %s \"$GATEWAY%s\"", method, path)
	if s.key != "-" {
		secret, named := c.known[s.key]
		if !named {
			secret = s.key
		}
		if s.key == "" {
			secret, s.key = key, "admin"
		}
		ask = append(ask, "-H", "Authorization: Bearer "+secret)
		line += fmt.Sprintf(" -H \"Authorization: Bearer $%s\"", s.key)
	}
	if body != "" {
		ask = append(ask, "--json", body)
		line += " --json '" + body + "'"
	}
	res := c.curl(ask)
	answer, err := io.ReadAll(res.Body)
	require.NoError(c.t, err)
	require.Less(c.t, res.StatusCode, 500, "%s: %s", line, answer)
	if name, field, keeps := strings.Cut(s.keep, "="); keeps {
		var o map[string]any
		require.NoError(c.t, json.Unmarshal(answer, &o), "%s: %s", line, answer)
		require.IsType(c.t, "", o[field], "%s: %s", line, answer)
		c.known[name] = o[field].(string)
	}
	if s.rows == "" { // it prepares the next ones
		s.rows = "-"
	}
	fmt.Fprintf(&c.text, "# %s\n%s\n%s\n", s.rows, c.masked(line), res.Status)
	for _, name := range []string{"Retry-After", "Www-Authenticate"} {
		if v := res.Header.Get(name); v != "" {
			fmt.Fprintln(&c.text, c.masked(name+": "+v))
		}
	}
	if len(answer) > 0 {
		var out bytes.Buffer
		require.NoError(c.t, json.Indent(&out, bytes.TrimSpace(answer), "", "  "), "%s", answer)
		fmt.Fprintln(&c.text, c.masked(out.String()))
	}
	c.text.WriteByte('\n')
}

// curl asks as the line that is written down does: by curl itself where the machine has one that knows --json, else in its way.
func (c *replay) curl(args []string) *http.Response {
	c.t.Helper()
	if c.program != "" {
		out, err := exec.Command(c.program, append([]string{"-q", "-s", "-S", "-i", "--raw", "--noproxy", "*"}, args...)...).CombinedOutput()
		require.NoError(c.t, err, "%s", out)
		res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(out)), &http.Request{Method: args[1]})
		require.NoError(c.t, err, "%s", out)
		return res
	}
	r, err := http.NewRequest(args[1], args[2], nil)
	require.NoError(c.t, err)
	for rest := args[3:]; len(rest) > 0; rest = rest[2:] {
		switch rest[0] {
		case "-H":
			name, value, _ := strings.Cut(rest[1], ": ")
			r.Header.Set(name, value)
		case "--json":
			r.Header.Set("Content-Type", "application/json")
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(rest[1])), int64(len(rest[1]))
		}
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { res.Body.Close() })
	return res
}

// curlProgram is where curl is, "" on a machine without, or with one before 7.82.
func curlProgram() string {
	program, err := exec.LookPath("curl")
	if err != nil || exec.Command(program, "-q", "--json", "{}", "--version").Run() != nil {
		return ""
	}
	return program
}

// TestClientsOfEverySystemAreServed has the running gateway asked for every feature of the three systems, as clients do, and
// holds what it says against what it said before.
func TestClientsOfEverySystemAreServed(t *testing.T) { // F338 to F452
	t.Setenv("ORGKIT_SEAL_KEY", seal.GenerateKey())
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}}`)
	}))
	t.Cleanup(model.Close)
	prices := filepath.Join(t.TempDir(), "prices.json")
	require.NoError(t, os.WriteFile(prices, []byte(`{"currency": "USD", "models": {"gpt-4o": [{"prices": {"input_token": "0.00001", "output_token": "0.00003"}}],
		"gpt-4o-mini": [{"prices": {"input_token": "0", "output_token": "0"}}], "o1": [{"prices": {"input_token": "0.0001", "output_token": "0.0006"}}]}}`), 0o600))
	for name, turns := range conversations {
		t.Run(name, func(t *testing.T) {
			c := &replay{t: t, program: curlProgram(), process: start(t, "memory:", "-upstream", model.URL+"/v1", "-prices", prices), ids: map[string]string{}, known: map[string]string{
				"tomorrow": fmt.Sprint(time.Now().Add(24 * time.Hour).Unix())}}
			for _, s := range turns {
				if strings.Contains(s.body, "{{soon}}") {
					c.known["soon"] = fmt.Sprint(time.Now().Add(5 * time.Second).Unix())
				}
				c.turn(s)
			}
			file := filepath.Join("testdata", name+".txt")
			if *update {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(file, c.text.Bytes(), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), c.text.String())
		})
	}
}

// TestEveryFeatureIsAskedFor goes over the features, and looks for the requests. What a gateway says without its store, and how
// the calls of LiteLLM are described, have tests of their own.
func TestEveryFeatureIsAskedFor(t *testing.T) {
	shown := numbers(t, "F453 F454")
	for _, turns := range conversations {
		for _, s := range turns {
			shown = append(shown, numbers(t, s.rows)...)
		}
	}
	complete(t, shown)
}

// TestAGatewayWithoutItsStoreSaysSo has the database killed under the gateway.
func TestAGatewayWithoutItsStoreSaysSo(t *testing.T) { // F454
	db := storetest.PostgresServer(t)
	p := start(t, db.DSN)
	status, _, err := p.call("GET", "/organization/list", "")
	require.NoError(t, err)
	require.Equal(t, 200, status)
	db.Kill(t)
	status, o, err := p.call("GET", "/organization/list", "")
	require.NoError(t, err)
	require.Equal(t, 500, status)
	require.Equal(t, map[string]any{"detail": map[string]any{"error": "No db connected"}}, o)
}
