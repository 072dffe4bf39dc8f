package signin

import "time"

// Reprinted reads a hash and writes it again.
func Reprinted(s string) (string, error) {
	h, err := parseHash(s)
	return h.String(), err
}

// TOTPCode is the code of a key at a time.
func TOTPCode(key string, at time.Time) string {
	raw, err := totpEncoding.DecodeString(key)
	if err != nil {
		panic(err)
	}
	return totpAt(raw, at.Unix()/int64(totpStep/time.Second))
}

// TOTPMatch is totpMatch.
func TOTPMatch(key, code string, now time.Time, last int64) (int64, bool) {
	return totpMatch(key, code, now, last)
}
