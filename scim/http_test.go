package scim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/scim"
	"github.com/orgkit/orgkit/scim/schema"
)

func TestMediaTypes(t *testing.T) { // rules 10 to 12, 17, 27
	p, _ := here(t, nil)
	for i, c := range []struct{ contentType, accept string }{{"", ""}, {"application/json", "*/*"}, {"application/scim+json; charset=utf-8", "application/json"}, {"Application/JSON;charset=UTF-8", "text/html"}} {
		r := p.request("POST", "/Users/", fmt.Sprintf(`{`+userSchema+`,"userName":"u%d@x.org"}`, i))
		r.Header.Del("Content-Type")
		if c.contentType != "" {
			r.Header.Set("Content-Type", c.contentType)
		}
		r.Header.Set("Accept", c.accept)
		require.Equal(t, 201, p.send(r).Code, c)
	}
	r := p.request("POST", "/Users", `{}`)
	r.Header.Set("Content-Type", "text/plain")
	require.Equal(t, 415, p.send(r).Code)
	r = p.request("POST", "/Users", `{`+userSchema+`,"userName":"u9@x.org"}`)
	r.Header.Set("X-HTTP-Method-Override", "DELETE")
	require.Equal(t, 201, p.send(r).Code)
	a := p.do("HEAD", "/Users", "")
	require.Equal(t, 200, a.Code)
	require.Zero(t, a.Body.Len())
	a = p.do("OPTIONS", "/Users", "")
	require.Equal(t, 204, a.Code)
	require.Equal(t, "GET, POST", a.Header().Get("Allow"))
	p.refused(405, "", "PUT", "/Users", `{}`)
	p.refused(405, "", "POST", "/Users/x", `{}`)
	p.refused(404, "", "GET", "/Robots", "")
	p.refused(404, "", "GET", "/Users/x/y", "")
	p.refused(501, "", "GET", "/Me", "") // rule 123
}

func TestBodiesAreBounded(t *testing.T) { // rules 24, 68, 121
	p, _ := here(t, nil)
	p.refused(413, "", "POST", "/Users", `{`+userSchema+`,"userName":"a@x.org","title":"`+strings.Repeat("x", 1<<20)+`"}`)
	p.refused(400, "invalidSyntax", "POST", "/Users", `{`+userSchema+`,"userName":"a@x.org","title":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`}`)
	p.refused(413, "", "POST", "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[`+strings.Repeat(`{},`, 1000)+`{}]}`)
	p.refused(413, "", "POST", "/Bulk", `{"x":"`+strings.Repeat("x", 4<<20)+`"}`)
	p.refused(400, "tooMany", "PATCH", "/Users/"+p.user("a"), `{`+patchSchema+`,"Operations":[`+strings.Repeat(`{},`, 1000)+`{}]}`)
}

