package scim_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/scim"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestAsMuchAsIsSaidIsDoneAtOnce: as many operations, resources in a page, and members in one operation.
func TestAsMuchAsIsSaidIsDoneAtOnce(t *testing.T) { // rules 72, 74, 103, 117
	p, _ := here(t, nil)
	var ids []string
	for from := 0; from < 1200; from += 600 {
		operations := make([]string, 600)
		for i := range operations {
			operations[i] = fmt.Sprintf(`{"method":"POST","path":"/Users","bulkId":"b%d","data":{%s,"userName":"u%d@acme.example"}}`, i, userSchema, from+i)
		}
		for _, o := range p.must(200, "POST", "/Bulk", bulk(operations...)).json["Operations"].([]any) {
			require.Equal(t, "201", o.(map[string]any)["status"])
			ids = append(ids, strings.TrimPrefix(o.(map[string]any)["location"].(string), base+"/Users/"))
		}
	}
	page := p.find("/Users")
	require.Equal(t, ids[:100], page.ids())
	require.Equal(t, []any{1200.0, 100.0}, []any{page.json["totalResults"], page.json["itemsPerPage"]})
	page = p.find("/Users", "count", "1001")
	require.Equal(t, ids[:1000], page.ids())
	require.Equal(t, []any{1200.0, 1000.0}, []any{page.json["totalResults"], page.json["itemsPerPage"]})
	require.Equal(t, ids[1000:], p.find("/Users", "count", "1000", "startIndex", "1001").ids())

	g := p.group("Staff", ids[0])
	require.Equal(t, 204, p.patch("/Groups/"+g, `[{"op":"add","path":"members","value":["`+strings.Join(ids[1:], `","`)+`"]}]`).Code)
	require.ElementsMatch(t, ids, p.members(g))
	operations := make([]string, 1000)
	for i := range operations {
		operations[i] = `{"op":"remove","path":"members[value eq \"` + ids[i] + `\"]"}`
	}
	require.Equal(t, 204, p.patch("/Groups/"+g, `[`+strings.Join(operations, ",")+`]`).Code)
	require.ElementsMatch(t, ids[1000:], p.members(g))
}

// TestWhatIsIndexedIsNotSearchedFor: it is looked up, however many others there are.
func TestWhatIsIndexedIsNotSearchedFor(t *testing.T) { // rules 69, 76, P18, P21
	counted := &counting{}
	s := storetest.Open(t, "memory", store.Options{Wrap: counted.wrap})
	p := newProvider(t, s, "acme", &scim.Options{RequestsPerSecond: 1e6, Burst: 1e6})
	var ids []string
	for i := range 60 {
		body := `{%s,"userName":"u%d@acme.example","externalId":"e%d","emails":[{"value":"u%d@acme.example","type":"work"},{"value":"m%d@home.example"}]}`
		ids = append(ids, p.must(201, "POST", "/Users", fmt.Sprintf(body, userSchema, i, i, i, i)).id())
		p.must(201, "POST", "/Groups", fmt.Sprintf(`{%s,"displayName":"G%d","externalId":"x%d","members":[{"value":"%s"}]}`, groupSchema, i, i, ids[i]))
	}
	group := p.find("/Groups", "filter", `displayName eq "g7"`).ids()[0]
	for path, filters := range map[string]map[string]int{
		"/Users": {`userName eq "U7@acme.example"`: 1, `externalId eq "e7"`: 1, `id eq "` + ids[7] + `"`: 1, `emails eq "M7@home.example"`: 1, `emails.value eq "u7@acme.example"`: 1,
			`emails[type eq "work" and value eq "u7@acme.example"]`: 1, `groups.value eq "` + group + `"`: 1, `userName eq "u7@acme.example" and active eq true`: 1,
			`userName eq "u7@acme.example" or externalId eq "e8"`: 2, `userName eq "f8d3a5c4-1b9e-4a3c-8d8e-2d5a6f3c1b7e"`: 0},
		"/Groups": {`displayName eq "G7"`: 1, `externalId eq "x7"`: 1, `id eq "` + group + `"`: 1, `members.value eq "` + ids[7] + `"`: 1, `members[value eq "` + ids[7] + `"]`: 1,
			`displayName eq "f8d3a5c4-1b9e-4a3c-8d8e-2d5a6f3c1b7e"`: 0},
	} {
		for f, n := range filters {
			before := counted.resources.Load()
			require.Len(t, p.find(path, "filter", f, "excludedAttributes", "members").ids(), n, f)
			require.LessOrEqual(t, counted.resources.Load()-before, int64(6), f)
		}
	}
	before := counted.resources.Load()
	p.find("/Users", "filter", `title pr`)
	require.GreaterOrEqual(t, counted.resources.Load()-before, int64(60), "what is not is searched for")
}
