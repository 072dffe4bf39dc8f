// Package httpapi is the edge that all HTTP dialects share: who calls ([Authenticate], [Actor]), what
// an error looks like ([Classify], [Problem]), and what happens to paths that nobody serves
// ([Fallback]).
//
// A dialect parses, calls the service and renders. Permission checks, validation and audit are in
// the service, so no dialect can do what another forbids.
package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
)

// Authenticate returns the actor behind a request, or an error such as *orgs.AuthError. A host that
// knows its users in another way brings its own.
type Authenticate func(*http.Request) (audit.Actor, error)

// Bearer authenticates by the Authorization header: the platform's admin key, where there is one,
// and the personal tokens and API keys of the service.
func Bearer(svc orgs.Credentials, adminKey string) Authenticate {
	admin := sha256.Sum256([]byte(adminKey))
	return func(r *http.Request) (audit.Actor, error) {
		scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		secret = strings.TrimSpace(secret)
		if !strings.EqualFold(scheme, "Bearer") || secret == "" {
			return audit.Actor{}, &orgs.AuthError{Code: "missing_api_key"}
		}
		// Hashes have one length, so that the time tells nothing of the key.
		sent := sha256.Sum256([]byte(secret))
		if adminKey != "" && subtle.ConstantTimeCompare(sent[:], admin[:]) == 1 {
			return audit.PlatformAdmin(), nil
		}
		return svc.Authenticate(r.Context(), secret)
	}
}

// Options of the middleware; nil works.
type Options struct {
	// TrustedProxies may say in X-Forwarded-For for whom they call. None by default.
	TrustedProxies []netip.Prefix
	// Fail is told of every error that the caller is not: those of the database and of the program.
	Fail func(r *http.Request, err error)
	// Render writes a problem in the shape of a dialect; nil is [Write].
	Render func(w http.ResponseWriter, r *http.Request, p Problem)
	// NativeURL is where clients reach the native dialect, without its /v1: the links of problems begin with it. "" leaves
	// their paths.
	NativeURL string
}

func (o *Options) fail(r *http.Request, err error) {
	if o != nil && o.Fail != nil {
		o.Fail(r, err)
	}
}

// write renders a problem.
func (o *Options) write(w http.ResponseWriter, r *http.Request, p Problem) {
	if o != nil && o.Render != nil {
		o.Render(w, r, p)
		return
	}
	Write(w, r, p)
}

// Actor authenticates every request before anything is looked up, and puts the actor into its
// context, with the address of the client, its user agent and the id of the request.
func Actor(auth Authenticate, o *Options, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = Identify(w, r)
		var trusted []netip.Prefix
		if o != nil {
			trusted = o.TrustedProxies
		}
		from := audit.Source{IP: ClientIP(r, trusted), UserAgent: store.PlainText(r.UserAgent(), 300), RequestID: RequestID(r.Context())}
		r = r.WithContext(audit.WithSource(r.Context(), from))
		a, err := auth(r)
		if err != nil {
			WriteError(w, r, err, o)
			return
		}
		next.ServeHTTP(w, r.WithContext(audit.WithActor(r.Context(), a.From(r.Context()))))
	})
}

type requestKey struct{}

// Identify gives the request its id, which is that of its X-Request-Id where that can be one, and says it in the answer.
// [Actor] does so; it is for handlers that authenticate in another way.
func Identify(w http.ResponseWriter, r *http.Request) *http.Request {
	return r.WithContext(Identified(w, r))
}

// Identified is the context of the request that [Identify] returns, for who copies the request later on.
func Identified(w http.ResponseWriter, r *http.Request) context.Context {
	id := requestID(r)
	w.Header()["X-Request-Id"] = []string{id}
	return context.WithValue(r.Context(), requestKey{}, id)
}

// RequestID returns the id that [Identify], [Identified] or [Actor] gave the request.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

var requestIDForm = regexp.MustCompile(`^[A-Za-z0-9_.:-]{8,100}$`)

func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); id != "" && requestIDForm.MatchString(id) {
		return id
	}
	var b [16]byte // no secret: it has to be another one each time, and that is all
	binary.NativeEndian.PutUint64(b[:], rand.Uint64())
	binary.NativeEndian.PutUint64(b[8:], rand.Uint64())
	id := [28]byte{'r', 'e', 'q', '_'}
	lowerBase32.Encode(id[4:], b[:15])
	return string(id[:])
}

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567")

// ClientIP is the address of the client: the peer's, or, when the peer is a trusted proxy, the
// rightmost address of X-Forwarded-For that is none. What cannot be read is the zero Addr.
func ClientIP(r *http.Request, trusted []netip.Prefix) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	ip = ip.Unmap().WithZone("")
	proxy := func(a netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	if !proxy(ip) {
		return ip
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && proxy(ip); i-- {
		hop := strings.TrimSpace(hops[i])
		if hop == "" {
			continue
		}
		next, err := netip.ParseAddr(hop)
		if err != nil {
			return netip.Addr{} // a proxy that writes nonsense is no witness
		}
		ip = next.Unmap().WithZone("")
	}
	return ip
}
