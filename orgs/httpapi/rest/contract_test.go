package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"

	generated "github.com/orgkit/orgkit/examples/client"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/orgs/httpapi/rest"
	"github.com/orgkit/orgkit/orgs/httpapi/sessions"
	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// wire is a connection that holds every answer against the description.
type wire struct {
	t       *testing.T
	handler http.Handler
	doc     document
	status  int // of the last answer
	body    []byte
}

// document is as much of the description as answers are held against.
type document struct {
	Paths map[string]map[string]struct {
		Responses map[string]struct {
			Ref     string `json:"$ref"`
			Content map[string]struct{ Schema jsonSchema }
		}
	}
	Components struct {
		Schemas   map[string]jsonSchema
		Responses map[string]struct {
			Content map[string]struct{ Schema jsonSchema }
		}
	}
}

type jsonSchema struct {
	Ref        string `json:"$ref"`
	Type       any
	Enum       []any
	Properties map[string]jsonSchema
	Required   []string
	Items      *jsonSchema
	OneOf      []jsonSchema
	Additional json.RawMessage `json:"additionalProperties"`
}

type routeKey struct{}

// RoundTrip serves a request of the generated client.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	in := httptest.NewRequest(r.Method, r.URL.RequestURI(), r.Body)
	in.Header = r.Header
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, in)
	w.status, w.body = out.Code, out.Body.Bytes()
	op, _ := r.Context().Value(routeKey{}).(generated.Operation)
	described, is := w.doc.Paths[op.Path][strings.ToLower(op.Method)].Responses[fmt.Sprint(out.Code)]
	require.True(w.t, is, "%s %s: %d is not described: %s", op.Method, op.Path, out.Code, out.Body)
	content := described.Content
	if name, ref := strings.CutPrefix(described.Ref, "#/components/responses/"); ref {
		content = w.doc.Components.Responses[name].Content
	}
	media, is := content[out.Header().Get("Content-Type")]
	require.True(w.t, is, "%s %s: %s", op.Method, op.Path, out.Header())
	var value any = out.Body.String()
	if !strings.HasPrefix(out.Header().Get("Content-Type"), "text/") {
		d := json.NewDecoder(bytes.NewReader(w.body))
		d.UseNumber()
		require.NoError(w.t, d.Decode(&value))
	}
	require.Empty(w.t, w.doc.faults("", media.Schema, value), "%s %s: %s", op.Method, op.Path, out.Body)
	return out.Result(), nil
}

// faults says where a value is not as its schema has it.
func (d document) faults(at string, s jsonSchema, value any) (list []string) {
	if name, is := strings.CutPrefix(s.Ref, "#/components/schemas/"); is {
		s = d.Components.Schemas[name]
	}
	if len(s.OneOf) > 0 {
		for _, one := range s.OneOf {
			if len(d.faults(at, one, value)) == 0 {
				return nil
			}
		}
		return []string{at + " is none of what it may be"}
	}
	types, _ := s.Type.([]any)
	if one, is := s.Type.(string); is {
		types = []any{one}
	}
	kind := kindOf(value)
	if len(types) > 0 && !slices.Contains(types, any(kind)) && !(kind == "integer" && slices.Contains(types, any("number"))) {
		return []string{fmt.Sprintf("%s is %s, not %v", at, kind, types)}
	}
	if len(s.Enum) > 0 && value != nil && !slices.Contains(s.Enum, value) {
		list = append(list, at+" is none of the values")
	}
	switch v := value.(type) {
	case map[string]any:
		for _, name := range s.Required {
			if _, has := v[name]; !has {
				list = append(list, at+"."+name+" is missing")
			}
		}
		var rest jsonSchema
		typed := len(s.Additional) > 0 && s.Additional[0] == '{' && json.Unmarshal(s.Additional, &rest) == nil
		for name, field := range v {
			switch p, known := s.Properties[name]; {
			case known:
				list = append(list, d.faults(at+"."+name, p, field)...)
			case typed:
				list = append(list, d.faults(at+"."+name, rest, field)...)
			case string(s.Additional) == "false":
				list = append(list, at+"."+name+" is not described")
			}
		}
	case []any:
		for i, one := range v {
			if s.Items != nil {
				list = append(list, d.faults(fmt.Sprintf("%s[%d]", at, i), *s.Items, one)...)
			}
		}
	}
	return list
}

func kindOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case bool:
		return "boolean"
	case json.Number:
		if _, err := v.Int64(); err == nil {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

// inRoles is a settled world with a member in each role of the seed, who is in its team and project too.
type inRoles struct {
	*settled
	wire   *wire
	tokens map[string]string
}

// seedRoles are those of the first document, and the platform; a doer is whoever the table says that it works for.
var seedRoles = []string{"doer", "org_admin", "team_lead", "developer", "finance", "viewer"}

func newInRoles(t *testing.T, s *store.Store, doc document) *inRoles {
	w := &inRoles{settled: settledOn(t, s), tokens: map[string]string{}}
	w.t = t
	org := "/v1/organizations/" + w.ids["org"]
	for _, role := range seedRoles[1:] {
		if role == "developer" {
			w.call(200, "PATCH", org+"/roles/developer", `{"permissions": `+permissionsOf(t, body(t, "role_developer"))+`}`)
		} else {
			w.post(org+"/roles", body(t, "role_"+role))
		}
		id, who := w.person(w.ids["org"], role+"@acme.com", role)
		w.tokens[role] = who.token
		for _, place := range []string{"/v1/teams/" + w.ids["team"], org + "/projects/" + w.ids["project"]} {
			w.post(place+"/members", `{"user_id": "`+id+`", "role": "`+role+`"}`)
		}
	}
	w.wire = &wire{t: t, handler: entrance(t, w.client), doc: doc}
	return w
}

func permissionsOf(t *testing.T, role string) string {
	text, err := json.Marshal(parse(t, role)["permissions"])
	require.NoError(t, err)
	return string(text)
}

// entrance is the native dialect with sign-in before it.
func entrance(t *testing.T, c *client) http.Handler {
	proxies := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	auth, err := sessions.Cookie(c.manager, httpapi.Bearer(c.manager, adminKey))
	require.NoError(t, err)
	api, err := rest.New(c.manager, &rest.Options{Authenticate: auth, TrustedProxies: proxies, Others: sessions.Operations()})
	require.NoError(t, err)
	service, err := signin.New(c.manager, &signin.Options{Seal: c.sealer, Issuer: "Example", AnswerAfter: -1, Argon2: signin.Argon2{MemoryKiB: 64, Passes: 1, Lanes: 1}})
	require.NoError(t, err)
	h, err := sessions.New(service, api, &sessions.Options{Authenticate: auth, TrustedProxies: proxies})
	require.NoError(t, err)
	return h
}

func contextOf(t *testing.T, op generated.Operation) context.Context {
	return context.WithValue(t.Context(), routeKey{}, op)
}

func readDocument(t *testing.T) (d document) {
	text, err := os.ReadFile(goldenDescription)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &d))
	return d
}

// drive has the generated client do an operation, and returns the status.
func (w *inRoles) drive(op generated.Operation, token, query, text string) int {
	values, err := url.ParseQuery(strings.TrimPrefix(w.fill(query), "?"))
	require.NoError(w.t, err)
	path := map[string]string{}
	for _, part := range strings.Split(op.Path, "/") {
		if name, is := strings.CutPrefix(part, "{"); is {
			// Of an invitation or policy the id is that of the place, which the whole path tells.
			path[strings.TrimSuffix(name, "}")] = w.part(op.Path, part)
		}
	}
	c := &generated.Client{URL: "http://gateway.example", Token: token, Strict: true, HTTP: &http.Client{Transport: w.wire}}
	_, err = op.Do(contextOf(w.t, op), c, generated.Call{Path: path, Query: values, Body: json.RawMessage(text)})
	if w.wire.status < 300 {
		require.NoError(w.t, err, "%s %s", op.Method, op.Path)
	} else {
		var p *generated.Problem
		require.ErrorAs(w.t, err, &p)
		require.Equal(w.t, int64(w.wire.status), p.Status)
	}
	return w.wire.status
}

// part is what stands for a name in a path.
func (w *settled) part(path, name string) string {
	filled := strings.Split(w.fill(path), "/")
	return filled[slices.Index(strings.Split(path, "/"), name)]
}

// TestTheContractInEveryRole drives every operation by the generated client, in every role of the seed. Who may is in the
// golden file: testdata/roles.txt.
func TestTheContractInEveryRole(t *testing.T) {
	doc := readDocument(t)
	signingIn := map[string]bool{}
	for _, op := range sessions.Operations() {
		signingIn[op.Method+" "+op.Path] = true
	}
	stores := []string{"memory", "sqlite", "postgres"}
	if raced {
		stores = stores[:1]
	}
	for _, name := range stores {
		t.Run(name, func(t *testing.T) {
			var w *inRoles
			var s *store.Store
			var table strings.Builder
			for _, op := range generated.Operations {
				called := op.Method + " " + op.Path
				if signingIn[called] {
					continue
				}
				fmt.Fprint(&table, called)
				how, query := doings[called], ""
				if op.Method == "GET" {
					query = queryOf(op.Path)
				} else {
					query = how.query
				}
				for _, role := range seedRoles {
					if w == nil {
						s = storetest.Open(t, name, store.Options{})
						w = newInRoles(t, s, doc)
					}
					// Where worlds are dear, those who succeed do so once.
					if (raced || name != "memory") && op.Method != "GET" && role != "doer" && granted(t, called, role) {
						fmt.Fprintf(&table, " %s=%d", role, grantedStatus(t, called, role))
						continue
					}
					for _, call := range how.first {
						r := w.do(call[0], w.fill(call[1]), w.fill(call[2]))
						require.Less(t, r.Code, 300, r.Body)
					}
					token := w.tokens[role]
					if role == "doer" {
						token = map[string]*client{"": w.client, "dev": w.dev, "owner": w.owner, "invitee": w.invitee}[how.as].token
					}
					text := w.fill(strings.ReplaceAll(how.body, "{other}", w.ids["other"]))
					status := w.drive(op, token, query, text)
					fmt.Fprintf(&table, " %s=%d", role, status)
					if role == "doer" {
						require.Less(t, status, 300, "%s: %s", called, w.wire.body)
					}
					if op.Method != "GET" && (status < 300 || len(how.first) > 0) {
						w = nil // it is another world now
						require.NoError(t, s.Close())
					}
				}
				fmt.Fprintln(&table)
			}
			file := filepath.Join("testdata", "roles.txt")
			if *update && name == "memory" {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(file, []byte(table.String()), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), table.String())
		})
	}
}

