package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/orgs/httpapi/rest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// The bodies of the calls, one file each; {team} and the like stand for ids.
//
//go:embed seed/*.json
var seed embed.FS

// acme is the organization of the example and the ways to it: HTTP for people and programs, the
// gate for AI requests.
type acme struct {
	m       *orgs.Manager
	gate    *gate.Gate
	handler http.Handler
	admin   string // bearer token of the platform
	calls   int    // HTTP calls that were answered as expected

	org   string
	teams map[string]string // ids by slug
	users map[string]string // ids by name
	token map[string]string // personal tokens by name
	keys  map[string]string // secrets of API keys, by team
	now   time.Time         // of the AI requests: a Tuesday, 10:00 in New York
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

// office is an address that the organization allows people to call from.
const office = "203.0.113.7"

func setUp(ctx context.Context, s *store.Store, out io.Writer) (*acme, error) {
	models, err := catalogue()
	if err != nil {
		return nil, err
	}
	a := &acme{admin: "platform-admin", teams: map[string]string{}, users: map[string]string{}, token: map[string]string{}, keys: map[string]string{}}
	if a.m, err = orgs.New(s, &orgs.Options{Catalogue: models, Options: rbac.Options{Actions: []string{"deployments.manage"}}}); err != nil {
		return nil, err
	}
	a.gate = gate.New(a.m)
	if a.handler, err = rest.New(a.m, &rest.Options{AdminKey: a.admin}); err != nil {
		return nil, err
	}
	if a.now, err = officeHours(s.Now()); err != nil {
		return nil, err
	}
	for _, step := range []func() error{a.organization, a.rolesAndTeams, a.people, a.changeMembers, a.policyAndKeys} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if err := a.keyBudget(ctx); err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "Organization acme-corp (%s): 6 roles, %d teams, %d users, 1 policy, %d API keys, by %d HTTP calls\n",
		a.org, len(a.teams), len(a.users), len(a.keys), a.calls)
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

// call sends a request with a token and wants a status.
func (a *acme) call(want int, token, method, path, body string) (map[string]any, error) {
	r, err := http.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.RemoteAddr = office + ":40000"
	r.Header.Set("Authorization", "Bearer "+token)
	w := &answer{header: http.Header{}}
	a.handler.ServeHTTP(w, r)
	if w.status != want {
		return nil, fmt.Errorf("%s %s: status %d instead of %d: %s", method, path, w.status, want, &w.body)
	}
	a.calls++
	var o map[string]any
	return o, json.Unmarshal(w.body.Bytes(), &o)
}

// answer keeps what the handler writes; there is no network in between.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

// send posts one of the seed's bodies for the platform and returns the answer's id.
func (a *acme) send(path, file string, replace ...string) (string, error) {
	body, err := body(file, replace...)
	if err != nil {
		return "", err
	}
	o, err := a.call(http.StatusCreated, a.admin, "POST", path, body)
	if err != nil {
		return "", err
	}
	id, _ := o["id"].(string)
	return id, nil
}

func body(file string, replace ...string) (string, error) {
	b, err := seed.ReadFile("seed/" + file + ".json")
	return strings.NewReplacer(replace...).Replace(string(b)), err
}

func (a *acme) organization() (err error) {
	a.org, err = a.send("/v1/organizations", "organization")
	return err
}

func (a *acme) rolesAndTeams() (err error) {
	for _, role := range []string{"org_admin", "team_lead", "developer", "finance", "viewer"} {
		if _, err := a.send("/v1/organizations/"+a.org+"/roles", "role_"+role); err != nil {
			return err
		}
	}
	for _, team := range []string{"engineering", "marketing", "data-science"} {
		if a.teams[team], err = a.send("/v1/organizations/"+a.org+"/teams", "team_"+team); err != nil {
			return err
		}
		for _, role := range []string{"team_lead", "developer"} {
			if _, err := a.send("/v1/teams/"+a.teams[team]+"/roles", "override_"+role); err != nil {
				return err
			}
		}
	}
	return nil
}

// people makes users and lets them accept their invitations. The host has seen each of them prove a
// second factor an hour before the AI requests.
func (a *acme) people() (err error) {
	for _, p := range []struct{ name, team, invitation string }{
		{"alice", "engineering", "invite_alice"}, {"bob", "engineering", "invite_bob"}, {"carol", "engineering", "invite_carol"},
		{"dave", "engineering", "invite_dave"}, {"erin", "marketing", ""}, {"frank", "data-science", ""},
	} {
		o, err := a.call(201, a.admin, "POST", "/v1/users", `{"email": "`+p.name+`@acme.com"}`)
		if err != nil {
			return err
		}
		a.users[p.name], _ = o["id"].(string)
		o, err = a.call(201, a.admin, "POST", "/v1/users/"+a.users[p.name]+"/tokens",
			`{"name": "quickstart", "mfa_verified_at": "`+a.now.Add(-time.Hour).Format(time.RFC3339)+`"}`)
		if err != nil {
			return err
		}
		a.token[p.name], _ = o["token"].(string)
		invitation := `{"email": "` + p.name + `@acme.com", "role": "developer"}`
		if p.invitation != "" {
			if invitation, err = body(p.invitation); err != nil {
				return err
			}
		}
		if o, err = a.call(201, a.admin, "POST", "/v1/teams/"+a.teams[p.team]+"/invitations", invitation); err != nil {
			return err
		}
		token, _ := o["token"].(string)
		accept, err := body("accept", "{token}", token)
		if err != nil {
			return err
		}
		if _, err := a.call(200, a.token[p.name], "POST", "/v1/invitations/accept", accept); err != nil {
			return err
		}
	}
	return nil
}

// changeMembers promotes Dave and removes Carol.
func (a *acme) changeMembers() error {
	members := "/v1/teams/" + a.teams["engineering"] + "/members/"
	for _, c := range []struct{ method, user, file string }{{"PATCH", "dave", "promote"}, {"DELETE", "carol", "remove"}} {
		change, err := body(c.file)
		if err != nil {
			return err
		}
		if _, err := a.call(200, a.admin, c.method, members+a.users[c.user], change); err != nil {
			return err
		}
	}
	return nil
}

// policyAndKeys attaches the policy; Alice, who leads Engineering, makes its key.
func (a *acme) policyAndKeys() error {
	if _, err := a.send("/v1/teams/"+a.teams["engineering"]+"/policies", "policy"); err != nil {
		return err
	}
	key, err := body("api_key", "{team}", a.teams["engineering"])
	if err != nil {
		return err
	}
	o, err := a.call(201, a.token["alice"], "POST", "/v1/api-keys", key)
	if err != nil {
		return err
	}
	a.keys["engineering"], _ = o["key"].(string)
	for team, user := range map[string]string{"marketing": "erin", "data-science": "frank"} {
		o, err := a.call(201, a.admin, "POST", "/v1/api-keys", `{"name": "`+team+`", "team_id": "`+a.teams[team]+`", "user_id": "`+a.users[user]+`"}`)
		if err != nil {
			return err
		}
		a.keys[team], _ = o["key"].(string)
	}
	return nil
}

// keyBudget gives Erin a quarter of a dollar a day in her team, through the Go API.
func (a *acme) keyBudget(ctx context.Context) error {
	_, err := a.m.SetBudget(platform(ctx), billing.Budget{OrgID: a.org, Scope: billing.ScopeMember, ScopeID: a.users["erin"], TeamID: a.teams["marketing"],
		Name: "daily", Limit: decimal.RequireFromString("0.25"), Window: billing.CalendarDay, Hard: true})
	return err
}

func platform(ctx context.Context) context.Context {
	return audit.WithActor(ctx, audit.PlatformAdmin())
}
