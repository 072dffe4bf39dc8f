package filter_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/scim/filter"
	"github.com/orgkit/orgkit/scim/filter/filtertest"
	"github.com/orgkit/orgkit/scim/schema"
)

var barbara = schema.Object{
	"id": "user_1", "externalId": "Ext-1", "userName": "BJensen", "active": true, "title": "",
	"name": schema.Object{"familyName": "O'Malley", "givenName": "Barbara"},
	"emails": []any{
		schema.Object{"value": "bj@Example.com", "type": "work", "primary": true},
		schema.Object{"value": "babs@home.org", "type": "home"},
	},
	"groups":             []any{schema.Object{"value": "group_1", "display": "Tour Guides"}},
	"roles":              []any{},
	"ims":                []any{schema.Object{"value": ""}},
	"meta":               schema.Object{"resourceType": "User", "lastModified": "2024-03-05T12:00:00.25Z"},
	schema.EnterpriseURN: schema.Object{"department": "Tours", "manager": schema.Object{"value": "user_2"}},
}

func bind(t *testing.T, text string, typ *schema.ResourceType) *filter.Filter {
	t.Helper()
	e, err := filter.Parse(text)
	require.NoError(t, err, text)
	f, err := filter.Bind(e, typ)
	require.NoError(t, err, text)
	return f
}

func TestFiltersMatch(t *testing.T) { // rules 57 to 62, 66, 105
	for text, want := range map[string]bool{
		`userName eq "bjensen"`: true, `USERNAME Eq "BJENSEN"`: true, `userName eq "bjense"`: false,
		`id eq "user_1"`: true, `id eq "USER_1"`: false, `externalId eq "Ext-1"`: true, `externalId eq "ext-1"`: false,
		`userName sw "bj"`: true, `userName ew "SEN"`: true, `userName co "jen"`: true, `userName co "jan"`: false,
		`userName gt "bjensem"`: true, `userName ge "bjensen"`: true, `userName lt "bjensen"`: false, `userName le "bjensen"`: true,
		`title pr`: false, `title eq null`: true, `title eq ""`: true, `displayName pr`: false, `displayName ne "x"`: true, `userName ne "bjensen"`: false,
		`roles pr`: false, `ims pr`: false, `emails pr`: true, `userName ne null`: true, `nickName eq null`: true, `name pr`: true, `name eq null`: false,
		`active eq true`: true, `active eq "True"`: true, `active ne true`: false, `active eq false`: false,
		`emails eq "bj@example.com"`: true, `emails co "HOME.org"`: true, `emails.value sw "babs"`: true, `emails ne "babs@home.org"`: false,
		`emails[type eq "work" and value co "@example"]`: true, `emails[type eq "home" and value co "@example"]`: false,
		`emails.type eq "home" and emails.value co "@example"`: true,
		`emails[type eq "work"].value eq "BJ@example.com"`:     true, `emails[type eq "home"].value eq "BJ@example.com"`: false,
		`emails[primary eq "True"]`: true, `emails[primary eq false]`: false, `emails[not (primary eq true)]`: true,
		`emails[type eq "work"].primary pr`: true, `emails[type eq "home"].primary pr`: false,
		`userName eq "x" or userName eq "bjensen" and active eq true`: true, `(userName eq "bjensen" or userName eq "x") and active eq false`: false,
		`userName eq "bjensen" or userName eq "x" and active eq false`: true,
		`not (userName eq "x")`: true, `NOT(userName eq "bjensen")`: false,
		schema.UserURN + `:userName eq "bjensen"`: true, schema.UserURN + `:name.familyName co "o'm"`: true,
		schema.EnterpriseURN + `:department eq "tours"`: true, schema.EnterpriseURN + `.department eq "tours"`: true,
		strings.ToUpper(schema.EnterpriseURN) + `:manager.value eq "user_2"`: true, schema.EnterpriseURN + `:manager eq "user_2"`: true,
		schema.EnterpriseURN + `.manager.value eq "user_3"`: false, schema.EnterpriseURN + `:division pr`: false,
		`meta.lastModified gt "2024-03-05T13:00:00+01:00"`: true, `meta.lastModified ge "2024-03-05T12:00:00.2500000Z"`: true,
		`meta.lastModified lt "2024-03-05T12:00:00.2500000Z"`: false, `meta.resourceType eq "User"`: true,
		`groups.value eq "group_1"`: true, `groups[value eq "group_2"]`: false, `userName eq "\u0062jensen"`: true,
	} {
		require.Equal(t, want, bind(t, text, &schema.Users).Match(barbara), text)
	}
}

