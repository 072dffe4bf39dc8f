// Package fakemodel answers as the APIs of AI vendors do, without a model: for demonstrations, tests and benchmarks that run
// offline. What it says, and what it says that it has used, follows from the request alone.
package fakemodel

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"net/http"
	"strings"
	"time"
)

// Options of [New]; nil works.
type Options struct {
	// Word is how long each word of an answer takes.
	Word time.Duration
}

// New returns a handler for chat/completions, embeddings, images/generations and fine_tuning/jobs as OpenAI has them, and
// messages as Anthropic has it, below /v1.
func New(o *Options) http.Handler {
	f := fake{}
	if o != nil {
		f.Options = *o
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", f.chat)
	mux.HandleFunc("POST /v1/messages", f.message)
	mux.HandleFunc("POST /v1/embeddings", f.embeddings)
	mux.HandleFunc("POST /v1/images/generations", f.images)
	mux.HandleFunc("POST /v1/fine_tuning/jobs", f.job)
	return mux
}

type fake struct{ Options }

// request is what is read of one.
type request struct {
	Model      string            `json:"model"`
	Messages   []json.RawMessage `json:"messages"`
	Tools      []tool            `json:"tools"`
	Stream     bool              `json:"stream"`
	Max        int               `json:"max_tokens"`
	MaxNew     int               `json:"max_completion_tokens"`
	N          int               `json:"n"`
	Input      json.RawMessage   `json:"input"`
	Encoding   string            `json:"encoding_format"`
	StreamOpts struct {
		Usage bool `json:"include_usage"`
	} `json:"stream_options"`
}

type tool struct {
	Name     string `json:"name"`
	Function struct {
		Name string `json:"name"`
	} `json:"function"`
}

func read(w http.ResponseWriter, r *http.Request) (in request, ok bool) {
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Model == "" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error": {"message": "the body is no request", "type": "invalid_request_error"}}`)
		return in, false
	}
	return in, true
}

// words are the answer, of which no more may be used than the request allows.
func (in *request) words() []string {
	words := strings.Fields("This is what a model would say, if there were one behind this gateway.")
	if most := max(in.Max, in.MaxNew); most > 0 && most < len(words) {
		words = words[:most]
	}
	return words
}

// tokens is what the input has: one for each four bytes.
func (in *request) tokens() int {
	n := len(in.Input)
	for _, m := range in.Messages {
		n += len(m)
	}
	return n/4 + 1
}

func write(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	_, _ = w.Write(b) // a client that is gone hears nothing
}

type object = map[string]any

// event sends one event of a stream, after the time that a word takes.
func (f *fake) event(w http.ResponseWriter, name string, data any) {
	time.Sleep(f.Word)
	if name != "" {
		fmt.Fprintf(w, "event: %s\n", name)
	}
	b, _ := json.Marshal(data) // of texts and numbers
	fmt.Fprintf(w, "data: %s\n\n", b)
	_ = http.NewResponseController(w).Flush()
}

func (f *fake) chat(w http.ResponseWriter, r *http.Request) {
	in, ok := read(w, r)
	if !ok {
		return
	}
	words := in.words()
	used := object{"prompt_tokens": in.tokens(), "completion_tokens": len(words), "total_tokens": in.tokens() + len(words)}
	head := func(kind string) object {
		return object{"id": "chatcmpl-1", "object": kind, "created": 1700000000, "model": in.Model}
	}
	if in.Stream {
		w.Header().Set("Content-Type", "text/event-stream")
		for i, word := range words {
			chunk := head("chat.completion.chunk")
			chunk["choices"] = []object{{"index": 0, "delta": object{"role": "assistant", "content": strings.Repeat(" ", min(i, 1)) + word}, "finish_reason": nil}}
			f.event(w, "", chunk)
		}
		last := head("chat.completion.chunk")
		last["choices"] = []object{{"index": 0, "delta": object{}, "finish_reason": "stop"}}
		f.event(w, "", last)
		if in.StreamOpts.Usage {
			told := head("chat.completion.chunk")
			told["choices"], told["usage"] = []object{}, used
			f.event(w, "", told)
		}
		fmt.Fprint(w, "data: [DONE]\n\n")
		return
	}
	time.Sleep(f.Word * time.Duration(len(words)))
	answer := object{"role": "assistant", "content": strings.Join(words, " ")}
	reason := "stop"
	if len(in.Tools) > 0 {
		answer = object{"role": "assistant", "content": nil, "tool_calls": []object{{"id": "call_1", "type": "function", "function": object{"name": in.Tools[0].Function.Name, "arguments": "{}"}}}}
		reason = "tool_calls"
	}
	choices := make([]object, max(in.N, 1))
	for i := range choices {
		choices[i] = object{"index": i, "message": answer, "finish_reason": reason}
	}
	whole := head("chat.completion")
	whole["choices"], whole["usage"] = choices, used
	write(w, whole)
}

