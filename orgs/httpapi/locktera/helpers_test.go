package locktera_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/locktera"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const adminKey = "platform-admin-key-of-the-test"

type object = map[string]any

// world is the dialect over an organization, one below it, and another tenant.
type world struct {
	*orgstest.World
	t       *testing.T
	clock   *storetest.Clock
	handler http.Handler
	token   string // of who calls
	org     orgs.Organization
	owner   orgs.User
	child   orgs.Organization
	other   orgs.Organization
	mails   *orgstest.Notifications
	ids     map[string]string // and what golden files call them
}

func each(t *testing.T, fn func(t *testing.T, w *world)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) { fn(t, newWorld(t, s, clock, nil)) })
}

func onMemory(t *testing.T, o *locktera.Options) *world {
	clock := storetest.NewClock()
	return newWorld(t, storetest.Open(t, "memory", store.Options{Now: clock.Now, NewID: storetest.IDs()}), clock, o)
}

func newWorld(t *testing.T, s *store.Store, clock *storetest.Clock, o *locktera.Options) *world {
	t.Helper()
	w := &world{t: t, clock: clock, token: adminKey, mails: &orgstest.Notifications{}, ids: map[string]string{}}
	w.World = orgstest.New(t, s, &orgs.Options{Notifier: w.mails, Options: rbac.Options{Audit: audit.Options{NoBackground: true}}})
	if o == nil {
		o = &locktera.Options{}
	}
	o.AdminKey, o.TrustedProxies = adminKey, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	var err error
	w.handler, err = locktera.New(w.Manager, o)
	require.NoError(t, err)
	w.org, w.owner = w.Org("acme")
	w.other, _ = w.Org("globex")
	w.child, err = w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "Acme Labs", Slug: "acme-labs", Parent: w.org.ID})
	require.NoError(t, err)
	return w
}

// as is the same program with another credential.
func (w world) as(token string) *world {
	w.token = token
	return &w
}

// of is the same program with a token of that user.
func (w *world) of(u orgs.User) *world {
	w.t.Helper()
	_, secret, err := w.CreateToken(w.Platform(), u.ID, orgs.NewToken{Name: "test"})
	require.NoError(w.t, err)
	return w.as(secret)
}

func (w *world) do(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, bytes.NewBufferString(body))
	r.Header.Set("X-Forwarded-For", "198.51.100.7") // the peer of httptest is 192.0.2.1
	r.Header.Set("X-Request-Id", "req_of_the_test")
	if w.token != "" {
		r.Header.Set("Authorization", "Bearer "+w.token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	return answer
}

// call wants a status and returns what the body says.
func (w *world) call(status int, method, path, body string, headers ...string) (v any) {
	w.t.Helper()
	answer := w.do(method, path, body, headers...)
	require.Equal(w.t, status, answer.Code, "%s %s: %s", method, path, answer.Body)
	if status == http.StatusNoContent {
		require.Empty(w.t, answer.Body.String())
		return nil
	}
	require.Equal(w.t, "application/json", answer.Header().Get("Content-Type"))
	require.NoError(w.t, json.Unmarshal(answer.Body.Bytes(), &v))
	return v
}

func (w *world) get(path string) object {
	w.t.Helper()
	return w.call(200, "GET", path, "").(object)
}

func (w *world) list(path string) []any {
	w.t.Helper()
	return w.call(200, "GET", path, "").([]any)
}

// fails wants an error of that status and returns its fields.
func (w *world) fails(status int, method, path, body string, headers ...string) object {
	w.t.Helper()
	o := w.call(status, method, path, body, headers...).(object)
	require.Len(w.t, o, 3)
	require.EqualValues(w.t, status, o["code"])
	require.NotEmpty(w.t, o["message"])
	return o["fields"].(object)
}

var (
	secrets = regexp.MustCompile(`ok_(live|pat)_[0-9A-Za-z]+`)
	ids     = regexp.MustCompile(`\b(org|key|role|usr)_[0-9a-z]{6,}`)
)

// named gives ids their places in the order in which they are seen.
func (w *world) named(id string) string {
	if w.ids[id] == "" {
		kind, _, _ := strings.Cut(id, "_")
		w.ids[id] = fmt.Sprintf("%s_%d", kind, len(w.ids)+1)
	}
	return w.ids[id]
}

// golden compares a request and its answer with those of the file.
func (w *world) golden(name, method, path, body string, headers ...string) any {
	w.t.Helper()
	answer := w.do(method, path, body, headers...)
	text := method + " " + path + "\n"
	for i := 0; i+1 < len(headers); i += 2 {
		text += headers[i] + ": " + headers[i+1] + "\n"
	}
	text += body + "\n\n" + fmt.Sprintln(answer.Code, http.StatusText(answer.Code))
	for _, h := range []string{"Content-Type", "Location", "X-Org-Id", "Preference-Applied", "Link", "Retry-After", "Www-Authenticate", "Allow"} {
		for _, v := range answer.Header().Values(h) {
			text += h + ": " + v + "\n"
		}
	}
	var v any
	if answer.Body.Len() > 0 {
		require.NoError(w.t, json.Unmarshal(answer.Body.Bytes(), &v))
		var pretty bytes.Buffer
		require.NoError(w.t, json.Indent(&pretty, answer.Body.Bytes(), "", "  "))
		text += "\n" + pretty.String()
	}
	text = secrets.ReplaceAllString(strings.TrimRight(text, "\n")+"\n", "SECRET")
	text = ids.ReplaceAllStringFunc(text, w.named)
	file := filepath.Join("testdata", name+".txt")
	if *update {
		require.NoError(w.t, os.MkdirAll("testdata", 0o755))
		require.NoError(w.t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(w.t, err)
	require.Equal(w.t, string(want), text)
	return v
}
