package scim_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/scim"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// team is the team of a group, found by its slug.
func (p *provider) team(slug string) orgs.Team {
	p.t.Helper()
	page, err := p.Teams(p.Platform(), p.org.ID, orgs.PartFilter{Slug: slug})
	require.NoError(p.t, err)
	require.Len(p.t, page.Items, 1)
	return page.Items[0]
}

func (p *provider) inTeam(team orgs.Team) (emails []string) {
	p.t.Helper()
	page, err := p.Members(p.Platform(), orgs.Place{OrgID: team.OrgID, TeamID: team.ID}, orgs.MemberFilter{})
	require.NoError(p.t, err)
	for _, m := range page.Items {
		emails = append(emails, m.User.Email)
	}
	slices.Sort(emails)
	return emails
}

func TestGroupIsATeam(t *testing.T) { // rules 48 to 51, 53, 126, F190, P5
	each(t, func(t *testing.T, p *provider) {
		anna, bob := p.user("anna"), p.user("bob")
		a := p.must(201, "POST", "/Groups", `{`+groupSchema+`,"displayName":"Data Science","externalId":"g1","members":[{"value":"`+anna+`"}]}`)
		require.Equal(t, base+"/Groups/"+a.id(), a.Header().Get("Location"))
		require.Equal(t, []any{map[string]any{"value": anna, "type": "User", "display": "anna@acme.example", "$ref": base + "/Users/" + anna}}, a.json["members"])
		team := p.team("data-science")
		require.Equal(t, "Data Science", team.Name)
		require.Equal(t, []string{"anna@acme.example"}, p.inTeam(team))
		require.Equal(t, []any{map[string]any{"value": a.id(), "display": "Data Science", "type": "direct", "$ref": base + "/Groups/" + a.id()}},
			p.must(200, "GET", "/Users/"+anna, "").json["groups"])

		p.refused(409, "uniqueness", "POST", "/Groups", `{`+groupSchema+`,"displayName":"DATA science"}`)
		p.refused(409, "uniqueness", "POST", "/Groups", `{`+groupSchema+`,"displayName":"x","externalId":"g1"}`)
		require.Equal(t, 204, p.patch("/Groups/"+a.id(), `[{"op":"replace","value":{"id":"`+a.id()+`","displayName":"Science"}}]`).Code)
		require.Equal(t, "Science", p.team("data-science").Name)

		put := p.must(200, "PUT", "/Groups/"+a.id(), `{`+groupSchema+`,"displayName":"Science","members":[{"value":"`+bob+`"}]}`)
		require.NotContains(t, put.json, "externalId")
		require.Equal(t, []string{bob}, p.members(a.id()))
		require.Equal(t, []string{"bob@acme.example"}, p.inTeam(team))
		wrong := p.refused(400, "invalidValue", "PUT", "/Groups/"+a.id(), `{`+groupSchema+`,"displayName":"Science","members":[{"value":"`+bob+`"},{"value":"`+anna+`"},{"value":"nobody"}]}`)
		require.Contains(t, wrong.json["detail"], "members[2].value")
		require.Equal(t, []string{bob}, p.members(a.id()))
		p.must(200, "PUT", "/Groups/"+a.id(), `{`+groupSchema+`,"displayName":"Science","members":[{"value":"`+bob+`"},{"value":"`+anna+`"},{"value":"`+anna+`","type":"User"}]}`)
		require.Equal(t, []string{bob, anna}, p.members(a.id()))
		p.must(200, "PUT", "/Groups/"+a.id(), `{`+groupSchema+`,"displayName":"Science"}`)
		require.Empty(t, p.members(a.id()))

		p.must(204, "DELETE", "/Groups/"+a.id(), "")
		p.refused(404, "", "GET", "/Groups/"+a.id(), "")
		require.NotContains(t, p.must(200, "GET", "/Users/"+bob, "").json, "groups")
		page, err := p.Teams(p.Platform(), p.org.ID, orgs.PartFilter{})
		require.NoError(t, err)
		require.Empty(t, page.Items)
		p.must(201, "POST", "/Groups", `{`+groupSchema+`,"displayName":"Science"}`)
	})
}

