package orgs_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
)

// small is an organization with an owner, and a team in which a developer may use models.
type small struct {
	*orgs.Manager
	org, team  string
	owner, dev context.Context
	devID      string
}

// outbox prints what would be sent.
type outbox struct{}

func (outbox) Notify(_ context.Context, tx *store.Tx, n orgs.Notification) error {
	tx.AfterCommit(func() { fmt.Println("to", strings.Join(n.To, " "), n.Kind) })
	return nil
}

func (outbox) Mails() bool { return true }

func newSmall(o *orgs.Options) small {
	m, err := orgs.New(memory.New(nil), o)
	if err != nil {
		panic(err)
	}
	platform := audit.WithActor(context.Background(), audit.PlatformAdmin())
	owner, _ := m.CreateUser(platform, orgs.NewUser{Email: "alice@acme.example", EmailVerified: true})
	dev, _ := m.CreateUser(platform, orgs.NewUser{Email: "bob@acme.example", EmailVerified: true})
	org, _ := m.CreateOrganization(platform, orgs.NewOrganization{Name: "Acme", Owner: owner.ID})
	team, _ := m.CreateTeam(platform, org.ID, orgs.NewTeam{Name: "Lab", Settings: orgs.TeamSettings{Models: &orgs.ModelSettings{RequireApproval: []string{"o3"}}}})
	m.CreateRole(platform, org.ID, rbac.NewRole{Name: "Developer", Permissions: []string{"models.use"}})
	m.AddMember(platform, orgs.Place{OrgID: org.ID}, orgs.NewMember{User: dev.ID, Role: rbac.MemberRole})
	m.AddMember(platform, orgs.Place{OrgID: org.ID, TeamID: team.ID}, orgs.NewMember{User: dev.ID, Role: "developer"})
	as := func(u orgs.User) context.Context {
		return audit.WithActor(context.Background(), audit.Actor{Type: audit.User, ID: u.ID, Label: u.Email})
	}
	return small{m, org.ID, team.ID, as(owner), as(dev), dev.ID}
}

// What needs somebody's word is asked for, decided by who may, and works from the next call on.
func ExampleManager_RequestApproval() {
	s := newSmall(&orgs.Options{Notifier: outbox{}})
	defer s.Close()
	call := rbac.Request{OrgID: s.org, TeamID: s.team, Action: "models.use", Call: rbac.Call{Resource: "model:o3", At: time.Now()}}

	refused, _ := s.Decide(s.dev, s.devID, &call)
	fmt.Println(refused.Sentence())

	request, _, _ := s.RequestApproval(s.dev, call, "long contracts")
	_, err := s.DecideApproval(s.dev, s.org, request.ID, rbac.ApprovalDecision{Approve: true})
	fmt.Println(err)
	request, _ = s.DecideApproval(s.owner, s.org, request.ID, rbac.ApprovalDecision{Approve: true, Lasts: 48 * time.Hour})

	call.At = time.Now()
	answer, _ := s.Allows(s.dev, s.devID, &call)
	fmt.Println(request.Status, answer.Allowed, answer.Lasts.Round(time.Hour))
	// Output:
	// denied by settings (team settings, models.require_approval); allowed after one approval by team_lead or org_admin
	// to alice@acme.example approval.requested
	// permission_denied: members.approve_requests needs members.approve_requests
	// to bob@acme.example approval.approved
	// approved true 48h0m0s
}

// A change is made, looked at and taken back.
func ExampleManager_WhatIf() {
	s := newSmall(nil)
	defer s.Close()
	office := rbac.Statement{Effect: rbac.EffectAllow, Actions: []string{"models.use"}, Resources: []string{"model:gpt-*"}}
	office.Conditions.IPAddress = &rbac.IPCondition{Type: rbac.IPInRange, Value: rbac.IPRanges{Ranges: []string{"10.0.0.0/8"}}}

	difference, _ := s.WhatIf(s.owner, rbac.WhatIfQuery{OrgID: s.org, Resources: []string{"model:gpt-4o"}}, func(ctx context.Context) error {
		_, _, err := s.CreatePolicy(ctx, s.org, s.team, rbac.NewPolicy{Name: "office", Statements: []rbac.Statement{office}})
		return err
	})
	for _, c := range difference.Changes {
		fmt.Println(len(c.Subjects), c.Action, c.Resource, c.Before.Verdict, "->", c.After.Verdict)
	}
	policies, _ := s.Policies(s.owner, s.org, s.team, 0, "")
	fmt.Println(difference.Widens, len(policies.Items))
	// Output:
	// 2 models.use model:gpt-* allow -> conditional
	// 2 models.use model:gpt-4o allow -> conditional
	// false 0
}

