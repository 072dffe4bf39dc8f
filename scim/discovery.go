package scim

import (
	"net/http"
	"strings"

	"github.com/orgkit/orgkit/scim/schema"
)

// The limits that are advertised.
const (
	maxPage        = 1_000
	defaultPage    = 100
	maxBulk        = 1_000
	maxBulkPayload = 4 << 20
)

const listURN = "urn:ietf:params:scim:api:messages:2.0:ListResponse"

// listResponse is a list as it goes out (RFC 7644 §3.4.2).
type listResponse struct {
	Schemas      []string        `json:"schemas"`
	TotalResults int             `json:"totalResults"`
	ItemsPerPage int             `json:"itemsPerPage"`
	StartIndex   int             `json:"startIndex,omitempty"`
	NextCursor   string          `json:"nextCursor,omitempty"`
	Resources    []schema.Object `json:"Resources"`
}

func listOf(all []schema.Object) listResponse {
	return listResponse{Schemas: []string{listURN}, TotalResults: len(all), ItemsPerPage: len(all), StartIndex: 1, Resources: all}
}

// discovery returns what the service says of itself (RFC 7644 §4). It is the same for everybody.
func (h *Handler) discovery(parts []string) (body func() (any, bool), ok bool) {
	one := ""
	if len(parts) > 1 {
		one = strings.Join(parts[1:], "/")
	}
	switch parts[0] {
	case "ServiceProviderConfig":
		return func() (any, bool) { return h.config(), one == "" }, true
	case "ResourceTypes":
		return func() (any, bool) { return pick(h.resourceTypes(), one) }, true
	case "Schemas":
		return func() (any, bool) { return pick(h.schemas(), one) }, true
	}
	return nil, false
}

// pick is the list, or the one of it that has the id.
func pick(all []schema.Object, id string) (any, bool) {
	if id == "" {
		return listOf(all), true
	}
	for _, o := range all {
		if strings.EqualFold(o.Text("id"), id) {
			return o, true
		}
	}
	return nil, false
}

func (h *Handler) discover(w http.ResponseWriter, r *http.Request, body func() (any, bool)) {
	b, ok := body()
	switch {
	case r.Method != http.MethodGet:
		h.fail(w, r, wrongMethod("GET"))
	case r.URL.Query().Has("filter"):
		h.fail(w, r, &statusError{http.StatusForbidden, "what the service says of itself cannot be filtered"})
	case !ok:
		h.fail(w, r, &statusError{http.StatusNotFound, "there is no such resource type or schema"})
	default:
		writeJSON(w, http.StatusOK, b)
	}
}

func (h *Handler) meta(kind, path string) schema.Object {
	return schema.Object{"resourceType": kind, "location": h.base + path}
}

func supported(is bool) schema.Object { return schema.Object{"supported": is} }

func (h *Handler) config() schema.Object {
	c := schema.Object{
		"schemas":        []string{"urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"},
		"patch":          supported(true),
		"bulk":           schema.Object{"supported": true, "maxOperations": maxBulk, "maxPayloadSize": maxBulkPayload},
		"filter":         schema.Object{"supported": true, "maxResults": maxPage},
		"changePassword": supported(false),
		"sort":           supported(true),
		"etag":           supported(true),
		"pagination": schema.Object{"cursor": true, "index": true, "defaultPaginationMethod": "index", "defaultPageSize": defaultPage,
			"maxPageSize": maxPage, "cursorTimeout": int(cursorLife.Seconds())},
		"authenticationSchemes": []schema.Object{{"type": "oauthbearertoken", "name": "OAuth Bearer Token",
			"description": "A token of the organization, in the Authorization header", "specUri": "https://www.rfc-editor.org/info/rfc6750", "primary": true}},
		"meta": h.meta("ServiceProviderConfig", "/ServiceProviderConfig"),
	}
	if h.opt.Strict {
		c["interopProfileConformant"] = true
	}
	return c
}

func (h *Handler) resourceTypes() (all []schema.Object) {
	for _, k := range kinds {
		o := schema.Object{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:ResourceType"}, "id": k.typ.Name, "name": k.typ.Name,
			"description": k.typ.Description, "endpoint": k.typ.Endpoint, "schema": k.typ.Core.ID, "meta": h.meta("ResourceType", "/ResourceTypes/"+k.typ.Name)}
		extensions := []schema.Object{}
		for _, e := range k.typ.Extensions {
			extensions = append(extensions, schema.Object{"schema": e.ID, "required": false})
		}
		o["schemaExtensions"] = extensions
		all = append(all, o)
	}
	return all
}

func (h *Handler) schemas() (all []schema.Object) {
	for _, k := range kinds {
		for _, s := range k.typ.Schemas() {
			all = append(all, schema.Object{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Schema"}, "id": s.ID, "name": s.Name,
				"description": s.Description, "attributes": attributes(s.Attributes), "meta": h.meta("Schema", "/Schemas/"+s.ID)})
		}
	}
	return all
}

func attributes(list []schema.Attribute) []schema.Object {
	shown := make([]schema.Object, len(list))
	for i, a := range list {
		unique := "none"
		if a.Unique {
			unique = "server"
		}
		o := schema.Object{"name": a.Name, "type": a.Type, "multiValued": a.Multi, "description": a.Description, "required": a.Required,
			"caseExact": a.CaseExact, "mutability": a.Mutability, "returned": a.Returned, "uniqueness": unique}
		if a.Canonical != nil {
			o["canonicalValues"] = a.Canonical
		}
		if a.References != nil {
			o["referenceTypes"] = a.References
		}
		if a.Sub != nil {
			o["subAttributes"] = attributes(a.Sub)
		}
		shown[i] = o
	}
	return shown
}
