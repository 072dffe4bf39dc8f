package orgs_test

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// fixture is a world in which there is one of everything, for the rows of the table.
type fixture struct {
	*orgstest.World
	id  names
	rec *recorder

	owner, member, guest, invitee orgs.User
	stranger                      orgs.User // owns the organization Rival
}

// names are the ids of what belongs to one tenant.
type names struct {
	Org, Child      string // Org lies below Above and above Child
	Above, Rival    string
	Team, Project   string
	User            string // a member of Org and Team beside those who call
	Token           string // of the user
	Session         string // of the user
	Role            string // which nobody holds
	Policy          string // of the team, in which the role member is overridden too
	Law             string // policy of the organization
	Invitation      string
	Mail            string // token of the invitation
	Key, Secret     string // of the team, for the user
	Budget          string
	Reservation     string // that is settled
	Approval        string // which the user asked for
	Webhook         string // which is called with everything
	Failure         string // a message that could not be delivered to it
	Destination     string // of the audit log
	SCIMToken       string
	Limit           string // of rates of the team
	Allowance       string // which no organization has
	Invoice         string // a draft
	Joining, Coming string // users who hold nothing in the team, or at all
}

// missing are names of what was never there.
func (f *fixture) missing() *fixture {
	n := *f
	fields := reflect.ValueOf(&n.id).Elem()
	for i := range fields.NumField() {
		id := fields.Field(i)
		id.SetString(id.String()[:strings.LastIndex(id.String(), "_")] + "_999999")
	}
	return &n
}

// party is a context in which somebody acts.
func (f *fixture) party(by party) context.Context {
	switch by {
	case byPlatform:
		return f.Platform()
	case byMember:
		return f.As(f.member)
	case byInvitee:
		return f.As(f.invitee)
	}
	return f.As(f.owner)
}

// actor is the id by which the log knows them.
func (f *fixture) actor(by party) string {
	a, _ := audit.ActorFrom(f.party(by))
	return a.ID
}

// newFixture makes everything, in one unit.
func newFixture(t *testing.T, s *store.Store, rec *recorder) *fixture {
	t.Helper()
	w := orgstest.New(t, s, inOrder())
	var f *fixture
	require.NoError(t, w.Together(w.Platform(), func(ctx context.Context) error {
		f = &fixture{World: w, rec: rec}
		for _, make := range []func(*testing.T, context.Context){f.makeOrganizations, f.makeMembers, f.makeRights} {
			make(t, ctx)
		}
		return nil
	}))
	return f
}

func (f *fixture) makeOrganizations(t *testing.T, ctx context.Context) {
	user := func(email string) orgs.User {
		u, err := f.CreateUser(ctx, orgs.NewUser{Email: email, EmailVerified: true})
		require.NoError(t, err)
		return u
	}
	org := func(slug, parent, owner string) string {
		o, err := f.CreateOrganization(ctx, orgs.NewOrganization{Name: slug, Slug: slug, Parent: parent, Owner: owner})
		require.NoError(t, err)
		return o.ID
	}
	f.owner, f.member, f.guest = user("owner@acme.example"), user("member@acme.example"), user("guest@acme.example")
	f.invitee, f.stranger = user("invitee@acme.example"), user("stranger@rival.example")
	f.id.User, f.id.Joining, f.id.Coming = user("user@acme.example").ID, f.member.ID, f.invitee.ID
	f.id.Above = org("holding", "", "")
	f.id.Org = org("acme", f.id.Above, f.owner.ID)
	f.id.Child = org("lab-limited", f.id.Org, "")
	f.id.Rival = org("rival", "", f.stranger.ID)
}

func (f *fixture) makeMembers(t *testing.T, ctx context.Context) {
	team, err := f.CreateTeam(ctx, f.id.Org, orgs.NewTeam{Name: "lab"})
	require.NoError(t, err)
	project, err := f.CreateProject(ctx, f.id.Org, orgs.NewProject{Name: "moon"})
	require.NoError(t, err)
	f.id.Team, f.id.Project = team.ID, project.ID
	none, err := f.CreateRole(ctx, f.id.Org, rbac.NewRole{Name: "Guest", Permissions: []string{}})
	require.NoError(t, err)
	role, err := f.CreateRole(ctx, f.id.Org, rbac.NewRole{Name: "Clerk", Permissions: []string{"teams.read"}})
	require.NoError(t, err)
	f.id.Role = role.ID
	for _, m := range []struct{ team, user, role string }{{"", f.member.ID, "member"}, {"", f.guest.ID, none.ID}, {"", f.id.User, "member"},
		{f.id.Team, f.id.User, "member"}, {f.id.Project, f.id.User, "member"}} {
		_, err := f.AddMember(ctx, orgs.Place{OrgID: f.id.Org, TeamID: m.team}, orgs.NewMember{User: m.user, Role: m.role})
		require.NoError(t, err)
	}
	inv, token, err := f.Invite(ctx, orgs.Place{OrgID: f.id.Org}, orgs.NewInvitation{Email: f.invitee.Email, Role: "member"})
	require.NoError(t, err)
	f.id.Invitation, f.id.Mail = inv.ID, token
}

