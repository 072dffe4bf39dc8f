package billing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orgkit/orgkit/billing"
)

func window(t require.TestingT, s string) billing.Window {
	w, err := billing.ParseWindow(s)
	require.NoError(t, err, s)
	return w
}

func zone(t require.TestingT, name string) *time.Location {
	z, err := time.LoadLocation(name)
	require.NoError(t, err)
	return z
}

func at(t require.TestingT, text string) time.Time {
	v, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return v.UTC()
}

func TestPeriods(t *testing.T) {
	for _, c := range []struct{ name, window, zone, anchor, now, start, end string }{
		{"edge 1: a month begins in its zone", "calendar_month", "America/New_York", "2020-01-01T00:00:00Z", "2024-03-01T04:59:59Z", "2024-02-01T05:00:00Z", "2024-03-01T05:00:00Z"},
		{"edge 1: and ends where daylight time began", "calendar_month", "America/New_York", "2020-01-01T00:00:00Z", "2024-03-15T00:00:00Z", "2024-03-01T05:00:00Z", "2024-04-01T04:00:00Z"},
		{"edge 2: a day of 23 hours", "calendar_day", "America/New_York", "2020-01-01T00:00:00Z", "2024-03-10T12:00:00Z", "2024-03-10T05:00:00Z", "2024-03-11T04:00:00Z"},
		{"edge 2: a day of 25 hours", "calendar_day", "America/New_York", "2020-01-01T00:00:00Z", "2024-11-03T12:00:00Z", "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z"},
		{"edge 2: a midnight that does not exist", "calendar_day", "America/Sao_Paulo", "2018-01-01T00:00:00Z", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"},
		{"edge 3: the 31st of a short month", "1mo", "UTC", "2023-01-31T10:00:00Z", "2023-03-01T00:00:00Z", "2023-02-28T10:00:00Z", "2023-03-31T10:00:00Z"},
		{"edge 4: thirty days are no month", "30d", "UTC", "2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z", "2024-01-31T00:00:00Z", "2024-03-01T00:00:00Z"},
		{"edge 5: years asleep", "7d", "UTC", "2020-01-01T00:00:00Z", "2024-01-01T00:00:00Z", "2023-12-27T00:00:00Z", "2024-01-03T00:00:00Z"},
		{"edge 1: the end is of the next one", "calendar_month", "America/New_York", "2020-01-01T00:00:00Z", "2024-03-01T05:00:00Z", "2024-03-01T05:00:00Z", "2024-04-01T04:00:00Z"},
		{"edge 8: beyond 32 bits of seconds", "90s", "UTC", "2038-01-19T03:14:07Z", "2038-01-19T03:14:08Z", "2038-01-19T03:14:07Z", "2038-01-19T03:15:37Z"},
		{"edge 8: beyond 292 years of nanoseconds", "1h", "UTC", "2024-01-01T00:30:00Z", "9999-12-31T22:00:00Z", "9999-12-31T21:30:00Z", "9999-12-31T22:30:00Z"},
		{"edge 8: days in a far year", "7d", "UTC", "2024-01-01T00:00:00Z", "9999-06-30T12:00:00Z", "9999-06-28T00:00:00Z", "9999-07-05T00:00:00Z"},
		{"edge 8: the last month but one", "calendar_month", "Asia/Tokyo", "2020-01-01T00:00:00Z", "9999-11-15T00:00:00Z", "9999-10-31T15:00:00Z", "9999-11-30T15:00:00Z"},
		{"edge 8: the 29th of February, a year on", "12mo", "UTC", "2024-02-29T00:00:00Z", "2025-03-01T00:00:00Z", "2025-02-28T00:00:00Z", "2026-02-28T00:00:00Z"},
		{"edge 8: a leap day", "calendar_day", "UTC", "2020-01-01T00:00:00Z", "2024-02-29T23:59:59Z", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"},
		{"a week begins on Monday", "calendar_week", "UTC", "2020-01-01T00:00:00Z", "2024-03-10T12:00:00Z", "2024-03-04T00:00:00Z", "2024-03-11T00:00:00Z"},
		{"a quarter", "calendar_quarter", "UTC", "2020-01-01T00:00:00Z", "2024-06-30T12:00:00Z", "2024-04-01T00:00:00Z", "2024-07-01T00:00:00Z"},
		{"before the anchor", "1h", "UTC", "2024-01-01T00:30:00Z", "2023-12-31T23:29:00Z", "2023-12-31T22:30:00Z", "2023-12-31T23:30:00Z"},
		{"half an hour of daylight time", "calendar_day", "Australia/Lord_Howe", "2024-01-01T00:00:00Z", "2024-10-06T00:00:00Z", "2024-10-05T13:30:00Z", "2024-10-06T13:00:00Z"},
	} {
		start, end := window(t, c.window).Period(zone(t, c.zone), at(t, c.anchor), at(t, c.now))
		require.Equal(t, at(t, c.start), start, c.name)
		require.Equal(t, at(t, c.end), end, c.name)
	}
}

func TestPeriodsFollowEachOther(t *testing.T) {
	windows := []string{"calendar_day", "calendar_week", "calendar_month", "calendar_quarter", "calendar_year", "90s", "5m", "36h", "1d", "30d", "2w", "1mo", "5mo"}
	zones := []string{"UTC", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "Europe/London"}
	instant := rapid.Int64Range(0, 4_000_000_000)
	rapid.Check(t, func(t *rapid.T) {
		w := window(t, rapid.SampledFrom(windows).Draw(t, "window"))
		z := zone(t, rapid.SampledFrom(zones).Draw(t, "zone"))
		anchor, now := time.Unix(instant.Draw(t, "anchor"), 0), time.Unix(instant.Draw(t, "now"), 0)
		start, end := w.Period(z, anchor, now)
		require.True(t, !now.Before(start) && now.Before(end), "%v is not in [%v, %v)", now, start, end)
		s2, e2 := w.Period(z, anchor, start)
		require.Equal(t, start, s2)
		require.Equal(t, end, e2)
		next, _ := w.Period(z, anchor, end)
		require.Equal(t, end, next, "no gap and no overlap")
	})
}

func TestWindowsAreParsed(t *testing.T) {
	for _, s := range []string{"calendar_month", "60s", "1m", "24h", "30d", "2w", "1mo", "120mo"} {
		require.Equal(t, s, window(t, s).String())
	}
	for _, s := range []string{"", "59s", "0d", "-1d", "1y", "d", "1.5h", "99999999999d", "4000d", "1 d", "month", "01d"} { // edge 8
		_, err := billing.ParseWindow(s)
		require.ErrorIs(t, err, billing.ErrWindow, s)
	}
}

func FuzzParseWindow(f *testing.F) {
	f.Add("30d")
	f.Add("calendar_month")
	f.Fuzz(func(t *testing.T, s string) {
		if w, err := billing.ParseWindow(s); err == nil {
			require.Equal(t, s, w.String())
		}
	})
}
