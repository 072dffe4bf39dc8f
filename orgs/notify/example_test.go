package notify_test

import (
	"context"
	"fmt"
	"net/mail"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/notify"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/seal"
)

// provider stands for a mail provider with an API of its own.
type provider struct{}

func (provider) Send(_ context.Context, m notify.Message) error {
	fmt.Printf("to %s: %s\n", m.To, m.Subject)
	fmt.Println(strings.Contains(m.Text, "https://ai.example.com/invitations/accept#token="))
	return nil
}

// An invitation is enqueued with what it tells of, and mailed by a worker.
func ExampleNew() {
	key, _ := seal.ParseKey(seal.GenerateKey())
	sealer, _ := seal.New(key)
	n, err := notify.New(&notify.Options{Sender: provider{}, From: mail.Address{Name: "Example AI", Address: "no-reply@example.com"},
		BaseURL: "https://ai.example.com", Sealer: sealer})
	if err != nil {
		panic(err)
	}
	s := memory.New(nil)
	defer s.Close()
	m, _ := orgs.New(s, &orgs.Options{Notifier: n, Seal: sealer})
	defer m.Close()
	worker := jobs.NewWorker(s, nil)
	n.Handle(worker, m)

	ctx := audit.WithActor(context.Background(), audit.PlatformAdmin())
	org, _ := m.CreateOrganization(ctx, orgs.NewOrganization{Name: "Acme"})
	_, token, _ := m.Invite(ctx, orgs.Place{OrgID: org.ID}, orgs.NewInvitation{Email: "bob@acme.example", Role: "member", SendEmail: true})
	fmt.Printf("%q\n", token)
	worker.RunDue(ctx) // a host has worker.Run in the background

	// Output:
	// ""
	// to bob@acme.example: You are invited to Acme
	// true
}
