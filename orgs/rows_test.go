package orgs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// permissions are what the methods of the service ask for, where they ask for one (F039, F056 to F060, F062 to
// F064, F069, F072, F133, F158, F161, F167).
var permissions = map[string]string{
	"CreateOrganization/below another": "organizations.create", "UpdateOrganization": "organizations.update", "Organization": "organizations.read",
	"CreateTeam": "teams.create", "UpdateTeam": "teams.update", "ArchiveTeam": "teams.update", "UnarchiveTeam": "teams.update", "DeleteTeam": "teams.delete",
	"Team": "teams.read", "TeamFigures": "teams.read", "Teams": "teams.read", "PlaceFigures": "teams.read",
	"CreateProject": "projects.create", "UpdateProject": "projects.update", "DeleteProject": "projects.delete", "Project": "projects.read", "Projects": "projects.read",
	"AddMember": "members.invite", "AddMembers/all or none": "members.invite", "UpdateMember": "members.update", "RemoveMember": "members.remove",
	"Member": "members.read", "Members": "members.read", "Members/of a team": "members.read", "Permission": "members.read", "Actions": "members.read", "WhoCan": "members.read", "WhatCan": "members.read",
	"Invite": "members.invite", "InviteMany/all or none": "members.invite", "RevokeInvitation": "members.invite", "ResendInvitation": "members.invite",
	"Invitation": "members.read", "Invitations": "members.read",
	"CreateAPIKey": "api_keys.create", "CreateAPIKey/of a project": "api_keys.create", "CreateAPIKeys/all or none": "api_keys.create",
	"UpdateAPIKey": "api_keys.update", "RotateAPIKey": "api_keys.update", "DisableAPIKey": "api_keys.update", "EnableAPIKey": "api_keys.update",
	"RevokeAPIKey": "api_keys.delete", "APIKey": "api_keys.read", "APIKeys": "api_keys.read",
	"CreateRole": "roles.create", "UpdateRole": "roles.update", "DeleteRole": "roles.delete", "Role": "roles.read", "Roles": "roles.read",
	"SetOverride": "roles.update", "DeleteOverride": "roles.update", "Overrides": "roles.read",
	"CreatePolicy": "policies.create", "UpdatePolicy": "policies.update", "UpdatePolicy/of the organization": "policies.update", "DeletePolicy": "policies.delete",
	"Policy": "policies.read", "Policies": "policies.read", "CasbinExport": "policies.read",
	"SetBudget": "budget.modify", "SetBudget/of the organization": "budget.modify", "SetBalance": "budget.modify", "SuspendBudget": "budget.modify", "DeleteBudget": "budget.modify", "Budget": readsBudgets, "PlaceBudgets": readsBudgets, "ResumePlace": "budget.modify", "ResumeBudget": "budget.modify", "Overview": readsBudgets, "SetBilling": "billing.update", "Billing": "billing.read", "Alerts": "billing.read", "SetAuditConfig": "audit.update", "AuditConfig": "audit.read", "AuditLog": "audit.read", "AuditLogBelow": "audit.read", "AuditCounts": "audit.read", "AuditCountsBelow": "audit.read", "AuditGaps": "audit.read", "AccessLog": "audit.read", "AuditCheckpoint": "audit.read", "AuditProof": "audit.read", "EraseFromAudit": "audit.update", "AuditConsistency": "audit.read",
}

// readsBudgets are permissions of which each is enough, the one that is told as missing first.
const readsBudgets = "billing.read usage.read budget.modify"

// Whoever holds everything but the one permission is refused for want of it, and whoever holds it may.
func TestEachCallAsksForItsOnePermission(t *testing.T) {
	tried := map[string]bool{}
	eachMethod(t, func(t *testing.T, m method, f *fixture) {
		permission := permissions[m.name]
		if permission == "" {
			return
		}
		tried[m.name] = true
		if strings.Contains(t.Name(), "/twice/") || strings.Contains(t.Name(), "/sqlite/") {
			return // who may is the same on all stores: one in memory and one with SQL are enough
		}
		join := func(name string, grants orgs.Grants, permissions ...string) context.Context {
			u := f.World.User(name + "@acme.example")
			r, err := f.CreateRole(f.Platform(), f.id.Org, rbac.NewRole{Name: name, Permissions: permissions})
			require.NoError(t, err)
			_, err = f.AddMember(f.Platform(), f.id.at(), orgs.NewMember{User: u.ID, Role: r.Slug, Permissions: grants})
			require.NoError(t, err)
			return f.As(u)
		}
		any := strings.Fields(permission)
		most := join("most", orgs.Grants{Remove: any}, "*")
		_, err := m.call(most, f)
		require.Equal(t, any[0], refused(t, err, "permission_denied").Decision.MissingPermission)

		for i, one := range any {
			holds := []string{one}
			if !m.reads { // and what is handed out by it
				holds = append(holds, "*.read", "usage.write")
			}
			_, err = m.call(join(fmt.Sprint("only-", i), orgs.Grants{}, holds...), f)
			require.NoError(t, err)
		}
	})
	require.Len(t, tried, len(permissions), "rows that are no methods")
}

// seedRole is a role of the first document.
func seedRole(t *testing.T, slug string) (in rbac.NewRole) {
	b, err := os.ReadFile("../examples/quickstart/seed/role_" + slug + ".json")
	require.NoError(t, err)
	var doc struct {
		Name, Slug, Description string
		Permissions             []string
	}
	require.NoError(t, json.Unmarshal(b, &doc))
	return rbac.NewRole{Name: doc.Name, Slug: doc.Slug, Description: doc.Description, Permissions: doc.Permissions}
}

