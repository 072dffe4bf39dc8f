package schema

import (
	"encoding/json"
	"strings"
	"time"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Object is a resource or a complex value. Its values are strings, booleans, Objects, and lists ([]any) of these; those of an
// extension are in an Object under its URN.
type Object map[string]any

// Clone is a copy that shares nothing with the object.
func (o Object) Clone() Object {
	if o == nil {
		return nil
	}
	c := make(Object, len(o))
	for name, v := range o {
		c[name] = cloneValue(v)
	}
	return c
}

func cloneValue(v any) any {
	switch v := v.(type) {
	case Object:
		return v.Clone()
	case []any:
		c := make([]any, len(v))
		for i, one := range v {
			c[i] = cloneValue(one)
		}
		return c
	}
	return v
}

// Get is the value of an attribute, nil where it has none. Of a sub-attribute it is that of the attribute, which has it.
func (o Object) Get(r Ref) any {
	if r.Extension != nil {
		ext, _ := o[r.Extension.ID].(Object)
		if r.Attribute == nil {
			if ext == nil {
				return nil
			}
			return ext
		}
		return ext[r.Attribute.Name]
	}
	return o[r.Attribute.Name]
}

// Text is the value of an attribute of the core schema that is a string, "" where there is none.
func (o Object) Text(name string) string {
	s, _ := o[name].(string)
	return s
}

// Part is a complex value of the object, nil where there is none.
func (o Object) Part(name string) Object {
	p, _ := o[name].(Object)
	return p
}

// List is the values of an attribute that has many.
func (o Object) List(name string) []any {
	l, _ := o[name].([]any)
	return l
}

// Present says whether a value counts as one: no null, no empty string or list, no complex value of such (RFC 7643 §2.5).
func Present(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case string:
		return v != ""
	case Object:
		for _, one := range v {
			if Present(one) {
				return true
			}
		}
		return false
	case []any:
		for _, one := range v {
			if Present(one) {
				return true
			}
		}
		return false
	}
	return true
}

// Key is the form in which values of an attribute are compared: as they are where the case counts, else [Fold].
func (a *Attribute) Key(s string) string {
	if a.CaseExact || a.Type == Reference || a.Type == Binary {
		return s
	}
	return Fold(s)
}

// Fold is the form in which text is compared where its case does not count: Unicode normalization form C, then full case
// folding. No database folds anything, so that all of them agree.
func Fold(s string) string {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return norm.NFC.String(cases.Fold().String(norm.NFC.String(s)))
		}
	}
	return strings.ToLower(s)
}

// Time reads a dateTime (RFC 7643 §2.3.5): RFC 3339, with any fraction.
func Time(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, err == nil
}

// UnmarshalJSON reads an object that was written as JSON.
func (o *Object) UnmarshalJSON(b []byte) error {
	var raw map[string]any
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	*o = objectOf(raw)
	return nil
}

func objectOf(raw map[string]any) Object {
	o := make(Object, len(raw))
	for name, v := range raw {
		o[name] = valueOf(v)
	}
	return o
}

func valueOf(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return objectOf(v)
	case []any:
		for i := range v {
			v[i] = valueOf(v[i])
		}
	}
	return v
}