func TestTooManyRequestsHaveToWait(t *testing.T) { // rules 24, 122, 132
	p, clock := here(t, &scim.Options{RequestsPerSecond: 2, Burst: 4})
	for range 4 {
		p.must(200, "GET", "/Users", "")
	}
	r := p.refused(429, "", "GET", "/Users", "")
	require.Equal(t, "1", r.Header().Get("Retry-After"))
	clock.Advance(1e9)
	p.must(200, "GET", "/Users", "")
	p.must(200, "GET", "/Users", "")
	p.refused(429, "", "GET", "/Users", "")
	clock.Advance(10e9)
	bulk := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{"method":"DELETE","path":"/Users/1"},{"method":"DELETE","path":"/Users/1"},{"method":"DELETE","path":"/Users/1"}]}`
	p.must(200, "POST", "/Bulk", bulk)
	p.refused(429, "", "POST", "/Bulk", bulk)
	rival := join(t, p.World, "rival", &scim.Options{RequestsPerSecond: 2, Burst: 4}, everything)
	rival.must(200, "GET", "/Users", "")

	// What is more than a bucket holds is done once it is full, and paid for afterwards.
	clock.Advance(10e9)
	long := strings.Replace(bulk, `[`+`{"method"`, `[`+strings.Repeat(`{"method":"DELETE","path":"/Users/1"},`, 17)+`{"method"`, 1)
	require.Len(t, p.must(200, "POST", "/Bulk", long).statuses(), 20)
	r = p.refused(429, "", "GET", "/Users", "")
	require.Equal(t, "9", r.Header().Get("Retry-After"))
	clock.Advance(9e9)
	p.must(200, "GET", "/Users", "")
}

// TestProvidersMayAskAsOftenAsTheyDo: a minute of 25 requests a second, and at once as many as they start with.
func TestProvidersMayAskAsOftenAsTheyDo(t *testing.T) { // rule 132
	p, clock := here(t, &scim.Options{})
	for range 60 {
		for range 25 {
			p.must(200, "GET", "/Users?count=0", "")
		}
		clock.Advance(time.Second)
	}
	for range 100 {
		p.must(200, "GET", "/Users?count=0", "")
	}
}

func TestServiceSaysWhatItCan(t *testing.T) { // rules 1 to 8, 135
	p, _ := here(t, nil)
	p.secret = "nobody"
	c := p.must(200, "GET", "/ServiceProviderConfig", "").json
	for _, name := range []string{"patch", "bulk", "filter", "changePassword", "sort", "etag"} {
		require.Contains(t, c[name], "supported", name)
	}
	schemes := c["authenticationSchemes"].([]any)
	require.NotEmpty(t, schemes)
	for _, s := range schemes {
		for _, name := range []string{"type", "name", "description"} {
			require.NotEmpty(t, s.(map[string]any)[name])
		}
	}
	require.Equal(t, map[string]any{"supported": true, "maxOperations": 1000.0, "maxPayloadSize": float64(4 << 20)}, c["bulk"])
	require.Equal(t, map[string]any{"supported": true, "maxResults": 1000.0}, c["filter"])
	require.Equal(t, map[string]any{"cursor": true, "index": true, "defaultPaginationMethod": "index", "defaultPageSize": 100.0, "maxPageSize": 1000.0, "cursorTimeout": 3600.0}, c["pagination"])
	require.NotContains(t, c, "interopProfileConformant")
	require.EqualValues(t, 2, p.must(200, "GET", "/ResourceTypes", "").total())
	require.Equal(t, "/Groups", p.must(200, "GET", "/ResourceTypes/Group", "").json["endpoint"])
	require.EqualValues(t, 3, p.must(200, "GET", "/Schemas", "").total())
	u := p.must(200, "GET", "/Schemas/"+schema.UserURN, "")
	var complete func(attributes []any)
	complete = func(attributes []any) {
		for _, a := range attributes {
			a := a.(map[string]any)
			for _, name := range []string{"name", "type", "multiValued", "description", "required", "caseExact", "mutability", "returned", "uniqueness"} {
				require.Contains(t, a, name, a["name"])
			}
			if a["type"] == "complex" {
				complete(a["subAttributes"].([]any))
			}
			require.Equal(t, a["type"] == "reference", a["referenceTypes"] != nil, a["name"])
		}
	}
	for _, s := range p.must(200, "GET", "/Schemas", "").json["Resources"].([]any) {
		complete(s.(map[string]any)["attributes"].([]any))
	}
	require.NotContains(t, p.must(200, "GET", "/Schemas", "").Body.String(), "null")
	require.Equal(t, schema.UserURN, u.json["id"])
	require.Equal(t, "EnterpriseUser", p.must(200, "GET", "/Schemas/"+enterprise, "").json["name"])
	p.refused(404, "", "GET", "/Schemas/urn:x", "")
	p.refused(404, "", "GET", "/ResourceTypes/Robot", "")
	for _, path := range []string{"/ServiceProviderConfig", "/Schemas", "/ResourceTypes", "/Schemas/" + schema.UserURN} {
		p.refused(403, "", "GET", path+"?filter=id+pr", "")
		p.must(200, "GET", path+"?attributes=x&startIndex=3", "")
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
			p.refused(405, "", method, path, "")
		}
	}
}

// TestEveryAttributeThatIsShownCanBeWritten: by POST, PUT and PATCH.
func TestEveryAttributeThatIsShownCanBeWritten(t *testing.T) { // rule 4
	p, _ := here(t, nil)
	id := p.user("anna")
	for _, s := range schema.Users.Schemas() {
		for _, a := range s.Attributes {
			if a.Mutability != schema.ReadWrite || a.Name == "userName" {
				continue
			}
			value, path := sample(a), a.Name
			body := `"` + a.Name + `":` + value
			if s.ID != schema.UserURN {
				body, path = `"`+s.ID+`":{`+body+`}`, s.ID+":"+a.Name
			}
			of := func(r reply) any {
				if s.ID != schema.UserURN {
					return r.json[s.ID].(map[string]any)[a.Name]
				}
				return r.json[a.Name]
			}
			put := p.must(200, "PUT", "/Users/"+id, `{`+userSchema+`,"userName":"anna@acme.example",`+body+`}`)
			require.NotNil(t, of(put), a.Name)
			p.must(200, "PUT", "/Users/"+id, `{`+userSchema+`,"userName":"anna@acme.example"}`)
			patched := p.patch("/Users/"+id, `[{"op":"add","path":"`+path+`","value":`+value+`}]`)
			require.Equal(t, 200, patched.Code)
			require.Equal(t, of(put), of(patched), a.Name)
			p.must(200, "PUT", "/Users/"+id, `{`+userSchema+`,"userName":"anna@acme.example"}`)
			made := p.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"`+a.Name+`@acme.example",`+body+`}`)
			require.Equal(t, of(put), of(made), a.Name)
		}
	}
}