// TestTeamOfAGroupIsAsOneMadeByHand in everything but whose it is.
func TestTeamOfAGroupIsAsOneMadeByHand(t *testing.T) { // P7
	each(t, func(t *testing.T, p *provider) {
		byHand, err := p.CreateTeam(p.As(p.owner), p.org.ID, orgs.NewTeam{Name: "By Hand"})
		require.NoError(t, err)
		p.group("By Provider")
		bySCIM := p.team("by-provider")
		require.Equal(t, byHand.State, bySCIM.State)
		require.Equal(t, byHand.Settings, bySCIM.Settings)
		of := func(id string) orgs.PlaceFigures {
			_, f, err := p.TeamFigures(p.Platform(), id)
			require.NoError(t, err)
			return f
		}
		require.Equal(t, of(byHand.ID), of(bySCIM.ID))
	})
}

func TestMembersOfAPatch(t *testing.T) { // rules 90, 99 to 103, 138, D4, P2 to P4
	each(t, func(t *testing.T, p *provider) {
		a, b, c := p.user("a"), p.user("b"), p.user("c")
		g := p.group("Staff", a)
		for _, step := range []struct {
			operations string
			want       []string
		}{
			{`[{"op":"Add","path":"members","value":[{"$ref":null,"value":"` + b + `"}]}]`, []string{a, b}},
			{`[{"op":"add","path":"members","value":"` + b + `"}]`, []string{a, b}},
			{`[{"op":"add","path":"members","value":["` + c + `"]}]`, []string{a, b, c}},
			{`[{"op":"Remove","path":"members","value":[]}]`, []string{a, b, c}},
			{`[{"op":"Remove","path":"members","value":[{"value":"` + b + `"}]}]`, []string{a, c}},
			{`[{"op":"remove","path":"members[value eq \"` + c + `\"]"}]`, []string{a}},
			{`[{"op":"remove","path":"members[value eq \"` + a + `\" and type eq \"Group\"]"}]`, []string{a}},
			{`[{"op":"remove","path":"members[value eq \"nobody\"]"},{"op":"remove","path":"members","value":["nobody"]}]`, []string{a}},
			{`[{"op":"add","value":{"members":[{"value":"` + b + `"}]}},{"op":"remove","path":"members[value eq \"` + a + `\"]"}]`, []string{b}},
			{`[{"op":"replace","path":"members","value":[{"value":"` + a + `"},{"value":"` + c + `"}]}]`, []string{a, c}},
			{`[{"op":"replace","value":{"members":[{"$ref":"../Users/` + b + `"}],"displayName":"Staff"}}]`, []string{b}},
			{`[{"op":"add","path":"members[value eq \"` + a + `\"]","value":{"type":"User"}}]`, []string{a, b}},
			{`[{"op":"remove","path":"members[type eq \"User\"]"},{"op":"add","path":"members","value":[{"value":"` + c + `"}]}]`, []string{c}},
			{`[{"op":"add","path":"members","value":null}]`, []string{c}},
			{`[{"op":"remove","path":"members"}]`, []string{}},
		} {
			r := p.patch("/Groups/"+g, step.operations)
			require.Equal(t, 204, r.Code, r.Body.String())
			require.ElementsMatch(t, step.want, p.members(g), step.operations)
		}
		r := p.patch("/Groups/"+g+"?attributes=members,displayName", `[{"op":"add","path":"members","value":"`+a+`"}]`)
		require.Equal(t, 200, r.Code)
		require.Len(t, r.json["members"], 1)
		r = p.patch("/Groups/"+g+"?excludedAttributes=meta", `[{"op":"add","path":"members","value":"`+b+`"}]`)
		require.Equal(t, 200, r.Code)
		require.NotContains(t, r.json, "members")
		for operations, want := range map[string]string{
			`[{"op":"replace","path":"members[value eq \"` + a + `\"].value","value":"x"}]`: "mutability", `[{"op":"replace","path":"members.display","value":"x"}]`: "mutability",
			`[{"op":"remove","path":"members[nope eq \"x\"]"}]`: "invalidPath", `[{"op":"remove","path":"displayName"}]`: "mutability", `[{"op":"add","path":"members","value":[{"type":"User"}]}]`: "invalidValue",
			`[{"op":"add","path":"members","value":["` + c + `","scu_nobody"]}]`: "invalidValue", `[{"op":"add","path":"members","value":["` + c + `"]},{"op":"replace","path":"displayName","value":""}]`: "invalidValue",
			`[{"op":"add","path":"members","value":["` + g + `"]}]`: "invalidValue",
		} {
			r := p.patch("/Groups/"+g, operations)
			require.Equal(t, 400, r.Code, operations)
			require.Equal(t, want, r.json["scimType"], operations)
			require.ElementsMatch(t, []string{a, b}, p.members(g), "nothing of it was stored")
		}
	})
}

