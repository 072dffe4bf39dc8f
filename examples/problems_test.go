package examples_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/orgs/httpapi/locktera"
	"github.com/orgkit/orgkit/orgs/httpapi/opengatellm"
	"github.com/orgkit/orgkit/orgs/httpapi/rest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
)

// TestErrorsMeanTheSameInEveryDialect has one error come out of each dialect: its status differs, and what it means does not.
func TestErrorsMeanTheSameInEveryDialect(t *testing.T) {
	m, err := orgs.New(memory.New(nil), nil)
	require.NoError(t, err)
	t.Cleanup(func() { m.Close() })
	var failure error
	fails := func(*http.Request) (audit.Actor, error) { return audit.Actor{}, failure }
	native, err := rest.New(m, &rest.Options{Authenticate: fails})
	require.NoError(t, err)
	tree, err := locktera.New(m, &locktera.Options{Authenticate: fails})
	require.NoError(t, err)
	a, err := opengatellm.New(m, &opengatellm.Options{Authenticate: fails})
	require.NoError(t, err)
	c, err := opengatellm.New(m, &opengatellm.Options{Authenticate: fails, Generation: opengatellm.GenerationC})
	require.NoError(t, err)

	denied := func(code string) error { return &rbac.Denied{Code: code} }
	conflict := func(code string) error { return &store.ConflictError{Code: code, Message: "it is in the way"} }
	const rights, inWay = "Insufficient rights.", "it is in the way"
	for _, row := range []struct {
		code                  string
		err                   error
		native, tree, flat, c int
		detail                string // of OpenGateLLM's generation A; "" is a list of faults
	}{
		{"invalid_request", store.Invalid("name", "range", "is too long"), 400, 400, 422, 422, ""},
		{"missing_api_key", &orgs.AuthError{Code: "missing_api_key"}, 401, 401, 401, 401, "Not authenticated"},
		{"invalid_api_key", &orgs.AuthError{Code: "invalid_api_key"}, 401, 401, 403, 401, "Invalid API key."},
		{"expired_api_key", &orgs.AuthError{Code: "expired_api_key"}, 401, 401, 403, 401, "Invalid API key."},
		{"session_expired", &orgs.AuthError{Code: "session_expired"}, 401, 401, 403, 403, rights},
		{"mfa_required", denied("mfa_required"), 403, 401, 403, 403, rights},
		{"sso_required", denied("sso_required"), 403, 401, 403, 403, rights},
		{"ip_denied", denied("ip_denied"), 403, 401, 403, 403, rights},
		{"permission_denied", denied("permission_denied"), 403, 401, 403, 403, rights},
		{"grant_ceiling", denied("grant_ceiling"), 403, 401, 403, 403, rights},
		{"policy_denied", denied("policy_denied"), 403, 401, 403, 403, rights},
		{"user_suspended", denied("user_suspended"), 403, 401, 403, 403, "Invalid API key."},
		{"org_suspended", denied("org_suspended"), 403, 404, 403, 403, rights},
		{"not_found", store.ErrNotFound, 404, 404, 404, 404, "Not Found"},
		{"slug_taken", conflict("slug_taken"), 409, 400, 409, 409, inWay},
		{"already_member", conflict("already_member"), 409, 400, 409, 409, inWay},
		{"not_empty", conflict("not_empty"), 409, 400, 409, 409, inWay},
		{"last_owner", conflict("last_owner"), 409, 400, 409, 409, inWay},
		{"invitation_expired", conflict("invitation_expired"), 410, 400, 409, 409, inWay},
		{"version_mismatch", conflict("version_mismatch"), 412, 400, 409, 409, inWay},
		{"conflict", store.ErrConflict, 409, 400, 409, 409, "it was changed at the same time; read it again"},
		{"payload_too_large", &http.MaxBytesError{Limit: 5}, 413, 400, 413, 413, "the body must not be larger than 5 bytes"},
		{"unsupported_media_type", httpapi.ErrMediaType, 415, 400, 422, 422, ""},
		{"budget_exceeded", &billing.Exceeded{Scope: billing.ScopeOrg}, 402, 400, 400, 400, "Insufficient budget."},
		{"budget_suspended", &billing.Exceeded{Scope: billing.ScopeOrg, Suspended: true}, 402, 400, 400, 400, "Insufficient budget."},
		{"rate_limit_exceeded", &billing.Limited{RetryAfter: time.Second}, 429, 429, 429, 429, (&billing.Limited{RetryAfter: time.Second}).Error()},
		{"internal_server_error", errors.New("the disk is full"), 500, 500, 500, 500, "An unexpected error occurred"},
		{"service_unavailable", store.ErrTransient, 503, 503, 503, 503, "try again later"},
	} {
		failure = row.err
		require.Equal(t, row.code, httpapi.Classify(row.err).Code)
		answer := func(h http.Handler, path string) (o map[string]any, status int, header http.Header) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &o))
			require.NotContains(t, w.Body.String(), "disk")
			require.Equal(t, w.Code == 429, w.Header().Get("Retry-After") != "", row.code)
			return o, w.Code, w.Header()
		}
		o, status, _ := answer(native, "/v1/organizations")
		require.Equal(t, []any{row.native, row.code}, []any{status, o["code"]})
		o, status, header := answer(tree, "/orgs/a")
		require.Equal(t, row.tree, status, row.code)
		require.Len(t, o, 3)
		require.EqualValues(t, row.tree, o["code"])
		require.Equal(t, row.native == 401, header.Get("WWW-Authenticate") != "", "who lacks a permission is not asked who they are: %s", row.code)
		o, status, header = answer(a, "/v1/admin/organizations")
		require.Equal(t, row.flat, status, row.code)
		require.Equal(t, status == 401, header.Get("WWW-Authenticate") != "")
		if row.detail == "" {
			require.Len(t, o["detail"], 1)
		} else {
			require.Equal(t, map[string]any{"detail": row.detail}, o)
		}
		_, status, _ = answer(c, "/v1/admin/organizations")
		require.Equal(t, row.c, status, row.code)
	}
}
