package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
)

var gateBars = []bar{
	{name: "gate.admit_handle_ns", what: "Admit and Settle of a key that was looked up", limit: 250},
	{name: "gate.admit_secret_ns", what: "the same by the secret, of 100,000 keys", limit: 1200},
	{name: "gate.admit_allocs", what: "allocations of it", limit: 0},
}

// door is a gate with what calls meet on their way: three rate limits and five hard budgets.
type door struct {
	m    *orgs.Manager
	gate *gate.Gate
	org  orgs.Organization
	team orgs.Team
	user orgs.User
	as   context.Context
}

const gateModel = "gpt-4o"

func newDoor(ctx context.Context, s *store.Store, o billing.MeteringOptions) (d *door, err error) {
	models, err := billing.NewCatalogue(billing.Model{ID: gateModel, Aliases: []string{"gpt"}, Provider: "openai", MaxOutputTokens: 4096,
		Price: &billing.Price{InputPerMillion: decimal.RequireFromString("2.5"), OutputPerMillion: decimal.RequireFromString("10")}})
	if err != nil {
		return nil, err
	}
	d = &door{as: audit.WithActor(ctx, audit.PlatformAdmin())}
	if d.m, err = orgs.New(s, &orgs.Options{Catalogue: models, Metering: o}); err != nil {
		return nil, err
	}
	d.gate = gate.New(d.m)
	if d.user, err = d.m.CreateUser(d.as, orgs.NewUser{Email: "dev@acme.com", EmailVerified: true}); err != nil {
		return nil, err
	}
	if d.org, err = d.m.CreateOrganization(d.as, orgs.NewOrganization{Name: "Acme", Slug: "acme", Owner: d.user.ID}); err != nil {
		return nil, err
	}
	if d.team, err = d.m.CreateTeam(d.as, d.org.ID, orgs.NewTeam{Name: "Engineering", Slug: "engineering"}); err != nil {
		return nil, err
	}
	for _, r := range rbac.Templates() {
		if _, err = d.m.CreateRole(d.as, d.org.ID, rbac.NewRole{Name: r.Name, Slug: r.Slug, Permissions: r.Permissions}); err != nil {
			return nil, err
		}
	}
	if _, err = d.m.AddMember(d.as, orgs.Place{OrgID: d.org.ID, TeamID: d.team.ID}, orgs.NewMember{User: d.user.ID, Role: "developer"}); err != nil {
		return nil, err
	}
	return d, err
}

// key makes a key with limits and budgets of its own.
func (d *door) key(limits bool) (secret string, err error) {
	key, secret, err := d.m.CreateAPIKey(d.as, orgs.NewAPIKey{Name: "bench", Team: d.team.ID, User: &d.user.ID, InheritTeam: true})
	if err != nil || !limits {
		return secret, err
	}
	plenty := int64(1) << 40
	for _, r := range []billing.RateLimit{
		{Scope: billing.ScopeKey, ScopeID: key.ID, RequestsPerMinute: &plenty},
		{Scope: billing.ScopeTeam, ScopeID: d.team.ID, TokensPerMinute: &plenty},
		{Scope: billing.ScopeOrg, ScopeID: d.org.ID, RequestsPerDay: &plenty},
	} {
		r.OrgID = d.org.ID
		if _, err := d.m.SetRateLimit(d.as, r); err != nil {
			return "", err
		}
	}
	for _, b := range []billing.Budget{
		{Scope: billing.ScopeKey, ScopeID: key.ID}, {Scope: billing.ScopeMember, ScopeID: d.user.ID, TeamID: d.team.ID},
		{Scope: billing.ScopeTeam, ScopeID: d.team.ID}, {Scope: billing.ScopeModel, ScopeID: "gpt-*"}, {Scope: billing.ScopeOrg, ScopeID: d.org.ID},
	} {
		b.OrgID, b.Limit, b.Hard, b.Window, b.Zone = d.org.ID, decimal.New(1, 9), true, "calendar_month", "UTC"
		if _, err := d.m.SetBudget(d.as, b); err != nil {
			return "", err
		}
	}
	return secret, nil
}

