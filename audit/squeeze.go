package audit

import (
	_ "embed"
	"encoding/binary"
	"math"
	"slices"
)

// What is personal in an event is mostly the names of fields and of programs. It is kept squeezed: runs of it that stand
// in phrases, or came before, are replaced by where they are (LZ77). What is hashed is never squeezed. The general
// compressors take longer for these few bytes than the rest of an append.
//
// A byte below 128 is the length of what follows as it is, less one. Any other is the length of a match, less minMatch,
// above 128, and behind it is how far back it begins, as a varint: in the phrases and what came behind them.
const (
	minMatch = 4
	maxMatch = minMatch + 127
	maxRun   = 128
)

// phrases are part of what is stored: a change of them makes what is kept unreadable. The likelier ones are nearer to the
// end, where they are found by fewer bytes.
//
//go:embed phrases.txt
var phrases string

const hashBits = 11

// places are where four bytes stand in the phrases, plus one, by their hash.
var places = func() (at [1 << hashBits]uint16) {
	for i := range len(phrases) - minMatch + 1 {
		at[hash4(phrases[i:])] = uint16(i) + 1
	}
	return at
}()

func hash4[T string | []byte](s T) uint32 {
	return (uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24) * 2654435761 >> (32 - hashBits)
}

// squeeze appends b, squeezed.
func squeeze(to, b []byte) []byte {
	var own [1 << hashBits]uint16 // as places, in b
	run := 0                      // where what is not written yet begins
	flush := func(end int) {
		for run < end {
			n := min(end-run, maxRun)
			to = append(append(to, byte(n-1)), b[run:run+n]...)
			run += n
		}
	}
	for i := 0; i+minMatch <= len(b) && i < 1<<16-2; {
		h := hash4(b[i:])
		length, back := 0, 0
		if p := int(own[h]); p > 0 {
			length, back = common(b[p-1:], b[i:]), i-(p-1)
		}
		if p := int(places[h]); p > 0 {
			if n := common(phrases[p-1:], b[i:]); n > length {
				length, back = n, i+len(phrases)-(p-1)
			}
		}
		own[h] = uint16(i) + 1
		if length < minMatch || length == minMatch && back > 1<<14 {
			i++
			continue
		}
		flush(i)
		to = binary.AppendUvarint(append(to, 128+byte(length-minMatch)), uint64(back))
		for end := i + length; i+1 < end && i+1+minMatch <= len(b); {
			i++
			own[hash4(b[i:])] = uint16(i) + 1
		}
		run += length
		i = run
	}
	flush(len(b))
	return to
}

// common is how long two texts begin alike.
func common[A, B string | []byte](a A, b B) (n int) {
	for limit := min(len(a), len(b), maxMatch); n < limit && a[n] == b[n]; {
		n++
	}
	return n
}

// expand appends what was squeezed, at most limit bytes of it; not ok where it was not.
func expand(to, b []byte, limit int) (_ []byte, ok bool) {
	size := 0
	for rest := b; len(rest) > 0; {
		var t token
		if t, rest, ok = tokenOf(rest); !ok || t.back > size+len(phrases) {
			return to, false
		}
		if size += t.length; size > limit {
			return to, false
		}
	}
	begin := len(to)
	out := slices.Grow(to, size)
	for len(b) > 0 {
		var t token
		if t, b, _ = tokenOf(b); t.back == 0 {
			out = append(out, t.run...)
			continue
		}
		at := len(out) - t.back
		if before := begin - at; before > 0 {
			n := min(t.length, before)
			out = append(out, phrases[len(phrases)-before:][:n]...)
			at, t.length = at+n, t.length-n
		}
		for t.length > 0 { // a match may go on in what it wrote itself
			n := min(t.length, len(out)-at)
			out = append(out, out[at:at+n]...)
			at, t.length = at+n, t.length-n
		}
	}
	return out, true
}

// token is a run of bytes as they are, or a match that begins so far back.
type token struct {
	length, back int
	run          []byte
}

func tokenOf(b []byte) (t token, rest []byte, ok bool) {
	n, b := int(b[0]), b[1:]
	if n < 128 {
		if n++; n > len(b) {
			return t, nil, false
		}
		return token{length: n, run: b[:n]}, b[n:], true
	}
	back, size := binary.Uvarint(b)
	if size <= 0 || back == 0 || back > math.MaxInt32 {
		return t, nil, false
	}
	return token{length: n - 128 + minMatch, back: int(back)}, b[size:], true
}
