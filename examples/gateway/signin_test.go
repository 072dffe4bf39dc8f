package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

// as calls with a token.
func (p *process) as(t *testing.T, token, method, path, body string) int {
	t.Helper()
	r, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode
}

// TestASessionIsKnownToEveryProcess, and ends in all of them.
func TestASessionIsKnownToEveryProcess(t *testing.T) {
	t.Setenv("ORGKIT_SEAL_KEY", seal.GenerateKey())
	for name, db := range map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + filepath.Join(t.TempDir(), "gateway.db") },
		"postgres": func() string { return storetest.Postgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			dsn := db()
			one, other := start(t, dsn), start(t, dsn)
			status, _, err := one.call("POST", "/v1/users", `{"email": "ann@acme.example"}`)
			require.NoError(t, err)
			require.Equal(t, 201, status)
			status, _, err = one.call("PUT", "/v1/users/ann@acme.example/password", `{"password": "correct horse battery staple"}`)
			require.NoError(t, err)
			require.Equal(t, 200, status)
			status, in, err := one.call("POST", "/v1/sessions", `{"email": "ann@acme.example", "password": "correct horse battery staple"}`)
			require.NoError(t, err)
			require.Equal(t, 201, status, in)
			token := in["token"].(string)
			require.Equal(t, 200, other.as(t, token, "GET", "/v1/users/me", ""))
			require.Equal(t, 200, other.as(t, token, "DELETE", "/v1/sessions/current", ""))
			require.Equal(t, 401, one.as(t, token, "GET", "/v1/users/me", ""), "on the very next request")
			for _, p := range []*process{one, other} {
				require.NoError(t, p.Process.Signal(os.Interrupt))
				require.NoError(t, p.Wait())
				require.NotContains(t, p.log.String(), token)
			}
		})
	}
}
