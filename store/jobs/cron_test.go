package jobs_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the same zones everywhere

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
)

// ticks are the first n of an expression after a local time, in local time.
func ticks(t testing.TB, cron, zone, after string, n int) (out []string) {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	require.NoError(t, err)
	at, err := time.ParseInLocation("2006-01-02 15:04:05", after, loc)
	require.NoError(t, err)
	for range n {
		at, err = jobs.Next(cron, zone, at)
		require.NoError(t, err)
		out = append(out, at.In(loc).Format("2006-01-02 15:04 MST"))
	}
	return out
}

func TestTicksWhereClocksAreChanged(t *testing.T) {
	const ny = "America/New_York" // 2024: forward on 10 March at 2:00, back on 3 November at 2:00
	for _, c := range []struct {
		about, cron, zone, after string
		want                     []string
	}{
		{"left out: once, at the first instant after", "30 2 * * *", ny, "2024-03-09 12:00:00",
			[]string{"2024-03-10 03:00 EDT", "2024-03-11 02:30 EDT"}},
		{"left out, several: once", "0,15,30 2 * * *", ny, "2024-03-10 00:00:00",
			[]string{"2024-03-10 03:00 EDT", "2024-03-11 02:00 EDT"}},
		{"left out, and at the first instant itself: once", "0 2,3 * * *", ny, "2024-03-10 00:00:00",
			[]string{"2024-03-10 03:00 EDT", "2024-03-11 02:00 EDT"}},
		{"the hour before and the hour after", "30 1-3 * * *", ny, "2024-03-10 00:00:00",
			[]string{"2024-03-10 01:30 EST", "2024-03-10 03:00 EDT", "2024-03-10 03:30 EDT", "2024-03-11 01:30 EDT"}},
		{"repeated: at the first pass", "30 1 * * *", ny, "2024-11-02 12:00:00",
			[]string{"2024-11-03 01:30 EDT", "2024-11-04 01:30 EST"}},
		{"the end of what is repeated", "0 2 * * *", ny, "2024-11-02 12:00:00",
			[]string{"2024-11-03 02:00 EST", "2024-11-04 02:00 EST"}},
		{"every hour: elapsed time", "0 * * * *", ny, "2024-03-10 00:30:00",
			[]string{"2024-03-10 01:00 EST", "2024-03-10 03:00 EDT", "2024-03-10 04:00 EDT"}},
		{"every hour: both passes", "30 * * * *", ny, "2024-11-03 00:45:00",
			[]string{"2024-11-03 01:30 EDT", "2024-11-03 01:30 EST", "2024-11-03 02:30 EST"}},
		{"a step: nothing in what is left out", "0 */2 * * *", ny, "2024-03-10 00:00:00",
			[]string{"2024-03-10 04:00 EDT", "2024-03-10 06:00 EDT"}},
		{"every quarter of an hour: both passes", "*/15 */1 * * *", ny, "2024-11-03 01:40:00",
			[]string{"2024-11-03 01:45 EDT", "2024-11-03 01:00 EST", "2024-11-03 01:15 EST"}},
		{"half an hour left out", "15 2 * * *", "Australia/Lord_Howe", "2024-10-05 12:00:00",
			[]string{"2024-10-06 02:30 +11", "2024-10-07 02:15 +11"}},
		{"half an hour repeated", "45 1 * * *", "Australia/Lord_Howe", "2024-04-06 12:00:00",
			[]string{"2024-04-07 01:45 +11", "2024-04-08 01:45 +1030"}},
		{"midnight left out", "0 0 * * *", "Africa/Cairo", "2024-04-25 12:00:00",
			[]string{"2024-04-26 01:00 EEST", "2024-04-27 00:00 EEST"}},
		{"a day left out", "0 12 * * *", "Pacific/Apia", "2011-12-29 13:00:00",
			[]string{"2011-12-31 00:00 +14", "2011-12-31 12:00 +14"}},
		{"no clocks are changed", "30 2 * * *", "Asia/Tokyo", "2024-03-10 02:30:00", []string{"2024-03-11 02:30 JST"}},
		{"either day", "0 0 13 * 5", "", "2024-09-01 00:00:00",
			[]string{"2024-09-06 00:00 UTC", "2024-09-13 00:00 UTC", "2024-09-20 00:00 UTC"}},
		{"a day field that begins with * is no restriction", "0 0 */2 * 5", "", "2024-09-01 00:00:00",
			[]string{"2024-09-13 00:00 UTC", "2024-09-27 00:00 UTC", "2024-10-11 00:00 UTC"}},
		{"leap days over a century that has none", "0 0 29 2 *", "", "2096-02-29 00:00:00", []string{"2104-02-29 00:00 UTC"}},
		{"the last day of a leap year, far away", "0 0 1 1 *", ny, "2040-12-30 12:00:00", []string{"2041-01-01 00:00 EST"}},
		{"an hour of it", "0 * 31 12 *", ny, "2044-12-31 18:30:00", []string{"2044-12-31 19:00 EST", "2044-12-31 20:00 EST"}},
		{"names", "0 9 * jan mon", "", "2024-01-01 09:00:00", []string{"2024-01-08 09:00 UTC"}},
		{"seconds are passed over", "* * * * *", "", "2024-01-01 09:00:59", []string{"2024-01-01 09:01 UTC"}},
	} {
		require.Equal(t, c.want, ticks(t, c.cron, c.zone, c.after, len(c.want)), c.about)
	}
}

