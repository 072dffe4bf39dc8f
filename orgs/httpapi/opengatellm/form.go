package opengatellm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/shopspring/decimal"
)

// form reads the inputs of a request one by one and remembers all that is wrong. What nobody asks for is ignored.
type form struct {
	fields map[string]json.RawMessage
	query  url.Values
	faults []fault
}

// body reads the object of a request.
func body(r *http.Request) (*form, error) {
	fields, err := httpapi.ReadObject(nil, r, 0)
	return &form{fields: fields}, err
}

// query reads the parameters of a request.
func query(r *http.Request) (*form, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	f := &form{query: q}
	if err != nil {
		return f, &invalid{[]fault{{Type: "value_error", Loc: []any{"query"}, Msg: "Value error, not a well-formed query"}}}
	}
	return f, nil
}

// err is nil, or all that is wrong.
func (f *form) err() error {
	if len(f.faults) == 0 {
		return nil
	}
	return &invalid{f.faults}
}

func (f *form) wrong(where, name, typ, msg string, input any) {
	f.faults = append(f.faults, fault{Type: typ, Loc: []any{where, name}, Msg: msg, Input: input})
}

// has says whether the body has something else than null there.
func (f *form) has(name string) bool {
	raw, there := f.fields[name]
	return there && string(bytes.TrimSpace(raw)) != "null"
}

// required notes where nothing is; null is the wrong type, as the caller of this goes on to see.
func (f *form) required(name string) {
	if _, there := f.fields[name]; !there {
		f.wrong("body", name, "missing", "Field required", nil)
	}
}

// alias has the field be known by another name. Both may be there when they say the same.
func (f *form) alias(name, other string) {
	one, there := f.fields[name]
	two, also := f.fields[other]
	switch {
	case also && !there:
		f.fields[name] = two
	case also && !bytes.Equal(bytes.TrimSpace(one), bytes.TrimSpace(two)):
		f.wrong("body", other, "value_error", "Value error, "+other+" says something else than "+name+".", nil)
	}
}

// text returns a text without spaces around it, of so many characters; nil where there is none.
func (f *form) text(name string, least, most int) *string {
	raw, there := f.fields[name]
	if !there {
		return nil
	}
	var s *string
	if json.Unmarshal(raw, &s) != nil {
		f.wrong("body", name, "string_type", "Input should be a valid string", nil)
		return nil
	}
	if s == nil {
		return nil
	}
	*s = strings.TrimSpace(*s)
	switch n := utf8.RuneCountInString(*s); {
	case n < least:
		f.wrong("body", name, "string_too_short", "String should have at least "+characters(least), nil)
	case n > most:
		f.wrong("body", name, "string_too_long", "String should have at most "+characters(most), nil)
	}
	return s
}

func characters(n int) string {
	if n == 1 {
		return "1 character"
	}
	return fmt.Sprintf("%d characters", n)
}

// notNull notes a field that is there and null, where that is no value.
func (f *form) notNull(name, typ, msg string) {
	if _, there := f.fields[name]; there && !f.has(name) {
		f.wrong("body", name, typ, msg, nil)
	}
}

// parameter returns a parameter, or that of its other name, "" for none.
func (f *form) parameter(name, alias string) (string, bool) {
	value, there := f.query[name]
	other, also := f.query[alias]
	also = also && alias != ""
	if there && also && !slices.Equal(value, other) {
		f.wrong("query", alias, "value_error", "Value error, "+alias+" says something else than "+name+".", nil)
	}
	if !there {
		value, there = other, also
	}
	if !there {
		return "", false
	}
	return store.PlainText(value[len(value)-1], 300), true
}

// number returns a parameter that is a whole number; below least, or above most where that is not 0, it is wrong.
func (f *form) number(name, alias string, otherwise, least, most int64) int64 {
	text, there := f.parameter(name, alias)
	if !there {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		f.wrong("query", name, "int_parsing", intParsing, text)
	case n < least:
		f.wrong("query", name, "greater_than_equal", fmt.Sprintf("Input should be greater than or equal to %d", least), text)
	case most != 0 && n > most:
		f.wrong("query", name, "less_than_equal", fmt.Sprintf("Input should be less than or equal to %d", most), text)
	}
	return n
}

