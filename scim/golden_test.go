package scim_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/scim"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// step is one request of a sequence. What a body has in braces with a name, {{name}}, is the id that the request of that name
// was answered with.
type step struct{ name, method, path, body string }

// TestSequencesOfClients replays what the clients of identity providers are documented to send, and holds it against what
// was answered before.
func TestSequencesOfClients(t *testing.T) { // rules 41, 87, 97, 100, 102, 104, 105, 107, 135 to 138, 140 to 142, F198 to F204
	for name, steps := range map[string][]step{"okta": okta, "entra": entra, "google": google, "discovery": discovery, "seed": seed} {
		t.Run(name, func(t *testing.T) {
			p, _ := here(t, &scim.Options{RequestsPerSecond: 1e6, Burst: 1e6, GroupsOnCreate: name == "seed", CursorKey: []byte("golden")})
			if name == "seed" {
				p.Roles(p.org)
				may := everything
				may.RoleMapping = map[string]string{"Engineering": "developer"}
				p.may(may)
				p.group("Engineering")
			}
			ids := map[string]string{}
			var b strings.Builder
			for _, s := range steps {
				body, path := s.body, s.path
				for name, id := range ids {
					body, path = strings.ReplaceAll(body, "{{"+name+"}}", id), strings.ReplaceAll(path, "{{"+name+"}}", id)
				}
				a := p.do(s.method, path, body)
				if s.name != "" {
					ids[s.name] = a.id()
				}
				fmt.Fprintf(&b, "> %s %s\n%s< %d %s\n", s.method, path, compact(body), a.Code, http.StatusText(a.Code))
				for _, h := range []string{"Content-Type", "ETag", "Location"} {
					if v := a.Header().Get(h); v != "" {
						fmt.Fprintf(&b, "< %s: %s\n", h, v)
					}
				}
				b.WriteString(indented(t, a.Body.Bytes()))
				b.WriteString("\n")
			}
			file := filepath.Join("testdata", name+".golden")
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), b.String())
			require.NotContains(t, b.String(), "hunter2\"\n<")
			if name == "seed" {
				m, err := p.Member(p.Platform(), orgs.Place{OrgID: p.org.ID}, "alice@acme.example")
				require.NoError(t, err)
				require.Equal(t, "developer", m.Role)
			}
		})
	}
}

func compact(body string) string {
	if body == "" {
		return ""
	}
	return strings.Join(strings.Fields(body), " ") + "\n"
}