func TestUnknownMembersMakeNobody(t *testing.T) { // rules 14, 52, D6, P6
	each(t, func(t *testing.T, p *provider) {
		other := join(t, p.World, "rival", nil, everything)
		theirs, group := other.user("eve"), other.group("Spies")
		for _, id := range []string{theirs, group, "ghost", ""} {
			p.refused(400, "invalidValue", "POST", "/Groups", `{`+groupSchema+`,"displayName":"Staff","members":[{"value":"`+id+`"}]}`)
		}
		require.Zero(t, p.must(200, "GET", "/Groups", "").total())
		require.Zero(t, p.must(200, "GET", "/Users", "").total())
	})
}

func TestGroupsInGroups(t *testing.T) { // D19
	each(t, func(t *testing.T, p *provider) {
		anna := p.user("anna")
		inner := p.group("Inner", anna)
		outer := p.group("Outer", inner)
		require.Equal(t, []string{"anna@acme.example"}, p.inTeam(p.team("inner")))
		require.Empty(t, p.inTeam(p.team("outer")), "membership of teams is direct")
		in, _ := p.must(200, "GET", "/Users/"+anna, "").json["groups"].([]any)
		require.Len(t, in, 2)
		require.Equal(t, "direct", in[0].(map[string]any)["type"])
		require.Equal(t, "indirect", in[1].(map[string]any)["type"])
		require.Equal(t, 400, p.patch("/Groups/"+inner, `[{"op":"add","path":"members","value":"`+outer+`"}]`).Code, "no circle")
		p.must(204, "DELETE", "/Groups/"+inner, "")
		require.Empty(t, p.members(outer))
	})
}

func TestManyAddMembersAtOnce(t *testing.T) { // rule 103, P3
	each(t, func(t *testing.T, p *provider) {
		const writers, each = 8, 8
		g := p.group("Staff")
		var ids []string
		for i := range writers * each {
			ids = append(ids, p.user(fmt.Sprintf("u%d", i)))
		}
		var wg sync.WaitGroup
		codes := make([]int, writers)
		for w := range writers {
			wg.Go(func() {
				for _, id := range ids[w*each : (w+1)*each] {
					if c := p.patch("/Groups/"+g, `[{"op":"add","path":"members","value":"`+id+`"}]`).Code; c != 204 {
						codes[w] = c
					}
				}
			})
		}
		wg.Wait()
		require.Equal(t, make([]int, writers), codes)
		require.ElementsMatch(t, ids, p.members(g))
	})
}

func TestTeamWithKeysOutlivesItsGroup(t *testing.T) { // scim.md 3.4.4
	each(t, func(t *testing.T, p *provider) {
		anna := p.user("anna")
		g := p.group("Staff", anna)
		team := p.team("staff")
		_, _, err := p.CreateAPIKey(p.Platform(), orgs.NewAPIKey{Name: "k", Team: team.ID, InheritTeam: true, User: ptr("")})
		require.NoError(t, err)
		p.must(204, "DELETE", "/Groups/"+g, "")
		kept, err := p.Manager.Team(p.Platform(), team.ID)
		require.NoError(t, err)
		require.Equal(t, rbac.Archived, kept.State)
		require.Empty(t, p.inTeam(team))
		p.group("Staff") // and the name is free
	})
}

func ptr[T any](v T) *T { return &v }

