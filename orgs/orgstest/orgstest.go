// Package orgstest sets up organizations for tests, those of this library and those of its hosts.
//
// A [World] is a manager over a store (the memory store, most of the time) with short ways to make
// what a test needs. Every step goes through the public service, for the actor who would take it
// in life; a step that fails ends the test.
package orgstest

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// World is a manager and the people who use it.
type World struct {
	*orgs.Manager
	t testing.TB
}

// New returns an empty world over the store.
func New(t testing.TB, s *store.Store, o *orgs.Options) *World {
	t.Helper()
	m, err := orgs.New(s, o)
	require.NoError(t, err)
	return &World{m, t}
}

// Platform is a context in which the operator of the host acts.
func (w *World) Platform() context.Context {
	return audit.WithActor(w.t.Context(), audit.PlatformAdmin())
}

// User makes a user with a verified address.
func (w *World) User(email string) orgs.User {
	w.t.Helper()
	u, err := w.CreateUser(w.Platform(), orgs.NewUser{Email: email, EmailVerified: true})
	require.NoError(w.t, err)
	return u
}

// As is a context in which the user acts, by a personal token.
func (w *World) As(u orgs.User) context.Context { return w.From(u, "") }

// From is [World.As] from an address.
func (w *World) From(u orgs.User, ip string) context.Context {
	a := audit.Actor{Type: audit.User, ID: u.ID, Label: u.Email}
	if ip != "" {
		a.IP = netip.MustParseAddr(ip)
	}
	return audit.WithActor(w.t.Context(), a)
}

// VerifyMFA notes that the user proved a second factor at that time.
func (w *World) VerifyMFA(u orgs.User, at time.Time) {
	w.t.Helper()
	_, _, err := w.CreateToken(w.Platform(), u.ID, orgs.NewToken{Name: "second factor", MFAVerifiedAt: &at})
	require.NoError(w.t, err)
}

// Org makes an organization and its owner.
func (w *World) Org(slug string) (orgs.Organization, orgs.User) {
	w.t.Helper()
	owner := w.User("owner@" + slug + ".example")
	o, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: slug, Slug: slug, Owner: owner.ID})
	require.NoError(w.t, err)
	return o, owner
}

// Roles gives the organization the roles that this library knows as templates.
func (w *World) Roles(o orgs.Organization) {
	w.t.Helper()
	for _, r := range rbac.Templates() {
		_, err := w.CreateRole(w.Platform(), o.ID, rbac.NewRole{Name: r.Name, Slug: r.Slug, Description: r.Description, Permissions: r.Permissions})
		require.NoError(w.t, err)
	}
}

// Team makes a team.
func (w *World) Team(o orgs.Organization, slug string, settings orgs.TeamSettings) orgs.Team {
	w.t.Helper()
	t, err := w.CreateTeam(w.Platform(), o.ID, orgs.NewTeam{Name: slug, Slug: slug, Settings: settings})
	require.NoError(w.t, err)
	return t
}

// Join invites a new user into the team with the role and accepts for them.
func (w *World) Join(t orgs.Team, email, role string) orgs.User {
	w.t.Helper()
	u := w.User(email)
	w.Add(orgs.Place{OrgID: t.OrgID, TeamID: t.ID}, u, role)
	return u
}

// Add makes the user a member of the place with the role.
func (w *World) Add(at orgs.Place, u orgs.User, role string) {
	w.t.Helper()
	_, token, err := w.Invite(w.Platform(), at, orgs.NewInvitation{Email: u.Email, Role: role})
	require.NoError(w.t, err)
	_, _, err = w.AnswerInvitation(w.As(u), token, true)
	require.NoError(w.t, err)
}

// Key makes a key of the team that acts as the team, bound to the user, and returns its secret.
func (w *World) Key(t orgs.Team, bound orgs.User) string {
	w.t.Helper()
	_, secret, err := w.CreateAPIKey(w.Platform(), orgs.NewAPIKey{Name: "key of " + bound.Email, Team: t.ID, User: &bound.ID, InheritTeam: true})
	require.NoError(w.t, err)
	return secret
}
