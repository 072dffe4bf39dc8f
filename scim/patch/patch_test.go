package patch_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/scim/patch"
	"github.com/orgkit/orgkit/scim/schema"
)

const before = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bjensen","active":true,"title":"Guide",
	"name":{"givenName":"Barbara","familyName":"Jensen"},
	"emails":[{"value":"b@work.com","type":"work","primary":true},{"value":"b@home.org","type":"home"}],
	"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Tours"}}`

func read(t *testing.T, body string) schema.Object {
	t.Helper()
	raw, err := schema.Decode([]byte(body))
	require.NoError(t, err)
	o, err := schema.Users.Read(raw, &schema.Reading{})
	require.NoError(t, err)
	return o
}

func apply(t *testing.T, o schema.Object, operations string, how patch.Options) (schema.Object, error) {
	t.Helper()
	raw, err := schema.Decode([]byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":` + operations + `}`))
	require.NoError(t, err)
	ops, err := patch.Parse(raw)
	if err != nil {
		return nil, err
	}
	return patch.Apply(&schema.Users, o, ops, how)
}

const enterprise = schema.EnterpriseURN

// TestOperations: each row says which members the operations leave otherwise than they were; null is none.
func TestOperations(t *testing.T) {
	for _, c := range []struct{ rule, operations, want string }{
		{"89, 94", `[{"op":"Replace","path":"title","value":"Chief"}]`, `{"title":"Chief"}`},
		{"94", `[{"op":"ADD","path":"nickName","value":"Babs"}]`, `{"nickName":"Babs"}`},
		{"94, D5", `[{"op":"add","path":"name","value":{"givenName":"B"}}]`, `{"name":{"givenName":"B","familyName":"Jensen"}}`},
		{"94, D5", `[{"op":"replace","path":"name","value":{"givenName":"B"}}]`, `{"name":{"givenName":"B"}}`},
		{"94", `[{"op":"replace","path":"name.givenName","value":"B"}]`, `{"name":{"givenName":"B","familyName":"Jensen"}}`},
		{"98", `[{"op":"remove","path":"name.givenName"}]`, `{"name":{"familyName":"Jensen"}}`},
		{"98", `[{"op":"remove","path":"title"}]`, `{"title":null}`},
		{"112, D8", `[{"op":"replace","path":"title","value":null}]`, `{"title":null}`},
		{"91, 136", `[{"op":"replace","value":{"active":false}}]`, `{"active":false}`},
		{"104", `[{"op":"Replace","path":"active","value":"False"}]`, `{"active":false}`},
		{"91", `[{"op":"replace","value":{"name":{"givenName":"B"},"displayname":"BJ"}}]`, `{"name":{"givenName":"B","familyName":"Jensen"},"displayName":"BJ"}`},
		{"92", `[{"op":"Add","value":{"name.givenName":"B","` + enterprise + `:employeeNumber":"7"}}]`,
			`{"name":{"givenName":"B","familyName":"Jensen"},"` + enterprise + `":{"department":"Tours","employeeNumber":"7"}}`},
		{"91", `[{"op":"add","value":{"` + enterprise + `":{"division":"X"}}}]`, `{"` + enterprise + `":{"department":"Tours","division":"X"}}`},
		{"108", `[{"op":"add","path":"` + enterprise + `","value":{"division":"X"}}]`, `{"` + enterprise + `":{"department":"Tours","division":"X"}}`},
		{"108", `[{"op":"replace","path":"` + enterprise + `","value":{"division":"X"}}]`, `{"` + enterprise + `":{"division":"X"}}`},
		{"108", `[{"op":"replace","path":"` + enterprise + `.department","value":"Y"}]`, `{"` + enterprise + `":{"department":"Y"}}`},
		{"109", `[{"op":"remove","path":"` + enterprise + `:department"}]`, `{"` + enterprise + `":null}`},
		{"107", `[{"op":"add","path":"` + enterprise + `:manager","value":"scu_9"}]`, `{"` + enterprise + `":{"department":"Tours","manager":{"value":"scu_9"}}}`},
		{"107", `[{"op":"add","path":"` + enterprise + `:manager","value":{"value":"scu_9","displayName":"x"}},{"op":"replace","path":"` + enterprise + `:manager","value":""}]`, `{}`},
		{"93", `[{"op":"add","path":"emails","value":[{"value":"b@home.org","type":"home"}]}]`, `{}`},
		{"93, 44", `[{"op":"add","path":"emails","value":{"value":"n@x.org","primary":"True"}}]`,
			`{"emails":[{"value":"b@work.com","type":"work"},{"value":"b@home.org","type":"home"},{"value":"n@x.org","primary":true}]}`},
		{"95", `[{"op":"replace","path":"emails","value":[{"value":"n@x.org"}]}]`, `{"emails":[{"value":"n@x.org"}]}`},
		{"95", `[{"op":"replace","path":"emails","value":[]}]`, `{"emails":null}`},
		{"96", `[{"op":"replace","path":"emails[type eq \"work\"].value","value":"n@x.org"}]`,
			`{"emails":[{"value":"n@x.org","type":"work","primary":true},{"value":"b@home.org","type":"home"}]}`},
		{"96", `[{"op":"replace","path":"emails[value co \"@\"].display","value":"x"}]`,
			`{"emails":[{"value":"b@work.com","type":"work","primary":true,"display":"x"},{"value":"b@home.org","type":"home","display":"x"}]}`},
		{"96", `[{"op":"replace","path":"emails[type eq \"work\"]","value":{"value":"n@x.org"}}]`,
			`{"emails":[{"value":"n@x.org","type":"work"},{"value":"b@home.org","type":"home"}]}`},
		{"96", `[{"op":"add","path":"emails[type eq \"home\"]","value":{"primary":true}}]`,
			`{"emails":[{"value":"b@work.com","type":"work"},{"value":"b@home.org","type":"home","primary":true}]}`},
		{"97", `[{"op":"Replace","path":"phoneNumbers[type eq \"work\"].value","value":"555"}]`, `{"phoneNumbers":[{"type":"work","value":"555"}]}`},
		{"97, 105", `[{"op":"Add","path":"roles[primary eq \"True\"].value","value":"admin"}]`, `{"roles":[{"primary":true,"value":"admin"}]}`},
		{"97", `[{"op":"Add","path":"addresses[type eq \"work\" and primary eq true].postalCode","value":"1"}]`, `{"addresses":[{"type":"work","primary":true,"postalCode":"1"}]}`},
		{"98, D7", `[{"op":"remove","path":"emails[type eq \"other\"]"}]`, `{}`},
		{"99", `[{"op":"remove","path":"emails[type eq \"home\"]"}]`, `{"emails":[{"value":"b@work.com","type":"work","primary":true}]}`},
		{"100", `[{"op":"Remove","path":"emails","value":[{"value":"b@home.org"}]}]`, `{"emails":[{"value":"b@work.com","type":"work","primary":true}]}`},
		{"101", `[{"op":"remove","path":"emails","value":[]}]`, `{}`},
		{"101", `[{"op":"remove","path":"emails"}]`, `{"emails":null}`},
		{"102", `[{"op":"add","path":"roles","value":["a","b"]}]`, `{"roles":[{"value":"a"},{"value":"b"}]}`},
		{"110", `[{"op":"add","path":"schemas","value":["urn:x"]}]`, `{}`},
		{"34", `[{"op":"replace","path":"password","value":"t1meMa$heen"}]`, `{}`},
		{"111", `[{"op":"replace","path":"externalId","value":"e1"}]`, `{"externalId":"e1"}`},
		{"114", `[{"op":"remove","path":"emails"},{"op":"add","path":"emails","value":[{"value":"1","type":"work"}]},{"op":"replace","path":"emails[type eq \"work\"].value","value":"2"}]`,
			`{"emails":[{"value":"2","type":"work"}]}`},
		{"29", `[{"op":"replace","path":"NAME.givenname","value":"B"},{"op":"replace","value":{"ActiVe":false}}]`, `{"name":{"givenName":"B","familyName":"Jensen"},"active":false}`},
		{"40", `[{"op":"replace","value":{"favouriteColour":"red"}}]`, `{}`},
	} {
		o := read(t, before)
		got, err := apply(t, o, c.operations, patch.Options{})
		require.NoError(t, err, c.operations)
		require.Equal(t, read(t, before), o, "the resource itself is as it was")
		want, err := json.Marshal(o)
		require.NoError(t, err)
		var all, differs map[string]any
		require.NoError(t, json.Unmarshal(want, &all))
		require.NoError(t, json.Unmarshal([]byte(c.want), &differs))
		for name, v := range differs {
			if all[name] = v; v == nil {
				delete(all, name)
			}
		}
		want, err = json.Marshal(all)
		require.NoError(t, err)
		is, err := json.Marshal(got)
		require.NoError(t, err)
		require.JSONEq(t, string(want), string(is), "rule %s: %s", c.rule, c.operations)

		again, err := apply(t, got, c.operations, patch.Options{})
		if err == nil {
			twice, err := json.Marshal(again)
			require.NoError(t, err)
			require.JSONEq(t, string(is), string(twice), "twice is once: %s", c.operations)
		}
	}
}

