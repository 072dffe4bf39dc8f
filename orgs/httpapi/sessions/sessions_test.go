package sessions_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/orgs/httpapi/rest"
	"github.com/orgkit/orgkit/orgs/httpapi/sessions"
	"github.com/orgkit/orgkit/store"
)

var entrance = `{"email": "` + email + `", "password": "` + password + `"}`

// TestTheWire compares the answers of a whole life with their golden files.
func TestTheWire(t *testing.T) {
	w := onMemory(t)
	w.golden("sign-in.wrong", "POST", "/v1/sessions", `{"email": "ann@acme.example", "password": "wrong"}`, "")
	w.golden("sign-in.unknown-field", "POST", "/v1/sessions", `{"email": "ann@acme.example", "pasword": "hunter2"}`, "")
	token := w.golden("sign-in", "POST", "/v1/sessions", entrance, "")["token"].(string)
	w.golden("sign-in.cookie", "POST", "/v1/sessions", entrance[:len(entrance)-1]+`, "cookie": true}`, "")
	w.golden("sessions", "GET", "/v1/sessions?limit=1", "", token)
	w.golden("session", "GET", "/v1/sessions/current", "", token)
	w.golden("mfa.none", "GET", "/v1/users/me/mfa", "", token)
	secret := w.golden("mfa.enrol", "POST", "/v1/users/me/mfa", "", token)["secret"].(string)
	code := w.code(secret)
	codes := w.golden("mfa.confirm", "POST", "/v1/users/me/mfa/confirm", `{"code": "`+code+`"}`, token)["recovery_codes"].([]any)
	w.golden("mfa", "GET", "/v1/users/me/mfa", "", token)
	pending := w.golden("sign-in.pending", "POST", "/v1/sessions", entrance, "")["token"].(string)
	w.golden("sessions.pending", "GET", "/v1/sessions", "", pending)
	w.golden("verify.wrong", "POST", "/v1/sessions/current/mfa", `{"code": "`+code+`"}`, pending)
	w.golden("verify", "POST", "/v1/sessions/current/mfa", `{"recovery_code": "`+codes[0].(string)+`"}`, pending)
	w.golden("recovery-codes", "POST", "/v1/users/me/mfa/recovery-codes", "", token)
	w.golden("password.short", "PUT", "/v1/users/me/password", `{"current_password": "`+password+`", "password": "short"}`, token)
	w.golden("password", "PUT", "/v1/users/me/password", `{"current_password": "`+password+`", "password": "`+another+`"}`, token)
	w.golden("sign-out", "DELETE", "/v1/sessions/current", "", token)
	w.golden("sessions.ended", "GET", "/v1/sessions", "", token)
	w.golden("reset", "POST", "/v1/password-resets", `{"email": "ann@acme.example"}`, "")
	link := w.link()
	w.golden("reset.confirm", "POST", "/v1/password-resets/confirm", `{"token": "`+link+`", "password": "`+password+`"}`, "")
	w.golden("reset.used", "POST", "/v1/password-resets/confirm", `{"token": "`+link+`", "password": "`+password+`"}`, "")
	w.golden("mfa.remove", "DELETE", "/v1/users/"+w.user.ID+"/mfa", "", adminKey)
	w.golden("reset.platform", "POST", "/v1/users/"+w.user.ID+"/password-resets", "", adminKey)
	for range 6 {
		w.do("POST", "/v1/sessions", `{"email": "x@acme.example", "password": "wrong"}`, "")
	}
	w.golden("sign-in.slowed", "POST", "/v1/sessions", `{"email": "x@acme.example", "password": "wrong"}`, "")
	w.golden("method", "PATCH", "/v1/sessions", "", token)
}

// code is one that was not used.
func (w *world) code(secret string) string {
	w.clock.Advance(30 * time.Second)
	code, err := totp.GenerateCode(secret, w.clock.Now())
	require.NoError(w.t, err)
	return code
}

