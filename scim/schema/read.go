package schema

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
)

// Reading is how a resource is read from a body.
type Reading struct {
	// Strict refuses attributes that the type does not have. Else they are dropped.
	Strict bool
	// Dropped are the names of attributes that were not read, for the log.
	Dropped []string
}

// Read makes a resource of a decoded body (RFC 7644 §3.3). What only the server writes is dropped, and so is a password;
// null and empty lists are no values. Clients' habits are taken: booleans as words, a lone value for a list or for an object
// that has a value, names with a URN or a dot.
func (t *ResourceType) Read(body map[string]any, how *Reading) (Object, error) {
	if err := t.checkSchemas(body); err != nil {
		return nil, err
	}
	o := Object{}
	for name, v := range body {
		r, known := t.Lookup(name)
		switch {
		case !known && how.Strict:
			return nil, Errorf(InvalidSyntax, "there is no attribute of one of these names in %s", t.Name)
		case !known:
			how.Dropped = append(how.Dropped, clip(name))
			continue
		}
		if err := o.read(r, v, how); err != nil {
			return nil, err
		}
	}
	slices.Sort(how.Dropped)
	return o, t.Check(o)
}

// clip keeps the log short.
func clip(name string) string { return name[:min(len(name), 100)] }

// checkSchemas: a body names its schemas (RFC 7643 §3). Others than ours do not matter.
func (t *ResourceType) checkSchemas(body map[string]any) error {
	v, ok := Named(body, "schemas")
	list, isList := v.([]any)
	if !ok || !isList || len(list) == 0 {
		return Errorf(InvalidSyntax, "schemas must be a list that names %s", t.Core.ID)
	}
	named := slices.ContainsFunc(list, func(urn any) bool {
		s, _ := urn.(string)
		return strings.EqualFold(s, t.Core.ID)
	})
	if !named {
		return Errorf(InvalidSyntax, "schemas must name %s", t.Core.ID)
	}
	return nil
}

// Lookup is Find for a name as it stands in a body, with its URN before and a sub-attribute behind it, or of an extension.
func (t *ResourceType) Lookup(name string) (Ref, bool) {
	if ext := t.Extension(name); ext != nil {
		return Ref{Extension: ext}, true
	}
	urn := ""
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		urn, name = name[:i], name[i+1:]
	}
	attr, sub, _ := strings.Cut(name, ".")
	return t.Find(urn, attr, sub)
}

// read takes one member of a body over.
func (o Object) read(r Ref, v any, how *Reading) error {
	if r.Attribute == nil {
		part, ok := v.(map[string]any)
		if v == nil {
			return nil
		}
		if !ok {
			return Errorf(InvalidValue, "%s must be an object", r.Extension.ID)
		}
		for name, v := range part {
			a := r.Extension.Find(name)
			if a == nil {
				if how.Strict {
					return Errorf(InvalidSyntax, "there is no attribute of one of these names in %s", r.Extension.ID)
				}
				how.Dropped = append(how.Dropped, clip(name))
				continue
			}
			if err := o.read(Ref{Extension: r.Extension, Attribute: a}, v, how); err != nil {
				return err
			}
		}
		return nil
	}
	if a := r.Attribute; a.Mutability == ReadOnly || a.Returned == Never || a.Name == "schemas" {
		return nil
	}
	if r.Sub != nil {
		if r.Sub.Mutability == ReadOnly || r.Attribute.Multi {
			return nil
		}
		value, err := r.Sub.One(v, r.Name())
		if err != nil || value == nil {
			return err
		}
		whole, _ := o.Get(r).(Object)
		whole = whole.Clone()
		if whole == nil {
			whole = Object{}
		}
		whole[r.Sub.Name] = value
		o.Set(Ref{Extension: r.Extension, Attribute: r.Attribute}, whole)
		return nil
	}
	value, err := r.Attribute.ReadValue(v, r.Name())
	if err != nil || value == nil {
		return err
	}
	o.Set(r, value)
	return nil
}

// Set gives an attribute a value; nil, an empty list or object takes it away.
func (o Object) Set(r Ref, v any) {
	to, name := o, ""
	if r.Attribute != nil {
		name = r.Attribute.Name
	}
	if r.Extension != nil {
		if r.Attribute == nil {
			name = r.Extension.ID
		} else {
			ext, _ := o[r.Extension.ID].(Object)
			if ext == nil {
				ext = Object{}
			}
			o[r.Extension.ID] = ext
			to = ext
		}
	}
	if empty(v) {
		delete(to, name)
	} else {
		to[name] = v
	}
	if r.Extension != nil && r.Attribute != nil && len(to) == 0 {
		delete(o, r.Extension.ID)
	}
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case Object:
		return len(v) == 0
	}
	return false
}

