package litellm_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/httpapi/litellm"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestTheDescriptionHasLiteLLMsNames holds the description against the names by which clients are generated.
func TestTheDescriptionHasLiteLLMsNames(t *testing.T) { // F453
	text, err := litellm.Description()
	require.NoError(t, err)
	file := filepath.Join("testdata", "openapi.json")
	if *update {
		require.NoError(t, os.WriteFile(file, append(text, '\n'), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(text)+"\n")

	g := newGateway(t, storetest.Open(t, "memory", store.Options{}), litellm.Options{})
	doc := g.must("GET", "/openapi.json", "")
	schemas := doc["components"].(object)["schemas"].(object)
	for path, of := range map[string][3]string{
		"POST /organization/new":                   {"new_organization_organization_new_post", "NewOrganizationRequest", "NewOrganizationResponse"},
		"PATCH /organization/update":               {"update_organization_organization_update_patch", "LiteLLM_OrganizationTableUpdate", "LiteLLM_OrganizationTableWithMembers"},
		"DELETE /organization/delete":              {"delete_organization_organization_delete_delete", "DeleteOrganizationRequest", "LiteLLM_OrganizationTableWithMembers"},
		"GET /organization/list":                   {"list_organization_organization_list_get", "", "LiteLLM_OrganizationTableWithMembers"},
		"GET /organization/info":                   {"info_organization_organization_info_get", "", "LiteLLM_OrganizationTableWithMembers"},
		"POST /organization/info":                  {"deprecated_info_organization_organization_info_post", "OrganizationRequest", "LiteLLM_OrganizationTable"},
		"POST /organization/member_add":            {"organization_member_add_organization_member_add_post", "OrganizationMemberAddRequest", "OrganizationAddMemberResponse"},
		"PATCH /organization/member_update":        {"organization_member_update_organization_member_update_patch", "OrganizationMemberUpdateRequest", "LiteLLM_OrganizationMembershipTable"},
		"DELETE /organization/member_delete":       {"organization_member_delete_organization_member_delete_delete", "OrganizationMemberDeleteRequest", "DeletedOrganizationMembership"},
		"PATCH /v2/organization/{organization_id}": {"update_organization_v2_v2_organization__organization_id__patch", "OrganizationUpdateRequestV2", "LiteLLM_OrganizationTableWithMembers"},
	} {
		method, at, _ := strings.Cut(path, " ")
		op := doc["paths"].(object)[at].(object)[strings.ToLower(method)].(object)
		require.Equal(t, []any{of[0], []any{"organization management"}, []any{object{"APIKeyHeader": []any{}}}}, []any{op["operationId"], op["tags"], op["security"]})
		require.Contains(t, fmt.Sprint(op["responses"].(object)["200"]), "#/components/schemas/"+of[2]+"]")
		if of[1] != "" {
			require.Contains(t, fmt.Sprint(op["requestBody"]), "#/components/schemas/"+of[1]+"]")
		}
	}
	for _, name := range []string{"LiteLLM_BudgetTable", "LiteLLM_OrganizationTable", "LiteLLM_UserTable", "LiteLLM_TeamTable", "LiteLLM_ObjectPermissionBase", "LiteLLM_ObjectPermissionTable", "OrgMember",
		"BudgetNewRequest", "BudgetRequest", "BudgetDeleteRequest", "HTTPValidationError", "ValidationError"} {
		require.NotEmpty(t, schemas[name].(object)["properties"], name)
	}
	for name, s := range schemas {
		require.NotEmpty(t, name)
		require.Equal(t, name, s.(object)["title"])
	}
}

// described says what of an answer the description does not have, "" for nothing.
func described(schemas object, of object, v any) string {
	if ref, is := of["$ref"].(string); is {
		return described(schemas, schemas[ref[strings.LastIndex(ref, "/")+1:]].(object), v)
	}
	if any, is := of["anyOf"].([]any); is {
		said := ""
		for _, one := range any {
			if said = described(schemas, one.(object), v); said == "" {
				return ""
			}
		}
		return said
	}
	is := map[string]bool{"": true}
	switch v := v.(type) {
	case nil:
		is["null"] = true
	case string:
		is["string"] = true
	case bool:
		is["boolean"] = true
	case float64:
		is["number"], is["integer"] = true, v == float64(int64(v))
	case []any:
		is["array"] = true
		for i, one := range v {
			if items, some := of["items"].(object); some {
				if said := described(schemas, items, one); said != "" {
					return fmt.Sprint("[", i, "]", said)
				}
			}
		}
	case object:
		is["object"] = true
		properties, _ := of["properties"].(object)
		required, _ := of["required"].([]any)
		for _, name := range required {
			if _, some := v[name.(string)]; !some {
				return "." + name.(string) + " is missing"
			}
		}
		for name, one := range v {
			of, known := properties[name].(object)
			if !known && properties != nil {
				return "." + name + " is not described"
			}
			if known {
				if said := described(schemas, of, one); said != "" {
					return "." + name + said
				}
			}
		}
	}
	if typ, _ := of["type"].(string); !is[typ] {
		return fmt.Sprintf(" is %T, described as %s", v, typ)
	}
	return ""
}

// TestAnswersAreAsDescribed holds what is answered in the golden files against the description.
func TestAnswersAreAsDescribed(t *testing.T) {
	var doc object
	text, err := litellm.Description()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &doc))
	schemas, seen := doc["components"].(object)["schemas"].(object), 0
	for _, steps := range flows {
		g := newGateway(t, storetest.Open(t, "memory", store.Options{}), litellm.Options{})
		h, known := g.both(), map[string]string{}
		for _, s := range steps {
			r := s.request(known)
			w := serve(h, r)
			s.remember(t, known, w.Body.Bytes())
			if w.Code != 200 || s.onPlane() {
				continue
			}
			var v any
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &v))
			at := r.URL.Path
			if strings.HasPrefix(at, "/v2/") {
				at = "/v2/organization/{organization_id}"
			}
			op := doc["paths"].(object)[at].(object)[strings.ToLower(s.method)].(object)
			of := op["responses"].(object)["200"].(object)["content"].(object)["application/json"].(object)["schema"].(object)
			require.Empty(t, described(schemas, of, v), "%s %s", s.method, at)
			seen++
		}
	}
	require.Greater(t, seen, 30)
}
