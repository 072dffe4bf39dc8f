package proxy_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/gate/proxy"
)

// BenchmarkServe is a request whose next handler answers at once.
func BenchmarkServe(b *testing.B) {
	m, secret := lab()
	answer := []byte(`{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"This is what a model would say, if there were one behind this gateway."},"finish_reason":"stop"}],"usage":{"prompt_tokens":60,"completion_tokens":14,"total_tokens":74}}`)
	h, err := proxy.New(gate.New(m), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	}), nil)
	require.NoError(b, err)
	const body = `{"model": "gpt-4o", "max_tokens": 200, "messages": [{"role": "system", "content": "You are helpful, and brief."}, {"role": "user", "content": "What does it take to have a budget in decimals that many processes spend from?"}]}`
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+secret)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}