func TestComparisonFolds(t *testing.T) {
	for a, b := range map[string]string{"Straße": "STRASSE", "é": "E\u0301", "ǅ": "ǆ", "Σς": "σσ"} {
		require.Equal(t, schema.Fold(a), schema.Fold(b))
		f := bind(t, `displayName eq "`+a+`"`, &schema.Users)
		require.True(t, f.Match(schema.Object{"displayName": b}))
	}
}

func TestWhatIsNoFilterIsRefusedWhereItIsWrong(t *testing.T) { // rules 63 to 65
	for text, at := range map[string]int{
		"": 0, "userName": 8, `userName eq`: 11, `userName is "x"`: 9, `userName sw O`: 12, `userName eq "x`: 12, `userName eq 'x'`: 12,
		`userName eq "x" and`: 19, `userName eq "x")`: 15, `(userName eq "x"`: 16, `not userName eq "x"`: 4, `userName eq "x" userName pr`: 16,
		`emails[type eq "x"`: 18, `emails[]`: 7, `emails[a[b eq "c"]]`: 8, `emails[type eq "x"].`: 19, `emails[type eq "x"].1 pr`: 19,
		`emails[type eq "x"] .value eq "y"`: 20, `a.b.c pr`: 0, `1a pr`: 0, `userName eq 01`: 12, `userName eq "\ud800"`: 12, `userName eq "\udc00\ud800"`: 12,
		"userName eq \"\xff\"": 12, `userName eq "a` + "\n" + `"`: 12, `meta.lastModified gt 2011-05-13T04:42:34Z`: 21,
	} {
		_, err := filter.Parse(text)
		var e *filter.Error
		require.ErrorAs(t, err, &e, text)
		require.Equal(t, at, e.At, "%s: %v", text, err)
	}
	_, err := filter.Parse(`userName eq "\ud83d\ude00"`)
	require.NoError(t, err)
}

func TestWhatTheTypeDoesNotHaveIsRefused(t *testing.T) { // rules 62 to 64, D20, D21
	for _, text := range []string{`nope eq "x"`, `emails.nope eq "x"`, `emails[nope eq "x"]`, `urn:x:y:userName eq "x"`, `active gt true`, `active eq "maybe"`, `active co "t"`,
		`name eq "x"`, `addresses eq "x"`, `addresses gt "x"`, `userName eq 1`, `userName eq true`, `userName gt null`, `meta.lastModified gt "yesterday"`, `meta.lastModified co "2024"`,
		`userName[value eq "x"]`, `name[givenName eq "x"]`, `emails.value[value eq "x"]`, `emails[emails.value eq "x"]`, `emails[urn:a:value eq "x"]`, `displayName.value eq "x"`} {
		e, err := filter.Parse(text)
		require.NoError(t, err, text)
		_, err = filter.Bind(e, &schema.Users)
		var f *filter.Error
		require.ErrorAs(t, err, &f, text)
		require.False(t, f.Sensitive)
		require.NotContains(t, f.Message, "yesterday", "no value is repeated")
	}
	for _, text := range []string{`password eq "x"`, `password pr`, `userName pr and not (PASSWORD sw "a")`} {
		e, err := filter.Parse(text)
		require.NoError(t, err)
		_, err = filter.Bind(e, &schema.Users)
		var f *filter.Error
		require.ErrorAs(t, err, &f)
		require.True(t, f.Sensitive)
	}
}

