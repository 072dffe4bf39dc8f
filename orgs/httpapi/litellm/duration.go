package litellm

import (
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/orgkit/orgkit/billing"
)

var durationForm = regexp.MustCompile(`^([0-9]{1,9})\s*([a-zA-Z]+)$`)

// units are what a duration may be written in.
var units = map[string]string{
	"s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s",
	"m": "m", "min": "m", "mins": "m", "minute": "m", "minutes": "m",
	"h": "h", "hr": "h", "hrs": "h", "hour": "h", "hours": "h",
	"d": "d", "day": "d", "days": "d",
	"w": "w", "wk": "w", "week": "w", "weeks": "w",
	"mo": "mo", "mon": "mo", "month": "mo", "months": "mo",
}

// ResetMode is when budgets with a budget_duration are reset.
type ResetMode string

// The modes.
const (
	Calendar ResetMode = "calendar" // with the day, week, month, hour or minute of the calendar
	Rolling  ResetMode = "rolling"  // when the duration has passed since it was set, and every time that it has again
)

// calendar is where the periods of budgets begin.
type calendar struct {
	zone    *time.Location
	rolling bool
	week    time.Weekday  // the first day of weeks
	hour    time.Duration // of the day, at which days, weeks and months begin
}

// newCalendar is the calendar of the options.
func newCalendar(o *Options) (k calendar, err error) {
	if k.zone, err = time.LoadLocation(o.Timezone); err != nil || o.Timezone == "Local" {
		return k, errors.New("litellm: the time zone is none")
	}
	switch o.ResetMode {
	case "", Calendar:
	case Rolling:
		if k.rolling = true; o.WeekStart != "" || o.ResetTimeOfDay != "" {
			return k, errors.New("litellm: what rolls begins with no day of the week and no time of the day")
		}
	default:
		return k, errors.New("litellm: budgets are reset by the calendar or rolling")
	}
	if k.week = time.Monday; o.WeekStart != "" {
		for k.week = time.Sunday; !strings.EqualFold(k.week.String(), o.WeekStart); k.week++ {
			if k.week == time.Saturday {
				return k, errors.New("litellm: weeks start with a day from monday to sunday")
			}
		}
	}
	if o.ResetTimeOfDay != "" {
		at, err := time.Parse("15:04", o.ResetTimeOfDay)
		if err != nil || len(o.ResetTimeOfDay) != len("15:04") {
			return k, errors.New("litellm: the time of the day is HH:MM")
		}
		k.hour = time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
	}
	return k, nil
}

// parse reads a budget_duration: the window of the core, and where its periods begin. "" is no duration.
func (k calendar) parse(text string, now time.Time) (window string, anchor time.Time, err error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "", "none", "null":
		return "", time.Time{}, nil
	}
	m := durationForm.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		if strings.ContainsAny(text, "0123456789") && !strings.ContainsAny(text, "-.") {
			return "", anchor, detail(http.StatusBadRequest, "Unsupported duration unit, passed duration: "+plain(text))
		}
		return "", anchor, detail(http.StatusBadRequest, "Invalid duration format")
	}
	unit, known := units[strings.ToLower(m[2])]
	if !known {
		return "", anchor, detail(http.StatusBadRequest, "Unsupported duration unit, passed duration: "+plain(text))
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n == 0 {
		return "", anchor, detail(http.StatusBadRequest, "Invalid duration format")
	}
	window, anchor = strconv.Itoa(n)+unit, now
	if !k.rolling {
		window, anchor = k.begins(n, unit, now.In(k.zone))
	}
	if _, err := billing.ParseWindow(window); err != nil {
		return "", anchor, detail(http.StatusBadRequest, "Invalid duration format: a duration is from a minute to ten years")
	}
	return window, anchor.UTC().Truncate(time.Microsecond), nil
}

// begins is how so many of a unit are counted by the calendar. One day is that of the calendar, seven are a week, thirty and a
// month are the calendar's month; hours and minutes that divide a day or an hour are counted from its beginning, and all else
// from the day, month or hour that runs.
func (k calendar) begins(n int, unit string, now time.Time) (window string, anchor time.Time) {
	window, anchor = strconv.Itoa(n)+unit, k.day(now)
	switch {
	case unit == "d" && n == 1:
		return k.of(billing.CalendarDay, "1d")
	case unit == "d" && n == 7, unit == "w" && n == 1:
		return k.of(billing.CalendarWeek, "7d")
	case unit == "d" && n == 30, unit == "mo" && n == 1:
		return k.of(billing.CalendarMonth, "1mo")
	case unit == "mo":
		return window, k.on(anchor.Year(), anchor.Month(), 1)
	case unit == "h" && 24%n != 0:
		anchor = now.Truncate(time.Hour)
	case unit == "h":
		anchor = time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, k.zone)
	case unit == "m" && 60%n == 0:
		anchor = now.Truncate(time.Hour)
	case unit == "m", unit == "s" && 60%n == 0:
		anchor = now.Truncate(time.Minute)
	case unit == "s":
		anchor = now.Truncate(time.Second)
	}
	return window, anchor
}

// of is a window of the calendar as it is without options, else one like it of a fixed length, which begins with a year that
// began with a week: no clock is changed then, and so it is the first of a month as well.
func (k calendar) of(plain, fixed string) (window string, anchor time.Time) {
	year := 2020
	for ; k.on(year, time.January, 1).Weekday() != k.week; year-- {
	}
	anchor = k.on(year, time.January, 1)
	if k.hour == 0 && (k.week == time.Monday || plain != billing.CalendarWeek) {
		return plain, anchor
	}
	return fixed, anchor
}

// day is the beginning of the day that runs.
func (k calendar) day(now time.Time) time.Time {
	begin := k.on(now.Date())
	if now.Before(begin) {
		begin = k.on(now.AddDate(0, 0, -1).Date())
	}
	return begin
}

// on is the beginning of a day.
func (k calendar) on(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, int(k.hour/time.Minute), 0, 0, k.zone)
}

// written is a window of the core as a duration, nil for none.
func written(window string) *string {
	switch window {
	case billing.Lifetime, "":
		return nil
	case billing.CalendarDay:
		window = "1d"
	case billing.CalendarWeek:
		window = "7d"
	case billing.CalendarMonth:
		window = "30d"
	}
	return &window
}

// parseExpiry is when something ends that lasts as long as the text says; nil is never.
func parseExpiry(text string, now time.Time) (*time.Time, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "", "none", "null", "-1":
		return nil, nil
	}
	m := durationForm.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil || units[strings.ToLower(m[2])] == "" {
		return nil, detail(http.StatusBadRequest, "Unsupported duration unit, passed duration: "+plain(text))
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n < 1 || n > 1_000_000 {
		return nil, detail(http.StatusBadRequest, "Invalid duration format")
	}
	end := now.UTC()
	switch units[strings.ToLower(m[2])] {
	case "s":
		end = end.Add(time.Duration(n) * time.Second)
	case "m":
		end = end.Add(time.Duration(n) * time.Minute)
	case "h":
		end = end.Add(time.Duration(n) * time.Hour)
	case "d":
		end = end.AddDate(0, 0, min(n, 100_000))
	case "w":
		end = end.AddDate(0, 0, 7*min(n, 10_000))
	default:
		end = end.AddDate(0, min(n, 1_000), 0)
	}
	return &end, nil
}