func TestRolesOfTheSeedMayWhatTheySay(t *testing.T) { // F045 to F049, F051 to F055, F061 to F071
	vocabulary, err := rbac.NewVocabulary()
	require.NoError(t, err)
	matching := func(fits func(action string) bool) (list []string) {
		for _, action := range vocabulary.Actions() {
			if fits(action) {
				list = append(list, action)
			}
		}
		require.NotEmpty(t, list)
		return list
	}
	// Of everybody, by the role in the organization that comes with a team.
	member, own := []string{"organizations.read"}, []string{"members.read", "projects.read", "teams.read", "usage.read"}
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := orgstest.New(t, s, nil)
		defer w.Close()
		org, owner := w.Org("acme")
		for _, slug := range []string{"team_lead", "developer", "finance", "viewer"} {
			in := seedRole(t, slug)
			_, err := w.CreateRole(w.Platform(), org.ID, in)
			require.NoError(t, err)
			is := slices.IndexFunc(rbac.Templates(), func(r rbac.RoleTemplate) bool { return r.Slug == slug })
			require.Equal(t, in.Permissions, rbac.Templates()[is].Permissions)
		}
		require.Equal(t, seedRole(t, rbac.OwnerRole).Permissions, rbac.SystemRoles()[0].Permissions)
		mine, other := w.Team(org, "mine", orgs.TeamSettings{}), w.Team(org, "other", orgs.TeamSettings{})
		may := func(u orgs.User, team, owner string) (list []string) {
			for _, action := range vocabulary.Actions() {
				a, err := w.Allows(t.Context(), u.ID, &rbac.Request{OrgID: org.ID, TeamID: team, Action: action, Call: rbac.Call{Resource: "row:1", Owner: owner}})
				require.NoError(t, err)
				if a.Allowed {
					list = append(list, action)
				}
			}
			return list
		}
		sorted := func(lists ...[]string) []string {
			all := slices.Concat(lists...)
			slices.Sort(all)
			return slices.Compact(all)
		}
		for role, here := range map[string][]string{ // in the team in which it is held
			"team_lead": {"api_keys.create", "api_keys.read", "api_keys.update", "billing.read", "members.invite", "members.read", "members.remove", "teams.read", "teams.update", "usage.read"},
			"developer": {"api_keys.use", "models.read", "models.use"},
			"finance": append(matching(func(a string) bool {
				return strings.HasPrefix(a, "billing.") || strings.HasPrefix(a, "invoices.")
			}), "payment_methods.read", "usage.read"),
			"viewer": matching(func(a string) bool { return strings.HasSuffix(a, ".read") }),
		} {
			u := w.Join(mine, role+"@acme.example", role)
			require.Equal(t, sorted(here, member), may(u, mine.ID, ""), role)
			require.Equal(t, sorted(here, member, own), may(u, mine.ID, u.ID), "%s, of what is their own", role)
			require.Equal(t, sorted(here, member), may(u, mine.ID, owner.ID), "%s, of what is another's", role)
			for _, elsewhere := range []string{other.ID, ""} {
				require.Equal(t, member, may(u, elsewhere, ""), "%s acts where it is held", role)
			}
			for team, want := range map[string]bool{mine.ID: true, other.ID: false} {
				a, err := w.Allows(t.Context(), u.ID, &rbac.Request{OrgID: org.ID, TeamID: team, Action: "teams.read", Call: rbac.Call{Resource: "team:" + team}})
				require.NoError(t, err)
				require.Equal(t, want, a.Allowed, "the teams that they are in are their own")
			}
		}
		for _, team := range []string{"", mine.ID, other.ID} {
			require.Equal(t, vocabulary.Actions(), may(owner, team, ""), "org_admin")
		}
		everywhere := w.User("everywhere@acme.example")
		w.Add(orgs.Place{OrgID: org.ID}, everywhere, "viewer")
		for _, team := range []string{"", mine.ID, other.ID} {
			require.Equal(t, matching(func(a string) bool { return strings.HasSuffix(a, ".read") }), may(everywhere, team, ""), "what is held in the organization acts in every team")
		}
	})
}

func TestARoleComesBackAsItWasWritten(t *testing.T) { // F039 to F043
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, _ := w.Org("acme")
		at := orgs.Place{OrgID: org.ID}
		written := rbac.NewRole{Name: " Key  Keeper ", Slug: "Key_Keeper", Description: "keeps keys", Permissions: []string{"api_keys:read", "usage:read:own", "*.read"}}
		made, err := w.CreateRole(w.Platform(), org.ID, written)
		require.NoError(t, err)
		for _, ref := range []string{made.ID, "key_keeper", "KEY-keeper"} {
			r, err := w.Manager.Role(w.Platform(), org.ID, ref)
			require.NoError(t, err)
			require.Equal(t, []any{"Key  Keeper", "key_keeper", written.Description, written.Permissions, false}, []any{r.Name, r.Slug, r.Description, r.Permissions, r.IsSystem})
		}
		_, err = w.CreateRole(w.Platform(), org.ID, rbac.NewRole{Name: "Other", Slug: "key-keeper", Permissions: []string{}})
		inTheWay(t, err, "slug_taken")
		second, _ := w.Org("second")
		_, err = w.CreateRole(w.Platform(), second.ID, written)
		require.NoError(t, err, "a slug is one's own in each organization")
		for field, in := range map[string]rbac.NewRole{"name": {Name: " ", Slug: "x", Permissions: []string{}}, "slug": {Name: "x", Slug: "-", Permissions: []string{}}, "permissions": {Name: "x"},
			"permissions[1]": {Name: "x", Permissions: []string{"teams.read", "teams.**"}}, "description": {Name: "x", Description: long, Permissions: []string{}}} {
			_, err = w.CreateRole(w.Platform(), org.ID, in)
			wrongField(t, err, field)
		}
		u := w.User("u@acme.example")
		w.Add(at, u, "key-keeper")
		m, err := w.Member(w.Platform(), at, u.ID)
		require.NoError(t, err)
		require.Equal(t, "key_keeper", m.Role, "members hold it by its slug")
		page, err := w.Manager.Roles(w.Platform(), org.ID, 0, "")
		require.NoError(t, err)
		require.Len(t, page.Items, 3, "beside the two that every organization is born with") // F044
	})
}

