package store

import "strings"

// PlainText makes of a text from somewhere one that every database keeps and JSON brings back as it is: UTF-8 without
// NUL, and of more than limit bytes about the first ones.
func PlainText(s string, limit int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}
