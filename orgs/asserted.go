package orgs

import (
	"fmt"
	"strings"
	"time"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Asserted is what an identity provider says of a person who signs in, after all of it was verified: by package
// orgs/sso/saml or orgs/sso/oidc, or by a host that has a protocol of its own.
type Asserted struct {
	OrgID  string // of the organization by whose configuration it was verified
	Issuer string // that of the configuration

	// Subject is what the issuer calls the person for good. Where it is another one at each sign-in (Transient), the address
	// takes its place, within the verified domains of the organization.
	Subject   string
	Transient bool

	Email         string
	EmailVerified bool // the issuer vouches for it; the domain has to be the organization's all the same
	Name          string

	Groups        []string
	GroupsUnknown bool // there are more than the issuer tells: the roles of the last sign-in stay

	AuthenticatedAt time.Time  // zero is unknown
	Context         string     // acr, or the class of the SAML context
	Methods         []string   // amr (RFC 8176)
	MFAVerifiedAt   *time.Time // when a second factor was proved, nil for never
	SessionIndex    string     // of the issuer's session
	EndsAt          time.Time  // of the issuer's session, zero is unknown

	// Once are what must not be seen a second time, such as the ids of a response and its assertion.
	Once []Once
}

// Once is something that counts once, until a time at which it is refused anyway.
type Once struct {
	Key   string
	Until time.Time
}

// Limits of what an identity provider says.
const (
	MaxAssertedGroups = 500
	maxAssertedGroup  = 256 // bytes
	maxSubject        = 255 // bytes
)

// check refuses what no record can hold. More groups than are looked at are not known.
func (in *Asserted) check() error {
	for field, value := range map[string]string{"issuer": in.Issuer, "subject": in.Subject} {
		if value == "" || len(value) > 1024 || store.PlainText(value, 1024) != value {
			return refuse("bad_" + field)
		}
	}
	if len(in.Subject) > maxSubject {
		return refuse("bad_subject")
	}
	groups := in.Groups
	in.Groups = nil
	for _, g := range groups {
		if len(in.Groups) == MaxAssertedGroups || len(g) > maxAssertedGroup {
			in.GroupsUnknown = true
			break
		}
		in.Groups = append(in.Groups, g)
	}
	if in.Name = strings.TrimSpace(in.Name); rbac.CheckText("name", in.Name, 0, rbac.MaxName) != nil {
		in.Name = "" // a person is signed in all the same
	}
	in.Context, in.SessionIndex = store.PlainText(in.Context, 500), store.PlainText(in.SessionIndex, 500)
	return nil
}

// SSORefused says that nobody is signed in. Code is why, in one word: it is in the log of the organization, and of no
// interest to whoever tries. Beside those of the protocols, which are about what came in, there are
//
//	disabled issuer bad_issuer bad_subject replayed session_over organization_gone   whose answer it is, and whether it counts
//	no_email                    nothing that is mapped has the address
//	email_unverified            the provider does not vouch for it
//	domain_unverified           its domain is not the organization's: see [Manager.SetVerifiedDomains]
//	bad_email                   it is none
//	account_exists account_unverified managed_elsewhere subject_changed invited   whose account it is
//	provisioning_off membership_suspended membership_ended user_suspended user_expired   who may come in
//	at_the_same_time            somebody else has just signed in as the same one: trying again helps
type SSORefused struct{ Code string }

func (e *SSORefused) Error() string { return fmt.Sprintf("the sign-in is refused: %s", e.Code) }

func refuse(code string) error { return &SSORefused{code} }
