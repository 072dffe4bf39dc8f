package orgs_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

// certificate makes one that is valid for a day around a time, and returns it in PEM.
func certificate(t *testing.T, key any, from, until time.Time) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp"}, NotBefore: from, NotAfter: until}
	var der []byte
	var err error
	switch k := key.(type) {
	case *rsa.PrivateKey:
		der, err = x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	case *ecdsa.PrivateKey:
		der, err = x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	}
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func ecKey(t *testing.T, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	require.NoError(t, err)
	return k
}

// signOn is an organization with an identity provider, and what it says of one person.
type signOn struct {
	*orgstest.World
	t     *testing.T
	clock *storetest.Clock
	told  *orgstest.Notifications
	org   orgs.Organization
	owner orgs.User
	in    orgs.NewSSO
	says  orgs.Asserted
}

// free takes every URL.
type free struct{}

func (free) Check(string) error { return nil }

func newSignOn(t *testing.T, s *store.Store, clock *storetest.Clock, o *orgs.Options) *signOn {
	t.Helper()
	key, err := seal.ParseKey(seal.GenerateKey())
	require.NoError(t, err)
	sealer, err := seal.New(key)
	require.NoError(t, err)
	f := &signOn{t: t, clock: clock, told: &orgstest.Notifications{}}
	if o == nil {
		o = &orgs.Options{}
	}
	o.Seal, o.Notifier, o.URLs, o.Options = sealer, f.told, free{}, rbac.Options{Audit: audit.Options{NoBackground: true}}
	f.World = orgstest.New(t, s, o)
	f.org, f.owner = f.Org("acme")
	f.Roles(f.org)
	_, err = f.SetVerifiedDomains(f.Platform(), f.org.ID, "acme.example")
	require.NoError(t, err)
	now := clock.Now()
	f.in = orgs.NewSSO{Provider: "okta", Enabled: true, URL: "https://acme.okta.com/app/sso/saml", Issuer: "http://www.okta.com/exk1",
		Certificates: []string{certificate(t, ecKey(t, elliptic.P256()), now.Add(-time.Hour), now.Add(24*time.Hour))},
		RoleMapping:  map[string]string{"Engineering": "developer", "Leads": "team_lead"}, Provisioning: &orgs.NewProvisioning{AutoProvision: true}}
	f.says = orgs.Asserted{OrgID: f.org.ID, Issuer: f.in.Issuer, Subject: "00u1", Email: "Ann@acme.example", EmailVerified: true, Name: "Ann"}
	return f
}

// set writes the configuration.
func (f *signOn) set() orgs.SSOSettings {
	f.t.Helper()
	s, _, err := f.SetSSO(f.Platform(), f.org.ID, f.in)
	require.NoError(f.t, err)
	return s
}

// signIn is the sign-in that has to work.
func (f *signOn) signIn() orgs.AssertedSignIn {
	f.t.Helper()
	out, err := f.SignInAsserted(f.t.Context(), f.says, time.Hour)
	require.NoError(f.t, err)
	return out
}

// refused wants a refusal that stores nothing, and that is in the log of the organization.
func (f *signOn) refused(code string) {
	f.t.Helper()
	before := f.people()
	_, err := f.SignInAsserted(f.t.Context(), f.says, time.Hour)
	var refused *orgs.SSORefused
	require.ErrorAs(f.t, err, &refused)
	require.Equal(f.t, code, refused.Code)
	require.Equal(f.t, before, f.people())
	require.Contains(f.t, f.logged(orgs.LoginFailedType), code)
}

// people are how many users and members there are.
func (f *signOn) people() [2]int {
	f.t.Helper()
	users, err := f.Users(f.Platform(), 100, "")
	require.NoError(f.t, err)
	members, err := f.Members(f.Platform(), orgs.Place{OrgID: f.org.ID}, orgs.MemberFilter{Limit: 100})
	require.NoError(f.t, err)
	return [2]int{len(users.Items), len(members.Items)}
}

// logged is what the log of the organization says of events of a type.
func (f *signOn) logged(eventType string) string {
	f.t.Helper()
	require.NoError(f.t, f.Audit().Flush(f.t.Context()))
	page, err := f.AuditLog(f.Platform(), f.org.ID, audit.Filter{Types: []string{eventType}, Limit: 100})
	require.NoError(f.t, err)
	text, err := json.Marshal(page.Items)
	require.NoError(f.t, err)
	return string(text)
}