func TestExpressionsAndZonesThatAreNone(t *testing.T) {
	for _, cron := range []string{"", "* * * *", "* * * * * *", "60 * * * *", "* * * * 8", "@daily", "@every 1m", "TZ=UTC * * * * *", "TZ=UTC",
		"TZ=UTC a b c d", "*/0 * * * *", "a b c d e", "0 0 30 2 *", "5-1 * * * *", "10 0 * 2 ,", strings.Repeat("1,", 300) + "1 * * * *"} {
		_, err := jobs.Next(cron, "America/New_York", time.Now())
		var wrong *store.FieldError
		require.ErrorAs(t, err, &wrong, cron)
		require.Equal(t, "cron", wrong.Field)
		if len(cron) > 4 {
			require.NotContains(t, err.Error(), cron)
		}
	}
	for _, zone := range []string{"Nowhere/City", "Local", "../etc/passwd", "EST5EDT4", "\x00"} {
		_, err := jobs.Next("* * * * *", zone, time.Now())
		var wrong *store.FieldError
		require.ErrorAs(t, err, &wrong, zone)
		require.Equal(t, "zone", wrong.Field)
	}
}

// field is a cron field with the set of values that it names, so that the reference parses nothing.
type field struct {
	text string
	set  []int
}

func fields(low, high int) *rapid.Generator[field] {
	return rapid.Custom(func(t *rapid.T) field {
		var f field
		switch rapid.SampledFrom([]string{"all", "one", "one", "list", "range", "step", "range step"}).Draw(t, "form") {
		case "all":
			f.text = "*"
			for v := low; v <= high; v++ {
				f.set = append(f.set, v)
			}
		case "one":
			v := rapid.IntRange(low, high).Draw(t, "v")
			f = field{strconv.Itoa(v), []int{v}}
		case "list":
			f.set = rapid.SliceOfN(rapid.IntRange(low, high), 1, 4).Draw(t, "values")
			f.text = strings.Trim(strings.ReplaceAll(fmt.Sprint(f.set), " ", ","), "[]")
		case "range":
			from := rapid.IntRange(low, high).Draw(t, "from")
			to := rapid.IntRange(from, high).Draw(t, "to")
			f.text = fmt.Sprintf("%d-%d", from, to)
			for v := from; v <= to; v++ {
				f.set = append(f.set, v)
			}
		case "step":
			step := rapid.IntRange(1, high).Draw(t, "step")
			f.text = fmt.Sprintf("*/%d", step)
			for v := low; v <= high; v += step {
				f.set = append(f.set, v)
			}
		default:
			from := rapid.IntRange(low, high).Draw(t, "from")
			to := rapid.IntRange(from, high).Draw(t, "to")
			step := rapid.IntRange(1, 5).Draw(t, "step")
			f.text = fmt.Sprintf("%d-%d/%d", from, to, step)
			for v := from; v <= to; v += step {
				f.set = append(f.set, v)
			}
		}
		return f
	})
}

// reference walks time minute by minute and applies the rule of ISC cron, read aloud.
func reference(f [5]field, loc *time.Location, after time.Time, minutes int) []time.Time {
	names := func(wall time.Time) bool {
		dom, dow := slices.Contains(f[2].set, wall.Day()), slices.Contains(f[4].set, int(wall.Weekday()))
		day := dom && dow
		if f[2].text[0] != '*' && f[4].text[0] != '*' {
			day = dom || dow
		}
		return day && slices.Contains(f[0].set, wall.Minute()) && slices.Contains(f[1].set, wall.Hour()) && slices.Contains(f[3].set, int(wall.Month()))
	}
	read := func(t time.Time) time.Time { // the wall clock
		t = t.In(loc)
		return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC)
	}
	elapsed := strings.ContainsAny(f[1].text, "*/")
	var out []time.Time
	start := after.Truncate(time.Minute).Add(-3 * time.Hour) // so that it has seen what is repeated
	highest := read(start)
	for i := range minutes + 3*60 {
		t := start.Add(time.Duration(i+1) * time.Minute)
		wall := read(t)
		tick := names(wall)
		if !elapsed {
			if !wall.After(highest) {
				tick = false // the second pass
			}
			for skipped := highest.Add(time.Minute); skipped.Before(wall); skipped = skipped.Add(time.Minute) {
				tick = tick || names(skipped) // left out: now
			}
		}
		if wall.After(highest) {
			highest = wall
		}
		if tick && t.After(after) {
			out = append(out, t)
		}
	}
	return out
}

