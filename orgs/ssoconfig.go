package orgs

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

// NewSSO is the input of [Manager.SetSSO]. Its fields are those of [SSO] and of [Provisioning].
type NewSSO struct {
	Provider     string
	Protocol     string // "" is SAML
	Enabled      bool
	URL          string
	Issuer       string
	Certificates []string // PEM, one or several in each, or bare base64
	ClientID     string
	Scopes       []string // nil is openid, email, profile
	Algs         []string // nil is RS256
	Attributes   Attributes
	MFAContexts  []string
	ForceAuthn   bool
	SignRequests bool // SAML only; the host has to have a key, see Options.SignsRequests
	Unsolicited  bool
	SkewSeconds  *int     // 0 to 180; nil is 60
	BreakGlass   []string // owners, by id or address; nil is the first one

	RoleMapping  map[string]string
	DefaultRole  string
	AllowedRoles []string
	Link         LinkPolicy
	// Provisioning is what of it is the provider's by SCIM; nil leaves that as it is, and so does anything its LocalEdits.
	Provisioning *NewProvisioning

	// Secrets are client_secret and scim_bearer_token. What is absent is kept, nil is removed. The token is one that works
	// beside those of [Manager.CreateSCIMToken].
	Secrets map[string]*seal.Secret
}

// Limits of a configuration.
const (
	maxSkew        = 180 // seconds
	defaultSkew    = 60
	maxAttribute   = 300
	maxSSOURL      = 2048
	maxIssuer      = 1024
	maxSSOEntries  = 20
	secretOfClient = "client_secret"
	secretOfSCIM   = "scim_bearer_token"
)

// ssoAlgs are what ID tokens may be signed by: no algorithm without a signature, and none with a key that is shared.
var ssoAlgs = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// SetSSO replaces how members of the organization sign in by its identity provider, with the roles of its groups, in one
// unit. It needs sso.update; nobody maps to a role what they do not hold. Errors name the field as the native dialect has it.
// Another issuer, or another place where people are sent, has to prove itself anew before passwords are refused for its sake.
func (m *Manager) SetSSO(ctx context.Context, org string, in NewSSO) (s SSOSettings, warnings []store.Warning, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return s, nil, err
	}
	err = m.Change(ctx, rbac.Op{Action: "sso.update", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		before, err := ssoConfigs.Lock(ctx, tx, orgID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return audit.Change{}, err
		}
		c, err := m.newSSO(ctx, tx, orgID, before, in)
		if err != nil {
			return audit.Change{}, err
		}
		if warnings, err = m.provisionSSO(ctx, tx, orgID, in); err != nil {
			return audit.Change{}, err
		}
		change := audit.Updated(before, &c)
		if before.Version == 0 {
			change = audit.Created(&c)
			err = ssoConfigs.Insert(ctx, tx, &c)
		} else {
			err = ssoConfigs.Update(ctx, tx, &c)
		}
		if err != nil {
			return audit.Change{}, err
		}
		s, err = m.ssoSettings(ctx, tx, c)
		return change.As("sso.updated"), err
	})
	return s, warnings, err
}

// newSSO checks the input, and makes the record of it.
func (m *Manager) newSSO(ctx context.Context, tx *store.Tx, orgID string, before SSO, in NewSSO) (c SSO, err error) {
	c = SSO{Meta: before.Meta, Provider: in.Provider, Protocol: in.Protocol, Enabled: in.Enabled, URL: in.URL, Issuer: in.Issuer, ClientID: in.ClientID,
		Scopes: in.Scopes, Algs: in.Algs, Attributes: in.Attributes, MFAContexts: in.MFAContexts, ForceAuthn: in.ForceAuthn, SignRequests: in.SignRequests, Unsolicited: in.Unsolicited, SkewSeconds: defaultSkew}
	c.ID = orgID
	if c.Protocol == "" {
		c.Protocol = ProtocolSAML
	}
	if in.SkewSeconds != nil {
		c.SkewSeconds = *in.SkewSeconds
	}
	if c.Certs, err = parseCertificates("settings.x509_cert", in.Certificates, tx.Now()); err != nil {
		return c, err
	}
	if err := m.validateSSO(&c); err != nil {
		return c, err
	}
	o, err := organizations.Get(ctx, tx, orgID)
	if err != nil {
		return c, err
	}
	if sec := o.Settings.Security; sec != nil && sec.SSOProvider != "" && sec.SSOProvider != c.Provider {
		return c, store.Invalid("provider", "conflict", "must be %s, which settings.security.sso_provider of the organization says", sec.SSOProvider)
	}
	if err := m.sealClient(tx.Now(), &c, before, in.Secrets); err != nil {
		return c, err
	}
	if c.BreakGlass, err = m.breakGlassOwners(ctx, tx, orgID, in.BreakGlass); err != nil {
		return c, err
	}
	if c.Protocol == before.Protocol && c.Issuer == before.Issuer && c.URL == before.URL && c.ClientID == before.ClientID {
		c.ProvedAt = before.ProvedAt
	}
	if slices.Equal(c.Certs, before.Certs) {
		c.Warned = before.Warned
	}
	return c, nil
}

