// Package sessions is the part of the native dialect by which people sign in, and out: passwords, second factors and
// sessions over HTTP, for hosts that use package orgs/signin.
//
//	auth, err := sessions.Cookie(m, httpapi.Bearer(m, key), "https://console.example.com")
//	api, err := rest.New(m, &rest.Options{Authenticate: auth, Others: sessions.Operations()})
//	handler, err := sessions.New(service, api, &sessions.Options{Authenticate: auth})
//
// [New] serves its own paths and hands all others on. A host that knows its people in another way mounts the other
// handlers with its own function from a request to an actor, and links nothing of this.
//
// # Calls
//
//	POST   /v1/sessions                            {email, password, organization, device, cookie}: 201, the session with its token
//	GET    /v1/sessions                            one's own that have not ended; limit, after
//	DELETE /v1/sessions                            ends them; keep_current=true leaves that of the call
//	GET    /v1/sessions/{id}, /v1/sessions/current
//	DELETE /v1/sessions/{id}, /v1/sessions/current
//	POST   /v1/sessions/current/mfa                {code} or {recovery_code}, {device}: the second factor
//	GET    /v1/users/me/mfa                        whether there is one
//	POST   /v1/users/me/mfa                        201, the key and its URL, once
//	POST   /v1/users/me/mfa/confirm                {code}: the recovery codes, once
//	POST   /v1/users/me/mfa/recovery-codes         201, new ones
//	DELETE /v1/users/me/mfa
//	PUT    /v1/users/me/password                   {current_password, password}
//	POST   /v1/password-resets                     {email}: mails a link, if there is somebody
//	POST   /v1/password-resets/confirm             {token, password}
//
// and for the platform, of any {user}, id or address:
//
//	PUT    /v1/users/{user}/password               {password} or {hash}
//	POST   /v1/users/{user}/password-resets        201, the token of a link
//	GET    /v1/users/{user}/mfa
//	DELETE /v1/users/{user}/mfa
//	GET    /v1/users/{user}/sessions, …/{id}
//	DELETE /v1/users/{user}/sessions, …/{id}
//
// # Credentials
//
// A session is a bearer token, ok_ses_…, for programs, or the cookie __Host-orgkit_session for browsers (who signs in with
// "cookie": true): no script sees it, and it is sent to this host alone, over TLS. With the cookie a request that changes
// something has to come from the page of the same origin, or of one that is trusted: net/http.CrossOriginProtection looks at
// Sec-Fetch-Site and Origin. A bearer token needs none of that, since no browser sends it by itself.
//
// The secret of a device, see package orgs/signin, is in the answer to a program and in a cookie of a browser.
//
// # Sent again
//
// With an Idempotency-Key what makes a secret is done once (users/{user}/mfa, mfa/recovery-codes, users/{user}/password-resets), and
// answered again with null in its place, as the native dialect does. What takes a password or a code knows no such key: a wrong one
// has to count as a guess, whatever it is sent with, and a right code works once anyway.
//
// # Errors
//
// They are those of the native dialect, as httpapi.Classify has them: 401 invalid_api_key for whatever is wrong with what
// somebody signs in with, 429 with Retry-After where they have to wait, 403 mfa_required where a second factor is missing. No
// error repeats what was sent.
package sessions

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/orgs/signin"
)

// Options of the handler; nil works.
type Options struct {
	// Prefix is the path under which the host mounts the handler without stripping it, such as "/ai".
	Prefix string
	// Authenticate returns the actor of a request; nil is [Cookie] before httpapi.Bearer without an admin key. That of the
	// handler behind this one.
	Authenticate httpapi.Authenticate
	// Origins are other origins, such as "https://console.example.com", whose pages may use the cookie.
	Origins []string
	// TrustedProxies may say in X-Forwarded-For for whom they call; none by default.
	TrustedProxies []netip.Prefix
	// Logger is told of failures that the caller is not to blame for; nil drops them.
	Logger *slog.Logger
}

// MaxBody is the most bytes of a request body.
const MaxBody = 16 << 10

type api struct {
	*signin.Service
	m       *orgs.Manager
	opt     Options
	edge    *httpapi.Options
	origins *http.CrossOriginProtection
	mux     *http.ServeMux
}

// New returns the handler. What it does not serve it hands to next; nil is nobody.
func New(s *signin.Service, next http.Handler, o *Options) (http.Handler, error) {
	if s == nil {
		return nil, errors.New("sessions: a service is required")
	}
	a := &api{Service: s, m: s.Manager(), mux: http.NewServeMux()}
	if o != nil {
		a.opt = *o
	}
	if p := a.opt.Prefix; p != "" && (!strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/")) {
		return nil, fmt.Errorf("sessions: the prefix %q must begin with / and not end with it", p)
	}
	var err error
	if a.origins, err = protection(a.opt.Origins); err != nil {
		return nil, err
	}
	if a.opt.Authenticate == nil {
		if a.opt.Authenticate, err = Cookie(a.m, httpapi.Bearer(a.m, ""), a.opt.Origins...); err != nil {
			return nil, err
		}
	}
	a.edge = &httpapi.Options{TrustedProxies: a.opt.TrustedProxies, Fail: httpapi.LogFailures(a.opt.Logger)}
	for _, op := range calls {
		serve := op.serve
		if op.Repeats {
			serve = once(op.Method+" "+op.Path, serve)
		}
		a.add(op.Method, op.Path, op.who(a), serve)
	}
	if next == nil {
		next = httpapi.Fallback(http.NewServeMux(), nil)
	}
	a.mux.Handle("/", a.others(next))
	return a.mux, nil
}

// handler answers a request with a status and an object, or an error.
type handler func(a *api, w http.ResponseWriter, r *http.Request) (int, any, error)

func (a *api) add(method, path string, auth httpapi.Authenticate, h handler) {
	a.mux.Handle(method+" "+a.opt.Prefix+path, httpapi.Actor(auth, a.edge, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		w.Header().Set("Cache-Control", "no-store")
		status, body, err := h(a, w, r)
		if err != nil {
			httpapi.WriteError(w, r, err, a.edge)
			return
		}
		if kept, again := body.(orgs.Answer); again {
			httpapi.Replay(w, kept)
			return
		}
		httpapi.WriteJSON(w, status, body)
	})))
}

// others hands on what is not served here, and answers for a path of ours that has no such method.
func (a *api) others(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range []string{"DELETE", "GET", "POST", "PUT"} {
			if _, pattern := a.mux.Handler(&http.Request{Method: method, URL: r.URL, Host: r.Host}); pattern != "/" {
				allowed = append(allowed, method)
			}
		}
		if len(allowed) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		httpapi.Write(w, r, httpapi.NewProblem(http.StatusMethodNotAllowed, "method_not_allowed", "this path has other methods"))
	})
}
