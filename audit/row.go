package audit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/orgkit/orgkit/store"
)

// row is an event on its way to the log, with what its leaf is made of besides. How it is kept, [kept] says.
type row struct {
	OrgID        string
	At           time.Time
	Seq          int64
	Lag          int64 // microseconds by which At is later than when it occurred
	ID           string
	TeamID       string
	Type         string
	Category     string
	Action       string
	ActorType    string
	ActorID      string
	OnBehalfOf   string
	ResourceType string
	ResourceID   string
	ResourceSlug string
	Outcome      string
	RequestID    string
	// Personal is what may name people, see personal; nil when it was erased.
	Personal []byte
	// Salt is hashed with Personal: 16 random bytes, so that nobody finds out by guessing what was erased. It is drawn
	// with the place of the event: of one that waits and is not sealed it is empty. Of an
	// erased event it is the hash of both, of 32 bytes, of which the leaf is made; of a sealed one both stand here.
	Salt []byte
}

const idPrefix = "evt"

// rowOf is the row of an event without its salt.
func rowOf(e *Event) row {
	return row{OrgID: e.OrgID, At: e.Time, Seq: e.Seq, Lag: e.Time.Sub(e.OccurredAt).Microseconds(), ID: e.ID,
		TeamID: e.TeamID, Type: e.Type, Category: e.Category, Action: e.Action, ActorType: string(e.ActorType), ActorID: e.ActorID, OnBehalfOf: e.OnBehalfOf,
		ResourceType: e.ResourceType, ResourceID: e.ResourceID, ResourceSlug: e.ResourceSlug, Outcome: string(e.Outcome), RequestID: e.RequestID,
		Personal: personal(e)}
}

// drawSalt gives the row a salt of its own.
func (r *row) drawSalt() {
	r.Salt = make([]byte, saltBytes)
	rand.Read(r.Salt) // never fails
}

// event is the event of the row. One whose personal part cannot be read says so by an error.
func (r *row) event() (Event, error) {
	e := r.public()
	if e.Erased {
		return e, nil
	}
	d := decoder{rest: r.Personal}
	if d.version() != personalVersion {
		return e, errEncoding
	}
	d.texts(&e.ActorLabel, &e.IP, &e.UserAgent, &e.Reason)
	e.Before, e.After, e.Data = d.bytes(), d.bytes(), d.bytes()
	return e, d.end()
}

// public is the event of the row without what is personal.
func (r *row) public() Event {
	return Event{OrgID: r.OrgID, Seq: r.Seq, Time: r.At, OccurredAt: r.At.Add(-time.Duration(r.Lag) * time.Microsecond), ID: r.ID,
		TeamID: r.TeamID, Type: r.Type, Category: r.Category, Action: r.Action, ActorType: ActorType(r.ActorType), ActorID: r.ActorID,
		OnBehalfOf: r.OnBehalfOf, ResourceType: r.ResourceType, ResourceID: r.ResourceID, ResourceSlug: r.ResourceSlug,
		Outcome: Outcome(r.Outcome), RequestID: r.RequestID, Erased: len(r.Salt) == sha256.Size}
}

// EventIn returns the event in a record of [Kinds], for tools that look into the database. Events that are not
// in order yet have no place and the time at which they occurred; of those that are sealed it returns none.
func EventIn(rec any) (e Event, is bool) {
	switch rec := rec.(type) {
	case kept:
		e, err := rec.event(nil)
		return e, err == nil
	case waiting:
		var r row
		if err := r.decode(rec.Event); err != nil {
			return e, false
		}
		if r.sealed() {
			return r.public(), false
		}
		e, err := r.event()
		return e, err == nil
	}
	return e, false
}

// The encodings begin with a version and hold times as microseconds, numbers as 8 bytes and texts behind their
// length: of two events that differ no encoding is the same.
const (
	headerVersion   = 1
	personalVersion = 1
	waitingVersion  = 1
)

// header is all that is not personal.
func (r *row) header() []byte {
	b := make([]byte, 0, 256)
	b = append(b, headerVersion)
	b = appendText(b, r.OrgID)
	for _, n := range []int64{r.Seq, r.At.UnixMicro(), r.Lag} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	for _, s := range r.texts() {
		b = appendText(b, *s)
	}
	return b
}

// texts are the fields of the header behind its numbers.
func (r *row) texts() []*string {
	return []*string{&r.ID, &r.TeamID, &r.Type, &r.Category, &r.Action, &r.ActorType, &r.ActorID, &r.OnBehalfOf,
		&r.ResourceType, &r.ResourceID, &r.ResourceSlug, &r.Outcome, &r.RequestID}
}

func personal(e *Event) []byte {
	b := append(make([]byte, 0, 256), personalVersion)
	for _, s := range []string{e.ActorLabel, e.IP, e.UserAgent, e.Reason} {
		b = appendText(b, s)
	}
	for _, j := range []json.RawMessage{e.Before, e.After, e.Data} {
		b = appendText(b, j)
	}
	return b
}

