package rest_test

import (
	"encoding/json"
	"maps"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// tenants are two worlds in one database: what is in theirs does not exist for who owns ours.
type tenants struct {
	ours, theirs *settled
	tried        int
}

func newTenants(t *testing.T) *tenants {
	s := storetest.Open(t, "memory", store.Options{})
	c := newClient(t, s)
	other := *c
	other.names = strings.NewReplacer("@acme.com", "@other.example", "@invited.com", "@invited.example", `"Acme"`, `"Other"`, `"Above"`, `"Above the other"`)
	return &tenants{ours: settledBy(&other, s), theirs: settledBy(c, s)}
}

// idForm is that of ids.
var idForm = regexp.MustCompile(`\b([a-z]+)_[0-9a-z]{20,}\b`)

// unknown is an id of the same kind that nobody has.
func unknown(id string) string {
	return idForm.ReplaceAllString(id, "${1}_01hr00000000000000000000xx")
}

// idOf is an id of a world, by the name of a parameter or field that wants one; "" where none does.
func (w *settled) idOf(name, place string) string {
	switch name {
	case "policy", "invitation":
		return w.ids[name+" "+place]
	case "sequence", "session":
		return ""
	}
	for field, what := range map[string]string{"team_id": "team", "organization_id": "org", "project_id": "project", "user_id": "user", "parent_id": "org",
		"scope_id": "team", "owner_id": "user", "requester": "user", "teams": "team", "to": "user", "role": "role", "replace_with": "role"} {
		if name == field {
			return w.ids[what]
		}
	}
	return w.ids[name]
}

// placeIn is the place whose policies and invitations a path is about.
func placeIn(path string) string {
	switch {
	case strings.Contains(path, "{team}"):
		return "team"
	case strings.Contains(path, "{project}"):
		return "project"
	}
	return "org"
}

// like is an answer without what differs between any two.
func like(r *httptest.ResponseRecorder, hide string) string {
	text := regexp.MustCompile(`"(request_id|decision_id)":"[^"]*",?`).ReplaceAllString(r.Body.String(), "")
	return strings.ReplaceAll(text, hide, "ID")
}

// indistinguishable sends a request with an id of theirs and with one that nobody has: both are answered alike, and neither
// leaves anything, in whichever log.
func (w *tenants) indistinguishable(t *testing.T, method, target, body, id string) int {
	t.Helper()
	require.NotEmpty(t, id, "%s %s", method, target)
	nobodys := unknown(id)
	require.NotEqual(t, id, nobodys, "%s %s", method, target)
	w.tried++
	var theirs, none *httptest.ResponseRecorder
	left := w.ours.leaves(func() {
		theirs = w.ours.owner.do(method, target, body)
		none = w.ours.owner.do(method, strings.ReplaceAll(target, id, nobodys), strings.ReplaceAll(body, id, nobodys))
	})
	require.Equal(t, none.Code, theirs.Code, "%s %s %s: %s", method, target, body, theirs.Body)
	require.Equal(t, like(none, nobodys), like(theirs, id), "%s %s %s", method, target, body)
	for _, e := range left {
		require.Contains(t, []string{"authorization.denied", "audit.read", "analytics.read"}, e.Type, "%s %s %s", method, target, body)
		require.NotEqual(t, w.theirs.ids["org"], e.OrgID)
	}
	require.Less(t, theirs.Code, 500)
	return theirs.Code
}

// described is as much of the description as names what a request may hold.
func described(t *testing.T) (ops map[string]struct{ query, body []string }) {
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters  []struct{ Name, In string }
			RequestBody struct {
				Content map[string]struct{ Schema schema }
			}
		}
		Components struct{ Schemas map[string]schema }
	}
	require.NoError(t, json.Unmarshal(served(t, "/openapi.json").Body.Bytes(), &doc))
	ops = map[string]struct{ query, body []string }{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			var is struct{ query, body []string }
			for _, p := range op.Parameters {
				if p.In == "query" {
					is.query = append(is.query, p.Name)
				}
			}
			s := op.RequestBody.Content["application/json"].Schema
			if name, ref := strings.CutPrefix(s.Ref, "#/components/schemas/"); ref {
				s = doc.Components.Schemas[name]
			}
			for _, field := range slices.Sorted(maps.Keys(s.Properties)) {
				if !s.Properties[field].ReadOnly { // what is sent back as it was read, and says nothing
					is.body = append(is.body, field)
				}
			}
			ops[strings.ToUpper(method)+" "+path] = is
		}
	}
	return ops
}