func TestRolesOfMappedGroups(t *testing.T) { // rules 126 to 128, F183, P8, P27, P28
	each(t, func(t *testing.T, p *provider) {
		p.Roles(p.org)
		may := everything
		may.RoleMapping = map[string]string{"Engineering": "developer", "lead-1": "team_lead", "IT-Admins": "org_admin"}
		warnings := p.may(may)
		require.Len(t, warnings, 1)
		require.Equal(t, "role_mapping.IT-Admins", warnings[0].Field)

		anna := p.user("anna")
		role := func() (string, []string) {
			m, err := p.member("anna@acme.example")
			require.NoError(t, err)
			return m.Role, m.Roles
		}
		require.Equal(t, []string{"member"}, second(role()))
		eng := p.group("engineering", anna)
		require.Equal(t, []string{"developer", "member"}, second(role()))
		leads := p.must(201, "POST", "/Groups", `{`+groupSchema+`,"displayName":"Leads","externalId":"lead-1","members":[{"value":"`+anna+`"}]}`).id()
		shown, all := role()
		require.Equal(t, "team_lead", shown)
		require.ElementsMatch(t, []string{"team_lead", "developer", "member"}, all)

		p.group("IT-Admins", anna)
		require.ElementsMatch(t, []string{"team_lead", "developer", "member"}, second(role()), "no provider makes owners")

		// A rename keeps the role, and another group of that name gets none.
		require.Equal(t, 204, p.patch("/Groups/"+eng, `[{"op":"replace","path":"displayName","value":"Builders"}]`).Code)
		require.Contains(t, second(role()), "developer")
		bob := p.user("bob")
		p.group("Engineering", bob)
		m, err := p.member("bob@acme.example")
		require.NoError(t, err)
		require.Equal(t, []string{"member"}, m.Roles)

		// What was given by hand stays when what was given by a group is taken back.
		_, err = p.UpdateMember(p.Platform(), orgs.Place{OrgID: p.org.ID}, p.account("anna@acme.example").ID, orgs.MemberUpdate{Role: ptr("developer")})
		require.NoError(t, err)
		require.Equal(t, 204, p.patch("/Groups/"+eng, `[{"op":"remove","path":"members","value":"`+anna+`"}]`).Code)
		require.ElementsMatch(t, []string{"team_lead", "developer"}, second(role()))
		p.must(204, "DELETE", "/Groups/"+leads, "")
		require.Equal(t, []string{"developer"}, second(role()))

		// Settings count at once.
		p.may(everything)
		require.Equal(t, []string{"developer"}, second(role()))
		off := everything
		off.SyncGroups = false
		p.may(off)
		g := p.group("Quiet", anna)
		page, err := p.Teams(p.Platform(), p.org.ID, orgs.PartFilter{Slug: "quiet"})
		require.NoError(t, err)
		require.Empty(t, page.Items, "groups are kept without effect")
		on := everything
		on.RoleMapping = map[string]string{g: "team_lead"}
		p.may(on)
		require.Equal(t, []string{"anna@acme.example"}, p.inTeam(p.team("quiet")))
		require.Contains(t, second(role()), "team_lead")
	})
}

func second[A, B any](_ A, b B) B { return b }

func TestRolesThatAreGivenCount(t *testing.T) { // F183
	each(t, func(t *testing.T, p *provider) {
		_, err := p.CreateRole(p.Platform(), p.org.ID, rbac.NewRole{Name: "Biller", Permissions: []string{"billing.update"}, Inherited: true})
		require.NoError(t, err)
		child, err := p.CreateOrganization(p.Platform(), orgs.NewOrganization{Name: "Lab", Slug: "lab", Parent: p.org.ID})
		require.NoError(t, err)
		may := everything
		may.RoleMapping = map[string]string{"Finance": "biller"}
		p.may(may)
		anna := p.user("anna")
		allowed := func() bool {
			anna, here := p.account("anna@acme.example").ID, rbac.Request{OrgID: p.org.ID, Action: "billing.update"}
			d, err := p.Decide(t.Context(), anna, &here)
			require.NoError(t, err)
			require.NoError(t, p.Store().View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				by, err := p.Check(ctx, tx, anna, here)
				require.Equal(t, d.Allowed, by.Allowed, "by the records as in memory")
				return err
			}))
			below, err := p.Decide(t.Context(), anna, &rbac.Request{OrgID: child.ID, Action: "billing.update"})
			if d.Allowed {
				require.NoError(t, err)
				require.True(t, below.Allowed, "it is inherited")
			} else {
				require.ErrorIs(t, err, store.ErrNotFound)
			}
			return d.Allowed
		}
		require.False(t, allowed())
		g := p.group("Finance", anna)
		require.True(t, allowed())
		_, err = p.DeleteRole(p.Platform(), p.org.ID, "biller", "")
		require.ErrorIs(t, err, store.ErrConflict, "it is in use")
		p.must(204, "DELETE", "/Groups/"+g, "")
		require.False(t, allowed())
	})
}

