package scim_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/audit/export"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/scim"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func (p *provider) key(team orgs.Team, u orgs.User, name string) (orgs.APIKey, string) {
	p.t.Helper()
	k, secret, err := p.CreateAPIKey(p.Platform(), orgs.NewAPIKey{Name: name, Team: team.ID, InheritTeam: true, User: &u.ID})
	require.NoError(p.t, err)
	return k, secret
}

func (p *provider) works(secret string) bool {
	_, err := p.Authenticate(p.t.Context(), secret)
	return err == nil
}

func TestDeactivationEndsAllAccess(t *testing.T) { // rules 54, 55, 125, F189, F196, P10 to P13, S11
	for how, off := range map[string]func(p *provider, id string) reply{
		"PATCH": func(p *provider, id string) reply {
			return p.patch("/Users/"+id, `[{"op":"Replace","path":"active","value":"False"}]`)
		},
		"pathless": func(p *provider, id string) reply {
			return p.patch("/Users/"+id, `[{"op":"replace","value":{"active":false}}]`)
		},
		"PUT": func(p *provider, id string) reply {
			return p.do("PUT", "/Users/"+id, `{`+userSchema+`,"userName":"anna@acme.example","active":false}`)
		},
	} {
		t.Run(how, func(t *testing.T) {
			each(t, func(t *testing.T, p *provider) {
				id := p.user("anna")
				p.group("Staff", id)
				team, anna := p.team("staff"), p.account("anna@acme.example")
				mine, secret := p.key(team, anna, "mine")
				blocked, other := p.key(team, anna, "blocked by hand")
				_, err := p.DisableAPIKey(p.Platform(), blocked.ID, "lost")
				require.NoError(t, err)
				_, service, err := p.CreateAPIKey(p.As(p.owner), orgs.NewAPIKey{Name: "service", Team: team.ID, InheritTeam: true, User: ptr("")})
				require.NoError(t, err)
				_, token, err := p.CreateToken(p.Platform(), anna.ID, orgs.NewToken{Name: "laptop"})
				require.NoError(t, err)
				a, err := p.Authenticate(t.Context(), token)
				require.NoError(t, err)
				_, err = p.Organization(audit.WithActor(t.Context(), a), p.org.ID)
				require.NoError(t, err)
				var session string
				require.NoError(t, p.Store().Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
					_, session, err = orgs.StartSession(ctx, tx, orgs.NewSession{UserID: anna.ID, Methods: []string{"pwd"}, Lifetime: time.Hour})
					return err
				}))
				require.True(t, p.works(session))
				require.True(t, p.works(secret) && p.works(service) && !p.works(other))

				got := off(p, id)
				require.Equal(t, 200, got.Code, got.Body.String())
				require.Equal(t, false, got.json["active"])
				require.Equal(t, 1, p.must(200, "GET", `/Users?filter=userName eq "anna@acme.example" and active eq false`, "").total(), "it is no delete")
				require.False(t, p.works(secret))
				require.False(t, p.works(session))
				require.True(t, p.works(service))
				_, err = p.Organization(audit.WithActor(t.Context(), a), p.org.ID)
				require.ErrorIs(t, err, rbac.ErrDenied)
				m, err := p.member("anna@acme.example")
				require.NoError(t, err)
				require.Equal(t, rbac.Suspended, m.State)
				e := p.events("user.deprovisioned")
				require.Len(t, e, 1)
				require.JSONEq(t, `{"ended":{"keys":1,"sessions":1}}`, string(e[0].Data))
				_, err = p.EnableAPIKey(p.Platform(), mine.ID, "")
				require.ErrorIs(t, err, store.ErrConflict, "nobody else gives it back")

				// A second time is no change, and the return gives back what was taken and nothing more.
				require.Equal(t, 200, off(p, id).Code)
				require.Len(t, p.events("user.deprovisioned"), 1)
				require.Equal(t, 200, p.patch("/Users/"+id, `[{"op":"replace","path":"active","value":true}]`).Code)
				require.True(t, p.works(secret))
				require.False(t, p.works(other))
				require.False(t, p.works(session), "who comes back signs in anew")
				require.Equal(t, []string{"anna@acme.example"}, p.inTeam(team))
				_, err = p.Organization(audit.WithActor(t.Context(), a), p.org.ID)
				require.NoError(t, err)
			})
		})
	}
}

