package orgs

import (
	"context"
	"errors"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

// The protocols of single sign-on.
const (
	ProtocolSAML = "saml"
	ProtocolOIDC = "oidc"
)

// SSO is the identity provider by which members of an organization sign in. Who may become a member by it, and what they
// are given, is in its [Provisioning].
type SSO struct {
	store.Meta               // the id of the organization
	Provider     string      `json:"provider"` // okta, azure, google or custom
	Protocol     string      `json:"protocol"` // saml or oidc
	Enabled      bool        `json:"enabled"`  // else nobody signs in by it
	URL          string      `json:"sso_url"`  // SAML: where browsers are sent; we never call it
	Issuer       string      `json:"issuer"`   // SAML: the entity id; OIDC: the issuer; compared byte for byte
	Certs        []string    `json:"x509_cert"`
	ClientID     string      `json:"client_id"`
	Secret       seal.Sealed `json:"-"` // of the client
	SecretAt     *time.Time  `json:"client_secret_updated_at"`
	Scopes       []string    `json:"scopes"`
	Algs         []string    `json:"allowed_algs"`
	Attributes   Attributes  `json:"attribute_mapping"`
	MFAContexts  []string    `json:"mfa_contexts"` // values of acr, or classes of SAML contexts, that mean a second factor
	ForceAuthn   bool        `json:"force_authn"`
	SignRequests bool        `json:"sign_requests"` // SAML: by the key of the host
	Unsolicited  bool        `json:"allow_idp_initiated"`
	SkewSeconds  int         `json:"clock_skew_seconds"`
	BreakGlass   []string    `json:"break_glass"` // ids of owners who may always sign in by password and second factor

	// ProvedAt is when somebody first signed in by it as it is now: before, no password is refused for its sake.
	ProvedAt *time.Time `json:"proved_at"`
	Warned   int        `json:"-"` // at how many days before the end of its last certificate; 0 for not at all
}

// Attributes are the names by which an identity provider tells what it knows of a person; "" is what is usual.
type Attributes struct {
	Email  string `json:"email"`
	Name   string `json:"name"`
	Groups string `json:"groups"`
}

var ssoConfigs = store.Define[SSO]("sso_configs", "org")

// AuditResource is how the log names the configuration: by the organization.
func (s SSO) AuditResource() audit.Resource { return audit.Resource{Type: "sso", ID: s.ID} }

// Skew is by how much the clocks of the identity provider and of the host may differ.
func (s SSO) Skew() time.Duration { return time.Duration(s.SkewSeconds) * time.Second }

// secretPlace is what the secret of the client is sealed for.
func (s SSO) secretPlace() seal.Place { return seal.Place{OrgID: s.ID, Field: "sso.client_secret"} }

// SSOStatus says how far single sign-on is in force.
type SSOStatus string

// The states of single sign-on, each further than the one before. Only the last one refuses passwords.
const (
	SSONotConfigured SSOStatus = "not_configured" // or by another provider than sso_provider says
	SSODisabled      SSOStatus = "disabled"       // kept, and nobody signs in by it
	SSOUnproved      SSOStatus = "unproved"       // nobody has signed in by it yet
	SSOReady         SSOStatus = "ready"          // sso_enabled is not set
	SSOEnforced      SSOStatus = "enforced"
)

// SSOSettings are a configuration with all that belongs to it.
type SSOSettings struct {
	SSO
	Status       SSOStatus
	Certificates []Certificate
	Provisioning ProvisioningSettings
	// SCIMTokenAt is when the token of the identity provider was set with the configuration; nil without one.
	SCIMTokenAt *time.Time
}

// SSO returns how members of the organization sign in by its identity provider. It needs sso.read. store.ErrNotFound: there
// is no configuration.
func (m *Manager) SSO(ctx context.Context, org string) (s SSOSettings, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return s, err
	}
	err = m.Read(ctx, rbac.Op{Action: "sso.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) error {
		c, err := ssoConfigs.Get(ctx, tx, orgID)
		if err != nil {
			return err
		}
		s, err = m.ssoSettings(ctx, tx, c)
		return err
	})
	return s, err
}

