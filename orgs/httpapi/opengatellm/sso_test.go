package opengatellm_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/opengatellm"
)

const (
	policy   = "/v1/admin/sso"
	ssoLogin = "/v1/auth/sso/login"
)

// provider is an identity provider whose ID tokens are names of what they say.
type provider map[string]orgs.Asserted

func (p provider) verify(_ context.Context, token string) (orgs.Asserted, error) {
	in, known := p[token]
	if !known {
		return in, &orgs.SSORefused{Code: "bad_token"}
	}
	return in, nil
}

// says has the provider say something of a person, in a token of that name that counts once.
func (w *world) says(p provider, token, subject, email string, groups ...string) {
	p[token] = orgs.Asserted{Issuer: "https://idp.example", Subject: subject, Email: email, EmailVerified: true, Groups: groups,
		Once: []orgs.Once{{Key: token, Until: w.clock.Now().Add(time.Hour)}}}
}

// signsIn is a login by that token.
func (w *world) signsIn(status int, token, email string) object {
	w.t.Helper()
	return w.as("").call(status, "POST", ssoLogin, fmt.Sprintf(`{"email": %q, "token": %q}`, email, token)).(object)
}

func withProvider(t *testing.T, fn func(t *testing.T, w *world, p provider)) {
	each(t, func(t *testing.T, w *world) {
		p := provider{}
		h, err := opengatellm.New(w.Manager, &opengatellm.Options{AdminKey: adminKey, SignIn: w.signin, Generation: opengatellm.GenerationC, IDToken: p.verify})
		require.NoError(t, err)
		w.handler = h
		w.call(201, "POST", organizations, `{"name": "Ministry"}`)
		w.call(201, "POST", roles, `{"name": "agents"}`)
		fn(t, w, p)
	})
}

func TestSingleSignOn(t *testing.T) { // F392, F393, F410, F416
	withProvider(t, func(t *testing.T, w *world, p provider) {
		w.says(p, "first", "s-1", "ann@gov.example")
		nobody := w.as("")
		made := nobody.golden("c/sso.login", "POST", ssoLogin, `{"email": "Ann@gov.example", "name": "Ann", "token": "first"}`).(object)
		ann := w.as(made["value"].(string))
		require.Equal(t, "Ann", ann.get("/v1/me")["name"])
		w.golden("c/sso.user", "GET", users+"/1", "")
		nobody.golden("c/sso.replayed", "POST", ssoLogin, `{"email": "ann@gov.example", "token": "first"}`)
		nobody.golden("c/sso.bad", "POST", ssoLogin, `{"email": "ann@gov.example", "token": "made up"}`)
		nobody.golden("c/sso.invalid", "POST", ssoLogin, `{"email": "ann@gov.example"}`)
		w.says(p, "of another", "s-2", "bob@gov.example")
		w.signsIn(401, "of another", "ann@gov.example")

		w.says(p, "second", "s-1", "ann@new.example") // the subject is what counts
		again := w.signsIn(200, "second", "ann@new.example")
		require.Equal(t, made["user"], again["user"])
		ann.fails(401, "Invalid API key.", "GET", "/v1/me", "")
		w.as(again["value"].(string)).get("/v1/me")
		nobody.fails(404, "Password not set, please contact an administrator.", "POST", login, `{"email": "ann@gov.example", "password": "anything"}`)

		w.says(p, "third", "s-3", "ann@gov.example") // somebody else has got the address
		w.signsIn(401, "third", "ann@gov.example")
		in := p["third"]
		in.Subject, in.Email, in.EmailVerified, in.Once = "s-4", "eve@gov.example", false, nil
		p["unverified"] = in
		w.signsIn(401, "unverified", "eve@gov.example")
		require.Equal(t, []any{1.0}, w.list(users, "id"), "and nobody was made")
		page, err := w.Audit().List(t.Context(), "", audit.Filter{Types: []string{"authentication.login"}})
		require.NoError(t, err)
		require.Len(t, page.Items, 2)
		w.call(200, "PATCH", users+"/1", fmt.Sprintf(`{"email": "ann@gov.example", "name": null, "role_id": 1, "organization_id": null, "budget": null, "expires": %d, "priority": 0}`, w.clock.Now().Add(time.Minute).Unix()))
		w.clock.Advance(2 * time.Minute)
		w.says(p, "late", "s-1", "ann@gov.example")
		w.signsIn(401, "late", "ann@gov.example")
	})
}

