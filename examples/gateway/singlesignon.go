package main

import (
	"crypto"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/orgs/httpapi/sessions"
	"github.com/orgkit/orgkit/orgs/sso"
	"github.com/orgkit/orgkit/orgs/sso/oidc"
	"github.com/orgkit/orgkit/orgs/sso/saml"
)

// singleSignOn serves browsers that sign in by the identity provider of an organization.
func singleSignOn(p parts, o options, trusted []netip.Prefix, log *slog.Logger) (http.Handler, error) {
	auth, err := sessions.Cookie(p.Manager, httpapi.Bearer(p.Manager, o.adminKey))
	if err != nil {
		return nil, err
	}
	assertions, err := saml.New(p.Store().Now, &saml.Options{Signer: p.signer})
	if err != nil {
		return nil, err
	}
	return sso.New(p.Manager, &sso.Options{URL: o.url + "/sso", Seal: p.sealer, Protocols: []sso.Protocol{assertions, oidc.New(p.Store().Now, p.guard)},
		Authenticate: auth, Guard: p.guard, TrustedProxies: trusted, Logger: log})
}

// readSigner reads who signs requests, nil of no file.
func readSigner(file string) (*saml.Signer, error) {
	if file == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		return nil, fmt.Errorf("-saml-key: %w", err)
	}
	key, _ := pair.PrivateKey.(crypto.Signer)
	s := &saml.Signer{Key: key, Certificate: pair.Leaf}
	return s, s.Validate()
}

// pathOf is the path of -url.
func pathOf(public string) string {
	u, err := url.Parse(public)
	if err != nil {
		return ""
	}
	return u.Path
}

// below serves the paths that are below that of -url too, for proxies that hand them on as they are.
func below(public string, h http.Handler) http.Handler {
	path := pathOf(public)
	if path == "" {
		return h
	}
	stripped := http.StripPrefix(path, h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, path+"/") {
			stripped.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// above puts the path of -url before those of requests again, for a handler that knows where it is.
func above(public string, h http.Handler) http.Handler {
	path := pathOf(public)
	if path == "" {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r2 := r.Clone(r.Context())
		r2.URL.Path = path + r.URL.Path
		if r.URL.RawPath != "" {
			r2.URL.RawPath = path + r.URL.RawPath
		}
		h.ServeHTTP(w, r2)
	})
}