// grantedStatus is what the golden file says that somebody hears.
func grantedStatus(t *testing.T, called, role string) (status int) {
	text, err := os.ReadFile(filepath.Join("testdata", "roles.txt"))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if rest, is := strings.CutPrefix(line, called+" "); is {
			for _, field := range strings.Fields(rest) {
				if n, of := strings.CutPrefix(field, role+"="); of {
					fmt.Sscan(n, &status)
				}
			}
		}
	}
	return status
}

func granted(t *testing.T, called, role string) bool {
	status := grantedStatus(t, called, role)
	return status > 0 && status < 300
}

// TestTheContractOfSigningIn drives what serves sessions by the generated client.
func TestTheContractOfSigningIn(t *testing.T) {
	doc := readDocument(t)
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := newClient(t, s)
		id, _ := c.user("ann@acme.com", time.Time{})
		w := &wire{t: t, handler: entrance(t, c), doc: doc}
		done := map[string]bool{}
		call := func(status int, name, token, session, body string) object {
			i := slices.IndexFunc(generated.Operations, func(op generated.Operation) bool { return op.Method+" "+op.Path == name })
			require.GreaterOrEqual(t, i, 0, name)
			op := generated.Operations[i]
			done[name] = true
			cl := &generated.Client{URL: "http://gateway.example", Token: token, Strict: true, HTTP: &http.Client{Transport: w}}
			_, err := op.Do(contextOf(t, op), cl, generated.Call{Path: map[string]string{"user": id, "session": session}, Body: json.RawMessage(body)})
			require.Equal(t, status, w.status, "%s: %s", name, w.body)
			require.Equal(t, status >= 300, err != nil, "%v", err)
			return parse(t, string(w.body))
		}
		const entering = `{"email": "ann@acme.com", "password": "correct horse battery staple"}`
		call(200, "PUT /v1/users/{user}/password", adminKey, "", `{"password": "correct horse battery staple"}`)
		call(401, "POST /v1/sessions", "", "", `{"email": "ann@acme.com", "password": "wrong"}`)
		enter := func() (id, token string) {
			in := call(201, "POST /v1/sessions", "", "", entering)
			return in["id"].(string), in["token"].(string)
		}
		session, token := enter()
		call(200, "GET /v1/sessions", token, "", "")
		call(200, "GET /v1/sessions/current", token, "", "")
		call(200, "GET /v1/sessions/{session}", token, session, "")
		call(200, "GET /v1/users/{user}/sessions", adminKey, "", "")
		call(200, "GET /v1/users/{user}/sessions/{session}", adminKey, session, "")
		call(200, "GET /v1/users/{user}/mfa", token, "", "")
		secret := call(201, "POST /v1/users/{user}/mfa", token, "", "")["secret"].(string)
		code, err := totp.GenerateCode(secret, clock.Now())
		require.NoError(t, err)
		call(200, "POST /v1/users/{user}/mfa/confirm", token, "", `{"code": "`+code+`"}`)
		codes := call(201, "POST /v1/users/{user}/mfa/recovery-codes", token, "", "")["recovery_codes"].([]any)
		_, pending := enter()
		call(403, "GET /v1/sessions", pending, "", "")
		call(200, "POST /v1/sessions/current/mfa", pending, "", `{"recovery_code": "`+codes[0].(string)+`"}`)
		call(200, "DELETE /v1/sessions/current", pending, "", "")
		call(200, "DELETE /v1/users/{user}/mfa", adminKey, "", "")
		call(409, "POST /v1/password-resets", "", "", `{"email": "ann@acme.com"}`) // nothing is mailed here
		link := call(201, "POST /v1/users/{user}/password-resets", adminKey, "", "")["token"].(string)
		call(200, "POST /v1/password-resets/confirm", "", "", `{"token": "`+link+`", "password": "correct horse battery staple"}`)
		session, token = enter()
		other, _ := enter()
		call(200, "DELETE /v1/sessions/{session}", token, other, "")
		call(200, "DELETE /v1/users/{user}/sessions/{session}", adminKey, session, "")
		call(200, "DELETE /v1/users/{user}/sessions", adminKey, "", "")
		_, token = enter()
		call(200, "DELETE /v1/sessions", token, "", "")
		for _, op := range sessions.Operations() {
			require.True(t, done[op.Method+" "+op.Path], "%s %s is driven", op.Method, op.Path)
		}
	})
}
