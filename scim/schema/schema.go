// Package schema is what SCIM resources are made of (RFC 7643): attributes as data.
//
// [Users] and [Groups] describe the two resource types of this library. The same tables are shown to clients, check what
// they send, and tell filters and patches what an attribute is, so that none of these can differ from another.
//
// A resource is an [Object] whose names are spelled as in its schema. Nothing in this package changes, and all of it is
// safe for concurrent use.
package schema

import "strings"

// Type says what the values of an attribute are.
type Type string

// The types (RFC 7643 §2.3).
const (
	String    Type = "string"
	Boolean   Type = "boolean"
	DateTime  Type = "dateTime"
	Reference Type = "reference"
	Binary    Type = "binary"
	Complex   Type = "complex"
)

// Mutability says who may write an attribute, and when.
type Mutability string

// The mutabilities (RFC 7643 §7).
const (
	ReadWrite Mutability = "readWrite"
	ReadOnly  Mutability = "readOnly"
	Immutable Mutability = "immutable"
	WriteOnly Mutability = "writeOnly"
)

// Returned says when an attribute is in an answer.
type Returned string

// When attributes are returned (RFC 7643 §7).
const (
	Always  Returned = "always"
	Never   Returned = "never"
	Default Returned = "default"
)

// Attribute is a part of a resource, or of a complex attribute.
type Attribute struct {
	Name        string
	Type        Type
	Multi       bool // a list of such values
	Description string
	Required    bool
	CaseExact   bool
	Canonical   []string // values that are usual; others are taken too
	Mutability  Mutability
	Returned    Returned
	Unique      bool     // no two resources of an organization agree in it
	References  []string // what a reference may point to
	Sub         []Attribute
}

// Find returns a sub-attribute by its name in any case, nil where there is none.
func (a *Attribute) Find(name string) *Attribute { return find(a.Sub, name) }

// Value is the sub-attribute that stands for the whole where none is named (RFC 7643 §2.4), nil where there is none.
func (a *Attribute) Value() *Attribute { return a.Find("value") }

func find(attributes []Attribute, name string) *Attribute {
	for i := range attributes {
		if strings.EqualFold(attributes[i].Name, name) {
			return &attributes[i]
		}
	}
	return nil
}

// Schema is a named set of attributes.
type Schema struct {
	ID          string // URN
	Name        string
	Description string
	Attributes  []Attribute
}

// Find returns an attribute by its name in any case, nil where there is none.
func (s *Schema) Find(name string) *Attribute { return find(s.Attributes, name) }

// ResourceType is a kind of resource.
type ResourceType struct {
	Name        string // User
	Endpoint    string // /Users
	Description string
	Core        Schema
	Extensions  []Schema // none of them is required
}

// Schemas are the core schema and the extensions.
func (t *ResourceType) Schemas() []Schema { return append([]Schema{t.Core}, t.Extensions...) }

// Extension returns the extension of that URN in any case, nil where there is none.
func (t *ResourceType) Extension(urn string) *Schema {
	for i := range t.Extensions {
		if strings.EqualFold(t.Extensions[i].ID, urn) {
			return &t.Extensions[i]
		}
	}
	return nil
}

// Ref is an attribute of a resource type, or a sub-attribute of it, or a whole extension.
type Ref struct {
	Extension *Schema    // nil: of the core schema
	Attribute *Attribute // nil: the whole extension
	Sub       *Attribute // nil: the attribute itself
}

// Name is how the attribute is addressed, such as emails.value.
func (r Ref) Name() string {
	name := ""
	if r.Extension != nil {
		name = r.Extension.ID
	}
	if r.Attribute != nil {
		if name != "" {
			name += ":"
		}
		name += r.Attribute.Name
	}
	if r.Sub != nil {
		name += "." + r.Sub.Name
	}
	return name
}

// Last is the attribute or sub-attribute itself, nil for a whole extension.
func (r Ref) Last() *Attribute {
	if r.Sub != nil {
		return r.Sub
	}
	return r.Attribute
}

// Find resolves the parts of an attribute path, all of them in any case (RFC 7644 §3.10). A URN is of the core schema or of
// an extension. Where an older client joined the attribute to the URN by a dot, the URN ends a word earlier. ok is false
// where the resource type has no such attribute.
func (t *ResourceType) Find(urn, attr, sub string) (r Ref, ok bool) {
	if urn != "" {
		if whole := urn + ":" + attr; strings.EqualFold(whole, t.Core.ID) || t.Extension(whole) != nil {
			urn = whole
			attr, sub, _ = strings.Cut(sub, ".")
		}
		if !strings.EqualFold(urn, t.Core.ID) {
			if r.Extension = t.Extension(urn); r.Extension == nil {
				return r, false
			}
		}
	}
	from := &t.Core
	if r.Extension != nil {
		from = r.Extension
		if attr == "" {
			return r, sub == ""
		}
	}
	if r.Attribute = from.Find(attr); r.Attribute == nil && r.Extension == nil {
		r.Attribute = find(common, attr)
	}
	if r.Attribute == nil {
		return r, false
	}
	if sub != "" {
		r.Sub = r.Attribute.Find(sub)
		return r, r.Sub != nil
	}
	return r, true
}
