package store

import (
	"crypto/rand"
	"encoding/binary"
	"time"
)

// idAlphabet is Crockford's base 32 in lower case: no i, l, o, u, and its byte order is its
// value order, so ids sort by time as plain strings.
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// randomID returns prefix_ followed by 26 characters: 48 bits of milliseconds, then 80 random
// bits. Time first keeps new rows at one end of every index; 80 bits make a clash between two
// processes in one millisecond a matter of 2^40 ids.
func randomID(prefix string, now time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	rand.Read(b[6:]) // never fails: it crashes the program instead (crypto/rand since Go 1.24)
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
