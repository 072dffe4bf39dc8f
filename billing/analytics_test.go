package billing_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// traffic is events at random: several organizations, late ones, failures, corrections, levels, ids that come again.
func traffic(r *rand.Rand, now time.Time, n int) (list []billing.UsageEvent) {
	some := func(prefix string, of int) string {
		if i := r.IntN(of + 1); i > 0 {
			return fmt.Sprint(prefix, "_", i)
		}
		return ""
	}
	for i := range n {
		at := now.Add(-time.Duration(r.Int64N(int64(60 * 24 * time.Hour)))).Truncate(time.Microsecond)
		if r.IntN(3) == 0 { // at the edges of something
			at = at.Truncate([]time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour}[r.IntN(3)]).Add(time.Duration(r.IntN(3)-1) * time.Microsecond)
		}
		e := billing.UsageEvent{Source: "gate", ID: fmt.Sprint("evt_", i), Time: at, OrgID: fmt.Sprint("org_", 1+r.IntN(2)), TeamID: some("team", 3), ProjectID: some("proj", 2), UserID: some("usr", 600),
			KeyID: some("key", 5), Model: some("model", 3), Endpoint: some("/v1", 2), Status: []int{200, 200, 201, 404, 500, 0}[r.IntN(6)], Latency: time.Duration(r.IntN(90_000_000)) * time.Microsecond,
			InputTokens: r.Int64N(5000), OutputTokens: r.Int64N(900), Cost: decimal.New(r.Int64N(9_000_000_000_000), -12), Tags: map[string]string{"team": some("t", 2), "env=": some("e", 3)}}
		switch k := r.IntN(12); {
		case k == 0:
			e = billing.UsageEvent{Source: "gate", ID: e.ID, Time: at, OrgID: e.OrgID, Unit: billing.UnitGigabyte, Quantity: decimal.New(r.Int64N(5000), -3), Resource: some("bucket", 2), Cost: e.Cost}
		case k == 1 && i > 0:
			if o := list[r.IntN(len(list))]; o.Unit == "" && o.Corrects == "" {
				e = billing.UsageEvent{Source: "gate", ID: e.ID, Time: at, OrgID: o.OrgID, Corrects: o.ID, Cost: o.Cost.Neg(), OutputTokens: -o.OutputTokens}
			}
		case k == 2 && i > 0:
			e = list[r.IntN(len(list))]
		case k < 6 && i > 0 && list[i-1].Corrects == "": // like the one before, but for one thing
			id, tags, other := e.ID, maps.Clone(list[i-1].Tags), e
			e = list[i-1]
			e.ID, e.Tags = id, tags
			switch r.IntN(10) {
			case 0:
				e.OrgID = other.OrgID
			case 1:
				e.TeamID = other.TeamID
			case 2:
				e.ProjectID = other.ProjectID
			case 3:
				e.UserID = other.UserID
			case 4:
				e.KeyID = other.KeyID
			case 5:
				e.Model = other.Model
			case 6:
				e.Endpoint = other.Endpoint
			case 7:
				e.Status = other.Status
			case 8:
				e.Tags = other.Tags
			case 9:
				e.Time = e.Time.Add(5 * time.Minute)
			}
		}
		list = append(list, e)
	}
	return list
}

// naive counts what analytics should say, from the events as they are read.
type naive struct {
	requests, tokens, errors, timed int64
	cost                            decimal.Decimal
	latency                         time.Duration
	users                           map[string]bool
}

func count(list []billing.UsageEvent, keep func(e billing.UsageEvent) bool) naive {
	n := naive{users: map[string]bool{}}
	for _, e := range list {
		if !keep(e) {
			continue
		}
		n.tokens += e.InputTokens + e.OutputTokens
		n.cost = n.cost.Add(e.Cost)
		if e.Unit != "" || e.Corrects != "" {
			continue
		}
		n.requests++
		failed := e.Status == 0 || e.Status >= 400
		if failed {
			n.errors++
		}
		if !failed && e.Latency > 0 {
			n.timed++
			n.latency += e.Latency
		}
		if e.UserID != "" {
			n.users[e.UserID] = true
		}
	}
	return n
}

func (n naive) same(t *testing.T, got billing.Totals, what string) {
	t.Helper()
	require.Equal(t, []any{n.requests, n.tokens, n.errors, n.cost.String()}, []any{got.Requests, got.Tokens, got.Errors, got.Cost.String()}, what)
	if n.timed == 0 {
		require.Nil(t, got.AverageLatency, what)
	} else {
		require.Equal(t, decimal.New(n.latency.Microseconds(), -3).DivRound(decimal.NewFromInt(n.timed), 3).String(), got.AverageLatency.String(), what)
	}
}

