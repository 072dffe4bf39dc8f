package bunstore

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun/dialect/sqlitedialect"
)

// TestTimesAreReadAsTheyAreKept holds our reading of times against the dialect's writing of them.
func TestTimesAreReadAsTheyAreKept(t *testing.T) {
	dialect := sqlitedialect.New()
	for range 100_000 {
		want := time.UnixMicro(rand.Int64N(253_402_300_799_000_000+62_135_596_800_000_000) - 62_135_596_800_000_000).UTC()
		switch rand.IntN(4) {
		case 0:
			want = want.Truncate(time.Second)
		case 1:
			want = want.Truncate(time.Millisecond)
		}
		text := dialect.AppendTime(nil, want)
		at, plain := keptTime(string(text[1 : len(text)-1]))
		require.True(t, plain, "%s", text)
		require.Equal(t, want, at, "%s", text)
	}
	for _, odd := range []string{"", "2024-03-05 12:00:00", "2024-03-05T12:00:00+00:00", "2024-03-05 12:00:00+01:00", "2024-03-05 12:00:0x+00:00", "2024-13-05 12:00:00+00:00",
		"2024-03-05 12:00:00.1234567890+00:00", "2024-03-05 12:00:00,5+00:00", "2024-03-05 24:00:00+00:00", "+00:00"} {
		_, plain := keptTime(odd)
		require.False(t, plain, odd)
	}
}
