package orgs

import (
	"time"

	"github.com/orgkit/orgkit/audit"
)

// SSOFlow is a sign-in by an identity provider that a browser has begun. The provider sends the browser back with the
// handle; the rest only that browser has, sealed.
type SSOFlow struct {
	// Handle is random, of at most 80 bytes, and travels by the provider: state of OIDC, RelayState of SAML. It is
	// an NCName behind any letter or underscore.
	Handle string `json:"h"`
	// Secret is random, and never leaves the host in clear: what a nonce and a code verifier are made of.
	Secret    string    `json:"s"`
	StartedAt time.Time `json:"t"`
	ReturnTo  string    `json:"r"` // a path of the host's own

	// Tester is who tries the configuration, nil for who signs in.
	Tester *audit.Actor `json:"a,omitempty"`

	// Base is the URL of the organization's routes, which the host's configuration says: that of SAML's metadata and ACS, and
	// of OIDC's callback, begin with it.
	Base string `json:"-"`
}

// SSOFlowFor is how long the person may take at the identity provider.
const SSOFlowFor = 10 * time.Minute
