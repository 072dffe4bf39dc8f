package pages_test

import (
	"encoding/base32"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/orgs/httpapi/pages"
	"github.com/orgkit/orgkit/orgs/httpapi/rest"
	"github.com/orgkit/orgkit/orgs/httpapi/sessions"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

const password = "correct horse battery staple"

// world is the pages before all of the native dialect.
type world struct {
	*orgstest.World
	t       *testing.T
	clock   *storetest.Clock
	service *signin.Service
	handler http.Handler
	org     orgs.Organization
	owner   orgs.User
	member  orgs.User
}

func each(t *testing.T, fn func(t *testing.T, w *world)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		key, err := seal.ParseKey(seal.GenerateKey())
		require.NoError(t, err)
		sealer, err := seal.New(key)
		require.NoError(t, err)
		w := &world{t: t, clock: clock, World: orgstest.New(t, s, &orgs.Options{Seal: sealer, Notifier: &orgstest.Notifications{}})}
		w.service, err = signin.New(w.Manager, &signin.Options{Seal: sealer, Issuer: "Example", AnswerAfter: -1, Argon2: signin.Argon2{MemoryKiB: 64, Passes: 1, Lanes: 1}})
		require.NoError(t, err)
		proxies := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		auth, err := sessions.Cookie(w.Manager, httpapi.Bearer(w.Manager, "platform-admin-key-of-the-test"))
		require.NoError(t, err)
		api, err := rest.New(w.Manager, &rest.Options{Prefix: "/ai", Authenticate: auth, TrustedProxies: proxies})
		require.NoError(t, err)
		entrance, err := sessions.New(w.service, api, &sessions.Options{Prefix: "/ai", Authenticate: auth, TrustedProxies: proxies})
		require.NoError(t, err)
		w.handler, err = pages.New(entrance, &pages.Options{Prefix: "/ai", Name: "Acme AI"})
		require.NoError(t, err)
		w.org, w.owner = w.Org("acme")
		w.member = w.User("member@acme.example")
		w.Add(orgs.Place{OrgID: w.org.ID}, w.member, "member")
		for _, u := range []orgs.User{w.owner, w.member} {
			require.NoError(t, w.service.SetPassword(w.Platform(), u.ID, password))
		}
		fn(t, w)
	})
}

// browser keeps cookies and sends forms from the pages that it shows.
type browser struct {
	w       *world
	cookies map[string]*http.Cookie
	site    string // what Sec-Fetch-Site says
	page    string
	status  int
}

func (w *world) browser() *browser {
	return &browser{w: w, cookies: map[string]*http.Cookie{}, site: "same-origin"}
}