func TestMembersAreNotReadWhereNobodyAsks(t *testing.T) { // rules 79, 133, P19 to P21
	counted := &counting{}
	s := storetest.Open(t, "memory", store.Options{Wrap: counted.wrap})
	p := newProvider(t, s, "acme", &scim.Options{RequestsPerSecond: 1e6, Burst: 1e6})
	var ids []string
	for i := range 50 {
		ids = append(ids, p.user(fmt.Sprintf("u%d", i)))
	}
	g := p.group("Staff", ids[:49]...)
	reads := func(fn func()) int {
		before := counted.members.Load()
		fn()
		return int(counted.members.Load() - before)
	}
	require.Zero(t, reads(func() { p.must(200, "GET", "/Groups/"+g+"?excludedAttributes=members", "") }))
	require.Zero(t, reads(func() { p.must(200, "GET", `/Groups?excludedAttributes=members&filter=displayName eq "staff"`, "") }))
	require.Zero(t, reads(func() { p.must(200, "GET", "/Groups?attributes=displayName", "") }))
	require.Equal(t, 49, reads(func() { p.must(200, "GET", "/Groups/"+g, "") }))
	require.LessOrEqual(t, reads(func() {
		p.find("/Groups", "filter", `members.value eq "`+ids[7]+`" and not (members[value eq "`+ids[8]+`" and type eq "Group"])`, "excludedAttributes", "members")
	}), 4)
	require.LessOrEqual(t, reads(func() {
		require.Equal(t, 204, p.patch("/Groups/"+g, `[{"op":"add","path":"members","value":"`+ids[49]+`"}]`).Code)
	}), 3)
	require.LessOrEqual(t, reads(func() {
		require.Equal(t, 204, p.patch("/Groups/"+g, `[{"op":"remove","path":"members[value eq \"`+ids[3]+`\"]"}]`).Code)
	}), 5)
}

func TestGroupThatTakesAMappedName(t *testing.T) { // rule 127
	each(t, func(t *testing.T, p *provider) {
		p.Roles(p.org)
		may := everything
		may.RoleMapping = map[string]string{"Engineering": "developer", "ext-9": "team_lead"}
		p.may(may)
		anna := p.user("anna")
		roles := func() []string {
			m, err := p.member("anna@acme.example")
			require.NoError(t, err)
			return m.Roles
		}
		g := p.group("Builders", anna)
		require.Equal(t, []string{"member"}, roles())
		require.Equal(t, 204, p.patch("/Groups/"+g, `[{"op":"replace","path":"displayName","value":"Engineering"},{"op":"add","path":"externalId","value":"ext-9"}]`).Code)
		require.ElementsMatch(t, []string{"member", "developer", "team_lead"}, roles())
		require.Equal(t, 204, p.patch("/Groups/"+g, `[{"op":"remove","path":"externalId"}]`).Code)
		require.ElementsMatch(t, []string{"member", "developer"}, roles())
	})
}

// TestPagesEndBeforeThereAreTooManyMembers: no answer holds more than so many, and nobody is left out for that.
func TestPagesEndBeforeThereAreTooManyMembers(t *testing.T) { // rules 72, 133, scim.md 5.2
	scim.SetMaxMembers(t, 5)
	each(t, func(t *testing.T, p *provider) {
		var ids []string
		for i := range 6 {
			ids = append(ids, p.user(fmt.Sprintf("u%d", i)))
		}
		groups := []string{p.group("A", ids[:3]...), p.group("B", ids[:2]...), p.group("C", ids[:4]...), p.group("D", ids[1:3]...)}
		first := p.find("/Groups", "count", "10")
		require.Equal(t, groups[:2], first.ids(), "five members")
		require.Equal(t, []any{4.0, 2.0}, []any{first.json["totalResults"], first.json["itemsPerPage"]})
		require.Equal(t, groups[2:3], p.find("/Groups", "count", "10", "startIndex", "3").ids())
		require.Equal(t, groups[3:], p.find("/Groups", "count", "10", "startIndex", "4").ids())
		for _, more := range [][]string{nil, {"filter", "displayName pr"}, {"sortBy", "displayName"}} {
			var all []string
			for cursor := ""; ; {
				a := p.find("/Groups", append(more, "cursor", cursor)...)
				all = append(all, a.ids()...)
				next, is := a.json["nextCursor"].(string)
				if !is {
					break
				}
				cursor = next
			}
			require.Equal(t, groups, all)
		}
		require.Equal(t, groups, p.find("/Groups", "count", "10", "excludedAttributes", "members").ids())

		require.Equal(t, 204, p.patch("/Groups/"+groups[2], `[{"op":"add","path":"members","value":["`+ids[4]+`","`+ids[5]+`"]}]`).Code)
		a := p.refused(400, "tooMany", "GET", "/Groups/"+groups[2], "")
		require.Contains(t, a.json["detail"], "excludedAttributes=members")
		p.must(200, "GET", "/Groups/"+groups[2]+"?excludedAttributes=members", "")
		require.Equal(t, groups[2:3], p.find("/Groups", "filter", `members[value eq "`+ids[5]+`"]`, "excludedAttributes", "members").ids())
		p.refused(400, "tooMany", "PUT", "/Groups/"+groups[0], `{`+groupSchema+`,"displayName":"A","members":[{"value":"1"},{"value":"2"},{"value":"3"},{"value":"4"},{"value":"5"},{"value":"6"}]}`)
	})
}
