package saml_test

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	xsaml "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/sessions"
	"github.com/orgkit/orgkit/orgs/sso/saml"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/scim"
	"github.com/orgkit/orgkit/store"
)

// TestSignInByAnIdentityProvider from our login to a session that the API accepts (F184, F178 to F183).
func TestSignInByAnIdentityProvider(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b := w.browser()
		status, _ := b.me()
		require.Equal(t, 401, status)

		res := b.signIn()
		require.Equal(t, http.StatusSeeOther, res.StatusCode, "%s", &w.log)
		require.Equal(t, "/console?tab=1", res.Header.Get("Location"))
		require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
		i := slices.IndexFunc(res.Cookies(), func(c *http.Cookie) bool { return c.Name == sessions.SessionCookie })
		require.GreaterOrEqual(t, i, 0)
		c := res.Cookies()[i]
		require.True(t, c.Secure && c.HttpOnly && c.Path == "/" && c.SameSite == http.SameSiteLaxMode)

		status, me := b.me()
		require.Equal(t, 200, status)
		require.Equal(t, "ann@acme.example", me["email"])
		require.Equal(t, "Ann", me["name"])
		ann, err := w.Manager.User(w.Platform(), "ann@acme.example")
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"developer", "team_lead", "member"}, w.rolesOf(ann), "of both groups")
		require.Contains(t, w.logged(orgs.LoginType)[0], ann.ID)

		w.person("Engineering")
		require.Equal(t, http.StatusSeeOther, w.browser().signIn().StatusCode)
		require.ElementsMatch(t, []string{"developer", "member"}, w.rolesOf(ann), "of the group that is left")
		require.Equal(t, 2, w.people(), "the owner and one more")
	})
}

// rolesOf are the roles of somebody.
func (w *world) rolesOf(u orgs.User) []string {
	w.t.Helper()
	m, err := w.Member(w.Platform(), orgs.Place{OrgID: w.org.ID}, u.ID)
	require.NoError(w.t, err)
	return m.Roles
}

// TestSignInByALastingName: who has one is known by it, whatever their address is by then (SSO-1, SSO-4).
func TestSignInByALastingName(t *testing.T) {
	w := onMemory(t, nil)
	address := "ann@acme.example"
	w.alter = func(a *xsaml.Assertion) {
		a.Subject.NameID.Format, a.Subject.NameID.Value = saml.Persistent, "00u1"
		for i := range a.AttributeStatements[0].Attributes {
			if at := &a.AttributeStatements[0].Attributes[i]; at.FriendlyName == "mail" {
				at.Values[0].Value = address
			}
		}
	}
	first := w.browser()
	require.Equal(t, http.StatusSeeOther, first.signIn().StatusCode)
	address = "ann.b@acme.example"
	second := w.browser()
	require.Equal(t, http.StatusSeeOther, second.signIn().StatusCode)
	_, one := first.me()
	_, two := second.me()
	require.Equal(t, one["id"], two["id"])
}

// TestSignInIsOfOneBrowser: an answer counts where it was asked for (A10, A14: login CSRF), once (A5), and at the
// organization that asked (A29).
func TestSignInIsOfOneBrowser(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		attacker, victim := w.browser(), w.browser()
		f := attacker.prove(attacker.begin(""))
		w.refused("unknown_flow", func() *http.Response { return victim.bring(f) })

		mine, err := url.Parse(victim.begin(""))
		require.NoError(t, err)
		swapped := url.Values{"SAMLResponse": f["SAMLResponse"], "RelayState": {mine.Query().Get("RelayState")}}
		w.refused("in_response_to", func() *http.Response { return victim.bring(swapped) })

		other, _ := w.Org("other")
		config := w.config
		config.Provisioning, config.RoleMapping = nil, nil
		_, _, err = w.SetSSO(w.Platform(), other.ID, config)
		require.NoError(t, err)
		res, _ := attacker.answer(attacker.PostForm(w.host.URL+"/sso/"+other.ID+"/saml/acs", f))
		require.Equal(t, http.StatusForbidden, res.StatusCode)

		require.Equal(t, http.StatusSeeOther, attacker.bring(f).StatusCode)
		w.refused("unknown_flow", func() *http.Response { return attacker.bring(f) })
	})
}

