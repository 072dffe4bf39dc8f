package notify

import (
	"strings"
	"unicode"
)

// Bounds of what somebody else has written, in characters.
const (
	maxLine  = 100
	maxProse = 4000
)

// line makes of a text from somewhere one line for a header or sentence: without control characters, without
// formatting characters, which could turn around what is read (Unicode TR 36), and not too long.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			return ' '
		case unseen(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return cut(strings.Join(strings.Fields(s), " "), maxLine)
}

// prose is line for a text of several ones.
func prose(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n", "\u0085", "\n", "\v", "\n", "\f", "\n").Replace(strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case unicode.IsControl(r):
			return ' '
		case unseen(r):
			return -1
		}
		return r
	}, s)
	return cut(strings.TrimSpace(s), maxProse)
}

// unseen are the formatting characters but those that join letters, without which some scripts and emoji are other
// ones.
func unseen(r rune) bool {
	return unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d'
}

func cut(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return strings.TrimSpace(string(runes[:most-1])) + "…"
}
