package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/orgkit/orgkit/rbac"
)

var rbacBars = []bar{
	{name: "rbac.handle_ns", what: "check by handle, 1 org x 100 users", limit: 25},
	{name: "rbac.handle_allocs", what: "allocations of it", limit: 0},
	{name: "rbac.string_ns", what: "check by strings, 1 org x 100 users", limit: 80},
	{name: "rbac.string_cold_ns", what: "check by strings, 1,000 orgs x 100 users, cold", limit: 500},
	{name: "rbac.condition_ns", what: "what a live condition adds, the dearest", limit: 10},
	{name: "rbac.handle_100k_ns", what: "check by handle, 1,000 orgs x 100 users, cold", limit: 100},
	{name: "rbac.handle_1m_ns", what: "check by handle, 1,000 orgs x 1,000 users, cold", limit: 200, full: true},
	{name: "rbac.miss_us", what: "first check of a profile, through Casbin, p50", limit: 15},
	{name: "rbac.user_bytes", what: "memory of a user", limit: 100},
	{name: "rbac.org_bytes", what: "memory of an organization whose 20 profiles were asked all of 74 actions", limit: 50_000},
	{name: "rbac.load_1m_s", what: "1,000,000 users in 1,000 orgs into memory", limit: 1.5, full: true},
	{name: "rbac.change_local_us", what: "from commit to visible in this process, p99", limit: 250},
	{name: "rbac.change_remote_ms", what: "from commit to visible in another process, PostgreSQL, p99", limit: 25},
	{name: "rbac.change_polled_ms", what: "the same without notifications, p99", limit: 1000},
	{name: "rbac.who_can_us", what: "who may use a model, among 1,000 users", limit: 20},
	{name: "rbac.what_if_us", what: "what a change would do, among 1,000 users, the dearest of six", limit: 1000},
	{name: "rbac.vs_casbin", what: "time of Casbin, one enforcer per org, over that by handle", limit: 1000, least: true},
	{name: "rbac.vs_cedar", what: "time of cedar-go, one policy set per org, over that by handle", limit: 150, least: true},
}

// Scales of the workload. As many queries as in the figures that the bars go back to.
var (
	oneOrg     = loadScale{1, 100, 4096}
	manyOrgs   = loadScale{1000, 100, 65536}
	manyUsers  = loadScale{1000, 1000, 65536}
	rbacRounds = 25
)