func TestOperationsThatCannotBe(t *testing.T) { // rules 23, 32, 88, 98, 106, 110, 112, D8
	for operations, want := range map[string]schema.ErrorType{
		`[]`: schema.InvalidSyntax, `{}`: schema.InvalidSyntax, `[1]`: schema.InvalidSyntax, `[{"path":"title","value":"x"}]`: schema.InvalidSyntax,
		`[{"op":"move","path":"title","value":"x"}]`: schema.InvalidSyntax, `[{"op":"add","path":"title"}]`: schema.InvalidValue,
		`[{"op":"replace","path":"title"}]`: schema.InvalidValue, `[{"op":"remove"}]`: schema.NoTarget, `[{"op":"add","value":"x"}]`: schema.InvalidValue,
		`[{"op":"replace","path":1,"value":"x"}]`: schema.InvalidPath, `[{"op":"replace","path":"nope","value":"x"}]`: schema.InvalidPath,
		`[{"op":"replace","path":"emails[","value":"x"}]`: schema.InvalidPath, `[{"op":"replace","path":"emails[nope eq \"x\"]","value":"x"}]`: schema.InvalidPath,
		`[{"op":"replace","path":"emails[type eq \"x\"].nope","value":"x"}]`: schema.InvalidPath, `[{"op":"replace","path":"name[givenName eq \"x\"]","value":"x"}]`: schema.InvalidPath,
		`[{"op":"replace","path":"emails[type co \"x\"].value","value":"x"}]`: schema.NoTarget, `[{"op":"add","path":"emails[type eq \"x\" or type eq \"y\"].value","value":"x"}]`: schema.NoTarget,
		`[{"op":"add","path":"emails[not (type eq \"home\" or type eq \"work\")].value","value":"x"}]`: schema.NoTarget,
		`[{"op":"replace","path":"id","value":"x"}]`:                                                   schema.NotMutable, `[{"op":"replace","value":{"id":"x"}}]`: schema.NotMutable, `[{"op":"replace","path":"meta.created","value":"x"}]`: schema.NotMutable,
		`[{"op":"add","path":"groups","value":[{"value":"x"}]}]`: schema.NotMutable, `[{"op":"add","path":"groups[value eq \"x\"]","value":{"value":"x"}}]`: schema.NotMutable,
		`[{"op":"remove","path":"schemas"}]`: schema.NotMutable, `[{"op":"remove","path":"userName"}]`: schema.NotMutable,
		`[{"op":"replace","path":"userName","value":""}]`: schema.InvalidValue, `[{"op":"replace","value":{"userName":null}}]`: schema.InvalidValue,
		`[{"op":"replace","path":"active","value":"perhaps"}]`: schema.InvalidValue, `[{"op":"replace","path":"title","value":1}]`: schema.InvalidValue,
		`[{"op":"replace","path":"` + enterprise + `:manager.displayName","value":"x"}]`:                         schema.NotMutable,
		`[{"op":"replace","path":"emails","value":[{"value":"a","primary":true},{"value":"b","primary":true}]}]`: schema.InvalidValue,
		`[{"op":"replace","path":"title","value":"ok"},{"op":"replace","path":"nope","value":"x"}]`:              schema.InvalidPath,
	} {
		_, err := apply(t, read(t, before), operations, patch.Options{})
		var e *schema.Error
		require.ErrorAs(t, err, &e, operations)
		require.Equal(t, want, e.Type, operations)
		require.NotEmpty(t, e.Detail)
	}
}