func TestAnOverrideCountsInItsTeamAlone(t *testing.T) { // F074 to F077, F469
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, _ := w.Org("acme")
		mine, other := w.Team(org, "mine", orgs.TeamSettings{}), w.Team(org, "other", orgs.TeamSettings{})
		may := func(u orgs.User, team, action string) bool {
			a, err := w.Allows(t.Context(), u.ID, &rbac.Request{OrgID: org.ID, TeamID: team, Action: action, Call: rbac.Call{Resource: "api_key:x"}})
			require.NoError(t, err)
			return a.Allowed
		}
		const action = "api_keys.create"
		for i, c := range []struct {
			role                                 []string
			add, remove, memberAdd, memberRemove []string
			here, there                          bool
		}{
			{role: []string{"models.use"}},
			{role: []string{action}, here: true, there: true},
			{role: []string{"models.use"}, add: []string{action}, here: true},
			{role: []string{"models.use"}, add: []string{"api_keys.*"}, here: true},
			{role: []string{"models.use"}, add: []string{"*.create"}, here: true},
			{role: []string{action}, remove: []string{action}, there: true},
			{role: []string{"*"}, remove: []string{action}, there: true},
			{role: []string{action}, remove: []string{"api_keys.*"}, there: true},
			{role: []string{action}, remove: []string{"nothing.held"}, here: true, there: true},
			{role: []string{action}, add: []string{action}, remove: []string{action}, there: true},
			{role: []string{"*"}, add: []string{"*", action}, remove: []string{action}, there: true},
			{role: []string{"models.use"}, memberAdd: []string{action}, here: true},
			{role: []string{"models.use"}, remove: []string{action}, memberAdd: []string{action}},
			{role: []string{"models.use"}, remove: []string{action}, memberAdd: []string{"*"}},
			{role: []string{"*"}, memberRemove: []string{action}, there: true},
			{role: []string{"models.use"}, add: []string{action}, memberRemove: []string{action}},
			{role: []string{"models.use"}, memberAdd: []string{action, "*"}, memberRemove: []string{action}},
		} {
			role, err := w.CreateRole(w.Platform(), org.ID, rbac.NewRole{Name: fmt.Sprint("role ", i), Permissions: c.role})
			require.NoError(t, err)
			u := w.Join(mine, fmt.Sprintf("u%d@acme.example", i), role.Slug)
			w.Add(orgs.Place{OrgID: org.ID, TeamID: other.ID}, u, role.Slug)
			if c.add != nil || c.remove != nil {
				_, created, err := w.SetOverride(w.Platform(), org.ID, mine.ID, role.Slug, c.add, c.remove)
				require.NoError(t, err)
				require.True(t, created)
			}
			_, err = w.UpdateMember(w.Platform(), orgs.Place{OrgID: org.ID, TeamID: mine.ID}, u.ID, orgs.MemberUpdate{Permissions: &orgs.Grants{Add: c.memberAdd, Remove: c.memberRemove}})
			require.NoError(t, err)
			require.Equal(t, c.here, may(u, mine.ID, action), "%d: %+v", i, c)
			require.Equal(t, c.there, may(u, other.ID, action), "%d, elsewhere: %+v", i, c)
			require.False(t, may(u, "", action), "%d, in no team", i)
			if c.memberAdd == nil && c.memberRemove == nil {
				wide := w.User(fmt.Sprintf("wide%d@acme.example", i))
				w.Add(orgs.Place{OrgID: org.ID}, wide, role.Slug)
				require.Equal(t, []bool{c.here, c.there, c.there}, []bool{may(wide, mine.ID, action), may(wide, other.ID, action), may(wide, "", action)}, "%d, by a role of the organization", i)
			}
			if slices.Contains(c.role, "models.use") {
				require.True(t, may(u, mine.ID, "models.use"), "%d: nothing else is taken", i)
			}
		}
		second, err := w.CreateRole(w.Platform(), org.ID, rbac.NewRole{Name: "second", Permissions: []string{"models.use"}})
		require.NoError(t, err)
		u := w.Join(mine, "second@acme.example", second.Slug)
		first, _, err := w.SetOverride(w.Platform(), org.ID, mine.ID, "second", []string{action}, []string{"models.use"})
		require.NoError(t, err)
		again, created, err := w.SetOverride(w.Platform(), org.ID, mine.ID, "SECOND", []string{"usage.read"}, nil)
		require.NoError(t, err)
		require.False(t, created)
		require.Equal(t, first.ID, again.ID)
		require.Equal(t, []bool{false, true, true}, []bool{may(u, mine.ID, action), may(u, mine.ID, "models.use"), may(u, mine.ID, "usage.read")}, "it takes the place of the one before")
	})
}

func TestActionsOfTheHostAreGrantedLikeAnyOther(t *testing.T) { // F073
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		const action = "deployments.manage"
		known := orgstest.New(t, s, &orgs.Options{Options: rbac.Options{Actions: []string{action}}})
		defer known.Close()
		org, owner := known.Org("acme")
		team := known.Team(org, "crew", orgs.TeamSettings{})
		at := orgs.Place{OrgID: org.ID, TeamID: team.ID}
		may := func(w *orgstest.World, u orgs.User) bool {
			d, err := w.Decide(t.Context(), u.ID, &rbac.Request{OrgID: org.ID, TeamID: team.ID, Action: action, Call: rbac.Call{Resource: "deployment:x"}})
			require.NoError(t, err)
			return d.Allowed
		}
		u := known.Join(team, "u@acme.example", rbac.MemberRole)
		require.False(t, may(known, u))
		grants := func(g orgs.Grants) {
			_, err := known.UpdateMember(known.Platform(), at, u.ID, orgs.MemberUpdate{Permissions: &g})
			require.NoError(t, err)
		}
		grants(orgs.Grants{Add: []string{"deployments:manage"}})
		require.True(t, may(known, u))
		grants(orgs.Grants{})
		require.False(t, may(known, u))
		require.True(t, may(known, owner), "a wildcard means it too")

		unknown := orgstest.New(t, s, nil) // another host, which has not registered it
		defer unknown.Close()
		require.False(t, may(unknown, owner))
	})
}

