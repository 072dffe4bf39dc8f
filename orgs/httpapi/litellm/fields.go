package litellm

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// fields are what a request says. What does not fit is collected, and told at once by err.
type fields struct {
	at    string // body or query
	given map[string]raw
	list  []fault
}

func bodyFields(given map[string]raw) *fields { return &fields{at: "body", given: given} }

func queryFields(q url.Values) *fields {
	f := &fields{at: "query", given: map[string]raw{}}
	for name := range q {
		f.given[name], _ = json.Marshal(q.Get(name))
	}
	return f
}

// value is one field: absent, null, or a value.
type value[T any] struct {
	set  bool // it is there
	null bool
	v    T
}

// some says whether it has a value.
func (v value[T]) some() bool { return v.set && !v.null }

// ptr is nil without a value.
func (v value[T]) ptr() *T {
	if !v.some() {
		return nil
	}
	return &v.v
}

func (f *fields) fault(typ, msg string, loc ...string) {
	f.list = append(f.list, fault{Type: typ, Loc: append([]string{f.at}, loc...), Msg: msg})
}

// err is the error of everything that does not fit, if there is anything.
func (f *fields) err() error {
	if len(f.list) == 0 {
		return nil
	}
	return invalid(f.list...)
}

// only faults every other field.
func (f *fields) only(known []string) {
	for _, name := range slices.Sorted(maps.Keys(f.given)) {
		if !slices.Contains(known, name) {
			f.fault("extra_forbidden", "Extra inputs are not permitted", plain(name))
		}
	}
}

// peek is a text before anything is checked, "" for none.
func (f *fields) peek(name string) (s string) {
	_ = json.Unmarshal(f.given[name], &s)
	return s
}

func isNull(r raw) bool { return string(bytes.TrimSpace(r)) == "null" }

// read is a field as parse reads it.
func read[T any](f *fields, name, typ, msg string, parse func(raw) (T, bool)) (v value[T]) {
	r, there := f.given[name]
	if !there {
		return v
	}
	v.set = true
	if v.null = isNull(r); v.null {
		return v
	}
	var fits bool
	if v.v, fits = parse(r); !fits {
		f.fault(typ, msg, name)
	}
	return v
}

func (f *fields) text(name string) value[string] {
	return read(f, name, "string_type", "Input should be a valid string", func(r raw) (s string, ok bool) {
		ok = json.Unmarshal(r, &s) == nil && !strings.ContainsRune(s, 0)
		return s, ok
	})
}

// needed is a text that has to be there.
func (f *fields) needed(name string) string {
	v := f.text(name)
	if !v.set {
		f.fault("missing", "Field required", name)
	} else if v.null {
		f.fault("string_type", "Input should be a valid string", name)
	}
	return v.v
}

func (f *fields) texts(name string) value[[]string] {
	return read(f, name, "list_type", "Input should be a valid list", func(r raw) ([]string, bool) {
		var some []*string
		if json.Unmarshal(r, &some) != nil {
			return nil, false
		}
		list := []string{}
		for _, s := range some {
			if s == nil || strings.ContainsRune(*s, 0) {
				return nil, false
			}
			list = append(list, *s)
		}
		return list, true
	})
}

func (f *fields) boolean(name string) value[bool] {
	return read(f, name, "bool_parsing", "Input should be a valid boolean", func(r raw) (b bool, ok bool) {
		if json.Unmarshal(r, &b) == nil {
			return b, true
		}
		switch strings.ToLower(strings.Trim(string(r), `"`)) {
		case "true", "1", "yes", "on":
			return true, true
		case "false", "0", "no", "off":
			return false, true
		}
		return false, false
	})
}

// digits are those of a number, or of a text that holds one.
func digits(r raw) (string, bool) {
	var n json.Number
	if json.Unmarshal(r, &n) != nil { // which takes a text of a number too
		return "", false
	}
	return n.String(), n != ""
}

// number is an amount, parsed from its digits. What there can be no such amount of is no number.
func number(r raw) (d decimal.Decimal, ok bool) {
	s, ok := digits(r)
	if !ok || len(s) > 64 {
		return d, false
	}
	d, err := decimal.NewFromString(s)
	if err != nil || d.Exponent() > 20 || d.Exponent() < -64 {
		return d, false
	}
	_, err = rbac.ParseAmount(d.Abs().String()) // what is negative is told by the rules of the field
	return d, err == nil
}

func (f *fields) amount(name string) value[decimal.Decimal] {
	return read(f, name, "float_parsing", "Input should be a valid number", number)
}

func whole(r raw) (int64, bool) {
	s, ok := digits(r)
	if !ok || len(s) > 64 {
		return 0, false
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	d, err := decimal.NewFromString(s)
	if err != nil || d.Exponent() > 20 || d.Exponent() < -64 || !d.IsInteger() || d.Abs().GreaterThan(decimal.NewFromInt(math.MaxInt64)) {
		return 0, false
	}
	return d.IntPart(), true
}

func (f *fields) count(name string) value[int64] {
	return read(f, name, "int_parsing", "Input should be a valid integer", whole)
}

func (f *fields) object(name string) value[map[string]raw] {
	return read(f, name, "dict_type", "Input should be a valid dictionary", func(r raw) (m map[string]raw, ok bool) {
		ok = json.Unmarshal(r, &m) == nil
		return m, ok
	})
}

// rule is a number that is below 0 (N2).
func rule(name string, received string) error {
	return detail(http.StatusBadRequest, name+" must be a non-negative finite number. Received: "+store.PlainText(received, 64))
}
