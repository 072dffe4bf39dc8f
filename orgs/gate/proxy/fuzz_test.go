package proxy

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs/gate"
)

// FuzzRead holds that what is read of a request is what the upstream reads of it.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{`{"model": "m", "n": 2, "max_tokens": 5}`, `{"model": "m", "stream": true, "stream_options": {"include_usage": true, "x": 1}}`,
		`{"model": "a", "model": "b", "tools": [{"type": "web_search"}], "messages": [{"content": [{"type": "image_url"}]}]}`, `{"model":"m","\u006d":[{"a":{"type":"image"}}],"":1}`} {
		f.Add(seed)
	}
	h := &handler{opt: Options{MaxBody: 1 << 20, ImageTokens: 10}}
	f.Fuzz(func(t *testing.T, body string) {
		for name, e := range endpoints {
			r := httptest.NewRequest(http.MethodPost, "/v1/"+name, strings.NewReader(body))
			q, err := h.read(httptest.NewRecorder(), r, e)
			if err != nil {
				continue
			}
			out := q.forward(r, &gate.Admission{Model: &billing.Model{ID: "resolved"}, MaxOutputTokens: 7})
			sent, err := io.ReadAll(out.Body)
			require.NoError(t, err)
			require.EqualValues(t, len(sent), out.ContentLength)
			var fields map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(sent, &fields))
			require.JSONEq(t, `"resolved"`, string(fields["model"]))
			again, err := h.read(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/v1/"+name, bytes.NewReader(sent)), e)
			require.NoError(t, err)
			require.Equal(t, q.call.Features, again.call.Features)
			require.Equal(t, []any{q.stream, q.call.Answers, q.call.Images}, []any{again.stream, again.call.Answers, again.call.Images})
			if len(e.longest) > 0 {
				require.EqualValues(t, 7, again.call.MaxOutputTokens)
			}
		}
	})
}

// FuzzStream holds that how a stream is cut into pieces makes no difference.
func FuzzStream(f *testing.F) {
	f.Add([]byte("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n"), uint8(3))
	f.Add([]byte("event: a\r\ndata: {\"type\":\"message_delta\",\ndata: \"usage\":{\"output_tokens\":2}}\r\n\r\nx"), uint8(1))
	f.Fuzz(func(t *testing.T, text []byte, size uint8) {
		for _, read := range []func(*metered, []byte) bool{chunkOpenAI, chunkAnthropic} {
			run := func(size int) (string, metered) {
				w := httptest.NewRecorder()
				s := metered{to: w, hides: true}
				s.chunk = func(data []byte) bool { return read(&s, data) }
				for rest := text; len(rest) > 0; {
					n := min(size, len(rest))
					if _, err := s.Write(rest[:n]); err != nil {
						t.Fatal(err)
					}
					rest = rest[n:]
				}
				s.end()
				return w.Body.String(), s
			}
			whole, a := run(len(text) + 1)
			parts, b := run(int(size) + 1)
			require.Equal(t, whole, parts)
			require.Equal(t, []any{a.usage, a.told, a.input, a.chunks, a.text}, []any{b.usage, b.told, b.input, b.chunks, b.text})
			if a.told {
				require.NoError(t, a.usage.Validate())
			}
		}
	})
}