func TestAPolicyOfATeamActsThereAlone(t *testing.T) { // F133 to F135, F158, F458
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, owner := w.Org("acme")
		w.Roles(org)
		mine, other := w.Team(org, "mine", orgs.TeamSettings{}), w.Team(org, "other", orgs.TeamSettings{})
		lead := w.Join(mine, "lead@acme.example", "team_lead")
		w.Add(orgs.Place{OrgID: org.ID, TeamID: other.ID}, lead, "team_lead")
		everything := rbac.NewPolicy{Name: " nothing goes ", Description: "closed", Statements: []rbac.Statement{{Effect: rbac.EffectDeny, Actions: []string{"*"}, Resources: []string{"*"}}}}
		made, _, err := w.CreatePolicy(w.As(owner), org.ID, mine.ID, everything)
		require.NoError(t, err)
		p, err := w.Manager.Policy(w.As(owner), org.ID, mine.ID, made.ID)
		require.NoError(t, err)
		require.Equal(t, []any{"nothing goes", "closed", everything.Statements, true, int64(1)}, []any{p.Name, p.Description, p.Statements, p.Enabled, p.Version})

		rename := func(team orgs.Team) error {
			return second(w.UpdateTeam(w.As(lead), team.ID, orgs.TeamUpdate{Description: ptr("x")}))
		}
		refused(t, rename(mine), "policy_denied")
		require.NoError(t, rename(other))
		_, err = w.Teams(w.As(owner), org.ID, orgs.PartFilter{})
		require.NoError(t, err, "nor in the organization")
		refused(t, second(w.UpdateTeam(w.As(owner), mine.ID, orgs.TeamUpdate{Description: ptr("x")})), "policy_denied")
		for _, c := range []struct {
			key  string
			want bool
		}{{w.Key(mine, lead), false}, {w.Key(other, lead), true}} {
			a, err := w.Authenticate(t.Context(), c.key)
			require.NoError(t, err)
			k, err := w.APIKey(w.Platform(), a.ID)
			require.NoError(t, err)
			answer, err := w.Allows(t.Context(), a.ID, &rbac.Request{OrgID: org.ID, TeamID: k.TeamID, Action: "models.use", Call: rbac.Call{Resource: "model:m"}})
			require.NoError(t, err)
			require.Equal(t, c.want, answer.Allowed, "keys of the team that inherit")
		}

		// Whoever owns the organization edits its policies all the same.
		p, _, err = w.UpdatePolicy(w.As(owner), org.ID, mine.ID, made.ID, everything)
		require.NoError(t, err)
		require.Equal(t, int64(2), p.Version)
		_, _, err = w.CreatePolicy(w.As(owner), org.ID, mine.ID, everything)
		inTheWay(t, err, "conflict")
		for _, elsewhere := range []string{other.ID, ""} {
			_, _, err = w.CreatePolicy(w.As(owner), org.ID, elsewhere, everything)
			require.NoError(t, err, "a name is one's own in each place")
		}
		_, err = w.DeletePolicy(w.As(owner), org.ID, "", made.ID)
		require.ErrorIs(t, err, store.ErrNotFound)
		for _, team := range []string{mine.ID, other.ID, ""} {
			page, err := w.Policies(w.As(owner), org.ID, team, 0, "")
			require.NoError(t, err)
			require.Len(t, page.Items, 1)
			_, err = w.DeletePolicy(w.As(owner), org.ID, team, page.Items[0].ID)
			require.NoError(t, err)
		}
		require.NoError(t, rename(mine))
		for _, name := range []string{"", "  ", strings.Repeat("x", rbac.MaxName+1)} {
			_, _, err = w.CreatePolicy(w.As(owner), org.ID, mine.ID, rbac.NewPolicy{Name: name, Statements: everything.Statements})
			wrongField(t, err, "name")
		}
		log, err := w.AuditLog(w.As(owner), org.ID, audit.Filter{Types: []string{"policy.*"}, Limit: 200})
		require.NoError(t, err)
		events := map[string]int{}
		for _, e := range log.Items {
			events[e.Type]++
		}
		require.Equal(t, map[string]int{"policy.created": 3, "policy.updated": 1, "policy.deleted": 3}, events)
	})
}

// answered asks in a unit, from memory by ids and of a principal, and returns the one answer.
func (c asked) answered(t *testing.T, subject string, r *rbac.Request) (d rbac.Decision) {
	t.Helper()
	require.NoError(t, c.View(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
		d, err = c.Check(ctx, tx, subject, *r)
		return err
	}))
	p, err := c.Principal(t.Context(), r.OrgID, r.TeamID, subject)
	require.NoError(t, err)
	for range 2 { // the second time from what is kept
		why, err := c.Decide(t.Context(), subject, r)
		require.NoError(t, err)
		why.ID = d.ID
		require.Equal(t, d, why)
		fast, err := c.Allows(t.Context(), subject, r)
		require.NoError(t, err)
		kept, err := p.Allows(t.Context(), c.Action(r.Action), &r.Call)
		require.NoError(t, err)
		require.Equal(t, []bool{d.Allowed, d.Allowed}, []bool{fast.Allowed, kept.Allowed})
	}
	return d
}

// What nobody can tell of a call opens nothing, however it is asked.
func TestWhatACallDoesNotSayOpensNothing(t *testing.T) { // F141, F148, F153, F155, F458
	now := time.Date(2024, 3, 5, 12, 0, 0, 0, time.UTC)
	known := rbac.Call{Resource: "model:m", At: now, IP: netip.MustParseAddr("10.1.2.3"), MFAAt: ptr(now.Add(-time.Minute)), Cost: ptr(decimal.NewFromInt(1))}
	for input, c := range map[string]struct {
		conditions string
		hide       func(*rbac.Call)
	}{
		"ip_address":    {`{"ip_address": {"type": "ip_in_range", "value": "10.0.0.0/8"}}`, func(c *rbac.Call) { c.IP = netip.Addr{} }},
		"time":          {`{"time": {"type": "business_hours", "hours": {"start": "09:00", "end": "18:00"}}}`, func(c *rbac.Call) { c.At = time.Time{} }},
		"mfa":           {`{"mfa": {"type": "required", "max_age_minutes": 480}}`, func(c *rbac.Call) { c.MFAAt = nil }},
		"cost_limit":    {`{"cost_limit": {"type": "per_request", "max_amount": 10.00}}`, func(c *rbac.Call) { c.Cost = nil }},
		"anomaly_score": {`{"anomaly_score": {"type": "less_than", "value": 0.8}}`, func(*rbac.Call) {}},
	} {
		t.Run(input, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
				down := errors.New("down")
				a := newAsked(t, s, &orgs.Options{Options: rbac.Options{
					Anomaly: func(context.Context, string, string) (float64, error) { return 0.5, down },
					MFA:     func(context.Context, string) (*time.Time, error) { return nil, down }}})
				defer a.Close()
				nobody := ""
				service, _, err := a.CreateAPIKey(a.Platform(), orgs.NewAPIKey{Name: "service", Team: a.team.ID, User: &nobody, InheritTeam: true})
				require.NoError(t, err)
				st := rbac.Statement{Actions: []string{"models:use"}, Resources: []string{"model:m"}}
				require.NoError(t, json.Unmarshal([]byte(c.conditions), &st.Conditions))
				var policy rbac.Policy
				for _, st.Effect = range []rbac.Effect{rbac.EffectAllow, rbac.EffectDeny} {
					in := rbac.NewPolicy{Name: "p", Statements: []rbac.Statement{st}}
					if policy.ID == "" {
						policy, _, err = a.CreatePolicy(a.Platform(), a.org.ID, a.team.ID, in)
					} else {
						_, _, err = a.UpdatePolicy(a.Platform(), a.org.ID, a.team.ID, policy.ID, in)
					}
					require.NoError(t, err)
					for _, subject := range []string{a.dev.ID, service.ID} {
						r := rbac.Request{OrgID: a.org.ID, TeamID: a.team.ID, Action: "models.use", Call: known}
						down = nil
						require.Equal(t, st.Effect == rbac.EffectAllow, a.answered(t, subject, &r).Allowed, st.Effect)
						down = errors.New("down")
						c.hide(&r.Call)
						d := a.answered(t, subject, &r)
						require.False(t, d.Allowed, st.Effect)
						require.Equal(t, []string{input}, d.Missing, st.Effect)
						r.Resource = "model:other"
						if subject == a.dev.ID {
							require.True(t, a.answered(t, subject, &r).Allowed, "what nobody asks for is not missed")
						}
					}
				}
			})
		})
	}
}