func TestNextAgreesWithWalkingMinuteByMinute(t *testing.T) {
	// Spring, autumn, at midnight, by half an hour, by a day, backwards in summer, for Ramadan, never.
	changes := []struct{ zone, day string }{
		{"America/New_York", "2024-03-10"}, {"America/New_York", "2024-11-03"}, {"Europe/Berlin", "2025-03-30"}, {"Europe/Berlin", "2025-10-26"},
		{"Africa/Cairo", "2024-04-26"}, {"Africa/Cairo", "2024-11-01"}, {"Australia/Lord_Howe", "2024-10-06"}, {"Australia/Lord_Howe", "2024-04-07"},
		{"Pacific/Apia", "2011-12-30"}, {"Pacific/Kwajalein", "1993-08-21"}, {"Europe/Dublin", "2024-10-27"}, {"Africa/Casablanca", "2024-03-10"},
		{"Africa/Casablanca", "2024-04-14"}, {"America/Sao_Paulo", "2018-11-04"}, {"America/St_Johns", "2006-04-02"}, {"America/St_Johns", "2006-10-29"},
		{"Asia/Pyongyang", "2018-05-05"}, {"America/Caracas", "2007-12-09"}, {"Antarctica/Troll", "2024-03-31"}, {"Asia/Gaza", "2024-04-20"},
		{"Asia/Kathmandu", "2024-01-01"}, {"UTC", "2024-02-29"}, {"America/New_York", "2060-03-14"}, {"Pacific/Chatham", "2024-09-29"},
		{"America/New_York", "2044-12-31"},
	}
	var all []int
	for v := range 32 {
		all = append(all, v)
	}
	rapid.Check(t, func(t *rapid.T) {
		change := rapid.SampledFrom(changes).Draw(t, "change")
		loc, err := time.LoadLocation(change.zone)
		require.NoError(t, err)
		day, err := time.ParseInLocation("2006-01-02", change.day, loc)
		require.NoError(t, err)
		after := day.Add(time.Duration(rapid.IntRange(-36*3600, 36*3600).Draw(t, "seconds")) * time.Second)
		f := [5]field{fields(0, 59).Draw(t, "minute"), fields(0, 23).Draw(t, "hour"), fields(1, 31).Draw(t, "dom"), fields(1, 12).Draw(t, "month"), fields(0, 6).Draw(t, "dow")}
		if rapid.Bool().Draw(t, "near") { // every day, in the hours where clocks are changed
			f[1] = rapid.SampledFrom([]field{{"0", []int{0}}, {"1", []int{1}}, {"2", []int{2}}, {"3", []int{3}}, {"0-3", []int{0, 1, 2, 3}},
				{"1,2", []int{1, 2}}, {"1-3/2", []int{1, 3}}, {"*", all[:24]}, {"*/12", []int{0, 12}}}).Draw(t, "near hour")
			f[2], f[3], f[4] = field{"*", all}, field{"*", all}, field{"*", all}
		}
		cron := strings.Join([]string{f[0].text, f[1].text, f[2].text, f[3].text, f[4].text}, " ")
		const minutes = 2 * 24 * 60
		end := after.Truncate(time.Minute).Add(minutes * time.Minute)
		at := after
		for _, want := range reference(f, loc, after, minutes) {
			next, err := jobs.Next(cron, change.zone, at)
			require.NoError(t, err)
			require.Equal(t, want.UTC(), next, "%s in %s after %s", cron, change.zone, at)
			at = next
		}
		next, err := jobs.Next(cron, change.zone, at)
		if err == nil {
			require.True(t, next.After(end), "%s in %s after %s: %s", cron, change.zone, at, next)
		}
	})
}

func FuzzNext(f *testing.F) {
	f.Add("30 2 * * *", "America/New_York", int64(1710028800))
	f.Add("TZ=", "UTC", int64(0))
	f.Add("*/15 1-3/2 ? jan-mar mon,5", "Pacific/Apia", int64(-1))
	f.Fuzz(func(t *testing.T, cron, zone string, after int64) {
		at := time.Unix(after%(1<<33), 0)
		next, err := jobs.Next(cron, zone, at)
		if err != nil {
			require.ErrorIs(t, err, store.ErrInvalid)
			return
		}
		require.True(t, next.After(at))
		require.Zero(t, next.Nanosecond())
		again, err := jobs.Next(cron, zone, next.Add(-time.Nanosecond))
		require.NoError(t, err)
		require.Equal(t, next, again, "it is the first after every instant in between")
	})
}
