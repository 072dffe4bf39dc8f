package main

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// The settings of the teams and the policy, as they would come over the wire.
//
//go:embed seed/*.json
var seed embed.FS

func read[T any](name string) (v T, err error) {
	b, err := seed.ReadFile("seed/" + name + ".json")
	if err != nil {
		return v, err
	}
	return v, json.Unmarshal(b, &v)
}

// acme is the organization of the example.
type acme struct {
	*orgs.Manager
	gate  *gate.Gate
	org   orgs.Organization
	teams map[string]orgs.Team
	users map[string]orgs.User
	keys  map[string]string // secrets, by team
	now   time.Time         // of the calls: a Tuesday, 10:00 in New York
}

func usd(in, out string) *billing.Price {
	return &billing.Price{InputPerMillion: decimal.RequireFromString(in), OutputPerMillion: decimal.RequireFromString(out)}
}

func catalogue() (*billing.Catalogue, error) {
	return billing.NewCatalogue(
		billing.Model{ID: "gpt-4-turbo-preview", Aliases: []string{"gpt-4-turbo"}, Provider: "openai", Price: usd("10", "30"), MaxOutputTokens: 4096},
		billing.Model{ID: "gpt-3.5-turbo", Provider: "openai", Price: usd("0.5", "1.5"), MaxOutputTokens: 4096},
		billing.Model{ID: "gpt-4-32k", Provider: "openai", Price: usd("60", "120"), MaxOutputTokens: 32768},
		billing.Model{ID: "claude-3-opus-20240229", Aliases: []string{"claude-3-opus"}, Provider: "anthropic", Price: usd("15", "75"), MaxOutputTokens: 4096},
		billing.Model{ID: "claude-3-sonnet-20240229", Aliases: []string{"claude-3-sonnet"}, Provider: "anthropic", Price: usd("3", "15"), MaxOutputTokens: 4096},
		billing.Model{ID: "dall-e-3", Provider: "openai", Price: &billing.Price{PerImage: decimal.RequireFromString("0.04")}},
	)
}

// people join the teams with these roles.
var people = []struct{ email, team, role string }{
	{"alice@acme.example", "engineering", "team_lead"},
	{"bob@acme.example", "engineering", "developer"},
	{"carol@acme.example", "marketing", "developer"},
	{"dave@acme.example", "data-science", "developer"},
}

func platform(ctx context.Context) context.Context {
	return audit.WithActor(ctx, audit.PlatformAdmin())
}

// as lets a user act from the office, whose addresses the organization allows.
func (a *acme) as(ctx context.Context, email string) context.Context {
	u := a.users[email]
	return audit.WithActor(ctx, audit.Actor{Type: audit.User, ID: u.ID, Label: u.Email, IP: netip.MustParseAddr("203.0.113.7")})
}

func setUp(ctx context.Context, s *store.Store, out io.Writer) (*acme, error) {
	models, err := catalogue()
	if err != nil {
		return nil, err
	}
	m, err := orgs.New(s, &orgs.Options{Catalogue: models, Options: rbac.Options{Actions: []string{"deployments.manage"}}})
	if err != nil {
		return nil, err
	}
	a := &acme{Manager: m, gate: gate.New(m), teams: map[string]orgs.Team{}, users: map[string]orgs.User{}, keys: map[string]string{}}
	if a.now, err = officeHours(s.Now()); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{a.createOrganization, a.createTeams, a.inviteMembers, a.attachPolicy, a.createKeys} {
		if err := step(platform(ctx)); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(out, "Organization %s (%s): %d teams, %d members, %d keys\n", a.org.Name, a.org.ID, len(a.teams), len(people), len(a.keys))
	return a, nil
}

// officeHours is 10:00 in New York of the last Tuesday before now.
func officeHours(now time.Time) (time.Time, error) {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		return time.Time{}, err
	}
	y, mo, d := now.In(zone).Date()
	back := (int(now.In(zone).Weekday())+7-int(time.Tuesday)-1)%7 + 1
	return time.Date(y, mo, d-back, 10, 0, 0, 0, zone), nil
}

func (a *acme) createOrganization(ctx context.Context) error {
	settings, err := read[orgs.OrgSettings]("organization_settings")
	if err != nil {
		return err
	}
	if a.org, err = a.CreateOrganization(ctx, orgs.NewOrganization{Name: "Acme Corporation", Slug: "acme-corp", Settings: settings}); err != nil {
		return err
	}
	for _, t := range rbac.Templates() {
		if _, err := a.CreateRole(ctx, a.org.ID, rbac.NewRole{Name: t.Name, Slug: t.Slug, Description: t.Description, Permissions: t.Permissions}); err != nil {
			return err
		}
	}
	return nil
}

func (a *acme) createTeams(ctx context.Context) error {
	for slug, name := range map[string]string{"engineering": "Engineering", "marketing": "Marketing", "data-science": "Data Science"} {
		settings, err := read[orgs.TeamSettings](slug)
		if err != nil {
			return err
		}
		t, err := a.CreateTeam(ctx, a.org.ID, orgs.NewTeam{Name: name, Slug: slug, Settings: settings})
		if err != nil {
			return err
		}
		a.teams[slug] = t
	}
	// Only leads make keys in Engineering, and they decide what needs approval.
	eng := a.teams["engineering"]
	if _, _, err := a.SetOverride(ctx, a.org.ID, eng.ID, "team_lead", []string{"budget.modify", "members.approve_requests"}, nil); err != nil {
		return err
	}
	_, _, err := a.SetOverride(ctx, a.org.ID, eng.ID, "developer", nil, []string{"api_keys.create"})
	return err
}

func (a *acme) inviteMembers(ctx context.Context) error {
	for _, p := range people {
		u, err := a.CreateUser(ctx, orgs.NewUser{Email: p.email, EmailVerified: true})
		if err != nil {
			return err
		}
		a.users[p.email] = u
		at := orgs.Place{OrgID: a.org.ID, TeamID: a.teams[p.team].ID}
		_, token, err := a.Invite(ctx, at, orgs.NewInvitation{Email: p.email, Role: p.role})
		if err != nil {
			return err
		}
		if _, _, err := a.AnswerInvitation(a.as(ctx, p.email), token, true); err != nil {
			return err
		}
	}
	// The host saw Bob prove a second factor an hour before the calls.
	verified := a.now.Add(-time.Hour)
	_, _, err := a.CreateToken(ctx, "bob@acme.example", orgs.NewToken{Name: "laptop", MFAVerifiedAt: &verified})
	return err
}

func (a *acme) attachPolicy(ctx context.Context) error {
	statements, err := read[[]rbac.Statement]("policy_statements")
	if err != nil {
		return err
	}
	_, _, err = a.CreatePolicy(ctx, a.org.ID, a.teams["engineering"].ID, rbac.NewPolicy{
		Name: "Engineering Policy", Description: "Standard permissions for engineering team", Statements: statements})
	return err
}

func (a *acme) createKeys(ctx context.Context) error {
	for _, k := range []struct{ team, bound string }{
		{"engineering", "bob@acme.example"}, {"marketing", "carol@acme.example"}, {"data-science", "dave@acme.example"},
	} {
		bound := a.users[k.bound].ID
		_, secret, err := a.CreateAPIKey(ctx, orgs.NewAPIKey{Name: k.team + " key", Team: k.team, User: &bound, InheritTeam: true})
		if err != nil {
			return err
		}
		a.keys[k.team] = secret
	}
	return nil
}
