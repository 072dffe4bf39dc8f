package main

import (
	"slices"
	"time"
)

// sample is what the rounds of one measurement took, in nanoseconds a call.
type sample []float64

// median is the middle of the rounds: as long as others on the machine disturb fewer than half of them it
// stands.
func (s sample) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[len(sorted)/2]
}

// middle is the middle half of the rounds, in their order of size. As the median, its mean stands as long as others disturb fewer
// than a quarter of them to either side, and of many rounds it varies less.
func (s sample) middle() sample {
	sorted := slices.Sorted(slices.Values(s))
	cut := len(sorted) / 4
	return sorted[cut : len(sorted)-cut]
}

func (s sample) mean() float64 {
	sum := 0.0
	for _, v := range s {
		sum += v
	}
	return sum / float64(len(s))
}

// best is the round that was disturbed least. Far below the median it says that the machine was busy.
func (s sample) best() float64 { return slices.Min(s) }

// worst of a hundred is what 99 of them do not exceed.
func (s sample) p99() float64 {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[(len(sorted)*99+99)/100-1]
}

// add notes a round of n calls.
func (s *sample) add(took time.Duration, n int) {
	*s = append(*s, float64(took.Nanoseconds())/float64(n))
}

// each measures rounds of n calls of fn, behind one round that only warms up.
func each(rounds, n int, fn func() error) (sample, error) {
	var s sample
	for round := range rounds + 1 {
		begin := time.Now()
		for range n {
			if err := fn(); err != nil {
				return nil, err
			}
		}
		if round > 0 {
			s.add(time.Since(begin), n)
		}
	}
	return s, nil
}

// Units of figures.
func nanos(ns float64) float64   { return ns }
func micros(ns float64) float64  { return ns / 1e3 }
func millis(ns float64) float64  { return ns / 1e6 }
func seconds(ns float64) float64 { return ns / 1e9 }
