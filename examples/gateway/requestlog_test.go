package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRequestsAreLoggedByTheirIDs(t *testing.T) {
	var out bytes.Buffer
	h := logRequests(slog.New(slog.NewTextHandler(&out, nil)), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "req_1")
		switch r.URL.Path {
		case "/stream":
			io.WriteString(w, "data: 1\n\n")
			require.NoError(t, http.NewResponseController(w).Flush())
		case "/broken":
			w.WriteHeader(http.StatusBadGateway)
			panic(http.ErrAbortHandler)
		default:
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	for path, want := range map[string][]string{
		"/stream?key=sk-secret":   {"path=/stream", "status=200", "bytes=9", "request_id=req_1"},
		"/broken":                 {"path=/broken", "status=502", "bytes=0"},
		"/invite/inv-secret/x":    {"path=/invite/…", "status=404"},
		"/v1/anything?q=a-secret": {"path=/v1/anything", "status=404", "method=POST"},
	} {
		out.Reset()
		func() {
			defer func() { _ = recover() }()
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, strings.NewReader("a-secret")))
		}()
		for _, part := range want {
			require.Contains(t, out.String(), part)
		}
		require.NotContains(t, out.String(), "secret")
		require.Equal(t, 1, strings.Count(out.String(), "\n"))
	}
}