// TestTheTenantMatrix gives every id of theirs to every operation of ours: in the path, alone and below what is ours, in the
// query, in the body, and in a cursor (S1).
func TestTheTenantMatrix(t *testing.T) {
	w := newTenants(t)
	descriptions := described(t)
	for _, op := range operations(t, w.ours.client) {
		method, path := op[0], op[1]
		name, how := method+" "+path, doings[method+" "+path]
		query := how.query
		if method == "GET" {
			query = queryOf(path)
		}
		body := strings.ReplaceAll(how.body, "{other}", w.ours.ids["other"])
		place := placeIn(path)

		// In the path: all that is theirs, and each name by itself below what is ours.
		if strings.Contains(path, "{") && !strings.HasSuffix(path, "{sequence}") || strings.Contains(path, "{org}") {
			target, ours := w.theirs.fill(path)+w.theirs.fill(query), w.ours.fill(body)
			require.Equal(t, 404, w.ours.owner.do(method, target, ours).Code, name)
			w.tried++
		}
		for _, part := range pathNames.FindAllStringSubmatch(path, -1) {
			id := w.theirs.idOf(part[1], place)
			if id == "" || !idForm.MatchString(id) {
				continue
			}
			mixed := w.ours.fill(strings.Replace(path, "{"+part[1]+"}", id, 1)) + w.ours.fill(query)
			code := w.indistinguishable(t, method, mixed, w.ours.fill(body), id)
			require.Equal(t, 404, code, "%s with their %s", name, part[1])
		}
		// In the query.
		for _, param := range descriptions[name].query {
			id := w.theirs.idOf(strings.TrimSuffix(param, "[]"), place)
			if param == "limit" || id == "" || strings.Contains(query, param+"=") {
				continue
			}
			sep := "?"
			if query != "" {
				sep = "&"
			}
			code := w.indistinguishable(t, method, w.ours.fill(path)+w.ours.fill(query)+sep+url.QueryEscape(param)+"="+id, w.ours.fill(body), id)
			require.True(t, method == "GET" || code >= 400, "%s?%s", name, param)
		}
		// In the body.
		if method == "GET" || strings.HasPrefix(body, "[") {
			continue
		}
		given := object{}
		if body != "" {
			require.NoError(t, json.Unmarshal([]byte(w.ours.fill(body)), &given))
		}
		for _, field := range descriptions[name].body {
			id := w.theirs.idOf(field, place)
			if id == "" || field == "token" || field == "key" || field == "budget" || field == "user" {
				continue
			}
			with := maps.Clone(given)
			with[field] = id
			text, err := json.Marshal(with)
			require.NoError(t, err)
			code := w.indistinguishable(t, method, w.ours.fill(path)+how.query, string(text), id)
			require.GreaterOrEqual(t, code, 400, "%s with their %s", name, field)
		}
		if items, many := given["items"].([]any); many {
			row := items[0].(object)
			for _, field := range []string{"team_id", "organization_id", "project_id", "user_id", "role"} {
				with := maps.Clone(row)
				with[field] = w.theirs.idOf(field, place)
				text, err := json.Marshal(object{"items": []any{with}})
				require.NoError(t, err)
				require.Equal(t, 207, w.indistinguishable(t, method, w.ours.fill(path), string(text), with[field].(string)), name)
			}
		}
	}
	require.Greater(t, w.tried, 400)
}

var pathNames = regexp.MustCompile(`\{(\w+)\}`)

// TestTheirCursorsLeadNowhere: where a list of theirs goes on tells nothing of it, and leads into no list of ours.
func TestTheirCursorsLeadNowhere(t *testing.T) {
	w := newTenants(t)
	cursors, all := 0, 0
	other := w.theirs.call(200, "GET", w.theirs.fill("/v1/organizations/{org}/members?limit=1"), "")["next_cursor"].(string)
	descriptions := described(t)
	for _, op := range operations(t, w.ours.client) {
		name := op[0] + " " + op[1]
		if !slices.Contains(descriptions[name].query, "after") || strings.Contains(op[1], "{user}") || !strings.Contains(op[1], "{") && op[1] != "/v1/api-keys" {
			continue
		}
		sep := "?"
		if queryOf(op[1]) != "" {
			sep = "&"
		}
		page := w.theirs.do("GET", w.theirs.fill(op[1]+queryOf(op[1]))+sep+"limit=1", "")
		require.Equal(t, 200, page.Code, page.Body)
		next, more := parse(t, page.Body.String())["next_cursor"].(string)
		if all++; more {
			cursors++
		} else {
			next = other // the list has one page: that of another one
		}
		target := w.ours.fill(op[1]+queryOf(op[1])) + sep + "after=" + url.QueryEscape(next)
		o := w.ours.owner.call(400, "GET", target, "")
		require.Equal(t, "query.after", o["errors"].([]any)[0].(object)["location"], name)
	}
	require.Greater(t, cursors, 5)
	require.Greater(t, all, 20)
}
