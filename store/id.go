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

func encodeID(b [16]byte) string {
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	var out [26]byte
	for i := 25; i >= 0; i-- {
		out[i] = idAlphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}