func (m *Manager) validateSSO(c *SSO) error {
	if err := oneOf("provider", c.Provider, "okta", "azure", "google", "custom"); err != nil {
		return err
	}
	if err := oneOf("protocol", c.Protocol, ProtocolSAML, ProtocolOIDC); err != nil {
		return err
	}
	if c.SkewSeconds < 0 || c.SkewSeconds > maxSkew {
		return store.Invalid("settings.clock_skew_seconds", "range", "must be from 0 to %d", maxSkew)
	}
	for field, value := range map[string]string{"email": c.Attributes.Email, "name": c.Attributes.Name, "groups": c.Attributes.Groups} {
		if err := rbac.CheckText("settings.attribute_mapping."+field, value, 0, maxAttribute); err != nil {
			return err
		}
	}
	if err := checkEntries("settings.mfa_contexts", c.MFAContexts); err != nil {
		return err
	}
	if err := rbac.CheckText("settings.issuer", c.Issuer, 0, maxIssuer); err != nil {
		return err
	}
	if c.Enabled && c.Issuer == "" {
		return store.Invalid("settings.issuer", "required", "is required")
	}
	switch {
	case c.SignRequests && c.Protocol != ProtocolSAML:
		return store.Invalid("settings.sign_requests", "conflict", "is for %s", ProtocolSAML)
	case c.SignRequests && !m.opt.SignsRequests:
		return store.Invalid("settings.sign_requests", "unavailable", "cannot be: the host has no key to sign requests with")
	}
	if c.Protocol == ProtocolOIDC {
		return m.validateOIDC(c)
	}
	if c.ClientID != "" || c.Scopes != nil || c.Algs != nil {
		return store.Invalid("protocol", "enum", "must be %s for a client id, scopes or algorithms", ProtocolOIDC)
	}
	switch {
	case c.Enabled && c.URL == "":
		return store.Invalid("settings.sso_url", "required", "is required")
	case c.Enabled && len(c.Certs) == 0:
		return store.Invalid("settings.x509_cert", "required", "is required")
	case c.URL == "":
		return nil
	}
	return checkSSOURL("settings.sso_url", c.URL)
}

// checkSSOURL takes where browsers may be sent.
func checkSSOURL(field, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Opaque != "" || u.User != nil || strings.Contains(text, "#") || len(text) > maxSSOURL ||
		strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) {
		return store.Invalid(field, audit.URLCode, "must be an https URL without user name and fragment")
	}
	return nil
}

// multiTenant are issuers that speak for everybody: each tenant of theirs has one of its own.
var multiTenant = []string{"/common", "/organizations", "/consumers", "{"}

func (m *Manager) validateOIDC(c *SSO) error {
	if len(c.Certs) > 0 || c.URL != "" {
		return store.Invalid("protocol", "enum", "must be %s for certificates and an sso_url", ProtocolSAML)
	}
	if err := rbac.CheckText("settings.client_id", c.ClientID, 0, maxAttribute); err != nil {
		return err
	}
	if c.Enabled && c.ClientID == "" {
		return store.Invalid("settings.client_id", "required", "is required")
	}
	if c.Issuer != "" {
		if m.opt.URLs == nil {
			return store.Invalid("settings.issuer", audit.URLCode, "no identity provider can be called: the host has not set up how")
		}
		if err := m.opt.URLs.Check(c.Issuer); err != nil {
			return store.Invalid("settings.issuer", audit.URLCode, "%v", err)
		}
		if strings.Contains(c.Issuer, "?") || slices.ContainsFunc(multiTenant, func(part string) bool { return strings.Contains(c.Issuer, part) }) {
			return store.Invalid("settings.issuer", audit.URLCode, "must be the issuer of one tenant, without a query")
		}
	}
	if c.Scopes == nil {
		c.Scopes = []string{"openid", "email", "profile"}
	}
	if err := checkEntries("settings.scopes", c.Scopes); err != nil {
		return err
	}
	if !slices.Contains(c.Scopes, "openid") || slices.Contains(c.Scopes, "offline_access") {
		return store.Invalid("settings.scopes", "enum", "must have openid, and not offline_access")
	}
	if c.Algs == nil {
		c.Algs = []string{"RS256"}
	}
	if len(c.Algs) == 0 {
		return store.Invalid("settings.allowed_algs", "required", "must name an algorithm")
	}
	for i, alg := range c.Algs {
		if err := oneOf(fmt.Sprintf("settings.allowed_algs[%d]", i), alg, ssoAlgs...); err != nil {
			return err
		}
	}
	return nil
}

