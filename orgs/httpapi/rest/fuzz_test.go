package rest_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store/memory"
)

// fuzzed is a world that requests are sent to until one has changed it.
type fuzzed struct {
	mu    sync.Mutex
	world *settled
	entry http.Handler // with sign-in before it, as a host mounts it
}

func (f *fuzzed) ready(t *testing.T) *settled {
	if f.world == nil {
		s := memory.New(nil)
		f.world = settledOn(t, s)
		f.entry = entrance(t, f.world.client)
	}
	f.world.t = t
	return f.world
}

// tokenForm is what a method and the name of a header may be (RFC 9110, 5.6.2); net/http lets nothing else in.
var tokenForm = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// written is a request as it comes in, nil for what net/http refuses by itself. Headers are lines.
func written(method, target, headers, body, token string) *http.Request {
	u, err := url.ParseRequestURI(target)
	if err != nil || !tokenForm.MatchString(method) || method == http.MethodConnect || !strings.HasPrefix(target, "/") || strings.ContainsAny(target, " #") {
		return nil
	}
	r := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(body))
	r.Method, r.URL, r.RequestURI = method, u, target
	r.Header.Set("Authorization", "Bearer "+token)
	for line := range strings.Lines(headers) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if !tokenForm.MatchString(name) || strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
			return nil
		}
		r.Header.Add(name, strings.TrimSpace(value))
	}
	return r
}

// marked is a request in which every value has the canary in it: texts and numbers of the body, values of the query and of
// headers, and the last part of the path. Names stay, since answers say them.
func marked(method, target, headers, body string) (string, string, string, string) {
	path, query, _ := strings.Cut(target, "?")
	if values, err := url.ParseQuery(query); err == nil && query != "" {
		for name, list := range values {
			for i := range list {
				values[name][i] += canary
			}
		}
		target = path + "?" + values.Encode()
	} else {
		target = path + canary
	}
	var lines []string
	for line := range strings.Lines(headers) {
		lines = append(lines, strings.TrimRight(line, "\r\n")+canary)
	}
	var parsed any
	d := json.NewDecoder(strings.NewReader(body))
	if d.UseNumber(); d.Decode(&parsed) != nil {
		body += canary
	} else if text, err := json.Marshal(mark(parsed)); err == nil {
		body = string(text)
	}
	return method, target, strings.Join(lines, "\n"), body
}

func mark(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = mark(v[name])
		}
	case []any:
		for i := range v {
			v[i] = mark(v[i])
		}
	case string:
		return v + canary
	case json.Number, bool:
		return canary
	}
	return v
}

