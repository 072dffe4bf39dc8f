package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/gate/proxy"
)

const (
	streamedChat    = `{"model": "gpt", "max_tokens": 200, "stream": true, "messages": [{"role": "user", "content": "How are you?"}]}`
	streamedMessage = `{"model": "claude", "max_tokens": 200, "stream": true, "messages": [{"role": "user", "content": "How are you?"}]}`
)

// chunks are a stream of OpenAI's.
func chunks(usage string, texts ...string) string {
	var b strings.Builder
	for _, text := range texts {
		fmt.Fprintf(&b, "data: {\"choices\":[{\"delta\":{\"content\":%q}}],\"usage\":null}\n\n", text)
	}
	if usage != "" {
		fmt.Fprintf(&b, "data: {\"choices\":[],\"usage\":%s}\n\n", usage)
		b.WriteString("data: [DONE]\n\n")
	}
	return b.String()
}

// message is a stream of Anthropic's.
func message(whole bool, texts ...string) string {
	var b strings.Builder
	b.WriteString("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":20,\"cache_read_input_tokens\":4,\"output_tokens\":1}}}\n\n")
	for _, text := range texts {
		fmt.Fprintf(&b, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":%q}}\n\n", text)
	}
	if whole {
		b.WriteString("event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":50}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
	}
	return b.String()
}

// streams sends a stream in so many bytes at a time.
func streams(text string, size int) func(http.ResponseWriter, *http.Request, map[string]any) {
	return func(w http.ResponseWriter, _ *http.Request, _ map[string]any) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for part := text; part != ""; {
			n := min(size, len(part))
			_, _ = io.WriteString(w, part[:n])
			_ = http.NewResponseController(w).Flush()
			part = part[n:]
		}
	}
}

const usage = `{"prompt_tokens":100,"completion_tokens":50}`

func TestAStreamPassesAndIsPaidForAsItWasUsed(t *testing.T) {
	for name, c := range map[string]struct{ path, body, sent, seen, cost string }{
		"chat":                      {"chat/completions", streamedChat, chunks(usage, "I am ", "fine"), chunks("", "I am ", "fine") + "data: [DONE]\n\n", "0.006"},
		"chat that asks for usage":  {"chat/completions", strings.Replace(streamedChat, `"stream"`, `"stream_options": {"include_usage": true}, "stream"`, 1), chunks(usage, "fine"), chunks(usage, "fine"), "0.006"},
		"chat of another line end":  {"chat/completions", streamedChat, strings.ReplaceAll(chunks(usage, "fine"), "\n", "\r\n"), strings.ReplaceAll(chunks("", "fine")+"data: [DONE]\n\n", "\n", "\r\n"), "0.006"},
		"a message":                 {"messages", streamedMessage, message(true, "I am ", "fine"), message(true, "I am ", "fine"), "0.00524"},
		"chat that ends in between": {"chat/completions", streamedChat, chunks("", "I am ", "fine, and how are you today?") + "data: {\"ch", "", ""},
		"a message that ends":       {"messages", streamedMessage, message(false, "I am fine, and how are you today?"), "", ""},
		"comments":                  {"chat/completions", streamedChat, ": wait\n\n" + chunks(usage, "fine"), ": wait\n\n" + chunks("", "fine") + "data: [DONE]\n\n", "0.006"},
	} {
		for _, size := range []int{1, 7, 100_000} {
			t.Run(fmt.Sprint(name, "/", size), func(t *testing.T) {
				f := newFront(t, everything, nil)
				var told map[string]any
				f.upstream = func(w http.ResponseWriter, r *http.Request, body map[string]any) {
					told = body
					streams(c.sent, size)(w, r, body)
				}
				status, text := f.ask("/v1/"+c.path, c.body)
				require.Equal(t, 200, status)
				if c.path == "chat/completions" {
					require.Equal(t, map[string]any{"include_usage": true}, told["stream_options"])
				} else {
					require.NotContains(t, told, "stream_options")
				}
				e := f.events(1)[0]
				require.Positive(t, e.TTFT)
				switch {
				case c.cost != "":
					require.Equal(t, c.seen, text)
					require.Equal(t, c.cost, e.Cost.String())
				case c.path == "chat/completions": // about a quarter of the bytes
					require.Equal(t, c.sent, text)
					require.EqualValues(t, (len(c.body)+3)/4, e.InputTokens)
					require.EqualValues(t, (len("I am fine, and how are you today?")+3)/4, e.OutputTokens)
				default:
					require.Equal(t, c.sent, text)
					require.EqualValues(t, 24, e.InputTokens, "that was told")
					require.EqualValues(t, (len("I am fine, and how are you today?")+3)/4, e.OutputTokens)
				}
			})
		}
	}
}