// sample is a value of an attribute.
func sample(a schema.Attribute) string {
	v := `"dGV4dA=="`
	switch a.Type {
	case schema.Boolean:
		v = "true"
	case schema.Complex:
		var parts []string
		for _, s := range a.Sub {
			if s.Mutability == schema.ReadWrite {
				parts = append(parts, `"`+s.Name+`":`+sample(s))
			}
		}
		v = "{" + strings.Join(parts, ",") + "}"
		if a.Name == "emails" {
			v = strings.ReplaceAll(v, "dGV4dA==", "dGV4dA@x.org")
		}
	}
	if a.Multi {
		v = "[" + v + "]"
	}
	return v
}

// TestAnotherTenantsIDsAreNotFound: wherever an id can stand.
func TestAnotherTenantsIDsAreNotFound(t *testing.T) { // rule 14, P9
	each(t, func(t *testing.T, p *provider) {
		other := join(t, p.World, "rival", nil, everything)
		eve := other.user("eve")
		spies := other.group("Spies", eve)
		mine := p.user("anna")
		staff := p.group("Staff")
		before := len(other.events("*"))
		patch := `{` + patchSchema + `,"Operations":[{"op":"add","path":"externalId","value":"x"}]}`
		for _, path := range []string{"/Users/" + eve, "/Groups/" + spies} {
			p.refused(404, "", "GET", path, "")
			p.refused(404, "", "PATCH", path, patch)
			p.refused(404, "", "DELETE", path, "")
		}
		p.refused(404, "", "PUT", "/Users/"+eve, `{`+userSchema+`,"userName":"eve@acme.example"}`)
		p.refused(404, "", "PUT", "/Groups/"+spies, `{`+groupSchema+`,"displayName":"Spies"}`)
		for _, member := range []string{eve, spies} {
			for _, body := range []string{`{"value":"` + member + `"}`, `{"$ref":"` + base + `/Users/` + member + `"}`} {
				require.Equal(t, 400, p.patch("/Groups/"+staff, `[{"op":"add","path":"members","value":[`+body+`]}]`).Code)
				p.refused(400, "invalidValue", "PUT", "/Groups/"+staff, `{`+groupSchema+`,"displayName":"Staff","members":[`+body+`]}`)
			}
			require.Equal(t, 204, p.patch("/Groups/"+staff, `[{"op":"remove","path":"members[value eq \"`+member+`\"]"}]`).Code)
		}
		for _, f := range []string{`id eq "` + eve + `"`, `userName eq "eve@acme.example"`, `emails eq "eve@acme.example"`, `groups.value eq "` + spies + `"`, `id sw "scu"`} {
			for _, id := range p.find("/Users", "filter", f).ids() {
				require.Equal(t, mine, id, f)
			}
		}
		for _, f := range []string{`id eq "` + spies + `"`, `displayName eq "spies"`, `members.value eq "` + eve + `"`} {
			require.Empty(t, p.find("/Groups", "filter", f).ids(), f)
		}
		const search = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":`
		for path, found := range map[string][]string{"/Users/.search": {mine}, "/Groups/.search": {staff}, "/.search": {mine, staff}} {
			require.Equal(t, found, p.must(200, "POST", path, search+`"id pr"}`).ids(), path)
			require.Empty(t, p.must(200, "POST", path, search+`"id eq \"`+eve+`\" or id eq \"`+spies+`\""}`).ids(), path)
		}
		require.Equal(t, before, len(other.events("*"))-1, "and nothing of it is in the log there, but that it was read")
		other.user("emil")
		theirs, _ := other.find("/Users", "cursor", "", "count", "1").json["nextCursor"].(string)
		require.NotEmpty(t, theirs)
		p.refused(400, "invalidCursor", "GET", "/Users?cursor="+theirs, "")
		h, err := scim.New(p.Manager, base, &groupsOnCreate)
		require.NoError(t, err)
		joining := *p
		joining.h = http.StripPrefix("/scim/v2", h)
		a := joining.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"bea@acme.example","groups":[{"value":"`+spies+`"},{"value":"Spies"}]}`)
		require.NotContains(t, a.json, "groups")
		before = len(other.events("*"))
		bulk := p.must(200, "POST", "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{"method":"DELETE","path":"/Users/`+eve+`"},
			{"method":"PATCH","path":"/Groups/`+spies+`","data":`+patch+`},{"method":"POST","path":"/Groups","bulkId":"b","data":{`+groupSchema+`,"displayName":"B","members":[{"value":"`+eve+`"}]}}]}`)
		require.Equal(t, []string{"404", "404", "400"}, bulk.statuses())
		_, err = p.RevokeSCIMToken(p.As(p.owner), p.org.ID, func() string {
			page, err := other.SCIMTokens(other.As(other.owner), other.org.ID, 1, "")
			require.NoError(t, err)
			return page.Items[0].ID
		}())
		require.Error(t, err)
		require.Equal(t, []string{eve}, other.members(spies))
		require.Equal(t, before, len(other.events("*"))-1, "and nothing of it is in the log there, but that it was read")
	})
}

