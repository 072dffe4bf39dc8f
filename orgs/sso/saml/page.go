package saml

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"

	"github.com/orgkit/orgkit/orgs/httpapi"
)

// sessionCookie is the cookie that package sessions authenticates by.
const sessionCookie = "__Host-orgkit_session"

// submit is the one script of this package.
const submit = "document.forms[0].submit()"

// formPolicy lets the page run that script and nothing else. It does not say where forms may go: browsers hold that
// against the redirects of identity providers too.
var formPolicy = func() string {
	sum := sha256.Sum256([]byte(submit))
	return "default-src 'none'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; frame-ancestors 'none'"
}()

var (
	formPage = template.Must(template.New("form").Parse(`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sign in</title></head><body>
<form method="post" action="{{.URL}}"><input type="hidden" name="SAMLRequest" value="{{.Request}}"><input type="hidden" name="RelayState" value="{{.RelayState}}">
<noscript><button>Continue</button></noscript></form><script>` + submit + `</script></body></html>
`))
	errorPage = template.Must(template.New("error").Parse(`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sign in</title></head><body>
<h1>You could not be signed in.</h1><p>Start again, or tell your administrator this request: {{.}}</p></body></html>
`))
)

// closed keeps an answer out of caches, frames and referrers.
func closed(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}

// page is all that who is not signed in sees, whatever the reason. Nothing that came in is in it.
func (h *Handler) page(w http.ResponseWriter, r *http.Request, status int) {
	closed(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_ = errorPage.Execute(w, httpapi.RequestID(r.Context())) // a client that is gone hears nothing
}