func (b *browser) send(r *http.Request) string {
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	r.Header.Set("Sec-Fetch-Site", b.site)
	w := httptest.NewRecorder()
	b.w.handler.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if b.cookies[c.Name] = c; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
		require.True(b.w.t, c.HttpOnly && c.Secure)
	}
	require.Equal(b.w.t, "no-store", w.Header().Get("Cache-Control"))
	require.Contains(b.w.t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
	require.Contains(b.w.t, w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'")
	b.page, b.status = w.Body.String(), w.Code
	require.NotRegexp(b.w.t, `<link|<img|src=|@import|url\(`, b.page)
	return b.page
}

func (b *browser) open(path string) string {
	return b.send(httptest.NewRequest("GET", "/ai"+path, nil))
}

var hidden = regexp.MustCompile(`type="hidden" name="(\w+)" value="([^"]*)"`)

// post sends the form of the page, with what it hides.
func (b *browser) post(path string, fields ...string) string {
	form := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(b.page, -1) {
		form.Set(m[1], m[2])
	}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	r := httptest.NewRequest("POST", "/ai"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.send(r)
}

// requested is a request for an approval by the member.
func (w *world) requested() string {
	c := rbac.NewPolicy{Name: "p", Statements: []rbac.Statement{{Effect: rbac.EffectAllow, Actions: []string{"models.use"}, Resources: []string{"model:gated"},
		Conditions: rbac.Conditions{Approval: &rbac.ApprovalCondition{Type: "required"}}}}}
	_, _, err := w.CreatePolicy(w.As(w.owner), w.org.ID, "", c)
	require.NoError(w.t, err)
	a, _, err := w.RequestApproval(w.As(w.member), rbac.Request{OrgID: w.org.ID, Action: "models.use", Call: rbac.Call{Resource: "model:gated"}}, "for <b>work</b>")
	require.NoError(w.t, err)
	return a.ID
}

// TestTheLinkOfAnApprovalAlonesDoesNothing (F463): it asks for sign-in; who may not decide cannot, who may decides.
func TestTheLinkOfAnApprovalAloneDoesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.requested()
		path := "/approvals/" + id
		b := w.browser()
		page := b.open(path)
		require.Equal(t, 401, b.status)
		require.Contains(t, page, "Sign in to go on")
		require.NotContains(t, page, "gated", "the link alone tells nothing")
		require.Equal(t, b.open("/approvals/apr_unknown"), page, "nor whether there is such a request")
		b.post(path, "do", "approve")
		require.Equal(t, 401, b.status)

		require.Contains(t, b.post(path, "do", "sign_in", "email", w.owner.Email, "password", "wrong"), `role="alert"`)
		require.Equal(t, 401, b.status)
		require.Empty(t, b.cookies)

		// Their own request nobody decides.
		page = b.post(path, "do", "sign_in", "email", w.member.Email, "password", password)
		require.Equal(t, 200, b.status, page)
		require.Contains(t, page, "model:gated")
		require.Contains(t, page, "for &lt;b&gt;work&lt;/b&gt;")
		page = b.post(path, "do", "approve")
		require.Equal(t, 403, b.status)
		require.Contains(t, page, `role="alert"`)
		a, err := w.Approval(w.As(w.owner), w.org.ID, id)
		require.NoError(t, err)
		require.Equal(t, rbac.ApprovalPending, a.Status)
		require.Contains(t, b.post(path, "do", "sign_out"), "Sign in to go on")
		require.NotContains(t, b.cookies, sessions.SessionCookie)

		b.post(path, "do", "sign_in", "email", w.owner.Email, "password", password)
		b.site = "cross-site"
		b.post(path, "do", "approve")
		require.Equal(t, 403, b.status, "a form of another page")
		b.site = "same-origin"
		page = b.open(path)
		require.Contains(t, page, w.member.Email)
		page = b.post(path, "do", "approve", "reason", "fine")
		require.Equal(t, 200, b.status, page)
		require.Contains(t, page, "This request is approved")
		a, err = w.Approval(w.As(w.owner), w.org.ID, id)
		require.NoError(t, err)
		require.Equal(t, rbac.ApprovalApproved, a.Status)
		require.Equal(t, "fine", a.Decisions[0].Reason)
	})
}