// TestASessionOverHTTP acts in the native dialect behind it, until it has ended.
func TestASessionOverHTTP(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.signIn()
		require.Equal(t, email, w.see(token)["email"])
		other := w.signIn()
		w.call(200, "DELETE", "/v1/sessions?keep_current=true", "", token)
		w.fails(401, "session_expired", "GET", "/v1/users/me", "", other)
		other = w.signIn()
		list := w.call(200, "GET", "/v1/sessions", "", token)["data"].([]any)
		require.Len(t, list, 2)
		id := list[0].(object)["id"].(string)
		require.Equal(t, false, list[0].(object)["current"])
		w.call(200, "DELETE", "/v1/sessions/"+id, "", token)
		w.fails(404, "not_found", "DELETE", "/v1/sessions/"+id, "", token)
		w.fails(401, "session_expired", "GET", "/v1/users/me", "", other)
		w.call(200, "DELETE", "/v1/sessions", "", token)
		w.fails(401, "session_expired", "GET", "/v1/users/me", "", token)

		token = w.signIn()
		w.clock.Advance(time.Hour)
		w.fails(401, "session_expired", "GET", "/v1/sessions/current", "", token) // F031
		w.signIn()
		require.EqualValues(t, 1, w.call(200, "DELETE", "/v1/users/"+w.user.ID+"/sessions", "", adminKey)["sessions_ended"])
	})
}

// see is what the native dialect behind answers of who calls.
func (w *world) see(token string, headers ...string) object {
	w.t.Helper()
	answer := w.do("GET", "/v1/users/me", "", token, headers...)
	require.Equal(w.t, 200, answer.Code, answer.Body)
	var o object
	require.NoError(w.t, json.Unmarshal(answer.Body.Bytes(), &o))
	return o
}

// TestAnotherPersonsSessionsAreNotThere (S1).
func TestAnotherPersonsSessionsAreNotThere(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		mine := w.signIn()
		id := w.call(200, "GET", "/v1/sessions/current", "", mine)["id"].(string)
		w.call(200, "PUT", "/v1/users/"+w.owner.ID+"/password", `{"password": "`+another+`"}`, adminKey)
		theirs := w.call(201, "POST", "/v1/sessions", `{"email": "`+w.owner.Email+`", "password": "`+another+`"}`, "")["token"].(string)
		for _, call := range [][2]string{{"GET", "/v1/sessions/ID"}, {"DELETE", "/v1/sessions/ID"}, {"GET", "/v1/users/USER/sessions"}, {"DELETE", "/v1/users/USER/sessions"},
			{"GET", "/v1/users/USER/sessions/ID"}, {"DELETE", "/v1/users/USER/sessions/ID"}, {"GET", "/v1/users/USER/mfa"}, {"POST", "/v1/users/USER/mfa"}, {"DELETE", "/v1/users/USER/mfa"},
			{"POST", "/v1/users/USER/mfa/confirm"}, {"POST", "/v1/users/USER/mfa/recovery-codes"}, {"PUT", "/v1/users/USER/password"}, {"POST", "/v1/users/USER/password-resets"}} {
			body := func(id, user string) string {
				path := strings.NewReplacer("ID", id, "USER", user).Replace(call[1])
				w.fails(404, "not_found", call[0], path, "{}", theirs)
				w.fails(401, "missing_api_key", call[0], path, "{}", "")
				return w.do(call[0], path, "{}", theirs).Body.String()
			}
			require.Equal(t, body("ses_999999", "usr_999999"), body(id, w.user.ID), "as of what does not exist: %v", call)
		}
		w.see(mine)
	})
}

// TestACookieIsForPagesOfThisOrigin, so that no other page acts for who looks at it.
func TestACookieIsForPagesOfThisOrigin(t *testing.T) {
	w := onMemory(t)
	answer := w.do("POST", "/v1/sessions", entrance[:len(entrance)-1]+`, "cookie": true}`, "")
	require.Equal(t, 201, answer.Code)
	require.NotContains(t, answer.Body.String(), "ok_")
	cookies := answer.Result().Cookies()
	require.Len(t, cookies, 2)
	for _, c := range cookies {
		require.True(t, strings.HasPrefix(c.Name, "__Host-") && c.Secure && c.HttpOnly && c.Path == "/" && c.Domain == "" && c.SameSite == http.SameSiteLaxMode, c)
	}
	jar := cookies[0].Name + "=" + cookies[0].Value
	w.see("", "Cookie", jar)
	w.see("", "Cookie", jar, "Sec-Fetch-Site", "cross-site") // it changes nothing
	change := func(status int, headers ...string) {
		t.Helper()
		answer := w.do("PATCH", "/v1/users/me", `{"name": "Ann"}`, "", append(headers, "Cookie", jar)...)
		require.Equal(t, status, answer.Code, answer.Body)
	}
	change(200, "Sec-Fetch-Site", "same-origin")
	change(200, "Sec-Fetch-Site", "cross-site", "Origin", "https://console.example")
	change(200)
	change(403, "Sec-Fetch-Site", "cross-site")
	change(403, "Sec-Fetch-Site", "same-site")
	change(403, "Origin", "https://evil.example")
	w.fails(403, "permission_denied", "DELETE", "/v1/sessions/current", "", "", "Cookie", jar, "Sec-Fetch-Site", "cross-site")
	w.fails(403, "permission_denied", "POST", "/v1/sessions", `{"email": "x", "password": "y", "cookie": true}`, "", "Sec-Fetch-Site", "cross-site")
	w.fails(401, "invalid_api_key", "GET", "/v1/sessions", "", "wrong", "Cookie", jar) // a header counts first

	out := w.do("DELETE", "/v1/sessions/current", "", "", "Cookie", jar)
	require.Equal(t, 200, out.Code)
	require.Equal(t, -1, out.Result().Cookies()[0].MaxAge)
	w.fails(401, "session_expired", "GET", "/v1/sessions", "", "", "Cookie", jar)
	_, err := sessions.Cookie(w.Manager, nil, "not an origin")
	require.Error(t, err)
}

