// Package pages is where mailed links lead people who have a browser: to an invitation, to a request for an approval, and to
// a new password. They sign in there, also with their second factor.
//
//	handler, err := pages.New(api, nil) // api: sessions.New before rest.New
//
// The pages are a client of the native dialect: each asks the handler behind it, as its visitor, by the cookie of their
// session, and shows what it answers. So nothing can be done here that cannot be done there, and no link does anything by
// itself: who only has the link of an approval sees a form to sign in by.
//
// # Paths
//
//	/approvals/{approval}
//	/invite/{token}
//	/invitations/accept   with #token=, which browsers send to nobody: a line of script, or the person, puts it into a form
//	/password             likewise
//
// They are those of package orgs/notify. All others are handed on.
//
// # Safety
//
// Pages load nothing, cannot be framed, and are not kept by caches. A form that was not sent from a page of this origin is
// refused by the dialect, which sees the headers of the browser.
package pages

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
)

// Options of the handler; nil works.
type Options struct {
	// Prefix is the path under which the host mounts the handler without stripping it, such as "/ai". That of the handler
	// behind it.
	Prefix string
	// Name is that of the platform, in titles; "" is "AI gateway".
	Name string
}

const maxForm = 16 << 10

//go:embed pages.html
var source string

// script puts the token behind the # into the form, and takes it out of the address.
const script = `const t=new URLSearchParams(location.hash.slice(1)).get("token"),i=document.querySelector("input[name=token]");` +
	`if(t&&i){i.value=t;history.replaceState(null,"",location.pathname);if(i.form.dataset.go)i.form.submit()}`

type site struct {
	api    http.Handler
	opt    Options
	page   *template.Template
	policy string
}

// New returns the handler in front of that of the native dialect.
func New(api http.Handler, o *Options) (http.Handler, error) {
	if api == nil {
		return nil, errors.New("pages: a handler of the native dialect is required")
	}
	s := &site{api: api}
	if o != nil {
		s.opt = *o
	}
	if p := s.opt.Prefix; p != "" && (!strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/")) {
		return nil, fmt.Errorf("pages: the prefix %q must begin with / and not end with it", p)
	}
	if s.opt.Name == "" {
		s.opt.Name = "AI gateway"
	}
	sum := sha256.Sum256([]byte(script))
	s.policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	var err error
	if s.page, err = template.New("page").Parse(source); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for path, serve := range map[string]func(v *visit){
		"/approvals/{approval}": (*visit).approval, "/invite/{token}": (*visit).invitation, "/invitations/accept": (*visit).invitation, "/password": (*visit).password,
	} {
		for _, method := range []string{"GET ", "POST "} {
			mux.HandleFunc(method+s.opt.Prefix+path, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, serve) })
		}
	}
	mux.Handle("/", api)
	return mux, nil
}

func (s *site) serve(w http.ResponseWriter, r *http.Request, fn func(v *visit)) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", s.policy)
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	v := &visit{site: s, r: r, header: h, status: http.StatusOK, view: view{Site: s.opt.Name, Script: template.JS(script), Step: stepNothing}}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if r.Method == http.MethodPost && r.ParseForm() != nil {
		v.status, v.Fault = http.StatusBadRequest, "The form cannot be read."
	} else {
		fn(v)
	}
	w.WriteHeader(v.status)
	_ = s.page.Execute(w, v.view) // a browser that is gone sees nothing
}
