package main

import (
	"log/slog"
	"net/http"
	"net/netip"

	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/orgs/sso"
	"github.com/orgkit/orgkit/orgs/sso/oidc"
	"github.com/orgkit/orgkit/orgs/sso/saml"
)

// ssoPath is where browsers sign in by the identity provider of their organization, below -url.
const ssoPath = "/sso"

// ssoHandler signs people in by both protocols. It needs a key to seal what browsers keep.
func ssoHandler(p parts, o options, auth httpapi.Authenticate, trusted []netip.Prefix, log *slog.Logger) (http.Handler, error) {
	bySAML, err := saml.New(p.Store().Now, nil)
	if err != nil {
		return nil, err
	}
	return sso.New(p.Manager, &sso.Options{URL: o.url + ssoPath, Seal: p.sealer, Protocols: []sso.Protocol{bySAML, oidc.New(p.Store().Now, p.guard)},
		Authenticate: auth, TrustedProxies: trusted, Logger: log})
}
