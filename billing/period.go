package billing

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Period is a time that is asked about, everywhere in one of two forms (F330): by a name, or by two dates, both of them
// included. What instants it means depends on the zone of the organization and on when that is asked ([Period.Resolve]).
// In JSON it is the name, or an object {"start", "end"}.
type Period struct {
	Name  string // "" for dates
	Start string // YYYY-MM-DD
	End   string
}

// Span is a resolved period: from From to below Below.
type Span struct{ From, Below time.Time }

// MaxDays is the most days of last_N_days.
const MaxDays = 366

// maxPeriodYears is how long dates may be apart.
const maxPeriodYears = 10

// ParsePeriod reads a period from what a query has of it, "" for what it has not.
func ParsePeriod(name, start, end string) (Period, error) {
	p := Period{name, start, end}
	return p, p.Validate()
}

// Validate names what is wrong: both forms at once, a name that is none, a date that is none, or an end before the start.
func (p Period) Validate() error {
	if p.Name != "" {
		if p.Start != "" || p.End != "" {
			return store.Invalid("period", "range", "is a name, or start and end, not both")
		}
		if _, ok := lastDays(p.Name); ok {
			return nil
		}
		switch p.Name {
		case "today", "yesterday", "month_to_date", "previous_month", "previous_quarter", "year_to_date":
			return nil
		}
		return store.Invalid("period", "enum", "must be today, yesterday, last_N_days (N from 1 to %d), month_to_date, previous_month, previous_quarter or year_to_date", MaxDays)
	}
	start, err := date("start", p.Start)
	if err != nil {
		return err
	}
	end, err := date("end", p.End)
	switch {
	case err != nil:
		return err
	case end.Before(start):
		return store.Invalid("end", "range", "lies before start")
	case !start.AddDate(maxPeriodYears, 0, 0).After(end):
		return store.Invalid("start", "range", "lies more than %d years before end", maxPeriodYears)
	}
	return nil
}

// date is a day at midnight of UTC.
func date(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, store.Invalid(field, "required", "is required where no period has a name")
	}
	d, err := time.Parse(time.DateOnly, text)
	if err != nil || d.Year() < 1 || d.Year() > 9998 {
		return time.Time{}, store.Invalid(field, "pattern", "must be a date such as 2024-01-31")
	}
	return d, nil
}

// lastDays is the N of last_N_days.
func lastDays(name string) (n int, ok bool) {
	digits, is := strings.CutPrefix(name, "last_")
	digits, ends := strings.CutSuffix(digits, "_days")
	n, err := strconv.Atoi(digits)
	return n, is && ends && err == nil && n >= 1 && n <= MaxDays && strconv.Itoa(n) == digits
}

// Resolve returns the instants that a valid period means. What ends now includes now. A day has the hours that it has in the
// zone; last_N_days begins at the same time of day.
func (p Period) Resolve(zone *time.Location, now time.Time) Span {
	local := now.In(zone)
	y, mo, d := local.Date()
	day := func(y int, mo time.Month, d int) time.Time { return first(zone, y, mo, d, 0, 0, 0, 0) }
	until := now.UTC().Add(time.Microsecond) // times have whole ones
	if n, ok := lastDays(p.Name); ok {
		h, m, s := local.Clock()
		return Span{first(zone, y, mo, d-n, h, m, s, local.Nanosecond()), until}
	}
	quarter := (mo-1)/3*3 + 1
	switch p.Name {
	case "today":
		return Span{day(y, mo, d), until}
	case "yesterday":
		return Span{day(y, mo, d-1), day(y, mo, d)}
	case "month_to_date":
		return Span{day(y, mo, 1), until}
	case "previous_month":
		return Span{day(y, mo-1, 1), day(y, mo, 1)}
	case "previous_quarter":
		return Span{day(y, quarter-3, 1), day(y, quarter, 1)}
	case "year_to_date":
		return Span{day(y, 1, 1), until}
	}
	start, _ := date("start", p.Start) // a valid period has dates
	end, _ := date("end", p.End)
	return Span{day(start.Date()), day(end.AddDate(0, 0, 1).Date())}
}

// String is the name, or both dates.
func (p Period) String() string {
	if p.Name != "" {
		return p.Name
	}
	return p.Start + "/" + p.End
}

// MarshalJSON writes the name, or an object of dates.
func (p Period) MarshalJSON() ([]byte, error) {
	if p.Name != "" {
		return json.Marshal(p.Name)
	}
	return json.Marshal(periodDates{p.Start, p.End})
}

type periodDates struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

// UnmarshalJSON reads either form. What is none is a *store.FieldError.
func (p *Period) UnmarshalJSON(b []byte) error {
	var read Period
	if json.Unmarshal(b, &read.Name) != nil {
		var dates periodDates
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields()
		if dec.Decode(&dates) != nil {
			return store.Invalid("period", "type", "must be a name, or an object of start and end")
		}
		read = Period{Start: dates.Start, End: dates.End}
	}
	if err := read.Validate(); err != nil {
		return err
	}
	*p = read
	return nil
}
