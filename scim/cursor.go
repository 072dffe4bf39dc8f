package scim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/orgkit/orgkit/scim/schema"
)

// cursorLife is how long a cursor is good.
const cursorLife = time.Hour

// position is where a list goes on: behind a resource, by its id and, of a list in another order, what it is ordered by.
type position struct {
	ID    string `json:"i"`
	Key   string `json:"k,omitempty"`
	Has   bool   `json:"h,omitempty"` // whether there is such a key
	Until int64  `json:"t"`           // seconds
}

// seal makes a cursor of a position. about is all that makes the list another one, the organization first.
func (h *Handler) seal(p position, about string, now time.Time) string {
	p.Until = now.Add(cursorLife).Unix()
	raw, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers
	}
	return base64.RawURLEncoding.EncodeToString(append(h.mark(raw, about), raw...))
}

// mark is what a cursor and its list have in common.
func (h *Handler) mark(raw []byte, about string) []byte {
	m := hmac.New(sha256.New, h.opt.CursorKey)
	m.Write([]byte(about))
	m.Write([]byte{0})
	m.Write(raw)
	return m.Sum(nil)[:16]
}

// open reads a cursor of the same list.
func (h *Handler) open(text, about string, now time.Time) (p position, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 16 || !hmac.Equal(b[:16], h.mark(b[16:], about)) || json.Unmarshal(b[16:], &p) != nil {
		return p, schema.Errorf(schema.InvalidCursor, "is no cursor of this list")
	}
	if now.Unix() >= p.Until {
		return p, schema.Errorf(schema.ExpiredCursor, "the cursor is too old; begin anew")
	}
	return p, nil
}