func appendText[T string | ~[]byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// leaf is the leaf of the event in the tree (RFC 6962, section 2.1): the hash of the header and of the hash of
// what is personal, so that the latter can go and the leaf stays.
func (r *row) leaf() tlog.Hash {
	cover := r.Salt
	switch {
	case r.sealed():
		cover = r.Salt[saltBytes:]
	case len(cover) != sha256.Size:
		cover = covered(r.Salt, r.Personal)
	}
	return tlog.RecordHash(append(r.header(), cover...))
}

// covered is the hash of what is personal.
func covered(salt, personal []byte) []byte {
	h := sha256.New()
	h.Write(salt)
	h.Write(personal)
	return h.Sum(nil)
}

// encode is the row as it waits to be put in order: it has no place yet.
func (r *row) encode() []byte {
	b := make([]byte, 0, 400)
	b = binary.BigEndian.AppendUint64(append(b, waitingVersion), uint64(r.At.UnixMicro()-r.Lag))
	b = pack(b, r.OrgID)
	for _, s := range r.texts() {
		b = pack(b, *s)
	}
	return r.appendPersonal(b)
}

func (r *row) decode(b []byte) error {
	d := decoder{rest: b}
	if d.version() != waitingVersion {
		return errEncoding
	}
	r.At = time.UnixMicro(d.number()).UTC()
	d.packed(&r.OrgID)
	d.packed(r.texts()...)
	r.takePersonal(&d, nil)
	if len(r.Salt) != 0 && !r.sealed() || r.words() != nil {
		return errEncoding
	}
	return d.end()
}

var errEncoding = errors.New("audit: not the encoding of an event")

// decoder reads an encoding; what is missing is empty and an error at the end.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.failed, d.rest = true, nil
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) version() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) number() int64 {
	if b := d.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (d *decoder) bytes() []byte {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.failed, d.rest = true, nil
		return nil
	}
	d.rest = d.rest[size:]
	if b := d.take(n); len(b) > 0 {
		return b
	}
	return nil
}

// squeezed is all that is left, as it was before it was squeezed: in the room, if any.
func (d *decoder) squeezed(room *[]byte) []byte {
	if room == nil {
		room = new([]byte)
	}
	b, ok := expand((*room)[:0], d.rest, maxPersonal)
	*room = b
	d.rest, d.failed = nil, d.failed || !ok
	if len(b) == 0 {
		return nil
	}
	return b
}

// texts reads texts that stand one behind another, into one piece of memory.
func (d *decoder) texts(into ...*string) {
	ahead := *d
	for range into {
		ahead.bytes()
	}
	text := string(d.rest[:len(d.rest)-len(ahead.rest)])
	for _, s := range into {
		n := len(d.bytes())
		end := len(text) - (len(d.rest) - len(ahead.rest))
		*s = text[end-n : end]
	}
}

func (d *decoder) end() error {
	if d.failed || len(d.rest) > 0 {
		return errEncoding
	}
	return nil
}

const (
	maxName = 500      // bytes of an id or a name: databases index no long ones
	maxText = 2000     // of what a caller says about itself, or why
	maxJSON = 32 << 10 // of a record

	maxPersonal = 3*maxJSON + 2*maxText + 2*maxName + 100
)

// tidy makes plain texts of all that came from somewhere: an event that could not be kept or proved would stand in the
// way of all others.
func (e *Event) tidy() {
	for _, s := range []*string{&e.OrgID, &e.TeamID, &e.Type, &e.Category, &e.Action, (*string)(&e.ActorType), &e.ActorID, &e.ActorLabel, &e.OnBehalfOf,
		&e.ResourceType, &e.ResourceID, &e.ResourceSlug, (*string)(&e.Outcome), &e.IP, &e.RequestID} {
		*s = store.PlainText(*s, maxName)
	}
	for _, s := range []*string{&e.Type, &e.Category, &e.Action, (*string)(&e.ActorType), &e.ResourceType, (*string)(&e.Outcome)} {
		*s = strings.ReplaceAll(*s, between, " ")
	}
	e.UserAgent, e.Reason = store.PlainText(e.UserAgent, maxText), store.PlainText(e.Reason, maxText)
	e.Before, e.After, e.Data = bounded(e.Before), bounded(e.After), bounded(e.Data)
}

// bounded keeps of a record that is too large its size and hash, so that no event stands in the way of others.
func bounded(j json.RawMessage) json.RawMessage {
	switch {
	case string(j) == "null":
		return nil
	case len(j) <= maxJSON:
		return j
	}
	sum := sha256.Sum256(j)
	return json.RawMessage(fmt.Sprintf(`{"truncated":{"bytes":%d,"sha256":"%s"}}`, len(j), hex.EncodeToString(sum[:])))
}
