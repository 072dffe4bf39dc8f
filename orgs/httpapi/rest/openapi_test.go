package rest_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/rest"
	"github.com/orgkit/orgkit/orgs/httpapi/sessions"
	"github.com/orgkit/orgkit/store/memory"
)

var update = flag.Bool("update", false, "rewrite the description, openapi.json, unless it breaks what is not in the CHANGELOG")

// goldenDescription is the description with the calls by which people sign in.
const goldenDescription = "openapi.json"

func served(t *testing.T, path string) *httptest.ResponseRecorder {
	m, err := orgs.New(memory.New(nil), nil)
	require.NoError(t, err)
	h, err := rest.New(m, &rest.Options{Others: sessions.Operations()})
	require.NoError(t, err)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	require.Equal(t, 200, w.Code)
	return w
}

// TestTheDescriptionIsTheGoldenFile. What breaks clients has its line in the CHANGELOG before the file is rewritten.
func TestTheDescriptionIsTheGoldenFile(t *testing.T) { // A17
	var is bytes.Buffer
	require.NoError(t, json.Indent(&is, served(t, "/openapi.json").Body.Bytes(), "", " "))
	was, err := os.ReadFile(goldenDescription)
	if *update && os.IsNotExist(err) {
		was = is.Bytes()
	} else {
		require.NoError(t, err)
	}
	log, err := os.ReadFile("../../../CHANGELOG.md")
	require.NoError(t, err)
	var unsaid []string
	for subject, what := range broken(contract(t, was), contract(t, is.Bytes())) {
		if !strings.Contains(string(log), "`"+subject+"`") {
			unsaid = append(unsaid, "`"+subject+"` "+what)
		}
	}
	slices.Sort(unsaid)
	require.Empty(t, unsaid, "it breaks clients, and the CHANGELOG does not say so")
	if *update {
		require.NoError(t, os.WriteFile(goldenDescription, append(is.Bytes(), '\n'), 0o644))
		return
	}
	require.True(t, strings.TrimSpace(string(was)) == is.String(), "the description is another one: go test ./orgs/httpapi/rest -run TestTheDescription -update")
}

// fact is what the description promises of an operation, a parameter or a field.
type fact struct {
	Required bool
	Type     string
	Enum     []string
}

type schema struct {
	Ref        string `json:"$ref"`
	Type       any
	Enum       []any
	Properties map[string]schema
	Required   []string
	Items      *schema
	OneOf      []schema
	ReadOnly   bool
}

type description struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Name, In string
			Required bool
			Schema   schema
		}
		RequestBody struct {
			Content map[string]struct{ Schema schema }
		}
		Responses map[string]struct {
			Content map[string]struct{ Schema schema }
		}
	}
	Components struct{ Schemas map[string]schema }
}

// contract is what a description promises, by names such as "POST /v1/users body.email".
func contract(t *testing.T, text []byte) map[string]fact {
	var d description
	require.NoError(t, json.Unmarshal(text, &d))
	facts := map[string]fact{}
	var enter func(at string, s schema, required bool, within []string)
	enter = func(at string, s schema, required bool, within []string) {
		if name := strings.TrimPrefix(s.Ref, "#/components/schemas/"); name != "" {
			if slices.Contains(within, name) {
				return
			}
			within, s = append(slices.Clone(within), name), d.Components.Schemas[name]
		}
		typ, err := json.Marshal(s.Type)
		require.NoError(t, err)
		f := fact{Required: required, Type: string(typ)}
		for _, one := range s.OneOf {
			if one.Ref != "" {
				enter(at, one, required, within)
			}
			f.Type += " " + one.Ref
			if text, is := one.Type.(string); is {
				f.Type += text
			}
		}
		for _, v := range s.Enum {
			if text, is := v.(string); is {
				f.Enum = append(f.Enum, text)
			}
		}
		facts[at] = f
		for name, p := range s.Properties {
			enter(at+"."+name, p, slices.Contains(s.Required, name), within)
		}
		if s.Items != nil {
			enter(at+"[]", *s.Items, true, within)
		}
	}
	for path, methods := range d.Paths {
		for method, op := range methods {
			name := strings.ToUpper(method) + " " + path
			facts[name] = fact{}
			for _, p := range op.Parameters {
				enter(name+" "+p.In+"."+p.Name, p.Schema, p.Required, nil)
			}
			if body, has := op.RequestBody.Content["application/json"]; has {
				enter(name+" body", body.Schema, true, nil)
			}
			for status, r := range op.Responses {
				if body, has := r.Content["application/json"]; has && status < "300" {
					enter(name+" "+status, body.Schema, true, nil)
				}
			}
		}
	}
	return facts
}

var answerForm = regexp.MustCompile(`^\w+ \S+ 2\d\d`)

// broken is what a client of the one finds otherwise in the other, and how.
func broken(was, is map[string]fact) map[string]string {
	found := map[string]string{}
	for name, before := range was {
		now, there := is[name]
		answer := answerForm.MatchString(name)
		switch {
		case !there:
			found[name] = "is gone"
		case now.Type != before.Type:
			found[name] = "has another type"
		case answer && before.Required && !now.Required:
			found[name] = "may be absent"
		case !answer && !before.Required && now.Required:
			found[name] = "is required"
		case !answer && slices.ContainsFunc(before.Enum, func(v string) bool { return !slices.Contains(now.Enum, v) }) && len(now.Enum) > 0:
			found[name] = "takes fewer values"
		}
	}
	for name, now := range is {
		op := strings.Join(strings.Fields(name)[:2], " ")
		_, known := was[op]
		if _, there := was[name]; !there && known && now.Required && !answerForm.MatchString(name) && !strings.Contains(name, "[]") && parentIn(was, name) {
			found[name] = "is required"
		}
	}
	// What is gone with something above it is not named by itself.
	for name := range found {
		for other := range found {
			if name != other && found[other] == "is gone" && (strings.HasPrefix(name, other+".") || strings.HasPrefix(name, other+" ") || strings.HasPrefix(name, other+"[")) {
				delete(found, name)
			}
		}
	}
	return found
}