func eachSignOn(t *testing.T, fn func(t *testing.T, f *signOn)) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) { fn(t, newSignOn(t, s, clock, nil)) })
}

func TestSignInByAnIdentityProviderMakesAMember(t *testing.T) { // F183, F184, F188, SSO-5, SSO-7, SSO-10, SSO-17
	eachSignOn(t, func(t *testing.T, f *signOn) {
		f.set()
		f.says.Groups = []string{"Engineering", "Leads", "Nobody"}
		mfa := f.clock.Now().Add(-time.Minute)
		f.says.Methods, f.says.MFAVerifiedAt, f.says.Context, f.says.AuthenticatedAt = []string{"mfa"}, &mfa, "urn:strong", mfa
		first := f.signIn()
		require.True(t, first.Made && first.Joined)
		require.Len(t, first.Roles, 2)
		require.Equal(t, []string{"sso", "mfa"}, first.Session.Methods)
		require.Equal(t, &orgs.SessionIdP{OrgID: f.org.ID, Context: "urn:strong", AuthenticatedAt: &mfa}, first.Session.SignedInBy)

		by, err := f.Authenticate(t.Context(), first.Token)
		require.NoError(t, err)
		require.Equal(t, first.User.ID, by.ID)
		require.True(t, mfa.Equal(*by.MFAAt))
		member, err := f.Member(audit.WithActor(t.Context(), by), orgs.Place{OrgID: f.org.ID}, "me")
		require.NoError(t, err)
		require.Equal(t, "sso", member.Source)

		f.says.Groups = []string{"Engineering"}
		second := f.signIn()
		require.False(t, second.Made || second.Joined)
		require.Equal(t, first.User.ID, second.User.ID)
		require.Len(t, second.Roles, 1)

		f.says.Groups, f.says.GroupsUnknown = nil, true // SSO-15
		third := f.signIn()
		require.Equal(t, second.Roles, third.Roles)
		require.True(t, third.GroupsUnknown)
		f.says.GroupsUnknown = false
		require.Empty(t, f.signIn().Roles)
		require.Contains(t, f.logged("user.provisioned"), first.User.ID)
		require.Contains(t, f.logged(orgs.LoginType), first.Session.ID)
	})
}

func TestWhatAMappingGivesNoMoreIsTakenBackAtOnce(t *testing.T) { // SSO-10, SSO-12, SSO-14
	eachSignOn(t, func(t *testing.T, f *signOn) {
		f.in.RoleMapping["IT"] = "org_admin"
		f.set()
		f.says.Groups = []string{"Engineering", "Leads", "IT"}
		require.Len(t, f.signIn().Roles, 2) // never the owner's
		given := func() int {
			member, err := f.Member(f.Platform(), orgs.Place{OrgID: f.org.ID}, "ann@acme.example")
			require.NoError(t, err)
			return len(member.Roles) - 1
		}
		require.Equal(t, 2, given())
		delete(f.in.RoleMapping, "Leads")
		f.set()
		require.Equal(t, 1, given())
		f.in.Provisioning.SyncGroups = true // from now on SCIM says
		f.set()
		require.Zero(t, given())
		require.Empty(t, f.signIn().Roles)
	})
}

// TestWhoHasAnAccountIsAskedBeforeSingleSignOn where the policy is to invite: by a mail, once.
func TestWhoHasAnAccountIsAskedBeforeSingleSignOn(t *testing.T) { // SSO-6
	eachSignOn(t, func(t *testing.T, f *signOn) {
		f.in.Link = orgs.LinkInvite
		f.set()
		ann, at := f.User("ann@acme.example"), orgs.Place{OrgID: f.org.ID}
		f.told.Take()
		_, err := f.TryAsserted(f.Platform(), f.says)
		require.ErrorContains(t, err, "invited")
		require.Empty(t, f.told.Take(), "a dry run asks nobody")
		f.invited()
		token := mailed(t, f.told, ann.Email)
		f.invited()
		require.Empty(t, f.told.Take())
		_, _, err = f.AnswerInvitation(f.As(ann), token, true)
		require.NoError(t, err)
		require.Equal(t, ann.ID, f.signIn().User.ID)

		_, err = f.RemoveMember(f.Platform(), at, ann.ID, orgs.MemberRemoval{})
		require.NoError(t, err)
		f.told.Take()
		f.refused("membership_ended")
		require.Empty(t, f.told.Take())
		f.says.Subject, f.says.Email = "00u9", "new@acme.example"
		require.True(t, f.signIn().Made, "who has no account gets one")
	})
}

