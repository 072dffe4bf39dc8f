package proxy

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
)

// endpoint is one call of a vendor's API.
type endpoint struct {
	feature string   // that the endpoint itself is
	longest []string // the fields that say how long an answer may be: the one that is set where none is sent comes first
	answers bool     // n says how many are asked for
	images  bool     // n says how many images are
	stream  bool     // it can be streamed
	ask     bool     // of a stream it has to be asked what was used
	free    bool     // nothing is charged for it
	costs   bool     // its usage can say what was charged
	refuse  func(http.ResponseWriter, *http.Request, problem)
	used    func(answer []byte) (billing.Usage, bool)
	chunk   func(*metered, []byte) (hide bool)
}

var endpoints = map[string]*endpoint{
	"chat/completions":   {longest: []string{"max_completion_tokens", "max_tokens"}, answers: true, stream: true, ask: true, costs: true, refuse: refuseOpenAI, used: usedOpenAI, chunk: chunkOpenAI},
	"embeddings":         {feature: "embeddings", costs: true, refuse: refuseOpenAI, used: usedOpenAI},
	"images/generations": {feature: "image_generation", images: true, refuse: refuseOpenAI, used: usedImages},
	"fine_tuning/jobs":   {feature: "fine_tuning", free: true, refuse: refuseOpenAI},
	"messages":           {longest: []string{"max_tokens"}, stream: true, refuse: refuseAnthropic, used: usedAnthropic, chunk: chunkAnthropic},
}

const (
	visionFeature    = "vision"
	functionsFeature = "function_calling"
	searchFeature    = "web_search"
	outputsFeature   = "structured_outputs"
)

// features are what the body makes use of. It would rather see one that is not there than miss one.
func (q *question) features(e *endpoint) (list []string, images int64) {
	if e.feature != "" {
		list = append(list, e.feature)
	}
	searches, calls := set(q.fields.get("web_search_options")), set(q.fields.get("functions"))
	for _, field := range []string{"tools", "plugins"} {
		raw := q.fields.get(field)
		if !set(raw) {
			continue
		}
		for _, t := range texts(raw, "type", "id") {
			searches = searches || strings.HasPrefix(t, "web")
		}
		calls = calls || field == "tools" && !onlySearches(raw)
	}
	if calls {
		list = append(list, functionsFeature)
	}
	if searches {
		list = append(list, searchFeature)
	}
	for _, field := range []string{"response_format", "output_format", "output_config"} { // of either vendor
		if raw := q.fields.get(field); set(raw) && slices.ContainsFunc(texts(raw, "type"), func(t string) bool { return strings.HasPrefix(t, "json") }) {
			list = append(list, outputsFeature)
			break
		}
	}
	for _, field := range []string{"messages", "system"} {
		raw := q.fields.get(field)
		if !strings.Contains(raw, "image") && !strings.Contains(raw, `\u`) {
			continue // no part of it can be one
		}
		for _, t := range texts(raw, "type") {
			if strings.Contains(t, "image") {
				images++
			}
		}
	}
	if images > 0 {
		list = append(list, visionFeature)
	}
	return list, images
}

// set says whether a value says anything.
func set(raw string) bool {
	return len(raw) > 0 && !slices.Contains([]string{"null", "[]", "{}", "false", `""`}, raw)
}

// onlySearches says whether all tools of the list are those of the vendor for searching the web.
func onlySearches(raw string) bool {
	var tools []map[string]json.RawMessage
	if json.Unmarshal([]byte(raw), &tools) != nil {
		return false
	}
	for _, t := range tools {
		var kind string
		if json.Unmarshal(t["type"], &kind) != nil || !strings.HasPrefix(kind, "web_search") {
			return false
		}
	}
	return true
}

// texts are those of all members of these names, or in lists of them, however deep they are and how often they come: which
// of two the upstream takes is not known.
func texts(raw string, names ...string) (found []string) {
	d := json.NewDecoder(strings.NewReader(raw))
	type level struct {
		object, value bool // value: what follows is one
		name          string
	}
	var at []level
	for {
		t, err := d.Token()
		if err != nil {
			return found
		}
		top := len(at) - 1
		switch v := t.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				below := level{object: v == '{'}
				if top >= 0 {
					if at[top].value = false; v == '[' {
						below.name = at[top].name
					}
				}
				at = append(at, below)
			} else {
				at = at[:top]
			}
			continue
		case string:
			if top >= 0 && at[top].object && !at[top].value {
				at[top].name, at[top].value = v, true
				continue
			}
			if top >= 0 && slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, at[top].name) }) {
				found = append(found, v)
			}
		}
		if top >= 0 {
			at[top].value = false
		}
	}
}

// number reads a whole number that may be missing.
func (f fields) number(field string) (int64, error) {
	raw := f.get(field)
	if raw == "" || raw == "null" {
		return 0, nil
	}
	n, err := strconv.ParseInt(raw, 10, 64)
	if err != nil || n < 0 {
		return 0, store.Invalid(field, "type", "must be a whole number that is not negative")
	}
	return n, nil
}

// flag reads a truth that may be missing.
func (f fields) flag(field string) (bool, error) {
	raw := f.get(field)
	switch raw {
	case "", "null", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, store.Invalid(field, "type", "must be true or false")
}
