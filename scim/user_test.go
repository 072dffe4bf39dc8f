package scim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestUserIsAMemberOfTheOrganization(t *testing.T) { // rules 19, 28, 30, F191 to F203
	each(t, func(t *testing.T, p *provider) {
		a := p.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"bjensen","externalId":"00u1","id":"mine","meta":{"created":"1999-01-01T00:00:00Z"},
			"emails":[{"value":"babs@home.example","type":"home"},{"value":"barbara@acme.example","type":"work","primary":true}],
			"name":{"givenName":"Barbara","familyName":"Jensen"},"password":"hunter2","groups":[{"value":"x"}],"active":true}`)
		require.Equal(t, base+"/Users/"+a.id(), a.Header().Get("Location"))
		meta := a.json["meta"].(map[string]any)
		require.Equal(t, a.Header().Get("Location"), meta["location"])
		require.Equal(t, "User", meta["resourceType"])
		require.Equal(t, "2024-03-05T12:00:00Z", meta["created"])
		require.Equal(t, a.Header().Get("ETag"), meta["version"])
		require.Equal(t, "00u1", a.json["externalId"])
		require.NotContains(t, a.json, "groups")
		require.NotContains(t, a.json, "password")

		u := p.account("barbara@acme.example")
		require.Equal(t, "Barbara Jensen", u.Name)
		require.NotEqual(t, u.ID, a.id(), "the id of the account is nobody's to choose")
		m, err := p.member("barbara@acme.example")
		require.NoError(t, err)
		require.Equal(t, rbac.MemberRole, m.Role)
		require.Equal(t, "scim", m.Source)
		require.Equal(t, "00u1", *m.ExternalID)
		require.Equal(t, rbac.Active, m.State)

		e := p.events("user.provisioned")
		require.Len(t, e, 1)
		require.Equal(t, "scim", string(e[0].ActorType))
		require.Equal(t, u.ID, e[0].ResourceID)
		require.NotContains(t, string(e[0].After), "hunter2")

		got := p.must(200, "GET", "/Users/"+a.id(), "")
		require.Equal(t, a.json, got.json)
	})
}

func TestUserNameAndExternalIDAreOneUsersOwn(t *testing.T) { // rules 36 to 38, 113, D17
	each(t, func(t *testing.T, p *provider) {
		a := p.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"Anna@acme.example","externalId":"E1"}`)
		b := p.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"bob@acme.example"}`)
		p.user("carol") // neither has an external id
		r := p.refused(409, "uniqueness", "POST", "/Users", `{`+userSchema+`,"userName":"aNNa@ACME.example"}`)
		require.Equal(t, base+"/Users/"+a.id(), r.Header().Get("Location"))
		p.refused(409, "uniqueness", "POST", "/Users", `{`+userSchema+`,"userName":"dan@acme.example","externalId":"E1"}`)
		p.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"dan@acme.example","externalId":"e1"}`)
		p.refused(409, "uniqueness", "PUT", "/Users/"+b.id(), `{`+userSchema+`,"userName":"anna@acme.example"}`)
		a409 := p.patch("/Users/"+b.id(), `[{"op":"replace","path":"title","value":"x"},{"op":"replace","path":"userName","value":"anna@acme.example"}]`)
		require.Equal(t, 409, a409.Code)
		require.Equal(t, b.json, p.must(200, "GET", "/Users/"+b.id(), "").json, "nothing of it was stored")
		p.must(204, "DELETE", "/Users/"+a.id(), "")
		p.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"anna@acme.example","externalId":"E1"}`)
		p.must(201, "POST", "/Groups", `{`+groupSchema+`,"displayName":"anna@acme.example","externalId":"E1"}`)
		join(t, p.World, "rival", nil, everything).must(201, "POST", "/Users", `{`+userSchema+`,"userName":"ANNA","externalId":"E1","emails":[{"value":"anna@rival.example"}]}`)
	})
}

func TestDeletedUserIsGone(t *testing.T) { // rules 20, 21, 53, D9
	each(t, func(t *testing.T, p *provider) {
		id := p.user("anna")
		g := p.group("Staff", id)
		a := p.must(204, "DELETE", "/Users/"+id, "")
		require.Empty(t, a.Body.String())
		for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
			p.refused(404, "", method, "/Users/"+id, map[string]string{"PUT": `{` + userSchema + `,"userName":"x@y.org"}`, "PATCH": `{` + patchSchema + `,"Operations":[{"op":"remove","path":"title"}]}`}[method])
		}
		require.Zero(t, p.must(200, "GET", "/Users", "").total())
		require.Empty(t, p.members(g))
		_, err := p.member("anna@acme.example")
		require.Error(t, err)
		was := p.account("anna@acme.example")
		require.NotEmpty(t, was.ID, "the account is not the organization's to delete")
		for range 2 { // and its name is free again
			again := p.user("anna")
			require.NotEqual(t, id, again)
			require.Equal(t, was.ID, p.account("anna@acme.example").ID)
			p.must(204, "DELETE", "/Users/"+again, "")
		}
	})
}

func TestPutReplacesAndKeepsWhatItDoesNotSayOfActive(t *testing.T) { // rules 26, 31, 39, 56, 85 to 87, 109, P29
	each(t, func(t *testing.T, p *provider) {
		a := p.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"anna@acme.example","title":"Guide","active":false,"`+enterprise+`":{"department":"Tours"}}`)
		require.Len(t, a.json["schemas"], 2)
		put := p.must(200, "PUT", "/Users/"+a.id(), `{`+userSchema+`,"userName":"anna@acme.example","nickName":"A","id":"else","meta":{"created":"2001-01-01T00:00:00Z"},"groups":[]}`)
		require.Equal(t, a.id(), put.id())
		require.Equal(t, false, put.json["active"])
		require.Equal(t, "A", put.json["nickName"])
		require.NotContains(t, put.json, "title")
		require.NotContains(t, put.json, enterprise)
		require.Len(t, put.json["schemas"], 1)
		require.NotEqual(t, a.Header().Get("ETag"), put.Header().Get("ETag"))

		got := p.must(200, "GET", "/Users/"+a.id(), "")
		again := p.must(200, "PUT", "/Users/"+a.id(), got.Body.String())
		require.Equal(t, got.json, again.json, "what was read is what is there, and nothing has changed")
		p.refused(400, "invalidValue", "PUT", "/Users/"+a.id(), `{`+userSchema+`,"nickName":"A"}`)
		for operations, n := range map[string]int{`[{"op":"add","path":"` + enterprise + `:department","value":"Tours"}]`: 2, `[{"op":"add","path":"` + enterprise + `:department","value":"Tours"},{"op":"remove","path":"` + enterprise + `:department"}]`: 1} {
			require.Len(t, p.patch("/Users/"+a.id(), operations).json["schemas"], n, "it names what is there")
		}
		empty := p.must(200, "PUT", "/Users/"+a.id(), `{`+userSchema+`,"userName":"anna@acme.example","nickName":null,"emails":[]}`)
		require.NotContains(t, empty.json, "nickName")
		got = p.must(200, "GET", "/Users/"+a.id(), "")
		p.refused(404, "", "PUT", "/Users/scu_0", `{`+userSchema+`,"userName":"a@b.org"}`)
		require.Equal(t, got.json, p.must(200, "GET", "/Users/"+a.id(), "").json)
	})
}

