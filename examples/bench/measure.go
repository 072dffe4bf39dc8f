package main

import (
	"slices"
	"time"
)

// sample is how long the rounds of one measurement took, a call of each.
type sample []time.Duration

// median is the middle of the rounds: as long as others on the machine disturb fewer than half of them it
// stands.
func (s sample) median() time.Duration {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[len(sorted)/2]
}

// best is the round that was disturbed least. Far below the median it says that the machine was busy.
func (s sample) best() time.Duration { return slices.Min(s) }

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
			s = append(s, time.Since(begin)/time.Duration(n))
		}
	}
	return s, nil
}

// Units of figures.
func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
func millis(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