// parentIn says whether what a field belongs to was there before: within something new, it is not asked of old clients.
func parentIn(was map[string]fact, name string) bool {
	i := strings.LastIndex(name, ".")
	if i < 0 {
		return true
	}
	parent := name[:i]
	_, there := was[parent]
	return there || strings.HasSuffix(parent, " query") || strings.HasSuffix(parent, " header") || strings.HasSuffix(parent, " path")
}

func TestWhatBreaksClientsIsSeen(t *testing.T) {
	text, err := os.ReadFile(goldenDescription)
	require.NoError(t, err)
	was := contract(t, text)
	require.Empty(t, broken(was, was))
	for _, c := range []struct {
		name   string
		change func(is map[string]fact)
		want   map[string]string
	}{
		{"a removed operation, once", func(is map[string]fact) {
			maps.DeleteFunc(is, func(name string, _ fact) bool {
				return strings.HasPrefix(name, "POST /v1/users ") || name == "POST /v1/users"
			})
		}, map[string]string{"POST /v1/users": "is gone"}},
		{"a removed field of an answer", func(is map[string]fact) { delete(is, "POST /v1/users 201.email") }, map[string]string{"POST /v1/users 201.email": "is gone"}},
		{"a removed field of a body", func(is map[string]fact) { delete(is, "POST /v1/users body.name") }, map[string]string{"POST /v1/users body.name": "is gone"}},
		{"a new required field", func(is map[string]fact) { is["POST /v1/users body.age"] = fact{Required: true} }, map[string]string{"POST /v1/users body.age": "is required"}},
		{"a field that is required now", func(is map[string]fact) {
			is["POST /v1/users body.name"] = fact{Required: true, Type: was["POST /v1/users body.name"].Type}
		}, map[string]string{"POST /v1/users body.name": "is required"}},
		{"another type", func(is map[string]fact) { is["POST /v1/users 201.email"] = fact{Required: true, Type: `"integer"`} }, map[string]string{"POST /v1/users 201.email": "has another type"}},
		{"a new required parameter", func(is map[string]fact) { is["GET /v1/users query.x"] = fact{Required: true} }, map[string]string{"GET /v1/users query.x": "is required"}},
		{"fewer values", func(is map[string]fact) {
			f := is["PATCH /v1/users/{user} body.status"]
			f.Enum = f.Enum[:1]
			is["PATCH /v1/users/{user} body.status"] = f
		}, map[string]string{"PATCH /v1/users/{user} body.status": "takes fewer values"}},
		{"nothing that only adds", func(is map[string]fact) {
			is["POST /v1/users body.age"], is["POST /v1/users 201.age"], is["GET /v1/new"] = fact{}, fact{Required: true}, fact{}
			is["GET /v1/new query.x"] = fact{Required: true}
		}, map[string]string{}},
	} {
		is := maps.Clone(was)
		c.change(is)
		require.Equal(t, c.want, broken(was, is), c.name)
	}
}

// TestEveryRouteIsDescribed: what is served and not in the description is the description itself.
func TestEveryRouteIsDescribed(t *testing.T) {
	m, err := orgs.New(memory.New(nil), nil)
	require.NoError(t, err)
	list, err := rest.Patterns(m, &rest.Options{})
	require.NoError(t, err)
	c := newClient(t, memory.New(nil))
	described := map[string]bool{}
	for _, op := range operations(t, c) {
		described[op[0]+" "+op[1]] = true
	}
	about := []string{"GET /openapi.json", "GET /openapi.yaml", "GET /openapi-3.0.json", "GET /openapi-3.0.yaml", "GET /reference"}
	for _, pattern := range list {
		if slices.Contains(about, pattern) {
			require.Equal(t, 200, c.as("", "").do("GET", strings.Fields(pattern)[1], "").Code, pattern)
			continue
		}
		require.True(t, described[pattern], "%s is not described", pattern)
	}
	require.Len(t, list, len(described)+len(about))
}

func TestTheDescriptionIsWhole(t *testing.T) {
	w := served(t, "/openapi.json")
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID, Summary string
			Security             *[]any
			Responses            map[string]any
		}
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &doc))
	require.Equal(t, "3.1.0", doc.OpenAPI)
	ids := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			require.NotEmpty(t, op.Summary, "%s %s", method, path)
			require.False(t, ids[op.OperationID], op.OperationID)
			ids[op.OperationID] = true
			require.Contains(t, op.Responses, "401")
		}
	}
	require.NotNil(t, doc.Paths["/v1/sessions"]["post"].Security, "signing in needs no credential")
	require.Nil(t, doc.Paths["/v1/sessions"]["get"].Security)
	var all struct{ Components map[string]map[string]any }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &all))
	for _, ref := range regexp.MustCompile(`"\$ref":"#/components/(\w+)/(\w+)"`).FindAllStringSubmatch(w.Body.String(), -1) {
		require.Contains(t, all.Components[ref[1]], ref[2])
	}
}

func TestThePageForPeopleLoadsNothing(t *testing.T) {
	w := served(t, "/reference")
	page := w.Body.String()
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
	require.NotRegexp(t, `<script|<link|<img|src=|@import|url\(`, page)
	require.Contains(t, page, "/v1/organizations/{org}/teams")
	require.Contains(t, page, "Sign in")
	require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
	require.Less(t, len(page), 2<<20)
}
