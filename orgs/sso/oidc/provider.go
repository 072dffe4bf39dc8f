package oidc

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"github.com/orgkit/orgkit/store/jobs/outbound"
)

// How long what a provider says of itself is kept.
const (
	documentFor = 24 * time.Hour
	keysFor     = time.Hour
	retryAfter  = time.Minute // after a failure, and for a key that is not there
)

// document is what a provider says of itself.
type document struct {
	Issuer        string   `json:"issuer"`
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Keys          string   `json:"jwks_uri"`
	UserInfo      string   `json:"userinfo_endpoint"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	SaysIssuer    bool     `json:"authorization_response_iss_parameter_supported"`
}

// style is how the client proves itself: by HTTP Basic, where the provider does not say that it wants it in another way.
func (d document) style(public bool) oauth2.AuthStyle {
	if public || len(d.AuthMethods) > 0 && !slices.Contains(d.AuthMethods, "client_secret_basic") && slices.Contains(d.AuthMethods, "client_secret_post") {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}

// provider keeps what a provider says of itself. Whoever needs it at the same time waits for one call.
type provider struct {
	p      *Protocol
	issuer string

	mu         sync.Mutex
	document   document
	documentAt time.Time // zero: there is none yet
	failedAt   time.Time
	keys       []jose.JSONWebKey
	keysAt     time.Time
	askedAt    time.Time // for keys
}

// discover returns the document. The last good one is better than none.
func (pr *provider) discover(ctx context.Context) (document, error) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	now := pr.p.now()
	if !pr.documentAt.IsZero() && now.Sub(pr.documentAt) < documentFor {
		return pr.document, nil
	}
	if pr.failedAt.IsZero() || now.Sub(pr.failedAt) >= retryAfter {
		d, err := pr.fetchDocument(ctx)
		if err == nil {
			pr.document, pr.documentAt, pr.failedAt = d, now, time.Time{}
			return d, nil
		}
		if pr.failedAt = now; pr.documentAt.IsZero() {
			return d, err
		}
	}
	if pr.documentAt.IsZero() {
		return document{}, refused("discovery_failed")
	}
	return pr.document, nil
}

func (pr *provider) fetchDocument(ctx context.Context) (d document, err error) {
	// OpenID Connect Discovery 1.0 §4.1: a slash at the end of the issuer is not doubled.
	if err := get(ctx, pr.p.documents, strings.TrimSuffix(pr.issuer, "/")+"/.well-known/openid-configuration", "", &d); err != nil {
		return d, refused("discovery_failed")
	}
	if d.Issuer != pr.issuer {
		return d, refused("discovery_issuer")
	}
	for _, u := range []string{d.Authorization, d.Token, d.Keys} {
		if pr.p.guard.Check(u) != nil {
			return d, refused("discovery_endpoint")
		}
	}
	if d.UserInfo != "" && pr.p.guard.Check(d.UserInfo) != nil {
		return d, refused("discovery_endpoint")
	}
	return d, nil
}

// keysOf are the keys that may have signed with that id, all of them without one. An id that is not known is asked for once
// in a while: whoever makes ids up must not have us call as often as they like.
func (pr *provider) keysOf(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	d, err := pr.discover(ctx)
	if err != nil {
		return nil, err
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	now := pr.p.now()
	if !pr.keysAt.IsZero() && now.Sub(pr.keysAt) >= documentFor { // the provider has been silent for too long
		pr.keys = nil
	}
	found := withID(pr.keys, id)
	stale := pr.keysAt.IsZero() || now.Sub(pr.keysAt) >= keysFor
	if (stale || len(found) == 0) && (pr.askedAt.IsZero() || now.Sub(pr.askedAt) >= retryAfter) {
		pr.askedAt = now
		var set struct {
			Keys []json.RawMessage `json:"keys"`
		}
		if err := get(ctx, pr.p.keys, d.Keys, "", &set); err == nil {
			pr.keys, pr.keysAt = publicKeys(set.Keys), now
			found = withID(pr.keys, id)
		}
	}
	if len(found) == 0 {
		return nil, refused("unknown_key")
	}
	return found, nil
}

// maxKeySet is how many keys of a set are looked at.
const maxKeySet = 50

// publicKeys are the keys that verify signatures. What cannot be read, or is no public key, is none.
func publicKeys(raw []json.RawMessage) (keys []jose.JSONWebKey) {
	for _, one := range raw[:min(len(raw), maxKeySet)] {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(one) == nil && k.Valid() && k.IsPublic() && (k.Use == "" || k.Use == "sig") {
			keys = append(keys, k)
		}
	}
	return keys
}

func withID(keys []jose.JSONWebKey, id string) (found []jose.JSONWebKey) {
	for _, k := range keys {
		if id == "" || k.KeyID == id {
			found = append(found, k)
		}
	}
	return found
}

// get reads a JSON document.
func get(ctx context.Context, c *outbound.Client, from, bearer string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return refused("status")
	}
	return json.Unmarshal(body, into)
}
