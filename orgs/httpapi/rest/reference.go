package rest

import (
	"bytes"
	_ "embed"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/orgkit/orgkit/orgs/httpapi"
)

const referencePath = "/reference"

//go:embed reference.html
var referenceHTML string

// group are the operations on one kind of thing.
type group struct {
	Name string
	Ops  []operationDoc
}

// operationDoc is an operation as people read it.
type operationDoc struct {
	ID, Method, Path, Summary string
	Open                      bool
	Params                    []fieldDoc
	Body, Answer              []fieldDoc
	Status                    string
}

// fieldDoc is a parameter or a field, by its whole name.
type fieldDoc struct {
	Name, Type, Doc string
	Required        bool
}

// reference serves the description as one page without scripts, which loads nothing.
func (a *api) reference(doc *huma.OpenAPI) (http.HandlerFunc, error) {
	page, err := template.New("reference").Parse(referenceHTML)
	if err != nil {
		return nil, err
	}
	text := sync.OnceValues(func() ([]byte, error) {
		var b bytes.Buffer
		err := page.Execute(&b, map[string]any{"Title": doc.Info.Title, "About": doc.Info.Description, "Groups": groups(doc)})
		return b.Bytes(), err
	})
	return func(w http.ResponseWriter, r *http.Request) {
		page, err := text()
		if err != nil {
			httpapi.WriteError(w, r, err, a.edge)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(page)
	}, nil
}

func groups(doc *huma.OpenAPI) (all []group) {
	of := map[string]int{}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		item := doc.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			name := subject(path)
			at, known := of[name]
			if !known {
				at, of[name] = len(all), len(all)
				all = append(all, group{Name: name})
			}
			all[at].Ops = append(all[at].Ops, documented(doc.Components.Schemas, op))
		}
	}
	slices.SortFunc(all, func(a, b group) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// subject is the kind of thing that a path is about: the last of those that it names by what they belong to.
func subject(path string) string {
	parts := strings.Split(strings.TrimPrefix(path, "/v1/"), "/")
	if len(parts) > 2 && strings.HasPrefix(parts[1], "{") && (parts[0] == "organizations" || parts[0] == "teams" || parts[0] == "users") {
		if len(parts) > 4 && parts[2] == "projects" {
			return parts[4]
		}
		return parts[2]
	}
	return parts[0]
}

func documented(schemas huma.Registry, op *huma.Operation) operationDoc {
	d := operationDoc{ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary, Open: op.Security != nil}
	for _, p := range op.Parameters {
		name := p.Name
		if p.In == "header" {
			name += " (header)"
		}
		d.Params = append(d.Params, fieldDoc{name, typeOf(schemas, p.Schema), p.Description, p.Required})
	}
	if op.RequestBody != nil {
		d.Body = fieldsOf(schemas, op.RequestBody.Content["application/json"].Schema, "", nil)
	}
	for status, r := range op.Responses {
		if strings.HasPrefix(status, "2") {
			d.Status = status
			if m := r.Content["application/json"]; m != nil {
				d.Answer = fieldsOf(schemas, m.Schema, "", nil)
			}
		}
	}
	return d
}

func resolved(schemas huma.Registry, s *huma.Schema) *huma.Schema {
	if s != nil && s.Ref != "" {
		return schemas.SchemaFromRef(s.Ref)
	}
	return s
}

// fieldsOf are the fields of a schema with those below them. What holds itself is not entered again.
func fieldsOf(schemas huma.Registry, s *huma.Schema, at string, within []*huma.Schema) (list []fieldDoc) {
	s = resolved(schemas, s)
	switch {
	case s == nil || slices.Contains(within, s):
		return nil
	case s.Items != nil:
		return fieldsOf(schemas, s.Items, at+"[]", within)
	}
	within = append(within, s)
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p, whole := s.Properties[name], name
		if at != "" {
			whole = at + "." + name
		}
		doc := p.Description
		if doc == "" {
			doc = resolved(schemas, p).Description
		}
		list = append(list, fieldDoc{whole, typeOf(schemas, p), doc, slices.Contains(s.Required, name)})
		list = append(list, fieldsOf(schemas, p, whole, within)...)
	}
	return list
}

// typeOf says what a value may be.
func typeOf(schemas huma.Registry, s *huma.Schema) string {
	s = resolved(schemas, s)
	switch {
	case s == nil:
		return "any"
	case len(s.OneOf) > 0:
		var all []string
		for _, one := range s.OneOf {
			all = append(all, typeOf(schemas, one))
		}
		return strings.Join(all, " or ")
	case len(s.Enum) > 0:
		var all []string
		for _, v := range s.Enum {
			if text, is := v.(string); is {
				all = append(all, text)
			}
		}
		return strings.Join(all, ", ")
	case s.Items != nil:
		return "list of " + typeOf(schemas, s.Items)
	case s.Type == "":
		return "any"
	}
	if s.Nullable {
		return s.Type + " or null"
	}
	return s.Type
}