// TestSignInOnceInAllProcesses: whoever keeps the cookie and sends all of it at the same time, to two processes, gets one
// session (A5, L1, SAML-18).
func TestSignInOnceInAllProcesses(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b := w.browser()
		require.Equal(t, http.StatusSeeOther, b.signIn().StatusCode, "so that nobody is made below")
		b = w.browser()
		f := b.prove(b.begin(""))
		u, err := url.Parse(w.host.URL)
		require.NoError(t, err)
		cookies := b.Jar.Cookies(u)
		handlers := []http.Handler{w.handler(), w.handler()}

		var wg sync.WaitGroup
		codes := make([]int, 6)
		for i := range codes {
			wg.Go(func() {
				r := httptest.NewRequest("POST", "/sso/"+w.org.ID+"/saml/acs", strings.NewReader(f.Encode()))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				for _, c := range cookies {
					r.AddCookie(c)
				}
				rec := httptest.NewRecorder()
				handlers[i%2].ServeHTTP(rec, r)
				codes[i] = rec.Code
			})
		}
		wg.Wait()
		slices.Sort(codes)
		require.Equal(t, []int{303, 403, 403, 403, 403, 403}, codes)
	})
}

// TestSignInThatStartsAtTheIdentityProvider is off, and where it is on leads to the start page, once (A14, SAML-17).
func TestSignInThatStartsAtTheIdentityProvider(t *testing.T) {
	w := onMemory(t, nil)
	r, err := http.NewRequest("PUT", w.idpURL+"/shortcuts/go", strings.NewReader(`{"service_provider": "`+w.host.URL+"/sso/"+w.org.ID+`/saml/metadata", "relay_state": "https://evil.example.com"}`))
	require.NoError(t, err)
	res, err := w.browser().Do(r)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	start := func(b browser) url.Values {
		b.begin("") // a request that is not the one that is answered
		signedIn := b.prove(b.begin(""))
		require.NotEmpty(t, signedIn)
		_, page := b.answer(b.Get(w.idpURL + "/login/go"))
		f := fields(page)
		require.True(t, f.Has("SAMLResponse"), page)
		return f
	}

	b := w.browser()
	f := start(b)
	w.refused("unknown_flow", func() *http.Response { return b.bring(f) })

	w.config.Unsolicited = true
	w.configure()
	in := b.bring(start(b))
	require.Equal(t, http.StatusSeeOther, in.StatusCode)
	require.Equal(t, "/", in.Header.Get("Location"), "whatever the relay state says")

	f = start(b)
	require.Equal(t, http.StatusSeeOther, b.bring(f).StatusCode)
	w.clock.Advance(time.Minute)
	w.refused("replayed", func() *http.Response { return b.bring(f) })
	w.refused("in_response_to", func() *http.Response { // an answer to a request is none to nobody's
		other := w.browser()
		return b.bring(other.prove(other.begin("")))
	})
}

