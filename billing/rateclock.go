package billing

import "time"

// rateClock says which window it is. The wall clock chooses a window when one ends; how long it lasts is measured by a
// clock that has no steps (billing edge 27).
type rateClock struct {
	now     func() time.Time     // wall
	elapsed func() time.Duration // since some moment, without steps
}

// span is a window on both clocks.
type span struct {
	start, end time.Time
	ends       time.Duration // elapsed
}

// after is the window behind one that has ended at the elapsed time, by the measured clock, or the first one. A wall clock
// that was set back since gives nobody a window for the second time: where it shows the same window, that goes on; where it
// shows an earlier one, the next is that which the wall clock would show without the step.
func (c rateClock) after(last span, w Window, zone *time.Location, at time.Duration) span {
	now := c.now()
	s := spanAt(w, zone, now, at)
	if !s.start.Before(last.start) {
		return s
	}
	return spanAt(w, zone, last.end.Add(at-last.ends), at)
}

func spanAt(w Window, zone *time.Location, now time.Time, at time.Duration) (s span) {
	s.start, s.end = w.Period(zone, time.Unix(0, 0), now)
	s.ends = at + s.end.Sub(now)
	return s
}
