package orgs_test

import (
	"context"
	"net/netip"
	"testing"

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

// family is a tree of organizations, each with its owner: two children below a root, and one below the first
// of them, in whose team somebody has a key.
type family struct {
	*orgstest.World
	t                              *testing.T
	root, child, sibling, grand    orgs.Organization
	boss, chief, other, head, user orgs.User // the owners, in that order, and the user of the key
	team                           orgs.Team // of the grandchild
	secret                         string
	gate                           *gate.Gate
}

func newFamily(t *testing.T, s *store.Store) family {
	t.Helper()
	small := &billing.Price{InputPerMillion: decimal.NewFromInt(1000), OutputPerMillion: decimal.NewFromInt(1000)}
	catalogue, err := billing.NewCatalogue(billing.Model{ID: "small", Price: small, MaxOutputTokens: 1000}, billing.Model{ID: "large", Price: small, MaxOutputTokens: 1000})
	require.NoError(t, err)
	o := inOrder()
	o.Catalogue = catalogue
	w := orgstest.New(t, s, o)
	f := family{World: w, t: t, gate: gate.New(w.Manager)}
	f.root, f.boss = f.org("root", "")
	f.child, f.chief = f.org("child", f.root.ID)
	f.sibling, f.other = f.org("sibling", f.root.ID)
	f.grand, f.head = f.org("grand", f.child.ID)
	f.team = w.Team(f.grand, "lab", orgs.TeamSettings{})
	f.user = w.User("user@grand.example")
	f.add(f.grand, f.user, rbac.MemberRole)
	_, err = w.AddMember(w.Platform(), orgs.Place{OrgID: f.grand.ID, TeamID: f.team.ID}, orgs.NewMember{User: f.user.ID, Role: rbac.MemberRole})
	require.NoError(t, err)
	f.secret = w.Key(f.team, f.user)
	return f
}

// org makes an organization and its owner.
func (f family) org(slug, parent string) (orgs.Organization, orgs.User) {
	f.t.Helper()
	owner := f.World.User("owner@" + slug + ".example")
	o, err := f.CreateOrganization(f.Platform(), orgs.NewOrganization{Name: slug, Slug: slug, Parent: parent, Owner: owner.ID})
	require.NoError(f.t, err)
	return o, owner
}

func (f family) add(o orgs.Organization, u orgs.User, role string) {
	f.t.Helper()
	_, err := f.AddMember(f.Platform(), orgs.Place{OrgID: o.ID}, orgs.NewMember{User: u.ID, Role: role})
	require.NoError(f.t, err)
}

// role makes a role of the root and a user who holds it there.
func (f family) role(name string, inherited bool, permissions ...string) orgs.User {
	f.t.Helper()
	r, err := f.CreateRole(f.Platform(), f.root.ID, rbac.NewRole{Name: name, Permissions: permissions, Inherited: inherited})
	require.NoError(f.t, err)
	u := f.World.User(r.Slug + "@root.example")
	f.add(f.root, u, r.Slug)
	return u
}

// uses says how the gate answers a call with the key: "" for admitted, else the code. A call costs up to 1 USD.
func (f family) uses(model string) string {
	f.t.Helper()
	adm, err := f.gate.Admit(f.t.Context(), gate.Call{Secret: f.secret, Model: model, InputTokens: 500, MaxOutputTokens: 500, IP: netip.MustParseAddr("192.0.2.1")})
	if err == nil {
		require.NoError(f.t, adm.Settle(f.t.Context(), billing.Usage{InputTokens: 500, OutputTokens: 500}))
		return ""
	}
	var d *gate.Denied
	require.ErrorAs(f.t, err, &d)
	return d.Code
}

// eachFamily runs a test with a family on every store.
func eachFamily(t *testing.T, fn func(t *testing.T, f family, clock *storetest.Clock)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) { fn(t, newFamily(t, s), clock) })
}

func TestOrganizationsLieInATree(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family, _ *storetest.Clock) {
		below := func(ctx context.Context, o orgs.Organization) (slugs []string) {
			page, err := f.Organizations(ctx, orgs.OrganizationFilter{Parent: o.ID})
			require.NoError(t, err)
			for _, o := range page.Items {
				slugs = append(slugs, o.Slug)
			}
			return slugs
		}
		require.Equal(t, []string{"", f.root.ID, f.root.ID, f.child.ID}, []string{f.root.ParentID, f.child.ParentID, f.sibling.ParentID, f.grand.ParentID})
		require.Equal(t, []string{"sibling", "child"}, below(f.Platform(), f.root), "those directly below, newest first")
		require.Equal(t, []string{"grand"}, below(f.As(f.boss), f.child))
		require.Empty(t, below(f.As(f.boss), f.grand))
		f.add(f.root, f.chief, rbac.MemberRole)
		require.Equal(t, []string{"child"}, below(f.As(f.chief), f.root), "the sibling is not theirs to see")
		for _, o := range []orgs.Organization{f.root, f.child, f.grand} {
			figures, err := f.OrganizationFigures(f.As(f.boss), o.ID)
			require.NoError(t, err)
			require.Equal(t, f.root.ID, figures.RootID)
		}
	})
}

