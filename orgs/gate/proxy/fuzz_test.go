package proxy

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs/gate"
)

// FuzzRead holds that what is read of a request is what the upstream reads of it.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{`{"model": "m", "n": 2, "max_tokens": 5}`, `{"model": "m", "stream": true, "stream_options": {"include_usage": true, "x": 1}}`,
		`{"model": "a", "model": "b", "tools": [{"type": "web_search"}], "messages": [{"content": [{"type": "image_url"}]}]}`, `{"model":"m","\u006d":[{"a":{"type":"image"}}],"":1}`,
		`{"model":"m","tools":[{"type":"mcp","server_url":"u","allowed_tools":{"tool_names":["a",1,null]}},{"function":{"name":"f"}},[],null],"vector_store_ids":"v","container":{"skills":[{"skill_id":"s"}]}}`} {
		f.Add(seed)
	}
	f.Add(`{"model": "resolved", "max_tokens": 7}`)
	f.Add(`{"model": "resolved", "model": "resolved", "max_tokens": 7}`)
	f.Add(`{"mod\u0065l": "resolved", "max_tokens": 7, "a\"": 1}`)
	h := &handler{opt: Options{MaxBody: 1 << 20, ImageTokens: 10}}
	f.Fuzz(func(t *testing.T, body string) {
		for name, e := range endpoints {
			r := httptest.NewRequest(http.MethodPost, "/v1/"+name, strings.NewReader(body))
			q, err := h.read(e, httptest.NewRecorder(), r)
			if err != nil {
				continue
			}
			out, _ := q.forward(r.Context(), r, &gate.Admission{Model: &billing.Model{ID: "resolved"}, MaxOutputTokens: 7}, &forwarded{})
			sent, err := io.ReadAll(out.Body)
			require.NoError(t, err)
			require.EqualValues(t, len(sent), out.ContentLength)
			var fields map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(sent, &fields))
			require.JSONEq(t, `"resolved"`, string(fields["model"]))
			gjson.ParseBytes(sent).ForEach(func(name, _ gjson.Result) bool {
				require.Contains(t, fields, name.Str)
				delete(fields, name.Str) // each comes once, and is written in the one way in which anybody reads it
				require.True(t, name.Raw == `"`+name.Str+`"` || strings.ContainsFunc(name.Str, quotes), name.Raw)
				return true
			})
			again, err := h.read(e, httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/v1/"+name, bytes.NewReader(sent)))
			require.NoError(t, err)
			require.Equal(t, q.call.Features, again.call.Features)
			require.Equal(t, q.call.Objects, again.call.Objects, "what is forwarded uses what was asked for, and nothing else")
			require.Equal(t, []any{q.stream, q.call.Answers, q.call.Images}, []any{again.stream, again.call.Answers, again.call.Images})
			if len(e.longest) > 0 {
				require.EqualValues(t, 7, again.call.MaxOutputTokens)
			}
		}
	})
}

// TestADeepBodyIsRefused has what goes down a level for each bracket not go down for ever.
func TestADeepBodyIsRefused(t *testing.T) {
	for _, body := range []string{strings.Repeat(`{"a":`, 10_001) + "1" + strings.Repeat("}", 10_001), strings.Repeat("[", 32<<20), `{"a":"` + strings.Repeat("[", 20_000)} {
		_, is := readFields(body)
		require.False(t, is)
	}
	list, is := readFields(`{"a":"` + strings.Repeat("[{", 20_000) + `","b":[]}`)
	require.True(t, is, "of brackets in a text there may be any number")
	require.Equal(t, "[]", list.get("b"))
}