func (a reply) statuses() (all []string) {
	list, _ := a.json["Operations"].([]any)
	for _, o := range list {
		all = append(all, o.(map[string]any)["status"].(string))
	}
	return all
}

func TestOrganizationsSayWhereTheyAre(t *testing.T) { // rule 17, F186, F203
	p, _ := here(t, nil)
	may := everything
	may.BaseURL = "https://acme.example/directory/"
	p.may(may)
	a := p.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"anna@acme.example"}`)
	require.Equal(t, "https://acme.example/directory/Users/"+a.id(), a.Header().Get("Location"))
	again := p.refused(409, "uniqueness", "POST", "/Users", `{`+userSchema+`,"userName":"anna@acme.example"}`)
	require.Equal(t, a.Header().Get("Location"), again.Header().Get("Location"))
	for _, bad := range []string{"http://acme.example", "https://acme.example?x=1", "https://acme.example#x", "ftp://x", "acme.example", "https://u@acme.example"} {
		may.BaseURL = bad
		_, _, err := p.SetProvisioning(p.As(p.owner), p.org.ID, may)
		require.Error(t, err, bad)
	}
	for _, bad := range []string{"", "gateway.example/scim", "https://gateway.example?x=1"} {
		_, err := scim.New(p.Manager, bad, nil)
		require.Error(t, err, bad)
	}
}

func TestBulk(t *testing.T) { // rules 117 to 122, D12
	each(t, func(t *testing.T, p *provider) {
		const head = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],`
		old := p.user("old")
		a := p.must(200, "POST", "/Bulk", head+`"Operations":[
			{"method":"POST","path":"/Groups","bulkId":"g","data":{`+groupSchema+`,"displayName":"Tour Guides","members":[{"value":"bulkId:u"},{"value":"`+old+`"}]}},
			{"method":"POST","path":"/Users","bulkId":"u","data":{`+userSchema+`,"userName":"alice@acme.example"}},
			{"method":"PATCH","path":"/Users/bulkId:u","data":{`+patchSchema+`,"Operations":[{"op":"add","path":"title","value":"Guide"}]}},
			{"method":"put","path":"/Users/`+old+`","data":{`+userSchema+`,"userName":"older@acme.example"}},
			{"method":"DELETE","path":"/Users/nobody"}]}`)
		require.Equal(t, []any{"urn:ietf:params:scim:api:messages:2.0:BulkResponse"}, a.json["schemas"])
		require.Equal(t, []string{"201", "201", "200", "200", "404"}, a.statuses(), a.Body.String())
		first := a.json["Operations"].([]any)[0].(map[string]any)
		require.Equal(t, "g", first["bulkId"])
		require.NotContains(t, first, "response")
		group := strings.TrimPrefix(first["location"].(string), base+"/Groups/")
		require.NotEmpty(t, first["version"])
		require.Len(t, p.members(group), 2)
		require.Contains(t, a.json["Operations"].([]any)[4].(map[string]any)["response"], "detail")
		require.Equal(t, "Guide", p.find("/Users", "filter", `userName eq "alice@acme.example"`).json["Resources"].([]any)[0].(map[string]any)["title"])

		// A circle of references: both are made, then they refer to each other.
		a = p.must(200, "POST", "/Bulk", head+`"Operations":[
			{"method":"POST","path":"/Users","bulkId":"1","data":{`+userSchema+`,"userName":"one@acme.example","`+enterprise+`":{"manager":{"value":"bulkId:2"}}}},
			{"method":"POST","path":"/Users","bulkId":"2","data":{`+userSchema+`,"userName":"two@acme.example","`+enterprise+`":{"manager":{"value":"bulkId:1"}}}}]}`)
		require.Equal(t, []string{"201", "201"}, a.statuses(), a.Body.String())
		manager := func(name string) any {
			o := p.find("/Users", "filter", `userName eq "`+name+`@acme.example"`).json["Resources"].([]any)[0].(map[string]any)
			return o[enterprise].(map[string]any)["manager"].(map[string]any)["value"]
		}
		require.Equal(t, p.find("/Users", "filter", `userName eq "two@acme.example"`).ids()[0], manager("one"))
		require.Equal(t, p.find("/Users", "filter", `userName eq "one@acme.example"`).ids()[0], manager("two"))
		// Groups in each other would be a circle of members, which there is none of.
		a = p.must(200, "POST", "/Bulk", head+`"Operations":[
			{"method":"POST","path":"/Groups","bulkId":"1","data":{`+groupSchema+`,"displayName":"A","members":[{"value":"bulkId:2"}]}},
			{"method":"POST","path":"/Groups","bulkId":"2","data":{`+groupSchema+`,"displayName":"B","members":[{"value":"bulkId:1"}]}}]}`)
		require.Equal(t, []string{"400", "201"}, a.statuses(), a.Body.String())

		a = p.must(200, "POST", "/Bulk", head+`"failOnErrors":2,"Operations":[{"method":"DELETE","path":"/Users/x"},{"method":"POST","path":"/Users","bulkId":"k","data":{`+userSchema+`,"userName":"k@acme.example"}},
			{"method":"GET","path":"/Users/x"},{"method":"POST","path":"/Users","bulkId":"l","data":{`+userSchema+`,"userName":"l@acme.example"}}]}`)
		require.Equal(t, []string{"404", "201", "400"}, a.statuses(), "the rest is left out")
		require.Zero(t, p.find("/Users", "filter", `userName eq "l@acme.example"`).total())

		a = p.must(200, "POST", "/Bulk", head+`"Operations":[{"method":"POST","path":"/Users","data":{}},{"method":"PATCH","path":"/Groups/`+group+`","data":{`+patchSchema+`,"Operations":[{"op":"add","path":"members","value":"bulkId:missing"}]}},
			{"method":"POST","path":"/Nothing","bulkId":"a","data":{}},{"method":"PUT","path":"/Users","data":{}},{"method":"POST","path":"/Users","bulkId":"b"},{"path":"/Users/x"},
			{"method":"DELETE","path":"https://elsewhere.example/Users/x"},{"method":"DELETE","path":"/Users/`+old+`","version":"W/\"1\""}]}`)
		require.Equal(t, []string{"400", "409", "400", "400", "400", "400", "400", "412"}, a.statuses(), a.Body.String())
		p.refused(400, "invalidSyntax", "POST", "/Bulk", `{"Operations":[]}`)
		p.refused(400, "invalidSyntax", "POST", "/Bulk", head+`"Operations":{}}`)
		p.refused(400, "invalidValue", "POST", "/Bulk", head+`"failOnErrors":0,"Operations":[]}`)
		p.refused(405, "", "GET", "/Bulk", "")
	})
}

func TestDeletedOrganizationHasNoProvider(t *testing.T) {
	p, _ := here(t, nil)
	_, err := p.DeleteOrganization(p.Platform(), p.org.ID, true, "")
	require.NoError(t, err)
	require.Equal(t, 401, p.do("GET", "/Users", "").Code)
}