// TestKeysAreThoseOfTheirOwner, whatever both are called by then.
func TestKeysAreThoseOfTheirOwner(t *testing.T) { // P12
	each(t, func(t *testing.T, p *provider) {
		anna, bob := p.user("anna"), p.user("bob")
		p.group("Staff", anna, bob)
		team := p.team("staff")
		_, hers := p.key(team, p.account("anna@acme.example"), "bob@acme.example")
		_, his := p.key(team, p.account("bob@acme.example"), "anna@acme.example")
		require.Equal(t, 200, p.patch("/Users/"+anna, `[{"op":"replace","value":{"userName":"renamed@acme.example","displayName":"bob@acme.example"}}]`).Code)
		require.Equal(t, 200, p.patch("/Users/"+anna, `[{"op":"replace","path":"active","value":false}]`).Code)
		require.False(t, p.works(hers))
		require.True(t, p.works(his))
	})
}

func TestKeyBlockedByHandMeanwhileStaysBlocked(t *testing.T) { // P13
	p, _ := here(t, nil)
	id := p.user("anna")
	p.group("Staff", id)
	k, secret := p.key(p.team("staff"), p.account("anna@acme.example"), "k")
	require.Equal(t, 200, p.patch("/Users/"+id, `[{"op":"replace","path":"active","value":false}]`).Code)
	_, err := p.DisableAPIKey(p.As(p.owner), k.ID, "stolen")
	require.NoError(t, err)
	require.Equal(t, 200, p.patch("/Users/"+id, `[{"op":"replace","path":"active","value":true}]`).Code)
	require.False(t, p.works(secret))
}

