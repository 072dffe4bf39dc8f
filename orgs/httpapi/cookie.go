package httpapi

import (
	"net/http"
	"time"
)

// SessionCookie carries the token of a session. Its prefix makes browsers take it over TLS alone, for the whole host and none
// of its subdomains (RFC 6265bis §4.1.3.2).
const SessionCookie = "__Host-orgkit_session"

// KeepCookie gives a browser a cookie that no script sees, until it is closed where d is 0, or takes it away where there is
// no value.
func KeepCookie(w http.ResponseWriter, name, value string, d time.Duration, site http.SameSite) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: site, MaxAge: int(d / time.Second)}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
