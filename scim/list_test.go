package scim_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/scim"
	"github.com/orgkit/orgkit/scim/filter"
	"github.com/orgkit/orgkit/scim/filter/filtertest"
	"github.com/orgkit/orgkit/scim/schema"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func (p *provider) find(path string, values ...string) reply {
	p.t.Helper()
	v := url.Values{}
	for i := 0; i < len(values); i += 2 {
		v.Set(values[i], values[i+1])
	}
	return p.must(200, "GET", path+"?"+v.Encode(), "")
}

func TestListsAreCutIntoPages(t *testing.T) { // rules 70 to 75, D14
	each(t, func(t *testing.T, p *provider) {
		empty := p.find("/Users", "count", "1", "startIndex", "1")
		require.Equal(t, []any{"urn:ietf:params:scim:api:messages:2.0:ListResponse"}, empty.json["schemas"])
		require.Zero(t, empty.total())
		require.Equal(t, []any{}, empty.json["Resources"])
		var ids []string
		for i := range 7 {
			ids = append(ids, p.user(fmt.Sprintf("u%d", i)))
		}
		for _, c := range []struct {
			start, count string
			want         []string
			per          int
		}{
			{"", "", ids, 7}, {"1", "3", ids[:3], 3}, {"4", "3", ids[3:6], 3}, {"7", "3", ids[6:], 1}, {"8", "3", []string{}, 0}, {"99", "", []string{}, 0},
			{"0", "2", ids[:2], 2}, {"-5", "2", ids[:2], 2}, {"1", "0", []string{}, 0}, {"1", "-1", []string{}, 0}, {"", "100000", ids, 7},
		} {
			for _, f := range []string{"", `userName sw "u"`, `userName eq "u0@acme.example" or emails pr or active eq true`} {
				a := p.find("/Users", "startIndex", c.start, "count", c.count, "filter", f)
				require.Equal(t, c.want, a.ids(), "%+v %s", c, f)
				require.Equal(t, 7, a.total())
				require.EqualValues(t, c.per, a.json["itemsPerPage"])
			}
		}
		p.refused(400, "invalidValue", "GET", "/Users?count=x", "")
		p.refused(400, "invalidValue", "GET", "/Users?startIndex=x", "")
	})
}

// TestTotalsAreThoseOfNow, whichever process has changed the list, though no page counts what nobody has changed.
func TestTotalsAreThoseOfNow(t *testing.T) { // rule 72
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		p := newProvider(t, s, "acme", nil)
		h, err := scim.New(p.Manager, base, &scim.Options{RequestsPerSecond: 1e6, Burst: 1e6})
		require.NoError(t, err)
		there := *p
		there.h = http.StripPrefix("/scim/v2", h)
		rival := join(t, p.World, "rival", nil, everything)
		total := func() []int {
			return []int{p.find("/Users", "count", "1").total(), p.find("/Users", "count", "1", "cursor", "").total(), p.find("/Groups", "count", "0").total(), there.find("/Users", "count", "0").total()}
		}
		require.Equal(t, []int{0, 0, 0, 0}, total())
		anna := there.user("anna")
		require.Equal(t, []int{1, 1, 0, 1}, total())
		p.group("Staff", anna)
		rival.user("eve")
		require.Equal(t, []int{1, 1, 1, 1}, total())
		there.must(204, "DELETE", "/Users/"+anna, "")
		require.Equal(t, []int{0, 0, 1, 0}, total())
		require.Equal(t, 1, rival.find("/Users").total())
	})
}

