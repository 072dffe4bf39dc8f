package proxy

import (
	"bytes"
	"slices"
	"strconv"
	"unsafe"

	"github.com/tidwall/gjson"

	"github.com/orgkit/orgkit/billing"
)

// number is one that an answer tells.
type number struct {
	n                 int64
	came, told, wrong bool // told: it is not null; wrong: it is none
}

// read reads it, once.
func (n *number) read(v gjson.Result) {
	if n.came {
		return
	}
	if n.came, n.told = true, v.Type != gjson.Null; n.told {
		var err error
		n.n, err = strconv.ParseInt(v.Raw, 10, 64)
		n.wrong = err != nil
	}
}

// counts reads numbers of an object.
type counts struct {
	of    gjson.Result
	wrong bool // one is none
}

// get returns the number of a member, which may be a path; there is none where it is null.
func (c *counts) get(member string) (int64, bool) {
	var n number
	n.read(c.of.Get(member))
	c.wrong = c.wrong || n.wrong
	return n.n, n.told
}

// openAI is what OpenAI's API says that was used. Most answers say so, so that it is read in one go: of two members of one name
// the first counts, as where they are asked for one by one.
func openAI(usage gjson.Result) (billing.Usage, bool) {
	var prompt, completion, cached number
	usage.ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "prompt_tokens":
			prompt.read(value)
		case "completion_tokens":
			completion.read(value)
		case "prompt_tokens_details":
			cached.read(value.Get("cached_tokens"))
		}
		return true
	})
	if !prompt.told || prompt.wrong || completion.wrong || cached.wrong {
		return billing.Usage{}, false
	}
	return sane(billing.Usage{InputTokens: prompt.n, OutputTokens: completion.n, CachedTokens: cached.n})
}

// sane is what can be: numbers that cannot are as none.
func sane(u billing.Usage) (billing.Usage, bool) {
	u.CachedTokens = min(u.CachedTokens, u.InputTokens)
	return u, u.Validate() == nil
}

// usedOpenAI looks at nothing but the usage: of embeddings the rest is long, and whether that is JSON is for the client to find out.
func usedOpenAI(answer []byte) (billing.Usage, bool) {
	usage := gjson.Get(textOfAnswer(answer), "usage")
	if !valid(usage.Raw) {
		return billing.Usage{}, false
	}
	return openAI(usage)
}

// parsed is an answer to get members of, of which what is no JSON has none.
func parsed(answer []byte) gjson.Result {
	text := textOfAnswer(answer)
	if !valid(text) {
		return gjson.Result{}
	}
	return gjson.Parse(text)
}

// textOfAnswer is an answer as a text, which nobody changes or keeps.
func textOfAnswer(answer []byte) string { return unsafe.String(unsafe.SliceData(answer), len(answer)) }

// costed is an answer whose usage says what was charged: where there is none, or nothing is known, it is as it was.
func costed(answer []byte, cost string) []byte {
	if cost == "" {
		return answer
	}
	member := parsed(answer).Get("usage")
	usage, is := readFields(member.Raw)
	if !is || member.Index == 0 {
		return answer
	}
	return slices.Concat(answer[:member.Index], []byte(usage.with("cost", cost).object()), answer[member.Index+len(member.Raw):])
}

// usedImages counts the images that came, and the tokens of models that are paid by those.
func usedImages(answer []byte) (billing.Usage, bool) {
	c := counts{of: parsed(answer)}
	images, _ := c.get("data.#")
	input, _ := c.get("usage.input_tokens")
	output, _ := c.get("usage.output_tokens")
	cached, _ := c.get("usage.input_tokens_details.cached_tokens")
	if images == 0 || c.wrong {
		return billing.Usage{}, false
	}
	return sane(billing.Usage{InputTokens: input, OutputTokens: output, CachedTokens: cached, Images: images})
}

// anthropic is what Anthropic's API says that was used. Its input does not have in it what was cached. told is whether there
// is an input.
func anthropic(usage gjson.Result) (u billing.Usage, told, ok bool) {
	c := counts{of: usage}
	input, told := c.get("input_tokens")
	output, _ := c.get("output_tokens")
	read, _ := c.get("cache_read_input_tokens")
	created, _ := c.get("cache_creation_input_tokens")
	u, ok = sane(billing.Usage{InputTokens: input + read + created, OutputTokens: output, CachedTokens: read})
	return u, told, ok && !c.wrong
}

func usedAnthropic(answer []byte) (billing.Usage, bool) {
	u, told, ok := anthropic(parsed(answer).Get("usage"))
	if !told || !ok {
		return billing.Usage{}, false
	}
	return u, true
}

// chunkOpenAI reads a chunk of a chat completion. What was used comes in the last one, which has nothing else.
func chunkOpenAI(s *metered, data []byte) (hide bool) {
	if string(data) == "[DONE]" {
		return false
	}
	if n := textOf(data, `"content":"`, `"arguments":"`, `"refusal":"`, `"reasoning_content":"`); n > 0 {
		s.chunks, s.text = s.chunks+1, s.text+n
	}
	if !bytes.Contains(data, []byte(`"usage"`)) {
		return false
	}
	c := parsed(data)
	u, is := openAI(c.Get("usage"))
	if !is {
		return false
	}
	s.usage, s.told, s.input = u, true, true
	return s.hides && c.Get("choices.#").Int() == 0
}

// chunkAnthropic reads an event of a message: the first one tells the input, and the one before the last the output.
func chunkAnthropic(s *metered, data []byte) (hide bool) {
	if n := textOf(data, `"text":"`, `"partial_json":"`, `"thinking":"`); n > 0 {
		s.chunks, s.text = s.chunks+1, s.text+n
	}
	if !bytes.Contains(data, []byte(`"usage"`)) {
		return false
	}
	c := parsed(data)
	switch c.Get("type").Str {
	case "message_start":
		if u, told, ok := anthropic(c.Get("message.usage")); told && ok {
			s.usage, s.input = u, true
		}
	case "message_delta":
		u, told, ok := anthropic(c.Get("usage"))
		switch {
		case !ok || !c.Get("usage").IsObject():
		case told: // newer versions repeat the input
			s.usage, s.input, s.told = u, true, true
		case s.input:
			output := u.OutputTokens
			u = s.usage
			if u.OutputTokens = output; u.Validate() == nil {
				s.usage, s.told = u, true
			}
		}
	}
	return false
}

// textOf is how many bytes of the answer a chunk has, in the first member of such a name.
func textOf(data []byte, members ...string) int64 {
	for _, member := range members {
		_, rest, is := bytes.Cut(data, []byte(member))
		if !is {
			continue
		}
		for i := 0; i < len(rest); i++ {
			switch rest[i] {
			case '\\':
				i++
			case '"':
				if i > 0 {
					return int64(i)
				}
				i = len(rest)
			}
		}
	}
	return 0
}