func TestTheDetectorIsAskedAboutThePersonAndTheOrganization(t *testing.T) { // F155, F156
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		score, asks := 0.8, [][2]string{}
		a := newAsked(t, s, &orgs.Options{Options: rbac.Options{Anomaly: func(_ context.Context, orgID, person string) (float64, error) {
			asks = append(asks, [2]string{orgID, person})
			return score, nil
		}}})
		defer a.Close()
		key := func(user string) string {
			k, _, err := a.CreateAPIKey(a.Platform(), orgs.NewAPIKey{Name: "k", Team: a.team.ID, User: &user, InheritTeam: true})
			require.NoError(t, err)
			return k.ID
		}
		bound, service := key(a.dev.ID), key("")
		var statements []rbac.Statement
		require.NoError(t, json.Unmarshal([]byte(`[{"effect": "deny", "actions": ["*"], "resources": ["*"], "conditions": {"anomaly_score": {"type": "greater_than", "value": 0.8}}}]`), &statements))
		_, warnings, err := a.CreatePolicy(a.Platform(), a.org.ID, a.team.ID, rbac.NewPolicy{Name: "p", Statements: statements})
		require.NoError(t, err)
		require.Empty(t, warnings, "there is a detector")
		for subject, person := range map[string]string{a.dev.ID: a.dev.ID, bound: a.dev.ID, service: ""} {
			r := rbac.Request{OrgID: a.org.ID, TeamID: a.team.ID, Action: "models.use", Call: rbac.Call{Resource: "model:m", At: clock.Now()}}
			for _, at := range []float64{0.8, 0.800001, 1} {
				score, asks = at, nil
				require.Equal(t, at == 0.8, a.answered(t, subject, &r).Allowed, at)
				require.NotEmpty(t, asks)
				for _, ask := range asks {
					require.Equal(t, [2]string{a.org.ID, person}, ask)
				}
			}
		}
		_, err = a.Manager.Team(a.As(a.dev), a.team.ID)
		refused(t, err, "policy_denied") // not only on the data plane
	})
}

// shop is a team with a key, and a gate before the models.
type shop struct {
	*orgstest.World
	gate *gate.Gate
	org  orgs.Organization
	team orgs.Team
	dev  orgs.User
}

func newShop(t *testing.T, s *store.Store) shop {
	small := &billing.Price{InputPerMillion: decimal.NewFromInt(1), OutputPerMillion: decimal.NewFromInt(1)}
	catalogue, err := billing.NewCatalogue(billing.Model{ID: "small", Price: small, MaxOutputTokens: 1000}, billing.Model{ID: "large", Aliases: []string{"big"}, Price: small, MaxOutputTokens: 1000}, billing.Model{ID: "unpriced"})
	require.NoError(t, err)
	w := orgstest.New(t, s, &orgs.Options{Catalogue: catalogue})
	c := shop{World: w, gate: gate.New(w.Manager)}
	c.org, _ = w.Org("acme")
	w.Roles(c.org)
	c.team = w.Team(c.org, "crew", orgs.TeamSettings{})
	c.dev = w.Join(c.team, "dev@acme.example", "developer")
	return c
}

// uses says how the gate answers: "" for admitted, else the code.
func (c shop) uses(t *testing.T, call gate.Call) string {
	t.Helper()
	adm, err := c.gate.Admit(t.Context(), call)
	if err == nil {
		require.NoError(t, adm.Release(t.Context()))
		return ""
	}
	var d *gate.Denied
	require.ErrorAs(t, err, &d)
	return d.Code
}

func (c shop) policy(t *testing.T, team, statements string) rbac.Policy {
	t.Helper()
	var list []rbac.Statement
	require.NoError(t, json.Unmarshal([]byte(statements), &list))
	p, _, err := c.CreatePolicy(c.Platform(), c.org.ID, team, rbac.NewPolicy{Name: "policy", Statements: list})
	require.NoError(t, err)
	return p
}

func TestACallWithoutAPriceMeetsNoCostLimit(t *testing.T) { // F153, F154
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newShop(t, s)
		secret := c.Key(c.team, c.dev)
		call := func(model string) gate.Call {
			return gate.Call{Secret: secret, Model: model, InputTokens: 500, MaxOutputTokens: 500}
		}
		require.Empty(t, c.uses(t, call("unpriced")))
		p := c.policy(t, c.team.ID, `[{"effect": "allow", "actions": ["models:use"], "resources": ["*"], "conditions": {"cost_limit": {"type": "per_request", "max_amount": 0.001}}}]`)
		require.Empty(t, c.uses(t, call("small")), "exactly the limit")
		dear := call("small")
		dear.InputTokens++
		require.Equal(t, "cost_limit_exceeded", c.uses(t, dear))
		require.Equal(t, "cost_limit_exceeded", c.uses(t, call("unpriced")))
		told := call("unpriced")
		told.MaxCost = ptr(decimal.RequireFromString("0.001"))
		require.Empty(t, c.uses(t, told))
		_, err := c.DeletePolicy(c.Platform(), c.org.ID, c.team.ID, p.ID)
		require.NoError(t, err)
		c.policy(t, c.team.ID, `[{"effect": "deny", "actions": ["models:use"], "resources": ["*"], "conditions": {"cost_limit": {"type": "per_request", "max_amount": 0.001}}}]`)
		require.Equal(t, "policy_denied", c.uses(t, call("unpriced")), "a deny holds for what cannot be estimated")
		require.Empty(t, c.uses(t, dear))
	})
}