// secret returns a text as it is, of so many bytes, which no error repeats.
func (f *form) secret(name string, least, most int) *string {
	raw, there := f.fields[name]
	if !there {
		return nil
	}
	var s *string
	if json.Unmarshal(raw, &s) != nil {
		f.wrong("body", name, "string_type", "Input should be a valid string", nil)
		return nil
	}
	if s != nil && len(*s) < least {
		f.wrong("body", name, "string_too_short", "String should have at least "+characters(least), nil)
	}
	if s != nil && len(*s) > most {
		f.wrong("body", name, "string_too_long", "String should have at most "+characters(most), nil)
	}
	return s
}

// integer returns a whole number that is not below least.
func (f *form) integer(name string, least int64) *int64 {
	raw, there := f.fields[name]
	if !there || !f.has(name) {
		return nil
	}
	var n int64
	switch {
	case json.Unmarshal(raw, &n) != nil:
		f.wrong("body", name, "int_type", intType, nil)
		return nil
	case n < least:
		f.wrong("body", name, "greater_than_equal", fmt.Sprintf("Input should be greater than or equal to %d", least), nil)
	}
	return &n
}

// given says whether the body has the field, null too.
func (f *form) given(name string) bool {
	_, there := f.fields[name]
	return there
}

// integers returns a list of whole numbers.
func (f *form) integers(name string) (list []int64) {
	if !f.has(name) {
		return nil
	}
	for i, raw := range f.list(name) {
		var n int64
		if json.Unmarshal(raw, &n) != nil || string(bytes.TrimSpace(raw)) == "null" {
			f.faults = append(f.faults, fault{Type: "int_type", Loc: []any{"body", name, i}, Msg: intType})
		}
		list = append(list, n)
	}
	return list
}

// amount returns an amount of money by its digits.
func (f *form) amount(name string) *decimal.Decimal {
	raw, there := f.fields[name]
	if !there || !f.has(name) {
		return nil
	}
	var digits json.Number
	if raw[0] == '"' || json.Unmarshal(raw, &digits) != nil {
		f.wrong("body", name, "float_type", "Input should be a valid number", nil)
		return nil
	}
	n, err := rbac.ParseAmountJSON(raw)
	switch {
	case strings.HasPrefix(digits.String(), "-"):
		f.wrong("body", name, "greater_than_equal", "Input should be greater than or equal to 0", nil)
	case err != nil:
		f.wrong("body", name, "float_type", "Input should be a valid number", nil)
	}
	return &n
}

// list returns a list.
func (f *form) list(name string) (list []json.RawMessage) {
	if json.Unmarshal(f.fields[name], &list) != nil {
		f.wrong("body", name, "list_type", "Input should be a valid list", nil)
	}
	return list
}

// words returns a list of some words, each once.
func (f *form) words(name string, known []string) []string {
	list := []string{}
	for i, raw := range f.list(name) {
		var word string
		if json.Unmarshal(raw, &word) != nil || !slices.Contains(known, word) {
			f.faults = append(f.faults, fault{Type: "enum", Loc: []any{"body", name, i}, Msg: "Input should be " + either(known)})
			continue
		}
		if !slices.Contains(list, word) {
			list = append(list, word)
		}
	}
	return list
}

// either says that one of the words would be right.
func either(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = "'" + word + "'"
	}
	return strings.Join(quoted[:len(quoted)-1], ", ") + " or " + quoted[len(quoted)-1]
}

const (
	intType    = "Input should be a valid integer"
	intParsing = intType + ", unable to parse string as an integer"
)

// maybeOneOf is oneOf where the parameter may be missing.
func (f *form) maybeOneOf(name string, words ...string) string {
	if _, there := f.parameter(name, ""); !there {
		return ""
	}
	return f.oneOf(name, "", words...)
}

// wanted returns a parameter that is a number, nil where there is none.
func (f *form) wanted(name, alias string) *int64 {
	if _, there := f.parameter(name, alias); !there {
		return nil
	}
	n := f.number(name, alias, 0, 0, 0)
	return &n
}

// future returns a time, in Unix seconds, that is still to come.
func (f *form) future(name string, now time.Time) *int64 {
	n := f.integer(name, 0)
	if n != nil && !time.Unix(*n, 0).After(now) {
		f.wrong("body", name, "value_error", "Value error, Wrong timestamp, must be in the future.", nil)
	}
	return n
}

// oneOf returns a parameter that is one of some words, the first where there is none.
func (f *form) oneOf(name, alias string, words ...string) string {
	text, there := f.parameter(name, alias)
	if !there {
		return words[0]
	}
	if !slices.Contains(words, text) {
		f.wrong("query", name, "literal_error", "Input should be "+either(words), text)
	}
	return text
}
