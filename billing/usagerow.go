package billing

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// usageRow is an event as it is kept. What events are found by has columns; what comes back often is a word of the
// dictionary, and the rest is packed: an event takes two thirds less than with a column for each field, and is written
// in half the time.
type usageRow struct {
	OrgID  string `store:"word"`
	Source string
	ID     string
	At     time.Time
	Caller string `store:"word"` // user, key, team and project, by lines: few calls of a key differ in any
	Call   string `store:"word"` // model, method, status, version of the price and endpoint, by lines
	Detail []byte // see usageRow.pack
}

var usageEvents = store.DefineLog[usageRow]("usage_events", []string{"org_id", "source", "id"}, store.Index("org_id", "at"))

// rowOf is the row of an event that is valid, with the words for it.
func rowOf(e *UsageEvent, w eventWords) (r usageRow, err error) {
	cost, err := e.pico()
	if err != nil {
		return r, err
	}
	quantity, err := e.quantity()
	if err != nil {
		return r, err
	}
	r = usageRow{OrgID: e.OrgID, Source: e.Source, ID: e.ID, At: e.Time.UTC().Truncate(time.Microsecond), Caller: w.caller, Call: w.call}
	r.Detail = pack(e, cost, quantity)
	return r, nil
}

// eventWords are the words of an event but for its organization.
type eventWords struct{ caller, call string }

// wordsOf are the words of an event. Those of before, which is the event before it or nil, are w, and mostly the same.
func wordsOf(e, before *UsageEvent, w eventWords) eventWords {
	if before == nil || e.UserID != before.UserID || e.KeyID != before.KeyID || e.TeamID != before.TeamID || e.ProjectID != before.ProjectID {
		w.caller = lines(e.UserID, e.KeyID, e.TeamID, e.ProjectID)
	}
	if before == nil || e.Model != before.Model || e.Method != before.Method || e.Status != before.Status || e.PriceVersion != before.PriceVersion || e.Endpoint != before.Endpoint {
		w.call = lines(e.Model, e.Method, strconv.Itoa(e.Status), e.PriceVersion, e.Endpoint)
	}
	return w
}

// lines are texts, each of which is a line.
func lines(texts ...string) string { return strings.Join(texts, "\n") }

// split reads so many lines.
func split(s string, into ...*string) bool {
	for i, to := range into {
		line, rest, more := strings.Cut(s, "\n")
		if more != (i < len(into)-1) {
			return false
		}
		*to, s = line, rest
	}
	return true
}

const detailVersion = 1

