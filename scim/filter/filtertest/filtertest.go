// Package filtertest makes random filters and resources for tests. They draw on the same few values, so that many match.
package filtertest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/scim/schema"
)

// texts are values of attributes, and parts of them that filters look for.
var texts = []string{"", "a", "ab", "AB", "b", "work", "home", "Straße", "STRASSE", "é", "e\u0301", `qu"ote`, "a@x.org", "A@X.ORG", "x.org"}

// Filter returns a filter that binds to the type: its attributes, sensible operators, all forms of the grammar.
func Filter(r *rand.Rand, t *schema.ResourceType) string { return expr(r, t, 3) }

func expr(r *rand.Rand, t *schema.ResourceType, depth int) string {
	if depth == 0 || r.IntN(3) == 0 {
		return term(r, t)
	}
	switch r.IntN(4) {
	case 0:
		return "not (" + expr(r, t, depth-1) + ")"
	case 1:
		return "(" + expr(r, t, depth-1) + ")"
	default:
		return expr(r, t, depth-1) + pick(r, " and ", " AND ", " or ", " Or ") + expr(r, t, depth-1)
	}
}

func term(r *rand.Rand, t *schema.ResourceType) string {
	attrs, prefix := usable(t.Core.Attributes), pick(r, "", "", t.Core.ID+":")
	if len(t.Extensions) > 0 && r.IntN(5) == 0 {
		attrs, prefix = usable(t.Extensions[0].Attributes), t.Extensions[0].ID+":"
	}
	if r.IntN(4) == 0 {
		name := pick(r, "id", "externalId", "meta.resourceType", "meta.lastModified")
		if name == "meta.lastModified" {
			return name + pick(r, " gt ", " le ", " eq ") + `"2024-03-05T13:00:00+01:00"`
		}
		return name + " " + compare(r, &schema.Attribute{Type: schema.String})
	}
	a := &attrs[r.IntN(len(attrs))]
	name := prefix + anyCase(r, a.Name)
	if a.Type != schema.Complex {
		return name + " " + compare(r, a)
	}
	sub := &a.Sub[r.IntN(len(a.Sub))]
	then := &a.Sub[r.IntN(len(a.Sub))]
	switch {
	case a.Multi && r.IntN(3) == 0:
		inner := sub.Name + " " + compare(r, sub)
		if r.IntN(2) == 0 {
			inner += pick(r, " and ", " or ") + then.Name + " " + compare(r, then)
		}
		if r.IntN(2) == 0 {
			return name + "[" + inner + "]"
		}
		return name + "[" + inner + "]." + then.Name + " " + compare(r, then)
	case a.Value() != nil && r.IntN(3) == 0:
		return name + " " + compare(r, a.Value())
	}
	return name + "." + sub.Name + " " + compare(r, sub)
}

func usable(attrs []schema.Attribute) []schema.Attribute {
	return slices.DeleteFunc(slices.Clone(attrs), func(a schema.Attribute) bool { return a.Returned == schema.Never })
}

func compare(r *rand.Rand, a *schema.Attribute) string {
	switch r.IntN(8) {
	case 0:
		return "pr"
	case 1:
		return pick(r, "eq null", "ne null")
	}
	if a.Type == schema.Boolean {
		return pick(r, "eq ", "ne ") + pick(r, "true", "false", `"True"`, `"false"`)
	}
	raw, _ := json.Marshal(texts[r.IntN(len(texts))]) // a string
	return pick(r, "eq", "Eq", "eq", "eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le") + " " + string(raw)
}

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

func anyCase(r *rand.Rand, s string) string {
	return pick(r, s, strings.ToUpper(s), strings.ToLower(s))
}

// Resource returns a resource of the type. n makes what is unique in it so.
func Resource(r *rand.Rand, t *schema.ResourceType, n int) schema.Object {
	o := object(r, t.Core.Attributes)
	for _, a := range t.Core.Attributes {
		if a.Unique {
			o[a.Name] = fmt.Sprintf("%s-%d", texts[r.IntN(len(texts))], n)
		}
	}
	for _, ext := range t.Extensions {
		if e := object(r, ext.Attributes); len(e) > 0 {
			o[ext.ID] = e
		}
	}
	o["id"] = fmt.Sprintf("%s_%06d", strings.ToLower(t.Name), n)
	if r.IntN(2) == 0 {
		o["externalId"] = fmt.Sprintf("%s%d", texts[r.IntN(len(texts))], n)
	}
	o["meta"] = schema.Object{"resourceType": t.Name, "lastModified": pick(r, "2024-03-05T12:00:00Z", "2024-03-05T11:59:59.9999999Z", "2024-03-06T00:00:00Z")}
	return o
}

func object(r *rand.Rand, attrs []schema.Attribute) schema.Object {
	o := schema.Object{}
	for i := range attrs {
		a := &attrs[i]
		if a.Returned == schema.Never || r.IntN(2) == 0 {
			continue
		}
		if !a.Multi {
			o[a.Name] = value(r, a)
			continue
		}
		list := make([]any, r.IntN(3))
		for i := range list {
			list[i] = value(r, a)
		}
		o[a.Name] = list
	}
	return o
}

func value(r *rand.Rand, a *schema.Attribute) any {
	switch a.Type {
	case schema.Boolean:
		return r.IntN(2) == 0
	case schema.Complex:
		return object(r, a.Sub)
	}
	return texts[r.IntN(len(texts))]
}