// TestSignInOfWhatIsSignedAndWrong: at the address that takes answers, what Verify refuses is refused, and its reason is in
// the log alone (A9, A10, A11, A25).
func TestSignInOfWhatIsSignedAndWrong(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for code, alter := range map[string]func(*xsaml.Assertion){
			"audience": func(a *xsaml.Assertion) {
				a.Conditions.AudienceRestrictions[0].Audience.Value = "https://elsewhere.example.com"
			},
			"recipient": func(a *xsaml.Assertion) {
				a.Subject.SubjectConfirmations[0].SubjectConfirmationData.Recipient = w.acs() + "/"
			},
			"expired":      func(a *xsaml.Assertion) { a.Conditions.NotOnOrAfter = w.clock.Now().Add(-2 * time.Minute) },
			"issuer":       func(a *xsaml.Assertion) { a.Issuer.Value += "/other" },
			"subject":      func(a *xsaml.Assertion) { a.Subject.NameID.Value = "" },
			"confirmation": func(a *xsaml.Assertion) { a.Subject.SubjectConfirmations = nil },
			"domain_unverified": func(a *xsaml.Assertion) { // of a domain that is somebody else's (A21)
				for i := range a.AttributeStatements[0].Attributes {
					if at := &a.AttributeStatements[0].Attributes[i]; at.FriendlyName == "mail" {
						at.Values[0].Value = "ann@gmail.com"
					}
				}
			},
		} {
			w.alter = alter
			w.refused(code, func() *http.Response { return w.browser().signIn() })
		}
		w.alter = nil
		w.idp.IDP.SignatureMethod = dsig.RSASHA1SignatureMethod
		w.refused("signature_algorithm", func() *http.Response { return w.browser().signIn() })
		w.idp.IDP.SignatureMethod = dsig.RSASHA256SignatureMethod

		b := w.browser()
		f := b.prove(b.begin(""))
		raw := bytes.Replace(xmlOf(t, f), []byte("ann@acme.example"), []byte("own@acme.example"), 1)
		f.Set("SAMLResponse", base64.StdEncoding.EncodeToString(raw))
		w.refused("signature", func() *http.Response { return b.bring(f) })

		require.Equal(t, http.StatusSeeOther, w.browser().signIn().StatusCode)
		b = w.browser()
		f = b.prove(b.begin(""))
		suspend(t, w)
		w.refused("user_suspended", func() *http.Response { return b.bring(f) })
		for _, event := range w.logged(orgs.LoginFailedType) {
			require.NotContains(t, event, "ann@")
			require.NotContains(t, event, "saml:Assertion")
		}
	})
}

// suspend suspends the one who has signed in.
func suspend(t *testing.T, w *world) {
	t.Helper()
	ann, err := w.Manager.User(w.Platform(), "ann@acme.example")
	require.NoError(t, err)
	suspended := rbac.Suspended
	_, err = w.UpdateUser(w.Platform(), ann.ID, orgs.UserUpdate{Status: &suspended})
	require.NoError(t, err)
}

// TestSignInReturnsToThisHost alone, whatever it is asked for (A15, SSO-19).
func TestSignInReturnsToThisHost(t *testing.T) {
	w := onMemory(t, nil)
	login := w.host.URL + "/sso/acme/login?return_to="
	for _, to := range []string{"https://evil.example.com", "//evil.example.com", `\\evil.example.com`, `/\evil.example.com`, "/%5Cevil.example.com", "/%2Fevil.example.com",
		"javascript:alert(1)", "console", "/a\r\nSet-Cookie: x=1", "/a b", "/\u2028", "/" + strings.Repeat("a", 10<<10), "///evil.example.com"} {
		res, _ := w.browser().answer(w.browser().Get(login + url.QueryEscape(to)))
		require.Equal(t, http.StatusForbidden, res.StatusCode, to)
		require.Empty(t, res.Cookies())
	}
	for _, to := range []string{"/", "/console", "/console?tab=1&x=//y", "/a/b#c", "/%2e%2e/x"} {
		b := w.browser()
		res := b.bring(b.prove(b.begin(to)))
		require.Equal(t, to, res.Header.Get("Location"))
	}
	b := w.browser()
	require.Equal(t, "/", b.bring(b.prove(b.begin(""))).Header.Get("Location"))
	f := b.prove(b.begin("/console"))
	f.Set("RelayState", "https://evil.example.com")
	w.refused("unknown_flow", func() *http.Response { return b.bring(f) })
}