// invited wants a sign-in to be refused because the person is asked first.
func (f *signOn) invited() {
	f.t.Helper()
	_, err := f.SignInAsserted(f.t.Context(), f.says, time.Hour)
	var refused *orgs.SSORefused
	require.ErrorAs(f.t, err, &refused)
	require.Equal(f.t, "invited", refused.Code)
}

func TestNobodyIsTakenOverBySingleSignOn(t *testing.T) { // SSO-1, SSO-2, SSO-6, SSO-8; A21, A22, A25
	eachSignOn(t, func(t *testing.T, f *signOn) {
		f.refused("disabled")
		f.set()
		f.says.EmailVerified = false
		f.refused("email_unverified")
		f.says.EmailVerified = true
		for _, address := range []string{"ann@other.example", "ann@gmail.com", "ann@acme.example.evil.example", "ann@аcme.example", "no address", "ann@sub.acme.example"} {
			f.says.Email = address
			f.refused("domain_unverified")
		}
		f.says.Email = ""
		f.refused("no_email")
		f.says.Email = "ann@acme.example"
		f.says.Issuer = "http://www.okta.com/exk2"
		f.refused("issuer")
		f.says.Issuer = f.in.Issuer
		f.says.Subject = ""
		f.refused("bad_subject")
		f.says.Subject = strings.Repeat("x", 256)
		f.refused("bad_subject")
		f.says.Subject = "00u1"

		// Somebody has registered the address beforehand, and not proved it.
		ann, err := f.CreateUser(f.Platform(), orgs.NewUser{Email: "ann@acme.example"})
		require.NoError(t, err)
		f.refused("account_unverified")
		yes := true
		_, err = f.UpdateUser(f.Platform(), ann.ID, orgs.UserUpdate{EmailVerified: &yes})
		require.NoError(t, err)
		f.in.Link = orgs.LinkNever
		f.set()
		f.refused("account_exists")
		f.in.Link = ""
		f.in.Provisioning.AutoProvision = false
		f.set()
		f.refused("provisioning_off")
		f.in.Provisioning.AutoProvision = true
		f.set()
		require.Equal(t, ann.ID, f.signIn().User.ID)

		// The provider gives her address to somebody else.
		f.says.Subject = "00u2"
		f.refused("subject_changed")
		f.says.Subject = "00u1"
		// Her address changes there: she is who she was, and her address is what it was.
		f.says.Email = "owner@acme.example"
		require.Equal(t, ann.ID, f.signIn().User.ID)
		f.says.Email = "ann@acme.example"

		// Another organization claims the same domain.
		other, _ := f.Org("other")
		f.World.Roles(other)
		_, err = f.SetVerifiedDomains(f.Platform(), other.ID, "acme.example")
		require.NoError(t, err)
		_, _, err = f.SetSSO(f.Platform(), other.ID, f.in)
		require.NoError(t, err)
		theirs := f.says
		theirs.OrgID = other.ID
		_, err = f.SignInAsserted(t.Context(), theirs, time.Hour)
		require.ErrorContains(t, err, "managed_elsewhere")

		// Who is removed does not come back by signing in.
		_, err = f.RemoveMember(f.Platform(), orgs.Place{OrgID: f.org.ID}, ann.ID, orgs.MemberRemoval{})
		require.NoError(t, err)
		f.refused("membership_ended")
		f.Add(orgs.Place{OrgID: f.org.ID}, ann, "member")
		f.signIn()
		suspended := rbac.Suspended
		_, err = f.UpdateUser(f.Platform(), ann.ID, orgs.UserUpdate{Status: &suspended})
		require.NoError(t, err)
		f.refused("user_suspended")
		_, err = f.DeleteUser(f.Platform(), ann.ID, "")
		require.NoError(t, err)
		require.NotEqual(t, ann.ID, f.signIn().User.ID)
	})
}

