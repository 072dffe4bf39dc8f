package proxy

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// fields are those of a JSON object in the order in which they were sent: of two of one name the last one, and so is the
// upstream told.
type fields struct {
	list []field
	text string // the object as it was sent, "" once that does not say the same to whoever reads it
}

type field struct{ name, raw string }

// readFields reads an object. It keeps the text.
func readFields(text string) (f fields, is bool) {
	if !valid(text) {
		return f, false
	}
	object := gjson.Parse(text)
	if !object.IsObject() {
		return f, false
	}
	f = fields{make([]field, 0, 6), text} // as many as most have at most
	object.ForEach(func(name, value gjson.Result) bool {
		if at := f.find(name.Str); at < 0 {
			f.list = append(f.list, field{name.Str, value.Raw})
		} else { // there are readers that take the first
			f.list[at].raw, f.text = value.Raw, ""
		}
		if strings.Contains(name.Raw, `\`) { // and some that do not know what it stands for
			f.text = ""
		}
		return true
	})
	return f, true
}

// valid says whether a text is JSON (RFC 8259), which is UTF-8. What parses it goes down a level for each bracket: where
// there are so many that this could be deeper than is good, it is parsed by what counts levels.
func valid(text string) bool {
	const deep = 10_000
	if len(text) > deep && strings.Count(text, "[")+strings.Count(text, "{") > deep {
		return utf8.ValidString(text) && json.Valid([]byte(text))
	}
	return utf8.ValidString(text) && gjson.Valid(text)
}

func (f fields) find(name string) int {
	return slices.IndexFunc(f.list, func(one field) bool { return one.name == name })
}

// get returns the value as it was sent, "" where there is none.
func (f fields) get(name string) string {
	if at := f.find(name); at >= 0 {
		return f.list[at].raw
	}
	return ""
}

// str is the value that is a text, "" where it is none.
func (f fields) str(name string) string {
	if raw := f.get(name); strings.HasPrefix(raw, `"`) {
		return gjson.Parse(raw).Str
	}
	return ""
}

// with are the fields with one more, or with another value of one. Like append, it may take the room of those that were. A value
// that is there already stays as it is.
func (f fields) with(name, raw string) fields {
	at := f.find(name)
	switch {
	case at < 0:
		f.list = append(f.list, field{name, raw})
	case f.list[at].raw == raw:
		return f
	default:
		f.list[at].raw = raw
	}
	f.text = ""
	return f
}

// withValue is with for a number, or what was read as JSON.
func (f fields) withValue(name string, value any) fields {
	raw, _ := json.Marshal(value)
	return f.with(name, string(raw))
}

// withText is with for a text, which mostly is there already.
func (f fields) withText(name, value string) fields {
	if !utf8.ValidString(value) || strings.ContainsFunc(value, quotes) {
		return f.withValue(name, value)
	}
	if raw := f.get(name); len(raw) != len(value)+2 || raw[0] != '"' || raw[1:len(raw)-1] != value {
		return f.with(name, `"`+value+`"`)
	}
	return f
}

// without are the fields without one.
func (f fields) without(name string) fields {
	if at := f.find(name); at >= 0 {
		f.list, f.text = slices.Delete(f.list, at, at+1), ""
	}
	return f
}

// object is the object of the fields, each once, whose values are as they were sent.
func (f fields) object() string {
	if f.text != "" {
		return f.text
	}
	size := 2
	for i := range f.list {
		size += len(f.list[i].name) + len(f.list[i].raw) + 4
	}
	var b strings.Builder
	b.Grow(size)
	b.WriteByte('{')
	for i := range f.list {
		if i > 0 {
			b.WriteByte(',')
		}
		if name := f.list[i].name; strings.ContainsFunc(name, quotes) {
			quoted, _ := json.Marshal(name)
			b.Write(quoted)
		} else {
			b.WriteByte('"')
			b.WriteString(name)
			b.WriteByte('"')
		}
		b.WriteByte(':')
		b.WriteString(f.list[i].raw)
	}
	b.WriteByte('}')
	return b.String()
}

// quotes says whether a character of a text has to be written in another way.
func quotes(c rune) bool { return c < ' ' || c == '"' || c == '\\' }
