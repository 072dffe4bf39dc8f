package filter

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

type kind int

const (
	end kind = iota
	word
	quoted
	open   // (
	closed // )
	left   // [
	right  // ]
)

func (k kind) String() string {
	return [...]string{"the end", "a word", "a string", "(", ")", "[", "]"}[k]
}

// token is a piece of the text; of a quoted one text is what it stands for.
type token struct {
	kind kind
	text string
	at   int
}

// lexer cuts a text into tokens, one ahead.
type lexer struct {
	text string
	at   int
	next token
	err  *Error
}

func fail(at int, message string) *Error { return &Error{At: at, Message: message} }

// advance reads the next token. After an error all that follows is the end.
func (l *lexer) advance() {
	for l.at < len(l.text) && strings.IndexByte(" \t\r\n", l.text[l.at]) >= 0 {
		l.at++
	}
	l.next = token{end, "", l.at}
	if l.err != nil || l.at == len(l.text) {
		return
	}
	switch c := l.text[l.at]; c {
	case '(', ')', '[', ']':
		l.next = token{map[byte]kind{'(': open, ')': closed, '[': left, ']': right}[c], string(c), l.at}
		l.at++
	case '"':
		l.quoted()
	default:
		from := l.at
		for l.at < len(l.text) && strings.IndexByte(" \t\r\n()[]\"", l.text[l.at]) < 0 {
			l.at++
		}
		l.next = token{word, l.text[from:l.at], from}
	}
}

// quoted reads a string as in JSON. What JSON would mend, such as half of a surrogate pair, is refused.
func (l *lexer) quoted() {
	from := l.at
	for l.at++; l.at < len(l.text) && l.text[l.at] != '"'; l.at++ {
		if l.text[l.at] == '\\' {
			l.at++
		}
	}
	if l.at >= len(l.text) {
		l.at = len(l.text)
		l.err = fail(from, "a string has no end")
		return
	}
	l.at++
	raw := l.text[from:l.at]
	var s string
	if !utf8.ValidString(raw) || json.Unmarshal([]byte(raw), &s) != nil {
		l.err = fail(from, "is not a string as in JSON")
		return
	}
	if strings.ContainsRune(s, utf8.RuneError) && mended(raw) {
		l.err = fail(from, "a string has half of a surrogate pair")
		return
	}
	l.next = token{quoted, s, from}
}

// mended says whether a string of JSON has an escaped surrogate without its other half.
func mended(raw string) bool {
	unit := func(i int) (int, bool) {
		if i+6 > len(raw) || raw[i] != '\\' || raw[i+1] != 'u' {
			return 0, false
		}
		n := 0
		for _, c := range []byte(raw[i+2 : i+6]) {
			n = n<<4 | strings.IndexByte("0123456789abcdef", c|0x20)
		}
		return n, true
	}
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		u, is := unit(i)
		switch {
		case !is:
			i++
		case u >= 0xDC00 && u < 0xE000:
			return true
		case u >= 0xD800 && u < 0xDC00:
			low, is := unit(i + 6)
			if !is || low < 0xDC00 || low >= 0xE000 {
				return true
			}
			i += 11
		default:
			i += 5
		}
	}
	return false
}