func TestFiltersOverHTTP(t *testing.T) { // rules 18, 63 to 67, 69, 76, P18
	each(t, func(t *testing.T, p *provider) {
		anna := p.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"Anna","externalId":"X","emails":[{"value":"Anna@acme.example","type":"work"},{"value":"a@home.example"}],"`+enterprise+`":{"department":"Tours"}}`).id()
		bob := p.user("bob")
		staff := p.must(201, "POST", "/Groups", `{`+groupSchema+`,"displayName":"Staff","externalId":"S","members":[{"value":"`+anna+`"}]}`).id()
		for f, want := range map[string][]string{
			`userName eq "anna"`: {anna}, `userName eq "ANNA" and active eq true`: {anna}, `externalId eq "X"`: {anna}, `externalId eq "x"`: {}, `id eq "` + bob + `"`: {bob},
			`emails.value eq "anna@ACME.example"`: {anna}, `emails[type eq "work" and value eq "anna@acme.example"]`: {anna}, `emails[value eq "a@home.example"].type pr`: {},
			`emails eq "a@home.example"`: {anna}, `groups.value eq "` + staff + `"`: {anna}, `not (groups pr)`: {bob}, `groups.display eq "staff"`: {anna},
			`userName eq "anna" or id eq "` + bob + `"`: {anna, bob}, `userName eq "78bdf2b8-9a3c-4a45-9d52-e95f1ed5c2a3"`: {}, `meta.resourceType eq "User"`: {anna, bob},
			`meta.lastModified ge "2024-03-05T12:00:00Z"`: {anna, bob}, `schemas eq "` + enterprise + `"`: {anna}, enterprise + `:department eq "tours"`: {anna}, `userName sw "a"`: {anna},
		} {
			require.Equal(t, want, p.find("/Users", "filter", f).ids(), f)
		}
		for f, want := range map[string][]string{
			`displayName eq "STAFF"`: {staff}, `externalId eq "S"`: {staff}, `members.value eq "` + anna + `"`: {staff}, `members[value eq "` + anna + `" and type eq "User"]`: {staff},
			`members[value eq "` + anna + `" and type eq "Group"]`: {}, `members eq "` + bob + `"`: {}, `id eq "` + staff + `" and displayName pr`: {staff},
		} {
			require.Equal(t, want, p.find("/Groups", "filter", f).ids(), f)
		}
		require.Equal(t, []string{anna}, p.must(200, "GET", `/Users/?filter=userName+eq+%22anna%22&aadOptscim062020`, "").ids(), "a slash, a plus, and what nobody knows")
		for f, want := range map[string]string{`userName eq anna`: "invalidFilter", `userName is "x"`: "invalidFilter", `nope eq "x"`: "invalidFilter", `active gt true`: "invalidFilter",
			`(`: "invalidFilter", `userName eq "` + strings.Repeat("x", 9000) + `"`: "invalidFilter"} {
			p.refused(400, want, "GET", "/Users?filter="+url.QueryEscape(f), "")
		}
		p.refused(403, "sensitive", "GET", "/Users?filter="+url.QueryEscape(`password eq "hunter3"`), "")
	})
}

func TestListsAreSorted(t *testing.T) { // rule 77, D22
	each(t, func(t *testing.T, p *provider) {
		post := func(body string) string { return p.must(201, "POST", "/Users", `{`+userSchema+`,`+body+`}`).id() }
		c := post(`"userName":"c@x.org","title":"B","emails":[{"value":"1@x.org"},{"value":"9@x.org","primary":true}]`)
		a := post(`"userName":"A@x.org","title":"a","emails":[{"value":"5@x.org"}]`)
		b := post(`"userName":"b@x.org","active":false`)
		for _, s := range []struct {
			by, order string
			want      []string
		}{
			{"userName", "", []string{a, b, c}}, {"userName", "descending", []string{c, b, a}}, {"USERNAME", "Ascending", []string{a, b, c}},
			{"title", "", []string{a, c, b}}, {"title", "descending", []string{b, c, a}}, {"emails", "", []string{a, c, b}}, {"emails.value", "", []string{a, c, b}},
			{"active", "", []string{b, c, a}}, {"meta.created", "descending", []string{b, a, c}},
		} {
			require.Equal(t, s.want, p.find("/Users", "sortBy", s.by, "sortOrder", s.order).ids(), "%+v", s)
			require.Equal(t, s.want[1:2], p.find("/Users", "sortBy", s.by, "sortOrder", s.order, "startIndex", "2", "count", "1").ids())
		}
		p.refused(400, "invalidPath", "GET", "/Users?sortBy=nope", "")
		p.refused(400, "invalidPath", "GET", "/Users?sortBy=password", "")
		p.refused(400, "invalidValue", "GET", "/Users?sortBy=title&sortOrder=sideways", "")
	})
}

func TestCursorsNeitherSkipNorRepeat(t *testing.T) { // rules 82 to 84
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		p := newProvider(t, s, "acme", nil)
		var ids []string
		for i := range 7 {
			ids = append(ids, p.user(fmt.Sprintf("u%d", i)))
		}
		for _, by := range []string{"", "userName"} {
			for _, f := range []string{"", `userName sw "u"`} {
				var got []string
				cursor, n := "", 0
				for {
					a := p.find("/Users", "cursor", cursor, "count", "3", "sortBy", by, "filter", f)
					got = append(got, a.ids()...)
					next, more := a.json["nextCursor"].(string)
					require.NotContains(t, a.json, "startIndex")
					if n++; !more {
						break
					}
					require.Regexp(t, `^[A-Za-z0-9._~-]+$`, next)
					if cursor = next; n == 1 && by == "" && f == "" { // one who is gone, and one who is new, meanwhile
						p.must(204, "DELETE", "/Users/"+ids[0], "")
						ids = append(ids[1:], p.user("u9"))
						got = got[1:]
					}
				}
				require.Equal(t, 3, n)
				require.Equal(t, ids, got)
			}
		}
		require.NotContains(t, p.find("/Users", "cursor", "", "count", "7").json, "nextCursor")

		next := p.find("/Users", "cursor", "", "count", "2").json["nextCursor"].(string)
		rival := join(t, p.World, "rival", nil, everything)
		bad := func(p *provider, query string) { p.refused(400, "invalidCursor", "GET", query, "") }
		bad(rival, "/Users?cursor="+next)
		bad(p, "/Groups?cursor="+next)
		bad(p, "/Users?sortBy=userName&cursor="+next)
		bad(p, "/Users?filter=active+eq+true&cursor="+next)
		bad(p, "/Users?cursor="+next[:len(next)-1])
		bad(p, "/Users?cursor="+swapped(next))
		bad(p, "/Users?cursor=x")
		for _, count := range []string{"0", "-1", "x", "1001"} {
			p.refused(400, "invalidCount", "GET", "/Users?cursor=&count="+count, "")
		}
		clock.Advance(time.Hour)
		p.refused(400, "expiredCursor", "GET", "/Users?cursor="+next, "")
	})
}

func swapped(s string) string {
	b := []byte(s)
	i := len(b) / 2
	if b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return string(b)
}

func TestWhatIsShownIsChosen(t *testing.T) { // rules 33, 78, 139
	p, _ := here(t, nil)
	id := p.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"anna@acme.example","name":{"givenName":"A","familyName":"B"},"emails":[{"value":"anna@acme.example","type":"work"}],"`+enterprise+`":{"department":"d","division":"e"}}`).id()
	keys := func(a reply) (names []string) {
		o := a.json
		if list, ok := o["Resources"].([]any); ok {
			o = list[0].(map[string]any)
		}
		for name := range o {
			names = append(names, name)
		}
		slices.Sort(names)
		return names
	}
	for query, want := range map[string][]string{
		"attributes=userName":                        {"id", "schemas", "userName"},
		"attributes=USERNAME,name.givenName":         {"id", "name", "schemas", "userName"},
		"attributes=userName&attributes=nope":        {"id", "schemas", "userName"},
		"attributes=nope":                            {"id", "schemas"},
		"attributes=password":                        {"id", "schemas"},
		"attributes=" + enterprise:                   {"id", "schemas", enterprise},
		"attributes=" + enterprise + ":division":     {"id", "schemas", enterprise},
		`attributes=emails[type%20eq%20"work"]`:      {"emails", "id", "schemas"},
		"excludedAttributes=emails,name,meta,active": {"id", "schemas", enterprise, "userName"},
		"excludedAttributes=id,schemas,emails.type":  {"active", "emails", "id", "meta", "name", "schemas", enterprise, "userName"},
	} {
		require.Equal(t, want, keys(p.must(200, "GET", "/Users/"+id+"?"+query, "")), query)
		require.Equal(t, want, keys(p.must(200, "GET", "/Users?"+query, "")), query)
	}
	require.Equal(t, map[string]any{"givenName": "A"}, p.must(200, "GET", "/Users/"+id+"?attributes=name.givenName", "").json["name"])
	require.Equal(t, []any{map[string]any{"value": "anna@acme.example"}}, p.must(200, "GET", "/Users/"+id+"?excludedAttributes=emails.type", "").json["emails"])
	require.Equal(t, []string{"id", "schemas", "title"}, keys(p.must(200, "PUT", "/Users/"+id+"?attributes=title", `{`+userSchema+`,"userName":"anna@acme.example","title":"x"}`)))
	require.Equal(t, []string{"id", "schemas", "userName"}, keys(p.must(201, "POST", "/Users?attributes=userName", `{`+userSchema+`,"userName":"bob@acme.example"}`)))
	p.refused(400, "invalidSyntax", "GET", "/Users?attributes=userName&excludedAttributes=emails", "")
	p.refused(400, "invalidValue", "GET", "/Users?attributes="+strings.Repeat("a,", 101), "")
}

func TestSearchIsAList(t *testing.T) { // rule 80, 81
	each(t, func(t *testing.T, p *provider) {
		anna, bob := p.user("anna"), p.user("bob")
		staff := p.group("Staff", anna)
		const search = `"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]`
		a := p.must(200, "POST", "/Users/.search", `{`+search+`,"filter":"userName sw \"b\"","attributes":["userName"],"startIndex":1,"count":10}`)
		require.Equal(t, []string{bob}, a.ids())
		require.NotContains(t, a.json["Resources"].([]any)[0], "meta")
		require.Equal(t, []string{bob, anna}, p.must(200, "POST", "/Users/.search", `{`+search+`,"sortBy":"userName","sortOrder":"descending"}`).ids())
		first := p.must(200, "POST", "/Users/.search", `{`+search+`,"cursor":"","count":1}`)
		require.Equal(t, []string{bob}, p.must(200, "POST", "/Users/.search", `{`+search+`,"cursor":"`+first.json["nextCursor"].(string)+`","count":1}`).ids())
		require.Equal(t, []string{anna, bob, staff}, p.must(200, "POST", "/.search", `{`+search+`}`).ids())
		both := p.must(200, "POST", "/.search", `{`+search+`,"startIndex":2,"count":2}`)
		require.Equal(t, []string{bob, staff}, both.ids())
		require.Equal(t, 3, both.total())
		require.Equal(t, []string{staff}, p.must(200, "POST", "/.search", `{`+search+`,"filter":"members.value eq \"`+anna+`\""}`).ids())
		p.refused(400, "invalidSyntax", "POST", "/Users/.search", `{"filter":"userName pr"}`)
		p.refused(400, "invalidFilter", "POST", "/.search", `{`+search+`,"filter":"nope pr"}`)
		p.refused(400, "invalidCount", "POST", "/Users/.search", `{`+search+`,"cursor":"","count":0}`)
		p.refused(405, "", "GET", "/Users/.search", "")
		p.refused(501, "", "GET", "/?filter=userName+pr", "")
	})
}

// TestIndexAndEvaluatorAgree: what a list finds by its indexes is what the evaluator says of every user, on every store.
func TestIndexAndEvaluatorAgree(t *testing.T) { // scim.md 7.5
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		agree(t, newProvider(t, s, "acme", nil), 60, 150)
	})
}