func TestAnAccountFollowsTheProviderThatItWasMadeFor(t *testing.T) { // SSO-4
	eachSignOn(t, func(t *testing.T, f *signOn) {
		f.set()
		ann := f.signIn().User
		become := func(address, name string) orgs.User {
			t.Helper()
			f.says.Email, f.says.Name = address, name
			f.signIn()
			u := f.user(ann.ID)
			require.True(t, u.EmailVerified)
			return u
		}
		u := become("Ann.Lee@acme.example", "Ann Lee")
		require.Equal(t, "Ann.Lee@acme.example Ann Lee", u.Email+" "+u.Name)
		for _, address := range []string{"ann@other.example", "owner@acme.example", ""} { // of others, or somebody's
			require.Equal(t, "Ann.Lee@acme.example", become(address, "").Email)
		}
		require.Equal(t, "Ann Lee", become("ann@acme.example", "").Name)
		f.says.EmailVerified = false
		require.Equal(t, "ann@acme.example", become("ann.lee@acme.example", "").Email)
		f.says.EmailVerified = true
		other, _ := f.Org("other")
		f.Add(orgs.Place{OrgID: other.ID}, f.user(ann.ID), "member")
		require.Equal(t, "ann@acme.example", become("ann.lee@acme.example", "").Email, "she is elsewhere too")
		require.Contains(t, f.logged("user.updated"), ann.ID)
	})
}

// user is one as they are now.
func (f *signOn) user(id string) orgs.User {
	f.t.Helper()
	u, err := f.World.Manager.User(f.Platform(), id)
	require.NoError(f.t, err)
	return u
}

func TestWhomSCIMLetsGoIsNotSignedIn(t *testing.T) { // SSO-8, SSO-20, A25
	eachSignOn(t, func(t *testing.T, f *signOn) {
		f.in.Provisioning.Enabled = true
		f.set()
		scim := audit.WithActor(t.Context(), audit.Actor{Type: audit.SCIM, ID: "sct_1", OrgID: f.org.ID})
		person := orgs.Person{Email: "ann@acme.example", Name: "Ann"}
		var ann orgs.ProvisionedUser
		change := func(fn func(ctx context.Context, p *orgs.Provisioner) (audit.Change, error)) {
			t.Helper()
			require.NoError(t, f.Provision(scim, "scim.write", fn))
		}
		active := func(is bool) {
			t.Helper()
			change(func(ctx context.Context, p *orgs.Provisioner) (c audit.Change, err error) {
				before, err := p.User(ctx, ann.ID)
				if err != nil {
					return c, err
				}
				now := before
				now.Active = is
				ann, c, err = p.UpdateUser(ctx, before, now, person)
				return c, err
			})
		}
		change(func(ctx context.Context, p *orgs.Provisioner) (c audit.Change, err error) {
			ann, c, err = p.CreateUser(ctx, orgs.ProvisionedUser{UserName: "ann", UserNameKey: "ann", Active: true}, person)
			return c, err
		})
		first := f.signIn()
		require.Equal(t, ann.UserID, first.User.ID)
		active(false)
		_, err := f.Authenticate(t.Context(), first.Token)
		require.ErrorIs(t, err, orgs.ErrUnauthenticated)
		f.refused("membership_suspended")
		active(true)
		f.signIn()
		change(func(ctx context.Context, p *orgs.Provisioner) (audit.Change, error) { return p.DeleteUser(ctx, ann) })
		f.refused("membership_ended")
	})
}

func TestATransientSubjectIsKnownByItsAddress(t *testing.T) { // SSO-1
	eachSignOn(t, func(t *testing.T, f *signOn) {
		f.set()
		f.says.Transient, f.says.Subject = true, "_1"
		first := f.signIn()
		f.says.Subject = "_2"
		require.Equal(t, first.User.ID, f.signIn().User.ID)
		f.says.EmailVerified = false
		f.refused("email_unverified")
	})
}

func TestWhatWasSeenCountsOnce(t *testing.T) { // SAML-18, A5
	eachSignOn(t, func(t *testing.T, f *signOn) {
		f.set()
		f.says.Once = []orgs.Once{{Key: "assertion _1", Until: f.clock.Now().Add(5 * time.Minute)}}
		f.signIn()
		f.refused("replayed")
		f.says.Once[0].Key = "assertion _2"
		f.signIn()
		f.clock.Advance(6 * time.Minute)
		swept, err := f.Sweep(f.Platform())
		require.NoError(t, err)
		require.Equal(t, 2, swept.ProviderAnswers)
	})
}