// TestAnswersThatAreNoForms: one binding, each field once, strict base64, and no more than a bound (SAML-1, A7, L16, L21).
func TestAnswersThatAreNoForms(t *testing.T) {
	w := onMemory(t, nil)
	b := w.browser()
	f := b.prove(b.begin(""))
	one := f.Get("SAMLResponse")
	var deflated bytes.Buffer
	fw, err := flate.NewWriter(&deflated, flate.BestCompression)
	require.NoError(t, err)
	_, err = fw.Write(make([]byte, 64<<20))
	require.NoError(t, err)
	require.NoError(t, fw.Close())

	post := func(kind, body string) int {
		res, _ := b.answer(b.Post(w.acs(), kind, strings.NewReader(body)))
		return res.StatusCode
	}
	const form = "application/x-www-form-urlencoded"
	for name, body := range map[string]string{
		"nothing":        "",
		"no response":    "RelayState=x",
		"two responses":  url.Values{"SAMLResponse": {one, one}}.Encode(),
		"two states":     url.Values{"SAMLResponse": {one}, "RelayState": {"x", "y"}}.Encode(),
		"no base64":      url.Values{"SAMLResponse": {"<Response>"}}.Encode(),
		"loose base64":   url.Values{"SAMLResponse": {"PHg+PC94Pk=="}}.Encode(),
		"an artifact":    url.Values{"SAMLart": {"AAQAAMh48"}}.Encode(),
		"too many bytes": "SAMLResponse=" + strings.Repeat("A", 600<<10),
	} {
		began := time.Now()
		require.Equal(t, http.StatusForbidden, post(form, body), name)
		require.Less(t, time.Since(began), time.Second, name)
	}
	require.Equal(t, http.StatusForbidden, post("multipart/form-data; boundary=x", "--x--"))
	require.Equal(t, http.StatusForbidden, post("application/json", `{}`))

	bomb := url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString(deflated.Bytes())}}
	res, _ := b.answer(b.Get(w.acs() + "?" + bomb.Encode()))
	require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode, "the redirect binding is for requests")
	require.Equal(t, http.StatusForbidden, post(form, bomb.Encode()), "nothing is inflated")
	res, _ = b.answer(b.Post(w.acs()+"?"+f.Encode(), form, strings.NewReader("")))
	require.Equal(t, http.StatusForbidden, res.StatusCode, "nor is an address a form")
}

func TestSignInOfNobody(t *testing.T) {
	w := onMemory(t, nil)
	b := w.browser()
	f := b.prove(b.begin(""))
	at := func(org, path string) int {
		if path == "acs" {
			res, _ := b.answer(b.PostForm(w.host.URL+"/sso/"+org+"/saml/acs", f))
			return res.StatusCode
		}
		status, _ := b.get(w.host.URL + "/sso/" + org + "/saml/" + path)
		return status
	}
	bare, _ := w.Org("bare")
	for _, org := range []string{"org_unknown", "nobody", bare.ID, "bare", "%00", "..%2f", strings.Repeat("x", 500)} {
		require.Equal(t, 404, at(org, "login"), org)
		require.Equal(t, 404, at(org, "acs"), org)
	}
	require.Equal(t, 404, at("acme", "metadata"), "metadata is of an id")
	require.Equal(t, 404, at("org_%3Cscript%3E", "metadata"))
	require.Equal(t, 200, at(bare.ID, "metadata"), "a provider is set up before there is a configuration")

	w.config.Enabled = false
	w.configure()
	require.Equal(t, 404, at("acme", "login"))
	require.Equal(t, 404, at(w.org.ID, "acs"))
}

// TestManySignInsOfOneBrowser: several tabs work at a time, and a page that starts many for somebody fills no header.
func TestManySignInsOfOneBrowser(t *testing.T) {
	w := onMemory(t, nil)
	b := w.browser()
	var started []string
	for range 60 {
		started = append(started, b.begin("/console"))
	}
	u, err := url.Parse(w.host.URL)
	require.NoError(t, err)
	require.LessOrEqual(t, len(b.Jar.Cookies(u)), 8)
	require.Equal(t, http.StatusSeeOther, b.bring(b.prove(started[59])).StatusCode)
}

