package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/gate/proxy"
)

// TestCallsAreMadeToFitWhatIsLeft has calls ask for more than their budget pays for (LC-010).
func TestCallsAreMadeToFitWhatIsLeft(t *testing.T) {
	const budget = `{"budget": {"monthly_limit": 0.01, "hard_limit": true}}`
	ask := func(f *front, more string) (int, string) {
		return f.ask("/v1/chat/completions", strings.Replace(chat, `"max_tokens": 200`, more, 1))
	}
	f := newFront(t, budget, &proxy.Options{Fit: []string{""}})
	var told []any
	f.upstream = func(w http.ResponseWriter, r *http.Request, body map[string]any) {
		told = append(told, body["max_tokens"], body["max_completion_tokens"])
		answer(`{"usage": {"prompt_tokens": 10, "completion_tokens": 20}}`)(w, r, body)
	}
	size := float64(len(strings.Replace(chat, `"max_tokens": 200`, `"max_tokens": 4000`, 1))) // tokens of 0.00001, beside those of 0.0001
	status, text := ask(f, `"max_tokens": 4000`)
	require.Equal(t, 200, status, text)
	require.Equal(t, float64(int((0.01-size*0.00001)/0.0001)), told[0])
	status, text = ask(f, `"n": 3, "max_tokens": 4000`) // of 0.0079 that are left
	require.Equal(t, 200, status, text)
	require.InDelta(t, (0.0079-(size+8)*0.00001)/0.0001/3, told[2], 1, "each of three")
	status, text = ask(f, `"a": 1`) // as long as the model can
	require.Equal(t, 200, status, text)
	require.NotNil(t, told[5])
	status, text = ask(f, `"max_tokens": 5`)
	require.Equal(t, 200, status, text)
	require.Equal(t, 5.0, told[6], "what fits is left alone")
	status, _ = ask(f, `"max_tokens": 4000, "long": "`+strings.Repeat("x", 300)+`"`)
	require.Equal(t, http.StatusPaymentRequired, status, "the input alone is too much")

	// Others are refused.
	f = newFront(t, budget, &proxy.Options{Fit: []string{"litellm"}})
	status, _ = ask(f, `"max_tokens": 4000`)
	require.Equal(t, http.StatusPaymentRequired, status)
}
