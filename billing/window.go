package billing

import (
	"errors"
	"regexp"
	"strconv"
	"time"
)

// ErrWindow: a text is no budget window.
var ErrWindow = errors.New("malformed window")

// Window is how long a budget's periods are. It is comparable; the zero Window is none.
type Window struct {
	n    int
	unit string // s, m, h, d, w, mo, or one of the calendar names
}

// The calendar windows begin where people expect it: at the first instant of the day, Monday,
// month or quarter in the zone of the budget.
const (
	CalendarDay     = "calendar_day"
	CalendarWeek    = "calendar_week"
	CalendarMonth   = "calendar_month"
	CalendarQuarter = "calendar_quarter"
	CalendarYear    = "calendar_year"
)

// Lifetime is the window of a budget that never begins anew: what is spent of it is gone, and what is left is a balance
// ([Ledger.SetBalance]).
const Lifetime = "lifetime"

var windowForm = regexp.MustCompile(`^([1-9][0-9]{0,8})(s|m|h|d|w|mo)$`)

var unitSeconds = map[string]int{"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "mo": 31 * 86400}

// maxWindowSeconds bounds a window to ten years, 120 months of 31 days.
const maxWindowSeconds = 120 * 31 * 86400

// ParseWindow reads calendar_day, _week, _month, _quarter or _year, lifetime, or <n>(s|m|h|d|w|mo) from a
// minute to ten years.
func ParseWindow(s string) (Window, error) {
	switch s {
	case CalendarDay, CalendarWeek, CalendarMonth, CalendarQuarter, CalendarYear, Lifetime:
		return Window{1, s}, nil
	}
	m := windowForm.FindStringSubmatch(s)
	if m == nil {
		return Window{}, ErrWindow
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return Window{}, ErrWindow
	}
	if length := n * unitSeconds[m[2]]; length < 60 || length > maxWindowSeconds {
		return Window{}, ErrWindow
	}
	return Window{n, m[2]}, nil
}

// String is what ParseWindow reads.
func (w Window) String() string {
	if len(w.unit) > 2 {
		return w.unit
	}
	return strconv.Itoa(w.n) + w.unit
}

// Period returns the period that contains now, as UTC instants, start inclusive, end exclusive.
// Periods follow each other without a gap. That of [Lifetime] begins with 1970, and its end is the zero time: none.
//
// Windows of s, m and h are elapsed time from the anchor. Windows of d, w and mo keep the anchor's
// wall clock in the zone: a day may have 23 or 25 hours, and the 31st is the last day of shorter
// months, always counted from the anchor (billing edges 2 and 3). A local time that does not exist
// is the first instant after the gap.
func (w Window) Period(zone *time.Location, anchor, now time.Time) (start, end time.Time) {
	if zone == nil {
		zone = time.UTC
	}
	switch w.unit {
	case Lifetime:
		return time.Unix(0, 0).UTC(), time.Time{}
	case "s", "m", "h":
		length := int64(w.n * unitSeconds[w.unit]) // a time.Duration would end after 292 years
		passed := now.Unix() - anchor.Unix()
		if now.Nanosecond() < anchor.Nanosecond() {
			passed--
		}
		start = time.Unix(anchor.Unix()+floorDiv(passed, length)*length, int64(anchor.Nanosecond())).UTC()
		return start, start.Add(time.Duration(length) * time.Second)
	}
	nth, guess := w.steps(zone, anchor, now)
	for nth(guess).After(now) {
		guess--
	}
	for !nth(guess + 1).After(now) {
		guess++
	}
	return nth(guess), nth(guess + 1)
}

// count is how many periods there are from the beginning of one to the beginning of a later one.
func (w Window) count(zone *time.Location, anchor, from, to time.Time) (n int64) {
	switch w.unit {
	case Lifetime:
		return 0
	case "s", "m", "h":
		return (to.Unix() - from.Unix()) / int64(w.n*unitSeconds[w.unit])
	}
	for ; from.Before(to); n++ {
		_, from = w.Period(zone, anchor, from)
	}
	return n
}

// steps returns the start of the k-th period and a k near now. The guess is off by at most one
// or two, so the search around it is bounded whatever the distance.
func (w Window) steps(zone *time.Location, anchor, now time.Time) (nth func(k int) time.Time, guess int) {
	n, a := now.In(zone), anchor.In(zone)
	y, mo, d := n.Date()
	switch w.unit {
	case CalendarDay:
		return func(k int) time.Time { return first(zone, y, mo, d+k, 0, 0, 0, 0) }, 0
	case CalendarWeek:
		monday := d - int(n.Weekday()+6)%7
		return func(k int) time.Time { return first(zone, y, mo, monday+7*k, 0, 0, 0, 0) }, 0
	case CalendarMonth:
		return func(k int) time.Time { return first(zone, y, mo+time.Month(k), 1, 0, 0, 0, 0) }, 0
	case CalendarQuarter:
		begin := (mo-1)/3*3 + 1
		return func(k int) time.Time { return first(zone, y, begin+time.Month(3*k), 1, 0, 0, 0, 0) }, 0
	case CalendarYear:
		return func(k int) time.Time { return first(zone, y+k, 1, 1, 0, 0, 0, 0) }, 0
	}
	ay, amo, ad := a.Date()
	h, m, s := a.Clock()
	if w.unit == "mo" {
		months := (y-ay)*12 + int(mo-amo)
		return func(k int) time.Time {
			to := amo + time.Month(k*w.n)
			last := time.Date(ay, to+1, 0, 0, 0, 0, 0, time.UTC).Day()
			return first(zone, ay, to, min(ad, last), h, m, s, a.Nanosecond())
		}, int(floorDiv(int64(months), int64(w.n)))
	}
	days := w.n
	if w.unit == "w" {
		days *= 7
	}
	passed := (time.Date(y, mo, d, 0, 0, 0, 0, time.UTC).Unix() - time.Date(ay, amo, ad, 0, 0, 0, 0, time.UTC).Unix()) / 86400
	return func(k int) time.Time { return first(zone, ay, amo, ad+k*days, h, m, s, a.Nanosecond()) }, int(floorDiv(passed, int64(days)))
}

// first is the first instant at or after the wall clock time in the zone.
func first(zone *time.Location, y int, mo time.Month, d, h, m, s, ns int) time.Time {
	t := time.Date(y, mo, d, h, m, s, ns, zone)
	want := time.Date(y, mo, d, h, m, s, ns, time.UTC)
	wall := func(t time.Time) time.Time {
		y, mo, d := t.Date()
		h, m, s := t.Clock()
		return time.Date(y, mo, d, h, m, s, t.Nanosecond(), time.UTC)
	}
	switch off := wall(t).Sub(want); {
	case off == 0:
		// Where the clock shows the time twice, the first one.
		if earlier := t.Add(-time.Hour); wall(earlier.In(zone)).Equal(want) {
			return earlier.UTC()
		}
	case off != 0: // in a gap: the zone's transition is where the day continues
		if start, end := t.ZoneBounds(); off > 0 && !start.IsZero() {
			return start.UTC()
		} else if off < 0 && !end.IsZero() {
			return end.UTC()
		}
	}
	return t.UTC()
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
