package billing

import (
	"math"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// spread is how many calls had which latency: buckets of half an octave, of which the first ends at [firstBucket] and the
// last has no end. A percentile out of them is off by less than a fifth.
type spread [32]int64

const firstBucket = 8000 // microseconds

// bucketEnds are the ends of the buckets but the last, in microseconds.
var bucketEnds = func() (ends [len(spread{}) - 1]int64) {
	for i := range ends {
		ends[i] = int64(math.Round(firstBucket * math.Pow(2, float64(i)/2)))
	}
	return ends
}()

func (s *spread) add(micros int64) {
	i, n := 0, len(bucketEnds)
	for i < n { // the first bucket whose end is above
		if h := (i + n) / 2; bucketEnds[h] > micros {
			n = h
		} else {
			i = h + 1
		}
	}
	s[i]++
}

func (s *spread) join(o *spread) {
	for i, n := range o {
		s[i] += n
	}
}

// percentile is the latency that so many of a hundred calls do not exceed, nil where there was no call. Within a bucket
// the calls are taken to be spread evenly.
func (s *spread) percentile(of int64) *time.Duration {
	var total int64
	for _, n := range s {
		total += n
	}
	if total == 0 {
		return nil
	}
	left := (total*of + 99) / 100 // the how manieth call it is
	for i, n := range s {
		if left > n {
			left -= n
			continue
		}
		var low, high int64
		if i > 0 {
			low = bucketEnds[i-1]
		}
		if high = 2 * low; i < len(bucketEnds) {
			high = bucketEnds[i]
		}
		d := time.Duration(low+(high-low)*left/n) * time.Microsecond
		return &d
	}
	return nil
}

// average is the mean latency in milliseconds with at most three places, nil where nothing is known.
func (s *usageSums) average() *decimal.Decimal {
	if s.Timed == 0 {
		return nil
	}
	d := decimal.New(s.Latency, -3).DivRound(decimal.NewFromInt(s.Timed), 3)
	return &d
}

// latencyRow is the spread of one value of a dimension in one span.
type latencyRow struct {
	OrgID string `store:"word"`
	Of    string `store:"word"`
	Start time.Time
	Value string

	B0, B1, B2, B3, B4, B5, B6, B7, B8, B9, B10, B11, B12, B13, B14, B15           int64
	B16, B17, B18, B19, B20, B21, B22, B23, B24, B25, B26, B27, B28, B29, B30, B31 int64
}

var latencies = store.DefineLog[latencyRow]("usage_latencies", []string{"org_id", "of", "start", "value"})

// buckets are the columns in their order.
func (r *latencyRow) buckets() [len(spread{})]*int64 {
	return [...]*int64{&r.B0, &r.B1, &r.B2, &r.B3, &r.B4, &r.B5, &r.B6, &r.B7, &r.B8, &r.B9, &r.B10, &r.B11, &r.B12, &r.B13, &r.B14, &r.B15,
		&r.B16, &r.B17, &r.B18, &r.B19, &r.B20, &r.B21, &r.B22, &r.B23, &r.B24, &r.B25, &r.B26, &r.B27, &r.B28, &r.B29, &r.B30, &r.B31}
}

func (s *spread) row(k spanKey) latencyRow {
	r := latencyRow{OrgID: k.org, Of: k.dim.of(k.grain), Start: k.start, Value: k.value}
	for i, b := range r.buckets() {
		*b = s[i]
	}
	return r
}

func (r *latencyRow) spread() (s spread) {
	for i, b := range r.buckets() {
		s[i] = *b
	}
	return s
}