func (m *Manager) ssoSettings(ctx context.Context, tx *store.Tx, c SSO) (s SSOSettings, err error) {
	s.SSO, s.Certificates = c, c.certificates()
	if s.Status, err = m.ssoStatus(ctx, tx, c.ID); err != nil {
		return s, err
	}
	p, err := provisioningOf(ctx, tx, c.ID)
	if err != nil {
		return s, err
	}
	if s.Provisioning, err = p.settings(ctx, tx); err != nil {
		return s, err
	}
	t, _, err := ssoTokens(ctx, tx, c.ID)
	if t != nil {
		s.SCIMTokenAt = &t.CreatedAt
	}
	return s, err
}

// ssoStatus is that of an organization.
func (m *Manager) ssoStatus(ctx context.Context, tx *store.Tx, orgID string) (SSOStatus, error) {
	c, err := ssoConfigs.Get(ctx, tx, orgID)
	if errors.Is(err, store.ErrNotFound) {
		return SSONotConfigured, nil
	} else if err != nil {
		return "", err
	}
	o, err := organizations.Get(ctx, tx, orgID)
	if err != nil {
		return "", err
	}
	sec := SecuritySettings{}
	if o.Settings.Security != nil {
		sec = *o.Settings.Security
	}
	switch {
	case sec.SSOProvider != "" && sec.SSOProvider != c.Provider:
		return SSONotConfigured, nil
	case !c.Enabled:
		return SSODisabled, nil
	case c.ProvedAt == nil && !m.opt.EnforceSSOImmediately:
		return SSOUnproved, nil
	case !sec.SSOEnabled:
		return SSOReady, nil
	}
	return SSOEnforced, nil
}

// DeleteSSO ends sign-ins by the identity provider, and with that that passwords are refused. Whom it knows as whom is
// kept, for a configuration of the same issuer. It needs sso.update.
func (m *Manager) DeleteSSO(ctx context.Context, org string) (s SSO, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return s, err
	}
	err = m.Change(ctx, rbac.Op{Action: "sso.update", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		if s, err = ssoConfigs.Lock(ctx, tx, orgID); err != nil {
			return audit.Change{}, err
		}
		return audit.Deleted(s), ssoConfigs.Delete(ctx, tx, orgID)
	})
	return s, err
}

// SSOSigns says whether requests to the identity provider of an organization are signed, enabled or not. It asks nobody, as
// [Manager.SSOConnection].
func (m *Manager) SSOSigns(ctx context.Context, orgID string) (signs bool, err error) {
	err = m.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		c, err := ssoConfigs.Get(ctx, tx, orgID)
		if signs = c.SignRequests; errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	return signs, err
}

// SSOConnection is a configuration with its secret, for who signs people in by it.
type SSOConnection struct {
	SSO
	Slug         string // of the organization
	ClientSecret seal.Secret
}

// SSOConnection returns the enabled configuration of an organization, by its id or slug. It asks nobody, and is for the
// packages of the protocols. store.ErrNotFound: nobody signs in there by an identity provider.
func (m *Manager) SSOConnection(ctx context.Context, org string) (c SSOConnection, err error) {
	if store.PlainText(org, 300) != org {
		return c, store.ErrNotFound
	}
	err = m.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		o, err := findOrganization(ctx, tx, org)
		if err != nil {
			return err
		}
		if gone, err := isGone(ctx, tx, o.ID); err != nil {
			return err
		} else if gone {
			return store.ErrNotFound
		}
		c.Slug = o.Slug
		if c.SSO, err = ssoConfigs.Get(ctx, tx, o.ID); err == nil && !c.Enabled {
			err = store.ErrNotFound
		}
		return err
	})
	if err != nil || !c.Secret.IsSet() {
		return c, err
	}
	c.ClientSecret, err = m.opt.Seal.Open(c.Secret, c.secretPlace())
	return c, err
}