func (f *fake) message(w http.ResponseWriter, r *http.Request) {
	in, ok := read(w, r)
	if !ok {
		return
	}
	words := in.words()
	if in.Stream {
		w.Header().Set("Content-Type", "text/event-stream")
		f.event(w, "message_start", object{"type": "message_start", "message": object{"id": "msg_1", "type": "message", "role": "assistant", "model": in.Model, "content": []object{},
			"usage": object{"input_tokens": in.tokens(), "output_tokens": 1}}})
		f.event(w, "content_block_start", object{"type": "content_block_start", "index": 0, "content_block": object{"type": "text", "text": ""}})
		for i, word := range words {
			f.event(w, "content_block_delta", object{"type": "content_block_delta", "index": 0, "delta": object{"type": "text_delta", "text": strings.Repeat(" ", min(i, 1)) + word}})
		}
		f.event(w, "content_block_stop", object{"type": "content_block_stop", "index": 0})
		f.event(w, "message_delta", object{"type": "message_delta", "delta": object{"stop_reason": "end_turn"}, "usage": object{"output_tokens": len(words)}})
		f.event(w, "message_stop", object{"type": "message_stop"})
		return
	}
	time.Sleep(f.Word * time.Duration(len(words)))
	content, reason := []object{{"type": "text", "text": strings.Join(words, " ")}}, "end_turn"
	if len(in.Tools) > 0 {
		content, reason = []object{{"type": "tool_use", "id": "toolu_1", "name": in.Tools[0].Name, "input": object{}}}, "tool_use"
	}
	write(w, object{"id": "msg_1", "type": "message", "role": "assistant", "model": in.Model, "content": content, "stop_reason": reason,
		"usage": object{"input_tokens": in.tokens(), "output_tokens": len(words)}})
}

func (f *fake) embeddings(w http.ResponseWriter, r *http.Request) {
	in, ok := read(w, r)
	if !ok {
		return
	}
	var inputs []json.RawMessage
	if json.Unmarshal(in.Input, &inputs) != nil {
		inputs = []json.RawMessage{in.Input}
	}
	data := make([]object, len(inputs))
	for i, text := range inputs {
		var vector any = vectorOf(text)
		if in.Encoding == "base64" {
			var b []byte
			for _, x := range vectorOf(text) {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
			}
			vector = base64.StdEncoding.EncodeToString(b)
		}
		data[i] = object{"object": "embedding", "index": i, "embedding": vector}
	}
	write(w, object{"object": "list", "model": in.Model, "data": data, "usage": object{"prompt_tokens": in.tokens(), "total_tokens": in.tokens()}})
}

// vectorOf is a vector of eight numbers that is always the same for a text.
func vectorOf(text []byte) []float32 {
	h := fnv.New64a()
	_, _ = h.Write(text) // it never fails
	v := make([]float32, 8)
	for i := range v {
		v[i] = float32(byte(h.Sum64()>>(8*i)))/128 - 1
	}
	return v
}

func (f *fake) images(w http.ResponseWriter, r *http.Request) {
	in, ok := read(w, r)
	if !ok {
		return
	}
	data := make([]object, max(in.N, 1))
	for i := range data {
		data[i] = object{"url": fmt.Sprintf("https://images.example/%d.png", i)}
	}
	write(w, object{"created": 1700000000, "data": data})
}

func (f *fake) job(w http.ResponseWriter, r *http.Request) {
	in, ok := read(w, r)
	if !ok {
		return
	}
	write(w, object{"id": "ftjob-1", "object": "fine_tuning.job", "created_at": 1700000000, "model": in.Model, "status": "queued"})
}
