package rest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// tape holds requests and their answers against golden files, one of each chapter.
type tape struct {
	*client
	chapter strings.Builder
	who     map[string]*client
	ids     map[string]string // by the names that requests have for them
	named   map[string]string // what golden files call an id
	counts  map[string]int
}

var (
	shownSecret = regexp.MustCompile(`ok_[a-z]+_[0-9A-Za-z]{16,}`)
	secretEnd   = regexp.MustCompile(`("last4": )"[^"]+"`)
	anyID       = regexp.MustCompile(`\b[a-z]+_[0-9a-hjkmnp-tv-z]{26}\b`)
	cursorForm  = regexp.MustCompile(`("next_cursor": )"[^"]+"`)
	positions   = regexp.MustCompile(`("next_sequence": )[0-9]+`) // how far the log is in order, which it brings itself into
)

// plain is a text without what differs from one run to the next.
func (p *tape) plain(text string) string {
	text = shownSecret.ReplaceAllString(text, "SECRET")
	text = secretEnd.ReplaceAllString(text, `$1"LAST"`)
	text = cursorForm.ReplaceAllString(text, `$1"CURSOR"`)
	text = positions.ReplaceAllString(text, "${1}0")
	return anyID.ReplaceAllStringFunc(text, func(id string) string {
		name, known := p.named[id]
		if !known {
			prefix, _, _ := strings.Cut(id, "_")
			p.counts[prefix]++
			name = fmt.Sprintf("%s_%d", prefix, p.counts[prefix])
			p.named[id] = name
		}
		return name
	})
}

// filled is a text with ids for names in braces.
func (p *tape) filled(text string) string {
	for name, id := range p.ids {
		text = strings.ReplaceAll(text, "{"+name+"}", id)
	}
	return text
}

// send has somebody send a request, and puts it and its answer on the tape. What is made is known by the name from then on.
func (p *tape) send(as, name, method, path, body string, headers ...string) object {
	p.t.Helper()
	who, known := p.who[as]
	require.True(p.t, known, as)
	who = who.with("X-Request-Id", "request-of-the-test")
	text := fmt.Sprintf("### %s, as %s\n%s %s\n", name, as, method, path)
	for i := 0; i < len(headers); i += 2 {
		who = who.with(headers[i], p.filled(headers[i+1]))
		text += headers[i] + ": " + headers[i+1] + "\n"
	}
	var sent bytes.Buffer
	if body != "" {
		if json.Indent(&sent, []byte(body), "", "  ") != nil {
			sent.Reset()
			sent.WriteString(body)
		}
		text += sent.String() + "\n"
	}
	answer := who.do(method, p.filled(path), p.filled(body))
	var o object
	require.NoError(p.t, json.Unmarshal(answer.Body.Bytes(), &o), "%s %s: %s", method, path, answer.Body)
	fmt.Fprintf(&p.chapter, "%s\n%s\n", text, p.shown(answer))
	for field, as := range map[string]string{"id": name, "token": name + " token", "key": name + " key", "etag": name + " etag"} {
		if v, is := o[field].(string); is {
			p.ids[as] = v
		}
	}
	return o
}

func (p *tape) shown(answer *httptest.ResponseRecorder) string {
	text := fmt.Sprintf("%d\n", answer.Code)
	for _, name := range []string{"Content-Type", "Location", "Etag", "Www-Authenticate", "Allow", "Retry-After", "Idempotency-Replayed"} {
		for _, v := range answer.Header().Values(name) {
			text += name + ": " + v + "\n"
		}
	}
	var value any // whose fields are sorted: databases keep free objects in orders of their own
	d := json.NewDecoder(answer.Body)
	d.UseNumber()
	require.NoError(p.t, d.Decode(&value))
	pretty, err := json.MarshalIndent(value, "", "  ")
	require.NoError(p.t, err)
	return text + string(pretty) + "\n"
}

