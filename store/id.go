package store

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"
)

// idAlphabet is Crockford's base 32 in lower case: no i, l, o, u, and its byte order is its
// value order, so ids sort by time as plain strings.
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// ids makes ids of 26 characters: 48 bits of milliseconds, then 80 bits. Time first keeps new rows at one
// end of every index. Within a millisecond the 80 bits, random at its beginning, count up, so that ids of
// one process sort in the order in which they were made; never by the clock's going back. A clash between
// two processes is a matter of 2^40 milliseconds in which both make ids.
type ids struct {
	mu   sync.Mutex
	time int64 // milliseconds
	hi   uint16
	lo   uint64
}

func (m *ids) next(prefix string, now time.Time) string {
	m.mu.Lock()
	if ms := now.UnixMilli(); ms > m.time {
		var b [10]byte
		rand.Read(b[:]) // never fails: it crashes the program instead (crypto/rand since Go 1.24)
		m.time, m.hi, m.lo = ms, binary.BigEndian.Uint16(b[:2]), binary.BigEndian.Uint64(b[2:])
	} else if m.lo++; m.lo == 0 {
		m.hi++ // and should that ever pass its end, ids are no less unique
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(m.time)<<16|uint64(m.hi))
	binary.BigEndian.PutUint64(b[8:], m.lo)
	m.mu.Unlock()
	return prefix + "_" + encodeID(b)
}

// idLength is how many characters 16 bytes are.
const idLength = 26

func encodeID(b [16]byte) string {
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	var out [idLength]byte
	for i := idLength - 1; i >= 0; i-- {
		out[i] = idAlphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}

// ParseID takes an id as a [Tx] makes them apart: what stands before its last 26 characters, and the 16 bytes that
// those spell. Of any other text ok is false; [FormatID] makes the same text again of what is ok.
func ParseID(id string) (prefix string, b [16]byte, ok bool) {
	at := len(id) - idLength
	if at < 0 || id[at] > '7' { // the first character has three bits
		return "", b, false
	}
	var hi, lo uint64
	for i := at; i < len(id); i++ {
		v := idValue[id[i]]
		if v < 0 {
			return "", b, false
		}
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(v)
	}
	binary.BigEndian.PutUint64(b[:8], hi)
	binary.BigEndian.PutUint64(b[8:], lo)
	return id[:at], b, true
}

// FormatID puts together what [ParseID] took apart.
func FormatID(prefix string, b [16]byte) string { return prefix + encodeID(b) }

// idValue is what a character of an id stands for, -1 where it is none.
var idValue = func() (values [256]int8) {
	for i := range values {
		values[i] = -1
	}
	for i := range len(idAlphabet) {
		values[idAlphabet[i]] = int8(i)
	}
	return values
}()
