package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/examples/internal/fakemodel"
	"github.com/orgkit/orgkit/orgs"
)

// demo is a gateway to try: in memory, in front of a model that only talks, with an organization.
type demo struct {
	upstream *http.Server
	research string // secrets of keys
	intern   string
	scim     string // token of its identity provider
}

// demoModels are what the demonstration serves.
func demoModels() (*billing.Catalogue, error) {
	usd := func(in, out string) *billing.Price {
		return &billing.Price{InputPerMillion: decimal.RequireFromString(in), OutputPerMillion: decimal.RequireFromString(out)}
	}
	return billing.NewCatalogue(
		billing.Model{ID: "gpt-4o-mini", Provider: "demo", Price: usd("0.15", "0.6"), MaxOutputTokens: 4096},
		billing.Model{ID: "gpt-4o", Provider: "demo", Price: usd("2.5", "10"), MaxOutputTokens: 4096},
		billing.Model{ID: "claude-sonnet", Provider: "demo", Price: usd("3", "15"), MaxOutputTokens: 4096},
		billing.Model{ID: "text-embedding-3-small", Provider: "demo", Price: usd("0.02", "0")},
		billing.Model{ID: "dall-e-3", Provider: "demo", Price: &billing.Price{PerImage: decimal.RequireFromString("0.04")}},
	)
}

// newDemo starts the model and points the flags at it.
func newDemo(ctx context.Context, o *options) (*demo, error) {
	if len(o.upstream.list) > 0 || o.upstream.prices != "" {
		return nil, errors.New("-demo brings its own -upstream and -prices")
	}
	var err error
	if o.upstream.models, err = demoModels(); err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &demo{upstream: &http.Server{Handler: fakemodel.New(&fakemodel.Options{Word: 50 * time.Millisecond}), ReadHeaderTimeout: 10 * time.Second}}
	go d.upstream.Serve(l)
	o.db = "memory:"
	return d, o.upstream.add(fmt.Sprintf("demo=http://%s/v1", l.Addr()))
}

// seed makes an organization with two teams, of which one may use a cheap model for next to nothing.
func (d *demo) seed(ctx context.Context, m *orgs.Manager) error {
	as := audit.WithActor(ctx, audit.PlatformAdmin())
	owner, err := m.CreateUser(as, orgs.NewUser{Email: "ada@acme.example", EmailVerified: true})
	if err != nil {
		return err
	}
	org, err := m.CreateOrganization(as, orgs.NewOrganization{Name: "Acme", Slug: "acme", Owner: owner.ID})
	if err != nil {
		return err
	}
	key := func(team, settings string) (string, error) {
		in := orgs.NewTeam{Name: team}
		if err := json.Unmarshal([]byte(settings), &in.Settings); err != nil {
			return "", err
		}
		t, err := m.CreateTeam(as, org.ID, in)
		if err != nil {
			return "", err
		}
		_, secret, err := m.CreateAPIKey(as, orgs.NewAPIKey{Name: team, Team: t.ID, InheritTeam: true})
		return secret, err
	}
	if d.research, err = key("Research", `{"budget": {"monthly_limit": 100, "hard_limit": true}, "models": {"allowed": ["gpt-*", "claude-*", "text-embedding-*"]}}`); err != nil {
		return err
	}
	if _, _, err := m.SetProvisioning(as, org.ID, orgs.NewProvisioning{Enabled: true, AutoProvision: true, SyncGroups: true}); err != nil {
		return err
	}
	if _, d.scim, err = m.CreateSCIMToken(as, org.ID, orgs.NewSCIMToken{Name: "demo"}); err != nil {
		return err
	}
	d.intern, err = key("Interns", `{"budget": {"monthly_limit": 0.0001, "hard_limit": true}, "models": {"allowed": ["gpt-4o-mini"]}}`)
	return err
}

// print says what to try.
func (d *demo) print(out io.Writer, url string) {
	line := func(what, secret, body string) {
		fmt.Fprintf(out, "\n# %s\ncurl -sN %s/v1/chat/completions -H 'Authorization: Bearer %s' -d '%s'\n", what, url, secret, body)
	}
	line("allowed, and streamed", d.research, `{"model": "gpt-4o", "stream": true, "max_tokens": 100, "messages": [{"role": "user", "content": "Who are you?"}]}`)
	line("refused: the team may not use that model", d.intern, `{"model": "gpt-4o", "max_tokens": 100, "messages": [{"role": "user", "content": "Who are you?"}]}`)
	line("over budget: the team has a hundredth of a cent a month", d.intern, `{"model": "gpt-4o-mini", "max_tokens": 4000, "messages": [{"role": "user", "content": "Who are you?"}]}`)
	fmt.Fprintf(out, "\n# for an identity provider\nscim: %s/scim/v2 token: %s\n", url, d.scim)
	fmt.Fprintf(out, "\n# what it came to\ncurl -s '%s/v1/organizations/acme/analytics?period=today' -H 'Authorization: Bearer '\"$ADMIN_KEY\"\n\n", url)
}