// TestAMillionPairs of filters and users, by the indexes and by the evaluator.
func TestAMillionPairs(t *testing.T) { // scim.md 7.5
	p, _ := here(t, nil)
	agree(t, p, 400, 2500/fewer)
}

// agree holds lists of n random users by as many random filters as there are rounds against the evaluator.
func agree(t *testing.T, p *provider, n, rounds int) {
	r := rand.New(rand.NewPCG(3, 4))
	for i := range n {
		o := filtertest.Resource(r, &schema.Users, i)
		delete(o, "id")
		delete(o, "meta")
		delete(o, "groups")
		o["schemas"] = []string{schema.UserURN}
		delete(o, "x509Certificates")
		o["userName"] = fmt.Sprintf("%s%d@x.org", []string{"a", "AB", "é", "Straße"}[r.IntN(4)], i)
		o["emails"] = append(o.List("emails"), schema.Object{"value": fmt.Sprintf("m%d@x.org", i), "primary": true})
		for _, v := range o.List("emails")[:len(o.List("emails"))-1] {
			delete(v.(schema.Object), "primary")
		}
		for name := range o {
			onePrimary(o.List(name))
		}
		raw, err := json.Marshal(o)
		require.NoError(t, err)
		p.must(201, "POST", "/Users", string(raw))
	}
	var all []schema.Object
	for _, v := range p.find("/Users", "count", "1000").json["Resources"].([]any) {
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		var o schema.Object
		require.NoError(t, json.Unmarshal(raw, &o))
		all = append(all, o)
	}
	require.Len(t, all, n)
	indexed, found := 0, 0
	for range rounds {
		text := filtertest.Filter(r, &schema.Users)
		if r.IntN(2) == 0 { // one that an index serves
			u := all[r.IntN(n)]
			text = fmt.Sprintf(`(%s) %s userName eq %q or id eq %q`, text, []string{"and", "or"}[r.IntN(2)], u.Text("userName"), all[r.IntN(n)].Text("id"))
		}
		tree, err := filter.Parse(text)
		require.NoError(t, err, text)
		f, err := filter.Bind(tree, &schema.Users)
		require.NoError(t, err, text)
		want := []string{}
		for _, o := range all {
			if f.Match(o) {
				want = append(want, o.Text("id"))
			}
		}
		if _, ok := f.Probes("id", "userName", "externalId", "emails.value", "groups.value"); ok {
			indexed++
		}
		found += len(want)
		a := p.find("/Users", "filter", text, "count", "1000", "attributes", "id")
		require.Equal(t, want, a.ids(), text)
		require.Equal(t, len(want), a.total())
	}
	require.Greater(t, indexed, 10)
	require.Greater(t, found, 200)
}