// TestRequestIsKnownByItsSchema, and its names are known in any case; what else is in it does not matter.
func TestRequestIsKnownByItsSchema(t *testing.T) { // rules 29, 88, 140
	for body, ok := range map[string]bool{
		`{"schemas":["` + patch.URN + `"],"Operations":[{"op":"add","path":"title","value":"x"}]}`:                                       true,
		`{"SCHEMAS":["` + strings.ToUpper(patch.URN) + `"],"operations":[{"OP":"add","Path":"title","VALUE":"x"}],"id":"1","more":true}`: true,
		`{"Operations":[{"op":"add","path":"title","value":"x"}]}`:                                                                       false,
		`{"schemas":["` + schema.UserURN + `"],"Operations":[{"op":"add","path":"title","value":"x"}]}`:                                  false,
		`{"schemas":"` + patch.URN + `","Operations":[{"op":"add","path":"title","value":"x"}]}`:                                         false,
		`{"schemas":["` + patch.URN + `"]}`: false,
	} {
		raw, err := schema.Decode([]byte(body))
		require.NoError(t, err)
		ops, err := patch.Parse(raw)
		if ok {
			require.NoError(t, err, body)
			require.Equal(t, []patch.Operation{{Verb: patch.Add, Path: "title", Value: "x", Given: true}}, ops)
			continue
		}
		var e *schema.Error
		require.ErrorAs(t, err, &e, body)
		require.Equal(t, schema.InvalidSyntax, e.Type)
	}
}