func TestRulesOfSingleSignOn(t *testing.T) { // F416
	withProvider(t, func(t *testing.T, w *world, p provider) {
		w.golden("c/sso.policy.none", "GET", policy, "")
		w.golden("c/sso.policy", "PUT", policy, `{"rules": [{"type": "email", "value": "@gov.example"}, {"type": "organization", "value": "ministers", "organization_id": 1}, {"type": "role", "role_id": 1}]}`)
		w.golden("c/sso.policy.invalid", "PUT", policy, `{"rules": [{"type": "domain", "value": "x"}, {"type": "email"}, {"type": "role", "value": "a"}, {"type": "role", "value": "b", "role_id": 1}, {"type": "role", "value": "b", "role_id": 1}, 7]}`)
		w.fails(404, "Role 9 not found.", "PUT", policy, `{"rules": [{"type": "role", "role_id": 9}]}`)
		w.fails(404, "Organization 9 not found.", "PUT", policy, `{"rules": [{"type": "organization", "organization_id": 9}]}`)
		require.Equal(t, "missing", w.invalid("PUT", policy, `{}`)["type"])
		w.call(200, "PUT", policy, `{"rules": [{"type": "role", "role_id": 1}, {"type": "email", "value": "@gov.example"}, {"type": "organization", "value": "ministers", "organization_id": 1}, {"type": "email", "value": "@new.example"}]}`)
		var ids []any
		for _, r := range w.get(policy)["rules"].([]any) {
			ids = append(ids, r.(object)["id"])
		}
		require.Equal(t, []any{3.0, 1.0, 2.0, 4.0}, ids, "a rule that stays keeps its id")

		w.says(p, "ann", "s-1", "ann@gov.example")
		w.signsIn(200, "ann", "ann@gov.example")
		is := w.get(users + "/1")
		require.Equal(t, []any{1.0, nil}, []any{is["role_id"], is["organization_id"]}, "the default role, and no organization")
		w.says(p, "bob", "s-2", "bob@elsewhere.example", "ministers")
		w.signsIn(200, "bob", "bob@elsewhere.example")
		require.Equal(t, 1.0, w.get(users + "/2")["organization_id"])
		w.says(p, "eve", "s-3", "eve@elsewhere.example", "others")
		require.Equal(t, "User is not allowed to sign in.", w.signsIn(403, "eve", "eve@elsewhere.example")["detail"])
		w.says(p, "other", "s-4", "joe@gov.example", "ministers")
		w.as("").fails(403, "User is not allowed to sign in.", "POST", ssoLogin, `{"email": "joe@gov.example", "token": "other", "organization": "Treasury"}`)
		w.as("").call(200, "POST", ssoLogin, `{"email": "joe@gov.example", "token": "other", "organization": "Ministry"}`)

		w.call(201, "POST", users, `{"email": "old@gov.example", "password": "secure_password", "role": 1}`) // whom an admin has made before
		w.says(p, "old", "s-5", "old@gov.example", "ministers")
		require.Equal(t, 4.0, w.signsIn(200, "old", "old@gov.example")["user"])
		require.Nil(t, w.get(users + "/4")["organization_id"], "what an admin has said stays")
		nobody := w.as(w.of(w.User("nobody@b.example")).token)
		nobody.fails(403, "User has no admin rights.", "GET", policy, "")
		nobody.fails(403, "User has no admin rights.", "PUT", policy, `{"rules": []}`)
	})
	w := onMemory(t, nil)
	require.Equal(t, 404, w.do("GET", policy, "").Code, "it is the newest generation's")
}