// onePrimary leaves at most one primary value in a list.
func onePrimary(list []any) {
	seen := false
	for _, v := range list {
		o, _ := v.(schema.Object)
		if o["primary"] == true && seen {
			delete(o, "primary")
		}
		seen = seen || o["primary"] == true
	}
}

func TestWalkByIndexLeavesNobodyOut(t *testing.T) { // rule 73
	p, clock := here(t, nil)
	var ids []string
	for i := range 6 {
		ids = append(ids, p.user(fmt.Sprintf("u%d", i)))
	}
	require.Equal(t, ids[:2], p.find("/Users", "startIndex", "1", "count", "2").ids())
	p.must(204, "DELETE", "/Users/"+ids[0], "")
	require.Equal(t, ids[2:4], p.find("/Users", "startIndex", "3", "count", "2").ids())
	require.Equal(t, ids[4:], p.find("/Users", "startIndex", "5", "count", "2").ids())
	require.Equal(t, ids[3:5], p.find("/Users", "startIndex", "3", "count", "2").ids(), "who does not walk gets what the index says")
	p.find("/Users", "startIndex", "1", "count", "2")
	clock.Advance(time.Minute)
	require.Equal(t, ids[3:5], p.find("/Users", "startIndex", "3", "count", "2").ids())
}