// Whatever the traffic, its batches and the time that is asked about: analytics are what the events say to the last digit, and the
// sums are those of the events.
func TestAnalyticsAreTheEvents(t *testing.T) { // F234 to F243; billing edges 57 and 60
	zones := []string{"UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Kathmandu"}
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := rand.New(rand.NewPCG(7, 7))
		m := metering(t, s, nil)
		all := traffic(r, clock.Now(), 2500)
		for rest := all; len(rest) > 0; {
			n := min(1+r.IntN(400), len(rest))
			_, err := m.Ingest(t.Context(), rest[:n])
			require.NoError(t, err)
			rest = rest[n:]
		}
		checked(t, m, clock)
		list := events(t, s, m, "org_1")
		require.Greater(t, len(list), 800)
		asks := 40
		if testing.Short() {
			asks = 8
		}
		for range asks {
			zone, err := time.LoadLocation(zones[r.IntN(len(zones))])
			require.NoError(t, err)
			q := billing.AnalyticsQuery{Zone: zone, Span: billing.Span{From: list[r.IntN(len(list))].Time, Below: list[r.IntN(len(list))].Time}}
			if r.IntN(2) == 0 {
				q.Span = billing.Period{Name: fmt.Sprintf("last_%d_days", 1+r.IntN(59))}.Resolve(zone, clock.Now())
			}
			if q.Below.Before(q.From) {
				q.From, q.Below = q.Below, q.From
			}
			switch r.IntN(5) {
			case 0:
				q.Teams = []string{"team_1", "", "team_1"}
			case 1:
				q.Models = []string{"model_1", "model_2"}
			case 2:
				q.Teams, q.Models = []string{"team_1", "team_2"}, []string{"", "model_2"}
			case 3:
				q.User = "usr_5"
			}
			q.GroupBy = []string{"", "day", "team", "model", "user", "key", "project", "endpoint", "status", "tag.env=", "tag.none"}[r.IntN(11)]
			if q.CheckGroupBy() != nil {
				q.GroupBy = ""
			}
			holds(t, s, m, list, q)
		}
		for i := range asks { // short times, by the clock
			zone, err := time.LoadLocation(zones[i%len(zones)])
			require.NoError(t, err)
			by, most := billing.ByHour, 8*24*time.Hour
			if i%2 == 0 {
				by, most = billing.ByMinute, 2*time.Hour
			}
			from := list[r.IntN(len(list))].Time.Add(-time.Duration(r.Int64N(int64(most / 2))))
			q := billing.AnalyticsQuery{Zone: zone, GroupBy: by, Span: billing.Span{From: from, Below: from.Add(most/2 + time.Duration(r.Int64N(int64(most/2))))}}
			if r.IntN(3) == 0 {
				q.Teams = []string{"team_1", ""}
			}
			require.NoError(t, q.CheckGroupBy())
			holds(t, s, m, list, q)
		}
	})
}