func TestValuesComeBackAsTheyWereSent(t *testing.T) { // rules 4, 39, 42, 43, 46, 47, 104, 109, P1, P30
	p, _ := here(t, nil)
	body := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","` + enterprise + `"],"userName":"anna@acme.example",
		"name":{"formatted":"Ms. Anna B. C.","familyName":"C","givenName":"A","middleName":"B","honorificPrefix":"Ms.","honorificSuffix":"III"},
		"displayName":"AC","nickName":"Anny","profileUrl":"https://a.example/","title":"T","userType":"Employee","preferredLanguage":"en-US","locale":"en-US","timezone":"Europe/Berlin",
		"emails":[{"value":"anna@acme.example","type":"work","primary":true,"display":"Anna"}],"phoneNumbers":[{"value":"555","type":"work"}],"ims":[{"value":"im","type":"xmpp"}],
		"photos":[{"value":"https://a.example/p.png","type":"photo"}],"addresses":[{"type":"work","streetAddress":"1 A St","locality":"B","region":"C","postalCode":"1","country":"US","formatted":"x","primary":true}],
		"entitlements":[{"value":"e"}],"roles":[{"value":"r","type":"t","display":"R","primary":false}],"x509Certificates":[{"value":"MIIDQzCCAqygAwIBAgICEAAwDQYJKoZIhvcNAQEFBQ=="}],
		"` + enterprise + `":{"employeeNumber":"7","costCenter":"c","organization":"o","division":"d","department":"dep","manager":{"value":"26118915"}}}`
	a := p.must(201, "POST", "/Users", body)
	b := p.must(200, "PUT", "/Users/"+a.id(), body)
	require.Equal(t, a.json, b.json)
	for name, v := range decoded(t, body) {
		require.Equal(t, v, a.json[name], name)
	}
	loose := p.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"bob@acme.example","active":"True","roles":[{"value":"x","primary":"True"}],"emails":{"value":"bob@acme.example"},"photos":null,"ims":[],"`+enterprise+`":{"manager":"9"}}`)
	require.Equal(t, true, loose.json["active"])
	require.Equal(t, []any{map[string]any{"value": "x", "primary": true}}, loose.json["roles"])
	require.Equal(t, []any{map[string]any{"value": "bob@acme.example"}}, loose.json["emails"])
	require.Equal(t, map[string]any{"manager": map[string]any{"value": "9"}}, loose.json[enterprise])
	require.NotContains(t, loose.json, "ims")
	loose = p.must(200, "PUT", "/Users/"+loose.id(), `{`+userSchema+`,"userName":"bob@acme.example","active":"False","roles":[{"value":"x","primary":"false"}],"`+enterprise+`":{"manager":""}}`)
	require.Equal(t, false, loose.json["active"])
	require.Equal(t, []any{map[string]any{"value": "x", "primary": false}}, loose.json["roles"])
	require.NotContains(t, loose.json, enterprise)
}