func TestASessionEndsWithThatOfTheProvider(t *testing.T) { // SSO-17, A11
	eachSignOn(t, func(t *testing.T, f *signOn) {
		f.set()
		f.says.EndsAt = f.clock.Now().Add(10 * time.Minute)
		require.Equal(t, f.says.EndsAt, f.signIn().Session.ExpiresAt)
		f.clock.Advance(10 * time.Minute)
		f.refused("session_over")
	})
}

func TestATryKeepsNothingButTheProof(t *testing.T) { // F323, SSO-21
	eachSignOn(t, func(t *testing.T, f *signOn) {
		require.Equal(t, orgs.SSOUnproved, f.set().Status)
		before := f.people()
		out, err := f.TryAsserted(f.As(f.owner), f.says)
		require.NoError(t, err)
		require.True(t, out.Made && out.Joined)
		require.Empty(t, out.Token)
		require.Equal(t, before, f.people())
		s, err := f.SSO(f.Platform(), f.org.ID)
		require.NoError(t, err)
		require.Equal(t, orgs.SSOReady, s.Status)
		stranger := f.User("bob@acme.example")
		_, err = f.TryAsserted(f.As(stranger), f.says)
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

func TestCertificatesAreLookedAtWhenTheyAreWritten(t *testing.T) { // F179, F462
	f := newSignOn(t, storetest.Open(t, "memory", store.Options{}), storetest.NewClock(), nil)
	now := time.Now()
	f.in.Certificates = nil
	good := certificate(t, ecKey(t, elliptic.P384()), now.Add(-time.Hour), now.Add(time.Hour))
	block, _ := pem.Decode([]byte(good))
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	for name, certs := range map[string][]string{
		"one": {good}, "several in one": {good + "\n" + good}, "base64": {base64.StdEncoding.EncodeToString(block.Bytes)}, "two": {good, good},
	} {
		f.in.Certificates = certs
		s := f.set()
		require.NotEmpty(t, s.Certificates, name)
		require.Len(t, s.Certificates[0].Fingerprint, 64, name)
	}
	for name, certs := range map[string][]string{
		"none":          nil,
		"the seed's":    {"-----BEGIN CERTIFICATE-----\nMIID...\n-----END CERTIFICATE-----"},
		"empty":         {""},
		"a key":         {string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}))},
		"expired":       {certificate(t, ecKey(t, elliptic.P256()), now.Add(-2*time.Hour), now.Add(-time.Hour))},
		"not yet valid": {certificate(t, ecKey(t, elliptic.P256()), now.Add(time.Hour), now.Add(2*time.Hour))},
		"weak":          {certificate(t, weak, now.Add(-time.Hour), now.Add(time.Hour))},
		"P-224":         {certificate(t, ecKey(t, elliptic.P224()), now.Add(-time.Hour), now.Add(time.Hour))},
		"text behind":   {good + "and more"},
		"eleven":        {strings.Repeat(good, 11)},
	} {
		f.in.Certificates = certs
		_, _, err := f.SetSSO(f.Platform(), f.org.ID, f.in)
		var fault *store.FieldError
		require.ErrorAs(t, err, &fault, name)
		require.Equal(t, "settings.x509_cert", fault.Field, name)
	}
	f.in.Certificates, f.in.Enabled = nil, false
	require.Equal(t, orgs.SSODisabled, f.set().Status)
}

func TestOwnersAreWarnedOfACertificate(t *testing.T) { // F323, SSO-24
	eachSignOn(t, func(t *testing.T, f *signOn) {
		day := 24 * time.Hour
		now := f.clock.Now()
		f.in.Certificates = []string{certificate(t, ecKey(t, elliptic.P256()), now.Add(-day), now.Add(2*day)), certificate(t, ecKey(t, elliptic.P256()), now.Add(-day), now.Add(40*day))}
		f.set()
		f.told.Take()
		var days []int
		for range 41 {
			_, err := f.WarnOfCertificates(f.Platform())
			require.NoError(t, err)
			for _, n := range f.told.Take() {
				require.Equal(t, []string{f.owner.Email}, n.To)
				days = append(days, n.About.(orgs.CertificateExpiring).Days)
			}
			f.clock.Advance(day)
		}
		require.Equal(t, []int{30, 7, 1}, days, "of the last one, and once each")
		require.Contains(t, f.logged(orgs.KindCertificate), "not_after")
		_, err := f.WarnOfCertificates(f.As(f.owner))
		require.ErrorIs(t, err, rbac.ErrDenied)
	})
}
