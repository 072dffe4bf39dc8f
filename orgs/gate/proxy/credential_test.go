package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestKeysStandInManyHeaders sends the key as clients of vendors and of other gateways do (F452). None of it goes on.
func TestKeysStandInManyHeaders(t *testing.T) {
	f := newFront(t, everything, nil)
	names := []string{"Authorization", "X-Api-Key", "X-Litellm-Api-Key", "Api-Key", "X-Goog-Api-Key", "Ocp-Apim-Subscription-Key"}
	f.upstream = func(w http.ResponseWriter, r *http.Request, body map[string]any) {
		for _, name := range names {
			require.Empty(t, r.Header.Get(name), name)
		}
		answer(`{"usage": {"prompt_tokens": 1, "completion_tokens": 1}}`)(w, r, body)
	}
	ask := func(headers map[string]string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+"/v1/chat/completions", strings.NewReader(chat))
		require.NoError(t, err)
		for name, value := range headers {
			r.Header.Set(name, value)
		}
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	for _, name := range names {
		require.Equal(t, 200, ask(map[string]string{name: "Bearer " + f.secret}), name)
		if name != "Authorization" {
			require.Equal(t, 200, ask(map[string]string{name: f.secret}), name)
			require.Equal(t, 200, ask(map[string]string{name: f.secret, "Authorization": "Bearer eyJ.of.another.system"}), "%s is not hidden", name)
			require.Equal(t, 200, ask(map[string]string{name: "something else", "Authorization": "Bearer " + f.secret}), name)
		}
	}
	require.Equal(t, 401, ask(map[string]string{"Authorization": f.secret}), "without its word it is another scheme")
	require.Equal(t, 401, ask(map[string]string{"X-Api-Key": "a", "Api-Key": "b"}))
	require.Equal(t, 401, ask(nil))
}
