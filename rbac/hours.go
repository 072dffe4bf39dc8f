package rbac

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/orgkit/orgkit/store"
)

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func (c *TimeCondition) validate(at string) error {
	if c == nil {
		return nil
	}
	bad := func(field, code, text string) error { return store.Invalid(join(at, field), code, "%s", text) }
	switch c.Type {
	case TimeBetween:
		start, err := time.Parse(time.RFC3339, c.Start)
		if err != nil {
			return bad("start", "time", "must be an RFC 3339 time")
		}
		end, err := time.Parse(time.RFC3339, c.End)
		if err != nil || !end.After(start) {
			return bad("end", "time", "must be an RFC 3339 time after start")
		}
		return nil
	case BusinessHours:
	default:
		return bad("type", "enum", "must be business_hours or time_between")
	}
	if _, err := time.LoadLocation(c.Timezone); err != nil || c.Timezone == "Local" {
		return bad("timezone", "enum", "must be an IANA time zone")
	}
	for i, d := range c.Days {
		if !slices.Contains(weekdays, d) {
			return bad(fmt.Sprintf("days[%d]", i), "enum", "must be one of "+strings.Join(weekdays, ", "))
		}
	}
	if c.Hours == nil {
		return bad("hours", "required", "is required")
	}
	start, err := minuteOf(c.Hours.Start)
	if err != nil {
		return bad("hours.start", "time", "must be HH:MM")
	}
	end, err := minuteOf(c.Hours.End)
	if err != nil {
		return bad("hours.end", "time", "must be HH:MM")
	}
	if start == end {
		return bad("hours.end", "range", "must differ from start")
	}
	return nil
}

// minuteOf reads HH:MM as a minute of the day.
func minuteOf(s string) (int, error) {
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != 5 {
		return 0, ErrPattern
	}
	return t.Hour()*60 + t.Minute(), nil
}

func (c *TimeCondition) describe(zone *time.Location) string {
	if c.Type == TimeBetween {
		return c.Start + " to " + c.End
	}
	days := c.Days
	if len(days) == 0 {
		days = weekdays[1:6]
	}
	where := c.Timezone
	if where == "" && zone != nil {
		where = zone.String()
	}
	return fmt.Sprintf("%s to %s %s, %s", c.Hours.Start, c.Hours.End, where, strings.Join(days, " "))
}

func (c *TimeCondition) on(d time.Weekday) bool {
	if len(c.Days) == 0 {
		return d != time.Saturday && d != time.Sunday
	}
	return slices.Contains(c.Days, weekdays[d])
}

// timeTest judges by the wall clock of its zone, so that it is right on the days on which clocks are
// changed: a window from 09:00 to 18:00 opens and closes at these times of that day.
type timeTest struct {
	text string

	between    bool
	start, end int64 // of time_between, in nanoseconds since 1970

	zone     *time.Location
	days     [7]bool
	from, to int64 // seconds of the day; to before from is on the next day

	last atomic.Pointer[window]
}

// window is a time, in seconds since 1970, in which the hours are open or closed throughout. The next call
// mostly falls into the window of the last one, and then asks no calendar.
type window struct {
	from, until int64
	open        bool
}

func (c *TimeCondition) compile(zone *time.Location) (t *timeTest, err error) {
	t = &timeTest{text: c.describe(zone), between: c.Type == TimeBetween, zone: zone}
	if t.between {
		start, err := time.Parse(time.RFC3339, c.Start)
		if err != nil {
			return nil, err
		}
		end, err := time.Parse(time.RFC3339, c.End)
		t.start, t.end = nanosOf(start), nanosOf(end)
		return t, err
	}
	if c.Timezone != "" {
		if t.zone, err = time.LoadLocation(c.Timezone); err != nil {
			return nil, err
		}
	}
	if t.zone == nil {
		t.zone = time.UTC
	}
	for d := range t.days {
		t.days[d] = c.on(time.Weekday(d))
	}
	if c.Hours == nil {
		return nil, ErrPattern
	}
	start, err := minuteOf(c.Hours.Start)
	if err != nil {
		return nil, err
	}
	end, err := minuteOf(c.Hours.End)
	t.from, t.to = int64(start)*60, int64(end)*60
	return t, err
}

func (t *timeTest) truth(e *evaluation) Truth {
	if e.now.IsZero() {
		return Unknown
	}
	if t.between {
		switch now := nanosOf(e.now); {
		case now < t.start:
			e.holdsFor(time.Duration(t.start - now))
			return False
		case now < t.end:
			e.holdsFor(time.Duration(t.end - now))
			return True
		}
		return False
	}
	now := e.now.Unix()
	w := t.last.Load()
	if w == nil || now < w.from || now >= w.until {
		w = t.windowAt(now)
		t.last.Store(w)
	}
	if left := w.until - now; left < int64(forever/time.Second) {
		e.holdsFor(time.Duration(left)*time.Second - time.Duration(e.now.Nanosecond()))
	}
	return truth(w.open)
}

// nanosOf is the time in nanoseconds since 1970, up to a century and a half from there at most, so that no two
// lie too far apart to be subtracted.
func nanosOf(t time.Time) int64 {
	const most = 146 * 365 * 24 * 60 * 60
	if s := t.Unix(); s < -most || s > most {
		return max(-most, min(most, s)) * 1e9
	}
	return t.UnixNano()
}

const day = 24 * 60 * 60

// windowAt finds the window around a time. Between two changes of the zone's offset its wall clock runs
// evenly, so a window ends there at the latest and what lies within is arithmetic.
func (t *timeTest) windowAt(now int64) *window {
	local := time.Unix(now, 0).In(t.zone)
	_, offset := local.Zone()
	wall := now + int64(offset) // seconds on the wall clock since 1970
	w := &window{from: math.MinInt64, until: math.MaxInt64, open: t.open(wall)}
	today := floor(wall, day)
	for d := today; d <= today+8*day && w.until == math.MaxInt64; d += day {
		for _, edge := range [...]int64{d, d + min(t.from, t.to), d + max(t.from, t.to)} {
			if edge > wall && t.open(edge) != w.open {
				w.until = edge - int64(offset)
				break
			}
		}
	}
	for d := today; d >= today-8*day && w.from == math.MinInt64; d -= day {
		for _, edge := range [...]int64{d + max(t.from, t.to), d + min(t.from, t.to), d} {
			if edge <= wall && t.open(edge-1) != w.open {
				w.from = edge - int64(offset)
				break
			}
		}
	}
	begin, end := local.ZoneBounds()
	if !begin.IsZero() {
		w.from = max(w.from, begin.Unix())
	}
	if !end.IsZero() {
		w.until = min(w.until, end.Unix())
	}
	return w
}

// open says whether the hours are open at a time of the wall clock. Past midnight a window belongs to the
// day on which it opened.
func (t *timeTest) open(wall int64) bool {
	date := floor(wall, day)
	second := wall - date
	weekday := ((date/day+4)%7 + 7) % 7 // 1 January 1970 was a Thursday
	if t.from < t.to {
		return t.days[weekday] && t.from <= second && second < t.to
	}
	return t.days[weekday] && second >= t.from || t.days[(weekday+6)%7] && second < t.to
}

// floor rounds down to a multiple.
func floor(n, unit int64) int64 { return n - ((n%unit)+unit)%unit }