func TestLastOwnerStays(t *testing.T) { // rule 125, P15, S5
	each(t, func(t *testing.T, p *provider) {
		a := p.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"`+p.owner.Email+`"}`)
		for _, try := range []func() reply{
			func() reply { return p.do("DELETE", "/Users/"+a.id(), "") },
			func() reply { return p.patch("/Users/"+a.id(), `[{"op":"replace","path":"active","value":false}]`) },
			func() reply {
				return p.do("PUT", "/Users/"+a.id(), `{`+userSchema+`,"userName":"`+p.owner.Email+`","active":false}`)
			},
		} {
			r := try()
			require.Equal(t, 403, r.Code)
			require.NotContains(t, r.json, "scimType")
			require.Contains(t, r.json["detail"], "last owner")
		}
		require.Len(t, p.events("security.last_owner_kept"), 3)
		require.True(t, export.Maps("security.last_owner_kept"))
		m, err := p.member(p.owner.Email)
		require.NoError(t, err)
		require.Equal(t, rbac.Active, m.State)
		require.Equal(t, true, p.must(200, "GET", "/Users/"+a.id(), "").json["active"])

		p.Add(orgs.Place{OrgID: p.org.ID}, p.World.User("second@acme.example"), rbac.OwnerRole)
		p.must(204, "DELETE", "/Users/"+a.id(), "")
	})
}

func TestOthersKeepTheirHandsOff(t *testing.T) { // rule 129, D15, P24
	each(t, func(t *testing.T, p *provider) {
		id := p.user("anna")
		p.group("Staff", id)
		team, anna := p.team("staff"), p.account("anna@acme.example")
		managed := func(err error) {
			var c *store.ConflictError
			require.ErrorAs(t, err, &c)
			require.Equal(t, "scim_managed", c.Code)
		}
		owner := p.As(p.owner)
		_, err := p.RemoveMember(owner, orgs.Place{OrgID: p.org.ID}, anna.ID, orgs.MemberRemoval{})
		managed(err)
		_, err = p.RemoveMember(owner, orgs.Place{OrgID: p.org.ID, TeamID: team.ID}, anna.ID, orgs.MemberRemoval{})
		managed(err)
		_, err = p.UpdateTeam(owner, team.ID, orgs.TeamUpdate{Name: ptr("Other")})
		managed(err)
		_, err = p.DeleteTeam(owner, team.ID, true)
		managed(err)
		_, err = p.UpdateTeam(owner, team.ID, orgs.TeamUpdate{Description: ptr("of our own")})
		require.NoError(t, err)
		mine := p.Team(p.org, "ours", orgs.TeamSettings{})
		_, err = p.AddMember(owner, orgs.Place{OrgID: p.org.ID, TeamID: mine.ID}, orgs.NewMember{User: anna.ID, Role: "member"})
		require.NoError(t, err)
		_, err = p.RemoveMember(owner, orgs.Place{OrgID: p.org.ID, TeamID: mine.ID}, anna.ID, orgs.MemberRemoval{})
		require.NoError(t, err)

		free := everything
		free.LocalEdits = true
		p.may(free)
		_, err = p.RemoveMember(owner, orgs.Place{OrgID: p.org.ID}, anna.ID, orgs.MemberRemoval{})
		require.NoError(t, err)
		require.Equal(t, 200, p.patch("/Users/"+id, `[{"op":"replace","path":"active","value":false}]`).Code)
		require.Equal(t, 200, p.patch("/Users/"+id, `[{"op":"replace","path":"active","value":true}]`).Code, "the provider brings them back")
		require.Equal(t, []string{"anna@acme.example"}, p.inTeam(team))
	})
}

func TestProvisioningIsWhatTheOrganizationSwitchesOn(t *testing.T) { // rule 124, F185, F188, F189, D16
	each(t, func(t *testing.T, p *provider) {
		id := p.user("anna")
		off := everything
		off.AutoProvision, off.AutoDeprovision = false, ptr(false)
		p.may(off)
		p.refused(403, "", "POST", "/Users", `{`+userSchema+`,"userName":"bob@acme.example"}`)
		require.Equal(t, 200, p.patch("/Users/"+id, `[{"op":"replace","path":"active","value":false}]`).Code)
		m, err := p.member("anna@acme.example")
		require.NoError(t, err)
		require.Equal(t, rbac.Active, m.State, "it is only noted")
		require.JSONEq(t, `{"ended":{"access_continues":true,"keys":0}}`, string(p.events("user.deprovisioned")[0].Data))
		p.must(204, "DELETE", "/Users/"+id, "")
		_, err = p.member("anna@acme.example")
		require.NoError(t, err)

		off.Enabled = false
		p.may(off)
		require.Equal(t, 401, p.do("GET", "/Users", "").Code)
	})
}

func TestNobodyGetsAnAccountThatIsNotTheirs(t *testing.T) { // rule 124, scim.md 3.2, P22, P23
	each(t, func(t *testing.T, p *provider) {
		post := func(email string) reply { return p.do("POST", "/Users", `{`+userSchema+`,"userName":"`+email+`"}`) }
		verified := p.World.User("stranger@acme.example")
		require.Equal(t, 409, post("stranger@acme.example").Code, "the domain is nobody's yet")
		_, err := p.SetVerifiedDomains(p.Platform(), p.org.ID, "ACME.example")
		require.NoError(t, err)
		unverified, err := p.CreateUser(p.Platform(), orgs.NewUser{Email: "squatter@acme.example"})
		require.NoError(t, err)
		require.Equal(t, 409, post("squatter@acme.example").Code, "whoever registered it has proved nothing")
		_, err = p.member(unverified.Email)
		require.ErrorIs(t, err, store.ErrNotFound)

		linked := post("Stranger@ACME.example")
		require.Equal(t, 201, linked.Code)
		m, err := p.member("stranger@acme.example")
		require.NoError(t, err)
		require.Equal(t, verified.ID, m.User.ID)
		require.Equal(t, 200, p.patch("/Users/"+linked.id(), `[{"op":"replace","path":"displayName","value":"Mallory"},{"op":"replace","path":"userName","value":"mallory@acme.example"}]`).Code)
		require.Equal(t, verified.Email, p.account(verified.ID).Email, "an account that was linked is its owner's to change")
		require.Empty(t, p.account(verified.ID).Name)

		made := post("new@acme.example")
		require.True(t, p.account("new@acme.example").EmailVerified)
		require.Equal(t, 200, p.patch("/Users/"+made.id(), `[{"op":"replace","path":"displayName","value":"New"},{"op":"replace","path":"userName","value":"newer@acme.example"}]`).Code)
		require.Equal(t, "New", p.account("newer@acme.example").Name)
		require.Equal(t, 409, p.patch("/Users/"+made.id(), `[{"op":"replace","path":"userName","value":"squatter@acme.example"}]`).Code)

		// What another organization's provider manages is not this one's.
		rival := join(t, p.World, "rival", nil, everything)
		_, err = p.SetVerifiedDomains(p.Platform(), rival.org.ID, "acme.example")
		require.NoError(t, err)
		require.Equal(t, 409, rival.do("POST", "/Users", `{`+userSchema+`,"userName":"newer@acme.example"}`).Code)

		// A member who was there before is who they are; with the policy never nobody is.
		old := p.World.User("old@elsewhere.example")
		p.Add(orgs.Place{OrgID: p.org.ID}, old, "member")
		never := everything
		never.Link = orgs.LinkNever
		p.may(never)
		require.Equal(t, 409, post(old.Email).Code)
		p.may(everything)
		require.Equal(t, 201, post(old.Email).Code)
	})
}

// TestWhoHasAnAccountIsAskedFirst, once, where the policy is to invite.
func TestWhoHasAnAccountIsAskedFirst(t *testing.T) { // rule 124, scim.md 3.2.3
	each(t, func(t *testing.T, p *provider) {
		invite := everything
		invite.Link = orgs.LinkInvite
		p.may(invite)
		post := func(email string) reply { return p.do("POST", "/Users", `{`+userSchema+`,"userName":"`+email+`"}`) }
		at := orgs.Place{OrgID: p.org.ID}
		invited := func(email string) []orgs.Invitation {
			page, err := p.Invitations(p.Platform(), at, orgs.InvitationFilter{Email: email})
			require.NoError(t, err)
			return page.Items
		}
		answer := func(u orgs.User, accept bool) error {
			_, token, err := p.ResendInvitation(p.Platform(), at, invited(u.Email)[0].ID) // this host does not mail
			require.NoError(t, err)
			_, _, err = p.AnswerInvitation(p.As(u), token, accept)
			return err
		}
		ann, bob := p.World.User("ann@elsewhere.example"), p.World.User("bob@elsewhere.example")
		squatter, err := p.CreateUser(p.Platform(), orgs.NewUser{Email: "squatter@acme.example"})
		require.NoError(t, err)
		for _, u := range []orgs.User{ann, bob, squatter} {
			for range 2 { // providers try again and again
				a := post(u.Email)
				require.Equal(t, 409, a.Code, a.Body)
				require.Equal(t, "uniqueness", a.json["scimType"])
			}
			require.Len(t, invited(u.Email), 1)
			require.Equal(t, "member", invited(u.Email)[0].Role)
			_, err := p.member(u.Email)
			require.ErrorIs(t, err, store.ErrNotFound)
		}
		events := p.events("member.invited")
		require.Len(t, events, 3)
		require.Equal(t, []any{audit.SCIM, "scim.users.create"}, []any{events[0].ActorType, events[0].Action})
		require.Zero(t, p.find("/Users").total())

		require.NoError(t, answer(ann, true))
		require.Equal(t, 201, post(ann.Email).Code)
		m, err := p.member(ann.Email)
		require.NoError(t, err)
		require.Equal(t, ann.ID, m.User.ID)
		require.NoError(t, answer(bob, false))
		require.Equal(t, 409, post(bob.Email).Code)
		require.Len(t, invited(bob.Email), 1, "who has said no is not asked again")
		require.ErrorIs(t, answer(squatter, true), rbac.ErrDenied, "whoever registered it has proved nothing")
		require.Equal(t, 409, post(squatter.Email).Code)

		member := p.World.User("member@elsewhere.example")
		p.Add(at, member, "member")
		require.Equal(t, 201, post(member.Email).Code)
		require.Equal(t, 201, post("new@acme.example").Code)

		rival := join(t, p.World, "rival", nil, everything)
		theirs := rival.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"theirs@rival.example"}`)
		require.Equal(t, 409, post("theirs@rival.example").Code)
		require.Empty(t, invited("theirs@rival.example"), "it could never be linked")
		rival.must(204, "DELETE", "/Users/"+theirs.id(), "")

		invite.AutoProvision = false
		p.may(invite)
		carl := p.World.User("carl@elsewhere.example")
		require.Equal(t, 403, post(carl.Email).Code)
		require.Empty(t, invited(carl.Email))
	})
}

