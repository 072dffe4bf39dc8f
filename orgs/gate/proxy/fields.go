package proxy

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// fields are those of a JSON object in the order in which they were sent: of two of one name the last one, and so is the
// upstream told.
type fields []field

type field struct{ name, raw string }

// readFields reads an object into a list, whose room it takes. It keeps the text.
func readFields(text string, list fields) (fields, bool) {
	if !valid(text) {
		return nil, false
	}
	object := gjson.Parse(text)
	if !object.IsObject() {
		return nil, false
	}
	object.ForEach(func(name, value gjson.Result) bool {
		list.set(name.Str, value.Raw)
		return true
	})
	return list, true
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

// get returns the value as it was sent, "" where there is none.
func (f fields) get(name string) string {
	for i := range f {
		if f[i].name == name {
			return f[i].raw
		}
	}
	return ""
}

// text is the value that is a text, "" where it is none.
func (f fields) text(name string) string {
	if raw := f.get(name); strings.HasPrefix(raw, `"`) {
		return gjson.Parse(raw).Str
	}
	return ""
}

func (f *fields) set(name, raw string) {
	for i := range *f {
		if (*f)[i].name == name {
			(*f)[i].raw = raw
			return
		}
	}
	*f = append(*f, field{name, raw})
}

// put sets a text, a number, or what was read as JSON.
func (f *fields) put(name string, value any) {
	switch v := value.(type) {
	case int64:
		f.set(name, strconv.FormatInt(v, 10))
		return
	case string:
		if utf8.ValidString(v) && !strings.ContainsFunc(v, quotes) {
			f.set(name, `"`+v+`"`)
			return
		}
	}
	raw, _ := json.Marshal(value)
	f.set(name, string(raw))
}

func (f *fields) remove(name string) {
	*f = slices.DeleteFunc(*f, func(one field) bool { return one.name == name })
}

// object is the object of the fields, each once, whose values are as they were sent.
func (f fields) object() string {
	size := 2
	for i := range f {
		size += len(f[i].name) + len(f[i].raw) + 4
	}
	var b strings.Builder
	b.Grow(size)
	b.WriteByte('{')
	for i := range f {
		if i > 0 {
			b.WriteByte(',')
		}
		if name := f[i].name; strings.ContainsFunc(name, quotes) {
			quoted, _ := json.Marshal(name)
			b.Write(quoted)
		} else {
			b.WriteByte('"')
			b.WriteString(name)
			b.WriteByte('"')
		}
		b.WriteByte(':')
		b.WriteString(f[i].raw)
	}
	b.WriteByte('}')
	return b.String()
}

// quotes says whether a character of a text has to be written in another way.
func quotes(c rune) bool { return c < ' ' || c == '"' || c == '\\' }
