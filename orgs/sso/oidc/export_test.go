package oidc

import (
	"context"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/orgkit/orgkit/orgs"
)

type fixed []jose.JSONWebKey

func (f fixed) keysOf(_ context.Context, id string) ([]jose.JSONWebKey, error) {
	if found := withID(f, id); len(found) > 0 {
		return found, nil
	}
	return nil, refused("unknown_key")
}

// Verify is verify by keys that are there, with what is asserted.
func Verify(raw string, keys []jose.JSONWebKey, c orgs.SSOConnection, f orgs.SSOFlow, now time.Time) (orgs.Asserted, error) {
	t, err := verify(context.Background(), fixed(keys), raw, "", c, f, now)
	if err != nil {
		return orgs.Asserted{}, err
	}
	return t.asserted(c), nil
}

// Nonce is that of a flow.
func Nonce(f orgs.SSOFlow) string { return nonceOf(f) }
