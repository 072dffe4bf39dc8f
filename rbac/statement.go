package rbac

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/orgkit/orgkit/store"
)

// Effect is what a statement does where it holds. Only the two values exist; any other is refused
// when it is written.
type Effect string

// The effects.
const (
	EffectAllow Effect = "allow"
	EffectDeny  Effect = "deny"
)

// Statement allows or denies actions on resources while its conditions hold.
type Statement struct {
	Effect     Effect     `json:"effect"`
	Actions    []string   `json:"actions"`   // permissions, colon or dot
	Resources  []string   `json:"resources"` // type:glob
	Conditions Conditions `json:"conditions,omitzero"`

	// NotResources excepts resources. Only compiled settings have it.
	NotResources []string `json:"-"`
}

// MaxEntries is the most actions or resources of one statement.
const MaxEntries = 200

// UnmarshalJSON refuses fields that are not known: a mistyped condition must not be ignored. Its
// errors are *store.FieldError, with the path from the statement on.
func (s *Statement) UnmarshalJSON(b []byte) error {
	type plain Statement
	return strict(b, "", (*plain)(s))
}

// strict decodes one JSON object and names the field that is wrong.
func strict(b []byte, at string, into any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		return nil
	}
	var field *store.FieldError
	if errors.As(err, &field) {
		return &store.FieldError{Field: join(at, field.Field), Code: field.Code, Message: field.Message}
	}
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		return store.Invalid(join(at, typ.Field), "type", "has the wrong type")
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return store.Invalid(join(at, strings.Trim(name, `"`)), "unknown", "is not known")
	}
	return store.Invalid(at, "json", "is not valid JSON of this kind")
}

func join(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	return a + "." + b
}

// Validate names the first field that is wrong, behind the path of the statement.
func (s Statement) Validate(path string) error {
	if s.Effect != EffectAllow && s.Effect != EffectDeny {
		return store.Invalid(join(path, "effect"), "enum", "must be allow or deny")
	}
	if n := len(s.Actions); n < 1 || n > MaxEntries {
		return store.Invalid(join(path, "actions"), "range", "must have from 1 to %d entries", MaxEntries)
	}
	for i, a := range s.Actions {
		if p, err := ParsePermission(a); err != nil || p.own {
			return store.Invalid(fmt.Sprintf("%s[%d]", join(path, "actions"), i), "pattern", "must be an action such as models:use, usage.* or *")
		}
	}
	if n := len(s.Resources); n < 1 || n > MaxEntries {
		return store.Invalid(join(path, "resources"), "range", "must have from 1 to %d entries", MaxEntries)
	}
	for i, r := range s.Resources {
		if _, err := ParseResource(r); err != nil {
			return store.Invalid(fmt.Sprintf("%s[%d]", join(path, "resources"), i), "pattern", "must be type:name, * for any run of characters")
		}
	}
	return s.Conditions.validate(join(path, "conditions"))
}
