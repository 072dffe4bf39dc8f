package signin_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/signin"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// single configures single sign-on of the organization.
func (w *world) single(change func(in *orgs.NewSSO)) orgs.SSOSettings {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(w.t, err)
	now := w.clock.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, 90)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(w.t, err)
	in := orgs.NewSSO{Provider: "okta", Enabled: true, URL: "https://acme.okta.com/sso", Issuer: "okta-1",
		Certificates: []string{string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}}
	if change != nil {
		change(&in)
	}
	s, _, err := w.SetSSO(w.Platform(), w.org.ID, in)
	require.NoError(w.t, err)
	return s
}

// demand sets sso_enabled.
func (w *world) demand(is bool) {
	w.t.Helper()
	settings := orgs.OrgSettings{Security: &orgs.SecuritySettings{SSOEnabled: is, SSOProvider: "okta"}}
	_, err := w.UpdateOrganization(w.Platform(), w.org.ID, orgs.OrganizationUpdate{Settings: &settings})
	require.NoError(w.t, err)
}

func (w *world) byProvider(u orgs.User) orgs.AssertedSignIn {
	w.t.Helper()
	out, err := w.SignInAsserted(w.t.Context(), orgs.Asserted{OrgID: w.org.ID, Issuer: "okta-1", Subject: u.ID, Email: u.Email, EmailVerified: true}, time.Hour)
	require.NoError(w.t, err)
	return out
}

// tries signs in by password and wants an answer, "" for a session.
func (w *world) tries(u orgs.User, code string) signin.SignedIn {
	w.t.Helper()
	out, err := w.Service.SignIn(w.t.Context(), signin.Credentials{Email: u.Email, Password: password})
	if code == "" {
		require.NoError(w.t, err)
		return out
	}
	var denied *rbac.Denied
	require.ErrorAs(w.t, err, &denied)
	require.Equal(w.t, code, denied.Code)
	return out
}

func TestPasswordsAreRefusedOnceSingleSignOnIsInForce(t *testing.T) { // F028, F323, SSO-21, A27
	each(t, func(t *testing.T, w *world) {
		status := func(want orgs.SSOStatus) {
			t.Helper()
			f, err := w.OrganizationFigures(w.Platform(), w.org.ID)
			require.NoError(t, err)
			require.Equal(t, want, f.SSO)
		}
		require.NoError(t, w.SetPassword(w.Platform(), w.owner.ID, password))
		_, err := w.SetVerifiedDomains(w.Platform(), w.org.ID, "acme.example")
		require.NoError(t, err)

		w.demand(true) // before there is anything to sign in by
		status(orgs.SSONotConfigured)
		w.tries(w.user, "")
		w.single(func(in *orgs.NewSSO) { in.Enabled = false })
		status(orgs.SSODisabled)
		w.tries(w.user, "")
		w.single(nil)
		status(orgs.SSOUnproved)
		w.tries(w.user, "")
		w.byProvider(w.user)
		status(orgs.SSOEnforced)
		w.tries(w.user, "sso_required")
		w.byProvider(w.user)

		// The owner may, with a second factor, and everybody hears of it.
		w.tries(w.owner, "mfa_required")
		w.demand(false)
		status(orgs.SSOReady)
		w.tries(w.user, "")
		ctx := w.in(w.tries(w.owner, "").Token, home)
		enrolled, err := w.Enrol(ctx)
		require.NoError(t, err)
		_, err = w.ConfirmMFA(ctx, w.code(enrolled.Secret))
		require.NoError(t, err)
		w.demand(true)
		w.mails.Take()
		w.clock.Advance(time.Minute)
		pending := w.tries(w.owner, "")
		require.True(t, pending.Session.Pending)
		require.Empty(t, w.mails.Take())
		_, _, err = w.Service.VerifyMFA(w.in(pending.Token, home), signin.Proof{Code: w.code(enrolled.Secret)})
		require.NoError(t, err)
		told := w.mails.Take()
		require.Len(t, told, 1)
		require.Equal(t, orgs.KindBreakGlass, told[0].Kind)
		require.Equal(t, []string{w.owner.Email}, told[0].To)
		page, err := w.AuditLog(w.Platform(), w.org.ID, audit.Filter{Types: []string{orgs.KindBreakGlass}})
		require.NoError(t, err)
		require.Len(t, page.Items, 1)

		// A second owner is not among those who may, unless the configuration names them; then the first one is not.
		second := w.User("second@acme.example")
		w.Add(orgs.Place{OrgID: w.org.ID}, second, "org_admin")
		require.NoError(t, w.SetPassword(w.Platform(), second.ID, password))
		w.tries(second, "sso_required")
		s := w.single(func(in *orgs.NewSSO) { in.BreakGlass = []string{second.Email} })
		require.Equal(t, []string{second.ID}, s.BreakGlass)
		w.tries(second, "mfa_required")
		w.tries(w.owner, "sso_required")
		_, err = w.RemoveMember(w.Platform(), orgs.Place{OrgID: w.org.ID}, second.ID, orgs.MemberRemoval{})
		require.NoError(t, err)
		w.tries(w.owner, "") // never none

		// A certificate that has expired does not give passwords back; another provider, or none, does.
		w.clock.Advance(100 * 24 * time.Hour)
		w.tries(w.user, "sso_required")
		w.single(func(in *orgs.NewSSO) { in.URL = "https://other.okta.com/sso" })
		status(orgs.SSOUnproved)
		w.tries(w.user, "")
		w.byProvider(w.user)
		w.tries(w.user, "sso_required")
		_, err = w.DeleteSSO(w.Platform(), w.org.ID)
		require.NoError(t, err)
		w.tries(w.user, "")
	})
}

func TestAPendingSessionDoesNotOutliveTheRule(t *testing.T) { // F323
	w := onMemory(t, nil)
	_, err := w.SetVerifiedDomains(w.Platform(), w.org.ID, "acme.example")
	require.NoError(t, err)
	ctx := w.in(w.tries(w.user, "").Token, home)
	enrolled, err := w.Enrol(ctx)
	require.NoError(t, err)
	_, err = w.ConfirmMFA(ctx, w.code(enrolled.Secret))
	require.NoError(t, err)
	w.clock.Advance(time.Minute)
	pending := w.tries(w.user, "")
	w.single(nil)
	w.demand(true)
	w.byProvider(w.user)
	_, _, err = w.Service.VerifyMFA(w.in(pending.Token, home), signin.Proof{Code: w.code(enrolled.Secret)})
	var denied *rbac.Denied
	require.ErrorAs(t, err, &denied)
	require.Equal(t, "sso_required", denied.Code)
}

func TestAHostCanEnforceImmediately(t *testing.T) { // F323
	clock := storetest.NewClock()
	s := storetest.Open(t, "memory", store.Options{Now: clock.Now})
	w := newWorld(t, s, clock, nil)
	w.single(nil)
	w.demand(true)
	w.tries(w.user, "")
	m, err := orgs.New(s, &orgs.Options{Seal: w.seal, EnforceSSOImmediately: true})
	require.NoError(t, err)
	defer m.Close()
	require.NoError(t, s.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		rule, err := m.PasswordRuleOf(ctx, tx, w.user.ID)
		require.Equal(t, w.org.ID, rule.RefusedBy)
		return err
	}))
}