// TestSignInWithSignedRequests, by a form: the page runs its own script and no other.
func TestSignInWithSignedRequests(t *testing.T) {
	w := onMemory(t, &saml.Options{Signer: signer(), PostRequests: true})
	b := w.browser()
	published := func() string {
		_, text := b.answer(b.Get(w.host.URL + "/sso/" + w.org.ID + "/saml/metadata"))
		return text
	}
	_, unsigned := b.answer(b.Get(w.host.URL + "/sso/acme/login"))
	raw, err := base64.StdEncoding.DecodeString(fields(unsigned).Get("SAMLRequest"))
	require.NoError(t, err)
	require.NotContains(t, string(raw), "Signature", "an organization asks for it")
	require.Contains(t, published(), `AuthnRequestsSigned="false"`)
	require.NotContains(t, published(), "KeyDescriptor")
	w.config.SignRequests = true
	w.configure()
	require.Contains(t, published(), `AuthnRequestsSigned="true"`)
	require.Contains(t, published(), base64Of(other().cert.Raw))
	res, page := b.answer(b.Get(w.host.URL + "/sso/acme/login"))
	require.Equal(t, 200, res.StatusCode)
	require.Contains(t, res.Header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'sha256-")
	require.Contains(t, page, `action="`+w.idpURL+`/sso"`)
	f := fields(page)
	raw, err = base64.StdEncoding.DecodeString(f.Get("SAMLRequest"))
	require.NoError(t, err)
	require.Contains(t, string(raw), "<ds:SignatureValue>")
	f.Set("user", "ann")
	f.Set("password", secretOfAnn)
	_, page = b.answer(b.PostForm(w.idpURL+"/sso", f))
	in := b.bring(fields(page))
	require.Equal(t, http.StatusSeeOther, in.StatusCode)
	require.Equal(t, "/", in.Header.Get("Location"))
}

// TestSignInWithASecondFactor: what the organization says means one is a second factor for conditions too, with its age.
func TestSignInWithASecondFactor(t *testing.T) {
	w := onMemory(t, nil)
	const strong = "https://refeds.org/profile/mfa"
	w.config.MFAContexts = []string{strong}
	w.configure()
	w.alter = func(a *xsaml.Assertion) {
		a.AuthnStatements[0].AuthnContext.AuthnContextClassRef.Value = strong
		a.AuthnStatements[0].AuthnInstant = w.clock.Now().Add(-10 * time.Minute)
	}
	in := func() store.Page[orgs.Session] {
		require.Equal(t, http.StatusSeeOther, w.browser().signIn().StatusCode)
		ann, err := w.Manager.User(w.Platform(), "ann@acme.example")
		require.NoError(t, err)
		page, err := w.Sessions(w.Platform(), ann.ID, 10, "")
		require.NoError(t, err)
		return page
	}
	s := in().Items[0]
	require.True(t, w.clock.Now().Add(-10*time.Minute).Equal(*s.MFAVerifiedAt))
	require.Equal(t, strong, s.SignedInBy.Context)

	w.alter = nil
	w.clock.Advance(time.Second)
	s = in().Items[0]
	require.Nil(t, s.MFAVerifiedAt, "a password is none")
}

// TestSignInThatIsOnlyTried: an administrator sees what would be, and nothing is (SSO-21, sso.md §1.3).
func TestSignInThatIsOnlyTried(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b := w.browser()
		owner := w.tokenOf(w.owner)
		try := func(token string) (int, string) {
			r, err := http.NewRequest("POST", w.host.URL+"/sso/acme/test", nil)
			require.NoError(t, err)
			r.Header.Set("Authorization", "Bearer "+token)
			res, body := b.answer(b.Do(r))
			u, _ := decode(t, body)["url"].(string)
			return res.StatusCode, u
		}
		trial := func() (*http.Response, string) {
			status, u := try(owner)
			require.Equal(t, 201, status)
			res, _ := b.answer(b.Get(u))
			return b.answer(b.PostForm(w.acs(), b.prove(res.Header.Get("Location"))))
		}
		before := w.people()
		res, body := trial()
		require.Equal(t, 200, res.StatusCode, body)
		require.Contains(t, body, "ann@acme.example")
		require.Equal(t, before, w.people())
		require.Empty(t, sessionCookies(res))
		status, _ := b.me()
		require.Equal(t, 401, status)
		s, err := w.SSO(w.Platform(), w.org.ID)
		require.NoError(t, err)
		require.NotNil(t, s.ProvedAt)

		w.alter = func(a *xsaml.Assertion) {
			a.Conditions.AudienceRestrictions[0].Audience.Value = "https://elsewhere.example.com"
		}
		res, body = trial()
		require.Equal(t, 403, res.StatusCode)
		require.Contains(t, body, "audience", "an administrator is told why")
		require.NotContains(t, body, "elsewhere")
		w.alter = nil
		f := b.prove(func() string { _, u := try(owner); res, _ := b.answer(b.Get(u)); return res.Header.Get("Location") }())
		raw := bytes.Replace(xmlOf(t, f), []byte("<saml:Assertion "), []byte("<saml:EncryptedAssertion "), 1)
		raw = bytes.Replace(raw, []byte("</saml:Assertion>"), []byte("</saml:EncryptedAssertion>"), 1)
		f.Set("SAMLResponse", base64.StdEncoding.EncodeToString(raw))
		res, body = b.answer(b.PostForm(w.acs(), f))
		require.Equal(t, 403, res.StatusCode)
		require.Contains(t, body, "reason: encrypted", "so that the provider can be told not to")

		status, _ = try("nobody")
		require.Equal(t, 401, status)
		status, _ = try(w.tokenOf(w.User("eve@elsewhere.example")))
		require.Equal(t, 404, status, "who is nobody there finds nothing")
	})
}