func TestBodiesThatAreNoUsers(t *testing.T) { // rules 22, 25, 26, 35, 40, 44, 86, D18
	p, _ := here(t, nil)
	for body, want := range map[string]string{
		`{`: "invalidSyntax", `[]`: "invalidSyntax", ``: "invalidSyntax", `{} {}`: "invalidSyntax", `{"userName":"a@b.org"}`: "invalidSyntax", `{"schemas":[],"userName":"a@b.org"}`: "invalidSyntax",
		`{` + groupSchema + `,"userName":"a@b.org"}`: "invalidSyntax", `{` + userSchema + `,"userName":"a@b.org","UserName":"c@d.org"}`: "invalidSyntax",
		`{` + userSchema + `,"userName":"a@b.org","userName":"a@b.org"}`: "invalidSyntax",
		`{` + userSchema + `}`: "invalidValue", `{` + userSchema + `,"userName":""}`: "invalidValue", `{` + userSchema + `,"userName":null}`: "invalidValue", `{` + userSchema + `,"userName":1}`: "invalidValue",
		`{` + userSchema + `,"userName":"no address"}`: "invalidValue", `{` + userSchema + `,"userName":"a@b.org","active":"perhaps"}`: "invalidValue",
		`{` + userSchema + `,"userName":"a@b.org","name":"A"}`: "invalidValue", `{` + userSchema + `,"userName":"a@b.org","x509Certificates":[{"value":"%"}]}`: "invalidValue",
		`{` + userSchema + `,"userName":"a\u0000@b.org"}`: "invalidValue",
		`{` + userSchema + `,"userName":"a@b.org","emails":[{"value":"a@b.org","primary":true},{"value":"c@b.org","primary":"true"}]}`: "invalidValue",
	} {
		p.refused(400, want, "POST", "/Users", body)
	}
	a := p.must(201, "POST", "/Users", `{`+userSchema+`,"USERNAME":"a@b.org","favourite":1,"urn:x:y":{"z":1}}`)
	require.NotContains(t, a.json, "favourite")
	require.Contains(t, string(p.events("user.provisioned")[0].Data), "favourite")
}

func TestVersionsGuardChanges(t *testing.T) { // rules 115, 116, D11
	each(t, func(t *testing.T, p *provider) {
		a := p.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"anna@acme.example"}`)
		first := a.Header().Get("ETag")
		require.Regexp(t, `^W/"\d+"$`, first)
		with := func(method, body, header, value string) reply {
			r := p.request(method, "/Users/"+a.id(), body)
			r.Header.Set(header, value)
			return p.send(r)
		}
		require.Equal(t, 304, with("GET", "", "If-None-Match", first).Code)
		rename := `{` + patchSchema + `,"Operations":[{"op":"replace","path":"title","value":"x"}]}`
		require.Equal(t, 412, with("PATCH", rename, "If-Match", `W/"77"`).Code)
		second := with("PATCH", rename, "If-Match", first)
		require.Equal(t, 200, second.Code)
		require.NotEqual(t, first, second.Header().Get("ETag"))
		require.Equal(t, 412, with("DELETE", "", "If-Match", first).Code)
		require.Equal(t, 412, with("PUT", `{`+userSchema+`,"userName":"anna@acme.example"}`, "If-Match", first).Code)
		require.Equal(t, second.Header().Get("ETag"), p.find("/Users").json["Resources"].([]any)[0].(map[string]any)["meta"].(map[string]any)["version"], "of what is in a list too")
		require.Equal(t, 200, with("GET", "", "If-None-Match", first).Code)
		g := p.group("Staff", a.id())
		require.Equal(t, 200, with("GET", "", "If-None-Match", second.Header().Get("ETag")).Code, "the groups are others")
		require.Equal(t, 204, with("DELETE", "", "If-Match", second.Header().Get("ETag")).Code)
		require.Empty(t, p.members(g))
	})
}

func TestPatchThatChangesNothingChangesNothing(t *testing.T) { // rules 31, 93, D7
	each(t, func(t *testing.T, p *provider) {
		a := p.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"anna@acme.example","roles":[{"value":"a"}]}`)
		n := len(p.events("user.*", "scim.*"))
		for _, ops := range []string{`[{"op":"add","path":"roles","value":"a"}]`, `[{"op":"remove","path":"emails[type eq \"x\"]"}]`, `[{"op":"replace","value":{"active":true}}]`} {
			got := p.patch("/Users/"+a.id(), ops)
			require.Equal(t, 200, got.Code)
			require.Equal(t, a.json, got.json)
		}
		require.Equal(t, n, len(p.events("user.*", "scim.*")))
	})
}

