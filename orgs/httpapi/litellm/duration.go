package litellm

import (
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

// parseDuration reads a budget_duration: the window of the core, and where its periods begin, on the calendar of the zone of now. "" is
// no duration. One day is that of the calendar, seven are a week from Monday on, thirty and a month are the calendar's
// month; hours and minutes that divide a day or an hour are counted from its beginning.
func parseDuration(text string, now time.Time) (window string, anchor time.Time, err error) {
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
	day := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	window, anchor = strconv.Itoa(n)+unit, day
	switch {
	case unit == "d" && n == 1:
		window = billing.CalendarDay
	case unit == "d" && n == 7, unit == "w" && n == 1:
		window = billing.CalendarWeek
	case unit == "d" && n == 30, unit == "mo" && n == 1:
		window = billing.CalendarMonth
	case unit == "mo":
		anchor = time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, now.Location())
	case unit == "h" && 24%n != 0:
		anchor = now.Truncate(time.Hour)
	case unit == "m" && 60%n == 0:
		anchor = now.Truncate(time.Hour)
	case unit == "m", unit == "s" && 60%n == 0:
		anchor = now.Truncate(time.Minute)
	case unit == "s":
		anchor = now.Truncate(time.Second)
	}
	if _, err := billing.ParseWindow(window); err != nil {
		return "", anchor, detail(http.StatusBadRequest, "Invalid duration format: a duration is from a minute to ten years")
	}
	return window, anchor, nil
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