func benchRBAC(ctx context.Context, b *bench) error {
	for _, measure := range []func(context.Context, *bench) error{
		benchOneOrg, benchConditions, benchMisses, benchMemoryUse, benchManyOrgs, benchChanges, benchAccess, benchManyUsers,
	} {
		if err := measure(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// rounds asks all queries again and again. The first round, which is not counted, finds what is kept of them.
func (w *workload) rounds(n int, c check) (s sample, err error) {
	for round := range n + 1 {
		begin := time.Now()
		for i := range w.queries {
			if _, err := c(i); err != nil {
				return nil, err
			}
		}
		if round > 0 {
			s.add(time.Since(begin), len(w.queries))
		}
	}
	return s, w.verify(c) // what is kept answers as what was asked first
}

// benchOneOrg asks orgkit and its peers the same, side by side.
func benchOneOrg(ctx context.Context, b *bench) error {
	b.begin("rbac: 1 org x 100 users")
	w := newWorkload(oneOrg)
	o, err := loadOrgkit(ctx, w)
	if err != nil {
		return err
	}
	defer o.close()
	byHandle, err := o.handles(ctx)
	if err != nil {
		return err
	}
	names, times := []string{"orgkit, handle", "orgkit, strings"}, []sample{}
	for _, c := range []check{byHandle, o.strings(ctx)} {
		if err := w.verify(c); err != nil {
			return fmt.Errorf("orgkit: %w", err)
		}
		s, err := w.rounds(10*rbacRounds, c)
		if err != nil {
			return err
		}
		times = append(times, s)
	}
	b.setBest("rbac.handle_ns", times[0], nanos)
	b.setBest("rbac.string_ns", times[1], nanos)
	i := 0
	b.values["rbac.handle_allocs"] = exactly(testing.AllocsPerRun(2*len(w.queries), func() {
		_, _ = byHandle(i % len(w.queries)) // was asked before, without an error
		i++
	}))
	for _, p := range peers {
		c, err := p.load(w)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if err := w.verify(c); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		s, err := w.rounds(rbacRounds/5, c)
		if err != nil {
			return err
		}
		names, times = append(names, p.name), append(times, s)
	}
	b.note("%d questions of 100 users of one organization, 70 %% allowed, 20 %% denied, 10 %% by ip or score; ns a question:", len(w.queries))
	for i, s := range times {
		ratio := s.best() / times[0].best()
		b.note("  %-24s %9.1f   %8.1f times orgkit by handle", names[i], s.best(), ratio)
		if bar, ok := map[string]string{"casbin": "rbac.vs_casbin", "cedar": "rbac.vs_cedar"}[names[i]]; ok {
			b.values[bar] = exactly(ratio)
		}
	}
	return nil
}

// benchConditions compares rules with one live condition with rules that have another one beside it.
func benchConditions(ctx context.Context, b *bench) error {
	b.begin("rbac: conditions")
	inputs := conditionInputs()
	ask := func(c rbac.Conditions) (sample, error) {
		rs, err := rbac.NewRuleset([]rbac.Rule{{ID: "p", Pool: rbac.PoolPolicy, Statement: rbac.Statement{
			Effect: rbac.EffectAllow, Actions: []string{"models.use"}, Resources: []string{"*"}, Conditions: c}}}, nil)
		if err != nil {
			return nil, err
		}
		q := rbac.Question{Action: "models.use", Resource: "model:gpt-4o"}
		return each(rbacRounds, 20_000, func() error {
			if !rs.Allows(q, &inputs) {
				return fmt.Errorf("%+v is refused", c)
			}
			return nil
		})
	}
	dearest := figure{value: -1}
	var parts []string
	for _, st := range steps() {
		var without, with sample
		for range 4 { // by turns: the machine is not always as fast
			for c, s := range map[*rbac.Conditions]*sample{&st.without: &without, &st.with: &with} {
				more, err := ask(*c)
				if err != nil {
					return err
				}
				*s = append(*s, more...)
			}
		}
		adds := exactly(with.best() - without.best())
		parts = append(parts, fmt.Sprintf("%s %.0f", st.name, adds.value))
		if adds.value > dearest.value {
			dearest = adds
		}
	}
	b.note("what a condition adds to one that is there, ns: %s", strings.Join(parts, ", "))
	b.values["rbac.condition_ns"] = dearest
	return nil
}

// benchManyOrgs asks so many questions that little of what they need is in the processor's caches.
func benchManyOrgs(ctx context.Context, b *bench) error {
	b.begin("rbac: 1,000 orgs x 100 users")
	b.note("a look into memory takes %.0f ns at this moment", memoryWait())
	w := newWorkload(manyOrgs)
	o, err := loadOrgkit(ctx, w)
	if err != nil {
		return err
	}
	defer o.close()
	byHandle, err := o.handles(ctx)
	if err != nil {
		return err
	}
	for bar, c := range map[string]check{"rbac.handle_100k_ns": byHandle, "rbac.string_cold_ns": o.strings(ctx)} {
		if err := w.verify(c); err != nil {
			return fmt.Errorf("orgkit: %w", err)
		}
		s, err := w.rounds(4*rbacRounds, c)
		if err != nil {
			return err
		}
		b.setBest(bar, s, nanos)
	}
	return nil
}

// benchManyUsers loads a million users.
func benchManyUsers(ctx context.Context, b *bench) error {
	if !b.full {
		return nil
	}
	b.begin("rbac: 1,000 orgs x 1,000 users, filling")
	w := newWorkload(manyUsers)
	o, err := loadOrgkit(ctx, w)
	if err != nil {
		return err
	}
	defer o.close()
	b.begin("rbac: 1,000 orgs x 1,000 users")
	var loads sample
	for range 3 {
		if err := o.forget(); err != nil {
			return err
		}
		begin := time.Now()
		for _, org := range w.orgs {
			if _, err := o.Principal(ctx, org.id, org.teams[0].id, org.users[0].id); err != nil {
				return err
			}
		}
		loads.add(time.Since(begin), 1)
	}
	b.setBest("rbac.load_1m_s", loads, seconds)
	c, err := o.handles(ctx)
	if err != nil {
		return err
	}
	if err := w.verify(c); err != nil {
		return err
	}
	s, err := w.rounds(4*rbacRounds, c)
	b.setBest("rbac.handle_1m_ns", s, nanos)
	return err
}
