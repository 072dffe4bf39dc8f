package orgs_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/orgkit/orgkit/audit"
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