// end compares the chapter with its file.
func (p *tape) end(name string) {
	p.t.Helper()
	file := filepath.Join("testdata", "golden", name+".txt")
	text := p.plain(p.chapter.String())
	p.chapter.Reset()
	if *update && strings.HasSuffix(p.t.Name(), "/memory") {
		require.NoError(p.t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(p.t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(p.t, err)
	require.Empty(p.t, cmpLines(string(want), text), name)
}

// cmpLines are the lines from where two texts differ, a few of them.
func cmpLines(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return "want:\n" + strings.Join(a[min(max(i-3, 0), len(a)):min(i+4, len(a))], "\n") + "\ngot:\n" + strings.Join(b[min(max(i-3, 0), len(b)):min(i+4, len(b))], "\n")
		}
	}
	return ""
}

// TestTheAnswersOfTheSeed: each call of the first document whose engine is here, with its answer as it stands in a file, and
// what it is answered the second time.
func TestTheAnswersOfTheSeed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		clock.Set(time.Date(2024, 3, 5, 15, 0, 0, 0, time.UTC))
		c := newClient(t, s)
		p := &tape{client: c, who: map[string]*client{"platform": c, "nobody": c.as("", "")}, ids: map[string]string{}, named: map[string]string{}, counts: map[string]int{}}

		p.send("platform", "org", "POST", "/v1/organizations", body(t, "organization"))
		p.send("platform", "again", "POST", "/v1/organizations", body(t, "organization"))
		p.send("platform", "org read", "GET", "/v1/organizations/acme-corp", "")
		p.send("nobody", "refused", "GET", "/v1/organizations/{org}", "")
		p.send("platform", "unknown", "GET", "/v1/organizations/org_01hr00000000000000000000xx", "")
		p.end("01_organization")

		for _, role := range []string{"org_admin", "team_lead", "developer", "finance", "viewer"} {
			p.send("platform", role, "POST", "/v1/organizations/{org}/roles", body(t, "role_"+role))
		}
		p.send("platform", "again", "POST", "/v1/organizations/{org}/roles", body(t, "role_org_admin"))
		p.send("platform", "role", "GET", "/v1/organizations/{org}/roles/team-lead", "")
		p.send("platform", "changed", "PATCH", "/v1/organizations/{org}/roles/org_admin", `{"permissions": []}`)
		p.end("02_roles")

		for _, team := range []string{"engineering", "marketing", "data-science"} {
			p.send("platform", team, "POST", "/v1/organizations/{org}/teams", body(t, "team_"+team))
		}
		p.send("platform", "again", "POST", "/v1/organizations/{org}/teams", `{"name": "Data", "slug": "data_science"}`)
		p.send("platform", "list", "GET", "/v1/organizations/{org}/teams?limit=2", "")
		p.end("03_teams")

		for _, team := range []string{"engineering", "marketing", "data-science"} {
			for _, role := range []string{"team_lead", "developer"} {
				p.send("platform", "override", "POST", "/v1/teams/{"+team+"}/roles", body(t, "override_"+role))
			}
		}
		p.send("platform", "override replaced", "POST", "/v1/teams/{engineering}/roles", body(t, "override_developer"))
		p.end("04_overrides")

		for _, name := range []string{"alice", "bob", "carol", "dave"} {
			id, token := c.user(name+"@acme.com", clock.Now().Add(-time.Hour))
			p.ids[name], p.who[name] = id, c.as(token, office)
		}
		for _, name := range []string{"alice", "bob", "carol", "dave"} {
			p.send("platform", "invite_"+name, "POST", "/v1/teams/{engineering}/invitations", body(t, "invite_"+name))
		}
		p.send("platform", "again", "POST", "/v1/teams/{engineering}/invitations", body(t, "invite_bob"))
		p.send("platform", "read", "GET", "/v1/teams/{engineering}/invitations/{invite_bob}", "")
		p.end("05_invitations")

		p.send("alice", "wrong person", "POST", "/v1/invitations/accept", body(t, "accept", "{token}", "{invite_bob token}"))
		for _, name := range []string{"alice", "bob", "carol", "dave"} {
			p.send(name, "accepted", "POST", "/v1/invitations/accept", body(t, "accept", "{token}", "{invite_"+name+" token}"))
		}
		p.send("bob", "again", "POST", "/v1/invitations/accept", body(t, "accept", "{token}", "{invite_bob token}"))
		p.end("06_acceptance")

		p.send("platform", "promoted", "PATCH", "/v1/teams/{engineering}/members/{dave}", body(t, "promote"))
		p.send("platform", "unknown role", "PATCH", "/v1/teams/{engineering}/members/{dave}", `{"role": "emperor"}`)
		p.end("07_promotion")

		p.send("platform", "removed", "DELETE", "/v1/teams/{engineering}/members/{carol}", body(t, "remove"))
		p.send("platform", "again", "DELETE", "/v1/teams/{engineering}/members/{carol}", body(t, "remove"))
		p.end("08_removal")

		p.send("platform", "policy", "POST", "/v1/teams/{engineering}/policies", body(t, "policy"))
		p.send("platform", "again", "POST", "/v1/teams/{engineering}/policies", body(t, "policy"))
		p.end("09_policy")

		p.send("alice", "key", "POST", "/v1/api-keys", body(t, "api_key", "{team}", "{engineering}"))
		p.send("alice", "another team", "POST", "/v1/api-keys", body(t, "api_key", "{team}", "{marketing}"))
		p.send("bob", "no right", "POST", "/v1/api-keys", body(t, "api_key", "{team}", "{engineering}"))
		p.send("alice", "read", "GET", "/v1/api-keys/{key}", "")
		p.end("10_api_key")

		const may = "/v1/users/{bob}/permissions?team_id={engineering}&resource=model:gpt-4-turbo-preview&action=use"
		p.send("platform", "may", "GET", may, "")
		p.send("platform", "may from there", "GET", may+"&ip=10.0.1.7&mfa_age_minutes=60", "")
		p.send("platform", "may not", "GET", "/v1/users/{bob}/permissions?team_id={engineering}&resource=model:dall-e-3&action=use", "")
		p.end("11_permissions")

		p.send("platform", "billing", "PUT", "/v1/organizations/{org}/billing", seedBilling)
		p.send("platform", "read", "GET", "/v1/organizations/{org}/billing", "")
		p.send("platform", "two defaults", "PUT", "/v1/organizations/{org}/billing", strings.ReplaceAll(seedBilling, `"is_default": false`, `"is_default": true`))
		p.end("14_billing")

		p.send("platform", "analytics", "GET", "/v1/organizations/{org}/analytics?period=last_30_days&metrics=total_requests&metrics=total_tokens&metrics=total_cost"+
			"&metrics=active_users&metrics=model_distribution&metrics=team_usage&metrics=error_rate&metrics=average_latency", "")
		p.send("platform", "unknown metric", "GET", "/v1/organizations/{org}/analytics?period=last_30_days&metrics=happiness", "")
		p.end("15_analytics")

		p.send("platform", "audit", "PUT", "/v1/organizations/{org}/audit", body(t, "audit"))
		p.send("platform", "read", "GET", "/v1/organizations/{org}/audit", "")
		p.end("18_audit")

		clock.Advance(time.Minute)
		p.send("platform", "logs", "GET", "/v1/organizations/{org}/audit/logs?start_time=2024-03-01T00:00:00Z&end_time=2024-03-31T23:59:59Z"+
			"&event_types=member.role_changed&event_types=member.removed&limit=100", "")
		p.end("19_audit_logs")
	})
}

