package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/sqlite"
)

var usageBars = []bar{
	{name: "usage.ingest_sqlite_s", what: "SQLite: events a second, kept once, with exact sums and active users, batches of 10,000", limit: 45_000, least: true},
	{name: "usage.ingest_postgres_s", what: "PostgreSQL: the same", limit: 38_000, least: true},
	{name: "usage.analytics_30d_ms", what: "both: all metrics of the last 30 days, p99 of the slower", limit: 20},
	{name: "usage.event_to_report_ms", what: "both: from Record to the analytics of another process, p50 of the slower", limit: 250},
	{name: "usage.bytes_per_event", what: "SQLite: ten events a second, their index and all sums, in whole pages", limit: 300},
}

const (
	usageEvents     = 200_000    // of the 30 days, in each database
	usageEventsFull = 10_000_000 // with -full
	usageRound      = 10_000     // events of a batch
)

// benchUsage measures both databases one after the other.
func benchUsage(ctx context.Context, b *bench) error {
	slowest := map[string]float64{}
	for _, name := range []string{"sqlite", "postgres"} {
		s, err := b.openUsage(ctx, name)
		if err != nil {
			return err
		}
		if s == nil {
			b.note("no PostgreSQL server is installed and ORGKIT_POSTGRES is not set: its bars were skipped")
			continue
		}
		m := billing.NewMetering(s, nil)
		for _, measure := range []func(context.Context, *bench, string, *store.Store, *billing.Metering, map[string]float64) error{benchIngest, benchFreshness, benchAnalytics} {
			if err := measure(ctx, b, name, s, m, slowest); err != nil {
				return errors.Join(fmt.Errorf("%s: %w", name, err), m.Close(), s.Close())
			}
		}
		if err := errors.Join(m.Close(), s.Close()); err != nil {
			return err
		}
	}
	for name, ms := range slowest {
		b.values[name] = exactly(ms)
	}
	_, err := benchUsageBytes(ctx, b, "with those of 31 days")
	return err
}

func (b *bench) openUsage(ctx context.Context, name string) (*store.Store, error) {
	if name == "sqlite" {
		return sqlite.Open(ctx, b.usageFile(), nil)
	}
	dsn, err := b.server.database(ctx)
	if err != nil || dsn == "" {
		return nil, err
	}
	return postgres.Open(ctx, dsn, nil)
}

func (b *bench) usageFile() string { return filepath.Join(b.dir, "usage.db") }

// calls of an organization, at random but for their times.
type callers struct {
	rand  *rand.Rand
	store *store.Store
	org   string
	users int
	at    time.Time
	every time.Duration
}

func newCallers(s *store.Store, org string, users int, from time.Time, every time.Duration) *callers {
	return &callers{rand.New(rand.NewPCG(1, 2)), s, org, users, from, every}
}

// batch is the next n events: 20 teams, 8 models, 10 projects, a key for each user, three tags.
func (c *callers) batch(n int) []billing.UsageEvent {
	list := make([]billing.UsageEvent, n)
	for i := range list {
		c.at = c.at.Add(c.every)
		user, status := c.rand.IntN(c.users), 200
		if c.rand.IntN(50) == 0 {
			status = 502
		}
		list[i] = billing.UsageEvent{Source: "gate", ID: c.store.NewID("dec"), Time: c.at.Truncate(time.Microsecond), OrgID: c.org, TeamID: idOf("team", user%20), ProjectID: idOf("proj", user%10),
			UserID: idOf("usr", user), KeyID: idOf("key", user), Model: fmt.Sprint("gpt-4o-", c.rand.IntN(8)), Endpoint: "/v1/chat/completions", Method: "POST", Status: status,
			Latency: time.Duration(100_000+c.rand.IntN(8_000_000)) * time.Microsecond, TTFT: time.Duration(c.rand.IntN(900_000)) * time.Microsecond, InputTokens: c.rand.Int64N(8000), CachedTokens: 0,
			OutputTokens: c.rand.Int64N(1500), Cost: decimal.New(c.rand.Int64N(90_000_000), -9), PriceVersion: "gpt-4o@2024-01-01",
			Tags: map[string]string{"team": fmt.Sprint("team-", user%20), "project": fmt.Sprint("project-", user%10), "environment": "production"}}
	}
	return list
}