// FuzzRequests sends whatever there is to the native API as a host mounts it, by the platform, by an owner, by a member who
// may little and by somebody with no credential. Nothing panics, nothing is the fault of the service, every error is a problem,
// and none has a value of the request in it.
func FuzzRequests(f *testing.F) {
	for _, name := range slices.Sorted(maps.Keys(doings)) {
		method, path, _ := strings.Cut(name, " ")
		how := doings[name]
		f.Add(byte(0), method, path+how.query, "", how.body)
	}
	for _, s := range [][4]string{
		{"GET", "/v1/organizations?metadata.a=b&limit=2", "", ""},
		{"GET", "/v1/organizations/{org}/members?limit=1&after=e30", "Orgkit-Revision: {org}=1", ""},
		{"GET", "/v1/organizations/{org}/audit/logs?event_types=team.*&actors=user:{user}&resources=team:lab&start_time=2024-01-01T00:00:00Z&order=asc", "", ""},
		{"GET", "/v1/organizations/{org}/audit/consistency?from=1&to=9223372036854775807", "", ""},
		{"GET", "/v1/organizations/{org}/audit/logs/18446744073709551615/proof", "", ""},
		{"GET", "/v1/organizations/{org}/analytics?period=last_30_days&group_by=tag.project&metrics=total_cost,total_tokens", "", ""},
		{"GET", "/v1/users/me/permissions?team_id={team}&resource=model:gpt-4&action=use&ip=10.0.0.1&cost=1e3&at=2024-01-01T00:00:00+14:00", "", ""},
		{"GET", "/v1/teams/%00", "", ""}, {"GET", "/v1/teams/%2e%2e/x", "", ""}, {"GET", "//v1///teams", "", ""},
		{"GET", "/openapi.json", "", ""}, {"GET", "/reference", "", ""}, {"GET", "/openapi-3.0.yaml", "If-None-Match: *", ""},
		{"HEAD", "/v1/teams/{team}", "", ""}, {"OPTIONS", "/v1/teams", "", ""}, {"PROPFIND", "/v1/organizations", "", ""},
		{"PATCH", "/v1/teams/{team}?dry_run=true", "If-Match: \"1\", W/\"2\", *\nContent-Type: application/merge-patch+json", `{"settings": {"budget": {"monthly_limit": "1e400", "alert_threshold": 0.8}, "models": null}}`},
		{"PATCH", "/v1/organizations/{org}?narrowing=true", "X-Forwarded-For: 10.0.0.1, nonsense", `{"settings": {"security": {"ip_allowlist": ["::1/0", "10.0.0.0/33"]}, "defaults": {"timezone": "Local", "date_format": "YYYY"}}, "metadata": {"a": {"b": [null]}}}`},
		{"POST", "/v1/organizations", "Idempotency-Key: k\nContent-Type: text/plain", `{"name": "x"}`},
		{"POST", "/v1/organizations/{org}/usage", "", `[{"specversion": "1.0", "id": "e", "source": "s", "type": "t", "data": {"cost": "1e-13", "tokens": -1}}]`},
		{"POST", "/v1/teams/{team}/policies", "", `{"name": "p", "statements": [{"effect": "allow", "actions": ["*"], "resources": ["model:*"], "conditions": {"time": {"type": "business_hours", "timezone": "UTC", "days": ["mon"], "hours": {"start": "09:00", "end": "24:00"}}, "mfa": {"type": "required", "max_age_minutes": -1}, "anomaly_score": {"type": "equals", "value": 2}}}]}`},
		{"POST", "/v1/organizations/{org}/members/bulk", "", `{"items": [{"user_id": "{coming}", "role": "member"}, {"role": 1}], "atomic": true}`},
		{"PUT", "/v1/organizations/{org}/audit?verify=false", "", `{"retention_days": 0, "export_destinations": [{"type": "s3", "bucket": "../x", "endpoint": "http://169.254.169.254/"}]}`},
		{"POST", "/v1/sessions", "", `{"email": "owner@acme.com", "password": "x", "cookie": true}`},
		{"DELETE", "/v1/teams/{team}/members/{user}", "", `{"reassign_resources_to": "{other}", "revoke_access_immediately": false, "reason": "\ud800"}`},
	} {
		for who := range byte(4) {
			f.Add(who, s[0], s[1], s[2], s[3])
		}
	}
	var world fuzzed
	f.Fuzz(func(t *testing.T, who byte, method, target, headers, body string) {
		world.mu.Lock()
		defer world.mu.Unlock()
		for _, canaries := range []bool{false, true} {
			w := world.ready(t)
			m, to, lines, text := method, w.fill(target), w.fill(headers), w.fill(body)
			if canaries {
				m, to, lines, text = marked(m, to, lines, text)
			}
			token := []string{adminKey, w.owner.token, w.dev.token, ""}[who%4]
			r := written(m, to, lines, text, token)
			if r == nil {
				return
			}
			out := httptest.NewRecorder()
			world.entry.ServeHTTP(out, r)
			if out.Code < 300 && m != http.MethodGet && m != http.MethodHead {
				world.world = nil // it is another one now
			}
			require.Less(t, out.Code, 500, "%s %s: %s", m, to, out.Body)
			if out.Code < 400 || m == http.MethodHead {
				continue
			}
			require.Equal(t, "application/problem+json", out.Header().Get("Content-Type"), "%s %s", m, to)
			var p struct {
				Code, Title string
				Status      int
				RequestID   string `json:"request_id"`
			}
			require.NoError(t, json.Unmarshal(out.Body.Bytes(), &p), "%s", out.Body)
			require.Equal(t, out.Code, p.Status)
			require.NotEmpty(t, p.Code)
			answer := bytes.ReplaceAll(out.Body.Bytes(), []byte(p.RequestID), nil) // a client's own, by design
			require.NotContains(t, string(answer), canary, "%s %s", m, to)
		}
	})
}