func (f *fixture) makeRights(t *testing.T, ctx context.Context) {
	token, _, err := f.CreateToken(ctx, f.id.User, orgs.NewToken{Name: "laptop"})
	require.NoError(t, err)
	require.NoError(t, f.Store().Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		s, _, err := orgs.StartSession(ctx, tx, orgs.NewSession{UserID: f.id.User, Methods: []string{"pwd"}, Lifetime: time.Hour})
		f.id.Session = s.ID
		return err
	}))
	key, secret, err := f.CreateAPIKey(ctx, orgs.NewAPIKey{Name: "key", Team: f.id.Team, User: &f.id.User, Permissions: []string{"teams.read"}})
	require.NoError(t, err)
	config, _, err := f.SetAuditConfig(ctx, f.id.Org, orgs.NewAuditConfig{Destinations: []orgs.NewDestination{bucket("acme-logs", nil)}})
	require.NoError(t, err)
	f.id.Destination = config.Destinations[0].ID
	policy, _, err := f.CreatePolicy(ctx, f.id.Org, f.id.Team, somePolicy)
	require.NoError(t, err)
	law, _, err := f.CreatePolicy(ctx, f.id.Org, "", rbac.NewPolicy{Name: "law", Statements: []rbac.Statement{{Effect: rbac.EffectAllow, Actions: []string{"models.use"},
		Resources: []string{"model:large"}, Conditions: rbac.Conditions{Approval: &rbac.ApprovalCondition{Type: rbac.Required, Approvers: []string{"org_admin"}}}}}})
	require.NoError(t, err)
	_, _, err = f.SetOverride(ctx, f.id.Org, f.id.Team, "member", []string{"usage.read"}, []string{"usage.write"})
	require.NoError(t, err)
	budget, err := f.SetBudget(ctx, someBudget(f))
	require.NoError(t, err)
	f.id.Budget = budget.ID
	dollar := decimal.NewFromInt(1)
	paid, err := f.Hold(ctx, billing.Path{OrgID: f.id.Org, TeamID: f.id.Team}, &dollar)
	require.NoError(t, err)
	require.NoError(t, paid.Settle(ctx, dollar))
	f.id.Reservation = paid.ID
	limit, err := f.SetRateLimit(ctx, someRateLimit(f))
	require.NoError(t, err)
	f.id.Limit = limit.ID
	asked := audit.WithActor(ctx, audit.Actor{Type: audit.User, ID: f.id.User})
	approval, _, err := f.RequestApproval(asked, rbac.Request{OrgID: f.id.Org, TeamID: f.id.Team, Action: "models.use", Call: rbac.Call{Resource: "model:large"}}, "research")
	require.NoError(t, err)
	hook, _, err := f.CreateWebhook(ctx, f.id.Org, orgs.NewWebhook{URL: "https://hooks.acme.com/"})
	require.NoError(t, err)
	f.id.Webhook, f.id.Failure = hook.ID, "job_000000"
	allowance, err := f.CreateAllowance(ctx, orgs.NewAllowance{})
	require.NoError(t, err)
	f.id.Allowance = allowance.ID
	draft := someInvoice(f)
	require.NoError(t, f.Store().Update(ctx, func(ctx context.Context, tx *store.Tx) error { return orgs.Invoices.Insert(ctx, tx, &draft) }))
	f.id.Invoice = draft.ID
	scim, _, err := f.CreateSCIMToken(ctx, f.id.Org, orgs.NewSCIMToken{Name: "entra"})
	require.NoError(t, err)
	f.id.SCIMToken = scim.ID
	_, _, err = f.SetSSO(ctx, f.id.Org, orgs.NewSSO{Provider: "okta"})
	require.NoError(t, err)
	f.id.Token, f.id.Key, f.id.Secret, f.id.Policy, f.id.Law, f.id.Approval = token.ID, key.ID, secret, policy.ID, law.ID, approval.ID
}