// checkEntries takes a short list of words without spaces.
func checkEntries(field string, entries []string) error {
	if len(entries) > maxSSOEntries {
		return store.Invalid(field, "range", "must have at most %d entries", maxSSOEntries)
	}
	for i, e := range entries {
		at := fmt.Sprintf("%s[%d]", field, i)
		if err := rbac.CheckText(at, e, 1, maxAttribute); err != nil {
			return err
		}
		if strings.ContainsFunc(e, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return store.Invalid(at, "pattern", "must be ASCII without spaces")
		}
	}
	return nil
}

// sealClient gives the configuration the secret that its client has from now on.
func (m *Manager) sealClient(now time.Time, c *SSO, before SSO, secrets map[string]*seal.Secret) error {
	const field = "settings." + secretOfClient
	secret, given := secrets[secretOfClient]
	switch {
	case given && secret == nil, !given && !before.Secret.IsSet():
		return nil
	case c.Protocol != ProtocolOIDC && given:
		return store.Invalid(field, "unknown", "is no secret of %s", c.Protocol)
	case c.Protocol != ProtocolOIDC:
		return nil
	case !given && (before.Issuer != c.Issuer || before.ClientID != c.ClientID):
		// Whoever may write the issuer could have the secret sent to themselves.
		return store.Invalid(field, "required", "must be given again, or removed by null, for another issuer or client")
	case !given:
		c.Secret, c.SecretAt = before.Secret, before.SecretAt
		return nil
	}
	if err := checkSecret(field, secret.Reveal()); err != nil {
		return err
	}
	if !m.opt.Seal.Ready() {
		return noSealingKey(field)
	}
	if was, err := m.opt.Seal.Open(before.Secret, c.secretPlace()); err == nil && was.Equal(*secret) {
		c.Secret, c.SecretAt = before.Secret, before.SecretAt
		return nil
	}
	sealed, err := m.opt.Seal.Seal(*secret, c.secretPlace())
	c.Secret, c.SecretAt = sealed, &now
	return err
}

// provisionSSO replaces what of the provisioning comes with the configuration.
func (m *Manager) provisionSSO(ctx context.Context, tx *store.Tx, orgID string, in NewSSO) ([]store.Warning, error) {
	before, err := provisioningOf(ctx, tx, orgID)
	if err != nil {
		return nil, err
	}
	next := NewProvisioning{Enabled: before.Enabled, BaseURL: before.BaseURL, AutoProvision: before.AutoProvision, SyncGroups: before.SyncGroups, LocalEdits: before.LocalEdits}
	if before.Version > 0 {
		next.AutoDeprovision = &before.AutoDeprovision
	}
	if p := in.Provisioning; p != nil {
		next = NewProvisioning{Enabled: p.Enabled, BaseURL: p.BaseURL, AutoProvision: p.AutoProvision, AutoDeprovision: p.AutoDeprovision, SyncGroups: p.SyncGroups, LocalEdits: before.LocalEdits}
	}
	next.RoleMapping, next.DefaultRole, next.AllowedRoles, next.Link = in.RoleMapping, in.DefaultRole, in.AllowedRoles, in.Link
	_, warnings, _, err := m.putProvisioning(ctx, tx, orgID, next)
	if err != nil {
		return nil, asSSO(err)
	}
	for i := range warnings {
		warnings[i].Field = "settings." + warnings[i].Field
	}
	return warnings, asSSO(m.setSSOToken(ctx, tx, orgID, in.Secrets))
}

// asSSO names the field of an error as a configuration of single sign-on has it.
func asSSO(err error) error {
	var fault *store.FieldError
	if !errors.As(err, &fault) {
		return err
	}
	at := "settings."
	if fault.Field == "scim_base_url" || fault.Field == secretOfSCIM {
		at = "provisioning."
	}
	return store.Invalid(at+fault.Field, fault.Code, "%s", fault.Message)
}
