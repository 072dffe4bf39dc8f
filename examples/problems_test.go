package examples_test

import (
	"context"
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
	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/orgs/httpapi/locktera"
	"github.com/orgkit/orgkit/orgs/httpapi/opengatellm"
	"github.com/orgkit/orgkit/orgs/httpapi/rest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
)

// failing are services that answer a list of organizations with an error.
type failing struct {
	*orgs.Manager
	with *error
}

func (f failing) Organizations(context.Context, orgs.OrganizationFilter) (store.Page[orgs.Organization], error) {
	return store.Page[orgs.Organization]{}, *f.with
}

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
	// LiteLLM's authentication has no errors but those of credentials: others come of the services here.
	compatible, err := litellm.New(failing{m, &failure}, &litellm.Options{Authenticate: func(*http.Request) (audit.Actor, error) {
		var auth *orgs.AuthError
		if errors.As(failure, &auth) {
			return audit.Actor{}, failure
		}
		return audit.PlatformAdmin(), nil
	}})
	require.NoError(t, err)

	denied := func(code string) error { return &rbac.Denied{Code: code} }
	conflict := func(code string) error { return &store.ConflictError{Code: code, Message: "it is in the way"} }
	const rights, inWay = "Insufficient rights.", "it is in the way"
	for _, row := range []struct {
		code                  string
		err                   error
		native, tree, flat, c int
		lite                  int
		shape                 string // of LiteLLM: a rule, faults, a crash, or the type of an error
		detail                string // of OpenGateLLM's generation A; "" is a list of faults
	}{
		{"invalid_request", store.Invalid("name", "range", "is too long"), 400, 400, 422, 422, 400, "rule", ""},
		{"missing_api_key", &orgs.AuthError{Code: "missing_api_key"}, 401, 401, 401, 401, 401, "token_not_found_in_db", "Not authenticated"},
		{"invalid_api_key", &orgs.AuthError{Code: "invalid_api_key"}, 401, 401, 403, 401, 401, "token_not_found_in_db", "Invalid API key."},
		{"expired_api_key", &orgs.AuthError{Code: "expired_api_key"}, 401, 401, 403, 401, 401, "expired_key", "Invalid API key."},
		{"session_expired", &orgs.AuthError{Code: "session_expired"}, 401, 401, 403, 403, 401, "token_not_found_in_db", rights},
		{"mfa_required", denied("mfa_required"), 403, 401, 403, 403, 401, "auth_error", rights},
		{"sso_required", denied("sso_required"), 403, 401, 403, 403, 401, "auth_error", rights},
		{"ip_denied", denied("ip_denied"), 403, 401, 403, 403, 401, "auth_error", rights},
		{"permission_denied", denied("permission_denied"), 403, 401, 403, 403, 401, "auth_error", rights},
		{"grant_ceiling", denied("grant_ceiling"), 403, 401, 403, 403, 401, "auth_error", rights},
		{"policy_denied", denied("policy_denied"), 403, 401, 403, 403, 401, "auth_error", rights},
		{"user_suspended", denied("user_suspended"), 403, 401, 403, 403, 401, "auth_error", "Invalid API key."},
		{"org_suspended", denied("org_suspended"), 403, 404, 403, 403, 401, "auth_error", rights},
		{"not_found", store.ErrNotFound, 404, 404, 404, 404, 404, "rule", "Not Found"},
		{"slug_taken", conflict("slug_taken"), 409, 400, 409, 409, 409, "rule", inWay},
		{"already_member", conflict("already_member"), 409, 400, 409, 409, 409, "rule", inWay},
		{"not_empty", conflict("not_empty"), 409, 400, 409, 409, 409, "rule", inWay},
		{"last_owner", conflict("last_owner"), 409, 400, 409, 409, 409, "rule", inWay},
		{"invitation_expired", conflict("invitation_expired"), 410, 400, 409, 409, 409, "rule", inWay},
		{"version_mismatch", conflict("version_mismatch"), 412, 400, 409, 409, 409, "rule", inWay},
		{"conflict", store.ErrConflict, 409, 400, 409, 409, 409, "rule", "it was changed at the same time; read it again"},
		{"payload_too_large", &http.MaxBytesError{Limit: 5}, 413, 400, 413, 413, 413, "rule", "the body must not be larger than 5 bytes"},
		{"unsupported_media_type", httpapi.ErrMediaType, 415, 400, 422, 422, 422, "faults", ""},
		{"budget_exceeded", &billing.Exceeded{Scope: billing.ScopeOrg}, 402, 400, 400, 400, 400, "budget_exceeded", "Insufficient budget."},
		{"budget_suspended", &billing.Exceeded{Scope: billing.ScopeOrg, Suspended: true}, 402, 400, 400, 400, 400, "budget_exceeded", "Insufficient budget."},
		{"rate_limit_exceeded", &billing.Limited{RetryAfter: time.Second}, 429, 429, 429, 429, 429, "throttling_error", (&billing.Limited{RetryAfter: time.Second}).Error()},
		{"internal_server_error", errors.New("the disk is full"), 500, 500, 500, 500, 500, "crash", "An unexpected error occurred"},
		{"service_unavailable", store.ErrTransient, 503, 503, 503, 503, 500, "rule", "try again later"},
		{"service_unavailable", store.ErrUnreachable, 503, 503, 503, 503, 500, "rule", "try again later"},
	} {
		failure = row.err
		require.Equal(t, row.code, httpapi.Classify(row.err).Code)
		answer := func(h http.Handler, path string) (o map[string]any, status int, header http.Header) {
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", path, nil)
			r.Header.Set("Authorization", "Bearer sk-of-the-caller")
			h.ServeHTTP(w, r)
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
		o, status, _ = answer(compatible, "/organization/list")
		require.Equal(t, []any{row.lite, row.shape}, []any{status, shapeOf(o)}, row.code)
	}
}

// shapeOf is which of LiteLLM's errors a body is.
func shapeOf(o map[string]any) string {
	switch o["detail"].(type) {
	case []any:
		return "faults"
	case map[string]any:
		return "rule"
	case string:
		return "text"
	}
	of, _ := o["error"].(map[string]any)
	if typ, _ := of["type"].(string); of["code"] != nil {
		return typ
	}
	return "crash"
}
