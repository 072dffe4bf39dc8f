package httpapi_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
)

func TestBodiesAreObjects(t *testing.T) {
	for _, c := range []struct{ media, body, code, field string }{
		{"", `{"a": 1}`, "", ""},
		{"application/json; charset=utf-8", `{"a": 1}`, "", ""},
		{"application/merge-patch+json", `{"a": 1}`, "", ""},
		{"", " ", "", ""},
		{"text/plain", `{"a": 1}`, "unsupported_media_type", ""},
		{"", `{"a": "secret`, "json", ""},
		{"", `["secret"]`, "type", ""},
		{"", `null`, "type", ""},
		{"", `{"a": [{"b": "sec\u0000ret"}]}`, "pattern", ".a"},
		{"", `{"sec\u0000ret": 1}`, "pattern", ""},
		{"", `{"a": "` + strings.Repeat("x", 50) + `"}`, "payload_too_large", ""},
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.media)
		fields, err := httpapi.ReadObject(nil, r, 40)
		if c.code == "" {
			require.NoError(t, err, c.body)
			require.Equal(t, strings.Contains(c.body, "a"), string(fields["a"]) == "1", c.body)
			continue
		}
		p := httpapi.Classify(err)
		require.Equal(t, len(p.Errors) > 0, errors.Is(err, httpapi.ErrJSON))
		if len(p.Errors) > 0 {
			require.Equal(t, "body"+c.field, p.Errors[0].Location)
			require.NotContains(t, err.Error(), "sec")
			p.Code = p.Errors[0].Code
		}
		require.Equal(t, c.code, p.Code, c.body)
	}
}

func TestDialectsRenderWhatTheEdgeRefuses(t *testing.T) {
	o := &httpapi.Options{Render: func(w http.ResponseWriter, _ *http.Request, p httpapi.Problem) {
		http.Error(w, p.Code, http.StatusTeapot)
	}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /known", func(http.ResponseWriter, *http.Request) {})
	h := httpapi.Actor(func(r *http.Request) (audit.Actor, error) {
		if r.Header.Get("Authorization") == "" {
			return audit.Actor{}, &orgs.AuthError{Code: "missing_api_key"}
		}
		return audit.PlatformAdmin(), nil
	}, o, httpapi.Fallback(mux, o))
	for path, want := range map[string]string{"GET /known": "missing_api_key", "POST /known": "method_not_allowed", "GET /unknown": "not_found"} {
		method, path, _ := strings.Cut(path, " ")
		r := httptest.NewRequest(method, path, nil)
		if want != "missing_api_key" {
			r.Header.Set("Authorization", "x")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusTeapot, w.Code, path)
		require.Equal(t, want, strings.TrimSpace(w.Body.String()), path)
		if want == "method_not_allowed" {
			require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
		}
	}
	w := httptest.NewRecorder()
	httpapi.WriteError(w, httptest.NewRequest("GET", "/", nil), errors.New("the disk is full"), o)
	require.Equal(t, "internal_server_error", strings.TrimSpace(w.Body.String()))
}
