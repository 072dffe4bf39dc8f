package sso

import (
	"errors"
	"html/template"
	"net/http"
	"strconv"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
)

// ticket lets a browser try a configuration.
type ticket struct {
	By   audit.Actor `json:"by"`
	Ends time.Time   `json:"ends"`
}

const ticketField = "sso.test"

// test answers the URL of a dry run.
func (h *handler) test(w http.ResponseWriter, r *http.Request) {
	by, _ := audit.ActorFrom(r.Context())
	err := func() error {
		if _, err := h.mayUpdate(r); err != nil {
			return err
		}
		c, _, base, err := h.connection(r, "")
		if err != nil {
			return err
		}
		ends := h.m.Store().Now().Add(orgs.SSOFlowFor)
		text, err := h.seal(c.ID, ticketField, ticket{by, ends})
		if err != nil {
			return err
		}
		w.Header().Set("Cache-Control", "no-store")
		httpapi.WriteJSON(w, http.StatusCreated, map[string]string{"url": base + "/login?test=" + text, "expires_at": httpapi.Stamp(ends)})
		return nil
	}()
	if err != nil {
		httpapi.WriteError(w, r, err, h.edge)
	}
}

func (h *handler) openTicket(orgID, text string) (t ticket, err error) {
	if !h.open(orgID, ticketField, text, &t) || !h.m.Store().Now().Before(t.Ends) {
		return t, refused("bad_test")
	}
	return t, nil
}

// tried shows what came of a dry run to who began it. It hands on the error of everybody else.
func (h *handler) tried(w http.ResponseWriter, r *http.Request, f orgs.SSOFlow, out orgs.AssertedSignIn, err error) error {
	if f.Tester == nil {
		return err
	}
	var no *orgs.SSORefused
	if err != nil && !errors.As(err, &no) {
		return err
	}
	v := page{Title: "The sign-in works", Request: httpapi.RequestID(r.Context()), Facts: map[string]any{}}
	status := http.StatusOK
	if no != nil {
		v.Title, v.Facts["reason"], status = "The sign-in is refused", no.Code, http.StatusForbidden
	} else {
		v.Facts["user"], v.Facts["account would be made"], v.Facts["membership would be made"] = out.User.Email, out.Made, out.Joined
		v.Facts["roles by groups"], v.Facts["groups unknown"] = len(out.Roles), out.GroupsUnknown
	}
	v.write(w, status)
	return nil
}

// page is all that browsers see of a sign-in.
type page struct {
	Title, Request string
	Facts          map[string]any
}

var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<meta charset="utf-8"><meta name="robots" content="noindex"><title>{{.Title}}</title>
<h1>{{.Title}}</h1>
{{range $name, $value := .Facts}}<p>{{$name}}: {{$value}}</p>
{{end}}<p>Request {{.Request}}</p>
`))

func (p page) write(w http.ResponseWriter, status int) {
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	head.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = pageTemplate.Execute(w, p) // who does not read on has gone
}

// refuse answers whoever is not signed in, without a reason.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	v := page{Title: "You could not be signed in", Request: httpapi.RequestID(r.Context())}
	var no *orgs.SSORefused
	var fast *orgs.TooManyTries
	switch {
	case errors.As(err, &fast):
		w.Header().Set("Retry-After", strconv.FormatInt(httpapi.Seconds(fast.RetryAfter), 10))
		v.write(w, http.StatusTooManyRequests)
	case errors.As(err, &no):
		v.write(w, http.StatusForbidden)
	case errors.Is(err, store.ErrNotFound):
		v.write(w, http.StatusNotFound)
	default:
		h.edge.Fail(r, err)
		v.write(w, http.StatusInternalServerError)
	}
}
