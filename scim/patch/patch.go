// Package patch changes SCIM resources by the operations of RFC 7644 §3.5.2.
//
// [Parse] reads a request, [Apply] runs its operations one after another on a copy of a resource, of which each sees what the
// ones before it have done. An error leaves the resource as it was. Where clients differ from the RFC, or it is silent, the
// functions say what is done.
package patch

import (
	"slices"
	"strings"

	"github.com/orgkit/orgkit/scim/filter"
	"github.com/orgkit/orgkit/scim/schema"
)

// URN is the schema of the request.
const URN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

// Limits of a request.
const (
	MaxOperations = 1_000
	MaxValues     = 10_000 // in one operation
)

// Verb is what an operation does.
type Verb string

// The verbs.
const (
	Add     Verb = "add"
	Replace Verb = "replace"
	Remove  Verb = "remove"
)

// Operation is one of them.
type Operation struct {
	Verb  Verb
	Path  string // "" for none
	Value any    // as it was decoded; nil for none, and for null
	Given bool   // whether there is a value, be it null
}

// Options of [Apply].
type Options struct {
	// Strict refuses what the RFC allows and profiles forbid: operations without a path, unknown attributes, paths to whole
	// elements of a list; and does not make an element that a filter would have found.
	Strict bool
}

// Parse reads a decoded request. Names and verbs may be in any case; what else is in the body does not matter.
func Parse(body map[string]any) ([]Operation, error) {
	v, _ := schema.Named(body, "schemas")
	urns, _ := v.([]any)
	if !slices.ContainsFunc(urns, func(u any) bool { s, _ := u.(string); return strings.EqualFold(s, URN) }) {
		return nil, schema.Errorf(schema.InvalidSyntax, "schemas must name %s", URN)
	}
	v, _ = schema.Named(body, "Operations")
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return nil, schema.Errorf(schema.InvalidSyntax, "Operations must be a list of at least one")
	}
	if len(list) > MaxOperations {
		return nil, schema.Errorf(schema.TooMany, "a request has at most %d operations", MaxOperations)
	}
	ops := make([]Operation, len(list))
	for i, v := range list {
		o, ok := v.(map[string]any)
		if !ok {
			return nil, schema.Errorf(schema.InvalidSyntax, "Operations[%d] must be an object", i)
		}
		if err := ops[i].read(o, i); err != nil {
			return nil, err
		}
	}
	return ops, nil
}

func (op *Operation) read(o map[string]any, i int) error {
	v, _ := schema.Named(o, "op")
	verb, _ := v.(string)
	op.Verb = Verb(strings.ToLower(verb))
	if op.Verb != Add && op.Verb != Replace && op.Verb != Remove {
		return schema.Errorf(schema.InvalidSyntax, "Operations[%d].op must be add, replace or remove", i)
	}
	if v, _ := schema.Named(o, "path"); v != nil {
		path, ok := v.(string)
		if !ok {
			return schema.Errorf(schema.InvalidPath, "Operations[%d].path must be a string", i)
		}
		op.Path = strings.TrimSpace(path)
	}
	op.Value, op.Given = schema.Named(o, "value")
	if list, ok := op.Value.([]any); ok && len(list) > MaxValues {
		return schema.Errorf(schema.TooMany, "an operation has at most %d values", MaxValues)
	}
	switch {
	case op.Verb == Remove && op.Path == "":
		return schema.Errorf(schema.NoTarget, "Operations[%d] removes nothing: it has no path", i)
	case op.Verb != Remove && !op.Given:
		return schema.Errorf(schema.InvalidValue, "Operations[%d].value is required", i)
	}
	return nil
}

// Apply returns the resource after the operations.
func Apply(t *schema.ResourceType, o schema.Object, ops []Operation, how Options) (schema.Object, error) {
	p := &patcher{typ: t, object: o.Clone(), how: how}
	for _, op := range ops {
		var err error
		if op.Path == "" {
			err = p.whole(op)
		} else {
			err = p.at(op)
		}
		if err != nil {
			return nil, err
		}
	}
	return p.object, t.Check(p.object)
}

type patcher struct {
	typ    *schema.ResourceType
	object schema.Object
	how    Options
}

// whole runs an operation without a path: each member of the value is one of its own. Single complex values are merged,
// whatever the verb.
func (p *patcher) whole(op Operation) error {
	if p.how.Strict {
		return schema.Errorf(schema.InvalidSyntax, "an operation must have a path")
	}
	members, ok := op.Value.(map[string]any)
	if !ok {
		return schema.Errorf(schema.InvalidValue, "the value of an operation without a path must be an object")
	}
	return p.members(op.Verb, members, nil)
}

