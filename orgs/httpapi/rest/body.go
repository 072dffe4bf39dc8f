package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// money is the schema of amounts: a number, or a string that holds one.
type money struct{}

// Schema describes amounts to clients.
func (money) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{{Type: huma.TypeNumber}, {Type: huma.TypeString}},
		Description: "decimal in USD, at most 18 digits before and 12 after the point"}
}

// object is a free JSON object, kept as it was written.
type object json.RawMessage

// Schema describes free objects to clients.
func (object) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
}

// MarshalJSON returns the text.
func (o object) MarshalJSON() ([]byte, error) { return json.RawMessage(o).MarshalJSON() }

// UnmarshalJSON keeps the text.
func (o *object) UnmarshalJSON(b []byte) error {
	*o = append((*o)[:0], b...)
	return nil
}

// statement is one statement of a policy, which package rbac reads by itself.
type statement json.RawMessage

// Schema describes statements to clients; what they hold is checked by rbac.
func (statement) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true,
		Description: "effect, actions, resources and conditions"}
}

// MarshalJSON returns the text.
func (s statement) MarshalJSON() ([]byte, error) { return json.RawMessage(s).MarshalJSON() }

// UnmarshalJSON keeps the text.
func (s *statement) UnmarshalJSON(b []byte) error {
	*s = append((*s)[:0], b...)
	return nil
}

// faulty is the error of one field, by where it stands: body.slug, query.limit, header.If-Match.
func faulty(location, code, message string) error {
	return &httpapi.Faults{List: []httpapi.Fault{{Location: location, Code: code, Message: message}}}
}

// read returns the body of the request, checked against the schema of B. Nulls are absent fields,
// unless nulls says that they mean something. Errors name the field and repeat no value.
func read[B any](ctx context.Context, a *api, nulls bool) (b B, err error) {
	r := request(ctx)
	if err := httpapi.CheckMediaType(r.Request); err != nil {
		return b, err
	}
	raw := r.body
	if r.err != nil {
		return b, r.err
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = []byte("{}")
	}
	return decode[B](a, raw, nulls)
}

// decode is read for a body in hand.
func decode[B any](a *api, raw []byte, nulls bool) (b B, err error) {
	var parsed any
	if err := json.Unmarshal(raw, &parsed); err != nil {
		return b, faulty("body", "json", "is not valid JSON")
	}
	if httpapi.HasNUL(parsed) {
		return b, faulty("body", "pattern", "has a NUL character, which no text here may have")
	}
	written := raw
	if !nulls {
		if parsed, raw, err = withoutNulls(raw); err != nil {
			return b, err
		}
	}
	if err := a.validate(reflect.TypeFor[B](), parsed); err != nil {
		return b, err
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		return b, unreadable(err, reflect.TypeFor[B](), raw)
	}
	if n, ok := any(&b).(nullable); ok {
		var has fields
		if err := json.Unmarshal(written, &has); err != nil {
			return b, err
		}
		n.nulls(has)
	}
	return b, nil
}

// nullable is a body in which null means something else than an absent field.
type nullable interface{ nulls(has fields) }

// withoutNulls drops fields that are null. Numbers keep their digits.
func withoutNulls(raw []byte) (parsed any, clean []byte, err error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, nil, err
	}
	if clean, err = json.Marshal(prune(v)); err != nil {
		return nil, nil, err
	}
	return parsed, clean, json.Unmarshal(clean, &parsed)
}

func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, field := range v {
			if field == nil {
				delete(v, name)
			} else if name != "metadata" { // free objects stay as they are
				v[name] = prune(field)
			}
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
	}
	return v
}

func (a *api) validate(t reflect.Type, parsed any) error {
	registry := a.huma.OpenAPI().Components.Schemas
	path, result := huma.NewPathBuffer(make([]byte, 0, 128), 0), &huma.ValidateResult{}
	path.Push("body")
	huma.Validate(registry, registry.Schema(t, true, ""), path, huma.ModeWriteToServer, parsed, result)
	if len(result.Errors) == 0 {
		return nil
	}
	faults := &httpapi.Faults{}
	for _, err := range result.Errors {
		var d *huma.ErrorDetail
		if errors.As(err, &d) {
			faults.List = append(faults.List, fault(d))
		}
	}
	return faults
}

// codes of Huma's messages, by how they begin.
var codes = []struct{ prefix, code string }{
	{"expected required property", "required"}, {"unexpected property", "unknown"}, {"unknown query parameter", "unknown"},
	{"expected value to be one of", "enum"}, {"expected value to match exactly one schema", "type"}, {"expected string to match pattern", "pattern"},
	{"expected length", "range"}, {"expected number >", "range"}, {"expected number <", "range"}, {"expected array length", "range"},
	{"expected", "type"}, {"invalid", "type"}, {"request body is required", "required"},
}

// fault is one error of Huma without the value, which it would echo, and without what follows a
// colon in its text, where some messages repeat it.
func fault(e *huma.ErrorDetail) httpapi.Fault {
	message, _, _ := strings.Cut(e.Message, ": ")
	f := httpapi.Fault{Location: e.Location, Code: "invalid", Message: message}
	for _, c := range codes {
		if strings.HasPrefix(message, c.prefix) {
			f.Code = c.code
			break
		}
	}
	if name, found := strings.CutPrefix(message, "expected required property "); found {
		name, _, _ = strings.Cut(name, " ")
		f.Location, f.Message = e.Location+"."+name, "is required"
	}
	return f
}

// unreadable names the field of an error that a type of ours has raised.
func unreadable(err error, t reflect.Type, raw []byte) error {
	var field *store.FieldError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &field):
		return err
	case errors.As(err, &typ):
		return store.Invalid(typ.Field, "type", "has the wrong type")
	case errors.Is(err, rbac.ErrAmount):
		return store.Invalid(badAmount(t, raw, ""), "amount", "%s", rbac.ErrAmount.Error())
	}
	return store.Invalid("", "json", "the body cannot be read")
}

// badAmount finds the amount in a body that is none.
func badAmount(t reflect.Type, raw json.RawMessage, at string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[billing.Amount]() {
		if _, err := rbac.ParseAmountJSON(raw); err != nil {
			return at
		}
		return ""
	}
	if t.Kind() != reflect.Struct {
		return ""
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return ""
	}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		part, there := fields[name]
		if !there || string(part) == "null" {
			continue
		}
		below := name
		if at != "" {
			below = at + "." + name
		}
		if found := badAmount(f.Type, part, below); found != "" {
			return found
		}
	}
	return ""
}

// indexed prefixes the path of an error in the i-th element of a list.
func indexed(err error, list string, i int) error {
	var field *store.FieldError
	if errors.As(err, &field) {
		return store.Invalid(strings.TrimSuffix(fmt.Sprintf("%s[%d].%s", list, i, field.Field), "."), field.Code, "%s", field.Message)
	}
	return err
}

// renamed is an error of a field whose body calls it otherwise: the beginning of its path that is known gets the other name.
func renamed(err error, names map[string]string) error {
	var field *store.FieldError
	if !errors.As(err, &field) {
		return err
	}
	for end := len(field.Field); end > 0; end-- {
		if to, known := names[field.Field[:end]]; known {
			return store.Invalid(to+field.Field[end:], field.Code, "%s", field.Message)
		}
	}
	return err
}
