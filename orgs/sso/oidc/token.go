package oidc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"github.com/orgkit/orgkit/orgs"
)

// MaxAge is how old an ID token may be.
const MaxAge = 10 * time.Minute

// maxToken is the most bytes of an ID token.
const maxToken = 64 << 10

// nonceOf is the nonce of a flow. It tells nothing of the code verifier.
func nonceOf(f orgs.SSOFlow) string {
	sum := sha256.Sum256([]byte("nonce " + f.Secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// keySource has the keys that may have signed with an id.
type keySource interface {
	keysOf(ctx context.Context, id string) ([]jose.JSONWebKey, error)
}

// keySet verifies a signature for go-oidc.
type keySet struct {
	from keySource
	algs []jose.SignatureAlgorithm
	err  error // of the source
}

// VerifySignature verifies by the keys of the source alone, whatever the header brings along.
func (s *keySet) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(jwt, s.algs)
	if err != nil {
		return nil, err
	}
	head := jws.Signatures[0].Header
	keys, err := s.from.keysOf(ctx, head.KeyID)
	if err != nil {
		s.err = err
		return nil, err
	}
	for _, k := range keys {
		if k.Algorithm != "" && k.Algorithm != head.Algorithm {
			continue
		}
		if payload, err := jws.Verify(k.Key); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("no key verifies it")
}

// claims are those of a verified ID token, by their exact names: a name in another case is another claim, which somebody else
// than the provider may have chosen.
type claims struct {
	audience  audience
	party     *string
	expiry    *float64
	issued    *float64
	before    *float64
	authTime  *float64
	issuer    string
	nonce     string
	subject   string
	context   string
	methods   []string
	verified  json.RawMessage
	session   string
	elsewhere map[string]string // of claims, where they are said to be
	hasGroups any

	all map[string]any
}

// read takes the claims apart.
func (t *claims) read(token *oidc.IDToken) error {
	var raw map[string]json.RawMessage
	if err := errors.Join(token.Claims(&raw), token.Claims(&t.all)); err != nil {
		return err
	}
	t.verified = raw["email_verified"]
	for name, into := range map[string]any{"aud": &t.audience, "azp": &t.party, "exp": &t.expiry, "iat": &t.issued, "nbf": &t.before, "auth_time": &t.authTime,
		"iss": &t.issuer, "nonce": &t.nonce, "sub": &t.subject, "acr": &t.context, "amr": &t.methods, "sid": &t.session,
		"_claim_names": &t.elsewhere, "hasgroups": &t.hasGroups} {
		if value, has := raw[name]; has {
			if err := json.Unmarshal(value, into); err != nil {
				return err
			}
		}
	}
	return nil
}

type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// verify is what an ID token has to be: see the package. It calls nobody but for keys.
func verify(ctx context.Context, keys keySource, raw, accessToken string, c orgs.SSOConnection, f orgs.SSOFlow, now time.Time) (*claims, error) {
	if len(raw) > maxToken {
		return nil, refused("token_too_long")
	}
	set := &keySet{from: keys}
	for _, alg := range c.Algs {
		set.algs = append(set.algs, jose.SignatureAlgorithm(alg))
	}
	if len(set.algs) == 0 || strings.Count(raw, ".") != 2 {
		return nil, refused("bad_token")
	}
	token, err := oidc.NewVerifier(c.Issuer, set, &oidc.Config{ClientID: c.ClientID, SupportedSigningAlgs: c.Algs, SkipExpiryCheck: true}).Verify(ctx, raw)
	switch {
	case set.err != nil:
		return nil, set.err
	case err != nil:
		return nil, refused("bad_token")
	}
	t := &claims{}
	if t.read(token) != nil {
		return nil, refused("bad_claims")
	}
	if why := t.wrong(c, f, now); why != "" {
		return nil, refused(why)
	}
	if f.Handle != "" && token.AccessTokenHash != "" && token.VerifyAccessToken(accessToken) != nil {
		return nil, refused("other_access_token")
	}
	return t, nil
}

// wrong says in a word what of a token is wrong, "" for nothing.
func (t *claims) wrong(c orgs.SSOConnection, f orgs.SSOFlow, now time.Time) string {
	skew := c.Skew()
	switch {
	case t.issuer != c.Issuer: // go-oidc lets one issuer be written in two ways
		return "other_issuer"
	case f.Handle != "" && subtle.ConstantTimeCompare([]byte(t.nonce), []byte(nonceOf(f))) != 1:
		return "other_nonce"
	case len(t.audience) == 0, slices.ContainsFunc(t.audience, func(a string) bool { return a != c.ClientID }):
		return "other_audience"
	case t.party != nil && *t.party != c.ClientID, t.party == nil && len(t.audience) > 1:
		return "other_party"
	case t.subject == "" || len(t.subject) > 255:
		return "bad_subject"
	case t.expiry == nil || t.issued == nil:
		return "no_times"
	case !now.Add(-skew).Before(at(*t.expiry)):
		return "expired"
	case at(*t.issued).After(now.Add(skew)), t.before != nil && at(*t.before).After(now.Add(skew)), t.authTime != nil && at(*t.authTime).After(now.Add(skew)):
		return "from_the_future"
	case now.Sub(at(*t.issued)) > MaxAge+skew:
		return "too_old"
	case c.ForceAuthn && (t.authTime == nil || at(*t.authTime).Before(f.StartedAt.Add(-skew))):
		return "not_fresh"
	}
	return ""
}

// at is a NumericDate (RFC 7519 §2). One that no time can be is long ago.
func at(seconds float64) time.Time {
	if !(seconds > 0 && seconds < 1<<40) {
		return time.Time{}
	}
	return time.UnixMicro(int64(seconds * 1e6)).UTC()
}

// mfaMethods are the values of amr (RFC 8176) that mean a second factor.
var mfaMethods = []string{"mfa", "otp", "hwk", "swk", "sc"}

// asserted is what the token says of the person.
func (t *claims) asserted(c orgs.SSOConnection) orgs.Asserted {
	in := orgs.Asserted{OrgID: c.ID, Issuer: c.Issuer, Subject: t.subject, Email: t.text(emailClaim(c)), Name: t.text(or(c.Attributes.Name, "name")),
		Context: t.context, SessionIndex: t.session, AuthenticatedAt: at(*t.issued)}
	if t.authTime != nil {
		in.AuthenticatedAt = at(*t.authTime)
	}
	for _, m := range t.methods[:min(len(t.methods), 10)] {
		if len(m) <= 50 {
			in.Methods = append(in.Methods, m)
		}
	}
	if t.context != "" && slices.Contains(c.MFAContexts, t.context) || slices.ContainsFunc(in.Methods, func(m string) bool { return slices.Contains(mfaMethods, m) }) {
		in.MFAVerifiedAt = &in.AuthenticatedAt
	}
	switch string(t.verified) {
	case "true", `"true"`:
		in.EmailVerified = true
	case "":
		in.EmailVerified = c.Provider == "azure" // which does not send it: the domain decides alone
	}
	groups := or(c.Attributes.Groups, "groups")
	in.Groups = t.list(groups)
	_, elsewhere := t.elsewhere[groups]
	in.GroupsUnknown = elsewhere || t.hasGroups == true || t.hasGroups == "true"
	return in
}

func or(name, otherwise string) string {
	if name != "" {
		return name
	}
	return otherwise
}

func emailClaim(c orgs.SSOConnection) string { return or(c.Attributes.Email, "email") }

// lacks says whether something that is asked for may be where the provider answers for its access tokens.
func (t *claims) lacks(c orgs.SSOConnection) bool {
	return t.value(emailClaim(c)) == nil || c.Attributes.Groups != "" && t.value(c.Attributes.Groups) == nil && t.elsewhere[c.Attributes.Groups] == ""
}

// userInfo adds what the provider says at its endpoint of the same person. What the token says stays.
func (p *Protocol) userInfo(ctx context.Context, from string, token *oauth2.Token, t *claims) error {
	var more map[string]json.RawMessage
	if get(ctx, p.documents, from, token.AccessToken, &more) != nil {
		return refused("userinfo_failed")
	}
	var sub string
	if json.Unmarshal(more["sub"], &sub) != nil || sub != t.subject {
		return refused("userinfo_subject")
	}
	if _, has := t.all["email"]; !has { // who says the address says whether it is the person's
		delete(t.all, "email_verified")
		t.verified = nil
	}
	for name, raw := range more {
		if _, has := t.all[name]; has {
			continue
		}
		var v any
		if json.Unmarshal(raw, &v) != nil {
			return refused("userinfo_failed")
		}
		t.all[name] = v
		if name == "email_verified" {
			t.verified = raw
		}
	}
	return nil
}

// value is that of a claim: of a name, or of a JSON pointer (RFC 6901) where it begins with a slash. A claim that has the very
// name wins: some are URLs or paths.
func (t *claims) value(name string) any {
	if v, is := t.all[name]; is || !strings.HasPrefix(name, "/") {
		return v
	}
	var now any = t.all
	for _, part := range strings.Split(name[1:], "/") {
		object, is := now.(map[string]any)
		if !is {
			return nil
		}
		now = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
	}
	return now
}

func (t *claims) text(name string) string {
	s, _ := t.value(name).(string)
	return s
}

// list is a claim of strings, or of one.
func (t *claims) list(name string) (list []string) {
	switch v := t.value(name).(type) {
	case string:
		return []string{v}
	case []any:
		for _, one := range v {
			if s, is := one.(string); is {
				list = append(list, s)
			}
		}
	}
	return list
}
