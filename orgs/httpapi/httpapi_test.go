package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

func TestClientAddressIsThatOfTheLastUntrustedHop(t *testing.T) { // S9.7
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct{ peer, forwarded, want string }{
		{"198.51.100.1:5", "203.0.113.9", "198.51.100.1"}, // an untrusted peer says nothing
		{"127.0.0.1:5", "", "127.0.0.1"},
		{"127.0.0.1:5", "203.0.113.9", "203.0.113.9"},
		{"127.0.0.1:5", "1.1.1.1, 203.0.113.9, 10.0.0.7", "203.0.113.9"}, // the client wrote 1.1.1.1 itself
		{"127.0.0.1:5", "10.0.0.6, 10.0.0.7", "10.0.0.6"},
		{"127.0.0.1:5", "203.0.113.9, nonsense", ""},
		{"127.0.0.1:5", "::ffff:203.0.113.9", "203.0.113.9"},
		{"[::1]:5", "203.0.113.9", "::1"},
		{"[fe80::1%eth0]:5", "", "fe80::1"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		got := httpapi.ClientIP(r, trusted)
		if c.want == "" {
			require.False(t, got.IsValid(), "%+v", c)
			continue
		}
		require.Equal(t, c.want, got.String(), "%+v", c)
	}
}

type credentials struct{}

func (credentials) Authenticate(_ context.Context, secret string) (audit.Actor, error) {
	if secret == "good" {
		return audit.Actor{Type: audit.User, ID: "usr_1"}, nil
	}
	return audit.Actor{}, &orgs.AuthError{Code: "invalid_api_key"}
}

func TestBearerKnowsThePlatformAndItsUsers(t *testing.T) {
	for header, want := range map[string]string{"Bearer admin": "platform", "bearer admin": "platform", "BEARER  good": "user",
		"Bearer bad": "invalid_api_key", "Basic good": "missing_api_key", "Bearer ": "missing_api_key", "": "missing_api_key"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", header)
		a, err := httpapi.Bearer(credentials{}, "admin")(r)
		var auth *orgs.AuthError
		if errors.As(err, &auth) {
			require.Equal(t, want, auth.Code, header)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want, string(a.Type), header)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer x")
	_, err := httpapi.Bearer(credentials{}, "")(r)
	require.Error(t, err, "without an admin key nobody is the platform")
}

func TestErrorsHaveOneStatus(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{store.Invalid("name", "required", "is required"), 400, "invalid_request"},
		{&orgs.AuthError{Code: "expired_api_key"}, 401, "expired_api_key"},
		{&billing.Exceeded{Scope: billing.ScopeTeam, ResetAt: time.Now()}, 402, "budget_exceeded"},
		{&billing.Limited{}, 429, "rate_limit_exceeded"},
		{&billing.Limited{Rate: billing.Rate{Measure: billing.ParallelRequests}}, 429, "concurrency_limit"},
		{&rbac.Denied{Code: "grant_ceiling"}, 403, "grant_ceiling"},
		{store.ErrNotFound, 404, "not_found"},
		{&store.ConflictError{Code: "slug_taken"}, 409, "slug_taken"},
		{&store.ConflictError{Code: "invitation_expired"}, 410, "invitation_expired"},
		{store.ErrConflict, 409, "conflict"},
		{&store.UniqueError{Kind: "teams"}, 409, "conflict"},
		{&http.MaxBytesError{Limit: 5}, 413, "payload_too_large"},
		{httpapi.ErrMediaType, 415, "unsupported_media_type"},
		{store.ErrTransient, 503, "service_unavailable"},
		{errors.New("dial tcp: password=hunter2"), 500, "internal_server_error"},
		{rbac.ErrNoActor, 500, "internal_server_error"},
	} {
		p := httpapi.Classify(fmt.Errorf("context: %w", c.err))
		require.Equal(t, c.status, p.Status, c.err)
		require.Equal(t, c.code, p.Code)
		require.Equal(t, p.Status, p.Vendor.Status)
		require.Equal(t, p.Code, p.Vendor.Code)
		require.Equal(t, c.status >= 500, p.Internal())
		require.NotContains(t, p.Detail, "hunter2")
	}
}

func TestHostHearsOfWhatTheCallerDoesNot(t *testing.T) {
	var heard error
	o := &httpapi.Options{Fail: func(_ *http.Request, err error) { heard = err }}
	boom := errors.New("the disk is full")
	h := httpapi.Actor(func(*http.Request) (audit.Actor, error) { return audit.Actor{}, boom }, o, http.NotFoundHandler())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	require.Equal(t, 500, w.Code)
	require.NotContains(t, w.Body.String(), "disk")
	require.Equal(t, boom, heard)
}

func TestRequestIDIsKeptWhenItIsSane(t *testing.T) {
	h := httpapi.Actor(func(*http.Request) (audit.Actor, error) { return audit.PlatformAdmin(), nil }, nil,
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a, ok := audit.ActorFrom(r.Context())
			require.True(t, ok)
			fmt.Fprint(w, a.RequestID)
		}))
	for sent, kept := range map[string]bool{"req_12345678": true, "short": false, "bad id with spaces": false, "<script>alert(1)</script>": false} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Request-Id", sent)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, kept, w.Body.String() == sent, sent)
		require.Equal(t, w.Body.String(), w.Header().Get("X-Request-Id"))
	}
}