func TestRestrictionsOfAKeyNeverWidenIt(t *testing.T) { // F161, F162, F164, F165
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newShop(t, s)
		other := c.Team(c.org, "other", orgs.TeamSettings{})
		inside := orgs.KeyRestrictions{AllowedIPs: []string{"10.0.1.0/24", "192.0.2.7"}}
		key := func(in orgs.NewAPIKey) string {
			in.Name, in.User, in.Restrictions = "k", ptr(""), inside
			_, secret, err := c.CreateAPIKey(c.Platform(), in)
			require.NoError(t, err)
			return secret
		}
		keys := map[string]string{"crew": key(orgs.NewAPIKey{Team: c.team.ID, InheritTeam: true}), "other": key(orgs.NewAPIKey{Team: other.ID, InheritTeam: true}),
			"none": key(orgs.NewAPIKey{Team: c.team.ID}), "granted": key(orgs.NewAPIKey{Team: c.team.ID, Permissions: []string{"models.read"}})}
		answers := func(ip, model string) map[string]string {
			all := map[string]string{}
			for name, secret := range keys {
				all[name] = c.uses(t, gate.Call{Secret: secret, Model: model, InputTokens: 1, MaxOutputTokens: 1, IP: netip.MustParseAddr(ip)})
			}
			return all
		}
		none := "permission_denied"
		require.Equal(t, map[string]string{"crew": "", "other": "", "none": none, "granted": none}, answers("10.0.1.7", "small"), "an address that is allowed gives no right")
		require.Equal(t, map[string]string{"crew": "ip_denied", "other": "ip_denied", "none": "ip_denied", "granted": "ip_denied"}, answers("10.0.2.7", "small"))

		_, err := c.UpdateTeam(c.Platform(), c.team.ID, orgs.TeamUpdate{Settings: &orgs.TeamSettings{Models: &orgs.ModelSettings{Allowed: []string{"large"}}}})
		require.NoError(t, err)
		blocked := "model_not_allowed"
		require.Equal(t, map[string]string{"crew": blocked, "other": "", "none": none, "granted": blocked}, answers("10.0.1.7", "small"), "the models are those of the key's team")
		c.policy(t, c.team.ID, `[{"effect": "allow", "actions": ["models:use"], "resources": ["*"], "conditions": {"ip_address": {"type": "ip_in_range", "value": "192.0.2.0/24"}}}]`)
		require.Equal(t, "policy_denied", answers("10.0.1.7", "big")["crew"], "its addresses are not those of the policy")
		require.Empty(t, answers("192.0.2.7", "big")["crew"])
		require.Empty(t, answers("10.0.1.7", "big")["other"], "nor is the policy that of another team")
	})
}

func TestAKeyWithOwnGrantsMayWhatItsMakerAndItsPersonMay(t *testing.T) { // F163
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		a := newAsked(t, s, nil)
		defer a.Close()
		at := orgs.Place{OrgID: a.org.ID, TeamID: a.team.ID}
		_, err := a.CreateRole(a.Platform(), a.org.ID, rbac.NewRole{Name: "maker", Permissions: []string{"api_keys.create", "members.*", "models.*", "billing.read"}})
		require.NoError(t, err)
		maker, person := a.Join(a.team, "maker@acme.example", "maker"), a.Join(a.team, "person@acme.example", "developer")
		key, _, err := a.CreateAPIKey(a.As(maker), orgs.NewAPIKey{Name: "k", Team: a.team.ID, User: &person.ID, Permissions: []string{"models.use", "billing.read"}})
		require.NoError(t, err)
		inherits, _, err := a.CreateAPIKey(a.As(maker), orgs.NewAPIKey{Name: "k", Team: a.team.ID, User: &person.ID, InheritTeam: true, Permissions: []string{"billing.read"}})
		require.NoError(t, err)
		may := func(action string) bool { return a.answered(t, key.ID, a.request(action, "model:m")).Allowed }
		both := func() []bool { return []bool{may("models.use"), may("billing.read")} }
		require.False(t, may("models.read"), "both hold it, but it was not granted")
		require.Equal(t, []bool{true, false}, both(), "the person may not read bills")
		for _, step := range []struct {
			of   orgs.User
			now  orgs.Grants
			want []bool
		}{
			{person, orgs.Grants{Add: []string{"billing.read"}}, []bool{true, true}},
			{maker, orgs.Grants{Remove: []string{"models.use"}}, []bool{false, true}},
			{person, orgs.Grants{Remove: []string{"models.use"}}, []bool{false, false}},
			{maker, orgs.Grants{}, []bool{false, false}},
			{person, orgs.Grants{}, []bool{true, false}},
		} {
			_, err := a.UpdateMember(a.Platform(), at, step.of.ID, orgs.MemberUpdate{Permissions: &step.now})
			require.NoError(t, err)
			require.Equal(t, step.want, both(), "%s: %+v", step.of.Email, step.now)
			uses, bills := a.answered(t, inherits.ID, a.request("models.use", "model:m")), a.answered(t, inherits.ID, a.request("billing.read", "model:m"))
			require.Equal(t, []bool{true, step.want[1]}, []bool{uses.Allowed, bills.Allowed}, "what it does as its team rests on nobody, the rest does") // F162, F472
		}
		other := a.Team(a.org, "other", orgs.TeamSettings{})
		elsewhere := a.request("models.use", "model:m")
		elsewhere.TeamID = other.ID
		for _, u := range []orgs.User{maker, person} {
			a.Add(orgs.Place{OrgID: a.org.ID, TeamID: other.ID}, u, "developer")
			require.True(t, a.answered(t, u.ID, elsewhere).Allowed)
		}
		require.False(t, a.answered(t, key.ID, elsewhere).Allowed, "it acts in its team") // F161
		require.NoError(t, second(a.DisableAPIKey(a.Platform(), key.ID, "")))
		require.Equal(t, []bool{false, false}, both(), "nor anywhere once it is disabled")
	})
}

