package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

// kept is an event as it is kept: clustered by organization and time, so that a page of the log is one run of rows. What
// the log is not asked for by is one packed column, so that a row is short and quickly read. What names people is never
// in the dictionary of words, from which nothing can be erased.
type kept struct {
	OrgID    string `store:"word"`
	At       time.Time
	Seq      int64
	Lag      int64
	TeamID   string `store:"word"`
	Kind     string `store:"word"` // the type and the outcome, see kindOf
	Manner   string `store:"word"` // the category, the action, and the types of the actor and the resource
	Actor    int64  // the key of its id, and
	Resource int64  // of that of the resource: an index is half as long as with ids
	Body     []byte // the ids, the salt and what is personal
}

var (
	byKind      = []string{"org_id", "kind", "at"}
	byActor     = []string{"org_id", "actor", "at"}
	byActorKind = []string{"org_id", "actor", "kind", "at"} // what somebody who does much has done of what there is little
	byResource  = []string{"org_id", "resource", "at"}

	events = store.DefineLog[kept]("audit_events", []string{"org_id", "at"},
		store.Index(byKind...), store.Index(byActor...), store.Index(byActorKind...), store.Index(byResource...))
)

// between stands between the parts of a word, in which it is not.
const between = "\n"

// kindOf is the word for the events of a type that have had an outcome.
func kindOf(eventType, outcome string) string { return eventType + between + outcome }

// words are those fields of the row that are parts of words. One with a line break is no such field.
func (r *row) words() error {
	for _, s := range []string{r.Type, r.Outcome, r.Category, r.Action, r.ActorType, r.ResourceType} {
		if strings.Contains(s, between) {
			return errEncoding
		}
	}
	return nil
}

// keyOf is what an id is looked up by: 48 bits of its hash. Whoever finds events by it compares the id too.
func keyOf(id string) int64 {
	sum := sha256.Sum256([]byte(id))
	return int64(binary.BigEndian.Uint64(sum[:]) >> 16)
}

// ids are the texts of a body, in this order.
func (r *row) ids() []*string {
	return []*string{&r.ID, &r.ActorID, &r.OnBehalfOf, &r.ResourceID, &r.ResourceSlug, &r.RequestID}
}

// kept is the row as it is kept.
func (r *row) kept() kept {
	k := kept{OrgID: r.OrgID, At: r.At, Seq: r.Seq, Lag: r.Lag, TeamID: r.TeamID, Kind: kindOf(r.Type, r.Outcome),
		Manner: strings.Join([]string{r.Category, r.Action, r.ActorType, r.ResourceType}, between),
		Actor:  keyOf(r.ActorID), Resource: keyOf(r.ResourceID), Body: make([]byte, 0, 120+len(r.Personal))}
	for _, s := range r.ids() {
		k.Body = pack(k.Body, *s)
	}
	k.Body = r.appendPersonal(k.Body)
	return k
}

// row is the event that is kept. One that is damaged is an error.
func (k *kept) row() (row, error) {
	r, d, err := k.public()
	if err != nil {
		return r, err
	}
	r.takePersonal(&d, nil)
	return r, d.end()
}

// public is the row without its salt and what is personal, which are left in the decoder.
func (k *kept) public() (r row, d decoder, err error) {
	r = row{OrgID: k.OrgID, At: k.At, Seq: k.Seq, Lag: k.Lag, TeamID: k.TeamID}
	if strings.Count(k.Kind, between) != 1 || strings.Count(k.Manner, between) != 3 {
		return r, d, errEncoding
	}
	r.Type, r.Outcome, _ = strings.Cut(k.Kind, between)
	r.Category, r.ResourceType, _ = strings.Cut(k.Manner, between)
	r.Action, r.ResourceType, _ = strings.Cut(r.ResourceType, between)
	r.ActorType, r.ResourceType, _ = strings.Cut(r.ResourceType, between)
	d.rest = k.Body
	d.packed(r.ids()...)
	return r, d, nil
}

// appendPersonal appends the salt and what is personal: sealed, or squeezed.
func (r *row) appendPersonal(b []byte) []byte {
	b = appendText(b, r.Salt)
	if r.sealed() {
		return append(b, r.Personal...)
	}
	return squeeze(b, r.Personal)
}

func (r *row) takePersonal(d *decoder, room *[]byte) {
	r.Salt = d.bytes()
	if r.sealed() {
		r.Personal = d.take(uint64(len(d.rest)))
	} else {
		r.Personal = d.squeezed(room)
	}
}

// event is the event of what is kept. Of one that is damaged, or cannot be opened, it is what can be read, and an error.
func (k *kept) event(s *seal.Sealer) (Event, error) {
	r, personal, err := k.public()
	if err != nil {
		return r.public(), err
	}
	return r.complete(personal, s, nil)
}

// complete is the event of a row that is public, and what is personal in it, see [kept.public]. It is read in the room, if any,
// and the event does not refer to that.
func (r *row) complete(personal decoder, s *seal.Sealer, room *[]byte) (e Event, err error) {
	r.takePersonal(&personal, room)
	if err = personal.end(); err == nil {
		err = r.open(s)
	}
	if err != nil {
		return r.public(), err
	}
	if e, err = r.event(); room != nil {
		e.own()
	}
	return e, err
}

// own has the event refer to memory of its own.
func (e *Event) own() {
	b := make([]byte, 0, len(e.Before)+len(e.After)+len(e.Data))
	for _, j := range []*json.RawMessage{&e.Before, &e.After, &e.Data} {
		if n := len(*j); n > 0 {
			b = append(b, *j...)
			*j = json.RawMessage(b[len(b)-n : len(b) : len(b)])
		}
	}
}

// entry is the event with what proves it.
func (k *kept) entry(s *seal.Sealer) (Entry, error) {
	r, err := k.row()
	if err == nil {
		err = r.open(s)
	}
	if err != nil {
		return Entry{}, err
	}
	return r.entry()
}

// leaf is the leaf of what is kept. One that is damaged has a leaf that a verification does not find right, so that
// events can go on behind it.
func (k *kept) leaf() tlog.Hash {
	r, err := k.row()
	if err != nil {
		return tlog.RecordHash(k.Body)
	}
	return r.leaf()
}

// sound returns the row of what is kept, an error where anything in it is another way than it was written.
func (k *kept) sound() (r row, err error) {
	if r, err = k.row(); err != nil {
		return r, err
	}
	if again := r.kept(); again.Kind != k.Kind || again.Manner != k.Manner || again.Actor != k.Actor || again.Resource != k.Resource || string(again.Body) != string(k.Body) {
		return r, fmt.Errorf("%w: by which it is found is not what is in it", errEncoding)
	}
	return r, nil
}
