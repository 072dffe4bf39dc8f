package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type spanRow struct {
	OrgID string
	At    time.Time
	N     int64
}

// A position is behind a bound, so that no page is found by walking from the bound again.
func TestSpansHaveNoBoundBesideTheirPosition(t *testing.T) {
	rows := DefineLog[spanRow]("span_rows", []string{"org_id", "at", "n"})
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	span := func(from, below any, desc bool, at time.Time) Span {
		return rows.kind.span(Range{Equal: []any{"o"}, From: from, Below: below, Desc: desc, After: []any{at, int64(7)}})
	}

	s := span(noon, noon.Add(time.Hour), false, noon)
	require.Nil(t, s.From)
	require.Equal(t, noon.Add(time.Hour), s.Below)
	require.Nil(t, span(noon.Add(3*time.Nanosecond), nil, false, noon).From, "logs keep microseconds")
	require.Equal(t, noon, span(noon, nil, false, noon.Add(-time.Second)).From, "of another range")

	s = span(noon, noon.Add(time.Hour), true, noon.Add(time.Minute))
	require.Nil(t, s.Below)
	require.Equal(t, noon, s.From)
	require.Equal(t, noon, span(nil, noon, true, noon).Below, "of that time others have smaller numbers")
}