func TestLimitsHold(t *testing.T) { // rule 68
	deep := func(n int) string { return strings.Repeat("(", n) + "a pr" + strings.Repeat(")", n) }
	many := func(n int) string { return strings.Repeat("a pr and ", n-1) + "a pr" }
	for text, ok := range map[string]bool{
		deep(filter.MaxDepth): true, deep(filter.MaxDepth + 1): false, deep(1_000_000): false,
		strings.Repeat("not (", filter.MaxDepth) + "a pr" + strings.Repeat(")", filter.MaxDepth):     true,
		strings.Repeat("not (", filter.MaxDepth+1) + "a pr" + strings.Repeat(")", filter.MaxDepth+1): false,
		"a[" + deep(filter.MaxDepth) + "]":                     false,
		many(filter.MaxNodes - 1):                              true,
		many(filter.MaxNodes + 1):                              false,
		`a eq "` + strings.Repeat("x", filter.MaxText-7) + `"`: true,
		`a eq "` + strings.Repeat("x", filter.MaxText-6) + `"`: false,
	} {
		_, err := filter.Parse(text)
		require.Equal(t, ok, err == nil, "%.40s: %v", text, err)
	}
	_, err := filter.ParsePath(strings.Repeat("a", filter.MaxPath+1))
	require.Error(t, err)
}

func TestPathsOfPatches(t *testing.T) { // rule 106
	for text, want := range map[string]filter.Target{
		"userName":        {Path: filter.Path{Attr: "userName"}},
		"name.givenName":  {Path: filter.Path{Attr: "name", Sub: "givenName"}},
		"members":         {Path: filter.Path{Attr: "members"}},
		"members.$ref":    {Path: filter.Path{Attr: "members", Sub: "$ref"}},
		"urn:a:2.0:U:x":   {Path: filter.Path{URN: "urn:a:2.0:U", Attr: "x"}},
		"urn:a:2.0:U:x.y": {Path: filter.Path{URN: "urn:a:2.0:U", Attr: "x", Sub: "y"}},
		"urn:a:2.0:U":     {Path: filter.Path{URN: "urn:a:2.0", Attr: "U"}},
		"urn:a:2.0:U.m.v": {Path: filter.Path{URN: "urn:a:2.0", Attr: "U", Sub: "m.v"}},
	} {
		got, err := filter.ParsePath(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		require.Equal(t, text, got.String())
	}
	got, err := filter.ParsePath(`emails[ type  EQ "work" ].value`)
	require.NoError(t, err)
	require.Equal(t, `emails[type eq "work"].value`, got.String())
	require.Equal(t, "value", got.Sub)
	for _, text := range []string{"", "a.b.c", "a b", `a[b eq "c"`, `a[b eq "c"].`, `a[b eq "c"].d eq "e"`, `a[b eq "c"].d.e`, `a[]`, `a]`, `"a"`, "a eq", "1", "urn::1"} {
		_, err := filter.ParsePath(text)
		require.Error(t, err, text)
	}
}

// TestNoMatchIsMissedByProbes: whatever matches meets one of the equalities that an index would look up.
func TestNoMatchIsMissedByProbes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	indexed := []string{"id", "userName", "externalId", "emails.value", "groups.value"}
	var users []schema.Object
	for n := range 40 {
		users = append(users, filtertest.Resource(r, &schema.Users, n))
	}
	probed, matched := 0, 0
	for range 30_000 { // with 40 users more than a million pairs
		text := filtertest.Filter(r, &schema.Users)
		f := bind(t, text, &schema.Users)
		again := bind(t, f.String(), &schema.Users)
		require.Equal(t, f.String(), again.String())
		probes, ok := f.Probes(indexed...)
		for _, u := range users {
			is := f.Match(u)
			require.Equal(t, is, again.Match(u), text)
			if ok && is {
				matched++
				require.True(t, meets(u, probes), "%s: %v", text, u)
			}
		}
		if ok {
			probed++
		}
	}
	require.Greater(t, probed, 500)
	require.Greater(t, matched, 20)
}

