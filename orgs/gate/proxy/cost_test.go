package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate/proxy"
)

// priced is a gateway that tells keys of one dialect what their calls cost, and a key of it.
func priced(t *testing.T) *front {
	f := newFront(t, everything, &proxy.Options{Costs: []string{"told"}})
	u := f.User("costs@acme.com")
	f.Add(orgs.Place{OrgID: f.org.ID}, u, "developer")
	_, secret, err := f.CreateAPIKey(f.Platform(), orgs.NewAPIKey{Name: "k", Organization: f.org.ID, User: &u.ID, Permissions: []string{"*"}, Dialect: "told"})
	require.NoError(t, err)
	f.secret = secret
	return f
}

func TestAnAnswerSaysWhatItCost(t *testing.T) { // F415
	f := priced(t)
	for sent, want := range map[string]string{
		`{"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 20}}, "id": "x"}`: `{"choices": [], "usage": {"prompt_tokens":100,"completion_tokens":50,"prompt_tokens_details":{"cached_tokens": 20},"cost":0.006}, "id": "x"}`,
		`{"usage": {"prompt_tokens": 0}}`:                       `{"usage": {"prompt_tokens":0,"cost":0}}`,
		`{"usage": {"prompt_tokens": 1, "cost": 99}, "a": "é"}`: `{"usage": {"prompt_tokens":1,"cost":0.00001}, "a": "é"}`,
		"\n {\"usage\": {\"prompt_tokens\": 0}}\n":              "\n {\"usage\": {\"prompt_tokens\":0,\"cost\":0}}\n",
		`{"choices": []}`:                  `{"choices": []}`,
		`{"usage": {"prompt_tokens": -1}}`: `{"usage": {"prompt_tokens": -1}}`,
	} {
		f.upstream = func(w http.ResponseWriter, r *http.Request, body map[string]any) {
			w.Header().Set("Content-Length", fmt.Sprint(len(sent)))
			answer(sent)(w, r, body)
		}
		status, text := f.ask("/v1/chat/completions", chat)
		require.Equal(t, []any{200, want}, []any{status, text})
	}
	require.Equal(t, "0.006", f.eventCosting("0.006"), "which is what was charged")

	f.upstream = answer(`{"data": [], "usage": {"prompt_tokens": 30, "total_tokens": 30}}`)
	_, text := f.ask("/v1/embeddings", `{"model": "embed", "input": ["a", "b"]}`)
	require.Equal(t, `{"data": [], "usage": {"prompt_tokens":30,"total_tokens":30,"cost":0.0003}}`, text)
	f.upstream = answer(`{"usage": {"input_tokens": 10, "output_tokens": 3}}`)
	_, text = f.ask("/v1/messages", `{"model": "claude", "max_tokens": 9, "messages": []}`)
	require.NotContains(t, text, "cost", "another vendor's shape stays as it is")
}

// eventCosting is the cost of one of the calls that cost so much.
func (f *front) eventCosting(cost string) string {
	f.t.Helper()
	for _, e := range f.events(6) {
		if e.Cost.String() == cost {
			return cost
		}
	}
	return ""
}

func TestAStreamSaysWhatItCost(t *testing.T) { // F415
	told := strings.Replace(usage, "}", `,"cost":0.006}`, 1)
	asks := strings.Replace(streamedChat, `"stream"`, `"stream_options": {"include_usage": true}, "stream"`, 1)
	for _, body := range []string{streamedChat, asks} {
		for _, size := range []int{1, 7, 100_000} {
			f := priced(t)
			f.upstream = streams(chunks(usage, "I am ", "fine"), size)
			res := f.post(t.Context(), "/v1/chat/completions", body)
			text, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.Equal(t, chunks(told, "I am ", "fine"), string(text), "also to who has not asked")
			require.Equal(t, "0.006", f.events(1)[0].Cost.String())
		}
	}
}