// ReadValue reads what a body has for an attribute; nil is no value. name is for errors.
func (a *Attribute) ReadValue(v any, name string) (any, error) {
	if !a.Multi {
		return a.One(v, name)
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var read []any
	seen := make(map[string]bool, len(list)) // a group may have a hundred thousand members: not each is held against each
	for _, one := range list {
		value, err := a.One(one, name)
		if err != nil {
			return nil, err
		}
		if value == nil {
			continue
		}
		key, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		if !seen[string(key)] {
			seen[string(key)] = true
			read = append(read, value)
		}
	}
	if len(read) == 0 {
		return nil, nil
	}
	return read, nil
}

// Same says whether two values are the same.
func Same(a, b any) bool {
	switch a := a.(type) {
	case Object:
		b, ok := b.(Object)
		if !ok || len(a) != len(b) {
			return false
		}
		for name, v := range a {
			w, has := b[name]
			if !has || !Same(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, Same)
	}
	switch b.(type) {
	case Object, []any:
		return false
	}
	return a == b
}

// One is ReadValue for one value.
func (a *Attribute) One(v any, name string) (any, error) {
	if v == nil {
		return nil, nil
	}
	s, isText := v.(string)
	switch a.Type {
	case Boolean:
		switch {
		case v == true || isText && strings.EqualFold(s, "true"):
			return true, nil
		case v == false || isText && strings.EqualFold(s, "false"):
			return false, nil
		}
		return nil, Errorf(InvalidValue, "%s must be true or false", name)
	case Complex:
		if isText && a.Value() != nil { // the value alone
			if s == "" {
				return nil, nil
			}
			v = map[string]any{"value": s}
		}
		part, ok := v.(map[string]any)
		if !ok {
			return nil, Errorf(InvalidValue, "%s must be an object", name)
		}
		return a.readParts(part, name)
	}
	switch {
	case !isText:
		return nil, Errorf(InvalidValue, "%s must be a string", name)
	case a.Type == DateTime:
		if _, ok := Time(s); !ok {
			return nil, Errorf(InvalidValue, "%s must be a time such as 2024-03-05T12:00:00Z", name)
		}
	case a.Type == Binary:
		if _, err := base64.StdEncoding.DecodeString(s); err != nil {
			return nil, Errorf(InvalidValue, "%s must be base64", name)
		}
	}
	return s, nil
}

// readParts reads the sub-attributes of a complex value. Those that are unknown or the server's are dropped.
func (a *Attribute) readParts(part map[string]any, name string) (any, error) {
	o := Object{}
	for key, v := range part {
		sub := a.Find(key)
		if sub == nil || sub.Mutability == ReadOnly {
			continue
		}
		value, err := sub.One(v, name+"."+sub.Name)
		if err != nil {
			return nil, err
		}
		if value != nil {
			o[sub.Name] = value
		}
	}
	if len(o) == 0 {
		return nil, nil
	}
	return o, nil
}

// Check says whether a resource is one of the type: with what is required, and with one primary value at most of each kind.
func (t *ResourceType) Check(o Object) error {
	for _, s := range t.Schemas() {
		of := o
		if s.ID != t.Core.ID {
			of = o.Part(s.ID)
		}
		for i := range s.Attributes {
			a := &s.Attributes[i]
			if text, isText := of[a.Name].(string); a.Required && (!isText || strings.TrimSpace(text) == "") {
				return Errorf(InvalidValue, "%s is required", a.Name)
			}
			if a.Multi && len(Primaries(of.List(a.Name))) > 1 {
				return Errorf(InvalidValue, "%s has more than one primary value", a.Name)
			}
		}
	}
	return nil
}

// Primaries are the places of the primary values in a list.
func Primaries(list []any) (places []int) {
	for i, v := range list {
		if o, ok := v.(Object); ok && o["primary"] == true {
			places = append(places, i)
		}
	}
	return places
}

// URNs are the schemas of a resource: its core schema, and the extensions of which it has something.
func (t *ResourceType) URNs(o Object) []any {
	urns := []any{t.Core.ID}
	for _, ext := range t.Extensions {
		if len(o.Part(ext.ID)) > 0 {
			urns = append(urns, ext.ID)
		}
	}
	return urns
}
