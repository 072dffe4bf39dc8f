package rbac

import (
	"fmt"
	"slices"
	"strings"
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