func TestWhoComesBackIsWhoTheyWere(t *testing.T) { // scim.md 3.3, P22
	each(t, func(t *testing.T, p *provider) {
		body := `{` + userSchema + `,"userName":"anna@acme.example","externalId":"e-1"}`
		first := p.must(201, "POST", "/Users", body)
		p.group("Staff", first.id())
		anna := p.account("anna@acme.example")
		_, secret := p.key(p.team("staff"), anna, "k")
		require.Equal(t, 200, p.patch("/Users/"+first.id(), `[{"op":"replace","path":"active","value":false}]`).Code)
		p.must(204, "DELETE", "/Users/"+first.id(), "")
		again := p.must(201, "POST", "/Users", body)
		require.NotEqual(t, first.id(), again.id())
		m, err := p.member("anna@acme.example")
		require.NoError(t, err)
		require.Equal(t, anna.ID, m.User.ID)
		require.False(t, p.works(secret), "with nothing of what they had")
		require.Empty(t, p.inTeam(p.team("staff")))
		require.Equal(t, 200, p.patch("/Users/"+again.id(), `[{"op":"replace","path":"active","value":false},{"op":"replace","path":"active","value":true}]`).Code)
		require.False(t, p.works(secret))
	})
}

func TestSuspendedMemberJoinsNothing(t *testing.T) { // P26
	each(t, func(t *testing.T, p *provider) {
		id := p.user("anna")
		team := p.Team(p.org, "ours", orgs.TeamSettings{})
		_, err := p.UpdateUser(p.Platform(), "anna@acme.example", orgs.UserUpdate{EmailVerified: ptr(true)})
		require.NoError(t, err)
		at := orgs.Place{OrgID: p.org.ID, TeamID: team.ID}
		_, token, err := p.Invite(p.Platform(), at, orgs.NewInvitation{Email: "anna@acme.example", Role: "member"})
		require.NoError(t, err)
		require.Equal(t, 200, p.patch("/Users/"+id, `[{"op":"replace","path":"active","value":false}]`).Code)
		_, _, err = p.AnswerInvitation(p.As(p.account("anna@acme.example")), token, true)
		require.Error(t, err, "what was offered is revoked")
		_, token, err = p.Invite(p.Platform(), at, orgs.NewInvitation{Email: "anna@acme.example", Role: "member"})
		require.NoError(t, err)
		_, _, err = p.AnswerInvitation(p.As(p.account("anna@acme.example")), token, true)
		require.ErrorIs(t, err, store.ErrConflict)
		p.group("Late", id)
		require.Equal(t, rbac.Suspended, func() rbac.State {
			m, err := p.Member(p.Platform(), orgs.Place{OrgID: p.org.ID, TeamID: p.team("late").ID}, "anna@acme.example")
			require.NoError(t, err)
			return m.State
		}())
	})
}