func TestWhoMakesAnOrganizationOwnsItUnlessTheyRuleItAnyway(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family, _ *storetest.Clock) {
		maker := f.role("Maker", false, "organizations.create")
		made, err := f.CreateOrganization(f.As(maker), orgs.NewOrganization{Name: "New", Parent: f.root.ID})
		require.NoError(t, err)
		ms, err := f.Member(f.As(maker), orgs.Place{OrgID: made.ID}, "me")
		require.NoError(t, err)
		require.Equal(t, rbac.OwnerRole, ms.Role)
		_, err = f.CreateOrganization(f.As(maker), orgs.NewOrganization{Name: "New", Parent: f.child.ID})
		require.ErrorIs(t, err, store.ErrNotFound, "the right does not flow down")

		made, err = f.CreateOrganization(f.As(f.boss), orgs.NewOrganization{Name: "Another", Parent: f.child.ID})
		require.NoError(t, err)
		members, err := f.Members(f.As(f.boss), orgs.Place{OrgID: made.ID}, orgs.MemberFilter{})
		require.NoError(t, err)
		require.Empty(t, members.Items)
		_, err = f.CreateOrganization(f.As(f.boss), orgs.NewOrganization{Name: "x", Parent: f.child.ID, Owner: f.boss.ID})
		wrongField(t, err, "owner")
	})
}

func TestRightsFlowDownAndNeverUp(t *testing.T) { // S3
	eachFamily(t, func(t *testing.T, f family, _ *storetest.Clock) {
		renames := func(u orgs.User, o orgs.Organization) error {
			_, err := f.UpdateOrganization(f.As(u), o.ID, orgs.OrganizationUpdate{Description: ptr("by " + u.Email)})
			return err
		}
		for _, o := range []orgs.Organization{f.root, f.child, f.sibling, f.grand} {
			require.NoError(t, renames(f.boss, o))
		}
		for u, strange := range map[orgs.User][]orgs.Organization{
			f.chief: {f.root, f.sibling}, f.head: {f.root, f.child, f.sibling}, f.other: {f.root, f.child, f.grand}} {
			for _, o := range strange {
				require.ErrorIs(t, renames(u, o), store.ErrNotFound)
			}
		}
		require.NoError(t, renames(f.chief, f.grand))

		clerk, local := f.role("Clerk", true, "organizations.update", "usage.read"), f.role("Local", false, "organizations.update")
		require.NoError(t, renames(clerk, f.grand))
		require.NoError(t, renames(local, f.root))
		require.ErrorIs(t, renames(local, f.child), store.ErrNotFound)
		_, err := f.Organization(f.As(clerk), f.grand.ID)
		refused(t, err, "permission_denied") // it is that role and no more
	})
}

func TestWhatIsTakenFromAMemberIsTakenBelowToo(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family, _ *storetest.Clock) {
		auditor := f.role("Auditor", true, "*.read")
		reads := func() error {
			_, err := f.Teams(f.As(auditor), f.grand.ID, orgs.PartFilter{})
			return err
		}
		grants := func(g orgs.Grants) {
			_, err := f.UpdateMember(f.Platform(), orgs.Place{OrgID: f.root.ID}, auditor.ID, orgs.MemberUpdate{Permissions: &g})
			require.NoError(t, err)
		}
		require.NoError(t, reads())
		grants(orgs.Grants{Remove: []string{"teams.read"}})
		refused(t, reads(), "permission_denied")
		grants(orgs.Grants{Add: []string{"teams.create"}})
		require.NoError(t, reads())
		_, err := f.CreateTeam(f.As(auditor), f.root.ID, orgs.NewTeam{Name: "New"})
		require.NoError(t, err)
		_, err = f.CreateTeam(f.As(auditor), f.grand.ID, orgs.NewTeam{Name: "New"})
		refused(t, err, "permission_denied") // what a member has beside the role acts where it was given
	})
}