func meets(u schema.Object, probes []filter.Probe) bool {
	for _, p := range probes {
		attr, sub, _ := strings.Cut(p.Name, ".")
		r, _ := schema.Users.Find("", attr, sub)
		values := []any{u.Get(r)}
		if sub != "" {
			values = nil
			for _, e := range u.List(attr) {
				values = append(values, e.(schema.Object)[sub])
			}
		}
		for _, v := range values {
			if s, ok := v.(string); ok && r.Last().Key(s) == p.Key {
				return true
			}
		}
	}
	return false
}

func TestProbesTakeTheBestEquality(t *testing.T) {
	for text, want := range map[string]string{
		`userName eq "A"`: "[{userName a}]", `active eq true and emails[type eq "work" and value eq "B"] and userName eq "c"`: "[{userName c}]",
		`emails eq "B"`: "[{emails.value b}]", `userName eq "a" or id eq "B"`: "[{userName a} {id B}]", `emails[type eq "work"].value eq "b"`: "[{emails.value b}]",
		`userName eq "a" or active eq true`: "", `not (userName eq "a")`: "", `userName ne "a"`: "", `userName sw "a"`: "", `title eq "a"`: "",
		`(userName eq "a" or userName eq "b") and id eq "c"`: "[{id c}]",
	} {
		probes, ok := bind(t, text, &schema.Users).Probes("id", "userName", "emails.value")
		if require.Equal(t, want != "", ok, text); ok {
			require.Equal(t, want, fmt.Sprint(probes), text)
		}
	}
}

// TestPicksAreAllThatTheFilterSees: without the other elements it says the same.
func TestPicksAreAllThatTheFilterSees(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var users []schema.Object
	for n := range 30 {
		users = append(users, filtertest.Resource(r, &schema.Users, n))
	}
	picked, matched := 0, 0
	for range 20_000 {
		f := bind(t, filtertest.Filter(r, &schema.Users), &schema.Users)
		values, ok := f.Picks("groups")
		if !ok || !f.Uses("groups") {
			continue
		}
		picked++
		for _, u := range users {
			less := u.Clone()
			kept := []any{}
			for _, e := range u.List("groups") {
				if v, _ := e.(schema.Object)["value"].(string); slices.Contains(values, v) {
					kept = append(kept, e)
				}
			}
			less["groups"] = kept
			require.Equal(t, f.Match(u), f.Match(less), "%s", f)
			if f.Match(u) {
				matched++
			}
		}
	}
	require.Greater(t, picked, 50)
	require.Greater(t, matched, 50)
}

func FuzzParseFilter(f *testing.F) {
	for _, s := range []string{`userName eq "x"`, `emails[type eq "work" and not (value co "@")].value pr or (a.b ne null)`, schema.EnterpriseURN + `:manager.value eq "\u00e9"`,
		`members[value eq "2819c223"]`, `a eq -1.5e3`, `((a pr))`, `not (not (a pr and b pr))`, `a eq "`, `]`, `roles[primary eq "True"]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := filter.Parse(text)
		if err != nil {
			var at *filter.Error
			require.ErrorAs(t, err, &at)
			require.LessOrEqual(t, at.At, len(text))
			return
		}
		again, err := filter.Parse(e.String())
		var long *filter.Error
		if errors.As(err, &long) && len(e.String()) > filter.MaxText { // printed with escapes
			return
		}
		require.NoError(t, err, e)
		require.Equal(t, e.String(), again.String())
		if b, err := filter.Bind(e, &schema.Users); err == nil {
			b.Match(barbara)
			b.Match(schema.Object{})
			b.Probes("userName")
		}
	})
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"a", "a.b", `a[b eq "c"].d`, schema.EnterpriseURN, schema.EnterpriseURN + ".manager.value", `members[value eq "x"]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := filter.ParsePath(text)
		if err != nil {
			return
		}
		again, err := filter.ParsePath(p.String())
		if err != nil {
			require.Greater(t, len(p.String()), filter.MaxPath)
			return
		}
		require.Equal(t, p.String(), again.String())
	})
}