// A change that may only take rights away.
func ExampleManager_Narrowing() {
	s := newSmall(nil)
	defer s.Close()
	for _, permissions := range [][]string{{"models.*"}, {"models.read"}, {}} {
		_, err := s.Narrowing(s.owner, rbac.WhatIfQuery{OrgID: s.org}, func(ctx context.Context) error {
			_, err := s.UpdateRole(ctx, s.org, "developer", rbac.RoleUpdate{Permissions: &permissions})
			return err
		})
		fmt.Println(permissions, err)
	}
	// Output:
	// [models.*] the change would grant something new
	// [models.read] the change would grant something new
	// [] <nil>
}

func ExampleManager_Lint() {
	s := newSmall(nil)
	defer s.Close()
	s.CreateRole(s.owner, s.org, rbac.NewRole{Name: "Typo", Permissions: []string{"modles.use"}})
	s.CreatePolicy(s.owner, s.org, "", rbac.NewPolicy{Name: "no models", Statements: []rbac.Statement{
		{Effect: rbac.EffectDeny, Actions: []string{"models.*"}, Resources: []string{"*"}}}})

	found, _ := s.Lint(s.owner, s.org)
	for _, f := range found {
		message, _, _ := strings.Cut(f.Message, " (")
		fmt.Println(f.Type, f.Code, f.Field+":", message)
	}
	// Unordered output:
	// role swallowed permissions: no models
	// role unknown_action permissions[0]: no registered action matches
}

// What rules mean leaves the library in the form that stock Casbin loads.
func ExampleManager_CasbinExport() {
	s := newSmall(nil)
	defer s.Close()
	rules, _ := s.CasbinExport(s.owner, s.org)
	for _, line := range strings.Split(rules.Model, "\n") {
		if strings.HasPrefix(line, "r = ") || strings.HasPrefix(line, "e = ") {
			fmt.Println(line)
		}
	}
	// Output:
	// r = sub, dom, act, obj
	// e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
}

// An answer says why, and what would make the call pass.
func ExampleManager_Decide() {
	s := newSmall(nil)
	defer s.Close()
	var policy rbac.NewPolicy
	policy.Name = "care"
	policy.Statements = []rbac.Statement{{Effect: rbac.EffectAllow, Actions: []string{"models.use"}, Resources: []string{"model:gpt-4o"}, Conditions: rbac.Conditions{
		MFA: &rbac.MFACondition{Type: rbac.Required, MaxAgeMinutes: new(480)},
	}}}
	s.CreatePolicy(s.owner, s.org, s.team, policy)

	call := rbac.Request{OrgID: s.org, TeamID: s.team, Action: "models.use", Call: rbac.Call{Resource: "model:gpt-4o", At: time.Now(), IP: netip.MustParseAddr("192.0.2.7")}}
	d, _ := s.Decide(s.dev, s.devID, &call)
	fmt.Println(d.Allowed, d.Code, "-", d.Would)
	verified := call.At.Add(-time.Hour)
	call.MFAAt = &verified
	d, _ = s.Decide(s.dev, s.devID, &call)
	fmt.Println(d.Allowed, d.Until.Sub(call.At).Round(time.Minute))
	// Output:
	// false mfa_required - allowed with MFA under 480 minutes
	// true 7h0m0s
}

// A change answers a token; a question that demands it is answered by nothing older, in whichever process.
func ExampleManager_Allows() {
	s := newSmall(nil)
	defer s.Close()
	question := rbac.Request{OrgID: s.org, TeamID: s.team, Action: "models.use", Call: rbac.Call{Resource: "model:gpt-4o", At: time.Now()}}
	before, _ := s.Allows(s.dev, s.devID, &question)

	ctx, receipt := rbac.WithReceipt(s.owner)
	s.RemoveMember(ctx, orgs.Place{OrgID: s.org, TeamID: s.team}, s.devID, orgs.MemberRemoval{})
	question.Least = receipt.Revision() // sent along as a text: Revision.String, rbac.ParseRevision
	after, _ := s.Allows(s.dev, s.devID, &question)
	fmt.Println(before.Allowed, after.Allowed)

	question.Least[s.org]++ // which no database has come to
	_, err := s.Allows(s.dev, s.devID, &question)
	fmt.Println(err)
	// Output:
	// true false
	// transient database failure: the revision that was asked for is not here yet
}