// TestABrowserGetsItsDeviceWithTheSecondFactor, and shows it by itself.
func TestABrowserGetsItsDeviceWithTheSecondFactor(t *testing.T) {
	w := onMemory(t)
	token := w.signIn()
	secret := w.call(201, "POST", "/v1/users/me/mfa", "", token)["secret"].(string)
	w.call(200, "POST", "/v1/users/me/mfa/confirm", `{"code": "`+w.code(secret)+`"}`, token)
	in := w.do("POST", "/v1/sessions", entrance[:len(entrance)-1]+`, "cookie": true}`, "")
	require.Len(t, in.Result().Cookies(), 1)
	jar := sessions.SessionCookie + "=" + in.Result().Cookies()[0].Value
	w.fails(403, "mfa_required", "GET", "/v1/users/me/mfa", "", "", "Cookie", jar)
	verified := w.do("POST", "/v1/sessions/current/mfa", `{"code": "`+w.code(secret)+`"}`, "", "Cookie", jar)
	require.Equal(t, 200, verified.Code, verified.Body)
	require.NotContains(t, verified.Body.String(), "ok_dev")
	device := verified.Result().Cookies()[0]
	require.Equal(t, sessions.DeviceCookie, device.Name)
	w.see("", "Cookie", jar)
	for range 7 { // from the same address, without the device
		w.do("POST", "/v1/sessions", `{"email": "`+email+`", "password": "wrong"}`, "")
	}
	w.fails(429, "rate_limit_exceeded", "POST", "/v1/sessions", entrance, "")
	w.call(201, "POST", "/v1/sessions", entrance, "", "Cookie", sessions.DeviceCookie+"="+device.Value)
}

// TestAHostWithItsOwnSignInNeedsOneFunction (the seam; the floor plan shows that it links nothing of this).
func TestAHostWithItsOwnSignInNeedsOneFunction(t *testing.T) {
	w := onMemory(t)
	var own httpapi.Authenticate = func(r *http.Request) (audit.Actor, error) {
		if r.Header.Get("X-Of-The-Host") != "ann" {
			return audit.Actor{}, &orgs.AuthError{Code: "invalid_api_key"}
		}
		return audit.Actor{Type: audit.User, ID: w.user.ID, Label: email, Session: true}, nil
	}
	var err error
	w.handler, err = rest.New(w.Manager, &rest.Options{Authenticate: own})
	require.NoError(t, err)
	require.Equal(t, email, w.see("", "X-Of-The-Host", "ann")["email"])
	w.fails(401, "invalid_api_key", "GET", "/v1/users/me", "", w.signedIn(t), "X-Of-The-Host", "bob")
	settings := orgs.OrgSettings{Security: &orgs.SecuritySettings{Require2FA: true}}
	_, err = w.UpdateOrganization(w.Platform(), w.org.ID, orgs.OrganizationUpdate{Settings: &settings})
	require.NoError(t, err)
	w.fails(403, "mfa_required", "GET", "/v1/organizations/acme", "", "", "X-Of-The-Host", "ann")
}

// signedIn is a token that the host knows nothing of.
func (w *world) signedIn(t *testing.T) (token string) {
	t.Helper()
	require.NoError(t, w.Store().Update(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
		_, token, err = orgs.StartSession(ctx, tx, orgs.NewSession{UserID: w.user.ID, Lifetime: time.Hour})
		return err
	}))
	return token
}