func TestAKeyIsMadeWhereItsMakerMayAndTellsItsLife(t *testing.T) { // F159 to F161, F167
	eachRecorded(t, func(t *testing.T, w *orgstest.World, rec *recorder, _ *storetest.Clock) {
		org, _ := w.Org("acme")
		w.Roles(org)
		mine, other := w.Team(org, "mine", orgs.TeamSettings{}), w.Team(org, "other", orgs.TeamSettings{})
		rival, _ := w.Org("rival")
		foreign := w.Team(rival, "theirs", orgs.TeamSettings{})
		lead := w.Join(mine, "lead@acme.example", "team_lead")
		w.Add(orgs.Place{OrgID: org.ID, TeamID: other.ID}, lead, "developer")
		wide := w.User("wide@acme.example")
		w.Add(orgs.Place{OrgID: org.ID}, wide, "team_lead")
		make := func(u orgs.User, in orgs.NewAPIKey) error {
			_, _, err := w.CreateAPIKey(w.As(u), in)
			return err
		}
		require.NoError(t, make(lead, orgs.NewAPIKey{Name: "k", Team: mine.ID}))
		refused(t, make(lead, orgs.NewAPIKey{Name: "k", Team: other.ID}), "permission_denied")
		refused(t, make(lead, orgs.NewAPIKey{Name: "k", Organization: org.ID}), "permission_denied")
		for _, team := range []string{foreign.ID, "team_none"} {
			require.ErrorIs(t, make(lead, orgs.NewAPIKey{Name: "k", Team: team}), store.ErrNotFound)
		}
		for _, at := range []orgs.NewAPIKey{{Name: "k", Team: mine.ID}, {Name: "k", Team: other.ID}, {Name: "k", Organization: org.ID}} {
			require.NoError(t, make(wide, at), "by a role of the organization")
		}
		for _, name := range []string{"", " \t", strings.Repeat("x", rbac.MaxName+1)} {
			wrongField(t, make(lead, orgs.NewAPIKey{Name: name, Team: mine.ID}), "name")
		}

		var secrets []string
		k, secret, err := w.CreateAPIKey(w.As(lead), orgs.NewAPIKey{Name: "  spare  key ", Team: mine.ID})
		require.NoError(t, err)
		require.Equal(t, "spare  key", k.Name)
		secrets = append(secrets, secret)
		_, secret, err = w.RotateAPIKey(w.As(lead), k.ID, time.Hour)
		require.NoError(t, err)
		secrets = append(secrets, secret)
		require.NoError(t, second(w.UpdateAPIKey(w.As(lead), k.ID, orgs.KeyUpdate{Name: ptr(" renamed ")})))
		require.NoError(t, second(w.DisableAPIKey(w.As(lead), k.ID, "")))
		require.NoError(t, second(w.EnableAPIKey(w.As(lead), k.ID, "")))
		refused(t, second(w.RevokeAPIKey(w.As(lead), k.ID, "")), "permission_denied")
		ended, err := w.RevokeAPIKey(w.Platform(), k.ID, "")
		require.NoError(t, err)
		require.Equal(t, "renamed", ended.Name)
		log, err := w.AuditLog(w.Platform(), org.ID, audit.Filter{Types: []string{"api_key.*"}, Limit: 200})
		require.NoError(t, err)
		var life []string
		for _, e := range log.Items {
			if e.ResourceID == k.ID {
				life = append(life, e.Type)
			}
		}
		slices.Reverse(life)
		require.Equal(t, []string{"api_key.created", "api_key.rotated", "api_key.updated", "api_key.disabled", "api_key.enabled", "api_key.revoked"}, life)

		kept := rec.state(t)
		require.NotEmpty(t, kept.rows)
		for name, row := range kept.rows {
			for _, secret := range secrets {
				require.NotContains(t, row, strings.TrimPrefix(secret, k.Prefix), "the secret in %s", name)
			}
		}
		require.Contains(t, kept.rows["api_keys "+k.ID], secrets[1][len(secrets[1])-4:], "what it ends with is kept")
		for _, secret := range secrets {
			_, err := w.Authenticate(t.Context(), secret)
			require.ErrorIs(t, err, orgs.ErrUnauthenticated)
		}
	})
}

