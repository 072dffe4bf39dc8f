package pages

import (
	"bytes"
	"encoding/json"
	"html/template"
	"net/http"

	"github.com/orgkit/orgkit/orgs/httpapi"
)

// The steps of a visit: what its page asks for.
const (
	stepNothing  = ""
	stepSignIn   = "sign_in"
	stepProve    = "prove"
	stepToken    = "token"
	stepAnswer   = "answer"
	stepDecide   = "decide"
	stepPassword = "password"
)

// view is what a page shows.
type view struct {
	Site, Title, Step    string
	Said, Fault          string // what was done, and what went wrong
	Email                string // of who is signed in
	Token                string
	Facts                []fact
	Script               template.JS
	Scripted, CanRecover bool
}

// fact is a line about what is decided.
type fact struct{ Name, Value string }

// visit is one request of a browser.
type visit struct {
	view
	site   *site
	r      *http.Request
	header http.Header
	status int
}

// answer is what the dialect has answered.
type answer struct {
	status int
	body   map[string]any
}

func (a answer) ok() bool { return a.status < 300 }

func (a answer) text(name string) string {
	s, _ := a.body[name].(string)
	return s
}

// passed are the headers by which the dialect knows a visitor, and from what page they come.
var passed = []string{"Cookie", "User-Agent", "Origin", "Sec-Fetch-Site", "X-Forwarded-For", "X-Request-Id"}

// ask has the dialect do something as the visitor. Cookies that it gives are given to the browser, and count at once.
func (v *visit) ask(method, path string, body any) answer {
	text, err := json.Marshal(body)
	if err != nil || body == nil {
		text = nil
	}
	in, err := http.NewRequestWithContext(v.r.Context(), method, v.site.opt.Prefix+path, bytes.NewReader(text))
	if err != nil { // a path that cannot be one
		return answer{status: http.StatusNotFound}
	}
	for _, name := range passed {
		if values := v.r.Header.Values(name); len(values) > 0 {
			in.Header[name] = values
		}
	}
	in.Header.Set("Content-Type", "application/json")
	in.Host, in.RemoteAddr, in.TLS = v.r.Host, v.r.RemoteAddr, v.r.TLS
	out := &httpapi.Recorder{}
	v.site.api.ServeHTTP(out, in)
	for _, c := range (&http.Response{Header: out.Header()}).Cookies() {
		v.header.Add("Set-Cookie", c.String())
		v.take(c)
	}
	a := answer{status: out.Status}
	_ = json.Unmarshal(out.Body.Bytes(), &a.body) // what is none has no fields
	return a
}

// take has a cookie count for what is asked next.
func (v *visit) take(given *http.Cookie) {
	all := v.r.Cookies()
	v.r.Header.Del("Cookie")
	for _, c := range all {
		if c.Name != given.Name {
			v.r.AddCookie(c)
		}
	}
	if given.MaxAge >= 0 {
		v.r.AddCookie(&http.Cookie{Name: given.Name, Value: given.Value})
	}
}

// failed shows what the dialect has refused, or the step that would help.
func (v *visit) failed(a answer) {
	switch {
	case a.status == http.StatusUnauthorized:
		v.Step, v.status = stepSignIn, http.StatusUnauthorized
	case a.text("code") == "mfa_required":
		v.Step, v.status, v.CanRecover = stepProve, http.StatusForbidden, true
	case a.status == http.StatusNotFound:
		v.status, v.Fault = a.status, "There is no such thing for this account."
	default:
		v.status, v.Fault = a.status, a.text("detail")
	}
}

// entered says whether somebody has signed in, perhaps by this form; else the page asks them to.
func (v *visit) entered() bool {
	var tried answer
	switch form := v.r.PostForm; form.Get("do") {
	case "sign_in":
		tried = v.ask("POST", "/v1/sessions", map[string]any{"email": form.Get("email"), "password": form.Get("password"), "cookie": true})
	case "prove":
		proof := map[string]any{"code": form.Get("code")}
		if recovery := form.Get("recovery_code"); recovery != "" {
			proof = map[string]any{"recovery_code": recovery}
		}
		tried = v.ask("POST", "/v1/sessions/current/mfa", proof)
	case "sign_out":
		v.ask("DELETE", "/v1/sessions/current", nil)
	}
	me := v.ask("GET", "/v1/users/me", nil)
	if me.ok() {
		v.Email = me.text("email")
	} else {
		v.failed(me)
	}
	if tried.status >= 400 {
		v.Fault, v.status = tried.text("detail"), tried.status
	}
	return me.ok() && tried.status < 400
}
