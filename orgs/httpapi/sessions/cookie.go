package sessions

import (
	"net/http"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
)

// The cookies. Their prefix makes browsers take them over TLS alone, for the whole host and none of its subdomains (RFC
// 6265bis §4.1.3.2).
const (
	SessionCookie = httpapi.SessionCookie
	DeviceCookie  = "__Host-orgkit_device"
)

// deviceFor is how long a browser keeps the secret of its device: as long as browsers keep anything.
const deviceFor = 400 * 24 * time.Hour

// Cookie authenticates by the cookie of a session, where a request has it and no Authorization header; all others next
// does. A request with the cookie that may change something is refused unless it comes from a page of the same origin or of
// one of these. An origin that is none is an error.
func Cookie(svc orgs.Credentials, next httpapi.Authenticate, origins ...string) (httpapi.Authenticate, error) {
	same, err := protection(origins)
	if err != nil {
		return nil, err
	}
	return func(r *http.Request) (audit.Actor, error) {
		token, ok := cookie(r)
		if !ok {
			return next(r)
		}
		if err := sameOrigin(same, r); err != nil {
			return audit.Actor{}, err
		}
		return svc.Authenticate(r.Context(), token)
	}, nil
}

func protection(origins []string) (*http.CrossOriginProtection, error) {
	p := http.NewCrossOriginProtection()
	for _, o := range origins {
		if err := p.AddTrustedOrigin(o); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func sameOrigin(p *http.CrossOriginProtection, r *http.Request) error {
	if p.Check(r) == nil {
		return nil
	}
	return &rbac.Denied{Code: "permission_denied", Action: "sessions.use",
		Decision: rbac.Decision{Remedy: []string{"call from a page of this origin, or without cookies"}}}
}

// cookie is the token in the cookie, for a request that brings no other credential.
func cookie(r *http.Request) (token string, ok bool) {
	c, err := r.Cookie(SessionCookie)
	return valueOf(c), err == nil && r.Header.Get("Authorization") == ""
}

func valueOf(c *http.Cookie) string {
	if c == nil {
		return ""
	}
	return c.Value
}

// bySession authenticates by a session, also a pending one, in the header or the cookie.
func (a *api) bySession(r *http.Request) (audit.Actor, error) {
	token, ok := cookie(r)
	if ok {
		if err := sameOrigin(a.origins, r); err != nil {
			return audit.Actor{}, err
		}
	} else {
		scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if token = strings.TrimSpace(secret); !strings.EqualFold(scheme, "Bearer") || token == "" {
			return audit.Actor{}, &orgs.AuthError{Code: "missing_api_key"}
		}
	}
	return a.m.AuthenticatePending(r.Context(), token)
}

// keep gives a browser a cookie, or takes it away where there is no value.
func keep(w http.ResponseWriter, name, value string, d time.Duration) {
	httpapi.KeepCookie(w, name, value, d, http.SameSiteLaxMode)
}

// device is the secret of the device: of the body, else of the cookie.
func device(r *http.Request, given string) string {
	if given != "" {
		return given
	}
	c, _ := r.Cookie(DeviceCookie)
	return valueOf(c)
}