func TestAStreamWhoseClientIsGoneEndsAndIsPaidForAsFarAsItCame(t *testing.T) {
	f := newFront(t, everything, nil)
	ended := make(chan bool)
	f.upstream = func(w http.ResponseWriter, r *http.Request, body map[string]any) {
		streams(chunks("", "one", "two", "three"), 1000)(w, r, body)
		<-r.Context().Done() // the upstream hears of it
		close(ended)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	res := f.post(ctx, "/v1/chat/completions", streamedChat)
	line, err := bufio.NewReader(res.Body).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "one", "chunks pass as they come")
	cancel()
	<-ended
	e := f.events(1)[0]
	require.EqualValues(t, 3, e.OutputTokens, "no fewer than chunks")
	require.Positive(t, e.Cost.Sign())
}

func TestAStreamThatSaysNothingEnds(t *testing.T) {
	f := newFront(t, everything, &proxy.Options{Timeout: 100 * time.Millisecond})
	f.upstream = func(w http.ResponseWriter, r *http.Request, body map[string]any) {
		for range 4 { // longer than that in all
			streams(chunks("", "word"), 1000)(w, r, body)
			time.Sleep(40 * time.Millisecond)
		}
		<-r.Context().Done()
	}
	res := f.post(t.Context(), "/v1/chat/completions", streamedChat)
	text, err := io.ReadAll(res.Body)
	require.Error(t, err, "it is seen to be cut")
	require.Equal(t, 4, strings.Count(string(text), "word"))
	require.EqualValues(t, 4, f.events(1)[0].OutputTokens)
}

func TestAClientThatReadsNothingHoldsNoMoneyForEver(t *testing.T) {
	f := newFront(t, everything, &proxy.Options{Timeout: 200 * time.Millisecond})
	f.upstream = func(w http.ResponseWriter, r *http.Request, body map[string]any) {
		for r.Context().Err() == nil { // more than fits between the two
			streams(chunks("", strings.Repeat("word ", 10_000)), 1<<20)(w, r, body)
		}
	}
	res := f.post(t.Context(), "/v1/chat/completions", streamedChat)
	require.Equal(t, 200, res.StatusCode)
	require.Positive(t, f.events(1)[0].Cost.Sign())
}

func TestAnEventThatIsTooLongPasses(t *testing.T) {
	f := newFront(t, everything, nil)
	long := "data: " + strings.Repeat("x", 5<<20) + "\n\n"
	f.upstream = streams(long+chunks(usage, "fine"), 1<<20)
	status, text := f.ask("/v1/chat/completions", streamedChat)
	require.Equal(t, 200, status)
	require.True(t, text == long+chunks("", "fine")+"data: [DONE]\n\n")
	require.Equal(t, "0.006", f.events(1)[0].Cost.String())
}

func TestARefusalOfAStreamIsWhole(t *testing.T) {
	f := newFront(t, everything, nil)
	f.upstream = func(w http.ResponseWriter, _ *http.Request, _ map[string]any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"error": {"message": "slow down"}}`)
	}
	status, text := f.ask("/v1/chat/completions", streamedChat)
	require.Equal(t, http.StatusTooManyRequests, status)
	require.JSONEq(t, `{"error": {"message": "slow down"}}`, text)
	require.True(t, f.events(1)[0].Cost.IsZero())
}