func (p *patcher) members(verb Verb, members map[string]any, ext *schema.Schema) error {
	for name, v := range members {
		r, known := p.typ.Lookup(name)
		if ext != nil {
			r = schema.Ref{Extension: ext, Attribute: ext.Find(name)}
			known = r.Attribute != nil
		}
		if !known {
			continue // as in a body
		}
		if r.Attribute == nil {
			part, ok := v.(map[string]any)
			if !ok {
				return schema.Errorf(schema.InvalidValue, "%s must be an object", r.Name())
			}
			if err := p.members(verb, part, r.Extension); err != nil {
				return err
			}
			continue
		}
		if r.Attribute.Name == "id" && r.Extension == nil && v == p.object["id"] {
			continue // some clients repeat it
		}
		if err := p.set(r, target{verb: verb, value: v, merge: true}); err != nil {
			return err
		}
	}
	return nil
}

// target is what is done to an attribute.
type target struct {
	verb  Verb
	value any
	merge bool // a single complex value
}

// at runs an operation with a path.
func (p *patcher) at(op Operation) error {
	path, err := filter.ParsePath(op.Path)
	if err != nil {
		return schema.Errorf(schema.InvalidPath, "path: %v", err)
	}
	r, ok := p.typ.Find(path.Path.URN, path.Path.Attr, path.Path.Sub)
	if !ok {
		return schema.Errorf(schema.InvalidPath, "path: there is no attribute %s", path.Path)
	}
	if r.Attribute == nil {
		return p.extension(op, r, path)
	}
	verb := op.Verb
	if op.Value == nil { // null is no value (RFC 7643 §2.5)
		verb = Remove
	}
	if path.Inner != nil {
		return p.elements(verb, op, r, path)
	}
	return p.set(r, target{verb: verb, value: op.Value, merge: verb == Add})
}

// extension changes a whole extension.
func (p *patcher) extension(op Operation, r schema.Ref, path filter.Target) error {
	if path.Inner != nil {
		return schema.Errorf(schema.InvalidPath, "path: %s has no elements", r.Name())
	}
	part, ok := op.Value.(map[string]any)
	if !ok && op.Value != nil {
		return schema.Errorf(schema.InvalidValue, "%s must be an object", r.Name())
	}
	if op.Verb != Add {
		delete(p.object, r.Extension.ID)
	}
	if op.Verb == Remove {
		return nil
	}
	return p.members(op.Verb, part, r.Extension)
}

// writable refuses what only the server writes. skip says that there is nothing to do.
func (p *patcher) writable(r schema.Ref, verb Verb) (skip bool, err error) {
	a, last := r.Attribute, r.Last()
	switch {
	case a.Name == "schemas" && r.Extension == nil && verb != Remove:
		return true, nil // which they are, the resource says
	case a.Mutability == schema.ReadOnly || last.Mutability == schema.ReadOnly || a.Name == "schemas" && r.Extension == nil:
		return false, schema.Errorf(schema.NotMutable, "%s cannot be written", r.Name())
	case verb == Remove && last.Required:
		return false, schema.Errorf(schema.NotMutable, "%s is required", r.Name())
	}
	return a.Returned == schema.Never, nil
}

// set changes an attribute or a sub-attribute.
func (p *patcher) set(r schema.Ref, to target) error {
	if skip, err := p.writable(r, to.verb); skip || err != nil {
		return err
	}
	whole := schema.Ref{Extension: r.Extension, Attribute: r.Attribute}
	switch {
	case r.Sub != nil && r.Attribute.Multi:
		return p.each(whole, r.Sub, to)
	case r.Sub != nil:
		part, _ := p.object.Get(whole).(schema.Object)
		part = part.Clone()
		if err := put(&part, r.Sub, to, r.Name()); err != nil {
			return err
		}
		p.object.Set(whole, part)
		return nil
	case r.Attribute.Multi:
		return p.list(whole, to)
	}
	if to.verb == Remove {
		p.object.Set(whole, nil)
		return nil
	}
	value, err := r.Attribute.ReadValue(to.value, r.Name())
	if err != nil {
		return err
	}
	if part, ok := value.(schema.Object); ok && to.merge {
		old, _ := p.object.Get(whole).(schema.Object)
		merged := old.Clone()
		if merged == nil {
			merged = schema.Object{}
		}
		for name, v := range part {
			merged[name] = v
		}
		value = merged
	}
	p.object.Set(whole, value)
	return nil
}

// put changes a sub-attribute of an object, which is made where there is none.
func put(o *schema.Object, sub *schema.Attribute, to target, name string) error {
	if *o == nil {
		*o = schema.Object{}
	}
	if to.verb == Remove {
		delete(*o, sub.Name)
		return nil
	}
	value, err := sub.ReadValue(to.value, name)
	if err != nil {
		return err
	}
	if (*o)[sub.Name] = value; value == nil {
		delete(*o, sub.Name)
	}
	return nil
}
