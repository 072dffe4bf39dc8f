package store

import (
	"strings"
	"unicode/utf8"
)

// PlainText makes of a text from somewhere one that every database keeps and JSON brings back as it is: UTF-8 without
// NUL, and of more than limit bytes about the first ones.
func PlainText(s string, limit int) string {
	if len(s) <= limit && isPlain(s) {
		return s
	}
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}

// isPlain says of most texts that nothing is to be replaced in them.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] == 0 || s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
