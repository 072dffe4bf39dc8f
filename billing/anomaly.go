package billing

import (
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// An hour of an organization is an anomaly when it has spent far more than is usual at that time (F220, billing edge 52).
//
// Usual is what the same hour of the day, in the zone of the organization, has spent on days of the same kind, Monday to Friday
// or weekend, in the 28 days before: seasonal, so that neither nights nor weekends count for working hours. Hours before the
// first one in which anything was spent do not count. With m their median and
//
//	s = the greater of 1.4826 * median(|x - m|) and m/10
//
// an hour that has spent x, so far, is an anomaly where
//
//	x - m >= k * s    and    x - m >= d
//
// and there are at least seven such hours to compare with. The sensitivity says k and d: how far off is too far, and how many
// dollars are worth a mail. Median and median deviation are not moved by the few hours that were anomalies themselves. After
// one alert its next is six hours away: an incident is told once, not every hour. Hours more than a day old are history.

// Sensitivity says how far off spending has to be.
type Sensitivity string

// The sensitivities (F221).
const (
	LowSensitivity    Sensitivity = "low"    // k = 8, d = 50 USD
	MediumSensitivity Sensitivity = "medium" // k = 5, d = 20 USD
	HighSensitivity   Sensitivity = "high"   // k = 3, d = 5 USD
)

var sensitivities = map[Sensitivity]struct{ times, least decimal.Decimal }{
	LowSensitivity:    {decimal.NewFromInt(8), decimal.NewFromInt(50)},
	MediumSensitivity: {decimal.NewFromInt(5), decimal.NewFromInt(20)},
	HighSensitivity:   {decimal.NewFromInt(3), decimal.NewFromInt(5)},
}

const (
	// AnomalyMemory is how far back hours are compared.
	AnomalyMemory = 28 * 24 * time.Hour
	// AnomalySamples is how many hours there have to be to compare with.
	AnomalySamples = 7
	// AnomalyCooldown is from the hour of one alert to the next hour that may have another.
	AnomalyCooldown = 6 * time.Hour
)

// madScale makes the median deviation of what is normally distributed its standard deviation.
var madScale = decimal.New(14826, -4)

// Baseline is what is usual: the median of some hours, and how far from it they are.
type Baseline struct{ Median, Deviation decimal.Decimal }

// NewBaseline works out what is usual of the hours that are compared, in any order; false where they are too few.
func NewBaseline(hours []decimal.Decimal) (b Baseline, enough bool) {
	if len(hours) < AnomalySamples {
		return b, false
	}
	b.Median = median(hours)
	off := make([]decimal.Decimal, len(hours))
	for i, x := range hours {
		off[i] = x.Sub(b.Median).Abs()
	}
	b.Deviation = decimal.Max(median(off).Mul(madScale), b.Median.Shift(-1))
	return b, true
}

// Anomalous says whether an hour that has spent so much is an anomaly.
func (b Baseline) Anomalous(spent decimal.Decimal, s Sensitivity) bool {
	more, by := spent.Sub(b.Median), sensitivities[s]
	return more.GreaterThanOrEqual(by.least) && more.GreaterThanOrEqual(by.times.Mul(b.Deviation))
}

// median is the middle one, or half of the sum of both.
func median(list []decimal.Decimal) decimal.Decimal {
	list = slices.Clone(list)
	slices.SortFunc(list, decimal.Decimal.Cmp)
	n := len(list)
	if n%2 == 1 {
		return list[n/2]
	}
	return list[n/2-1].Add(list[n/2]).Mul(decimal.New(5, -1))
}

// comparedWith are the beginnings of the hours that an hour is compared with, back to since.
func comparedWith(hour, since time.Time, zone *time.Location) (list []time.Time) {
	local := hour.In(zone)
	if least := hour.Add(-AnomalyMemory); since.Before(least) {
		since = least
	}
	for h := hour.Add(-time.Hour); !h.Before(since); h = h.Add(-time.Hour) {
		if at := h.In(zone); at.Hour() == local.Hour() && weekend(at) == weekend(local) && !sameDay(at, local) {
			list = append(list, h)
		}
	}
	return list
}

func weekend(t time.Time) bool { return t.Weekday() == time.Saturday || t.Weekday() == time.Sunday }

// sameDay tells apart the two hours that the clock shows when it is set back.
func sameDay(a, b time.Time) bool { return a.YearDay() == b.YearDay() && a.Year() == b.Year() }
