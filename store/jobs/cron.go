package jobs

import (
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/orgkit/orgkit/store"
)

// Next returns the first instant strictly after a time at which a cron expression has a tick, in UTC.
//
// The expression has the five fields minute, hour, day of month, month and day of week, with *, lists,
// ranges, steps and English names; 0 is Sunday. Where both day fields are restricted, that is none of
// them begins with *, a day that meets one of them will do. The zone is a name of the IANA database, ""
// is UTC; the host needs that database, or imports time/tzdata.
//
// Where clocks are changed the rule is that of ISC cron. A tick of an expression with fixed hours that
// falls into the time that is left out is once, at the first instant after it; one that falls into the time
// that is repeated is at the first pass only. An expression whose hour field has * or a step follows
// elapsed time: it has no ticks in what is left out, and those of both passes of what is repeated.
//
// A *[store.FieldError] names "cron" or "zone"; on "cron" it also says when there is no tick in the next
// 50 years, as on 30 February.
func Next(cron, zone string, after time.Time) (time.Time, error) {
	e, err := parse(cron, zone)
	if err != nil {
		return time.Time{}, err
	}
	next, ok := e.next(after)
	if !ok {
		return time.Time{}, store.Invalid("cron", "range", "never has a tick")
	}
	return next, nil
}

// expression is a parsed cron expression in its zone. The sets have a bit for each value.
type expression struct {
	zone                          *time.Location
	minute, hour, dom, month, dow uint64
	eitherDay                     bool // a day that meets one of the day fields will do
	elapsed                       bool // ticks follow elapsed time where clocks are changed
}

// maxExpression bounds what is parsed.
const maxExpression = 200 // bytes

var fields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

func parse(text, zone string) (*expression, error) {
	parts := strings.Fields(text)
	if len(text) > maxExpression || len(parts) != 5 || strings.ContainsAny(text, "=@") {
		return nil, store.Invalid("cron", "pattern", "has five fields: minute, hour, day of month, month, day of week")
	}
	parsed, err := fields.Parse(text)
	if err != nil {
		return nil, store.Invalid("cron", "pattern", "is not a cron expression")
	}
	spec := parsed.(*cron.SpecSchedule)
	if spec.Minute == 0 || spec.Hour == 0 || spec.Dom == 0 || spec.Month == 0 || spec.Dow == 0 { // of "," alone
		return nil, store.Invalid("cron", "pattern", "is not a cron expression")
	}
	e := &expression{minute: spec.Minute, hour: spec.Hour, dom: spec.Dom, month: spec.Month, dow: spec.Dow}
	starts := func(field string) bool { return strings.HasPrefix(field, "*") || strings.HasPrefix(field, "?") }
	e.eitherDay = !starts(parts[2]) && !starts(parts[4])
	e.elapsed = strings.ContainsAny(parts[1], "*?/")
	if zone == "" {
		zone = "UTC"
	}
	// Local is what the machine is set to, which differs between processes.
	if e.zone, err = time.LoadLocation(zone); err != nil || zone == "Local" {
		return nil, store.Invalid("zone", "unknown", "is no time zone of the IANA database")
	}
	return e, nil
}

// horizon is how far next looks: 29 February may be restricted to some days of the week.
const horizon = 50 // years

// next walks the spans of time in which the zone has one offset. In each, local time is an instant
// moved by the offset; a local time is written as the time in UTC that reads the same.
func (e *expression) next(after time.Time) (time.Time, bool) {
	after = after.UTC().Round(0)
	end := after.AddDate(horizon, 0, 0)
	if end.After(never) {
		return time.Time{}, false
	}
	from, offset, to := e.span(after)
	low := after.Add(offset).Truncate(time.Minute).Add(time.Minute) // strictly after
	// passed is the local time up to which everything has been, or was left out.
	passed := time.Time{}
	if !from.IsZero() {
		passed = from.Add(offsetAt(from.Add(-time.Second), e.zone))
	}
	for {
		if !e.elapsed {
			low = later(low, passed) // what is before is the second pass
		}
		if to.After(end) {
			to = end
		}
		high := to.Add(offset)
		if wall, ok := e.search(ceil(low), high); ok {
			return wall.Add(-offset), true
		}
		if !to.Before(end) {
			return time.Time{}, false
		}
		passed = later(passed, high)
		at := to
		_, offset, to = e.span(at)
		low = at.Add(offset)
		if _, out := e.search(ceil(passed), low); out && !e.elapsed {
			return at, true // it was left out
		}
	}
}

// span is a time around an instant in which the zone has one offset. It need not be the longest: what is
// right does not hang on where spans of the same offset are cut.
func (e *expression) span(at time.Time) (from time.Time, offset time.Duration, to time.Time) {
	from, to = at.In(e.zone).ZoneBounds()
	if to.IsZero() {
		to = never
	}
	if !to.After(at) { // as Go 1.26 says on the last day of leap years that lie behind the table of a zone
		to = at.Truncate(time.Minute).Add(time.Minute)
	}
	return from.UTC(), offsetAt(at, e.zone), to.UTC()
}

func offsetAt(t time.Time, zone *time.Location) time.Duration {
	_, seconds := t.In(zone).Zone()
	return time.Duration(seconds) * time.Second
}

// ceil is the first whole minute that is not before a time.
func ceil(t time.Time) time.Time {
	if whole := t.Truncate(time.Minute); whole.Before(t) {
		return whole.Add(time.Minute)
	}
	return t
}

// search finds the first local time at or after t, a whole minute, that the expression names. It lies
// before end.
func (e *expression) search(t, end time.Time) (time.Time, bool) {
	for t.Before(end) {
		y, m, d := t.Date()
		switch {
		case !has(e.month, int(m)):
			t = time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
		case !e.day(t):
			t = time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
		case !has(e.hour, t.Hour()):
			t = t.Truncate(time.Hour).Add(time.Hour)
		case !has(e.minute, t.Minute()):
			t = t.Add(time.Minute)
		default:
			return t, true
		}
	}
	return t, false
}

func (e *expression) day(t time.Time) bool {
	dom, dow := has(e.dom, t.Day()), has(e.dow, int(t.Weekday()))
	if e.eitherDay {
		return dom || dow
	}
	return dom && dow
}

func has(set uint64, value int) bool { return set&(1<<value) != 0 }
