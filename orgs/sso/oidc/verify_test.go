package oidc_test

import (
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/sso/oidc"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestATokenWithoutAFlow is about ID tokens that somebody brings along.
func TestATokenWithoutAFlow(t *testing.T) { // F416
	clock := storetest.NewClock()
	p := newProvider(t, clock.Now)
	guard, err := outbound.New(&outbound.Options{Allow: []string{"127.0.0.1"}})
	require.NoError(t, err)
	protocol := oidc.New(clock.Now, guard)
	var c orgs.SSOConnection
	c.ID, c.Issuer, c.ClientID, c.Algs = "platform", p.URL, clientID, []string{"RS256"}

	claims := func(change object) object {
		all := object{"iss": p.URL, "aud": clientID, "sub": "sub-1", "exp": clock.Now().Add(5 * time.Minute).Unix(), "iat": clock.Now().Unix(),
			"email": "ann@acme.example", "email_verified": true, "name": "Ann", "groups": []string{"a", "b"}, "nonce": "of another client's flow", "at_hash": "of its access token"}
		for name, v := range change {
			if all[name] = v; v == nil {
				delete(all, name)
			}
		}
		return all
	}
	verify := func(change object) (orgs.Asserted, error) {
		return protocol.Verify(t.Context(), c, sign1(t, jose.RS256, p.key, object{"kid": "k1"}, claims(change)))
	}
	in, err := verify(nil)
	require.NoError(t, err)
	require.Equal(t, []any{p.URL, "sub-1", "ann@acme.example", true, "Ann", []string{"a", "b"}}, []any{in.Issuer, in.Subject, in.Email, in.EmailVerified, in.Name, in.Groups})
	require.Len(t, in.Once, 1, "it counts once")
	require.False(t, in.Once[0].Until.Before(clock.Now().Add(5*time.Minute)), "for as long as it would be good")

	for why, change := range map[string]object{
		"bad_token":       {"iss": "https://other.example"},
		"other_party":     {"azp": "other"},
		"bad_subject":     {"sub": ""},
		"no_times":        {"iat": nil},
		"expired":         {"exp": clock.Now().Add(-time.Hour).Unix()},
		"from_the_future": {"iat": clock.Now().Add(time.Hour).Unix()},
		"too_old":         {"iat": clock.Now().Add(-time.Hour).Unix()},
		"other_audience":  {"aud": []string{clientID, "other"}},
	} {
		_, err := verify(change)
		var refused *orgs.SSORefused
		require.ErrorAs(t, err, &refused, why)
		require.Equal(t, why, refused.Code)
	}
	var refused *orgs.SSORefused
	_, err = protocol.Verify(t.Context(), c, sign1(t, jose.RS256, rsaKey(t), object{"kid": "k1"}, claims(nil)))
	require.ErrorAs(t, err, &refused)
	_, err = protocol.Verify(t.Context(), c, unsigned(t, claims(nil)))
	require.ErrorAs(t, err, &refused)
	c.Algs = nil
	_, err = verify(nil)
	require.ErrorAs(t, err, &refused, "no algorithm is good that nobody has named")
}