// TestTheAnswersOfConventions: what all operations have in common, and the calls around those of the seed.
func TestTheAnswersOfConventions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		clock.Set(time.Date(2024, 3, 5, 15, 0, 0, 0, time.UTC))
		c := newClient(t, s)
		p := &tape{client: c, who: map[string]*client{"platform": c, "nobody": c.as("", ""), "a stranger": c.as("ok_pat_unknown", "")},
			ids: map[string]string{}, named: map[string]string{}, counts: map[string]int{}}
		p.send("platform", "org", "POST", "/v1/organizations", `{"name": "Acme"}`)
		p.send("platform", "member role", "POST", "/v1/organizations/{org}/roles", `{"name": "Developer", "permissions": ["models.use", "teams.read:own"]}`)
		p.send("platform", "team", "POST", "/v1/organizations/{org}/teams", `{"name": "Lab", "description": "first"}`)
		for _, name := range []string{"ann", "ben"} {
			id, who := c.person(p.ids["org"], name+"@acme.com", "developer")
			p.ids[name], p.who[name] = id, who
		}
		p.end("conventions_world")

		p.send("nobody", "no credential", "GET", "/v1/teams/{team}", "")
		p.send("a stranger", "unknown credential", "GET", "/v1/teams/{team}", "")
		p.send("ann", "not one's own", "GET", "/v1/teams/{team}", "")
		p.send("ann", "not allowed", "POST", "/v1/organizations/{org}/teams", `{"name": "x"}`)
		p.send("platform", "not there", "GET", "/v1/teams/team_01hr00000000000000000000xx", "")
		p.send("platform", "no such path", "GET", "/v1/nothing", "")
		p.send("platform", "no such method", "PUT", "/v1/organizations", "{}")
		p.send("platform", "no JSON", "POST", "/v1/organizations", `{"name": `)
		p.send("platform", "another media type", "POST", "/v1/organizations", `name=x`, "Content-Type", "application/x-www-form-urlencoded")
		p.send("platform", "several faults", "POST", "/v1/organizations", `{"slug": 1, "colour": "red"}`)
		p.send("platform", "unknown parameter", "GET", "/v1/organizations?nmae=x", "")
		p.send("platform", "no cursor", "GET", "/v1/organizations/{org}/teams?after=x", "")
		p.end("conventions_errors")

		p.send("platform", "absent stays", "PATCH", "/v1/teams/{team}", `{"settings": {"budget": {"monthly_limit": 100.10, "hard_limit": true}}}`)
		p.send("platform", "merged", "PATCH", "/v1/teams/{team}", `{"settings": {"budget": {"monthly_limit": "250.005"}}}`)
		p.send("platform", "null restores the default", "PATCH", "/v1/teams/{team}", `{"description": null, "settings": {"budget": null}}`)
		p.send("platform", "an old version", "PATCH", "/v1/teams/{team}", `{"name": "Late"}`, "If-Match", `"1"`)
		p.send("platform", "this version", "PATCH", "/v1/teams/{team}", `{"name": "In time"}`, "If-Match", `"4"`)
		p.send("platform", "looked at first", "POST", "/v1/teams/{team}/members?dry_run=true", `{"user_id": "{ann}", "role": "developer"}`)
		p.end("conventions_changes")

		p.send("platform", "once", "POST", "/v1/api-keys", `{"name": "ci", "team_id": "{team}", "user_id": null}`, "Idempotency-Key", "k-1")
		p.send("platform", "twice", "POST", "/v1/api-keys", `{"name": "ci", "team_id": "{team}", "user_id": null}`, "Idempotency-Key", "k-1")
		p.send("platform", "another one", "POST", "/v1/api-keys", `{"name": "cd", "team_id": "{team}", "user_id": null}`, "Idempotency-Key", "k-1")
		p.end("conventions_idempotency")

		p.send("platform", "each by itself", "POST", "/v1/teams/{team}/members/bulk", `{"items": [{"user_id": "{ann}", "role": "developer"}, {"user_id": "{ben}", "role": "emperor"}]}`)
		p.send("platform", "all or none", "POST", "/v1/api-keys/bulk", `{"atomic": true, "items": [{"name": "a", "team_id": "{team}"}, {"name": "", "team_id": "{team}"}]}`)
		p.send("platform", "list", "GET", "/v1/teams/{team}/members?limit=1", "")
		p.end("conventions_many")

		clock.Advance(time.Hour)
		p.send("platform", "key", "POST", "/v1/api-keys", `{"name": "deploy", "team_id": "{team}", "user_id": null, "expires_at": "2024-04-01T00:00:00+02:00"}`)
		p.send("platform", "rotated", "POST", "/v1/api-keys/{key}/rotate", `{"overlap_minutes": 60}`)
		p.send("platform", "disabled", "POST", "/v1/api-keys/{key}/disable", `{"reason": "leaked"}`)
		p.send("platform", "enabled", "POST", "/v1/api-keys/{key}/enable", ``)
		p.send("platform", "changed", "PATCH", "/v1/api-keys/{key}", `{"additional_restrictions": {"allowed_ips": ["10.0.0.0/8"], "max_requests_per_minute": 5}, "expires_at": null}`)
		p.send("platform", "revoked", "DELETE", "/v1/api-keys/{key}", ``)
		p.send("platform", "used again", "POST", "/v1/api-keys/{key}/enable", ``)
		p.end("conventions_key")

		p.send("platform", "archived", "POST", "/v1/teams/{team}/archive", ``)
		p.send("platform", "not empty", "DELETE", "/v1/organizations/{org}", ``)
		p.send("platform", "suspended", "POST", "/v1/organizations/{org}/suspend", `{"reason": "unpaid"}`)
		p.send("platform", "deleted", "DELETE", "/v1/organizations/{org}?cascade=true", ``)
		p.send("ann", "gone", "GET", "/v1/organizations/{org}", ``)
		p.send("platform", "restored", "POST", "/v1/organizations/{org}/restore", ``)
		p.end("conventions_life")
	})
}

// TestGoldenFilesAreOfATest: no file stays behind when its chapter goes.
func TestGoldenFilesAreOfATest(t *testing.T) {
	source, err := os.ReadFile("golden_test.go")
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	require.False(t, slices.ContainsFunc(files, func(file string) bool {
		return !bytes.Contains(source, []byte(`p.end("`+strings.TrimSuffix(filepath.Base(file), ".txt")+`")`))
	}))
}