// FuzzFields holds that an object is read as encoding/json reads it.
func FuzzFields(f *testing.F) {
	for _, seed := range []string{`{"a":1,"b":[{"a":2}],"a":"\u00e4\ud800"}`, ` {"\u0061" : null , "" : -0.1e+5 } `, `[1]`, `{"a":01}`, `{"a":"\x"}`, "{\"a\":\"\n\"}", `{"a":1}x`, `{`, "{\"\xff\":1}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var want map[string]json.RawMessage
		err := json.Unmarshal([]byte(text), &want)
		got, is := readFields(text)
		require.Equal(t, err == nil && want != nil && utf8.ValidString(text), is, text)
		if !is {
			return
		}
		require.Len(t, got.list, len(want))
		for name, raw := range want {
			require.Equal(t, string(raw), got.get(name))
			var word string
			if raw[0] == '"' {
				require.NoError(t, json.Unmarshal(raw, &word))
			}
			require.Equal(t, word, got.str(name))
		}
	})
}

// FuzzUsed holds that what an answer says is read as of the whole of it, where all of it is JSON, and that nothing else does harm.
func FuzzUsed(f *testing.F) {
	for _, seed := range []string{`{"usage":{"prompt_tokens":7,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":3}}}`, `{"a":"\"usage\":{","usage":{"prompt_tokens":1}}`,
		`{"usage":{"prompt_tokens":1},"usage":{"prompt_tokens":2}}`, `{"usage":{"prompt_tokens":1,"prompt_tokens":2,"prompt_tokens":null}}`, `{"usage":{"prompt_tokens":"1"}}`, `{"usage":null}`,
		`{"usage":{"prompt_tokens":5`, `[{"usage":{"prompt_tokens":5}}]`, `{"data":[[1.5,2]],"usage":{"prompt_tokens":5,"completion_tokens":-1}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		got, told := usedOpenAI([]byte(answer))
		if told {
			require.NoError(t, got.Validate())
		}
		if !valid(answer) {
			return
		}
		c := counts{of: gjson.Get(answer, "usage")}
		prompt, there := c.get("prompt_tokens")
		completion, _ := c.get("completion_tokens")
		cached, _ := c.get("prompt_tokens_details.cached_tokens")
		want, can := sane(billing.Usage{InputTokens: prompt, OutputTokens: completion, CachedTokens: cached})
		require.Equal(t, there && !c.wrong && can, told)
		if told {
			require.Equal(t, want, got)
		}
	})
}

// FuzzStream holds that how a stream is cut into pieces makes no difference.
func FuzzStream(f *testing.F) {
	f.Add([]byte("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n"), uint8(3))
	f.Add([]byte("event: a\r\ndata: {\"type\":\"message_delta\",\ndata: \"usage\":{\"output_tokens\":2}}\r\n\r\nx"), uint8(1))
	f.Add([]byte("data: {\"choices\":[{}]}\r\n\r\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\r\n\r\n"), uint8(0))
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

func TestWhatNeedsNoChangeIsForwardedAsItCame(t *testing.T) {
	h := &handler{opt: Options{MaxBody: 1 << 20}}
	for body, want := range map[string]string{
		` {"model": "m", "max_tokens" : 7, "x":  [1, 1]}` + "\n":      ` {"model": "m", "max_tokens" : 7, "x":  [1, 1]}` + "\n",
		`{"model": "alias", "max_tokens": 7}`:                         `{"model":"m","max_tokens":7}`,
		`{"model": "m", "max_tokens": 8}`:                             `{"model":"m","max_tokens":7}`,
		`{"model": "m"}`:                                              `{"model":"m","max_completion_tokens":7}`,
		`{"model": "m", "max_completion_tokens": 3, "max_tokens": 7}`: `{"model":"m","max_tokens":7}`,
		`{"model": "m", "max_tokens": 7, "model": "m"}`:               `{"model":"m","max_tokens":7}`,
		`{"mod\u0065l": "m", "max_tokens": 7}`:                        `{"model":"m","max_tokens":7}`,
		`{"model": "\u006d", "max_tokens": 7}`:                        `{"model":"m","max_tokens":7}`,
	} {
		r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
		q, err := h.read(endpoints["chat/completions"], httptest.NewRecorder(), r)
		require.NoError(t, err)
		out, _ := q.forward(r.Context(), r, &gate.Admission{Model: &billing.Model{ID: "m"}, MaxOutputTokens: 7}, &forwarded{})
		sent, err := io.ReadAll(out.Body)
		require.NoError(t, err)
		require.Equal(t, want, string(sent))
	}
}
