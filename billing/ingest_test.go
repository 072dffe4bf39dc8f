package billing_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestEventsAreKeptOnceAndConflictsAreTold(t *testing.T) { // billing edges 55 and 56
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		m := metering(t, s, nil)
		a, b := callAt("evt_a", clock.Now()), callAt("evt_b", clock.Now())
		done, err := m.Ingest(t.Context(), []billing.UsageEvent{a, b, a})
		require.NoError(t, err)
		require.Equal(t, billing.Ingested{Accepted: 2, Duplicates: 1}, done)

		for name, change := range map[string]func(e *billing.UsageEvent){
			"cost":   func(e *billing.UsageEvent) { e.Cost = decimal.RequireFromString("0.026") },
			"time":   func(e *billing.UsageEvent) { e.Time = e.Time.Add(-time.Microsecond) },
			"user":   func(e *billing.UsageEvent) { e.UserID = "usr_2" },
			"tag":    func(e *billing.UsageEvent) { e.Tags = map[string]string{"team": "eng"} },
			"status": func(e *billing.UsageEvent) { e.Status = 500 },
		} {
			other := b
			change(&other)
			fresh := callAt("evt_"+name, clock.Now())
			done, err = m.Ingest(t.Context(), []billing.UsageEvent{a, other, fresh})
			require.NoError(t, err)
			require.Equal(t, billing.Ingested{Accepted: 1, Duplicates: 1, Conflicts: []billing.UsageConflict{{Index: 1, Source: "gate", ID: "evt_b"}}}, done, name)
		}
		twin := callAt("evt_c", clock.Now())
		unlike := twin
		unlike.OutputTokens++
		done, err = m.Ingest(t.Context(), []billing.UsageEvent{twin, unlike})
		require.NoError(t, err)
		require.Equal(t, billing.Ingested{Accepted: 1, Conflicts: []billing.UsageConflict{{Index: 1, Source: "gate", ID: "evt_c"}}}, done, "within a batch")

		elsewhere, others := a, a
		elsewhere.Source, others.OrgID = "batch", "org_2"
		done, err = m.Ingest(t.Context(), []billing.UsageEvent{elsewhere, others})
		require.NoError(t, err)
		require.Equal(t, billing.Ingested{Accepted: 2}, done, "identity is organization, source and id")
		require.Len(t, events(t, s, m, "org_1"), 9)
		checked(t, m, clock)
	})
}

// checked holds the sums against the events.
func checked(t testing.TB, m *billing.Metering, clock *storetest.Clock) {
	t.Helper()
	for _, org := range []string{"org_1", "org_2"} {
		wrong, err := m.Check(t.Context(), org, clock.Now().AddDate(0, 0, -70), clock.Now().AddDate(0, 0, 1))
		require.NoError(t, err)
		require.Empty(t, wrong)
	}
}

func TestEventsOfOneBatchKeepWhatTheyDifferIn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		m := metering(t, s, nil)
		var list []billing.UsageEvent
		for i, change := range []func(*billing.UsageEvent){func(*billing.UsageEvent) {}, func(e *billing.UsageEvent) { e.Method = "GET" }, func(e *billing.UsageEvent) { e.Status = 429 },
			func(e *billing.UsageEvent) { e.PriceVersion = "gpt-4@2" }, func(e *billing.UsageEvent) { e.Endpoint = "/v1/embeddings" }, func(*billing.UsageEvent) {},
			func(e *billing.UsageEvent) { e.Source = "import" }, func(e *billing.UsageEvent) { e.Model = "" }, func(e *billing.UsageEvent) { e.UserID = "usr_2" },
			func(e *billing.UsageEvent) { e.KeyID = "" }, func(e *billing.UsageEvent) { e.TeamID = "team_2" }, func(e *billing.UsageEvent) { e.ProjectID = "" }} {
			for j := range 2 { // each between some that are the same
				e := callAt(fmt.Sprint("evt_", 2*i+j), clock.Now().Add(time.Duration(2*i+j)*time.Second))
				if j == 1 {
					change(&e)
				}
				list = append(list, e)
			}
		}
		_, err := m.Ingest(t.Context(), list)
		require.NoError(t, err)
		require.Equal(t, list, events(t, s, m, "org_1"))
	})
}