// TestTimesAreThoseOfChanges: what changes nothing moves none.
func TestTimesAreThoseOfChanges(t *testing.T) { // rules 30, 31
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		p := newProvider(t, s, "acme", nil)
		u := "/Users/" + p.user("anna")
		g := "/Groups/" + p.group("Staff")
		at := func(path string) (created, modified time.Time) {
			meta := p.must(200, "GET", path, "").json["meta"].(map[string]any)
			for name, to := range map[string]*time.Time{"created": &created, "lastModified": &modified} {
				var err error
				*to, err = time.Parse(time.RFC3339, meta[name].(string))
				require.NoError(t, err)
			}
			return created, modified
		}
		began := clock.Now()
		put := `{` + userSchema + `,"userName":"anna@acme.example","title":"Guide","meta":{"lastModified":"1999-01-01T00:00:00Z"}}`
		for _, step := range []struct {
			path, method, body string
			moves              bool
		}{
			{u, "PATCH", `{` + patchSchema + `,"Operations":[{"op":"replace","path":"active","value":true}]}`, false},
			{u, "PATCH", `{` + patchSchema + `,"Operations":[{"op":"replace","path":"title","value":"Chief"}]}`, true},
			{u, "PUT", put, true},
			{u, "PUT", put, false},
			{g, "PATCH", `{` + patchSchema + `,"Operations":[{"op":"replace","value":{"displayName":"Staff"}}]}`, false},
			{g, "PATCH", `{` + patchSchema + `,"Operations":[{"op":"add","path":"members","value":"` + strings.TrimPrefix(u, "/Users/") + `"}]}`, true},
			{g, "PATCH", `{` + patchSchema + `,"Operations":[{"op":"add","path":"members","value":"` + strings.TrimPrefix(u, "/Users/") + `"}]}`, false},
			{g, "PUT", `{` + groupSchema + `,"displayName":"Crew"}`, true},
		} {
			_, before := at(step.path)
			clock.Advance(time.Hour)
			require.Less(t, p.do(step.method, step.path, step.body).Code, 300)
			created, modified := at(step.path)
			require.True(t, began.Equal(created))
			want := before
			if step.moves {
				want = clock.Now()
			}
			require.True(t, want.Equal(modified), "%s %s", step.method, step.body)
		}
	})
}

func TestStrictIsAnOption(t *testing.T) { // rules 9, 40, D2, D3
	p, _ := here(t, strict)
	require.Equal(t, true, p.must(200, "GET", "/ServiceProviderConfig", "").json["interopProfileConformant"])
	p.refused(400, "invalidSyntax", "POST", "/Users", `{`+userSchema+`,"userName":"a@b.org","favourite":1}`)
	id := p.user("anna")
	require.Equal(t, 400, p.patch("/Users/"+id, `[{"op":"replace","value":{"active":false}}]`).Code)
	require.Equal(t, 400, p.patch("/Groups/"+p.group("Staff"), `[{"op":"add","value":{"members":[]}}]`).Code)
}

func TestGroupsOnCreate(t *testing.T) { // F332
	p, _ := here(t, &groupsOnCreate)
	g, h := p.group("Staff"), p.group("Night Shift")
	a := p.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"a@b.org","groups":[{"value":"`+g+`"},{"value":"night shift"},{"value":"nowhere"}]}`)
	require.Equal(t, []string{a.id()}, p.members(g))
	require.Equal(t, []string{a.id()}, p.members(h))
	require.Len(t, a.json["groups"], 2)
}