func TestNeitherTeamsNorKeysReachBelow(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family, _ *storetest.Clock) {
		team := f.Team(f.root, "top", orgs.TeamSettings{})
		lead := f.World.User("lead@root.example")
		f.add(f.root, lead, rbac.MemberRole)
		_, err := f.AddMember(f.Platform(), orgs.Place{OrgID: f.root.ID, TeamID: team.ID}, orgs.NewMember{User: lead.ID, Role: rbac.OwnerRole})
		require.NoError(t, err)
		_, err = f.UpdateTeam(f.As(lead), team.ID, orgs.TeamUpdate{Name: ptr("mine")})
		require.NoError(t, err)
		_, err = f.Organization(f.As(lead), f.child.ID)
		require.ErrorIs(t, err, store.ErrNotFound)

		_, secret, err := f.CreateAPIKey(f.As(f.boss), orgs.NewAPIKey{Name: "k", Organization: f.root.ID, Permissions: []string{"*"}})
		require.NoError(t, err)
		key, err := f.Authenticate(t.Context(), secret)
		require.NoError(t, err)
		_, err = f.Organization(audit.WithActor(t.Context(), key), f.root.ID)
		require.NoError(t, err)
		_, err = f.Organization(audit.WithActor(t.Context(), key), f.child.ID)
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

func TestPoliciesOfAnOrganizationBindAllBelow(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family, _ *storetest.Clock) {
		deny := func(o orgs.Organization, team, action string) rbac.Policy {
			p, _, err := f.CreatePolicy(f.Platform(), o.ID, team, rbac.NewPolicy{Name: "deny", Statements: []rbac.Statement{
				{Effect: rbac.EffectDeny, Actions: []string{action}, Resources: []string{"*"}}}})
			require.NoError(t, err)
			return p
		}
		require.Empty(t, f.uses("small"))
		p := deny(f.root, "", "models.use")
		require.Equal(t, "policy_denied", f.uses("small"))
		_, err := f.DeletePolicy(f.As(f.head), f.root.ID, "", p.ID)
		require.ErrorIs(t, err, store.ErrNotFound, "those below cannot reach it")
		_, err = f.DeletePolicy(f.As(f.boss), f.root.ID, "", p.ID)
		require.NoError(t, err)
		deny(f.sibling, "", "models.use")
		deny(f.root, f.Team(f.root, "top", orgs.TeamSettings{}).ID, "models.use")
		require.Empty(t, f.uses("small"), "neither a sibling's nor one of a team")

		deny(f.child, "", "policies.*")
		create := func(u orgs.User) error {
			_, _, err := f.CreatePolicy(f.As(u), f.grand.ID, "", rbac.NewPolicy{Name: "by " + u.Email, Statements: somePolicy.Statements})
			return err
		}
		refused(t, create(f.head), "policy_denied")
		require.NoError(t, create(f.chief), "its owner is not locked out")
		require.NoError(t, create(f.boss))
	})
}

func TestModelsOfAnOrganizationAreACeilingForAllBelow(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family, _ *storetest.Clock) {
		models := func(o orgs.Organization, m *orgs.ModelSettings) {
			_, err := f.UpdateOrganization(f.Platform(), o.ID, orgs.OrganizationUpdate{Settings: &orgs.OrgSettings{Models: m}})
			require.NoError(t, err)
		}
		models(f.root, &orgs.ModelSettings{Allowed: []string{"small"}})
		models(f.grand, &orgs.ModelSettings{Allowed: []string{"*"}})
		require.Equal(t, []string{"", "model_not_allowed"}, []string{f.uses("small"), f.uses("large")})
		models(f.child, &orgs.ModelSettings{Blocked: []string{"sm*"}})
		require.Equal(t, "model_not_allowed", f.uses("small"))
		models(f.child, nil)
		models(f.sibling, &orgs.ModelSettings{Blocked: []string{"*"}})
		require.Empty(t, f.uses("small"))
		models(f.root, nil)
		require.Empty(t, f.uses("large"))
	})
}

func TestBudgetsOfAllAboveAreCheckedAndCharged(t *testing.T) {
	eachFamily(t, func(t *testing.T, f family, _ *storetest.Clock) {
		budget := func(o orgs.Organization, limit string) {
			_, err := f.SetBudget(f.Platform(), billing.Budget{OrgID: o.ID, Scope: billing.ScopeOrg, ScopeID: o.ID, Limit: decimal.RequireFromString(limit), Window: "calendar_month", Hard: true})
			require.NoError(t, err)
		}
		spent := func(o orgs.Organization) string {
			states, err := f.Overview(f.Platform(), o.ID)
			require.NoError(t, err)
			require.Len(t, states, 1)
			require.True(t, states[0].Reserved.IsZero())
			return states[0].Spent.String()
		}
		budget(f.root, "2")
		budget(f.child, "5")
		budget(f.sibling, "0")
		budget(f.grand, "5")
		require.Equal(t, []string{"", "", "budget_exceeded"}, []string{f.uses("small"), f.uses("small"), f.uses("small")})
		require.Equal(t, []string{"2", "2", "0", "2"}, []string{spent(f.root), spent(f.child), spent(f.sibling), spent(f.grand)})
		budget(f.root, "10")
		require.Empty(t, f.uses("small"))
		budget(f.child, "3")
		require.Equal(t, "budget_exceeded", f.uses("small"))
		require.Equal(t, "3", spent(f.root), "what was refused by one is charged to none")

		_, err := f.MoveOrganization(f.Platform(), f.grand.ID, f.root.ID)
		require.NoError(t, err)
		require.Empty(t, f.uses("small"))
		require.Equal(t, []string{"4", "3", "4"}, []string{spent(f.root), spent(f.child), spent(f.grand)}, "who moved is charged where it lies")
	})
}
