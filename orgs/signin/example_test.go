package signin_test

import (
	"context"
	"fmt"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/seal"
)

func Example() {
	key, _ := seal.ParseKey(seal.GenerateKey()) // a host keeps it
	sealer, _ := seal.New(key)
	m, _ := orgs.New(memory.New(nil), &orgs.Options{Seal: sealer})
	defer m.Close()
	s, _ := signin.New(m, &signin.Options{Seal: sealer, Issuer: "Example AI"})

	platform := audit.WithActor(context.Background(), audit.PlatformAdmin())
	ann, _ := m.CreateUser(platform, orgs.NewUser{Email: "ann@acme.example", EmailVerified: true})
	_ = s.SetPassword(platform, ann.ID, "correct horse battery staple")

	out, err := s.SignIn(context.Background(), signin.Credentials{Email: "ann@acme.example", Password: "correct horse battery staple"})
	fmt.Println(out.User.Email, out.Session.Methods, err)
	actor, err := m.Authenticate(context.Background(), out.Token)
	fmt.Println(actor.ID == ann.ID, actor.Session, err)

	_, err = s.SignIn(context.Background(), signin.Credentials{Email: "ann@acme.example", Password: "a guess"})
	fmt.Println(err)
	// Output:
	// ann@acme.example [pwd] <nil>
	// true true <nil>
	// the credential is not valid
}

// A second factor is enrolled in a session, and asked for at the next sign-in.
func ExampleService_Enrol() {
	key, _ := seal.ParseKey(seal.GenerateKey())
	sealer, _ := seal.New(key)
	m, _ := orgs.New(memory.New(nil), &orgs.Options{Seal: sealer})
	defer m.Close()
	s, _ := signin.New(m, &signin.Options{Seal: sealer, Issuer: "Example AI"})
	platform := audit.WithActor(context.Background(), audit.PlatformAdmin())
	ann, _ := m.CreateUser(platform, orgs.NewUser{Email: "ann@acme.example"})
	_ = s.SetPassword(platform, ann.ID, "correct horse battery staple")
	by := func(token string) context.Context { // what the edge of a host does
		actor, _ := m.AuthenticatePending(context.Background(), token)
		return audit.WithActor(context.Background(), actor)
	}
	credentials := signin.Credentials{Email: "ann@acme.example", Password: "correct horse battery staple"}

	first, _ := s.SignIn(context.Background(), credentials)
	e, _ := s.Enrol(by(first.Token)) // e.URL is shown as a QR code, which an authenticator makes codes of
	code, _ := totp.GenerateCode(e.Secret, time.Now())
	codes, err := s.ConfirmMFA(by(first.Token), code)
	fmt.Println(len(codes), "recovery codes", err)

	next, _ := s.SignIn(context.Background(), credentials)
	_, err = m.Authenticate(context.Background(), next.Token)
	fmt.Println(err)
	session, _, err := s.VerifyMFA(by(next.Token), signin.Proof{Recovery: codes[0]})
	fmt.Println(session.Methods, err)
	_, err = m.Authenticate(context.Background(), next.Token)
	fmt.Println(err)
	// Output:
	// 10 recovery codes <nil>
	// mfa_required: sessions.use
	// [pwd recovery] <nil>
	// <nil>
}