func TestDeletedAccountLeavesNothingAtTheProvider(t *testing.T) {
	each(t, func(t *testing.T, p *provider) {
		id := p.user("anna")
		g := p.group("Staff", id)
		_, err := p.DeleteUser(p.Platform(), "anna@acme.example", "asked to be forgotten")
		require.NoError(t, err)
		p.refused(404, "", "GET", "/Users/"+id, "")
		require.Empty(t, p.members(g))
		require.Zero(t, p.must(200, "GET", `/Users?filter=emails eq "anna@acme.example"`, "").total())
		p.user("anna")
	})
}

func TestTokens(t *testing.T) { // rules 13, 15, 16, F187, P14, P16
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		p := newProvider(t, s, "acme", nil)
		asks := func(header string) int {
			r := p.request("GET", "/Users", "")
			r.Header.Del("Authorization")
			if header != "" {
				r.Header.Set("Authorization", header)
			}
			a := p.send(r)
			if a.Code == 401 {
				require.Equal(t, "Bearer", a.Header().Get("WWW-Authenticate"))
				require.Equal(t, "401", a.json["status"])
				require.NotEmpty(t, a.json["detail"])
			}
			return a.Code
		}
		require.Equal(t, 200, asks("Bearer "+p.secret))
		require.Equal(t, 200, asks("bEaReR "+p.secret))
		for _, bad := range []string{"", "Bearer", "Bearer ", "Bearer nope", "something", p.secret, "Basic " + p.secret} {
			require.Equal(t, 401, asks(bad), bad)
		}
		owner := p.As(p.owner)
		second, secret, err := p.CreateSCIMToken(owner, p.org.ID, orgs.NewSCIMToken{Name: "next", ExpiresAt: ptr(clock.Now().Add(time.Hour))})
		require.NoError(t, err)
		require.Equal(t, 200, asks("Bearer "+secret), "two work at a time")
		_, _, err = p.CreateSCIMToken(owner, p.org.ID, orgs.NewSCIMToken{Name: "third"})
		require.ErrorIs(t, err, store.ErrConflict)
		used, err := p.LastUsed(owner, p.org.ID, second.ID)
		require.NoError(t, err)
		require.Equal(t, clock.Now(), used[second.ID])
		page, err := p.SCIMTokens(owner, p.org.ID, 10, "")
		require.NoError(t, err)
		require.Len(t, page.Items, 2)
		clock.Advance(time.Hour)
		require.Equal(t, 401, asks("Bearer "+secret))
		_, _, err = p.CreateSCIMToken(owner, p.org.ID, orgs.NewSCIMToken{Name: "third"})
		require.NoError(t, err, "what has expired does not count")
		for _, old := range page.Items {
			_, err = p.RevokeSCIMToken(owner, p.org.ID, old.ID)
			require.NoError(t, err)
		}
		require.Equal(t, 401, asks("Bearer "+p.secret))
		p.Add(orgs.Place{OrgID: p.org.ID}, p.World.User("plain@acme.example"), "member")
		_, _, err = p.CreateSCIMToken(p.As(p.account("plain@acme.example")), p.org.ID, orgs.NewSCIMToken{Name: "mine"})
		require.ErrorIs(t, err, rbac.ErrDenied, "a plain member makes none")
	})
}

