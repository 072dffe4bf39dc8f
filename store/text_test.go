package store_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
)

func TestPlainText(t *testing.T) {
	for in, want := range map[string]string{"": "", "plain ünïcødé": "plain ünïcødé", "a\x00b": "ab", "a\xff\xfeb": "a\uFFFDb", "\x00": ""} {
		require.Equal(t, want, store.PlainText(in, 100), "%q", in)
	}
	for limit := range 20 {
		s := store.PlainText(strings.Repeat("漢", 10), limit)
		require.LessOrEqual(t, len(s), limit)
		require.Greater(t, len(s), limit-3)
		require.True(t, utf8.ValidString(s))
	}
}
