package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi/rest"
	"github.com/orgkit/orgkit/rbac"
)

var apiBars = []bar{
	{name: "api.list_1m_ms", what: "both: GET of page 1 and page 10,000 of 1M keys, p50 of the slowest", limit: 20},
	{name: "api.get_us", what: "SQLite: GET of a team by a member, whole, p50", limit: 120},
}

const (
	apiKeys = 1_000_000 // of one organization, in each database
	apiPage = 100
)

// benchAPI measures calls of the native API as its handler answers them, authentication, decision and JSON included.
func benchAPI(ctx context.Context, b *bench) error {
	for _, name := range []string{"sqlite", "postgres"} {
		w, err := newAPIWorld(ctx, b, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if w == nil {
			b.note("no PostgreSQL server is installed and ORGKIT_POSTGRES is not set: its bars were skipped")
			continue
		}
		err = benchAPIGet(ctx, b, name, w)
		if err == nil {
			err = benchAPIList(ctx, b, name, w)
		}
		if err = errors.Join(err, w.manager.Close(), w.store.Close()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// apiWorld is an organization with a team, whose owner and a member call the API.
type apiWorld struct {
	*apiDatabase
	manager       *orgs.Manager
	handler       http.Handler
	org, team     string
	owner, member string // personal tokens
	key           orgs.APIKey
}

func newAPIWorld(ctx context.Context, b *bench, name string) (w *apiWorld, err error) {
	db, err := openAPI(ctx, b, name)
	if db == nil || err != nil {
		return nil, err
	}
	w = &apiWorld{apiDatabase: db}
	if w.manager, err = orgs.New(db.store, nil); err == nil {
		err = w.settle(audit.WithActor(ctx, audit.PlatformAdmin()))
	}
	if err == nil {
		w.handler, err = rest.New(w.manager, nil)
	}
	if err != nil {
		return nil, errors.Join(err, db.store.Close())
	}
	return w, nil
}

// settle makes the organization: a team with settings and a budget like that of the first document, and two people.
func (w *apiWorld) settle(ctx context.Context) error {
	m := w.manager
	owner, err := m.CreateUser(ctx, orgs.NewUser{Email: "owner@acme.example", EmailVerified: true})
	if err != nil {
		return err
	}
	org, err := m.CreateOrganization(ctx, orgs.NewOrganization{Name: "Acme", Owner: owner.ID})
	if err != nil {
		return err
	}
	w.org = org.ID
	if _, err := m.CreateRole(ctx, org.ID, rbac.NewRole{Name: "Developer", Permissions: []string{"teams.read", "models.use", "api_keys.use"}}); err != nil {
		return err
	}
	var settings orgs.TeamSettings
	if err := json.Unmarshal([]byte(apiTeamSettings), &settings); err != nil {
		return err
	}
	team, err := m.CreateTeam(ctx, org.ID, orgs.NewTeam{Name: "Engineering", Settings: settings})
	if err != nil {
		return err
	}
	w.team = team.ID
	member, err := m.CreateUser(ctx, orgs.NewUser{Email: "dev@acme.example", EmailVerified: true})
	if err != nil {
		return err
	}
	if _, err := m.AddMember(ctx, orgs.Place{OrgID: org.ID}, orgs.NewMember{User: member.ID, Role: "developer"}); err != nil {
		return err
	}
	if _, err := m.AddMember(ctx, orgs.Place{OrgID: org.ID, TeamID: team.ID}, orgs.NewMember{User: member.ID, Role: "developer"}); err != nil {
		return err
	}
	for id, token := range map[string]*string{owner.ID: &w.owner, member.ID: &w.member} {
		if _, *token, err = m.CreateToken(ctx, id, orgs.NewToken{Name: "bench"}); err != nil {
			return err
		}
	}
	perMinute := int64(100)
	w.key, _, err = m.CreateAPIKey(ctx, orgs.NewAPIKey{Name: "bench", Team: team.ID, InheritTeam: true,
		Restrictions: orgs.KeyRestrictions{AllowedIPs: []string{"10.0.1.0/24"}, MaxRequestsPerMinute: &perMinute}})
	return err
}

const apiTeamSettings = `{"budget": {"monthly_limit": 5000.00, "alert_threshold": 0.8, "hard_limit": true},
	"models": {"allowed": ["gpt-4-turbo-preview", "claude-3-opus"], "blocked": ["dall-e-*"], "rate_limits": {"gpt-4-32k": {"requests_per_day": 100, "requests_per_hour": 20}}},
	"notifications": {"usage_alerts": ["lead@acme.example"], "approval_requests": ["lead@acme.example"]}, "resources": {"max_parallel_requests": 50}}`

// get asks for a path and returns the body.
func (w *apiWorld) get(ctx context.Context, token, target string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody) // what a server's costs is no part of it
	if err != nil {
		return nil, err
	}
	r.RequestURI, r.RemoteAddr = target, "127.0.0.1:1"
	r.Header.Set("Authorization", "Bearer "+token)
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, r)
	if out.Code != http.StatusOK {
		return nil, fmt.Errorf("status %d: %s", out.Code, out.Body)
	}
	return out.Body.Bytes(), nil
}

// benchAPIGet asks for the team, as a member of it.
func benchAPIGet(ctx context.Context, b *bench, name string, w *apiWorld) error {
	b.begin(name + ": GET of a team")
	var answer struct {
		ID     string    `json:"id"`
		Budget *struct{} `json:"budget_state"`
	}
	text, err := w.get(ctx, w.member, "/v1/teams/"+w.team)
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err == nil && (answer.ID != w.team || answer.Budget == nil) {
		err = errors.New("it is another team")
	}
	if err != nil {
		return err
	}
	took, err := each(2000, 1, func() error {
		_, err := w.get(ctx, w.member, "/v1/teams/"+w.team)
		return err
	})
	if err != nil {
		return err
	}
	if name == "sqlite" {
		b.set("api.get_us", took, micros)
	}
	b.note("%s: GET of a team: p50 %.0f µs, p99 %.0f", name, micros(took.median()), micros(took.p99()))
	return nil
}

// keysPage is as much of an answer as is looked at.
type keysPage struct {
	Data []struct {
		ID string `json:"id"`
	} `json:"data"`
	Next *string `json:"next_cursor"`
}

// benchAPIList asks for the first and the last page of the keys, as the owner.
func benchAPIList(ctx context.Context, b *bench, name string, w *apiWorld) error {
	b.begin(name + ": a million keys")
	begin := time.Now()
	if err := w.multiply(ctx, w.key.ID, apiKeys); err != nil {
		return err
	}
	filled := time.Since(begin)
	page := func(limit int, after string) (p keysPage, err error) {
		q := url.Values{"organization_id": {w.org}, "limit": {strconv.Itoa(limit)}}
		if after != "" {
			q.Set("after", after)
		}
		text, err := w.get(ctx, w.owner, "/v1/api-keys?"+q.Encode())
		if err == nil {
			err = json.Unmarshal(text, &p)
		}
		return p, err
	}
	b.note("%s: a million keys inserted in %.0f s", name, filled.Seconds())
	first, err := page(apiPage, "")
	if err != nil {
		return err
	}
	if first.Next == nil {
		return errors.New("the list has one page")
	}
	after, err := w.cursorBehind(ctx, *first.Next, apiKeys-apiPage)
	if err != nil {
		return err
	}
	for _, one := range []struct {
		what, after string
		last        bool
	}{{"page 1", "", false}, {"page 10,000", after, true}} {
		took, err := each(51, 1, func() error {
			p, err := page(apiPage, one.after)
			if err == nil && (len(p.Data) != apiPage || (p.Next == nil) != one.last) {
				err = errors.New("it is another page")
			}
			return err
		})
		if err != nil {
			return err
		}
		b.note("%s: %s of a million keys: p50 %.1f ms, p99 %.1f", name, one.what, millis(took.median()), millis(took.p99()))
		if millis(took.median()) > b.values["api.list_1m_ms"].value {
			b.set("api.list_1m_ms", took, millis)
		}
	}
	return nil
}