// holds asks and compares.
func holds(t *testing.T, s *store.Store, m *billing.Metering, list []billing.UsageEvent, q billing.AnalyticsQuery) {
	t.Helper()
	var got billing.Analytics
	require.NoError(t, s.View(t.Context(), func(ctx ctx, tx *store.Tx) (err error) {
		got, err = m.Analytics(ctx, tx, "org_1", q)
		return err
	}))
	within := func(e billing.UsageEvent) bool {
		return !e.Time.Before(q.From) && e.Time.Before(q.Below) && (q.Teams == nil || slices.Contains(q.Teams, e.TeamID)) &&
			(q.Models == nil || slices.Contains(q.Models, e.Model)) && (q.User == "" || e.UserID == q.User)
	}
	want := count(list, within)
	want.same(t, got.Totals, fmt.Sprint(q))
	if q.Teams == nil || q.Models == nil {
		require.Equal(t, int64(len(want.users)), *got.ActiveUsers, "%v", q)
	} else {
		require.Nil(t, got.ActiveUsers)
	}
	parts := func(name string, shares []billing.Share, of func(e billing.UsageEvent) string) {
		t.Helper()
		requested, spent := decimal.Zero, decimal.Zero
		var sum billing.Totals
		for _, g := range shares {
			count(list, func(e billing.UsageEvent) bool { return within(e) && of(e) == g.Value }).same(t, g.Totals, name+" "+g.Value)
			requested, spent = requested.Add(g.Requested), spent.Add(g.Spent)
			sum.Requests, sum.Tokens, sum.Cost = sum.Requests+g.Requests, sum.Tokens+g.Tokens, sum.Cost.Add(g.Cost)
		}
		require.Equal(t, []any{got.Requests, got.Tokens, got.Cost.String()}, []any{sum.Requests, sum.Tokens, sum.Cost.String()}, "%s: sums equal the total", name)
		if got.Requests > 0 {
			require.Equal(t, "1", requested.String(), name)
		}
		if got.Cost.IsPositive() {
			require.Equal(t, "1", spent.String(), name)
		}
	}
	if q.User == "" {
		parts("models", got.Models, func(e billing.UsageEvent) string { return e.Model })
		parts("teams", got.Teams, func(e billing.UsageEvent) string { return e.TeamID })
	}
	clock := func(e billing.UsageEvent, minute int) string { // when the hour began on the clock, or the minute
		at := e.Time.In(q.Zone)
		at = at.Add(-time.Duration(minute)*time.Minute - time.Duration(at.Second())*time.Second - time.Duration(at.Nanosecond()))
		if at.Before(q.From) {
			at = q.From.In(q.Zone)
		}
		return at.Format(time.RFC3339)
	}
	of := map[string]func(e billing.UsageEvent) string{
		"hour":   func(e billing.UsageEvent) string { return clock(e, e.Time.In(q.Zone).Minute()) },
		"minute": func(e billing.UsageEvent) string { return clock(e, 0) },
		"day":    func(e billing.UsageEvent) string { return e.Time.In(q.Zone).Format(time.DateOnly) },
		"team":   func(e billing.UsageEvent) string { return e.TeamID }, "model": func(e billing.UsageEvent) string { return e.Model },
		"user": func(e billing.UsageEvent) string { return e.UserID }, "key": func(e billing.UsageEvent) string { return e.KeyID },
		"project": func(e billing.UsageEvent) string { return e.ProjectID }, "endpoint": func(e billing.UsageEvent) string { return e.Endpoint },
		"tag.env=": func(e billing.UsageEvent) string { return e.Tags["env="] }, "tag.none": func(billing.UsageEvent) string { return "" },
	}[q.GroupBy]
	if of != nil {
		parts(q.GroupBy, got.Groups, of)
	}
}

func TestSharesAddUpToOne(t *testing.T) { // F240
	rapid.Check(t, func(t *rapid.T) {
		amounts := rapid.SliceOfN(rapid.Int64Range(0, 1<<50), 1, 30).Draw(t, "amounts")
		var list []decimal.Decimal
		total := decimal.Zero
		for _, n := range amounts {
			list, total = append(list, decimal.New(n, -12)), total.Add(decimal.New(n, -12))
		}
		sum := decimal.Sum(decimal.Zero, billing.Shares(list)...)
		if total.IsZero() {
			require.True(t, sum.IsZero())
		} else {
			require.Equal(t, "1", sum.String())
		}
	})
}

func TestPartsAddUpToTheCent(t *testing.T) { // billing edge 23
	rapid.Check(t, func(t *rapid.T) {
		amounts := rapid.SliceOfN(rapid.Int64Range(-1<<40, 1<<50), 1, 30).Draw(t, "amounts")
		var list []decimal.Decimal
		total := decimal.Zero
		for _, n := range amounts {
			list, total = append(list, decimal.New(n, -12)), total.Add(decimal.New(n, -12))
		}
		sum := decimal.Zero
		for i, p := range billing.Apportion(list, 2) {
			sum = sum.Add(p)
			require.True(t, p.Sub(list[i]).Abs().LessThan(decimal.New(1, -2)), "none is off by a cent")
		}
		require.Equal(t, total.RoundBank(2).String(), sum.String())
	})
}

func TestPercentilesAreOffByLessThanAFifth(t *testing.T) { // F243
	s := storetest.Open(t, "memory", store.Options{})
	m := metering(t, s, nil)
	var batch []billing.UsageEvent
	for i := range 1000 {
		e := callAt(fmt.Sprint("evt_", i), s.Now())
		e.Latency = time.Duration(i+1) * 7 * time.Millisecond
		batch = append(batch, e)
	}
	_, err := m.Ingest(t.Context(), batch)
	require.NoError(t, err)
	var a billing.Analytics
	require.NoError(t, s.View(t.Context(), func(ctx ctx, tx *store.Tx) (err error) {
		a, err = m.Analytics(ctx, tx, "org_1", billing.AnalyticsQuery{Span: billing.Span{From: s.Now().Add(-time.Hour), Below: s.Now().Add(time.Hour)}})
		return err
	}))
	require.InEpsilon(t, 3500*time.Millisecond, *a.P50, 0.2)
	require.InEpsilon(t, 6650*time.Millisecond, *a.P95, 0.2)
	require.Equal(t, "3503.5", a.AverageLatency.String(), "the mean is exact")
}