func TestTheAnswerToAQuestionIsTheDecision(t *testing.T) { // F050, F168 to F173
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		c := newShop(t, s)
		defer c.Close()
		other := c.Team(c.org, "other", orgs.TeamSettings{Models: &orgs.ModelSettings{Blocked: []string{"large"}}})
		c.Add(orgs.Place{OrgID: c.org.ID, TeamID: other.ID}, c.dev, "developer")
		const office = `{"ip_address": {"type": "ip_in_range", "value": "10.0.0.0/8"}, "mfa": {"type": "required", "max_age_minutes": 480}}`
		c.policy(t, c.team.ID, `[{"effect": "allow", "actions": ["models:use"], "resources": ["model:large"], "conditions": `+office+`}]`)
		inside := netip.MustParseAddr("10.0.0.1")
		for _, q := range []struct {
			team, action, resource string
			ip                     netip.Addr
			factor                 *int
			allowed, now           bool
			conditions             string
			code                   string
		}{
			{c.team.ID, "use", "model:small", netip.Addr{}, nil, true, true, "{}", ""},
			{c.team.ID, "models:use", "model:small", netip.Addr{}, nil, true, true, "{}", ""},
			{c.team.ID, "models.use", "model:small", netip.Addr{}, nil, true, true, "{}", ""},
			{c.team.ID, "list", "model:small", netip.Addr{}, nil, true, true, "{}", ""},
			{c.team.ID, "use", "model:large", netip.Addr{}, nil, true, false, office, "policy_denied"},
			{c.team.ID, "use", "model:big", netip.Addr{}, nil, true, false, office, "policy_denied"},
			{c.team.ID, "use", "model:large", inside, nil, true, false, office, "mfa_required"},
			{c.team.ID, "use", "model:large", inside, ptr(481), true, false, office, "mfa_required"},
			{c.team.ID, "use", "model:large", inside, ptr(480), true, true, office, ""},
			{other.ID, "use", "model:large", inside, ptr(1), false, false, "{}", "model_not_allowed"},
			{other.ID, "use", "model:big", inside, ptr(1), false, false, "{}", "model_not_allowed"},
			{other.ID, "use", "model:small", netip.Addr{}, nil, true, true, "{}", ""},
			{c.team.ID, "create", "api_key:x", netip.Addr{}, nil, false, false, "{}", "permission_denied"},
			{"", "use", "model:small", netip.Addr{}, nil, false, false, "{}", "permission_denied"},
			{c.team.ID, "paint", "model:small", netip.Addr{}, nil, false, false, "{}", "permission_denied"},
		} {
			about := fmt.Sprintf("%s on %s in %q from %s", q.action, q.resource, q.team, q.ip)
			ask := orgs.PermissionQuery{User: c.dev.Email, Team: q.team, Action: q.action, Resource: q.resource, IP: q.ip, MFAAgeMinutes: q.factor}
			if q.team == "" {
				ask.Organization = c.org.ID
			}
			is, err := c.Permission(c.Platform(), ask)
			require.NoError(t, err, about)
			d := is.Decision
			require.Equal(t, []any{q.allowed, q.now, q.code}, []any{d.Verdict != rbac.VerdictDeny, d.Allowed, d.Code}, about)
			text, err := json.Marshal(d.Conditions)
			require.NoError(t, err)
			require.JSONEq(t, q.conditions, string(text), about)

			r := rbac.Request{OrgID: c.org.ID, TeamID: q.team, Action: is.Action, Person: c.dev.ID, Call: rbac.Call{Resource: strings.Replace(q.resource, ":big", ":large", 1), At: clock.Now(), IP: q.ip}}
			if q.resource != r.Resource {
				r.Asked = q.resource
			}
			if q.factor != nil {
				r.MFAAt = ptr(r.At.Add(-time.Duration(*q.factor) * time.Minute))
			}
			enforced, err := c.Decide(t.Context(), c.dev.ID, &r)
			require.NoError(t, err)
			enforced.ID = d.ID
			require.Equal(t, enforced, d, about)
			if model, ok := strings.CutPrefix(q.resource, "model:"); ok && is.Action == "models.use" && q.team != "" && q.factor == nil {
				team := c.team
				if q.team == other.ID {
					team = other
				}
				require.Equal(t, q.code, c.uses(t, gate.Call{Secret: c.Key(team, c.dev), Model: model, InputTokens: 1, MaxOutputTokens: 1, IP: q.ip}), about)
			}
		}
		_, err := c.Permission(c.Platform(), orgs.PermissionQuery{User: c.dev.Email, Action: "use", Resource: "model:small"})
		wrongField(t, err, "team_id")
	})
}

func TestOnesOwnInATeamIsNotTheWholeTeam(t *testing.T) { // F049
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, _ := w.Org("acme")
		w.Roles(org)
		_, err := w.CreateRole(w.Platform(), org.ID, rbac.NewRole{Name: "own", Permissions: []string{"api_keys.read:own", "usage.read:own", "members.read:own"}})
		require.NoError(t, err)
		team := w.Team(org, "crew", orgs.TeamSettings{})
		at := orgs.Place{OrgID: org.ID, TeamID: team.ID}
		u, other := w.Join(team, "u@acme.example", "own"), w.Join(team, "other@acme.example", "developer")
		w.Key(team, u)
		w.Key(team, other)
		keys, err := w.APIKeys(w.As(u), at, orgs.KeyFilter{})
		require.NoError(t, err)
		require.Len(t, keys.Items, 1)
		members, err := w.Members(w.As(u), at, orgs.MemberFilter{})
		require.NoError(t, err)
		require.Len(t, members.Items, 1)
		_, err = w.Member(w.As(u), at, other.ID)
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = w.Invitations(w.As(u), at, orgs.InvitationFilter{})
		require.ErrorIs(t, err, store.ErrNotFound)
		a, err := w.Allows(t.Context(), u.ID, &rbac.Request{OrgID: org.ID, TeamID: team.ID, Action: "usage.read", Call: rbac.Call{Resource: "team:" + team.ID}})
		require.NoError(t, err)
		require.False(t, a.Allowed)
	})
}

func TestKeysOfATeamAreUsedByAPIKeysUse(t *testing.T) { // F065
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		c := newShop(t, s)
		call := gate.Call{Secret: c.Key(c.team, c.dev), Model: "small", InputTokens: 1, MaxOutputTokens: 1}
		require.Empty(t, c.uses(t, call))
		c.policy(t, c.team.ID, `[{"effect": "deny", "actions": ["api_keys:use"], "resources": ["*"]}]`)
		require.Equal(t, "policy_denied", c.uses(t, call))
	})
}

func TestADenyHoldsWhereNobodyCouldHaveApproved(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		a := newAsked(t, s, nil)
		defer a.Close()
		service, _, err := a.CreateAPIKey(a.Platform(), orgs.NewAPIKey{Name: "service", Team: a.team.ID, User: ptr(""), InheritTeam: true})
		require.NoError(t, err)
		_, _, err = a.CreatePolicy(a.Platform(), a.org.ID, a.team.ID, rbac.NewPolicy{Name: "p", Statements: []rbac.Statement{{Effect: rbac.EffectDeny, Actions: []string{"models:use"},
			Resources: []string{"*"}, Conditions: rbac.Conditions{Approval: &rbac.ApprovalCondition{Type: rbac.Required}}}}})
		require.NoError(t, err)
		require.False(t, a.answered(t, service.ID, a.request("models.use", "model:m")).Allowed)
	})
}

func TestAnAnomalyIsASecurityEvent(t *testing.T) { // F156, F284
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := orgstest.New(t, s, &orgs.Options{Options: rbac.Options{Anomaly: func(context.Context, string, string) (float64, error) { return 0.9, nil }}})
		defer w.Close()
		org, owner := w.Org("acme")
		var st []rbac.Statement
		require.NoError(t, json.Unmarshal([]byte(`[{"effect": "deny", "actions": ["*"], "resources": ["*"], "conditions": {"anomaly_score": {"type": "greater_than", "value": 0.8}}}]`), &st))
		_, _, err := w.CreatePolicy(w.Platform(), org.ID, "", rbac.NewPolicy{Name: "p", Statements: st})
		require.NoError(t, err)
		_, err = w.Teams(w.As(owner), org.ID, orgs.PartFilter{})
		refused(t, err, "policy_denied")
		log, err := w.AuditLog(w.Platform(), org.ID, audit.Filter{Types: []string{"security.*"}})
		require.NoError(t, err)
		require.Len(t, log.Items, 1)
		require.Equal(t, "security.anomaly", log.Items[0].Type)
	})
}