func TestEventsThatCannotBeAreRefusedWhole(t *testing.T) { // billing edges 19, 20, 58 and 59
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		m := metering(t, s, nil)
		many := map[string]string{}
		for i := range billing.MaxEventTags + 1 {
			many[fmt.Sprint("t", i)] = "x"
		}
		for field, change := range map[string]func(e *billing.UsageEvent){
			"id":              func(e *billing.UsageEvent) { e.ID = "" },
			"source":          func(e *billing.UsageEvent) { e.Source = "a\nb" },
			"organization_id": func(e *billing.UsageEvent) { e.OrgID = "" },
			"model":           func(e *billing.UsageEvent) { e.Model = strings.Repeat("m", 257) },
			"endpoint":        func(e *billing.UsageEvent) { e.Endpoint = "\xff" },
			"time":            func(e *billing.UsageEvent) { e.Time = clock.Now().Add(5*time.Minute + time.Microsecond) },
			"time ":           func(e *billing.UsageEvent) { e.Time = time.Time{} },
			"status":          func(e *billing.UsageEvent) { e.Status = 42 },
			"latency_ms":      func(e *billing.UsageEvent) { e.Latency = -1 },
			"ttft_ms":         func(e *billing.UsageEvent) { e.TTFT = 25 * time.Hour },
			"input_tokens":    func(e *billing.UsageEvent) { e.InputTokens = -1 },
			"output_tokens":   func(e *billing.UsageEvent) { e.OutputTokens = 1<<50 + 1 },
			"cached_tokens":   func(e *billing.UsageEvent) { e.CachedTokens = 1001 },
			"cost":            func(e *billing.UsageEvent) { e.Cost = decimal.RequireFromString("-0.01") },
			"cost ":           func(e *billing.UsageEvent) { e.Cost = decimal.New(1, 1_000_000_000) },
			"cost  ":          func(e *billing.UsageEvent) { e.Cost = decimal.New(1, -13) },
			"tags":            func(e *billing.UsageEvent) { e.Tags = many },
			"tags ":           func(e *billing.UsageEvent) { e.Tags = map[string]string{"": "x"} },
			"tags  ":          func(e *billing.UsageEvent) { e.Tags = map[string]string{"x": "a\x00"} },
			"unit":            func(e *billing.UsageEvent) { e.Unit = "furlong" },
			"unit ":           func(e *billing.UsageEvent) { e.Resource = "bucket" },
			"quantity": func(e *billing.UsageEvent) {
				e.Unit, e.InputTokens, e.CachedTokens, e.OutputTokens, e.Quantity = "gb", 0, 0, 0, decimal.New(-1, 0)
			},
			"corrects": func(e *billing.UsageEvent) { e.Corrects = "evt_unknown" },
		} {
			bad := callAt("evt_bad", clock.Now())
			change(&bad)
			_, err := m.Ingest(t.Context(), []billing.UsageEvent{callAt("evt_good", clock.Now()), bad})
			var fault *store.FieldError
			require.ErrorAs(t, err, &fault, field)
			require.Equal(t, "events[1]."+strings.TrimSpace(field), fault.Field)
		}
		require.Empty(t, events(t, s, m, "org_1"), "nothing of a batch is kept")
		soon := callAt("evt_soon", clock.Now().Add(5*time.Minute))
		done, err := m.Ingest(t.Context(), []billing.UsageEvent{soon})
		require.NoError(t, err)
		require.Equal(t, 1, done.Accepted, "clocks differ")
	})
}

func TestCorrectionsAreEventsThatNameTheOther(t *testing.T) { // billing edges 19 and 57
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		m := metering(t, s, nil)
		call := callAt("evt_1", clock.Now().Add(-40*24*time.Hour)) // late
		refund := func(id, cost string, tokens int64) billing.UsageEvent {
			return billing.UsageEvent{Source: "gate", ID: id, OrgID: "org_1", Time: clock.Now(), Corrects: "evt_1", OutputTokens: tokens, Cost: decimal.RequireFromString(cost)}
		}
		done, err := m.Ingest(t.Context(), []billing.UsageEvent{call, refund("evt_2", "-0.01", -50)})
		require.NoError(t, err)
		require.Equal(t, 2, done.Accepted, "of what stands before it in the batch")
		done, err = m.Ingest(t.Context(), []billing.UsageEvent{refund("evt_2", "-0.01", -50), refund("evt_3", "0.003", 0), refund("evt_2", "-0.02", -50)})
		require.NoError(t, err)
		require.Equal(t, billing.Ingested{Accepted: 1, Duplicates: 1, Conflicts: []billing.UsageConflict{{Index: 2, Source: "gate", ID: "evt_2"}}}, done)

		list := events(t, s, m, "org_1")
		require.Len(t, list, 3)
		require.Equal(t, []string{"team_1", "usr_1", "gpt-4", "key_1"}, []string{list[1].TeamID, list[1].UserID, list[1].Model, list[1].KeyID}, "who it was")
		require.True(t, maps.Equal(call.Tags, list[1].Tags))
		for _, wrong := range []billing.UsageEvent{refund("evt_4", "-0.03", 0), refund("evt_5", "0", -201), {Source: "else", ID: "evt_6", OrgID: "org_1", Time: clock.Now(), Corrects: "evt_1"},
			{Source: "gate", ID: "evt_7", OrgID: "org_1", Time: clock.Now(), Corrects: "evt_2"}, {Source: "gate", ID: "evt_8", OrgID: "org_2", Time: clock.Now(), Corrects: "evt_1"}} {
			_, err := m.Ingest(t.Context(), []billing.UsageEvent{wrong})
			require.ErrorIs(t, err, store.ErrInvalid, wrong.ID)
		}
		checked(t, m, clock)
	})
}

func TestTagsBeyondTheMostAreSummedUpByName(t *testing.T) { // billing edge 59
	s := storetest.Open(t, "memory", store.Options{})
	m := metering(t, s, nil)
	var batch []billing.UsageEvent
	for i := range billing.MaxTagValues + 5 {
		e := callAt(fmt.Sprint("evt_", i), s.Now())
		e.Tags = map[string]string{"request=%": fmt.Sprint(i)}
		if batch = append(batch, e); len(batch) == store.MaxAppend {
			_, err := m.Ingest(t.Context(), batch)
			require.NoError(t, err)
			batch = nil
		}
	}
	_, err := m.Ingest(t.Context(), batch)
	require.NoError(t, err)
	wrong, err := m.Check(t.Context(), "org_1", s.Now(), s.Now())
	require.NoError(t, err)
	require.Empty(t, wrong)
	require.Equal(t, "4", events(t, s, m, "org_1")[4].Tags["request=%"], "events keep all of them")
}