func TestStrictRefusesWhatProfilesForbid(t *testing.T) { // D1, D2, D10
	for operations, want := range map[string]schema.ErrorType{
		`[{"op":"replace","value":{"active":false}}]`:                                  schema.InvalidSyntax,
		`[{"op":"replace","path":"emails[type eq \"work\"]","value":{"value":"x"}}]`:   schema.InvalidPath,
		`[{"op":"replace","path":"phoneNumbers[type eq \"work\"].value","value":"1"}]`: schema.NoTarget,
	} {
		_, err := apply(t, read(t, before), operations, patch.Options{Strict: true})
		var e *schema.Error
		require.ErrorAs(t, err, &e, operations)
		require.Equal(t, want, e.Type)
	}
}

// FuzzPatch: what is applied is a resource of the type, what is refused changes nothing, and a replacement twice is one.
func FuzzPatch(f *testing.F) {
	for _, s := range []string{`[{"op":"add","path":"emails","value":{"value":"n@x.org","primary":"True"}}]`, `[{"op":"remove","path":"emails[type eq \"home\"].value"}]`,
		`[{"op":"replace","value":{"name.givenName":"B","emails":[{"value":"1"}]}}]`, `[{"op":"add","path":"` + enterprise + `","value":{"manager":"1"}}]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, operations string) {
		raw, err := schema.Decode([]byte(`{"schemas":["` + patch.URN + `"],"Operations":` + operations + `}`))
		if err != nil {
			return
		}
		ops, err := patch.Parse(raw)
		if err != nil {
			return
		}
		o := read(t, before)
		got, err := patch.Apply(&schema.Users, o, ops, patch.Options{})
		require.Equal(t, read(t, before), o)
		if err != nil {
			return
		}
		require.NoError(t, schema.Users.Check(got))
		b, err := json.Marshal(got)
		require.NoError(t, err)
		back, err := schema.Decode(b)
		require.NoError(t, err)
		back["schemas"] = schema.Users.URNs(got)
		same, err := schema.Users.Read(back, &schema.Reading{})
		require.NoError(t, err, "what was stored can be read again: %s", b)
		require.True(t, schema.Same(same, got), "%s", b)
	})
}
