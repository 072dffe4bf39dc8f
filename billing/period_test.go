package billing_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
)

func TestPeriodsAreResolvedInTheZone(t *testing.T) { // F235, F330; billing edges 1 and 2
	zone, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	now := time.Date(2024, 3, 12, 15, 30, 0, 0, time.UTC) // 11:30, two days after the clocks went forward
	const to = "2024-03-12T15:30:00.000001Z"
	for text, want := range map[string][2]string{
		`"today"`:            {"2024-03-12T04:00:00Z", to},
		`"yesterday"`:        {"2024-03-11T04:00:00Z", "2024-03-12T04:00:00Z"},
		`"last_1_days"`:      {"2024-03-11T15:30:00Z", to},
		`"last_30_days"`:     {"2024-02-11T16:30:00Z", to}, // 11:30 of winter
		`"last_366_days"`:    {"2023-03-12T15:30:00Z", to},
		`"month_to_date"`:    {"2024-03-01T05:00:00Z", to},
		`"previous_month"`:   {"2024-02-01T05:00:00Z", "2024-03-01T05:00:00Z"},
		`"previous_quarter"`: {"2023-10-01T04:00:00Z", "2024-01-01T05:00:00Z"},
		`"year_to_date"`:     {"2024-01-01T05:00:00Z", to},
		`{"start": "2024-03-10", "end": "2024-03-10"}`: {"2024-03-10T05:00:00Z", "2024-03-11T04:00:00Z"}, // 23 hours
		`{"start": "2024-02-28", "end": "2024-03-01"}`: {"2024-02-28T05:00:00Z", "2024-03-02T05:00:00Z"},
	} {
		var p billing.Period
		require.NoError(t, json.Unmarshal([]byte(text), &p), text)
		s := p.Resolve(zone, now)
		require.Equal(t, want, [2]string{s.From.Format(time.RFC3339Nano), s.Below.Format(time.RFC3339Nano)}, text)
		again, err := json.Marshal(p)
		require.NoError(t, err)
		require.JSONEq(t, text, string(again))
	}
	for text, field := range map[string]string{
		`"last_0_days"`: "period", `"last_367_days"`: "period", `"last_030_days"`: "period", `"fortnight"`: "period", `7`: "period", `{"name": "today"}`: "period",
		`{}`: "start", `{"start": "2024-01-01"}`: "end", `{"start": "2024-01-02", "end": "2024-01-01"}`: "end", `{"start": "2024-13-01", "end": "2024-01-01"}`: "start",
		`{"start": "2010-01-01", "end": "2024-01-01"}`: "start",
	} {
		var p billing.Period
		var fault *store.FieldError
		require.ErrorAs(t, json.Unmarshal([]byte(text), &p), &fault, text)
		require.Equal(t, field, fault.Field, text)
	}
	_, err = billing.ParsePeriod("today", "2024-01-01", "2024-01-01")
	require.ErrorIs(t, err, store.ErrInvalid, "both forms at once")
}

// A period that can be read can be written and read again, and never ends before it begins.
func FuzzPeriod(f *testing.F) {
	for _, s := range []string{`"last_30_days"`, `{"start": "2024-02-28", "end": "2024-03-01"}`, `"previous_month"`, `null`, `"last_9999999999999999999_days"`} {
		f.Add(s)
	}
	lisbon, err := time.LoadLocation("Europe/Lisbon")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text string) {
		var p, back billing.Period
		if json.Unmarshal([]byte(text), &p) != nil || p == (billing.Period{}) {
			return
		}
		b, err := json.Marshal(p)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, &back))
		require.Equal(t, p, back)
		s := p.Resolve(lisbon, time.Date(2024, 10, 27, 0, 30, 0, 0, time.UTC))
		require.True(t, s.From.Before(s.Below))
	})
}