// okta: probe, search before create, life cycle by PATCH and by PUT, pushed groups.
var okta = []step{
	{"", "GET", "/Users?startIndex=1&count=1", ""},
	{"", "GET", `/Users?filter=userName%20eq%20%22okta.user@acme.example%22&startIndex=1&count=100`, ""},
	{"user", "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"okta.user@acme.example","name":{"givenName":"Okta","familyName":"User"},
		"emails":[{"primary":true,"value":"okta.user@acme.example","type":"work"}],"displayName":"Okta User","locale":"en-US","externalId":"00ujl29u0le5T6Aj10h7","groups":[],"password":"hunter2","active":true}`},
	{"", "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"Okta.User@acme.example","active":true}`},
	{"", "GET", `/Users?filter=userName%20eq%20%22okta.user@acme.example%22&startIndex=1&count=100`, ""},
	{"", "GET", "/Users/{{user}}", ""},
	{"", "PUT", "/Users/{{user}}", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"{{user}}","userName":"okta.user@acme.example","name":{"givenName":"Another","middleName":"","familyName":"User"},
		"emails":[{"primary":true,"value":"okta.user@acme.example","type":"work"}],"active":true,"groups":[],"meta":{"resourceType":"User"}}`},
	{"", "PATCH", "/Users/{{user}}", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"active":false}}]}`},
	{"", "PATCH", "/Users/{{user}}", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"active":true}}]}`},
	{"", "GET", "/Groups?startIndex=1&count=100", ""},
	{"group", "POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Test SCIMv2","members":[]}`},
	{"", "PATCH", "/Groups/{{group}}", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"id":"{{group}}","displayName":"Test SCIM"}}]}`},
	{"", "PATCH", "/Groups/{{group}}", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":[{"value":"{{user}}","display":"okta.user@acme.example"}]}]}`},
	{"", "PUT", "/Groups/{{group}}", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"{{group}}","displayName":"Test SCIM","members":[{"value":"{{user}}","display":"okta.user@acme.example"}]}`},
	{"", "GET", "/Groups/{{group}}", ""},
	{"", "PATCH", "/Groups/{{group}}", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"members[value eq \"{{user}}\"]"}]}`},
	{"", "DELETE", "/Groups/{{group}}", ""},
	{"", "PUT", "/Users/{{user}}", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"okta.user@acme.example","emails":[{"primary":true,"value":"okta.user@acme.example"}],"active":false}`},
}

// entra: probe, create, updates with and without the flag, soft delete and return, a group with one member per request.
var entra = []step{
	{"", "GET", `/Users?filter=userName+eq+%22f8d3a5c4-1b9e-4a3c-8d8e-2d5a6f3c1b7e%22`, ""},
	{"user", "POST", "/Users?aadOptscim062020", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"externalId":"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
		"userName":"Test_User@acme.example","active":true,"emails":[{"primary":true,"type":"work","value":"Test_User@acme.example"}],"meta":{"resourceType":"User"},"name":{"formatted":"givenName familyName","familyName":"familyName","givenName":"givenName"},"roles":[]}`},
	{"", "GET", "/Users/{{user}}", ""},
	{"", "GET", `/Users?filter=externalId+eq+%220a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef%22`, ""},
	{"", "PATCH", "/Users/{{user}}", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"id":"{{user}}","Operations":[{"op":"Replace","path":"emails[type eq \"work\"].value","value":"updated@acme.example"},{"op":"Replace","path":"name.familyName","value":"updatedFamilyName"}]}`},
	{"", "PATCH", "/Users/{{user}}", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Add","path":"phoneNumbers[type eq \"work\"].value","value":"555"},{"op":"Add","path":"addresses[type eq \"work\"].postalCode","value":"1"},
		{"op":"Add","path":"roles[primary eq \"True\"].value","value":"admin"},{"op":"Add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":"{{user}}"},{"op":"Add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department","value":"Tours"}]}`},
	{"", "PATCH", "/Users/{{user}}", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","value":{"displayName":"Bjfe","name.givenName":"updatedGivenName","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber":"7"}}]}`},
	{"", "PATCH", "/Users/{{user}}", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":""}]}`},
	{"", "PATCH", "/Users/{{user}}", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"active","value":"False"}]}`},
	{"", "GET", `/Users?filter=userName+eq+%22test_user@acme.example%22+and+active+eq+false&attributes=userName,active`, ""},
	{"", "PATCH", "/Users/{{user}}", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"active","value":"True"}]}`},
	{"", "GET", `/Groups?excludedAttributes=members&filter=displayName+eq+%22displayName%22`, ""},
	{"group", "POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group","http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],"externalId":"8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159","displayName":"displayName","meta":{"resourceType":"Group"}}`},
	{"", "GET", "/Groups/{{group}}?excludedAttributes=members", ""},
	{"", "PATCH", "/Groups/{{group}}", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"displayName","value":"1879db59-3bdf-4490-ad68-ab880a269474updatedDisplayName"}]}`},
	{"", "PATCH", "/Groups/{{group}}", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Add","path":"members","value":[{"$ref":null,"value":"{{user}}"}]}]}`},
	{"", "GET", `/Groups?filter=members+eq+%22{{user}}%22+and+id+eq+%22{{group}}%22&attributes=id`, ""},
	{"", "PATCH", "/Groups/{{group}}", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Remove","path":"members","value":[{"$ref":null,"value":"{{user}}"}]}]}`},
	{"", "DELETE", "/Groups/{{group}}", ""},
	{"", "DELETE", "/Users/{{user}}", ""},
	{"", "GET", "/Users/{{user}}", ""},
}

// google: it reads the schema, suspends, and deletes long after.
var google = []step{
	{"", "GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group", ""},
	{"user", "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"anna@acme.example","emails":[{"value":"anna@acme.example","type":"work"}],"active":true}`},
	{"", "PATCH", "/Users/{{user}}", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`},
	{"", "DELETE", "/Users/{{user}}", ""},
	{"", "DELETE", "/Users/{{user}}", ""},
	{"active", "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bob@acme.example"}`},
	{"", "DELETE", "/Users/{{active}}", ""},
}

var discovery = []step{{"", "GET", "/ServiceProviderConfig", ""}, {"", "GET", "/ResourceTypes", ""}, {"", "GET", "/Schemas", ""}}

// seed: what a client sends that was written for a handler which reads the groups of a user.
var seed = []step{
	{"user", "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"externalId":"okta|123","userName":"alice@acme.example","name":{"givenName":"Alice","familyName":"Smith"},
		"emails":[{"value":"alice@acme.example","primary":true}],"active":true,"groups":[{"value":"Engineering"},{"value":"Unknown"}]}`},
	{"", "GET", "/Users?cursor=&count=1", ""},
}
