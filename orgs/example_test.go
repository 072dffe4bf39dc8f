package orgs_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store/memory"
)

func Example() {
	m, err := orgs.New(memory.New(nil), nil)
	if err != nil {
		panic(err)
	}
	// Whoever authenticated the request puts the actor into the context.
	platform := audit.WithActor(context.Background(), audit.PlatformAdmin())

	alice, _ := m.CreateUser(platform, orgs.NewUser{Email: "alice@acme.example", EmailVerified: true})
	acme, _ := m.CreateOrganization(platform, orgs.NewOrganization{Name: "Acme Corporation", Owner: alice.ID})
	team, _ := m.CreateTeam(platform, acme.ID, orgs.NewTeam{Name: "Engineering"})
	fmt.Println(acme.Slug, team.Slug)

	stranger, _ := m.CreateUser(platform, orgs.NewUser{Email: "mallory@evil.example", EmailVerified: true})
	_, err = m.Team(audit.WithActor(context.Background(), audit.Actor{Type: audit.User, ID: stranger.ID}), team.ID)
	fmt.Println(err)
	// Output:
	// acme-corporation engineering
	// not found
}

func ExampleManager_Invite() {
	m, _ := orgs.New(memory.New(nil), nil)
	platform := audit.WithActor(context.Background(), audit.PlatformAdmin())
	acme, _ := m.CreateOrganization(platform, orgs.NewOrganization{Name: "Acme"})
	bob, _ := m.CreateUser(platform, orgs.NewUser{Email: "bob@acme.example", EmailVerified: true})

	_, token, _ := m.Invite(platform, orgs.Place{OrgID: acme.ID}, orgs.NewInvitation{Email: bob.Email, Role: rbac.MemberRole})
	asBob := audit.WithActor(context.Background(), audit.Actor{Type: audit.User, ID: bob.ID, Label: bob.Email})
	invitation, membership, _ := m.AnswerInvitation(asBob, token, true)
	fmt.Println(invitation.Status, membership.Role)

	_, err := m.CreateTeam(asBob, acme.ID, orgs.NewTeam{Name: "Bob's"})
	var denied *rbac.Denied
	if errors.As(err, &denied) {
		fmt.Println(denied.Code, denied.Decision.MissingPermission)
	}
	// Output:
	// accepted member
	// permission_denied teams.create
}

// What an organization wants to hear of is set as a whole, and so is everything that is wrong with it told.
func ExampleManager_SetBilling() {
	m, _ := orgs.New(memory.New(nil), nil)
	platform := audit.WithActor(context.Background(), audit.PlatformAdmin())
	acme, _ := m.CreateOrganization(platform, orgs.NewOrganization{Name: "Acme"})
	in := orgs.NewBilling{
		PaymentMethods: []billing.PaymentMethod{{Type: billing.CreditCard, Default: true, Details: billing.PaymentDetails{StripePaymentMethodID: "pm_1234567890"}}},
		Alerts:         []billing.Alert{{Type: billing.AnomalyAlert, Sensitivity: "extreme", Notify: []string{"cfo@acme.example", "nobodies"}}},
		CostAllocation: billing.CostAllocation{Strategy: billing.TagBased, RequiredTags: []string{"project"}},
	}
	_, err := m.SetBilling(platform, acme.ID, in)
	fmt.Println(err)

	in.Alerts[0].Sensitivity, in.Alerts[0].Notify = billing.HighSensitivity, []string{"cfo@acme.example", "org_admins"}
	is, err := m.SetBilling(platform, acme.ID, in)
	fmt.Println(is.PaymentMethods[0].Details.StripePaymentMethodID, err)
	// Output:
	// billing_alerts[0].sensitivity: must be low, medium or high
	// billing_alerts[0].notify[1]: is neither an e-mail address nor a role of the organization
	// ***7890 <nil>
}

// A gateway resolves a caller once, when the credential is authenticated, and asks as often as it likes.
func ExampleManager_Principal() {
	m, _ := orgs.New(memory.New(nil), nil)
	defer m.Close()
	platform := audit.WithActor(context.Background(), audit.PlatformAdmin())
	alice, _ := m.CreateUser(platform, orgs.NewUser{Email: "alice@acme.example", EmailVerified: true})
	acme, _ := m.CreateOrganization(platform, orgs.NewOrganization{Name: "Acme", Owner: alice.ID})

	caller, _ := m.Principal(context.Background(), acme.ID, "", alice.ID)
	use, call := m.Action("models.use"), &rbac.Call{Resource: "model:gpt-4o", At: time.Now(), IP: netip.MustParseAddr("192.0.2.7")}
	answer, _ := caller.Allows(context.Background(), use, call)
	fmt.Println(answer.Allowed)

	office := rbac.Statement{Effect: rbac.EffectAllow, Actions: []string{"models.use"}, Resources: []string{"model:gpt-*"}}
	office.Conditions.IPAddress = &rbac.IPCondition{Type: rbac.IPInRange, Value: rbac.IPRanges{Ranges: []string{"10.0.0.0/8"}}}
	m.CreatePolicy(platform, acme.ID, "", rbac.NewPolicy{Name: "office only", Statements: []rbac.Statement{office}})

	answer, _ = caller.Allows(context.Background(), use, call) // the very next one knows
	why, _ := caller.Decide(context.Background(), use, call)
	fmt.Println(answer.Allowed, why.Code, why.Reasons[0].Text, why.Remedy)
	// Output:
	// true
	// false policy_denied allowed under conditions only, by policy (office only) [call from 10.0.0.0/8]
}

func ExampleManager_WhoCan() {
	m, _ := orgs.New(memory.New(nil), nil)
	defer m.Close()
	platform := audit.WithActor(context.Background(), audit.PlatformAdmin())
	alice, _ := m.CreateUser(platform, orgs.NewUser{Email: "alice@acme.example", EmailVerified: true})
	acme, _ := m.CreateOrganization(platform, orgs.NewOrganization{Name: "Acme", Owner: alice.ID})

	who, _ := m.WhoCan(platform, rbac.AccessQuery{OrgID: acme.ID, Action: "use", Resource: "model:gpt-4o"})
	fmt.Println(len(who.Always), len(who.Conditional), who.Never)
	what, _ := m.WhatCan(platform, alice.ID, rbac.AccessQuery{OrgID: acme.ID, Resource: "model:gpt-4o"})
	fmt.Println(what[0])
	// Output:
	// 1 0 0
	// {analytics.read allow}
}
