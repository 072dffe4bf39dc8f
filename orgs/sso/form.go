package sso

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"

	"github.com/orgkit/orgkit/orgs"
)

// submit is the one script that browsers run.
const submit = "document.forms[0].submit()"

// formPolicy lets the page run it, and nothing else. It does not say where forms may go: browsers hold that against the
// redirects of the provider too.
var formPolicy = func() string {
	sum := sha256.Sum256([]byte(submit))
	return "default-src 'none'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; frame-ancestors 'none'"
}()

var formTemplate = template.Must(template.New("form").Parse(`<!doctype html>
<meta charset="utf-8"><meta name="robots" content="noindex"><title>Sign in</title>
<form method="post" action="{{.Action}}">{{range $name, $values := .Fields}}{{range $values}}
<input type="hidden" name="{{$name}}" value="{{.}}">{{end}}{{end}}
<noscript><button>Continue</button></noscript></form><script>` + submit + `</script>
`))

// posted has the browser post a form to the provider.
func posted(w http.ResponseWriter, r *http.Request, p Poster, c orgs.SSOConnection, f orgs.SSOFlow) error {
	action, fields, err := p.Form(r.Context(), c, f)
	if err != nil {
		return err
	}
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Security-Policy", formPolicy)
	head.Set("X-Content-Type-Options", "nosniff")
	return formTemplate.Execute(w, struct {
		Action string
		Fields url.Values
	}{action, fields})
}