// pack is what has no column: numbers as varints, texts behind their length, tags by their names. Of two events that
// differ in it, no packing is the same.
func pack(e *UsageEvent, cost Pico, quantity int64) []byte {
	size := 64 + len(e.Resource) + len(e.Corrects)
	for name, value := range e.Tags {
		size += 4 + len(name) + len(value)
	}
	b := append(make([]byte, 0, size), detailVersion)
	for _, n := range [...]int64{e.InputTokens, e.CachedTokens, e.OutputTokens, int64(cost), e.Latency.Microseconds(), e.TTFT.Microseconds(), quantity} {
		b = binary.AppendVarint(b, n)
	}
	for _, s := range [...]string{e.Unit, e.Resource, e.Corrects} {
		b = appendText(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(e.Tags)))
	var room [8]string
	for _, name := range e.tagNames(room[:0]) {
		b = appendText(appendText(b, name), e.Tags[name])
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errPacked = errors.New("billing: a usage event cannot be read")

// event is the event of the row.
func (r *usageRow) event() (e UsageEvent, err error) {
	cost, err := r.read(&e, true)
	if cost != 0 {
		e.Cost = cost.Decimal()
	}
	return e, err
}

// read fills in the event of the row but for what it has cost, and its tags where they are wanted.
func (r *usageRow) read(e *UsageEvent, tagged bool) (cost Pico, err error) {
	*e = UsageEvent{Source: r.Source, ID: r.ID, Time: r.At, OrgID: r.OrgID}
	var status string
	whole := split(r.Caller, &e.UserID, &e.KeyID, &e.TeamID, &e.ProjectID) && split(r.Call, &e.Model, &e.Method, &status, &e.PriceVersion, &e.Endpoint)
	if e.Status, err = strconv.Atoi(status); err != nil || !whole {
		return 0, fmt.Errorf("%w: %q", errPacked, r.ID)
	}
	u := unpacker{rest: r.Detail}
	if u.byte() != detailVersion {
		return 0, fmt.Errorf("%w: %q is of another version", errPacked, r.ID)
	}
	e.InputTokens, e.CachedTokens, e.OutputTokens = u.number(), u.number(), u.number()
	cost = Pico(u.number())
	e.Latency, e.TTFT = u.duration(), u.duration()
	if n := u.number(); n != 0 {
		e.Quantity = decimal.New(n, -quantityPlaces)
	}
	e.Unit, e.Resource, e.Corrects = u.text(), u.text(), u.text()
	if !tagged {
		u.rest = nil
	} else if n := u.length(); n > 0 {
		e.Tags = make(map[string]string, min(n, MaxEventTags))
		for range n {
			name := u.text()
			e.Tags[name] = u.text()
			if u.failed {
				break
			}
		}
	}
	if u.failed || len(u.rest) > 0 {
		return 0, fmt.Errorf("%w: %q", errPacked, r.ID)
	}
	return cost, nil
}

// unpacker reads what [pack] has written. It fails at what nobody has packed, whatever that is.
type unpacker struct {
	rest   []byte
	failed bool
}

func (u *unpacker) fail() {
	u.failed, u.rest = true, nil
}

func (u *unpacker) byte() byte {
	if len(u.rest) == 0 {
		u.fail()
		return 0
	}
	b := u.rest[0]
	u.rest = u.rest[1:]
	return b
}

func (u *unpacker) number() int64 {
	n, size := binary.Varint(u.rest)
	if size <= 0 {
		u.fail()
		return 0
	}
	u.rest = u.rest[size:]
	return n
}

func (u *unpacker) duration() time.Duration {
	n := u.number()
	if n < 0 || n > (24*time.Hour).Microseconds() {
		u.fail()
		return 0
	}
	return time.Duration(n) * time.Microsecond
}

// length is how many of something follow, of which each takes a byte at least.
func (u *unpacker) length() int {
	n, size := binary.Uvarint(u.rest)
	if size <= 0 || n > uint64(len(u.rest)-size) {
		u.fail()
		return 0
	}
	u.rest = u.rest[size:]
	return int(n)
}

func (u *unpacker) text() string {
	n := u.length()
	s := string(u.rest[:n])
	u.rest = u.rest[n:]
	return s
}

// of says whether the event is of a person.
func (r *usageRow) of(userID string) bool {
	rest, begins := strings.CutPrefix(r.Caller, userID)
	return begins && strings.HasPrefix(rest, "\n")
}

// Latest walks the events of a person in an organization that lie within a time, newest first, as [Metering.Events] does.
func (m *Metering) Latest(ctx context.Context, tx *store.Tx, orgID, userID string, from, below time.Time) iter.Seq2[UsageEvent, error] {
	return func(yield func(UsageEvent, error) bool) {
		for r, err := range usageEvents.All(ctx, tx, store.Range{By: []string{"org_id", "at"}, Equal: []any{orgID}, From: from, Below: below, Desc: true}) {
			if err == nil && !r.of(userID) {
				continue
			}
			var e UsageEvent
			if err == nil {
				e, err = r.event()
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// Events walks the events of an organization that lie within a time, below itself outside, in the order of their times. It
// asks no permission: it serves the floors above. The error, if any, comes last.
func (m *Metering) Events(ctx context.Context, tx *store.Tx, orgID string, from, below time.Time) iter.Seq2[UsageEvent, error] {
	return func(yield func(UsageEvent, error) bool) {
		for r, err := range usageEvents.All(ctx, tx, store.Range{By: []string{"org_id", "at"}, Equal: []any{orgID}, From: from, Below: below}) {
			var e UsageEvent
			if err == nil {
				e, err = r.event()
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}