func TestAnInvitationIsAnsweredByWhoIsSignedIn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		at := orgs.Place{OrgID: w.org.ID}
		invitee := w.User("new@acme.example")
		require.NoError(t, w.service.SetPassword(w.Platform(), invitee.ID, password))
		invite := func() string {
			_, token, err := w.Invite(w.As(w.owner), at, orgs.NewInvitation{Email: invitee.Email, Role: "member"})
			require.NoError(t, err)
			return token
		}
		// By the address, without a script.
		token, b := invite(), w.browser()
		page := b.open("/invite/" + token)
		require.Equal(t, 401, b.status)
		require.NotContains(t, page, w.org.Name)
		b.post("/invite/"+token, "do", "sign_in", "email", invitee.Email, "password", password)
		require.Contains(t, b.page, "accept the invitation as new@acme.example")
		require.Contains(t, b.post("/invite/"+token, "do", "decline"), "declined")
		require.Equal(t, 200, b.status)

		// By what is behind the #: the person, or a line of script, puts it into the form.
		token = invite()
		require.Contains(t, b.open("/invitations/accept"), "Token of the invitation")
		require.Contains(t, b.page, "<script>")
		require.Contains(t, b.post("/invitations/accept", "token", token), "accept the invitation as")
		require.Contains(t, b.post("/invitations/accept", "do", "accept"), "you are a member now")
		_, err := w.Member(w.As(w.owner), at, invitee.ID)
		require.NoError(t, err)
		require.Contains(t, b.post("/invite/"+token, "do", "accept"), `role="alert"`)
		require.Equal(t, 409, b.status)

		other := w.browser()
		other.open("/invite/ok_inv_unknown")
		other.post("/invite/ok_inv_unknown", "do", "sign_in", "email", w.member.Email, "password", password)
		require.Contains(t, other.post("/invite/ok_inv_unknown", "do", "accept"), "There is no such invitation")
	})
}

func TestASecondFactorIsAskedFor(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		path := "/approvals/" + w.requested()
		// They set it up as programs do.
		call := func(method, path, token, body string) map[string]any {
			r := httptest.NewRequest(method, "/ai"+path, strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+token)
			a := httptest.NewRecorder()
			w.handler.ServeHTTP(a, r)
			var o map[string]any
			require.NoError(t, json.Unmarshal(a.Body.Bytes(), &o))
			return o
		}
		token := call("POST", "/v1/sessions", "", `{"email": "`+w.owner.Email+`", "password": "`+password+`"}`)["token"].(string)
		secret := call("POST", "/v1/users/me/mfa", token, "")["secret"].(string)
		_, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
		require.NoError(t, err)
		code := func() string {
			c, err := totp.GenerateCode(secret, w.clock.Now())
			require.NoError(t, err)
			return c
		}
		recovery := call("POST", "/v1/users/me/mfa/confirm", token, `{"code": "`+code()+`"}`)["recovery_codes"].([]any)[0].(string)

		b := w.browser()
		page := b.post(path, "do", "sign_in", "email", w.owner.Email, "password", password)
		require.Equal(t, 403, b.status, page)
		require.Contains(t, page, "A second factor is needed")
		require.NotContains(t, page, "gated")
		b.post(path, "do", "prove", "code", "000000")
		require.Equal(t, 401, b.status)
		require.Contains(t, b.page, "A second factor is needed")
		require.Contains(t, b.post(path, "do", "prove", "recovery_code", recovery), "model:gated")
		require.Contains(t, b.open(path), "model:gated")
	})
}

func TestANewPasswordIsSetByTheLink(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token, err := w.service.NewReset(w.Platform(), w.member.ID)
		require.NoError(t, err)
		b := w.browser()
		require.Contains(t, b.open("/password"), "<script>")
		require.Contains(t, b.post("/password", "token", token, "password", "short"), `role="alert"`)
		require.Equal(t, 400, b.status)
		require.Contains(t, b.post("/password", "token", token, "password", "another good password"), "The password is changed")
		b.post("/password", "token", token, "password", "another good password 2")
		require.GreaterOrEqual(t, b.status, 400, "a link is good once")
		b.post("/invite/x", "do", "sign_in", "email", w.member.Email, "password", "another good password")
		require.Equal(t, 200, b.status)
	})
}

func TestWhatIsNoPageIsHandedOn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a := httptest.NewRecorder()
		w.handler.ServeHTTP(a, httptest.NewRequest("GET", "/ai/v1/organizations", nil))
		require.Equal(t, 401, a.Code)
		require.Equal(t, "application/problem+json", a.Header().Get("Content-Type"))
	})
	_, err := pages.New(nil, nil)
	require.Error(t, err)
	_, err = pages.New(http.NotFoundHandler(), &pages.Options{Prefix: "ai"})
	require.Error(t, err)
}