// TestSignInEndsWithTheMembership: who is deprovisioned is refused on the next call, and at the next sign-in, until they are
// back (sso.md §9.3, SSO-8, SSO-20).
func TestSignInEndsWithTheMembership(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.config.Provisioning = &orgs.NewProvisioning{Enabled: true, AutoProvision: true}
		w.configure()
		_, token, err := w.CreateSCIMToken(w.Platform(), w.org.ID, orgs.NewSCIMToken{Name: "provider"})
		require.NoError(t, err)
		directory, err := scim.New(w.Manager, w.host.URL+"/scim/v2", nil)
		require.NoError(t, err)
		call := func(method, path, body string) map[string]any {
			r := httptest.NewRequest(method, path, strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Content-Type", "application/scim+json")
			rec := httptest.NewRecorder()
			directory.ServeHTTP(rec, r)
			require.Less(t, rec.Code, 300, rec.Body)
			return decode(t, rec.Body.String())
		}
		const user, change = `{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ann@acme.example", "active": true}`,
			`{"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [{"op": "replace", "path": "active", "value": %t}]}`
		path := "/Users/" + call("POST", "/Users", user)["id"].(string)

		b := w.browser()
		require.Equal(t, http.StatusSeeOther, b.signIn().StatusCode)
		status, _ := b.me()
		require.Equal(t, 200, status)
		call("PATCH", path, fmt.Sprintf(change, false))
		status, _ = b.me()
		require.Equal(t, 401, status)
		w.refused("membership_suspended", func() *http.Response { return w.browser().signIn() })
		call("PATCH", path, fmt.Sprintf(change, true))
		require.Equal(t, http.StatusSeeOther, w.browser().signIn().StatusCode)
	})
}

// TestSignInTooOften: whoever begins or answers too often has to wait, at this organization and from this address
// (SSO-24).
func TestSignInTooOften(t *testing.T) {
	w := onMemory(t, nil)
	b := w.browser()
	f := b.prove(b.begin(""))
	other, _ := w.Org("other")
	config := w.config
	config.Provisioning, config.RoleMapping = nil, nil
	_, _, err := w.SetSSO(w.Platform(), other.ID, config)
	require.NoError(t, err)
	for range 99 {
		res, _ := b.answer(b.PostForm(w.acs(), url.Values{}))
		require.Equal(t, http.StatusForbidden, res.StatusCode)
	}
	res, body := b.answer(b.PostForm(w.acs(), f))
	require.Equal(t, http.StatusTooManyRequests, res.StatusCode)
	require.Equal(t, "1", res.Header.Get("Retry-After"))
	require.NotContains(t, body, "ann")
	status, _ := b.get(w.host.URL + "/sso/acme/login")
	require.Equal(t, http.StatusTooManyRequests, status)
	status, _ = w.browser().get(w.host.URL + "/sso/other/login") // which might take the place of the one under way
	require.Equal(t, http.StatusSeeOther, status, "another organization is not to blame")
	w.clock.Advance(time.Second)
	require.Equal(t, http.StatusSeeOther, b.bring(f).StatusCode)
}
