package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestClockIsNowAndElapsedOfOneMoment(t *testing.T) {
	s := memory.New(nil)
	last := time.Time{}
	for begin := time.Now(); time.Since(begin) < 50*time.Millisecond; {
		before, was := s.Now(), s.Elapsed()
		now, elapsed := s.Clock()
		after, is := s.Now(), s.Elapsed()
		require.Equal(t, now, now.UTC().Truncate(time.Microsecond), "as what is kept")
		require.False(t, now.Before(last))
		require.WithinRange(t, now, before.Add(-time.Millisecond), after.Add(time.Millisecond))
		require.GreaterOrEqual(t, elapsed, was)
		require.LessOrEqual(t, elapsed, is)
		last = now
	}
	clock := storetest.NewClock()
	s = storetest.Open(t, "memory", store.Options{Now: clock.Now})
	for range 3 {
		clock.Advance(time.Nanosecond)
		now, elapsed := s.Clock()
		require.Equal(t, s.Now(), now)
		require.Equal(t, s.Elapsed(), elapsed, "a clock of the host's is read each time")
	}
}