// benchIngest ingests ten events a second of 1,000 users, and has all sums counted anew in the end.
func benchIngest(ctx context.Context, b *bench, name string, s *store.Store, m *billing.Metering, _ map[string]float64) error {
	b.begin(name + ": usage events")
	from := time.Now().Add(-72 * time.Hour)
	c := newCallers(s, "org_ingest", 1000, from, 100*time.Millisecond)
	ingest := func(list []billing.UsageEvent, fresh int) (time.Duration, error) {
		begin := time.Now()
		done, err := m.Ingest(ctx, list)
		if err == nil && (done.Accepted != fresh || done.Duplicates != len(list)-fresh) {
			err = fmt.Errorf("%+v of %d events, of which %d are new", done, len(list), fresh)
		}
		return time.Since(begin), err
	}
	var times sample
	var last []billing.UsageEvent
	for i := range 13 {
		last = c.batch(usageRound)
		took, err := ingest(last, usageRound)
		if err != nil {
			return err
		}
		if i >= 2 {
			times.add(took, 1)
		}
	}
	rate := func(ns float64) float64 { return usageRound * 1e9 / ns }
	b.set("usage.ingest_"+name+"_s", times, rate)
	half := append(last[:usageRound/2:usageRound/2], c.batch(usageRound/2)...)
	took, err := ingest(half, usageRound/2)
	if err != nil {
		return err
	}
	b.note("%s: usage events of which half are there already: %.0f a second", name, rate(float64(took)))
	wrong, err := m.Check(ctx, c.org, from, c.at)
	if err == nil && len(wrong) > 0 {
		err = fmt.Errorf("%d sums are not those of the events: %+v", len(wrong), wrong[0])
	}
	if err != nil || name != "sqlite" {
		return err
	}
	bytes, err := benchUsageBytes(ctx, b, "ten events a second")
	b.values["usage.bytes_per_event"] = exactly(bytes)
	return err
}

// benchFreshness records an event here and asks there until it is in the figures.
func benchFreshness(ctx context.Context, b *bench, name string, s *store.Store, m *billing.Metering, slowest map[string]float64) error {
	b.begin(name + ": from an event to its report")
	there := billing.NewMetering(s, nil)
	defer there.Close()
	c := newCallers(s, "org_fresh", 1, time.Now().Add(-time.Hour), 0)
	var times sample
	for n := range int64(20) {
		e := c.batch(1)[0]
		begin := time.Now()
		if err := m.Record(ctx, &e); err != nil {
			return err
		}
		for {
			a, err := analyze(ctx, s, there, c.org, billing.Span{From: c.at.Add(-time.Hour), Below: c.at.Add(time.Hour)})
			if err != nil {
				return err
			}
			if a.Requests == n+1 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		times.add(time.Since(begin), 1)
	}
	const bar = "usage.event_to_report_ms"
	slowest[bar] = max(slowest[bar], millis(times.median()))
	return nil
}

func analyze(ctx context.Context, s *store.Store, m *billing.Metering, org string, span billing.Span) (a billing.Analytics, err error) {
	err = s.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		a, err = m.Analytics(ctx, tx, org, billing.AnalyticsQuery{Span: span})
		return err
	})
	return a, err
}

// benchAnalytics asks for the last 30 days at a hundred moments, and counts the events of one of them.
func benchAnalytics(ctx context.Context, b *bench, name string, s *store.Store, m *billing.Metering, slowest map[string]float64) error {
	events := usageEvents
	if b.full {
		events = usageEventsFull
	}
	b.begin(fmt.Sprint(name, ": analytics of ", events, " events"))
	end := time.Now().UTC()
	from := end.AddDate(0, 0, -31)
	c := newCallers(s, "org_days", max(100, events/10_000), from, end.Sub(from)/time.Duration(events))
	began := time.Now()
	for at := 0; at < events; at += usageRound {
		if _, err := m.Ingest(ctx, c.batch(min(usageRound, events-at))); err != nil {
			return err
		}
	}
	b.note("%s: %d events of 31 days were written in %.0f s", name, events, time.Since(began).Seconds())
	var times sample
	var a billing.Analytics
	for i := range 110 {
		span := billing.Period{Name: "last_30_days"}.Resolve(time.UTC, end.Add(-time.Duration(c.rand.Int64N(int64(20*time.Hour)))))
		begin := time.Now()
		var err error
		if a, err = analyze(ctx, s, m, c.org, span); err != nil {
			return err
		}
		if i >= 10 {
			times.add(time.Since(begin), 1)
		}
	}
	const bar = "usage.analytics_30d_ms"
	slowest[bar] = max(slowest[bar], millis(times.p99()))
	b.note("%s: analytics of 30 days: %.1f ms, p99 %.1f", name, millis(times.median()), millis(times.p99()))
	return recount(ctx, s, m, c.org, a)
}

// recount holds analytics against the events, to the last digit.
func recount(ctx context.Context, s *store.Store, m *billing.Metering, org string, a billing.Analytics) error {
	var requests, tokens, failed int64
	cost, users := decimal.Zero, map[string]bool{}
	err := s.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		for e, err := range m.Events(ctx, tx, org, a.From, a.Below) {
			if err != nil {
				return err
			}
			requests, tokens, cost = requests+1, tokens+e.InputTokens+e.OutputTokens, cost.Add(e.Cost)
			users[e.UserID] = true
			if e.Status >= 400 {
				failed++
			}
		}
		return nil
	})
	if err == nil && (requests != a.Requests || tokens != a.Tokens || !cost.Equal(a.Cost) || failed != a.Errors || int64(len(users)) != *a.ActiveUsers) {
		err = fmt.Errorf("the events say %d requests, %d tokens, %s USD, %d failures, %d users; analytics %+v, %d users", requests, tokens, cost, failed, len(users), a.Totals, *a.ActiveUsers)
	}
	return err
}
