package signin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// The codes of an authenticator (RFC 6238): SHA-1, 6 digits and 30 seconds, the only parameters that all of them know. SHA-1
// is not broken where it is keyed (RFC 6151 says so of MD5 even).
const (
	totpKeySize = 20 // bytes, as RFC 4226 §4 R6 wants them
	totpDigits  = 6
	totpStep    = 30 * time.Second
	totpDrift   = 1 // steps of clocks that differ, each way (RFC 6238 §5.2)
)

var totpEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// newTOTPKey returns a key in the form in which it is shown.
func newTOTPKey() string {
	var key [totpKeySize]byte
	rand.Read(key[:])
	return totpEncoding.EncodeToString(key[:])
}

// totpURL is what authenticators read as a QR code.
func totpURL(issuer, account, key string) string {
	q := url.Values{"secret": {key}, "issuer": {issuer}, "algorithm": {"SHA1"}, "digits": {fmt.Sprint(totpDigits)}, "period": {fmt.Sprint(int(totpStep / time.Second))}}
	u := url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + issuer + ":" + account, RawQuery: strings.ReplaceAll(q.Encode(), "+", "%20")}
	return u.String()
}

// totpAt is the code of a step (RFC 4226 §5.3).
func totpAt(key []byte, step int64) string {
	mac := hmac.New(sha1.New, key)
	_ = binary.Write(mac, binary.BigEndian, step)
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	n := binary.BigEndian.Uint32(sum[offset:]) & 0x7fffffff
	return fmt.Sprintf("%06d", n%1_000_000)
}

// totpMatch returns the step of a code: one near to now, and later than the last that was used, so that nobody uses a code
// again who has seen it (RFC 6238 §5.2). Of a used one it answers that step too, with false.
func totpMatch(key, code string, now time.Time, last int64) (step int64, fresh bool) {
	raw, err := totpEncoding.DecodeString(key)
	code = digits(code)
	if err != nil || len(code) != totpDigits {
		return 0, false
	}
	at := now.Unix() / int64(totpStep/time.Second)
	for s := at - totpDrift; s <= at+totpDrift; s++ {
		if subtle.ConstantTimeCompare([]byte(totpAt(raw, s)), []byte(code)) == 1 {
			if step = s; s > last {
				return s, true
			}
		}
	}
	return step, false
}

// digits is a code without the spaces that authenticators show in it.
func digits(code string) string {
	if len(code) > 2*totpDigits {
		return ""
	}
	return strings.ReplaceAll(code, " ", "")
}

const (
	recoveryCodes = 10
	recoveryBits  = 80 // of each: so many that a plain hash keeps them
)

var recoveryEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// newRecoveryCode returns a code such as 7h2k-90ab-cdef-gh12.
func newRecoveryCode() string {
	var b [recoveryBits / 8]byte
	rand.Read(b[:])
	s := recoveryEncoding.EncodeToString(b[:])
	return s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:]
}

// plainRecovery is a code as it is hashed, however somebody has written it down.
func plainRecovery(code string) string {
	if len(code) > 64 {
		return ""
	}
	return strings.NewReplacer("-", "", " ", "", "o", "0", "i", "1", "l", "1").Replace(strings.ToLower(code))
}