func TestBadRequests(t *testing.T) {
	w := onMemory(t)
	token := w.signIn()
	for body, location := range map[string]string{`{`: "body", `[]`: "body", `null`: "body", `{"email": 1}`: "body.email", `{"email": ""}`: "body.email", `{"email": "a@b.example"}`: "body.password",
		`{"email": "a", "password": "b", "cookie": "yes"}`: "body.cookie", `{"email": "a", "password": "b", "remember": true}`: "body.remember",
		`{"email": "a", "password": "b\u0000"}`: "body.password", `{"my secret is hunter2": 1}`: "body"} {
		problem := w.fails(400, "invalid_request", "POST", "/v1/sessions", body, "")
		require.Equal(t, location, problem["errors"].([]any)[0].(object)["location"], body)
		require.NotContains(t, fmt.Sprint(problem), "hunter2")
	}
	w.fails(413, "payload_too_large", "POST", "/v1/sessions", `{"email": "`+strings.Repeat("x", sessions.MaxBody)+`"}`, "")
	w.fails(415, "unsupported_media_type", "POST", "/v1/sessions", entrance, "", "Content-Type", "text/plain")
	for _, path := range []string{"/v1/sessions?limit=0", "/v1/sessions?limit=x", "/v1/sessions?limit=201", "/v1/sessions?after=x", "/v1/sessions?user=x", "/v1/sessions?limit=1&limit=2", "/v1/sessions?a=%00", "/v1/sessions/current?x=1"} {
		w.fails(400, "invalid_request", "GET", path, "", token)
	}
	w.fails(400, "invalid_request", "DELETE", "/v1/sessions?keep_current=maybe", "", token)
	w.fails(400, "invalid_request", "POST", "/v1/sessions/current/mfa", `{"code": "1", "x": 1}`, token)
	w.fails(409, "conflict", "POST", "/v1/sessions/current/mfa", `{"code": "123456"}`, token)
	w.fails(400, "invalid_request", "PUT", "/v1/users/me/password", `{"hash": "x"}`, token)
	w.fails(400, "invalid_request", "PUT", "/v1/users/"+w.user.ID+"/password", `{"hash": "x", "password": "y"}`, adminKey)
	w.fails(400, "invalid_request", "PUT", "/v1/users/"+w.user.ID+"/password", `{"hash": "x"}`, adminKey)
	w.fails(400, "invalid_request", "PUT", "/v1/users/"+w.user.ID+"/password", `{"current_password": "x", "password": "y"}`, adminKey)
	w.fails(400, "invalid_request", "POST", "/v1/password-resets/confirm", `{"password": "y"}`, "")
	w.fails(400, "invalid_request", "POST", "/v1/password-resets", `{}`, "")
	w.fails(404, "not_found", "GET", "/v1/sessions/"+url.PathEscape("a\x00b"), "", token)
	w.fails(404, "not_found", "GET", "/v1/nothing", "", token)
	w.fails(404, "not_found", "POST", "/v1/users/me/mfa", "", adminKey)
}

func FuzzBody(f *testing.F) {
	f.Add("POST", "/v1/sessions", entrance)
	f.Add("POST", "/v1/sessions", `{"email": "\ud800", "password": "x", "device": "ok_dev_x", "organization": "acme", "cookie": true}`)
	f.Add("POST", "/v1/sessions/current/mfa", `{"code": "123 456"}`)
	f.Add("POST", "/v1/sessions/current/mfa", `{"recovery_code": "aaaa-bbbb", "device": null}`)
	f.Add("PUT", "/v1/users/me/password", `{"current_password": "x", "password": "yyyyyyyyyyyyyyyyyyyyyyyyyy"}`)
	f.Add("POST", "/v1/password-resets/confirm", `{"token": "ok_rst_x", "password": "é"}`)
	f.Add("GET", "/v1/sessions/%FF?limit=3", "")
	f.Add("DELETE", "/v1/users/%2e%2e/sessions?keep_current=1", "{}")
	f.Fuzz(func(t *testing.T, method, path, body string) {
		r, err := http.NewRequest(method, "http://x"+path, strings.NewReader(body))
		if err != nil || r.URL.Path == "" || method == "CONNECT" {
			return // that is no request, which net/http refuses before anything of this is asked
		}
		w := onMemory(t)
		r.RemoteAddr = "192.0.2.1:1"
		r.Header.Set("Authorization", "Bearer "+w.signIn())
		answer := httptest.NewRecorder()
		w.handler.ServeHTTP(answer, r)
		require.Less(t, answer.Code, 500, answer.Body)
		if answer.Code >= 400 && len(body) > 60 {
			require.NotContains(t, answer.Body.String(), body)
		}
	})
}