func TestOtherAuthenticatorsComeBesideTokens(t *testing.T) { // D13
	s := storetest.Open(t, "memory", store.Options{})
	w := orgstest.New(t, s, nil)
	var who audit.Actor
	o := &scim.Options{}
	p := join(t, w, "acme", o, everything)
	o.Authenticate = func(r *http.Request) (audit.Actor, error) {
		if who.OrgID == "" {
			return who, errNobody
		}
		return who, nil
	}
	h, err := scim.New(w.Manager, base, o)
	require.NoError(t, err)
	p.h = http.StripPrefix("/scim/v2", h)
	who = audit.Actor{Type: audit.SCIM, ID: "jwt-1", OrgID: p.org.ID}
	p.user("anna")
	require.Equal(t, "jwt-1", p.events("user.provisioned")[0].ActorID)
	who = audit.Actor{Type: audit.User, ID: p.owner.ID, OrgID: p.org.ID}
	require.Equal(t, 401, p.do("GET", "/Users", "").Code, "nobody but an identity provider")
}

var errNobody = errors.New("nobody")

func TestProvidersDoNothingElse(t *testing.T) {
	each(t, func(t *testing.T, p *provider) {
		ctx := audit.WithActor(t.Context(), audit.Actor{Type: audit.SCIM, ID: "sct_1", OrgID: p.org.ID})
		_, err := p.Organization(ctx, p.org.ID)
		require.ErrorIs(t, err, store.ErrNotFound)
		_, _, err = p.CreateSCIMToken(ctx, p.org.ID, orgs.NewSCIMToken{Name: "x"})
		require.ErrorIs(t, err, store.ErrNotFound)
		require.ErrorIs(t, p.Provisioned(p.As(p.owner), nil), store.ErrNotFound, "and nobody else provisions")
		require.ErrorIs(t, p.Provisioned(t.Context(), nil), rbac.ErrNoActor)
	})
}

func TestAddressThatAPersonHasProvedIsTheirs(t *testing.T) {
	each(t, func(t *testing.T, p *provider) {
		made := p.must(201, "POST", "/Users", `{`+userSchema+`,"userName":"anna@elsewhere.example"}`)
		rename := func(to string) {
			require.Equal(t, 200, p.patch("/Users/"+made.id(), `[{"op":"replace","path":"userName","value":"`+to+`"}]`).Code)
		}
		rename("annie@elsewhere.example")
		id := p.account("annie@elsewhere.example").ID
		_, err := p.UpdateUser(p.Platform(), id, orgs.UserUpdate{EmailVerified: ptr(true)})
		require.NoError(t, err)
		rename("mallory@elsewhere.example")
		require.Equal(t, "annie@elsewhere.example", p.account(id).Email)
	})
}
