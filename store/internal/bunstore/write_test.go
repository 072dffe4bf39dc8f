package bunstore

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun/schema"
)

// FuzzLiteral holds that a text is kept as it is, and that what bun refuses is left to bun.
func FuzzLiteral(f *testing.F) {
	for _, seed := range []string{"", "'", "it's", "''", `\`, "?", "NULL", "1", "a\x00b", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "") // bun writes nothing else
		value, ok := literal(schema.BaseDialect{}.AppendString(nil, text))
		require.Equal(t, !strings.Contains(text, "\x00"), ok)
		if ok {
			require.Equal(t, text, value)
		}
	})
}

func TestLiteralsAreTheirValues(t *testing.T) {
	at := time.Date(2024, 2, 29, 23, 59, 59, 123000000, time.UTC)
	for text, want := range map[string]any{"NULL": nil, "TRUE": int64(1), "FALSE": int64(0), "0": int64(0), "-9223372036854775808": int64(math.MinInt64), string(schema.BaseDialect{}.AppendTime(nil, at)): "2024-02-29 23:59:59.123+00:00"} {
		value, ok := literal([]byte(text))
		require.True(t, ok, text)
		require.Equal(t, want, value)
	}
	for _, text := range []string{"", "'", "X'00'", "1.5", "DEFAULT", "9223372036854775808", `?!(bun: unsupported)`} {
		_, ok := literal([]byte(text))
		require.False(t, ok, text)
	}
}
