// Package oidc is OpenID Connect for package orgs/sso: the authorization code flow with PKCE (RFC 7636), against the provider
// of an organization.
//
//	guard, err := outbound.New(nil)
//	handler, err := sso.New(m, &sso.Options{Protocols: []sso.Protocol{oidc.New(m.Store().Now, guard)}, …})
//
// The provider is found by its issuer (OpenID Connect Discovery 1.0 §4), and called by package store/jobs/outbound alone: the
// issuer is a URL that a tenant has written, and what it names are others. Redirects are not followed.
//
// # What an ID token has to be
//
// Signed by a key of the provider (never one that the token brings along), with an algorithm of the configuration, of which
// none is without signature or with a shared key; by the exact issuer, for this client alone; not expired, not older than
// [MaxAge], not from the future; with the nonce of the flow. go-oidc verifies the signature, and the rest of what
// its documentation leaves to its callers is here.
//
// Claims that other servers are said to know (_claim_sources) are never asked for: groups that are not in the token are
// unknown. No token of the provider is kept, and none is in any error.
//
// # What is left out
//
// The implicit and the hybrid flow, encrypted ID tokens, and logout: a session ends here by itself, by whoever signs out here, and
// at once when SCIM or an administrator ends the membership, not by what ends at the provider.
package oidc

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store/jobs/outbound"
)

// Protocol is OpenID Connect. It is safe for concurrent use.
type Protocol struct {
	now       func() time.Time
	guard     *outbound.Guard
	documents *outbound.Client
	keys      *outbound.Client

	mu        sync.Mutex
	providers map[string]*provider // by organization
}

// callFor is how long one call of a provider may take.
const callFor = 5 * time.Second

// maxKeys is the most bytes of a key set.
const maxKeys = 256 << 10

// New returns the protocol. now is the clock of the host, such as that of its store; the guard says what may be called.
func New(now func() time.Time, guard *outbound.Guard) *Protocol {
	limits := outbound.Limits{Connect: callFor, Handshake: callFor, Headers: callFor, Total: callFor}
	documents := guard.Client(&limits)
	limits.BodyBytes = maxKeys
	return &Protocol{now: now, guard: guard, documents: documents, keys: guard.Client(&limits), providers: map[string]*provider{}}
}

// Name is that of configurations of the protocol.
func (p *Protocol) Name() string { return orgs.ProtocolOIDC }

// callback is where providers send browsers.
const callback = "/oidc/callback"

// Answer is how a provider answers: see sso.Protocol.
func (p *Protocol) Answer() (method, path, handle string) { return "GET", callback, "state" }

// provider is that of a configuration; another issuer is another one.
func (p *Protocol) provider(c orgs.SSOConnection) *provider {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.providers[c.ID]
	if known == nil || known.issuer != c.Issuer {
		known = &provider{p: p, issuer: c.Issuer}
		p.providers[c.ID] = known
	}
	return known
}

// client is the host at the provider.
func client(c orgs.SSOConnection, d document, base string) *oauth2.Config {
	return &oauth2.Config{ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), RedirectURL: base + callback, Scopes: c.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: d.Authorization, TokenURL: d.Token, AuthStyle: d.style(c.ClientSecret.IsZero())}}
}

// Start returns the URL of the authorization request.
func (p *Protocol) Start(ctx context.Context, c orgs.SSOConnection, f orgs.SSOFlow) (string, error) {
	d, err := p.provider(c).discover(ctx)
	if err != nil {
		return "", err
	}
	more := []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("nonce", nonceOf(f)), oauth2.S256ChallengeOption(f.Secret)}
	if c.ForceAuthn {
		more = append(more, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	return client(c, d, f.Base).AuthCodeURL(f.Handle, more...), nil
}

// Finish takes the code, and verifies what it is exchanged for.
func (p *Protocol) Finish(ctx context.Context, c orgs.SSOConnection, f orgs.SSOFlow, answer url.Values) (in orgs.Asserted, err error) {
	if f.Handle == "" {
		return in, refused("unknown_flow") // there is nothing here that nobody has asked for
	}
	pr := p.provider(c)
	d, err := pr.discover(ctx)
	if err != nil {
		return in, err
	}
	iss := answer.Get("iss") // RFC 9207
	switch {
	case iss != "" && iss != c.Issuer, iss == "" && d.SaysIssuer:
		return in, refused("other_issuer")
	case answer.Get("error") != "":
		return in, refused("provider_refused")
	case answer.Get("code") == "":
		return in, refused("no_code")
	}
	token, err := p.exchange(ctx, client(c, d, f.Base), answer.Get("code"), f.Secret)
	if err != nil {
		return in, err
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return in, refused("no_id_token")
	}
	t, err := verify(ctx, pr, raw, token.AccessToken, c, f, p.now())
	if err != nil {
		return in, err
	}
	if t.lacks(c) && d.UserInfo != "" {
		if err := p.userInfo(ctx, d.UserInfo, token, t); err != nil {
			return in, err
		}
	}
	return t.asserted(c), nil
}

// Verify verifies an ID token that somebody brings along without a flow, such as one that another client of theirs has got for
// this one: it has no nonce, and counts once instead. It is for hosts whose provider is nobody's organization; of the connection
// its ID tells their providers apart, and may be anything.
func (p *Protocol) Verify(ctx context.Context, c orgs.SSOConnection, raw string) (in orgs.Asserted, err error) {
	t, err := verify(ctx, p.provider(c), raw, "", c, orgs.SSOFlow{}, p.now())
	if err != nil {
		return in, err
	}
	in = t.asserted(c)
	in.Once = []orgs.Once{{Key: "id token " + raw, Until: at(*t.expiry).Add(c.Skew())}}
	return in, nil
}

// exchange exchanges a code, once. What the provider says to an error is in no error of ours.
func (p *Protocol) exchange(ctx context.Context, c *oauth2.Config, code, verifier string) (*oauth2.Token, error) {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, p.documents.HTTP())
	token, err := c.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	var said *oauth2.RetrieveError
	switch {
	case err == nil:
		return token, nil
	case errors.As(err, &said):
		return nil, refused("code_refused")
	}
	return nil, refused("token_endpoint_failed")
}

func refused(code string) error { return &orgs.SSORefused{Code: code} }
