package proxy

import (
	"bytes"
	"encoding/json"
	"slices"
	"unsafe"

	"github.com/tidwall/gjson"

	"github.com/orgkit/orgkit/billing"
)

// openAI is what OpenAI's API says that was used.
type openAI struct {
	Prompt     *int64 `json:"prompt_tokens"`
	Completion int64  `json:"completion_tokens"`
	Details    struct {
		Cached int64 `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
}

func (u *openAI) usage() (billing.Usage, bool) {
	if u == nil || u.Prompt == nil {
		return billing.Usage{}, false
	}
	return sane(billing.Usage{InputTokens: *u.Prompt, OutputTokens: u.Completion, CachedTokens: u.Details.Cached})
}

// sane is what can be: numbers that cannot are as none.
func sane(u billing.Usage) (billing.Usage, bool) {
	u.CachedTokens = min(u.CachedTokens, u.InputTokens)
	return u, u.Validate() == nil
}

func usedOpenAI(answer []byte) (billing.Usage, bool) {
	var u *openAI
	if !usageOf(answer, &u) {
		return billing.Usage{}, false
	}
	return u.usage()
}

// usageOf reads that member of a whole answer, and nothing of the rest of it but that it is JSON.
func usageOf(answer []byte, usage any) bool {
	text := unsafe.String(unsafe.SliceData(answer), len(answer)) // which nobody changes or keeps
	if !valid(text) {
		return false
	}
	member := gjson.Get(text, "usage")
	return member.Exists() && json.Unmarshal([]byte(member.Raw), usage) == nil
}

// costed is an answer whose usage says what was charged: where there is none, or nothing is known, it is as it was.
func costed(answer []byte, cost string) []byte {
	text := unsafe.String(unsafe.SliceData(answer), len(answer)) // which nobody changes or keeps
	if cost == "" || !valid(text) {
		return answer
	}
	member := gjson.Get(text, "usage")
	usage, is := readFields(member.Raw)
	if !is || member.Index == 0 {
		return answer
	}
	usage.set("cost", cost)
	return slices.Concat(answer[:member.Index], []byte(usage.object()), answer[member.Index+len(member.Raw):])
}

// usedImages counts the images that came, and the tokens of models that are paid by those.
func usedImages(answer []byte) (billing.Usage, bool) {
	var a struct {
		Data  []struct{} `json:"data"`
		Usage struct {
			Input   int64 `json:"input_tokens"`
			Output  int64 `json:"output_tokens"`
			Details struct {
				Cached int64 `json:"cached_tokens"`
			} `json:"input_tokens_details"`
		} `json:"usage"`
	}
	if json.Unmarshal(answer, &a) != nil || len(a.Data) == 0 {
		return billing.Usage{}, false
	}
	return sane(billing.Usage{InputTokens: a.Usage.Input, OutputTokens: a.Usage.Output, CachedTokens: a.Usage.Details.Cached, Images: int64(len(a.Data))})
}

// anthropic is what Anthropic's API says that was used. Its input does not have in it what was cached.
type anthropic struct {
	Input   *int64 `json:"input_tokens"`
	Output  int64  `json:"output_tokens"`
	Read    int64  `json:"cache_read_input_tokens"`
	Created int64  `json:"cache_creation_input_tokens"`
}

func (u *anthropic) usage() (billing.Usage, bool) {
	if u == nil || u.Input == nil {
		return billing.Usage{}, false
	}
	return sane(billing.Usage{InputTokens: *u.Input + u.Read + u.Created, OutputTokens: u.Output, CachedTokens: u.Read})
}

func usedAnthropic(answer []byte) (billing.Usage, bool) {
	var u *anthropic
	if !usageOf(answer, &u) {
		return billing.Usage{}, false
	}
	return u.usage()
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
	var c struct {
		Choices []struct{} `json:"choices"`
		Usage   *openAI    `json:"usage"`
	}
	if json.Unmarshal(data, &c) != nil {
		return false
	}
	u, is := c.Usage.usage()
	if !is {
		return false
	}
	s.usage, s.told, s.input = u, true, true
	return s.hides && len(c.Choices) == 0
}

// chunkAnthropic reads an event of a message: the first one tells the input, and the one before the last the output.
func chunkAnthropic(s *metered, data []byte) (hide bool) {
	if n := textOf(data, `"text":"`, `"partial_json":"`, `"thinking":"`); n > 0 {
		s.chunks, s.text = s.chunks+1, s.text+n
	}
	if !bytes.Contains(data, []byte(`"usage"`)) {
		return false
	}
	var c struct {
		Type    string `json:"type"`
		Message struct {
			Usage *anthropic `json:"usage"`
		} `json:"message"`
		Usage *anthropic `json:"usage"`
	}
	if json.Unmarshal(data, &c) != nil {
		return false
	}
	switch c.Type {
	case "message_start":
		if u, is := c.Message.Usage.usage(); is {
			s.usage, s.input = u, true
		}
	case "message_delta":
		if c.Usage == nil {
			break
		}
		if u, is := c.Usage.usage(); is { // newer versions repeat the input
			s.usage, s.input, s.told = u, true, true
		} else if u := s.usage; s.input {
			u.OutputTokens = c.Usage.Output
			if u, is = sane(u); is {
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