func benchGate(ctx context.Context, b *bench) error {
	b.begin("gate: admissions")
	d, err := newDoor(ctx, memory.New(nil), billing.MeteringOptions{Off: true})
	if err != nil {
		return err
	}
	secret, err := d.key(true)
	if err != nil {
		return err
	}
	key, err := d.gate.Key(ctx, secret)
	if err != nil {
		return err
	}
	call := gate.Call{Model: gateModel, InputTokens: 900, MaxOutputTokens: 400, IP: netip.MustParseAddr("10.0.1.7"), RequestID: "req_1"}
	used := billing.Usage{InputTokens: 900, OutputTokens: 212}
	admit := func() error {
		adm, err := d.gate.Admit(ctx, call)
		if err != nil {
			return err
		}
		return adm.Settle(ctx, used)
	}
	call.Key = key
	byHandle, err := each(30, 50_000, admit)
	if err != nil {
		return err
	}
	b.setBest("gate.admit_handle_ns", byHandle, nanos)
	allocs, err := allocations(500_000, admit)
	if err != nil {
		return err
	}
	b.values["gate.admit_allocs"] = exactly(allocs)
	if err := benchMetered(ctx, b, call, used); err != nil {
		return err
	}
	call.Key, call.Secret = nil, secret
	alone, err := each(10, 50_000, admit)
	if err != nil {
		return err
	}
	b.note("by the secret of one key, which every cache has: %.0f ns", alone.best())

	const many = 100_000
	secrets := make([]string, many)
	for i := range secrets {
		if secrets[i], err = d.key(false); err != nil {
			return err
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range secrets {
		call.Secret = secrets[i]
		if err := admit(); err != nil {
			return err
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.note("a key in memory, with its limits and purse for one model: %d bytes", (int64(after.HeapAlloc)-int64(before.HeapAlloc))/many)
	const rounds, atOnce = 400, 1000
	var bySecret sample
	arrived := make([]string, atOnce) // with their requests, a moment ago: they are no part of what a gate keeps
	order := rand.New(rand.NewPCG(1, 2)).Perm(many)
	for round := range rounds {
		for i := range arrived {
			arrived[i] = strings.Clone(secrets[order[(round*atOnce+i)%many]])
		}
		begin := time.Now()
		for _, call.Secret = range arrived {
			if err := admit(); err != nil {
				return err
			}
		}
		bySecret.add(time.Since(begin), atOnce)
	}
	b.set("gate.admit_secret_ns", bySecret, nanos)
	return errors.Join(d.m.Close(), d.m.Store().Close())
}

// benchMetered is the same where an event is kept of each call. More calls than the database takes events would wait for it.
func benchMetered(ctx context.Context, b *bench, call gate.Call, used billing.Usage) error {
	d, err := newDoor(ctx, memory.New(nil), billing.MeteringOptions{Flush: time.Hour})
	if err != nil {
		return err
	}
	secret, err := d.key(true)
	if err != nil {
		return err
	}
	if call.Key, err = d.gate.Key(ctx, secret); err != nil {
		return err
	}
	var times sample
	for range 12 {
		const calls = 20_000
		begin := time.Now()
		for range calls {
			adm, err := d.gate.Admit(ctx, call)
			if err == nil {
				err = adm.Settle(ctx, used)
			}
			if err != nil {
				return err
			}
		}
		times.add(time.Since(begin), calls)
		if err := d.m.Metering().Flush(ctx); err != nil {
			return err
		}
	}
	b.note("by the key, with an event of each call: %.0f ns", times.best())
	return errors.Join(d.m.Close(), d.m.Store().Close())
}

// allocations counts those of a call. What works in the background is spread over the calls.
func allocations(n int, call func() error) (float64, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		if err := call(); err != nil {
			return 0, fmt.Errorf("while allocations were counted: %w", err)
		}
	}
	runtime.ReadMemStats(&after)
	allocs := float64(after.Mallocs-before.Mallocs) / float64(n)
	if allocs < 0.005 {
		allocs = 0
	}
	return allocs, nil
}
