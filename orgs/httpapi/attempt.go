package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/orgkit/orgkit/orgs"
)

// The headers of a request that may be sent again, and of what is answered to it then.
const (
	IdempotencyHeader = "Idempotency-Key"
	ReplayedHeader    = "Idempotency-Replayed"
)

// AttemptOf is the attempt that a request with that body is, nil where it has no Idempotency-Key. A key that cannot be one is a
// *[Faults].
func AttemptOf(r *http.Request, route string, body []byte) (*orgs.Attempt, error) {
	keys := r.Header.Values(IdempotencyHeader)
	if len(keys) == 0 {
		return nil, nil
	}
	valid := len(keys) == 1 && keys[0] != "" && len(keys[0]) <= orgs.MaxIdempotencyKey &&
		strings.IndexFunc(keys[0], func(r rune) bool { return r <= ' ' || r > '~' }) < 0
	if !valid {
		return nil, &Faults{List: []Fault{{Location: "header." + IdempotencyHeader, Code: "pattern", Message: "must be one of 1 to 255 visible characters of ASCII"}}}
	}
	h := sha256.New()
	for _, part := range []string{r.URL.Path, r.URL.RawQuery, strings.Join(r.Header.Values("If-Match"), ","), string(body)} {
		h.Write(strconv.AppendInt(nil, int64(len(part)), 10))
		h.Write([]byte(":" + part))
	}
	return &orgs.Attempt{Route: route, Key: keys[0], Print: hex.EncodeToString(h.Sum(nil))}, nil
}

// Replay answers what was answered before.
func Replay(w http.ResponseWriter, kept orgs.Answer) {
	for name, value := range kept.Header {
		w.Header().Set(name, value)
	}
	w.Header().Set(ReplayedHeader, "true")
	w.WriteHeader(kept.Status)
	_, _ = w.Write(kept.Body)
}
