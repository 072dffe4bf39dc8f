package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"
)

// exported is an entry as a line of an export holds it: the names of [Event], without what is empty and what follows from
// the lines before. What changes together stands together, so that a compressor finds it in one piece.
type exported struct {
	Seq          int64           `json:"sequence"`
	OrgID        string          `json:"organization_id,omitempty"`
	ActorType    ActorType       `json:"actor_type,omitempty"`
	ActorID      string          `json:"actor_id,omitempty"`
	ActorLabel   string          `json:"actor_label,omitempty"`
	OnBehalfOf   string          `json:"on_behalf_of,omitempty"`
	UserAgent    string          `json:"user_agent,omitempty"`
	IP           string          `json:"ip,omitempty"`
	OccurredAt   time.Time       `json:"occurred_at"`
	Time         *time.Time      `json:"time,omitempty"`
	ID           string          `json:"id"`
	Type         string          `json:"type"`
	Category     string          `json:"category,omitempty"`
	Action       string          `json:"action,omitempty"`
	Outcome      *Outcome        `json:"outcome,omitempty"`
	ResourceType string          `json:"resource_type,omitempty"`
	ResourceID   string          `json:"resource_id,omitempty"`
	ResourceSlug string          `json:"resource_slug,omitempty"`
	TeamID       string          `json:"team_id,omitempty"`
	Reason       string          `json:"reason,omitempty"`
	RequestID    string          `json:"request_id,omitempty"`
	Before       json.RawMessage `json:"before,omitempty"`
	After        json.RawMessage `json:"after,omitempty"`
	Data         json.RawMessage `json:"data,omitempty"`
	Erased       bool            `json:"erased,omitempty"`
	exportedSalt
}

// exportedSalt is the end of a line.
type exportedSalt struct {
	Salt  []byte `json:"salt,omitempty"`
	Salts []byte `json:"salts,omitempty"`
}

// Of a line are left out:
//
//   - organization_id, where it is that of the line before; of the first line it is there.
//   - time, where it is what follows: when the event occurred, or a microsecond after the one before if that is later.
//   - outcome, where it is success.
//   - salt, where salts of this line or one before tell it: a node of the tree of seeds, the first byte its level and the
//     rest itself, which begins with the event of its line and is of the next 1<<level.
//
// linesBefore are what was read or written up to now.
type linesBefore struct {
	begun bool
	orgID string
	at    time.Time
	seed  seed // that tells the salts, as long as they are below it
}

// told is the salt that follows for an event, nil where none does.
func (l *linesBefore) told(seq int64) []byte {
	if l.seed.bytes == nil || seq < l.seed.at || seq >= l.seed.below() {
		return nil
	}
	return l.seed.salt(seq)
}

// follows is the time of an event that occurred then, where nothing else is said.
func (l *linesBefore) follows(occurred time.Time) time.Time {
	return latest(l.at.Add(time.Microsecond), occurred)
}

// write is the next entry as its line, without what says its salt: see [linesBefore.end].
func (l *linesBefore) write(e *Entry) ([]byte, error) {
	x := exported{e.Seq, e.OrgID, e.ActorType, e.ActorID, e.ActorLabel, e.OnBehalfOf, e.UserAgent, e.IP, e.OccurredAt, &e.Time, e.ID, e.Type, e.Category, e.Action, &e.Outcome,
		e.ResourceType, e.ResourceID, e.ResourceSlug, e.TeamID, e.Reason, e.RequestID, e.Before, e.After, e.Data, e.Erased, exportedSalt{}}
	if l.begun && l.orgID == e.OrgID {
		x.OrgID = ""
	}
	if l.begun && e.Time.Equal(l.follows(e.OccurredAt)) {
		x.Time = nil
	}
	if e.Outcome == Success {
		x.Outcome = nil
	}
	l.begun, l.orgID, l.at = true, e.OrgID, e.Time
	return json.Marshal(x)
}

// end completes the line of an event: it says its salt where that does not follow, and the node that begins with it.
func (l *linesBefore) end(line []byte, seq int64, salt []byte, begins *seed) ([]byte, error) {
	var x exportedSalt
	if begins != nil {
		l.seed = *begins
		x.Salts = append([]byte{byte(begins.level)}, begins.bytes...)
	}
	if !bytes.Equal(l.told(seq), salt) {
		x.Salt = salt
	}
	b, err := json.Marshal(x)
	if len(b) > len("{}") {
		line = append(append(line[:len(line)-1], ','), b[1:]...)
	}
	return append(line, '\n'), err
}

var errLine = errors.New("the line is not one that an export holds")

// read is the entry of the next line.
func (l *linesBefore) read(line []byte) (e Entry, err error) {
	var x exported
	if err := json.Unmarshal(line, &x); err != nil {
		return e, errLine
	}
	now := *l
	var begins *seed
	if len(x.Salts) > 0 {
		begins = &seed{int(x.Salts[0]), x.Seq, x.Salts[1:]}
		if begins.level < 1 || begins.level > saltLevel || len(begins.bytes) != saltBytes || x.Seq < 0 || x.Seq&(1<<begins.level-1) != 0 {
			return e, errLine
		}
		now.seed = *begins
	}
	e = Entry{Event{OrgID: x.OrgID, Seq: x.Seq, OccurredAt: x.OccurredAt, ID: x.ID, TeamID: x.TeamID, Type: x.Type, Category: x.Category, Action: x.Action,
		ActorType: x.ActorType, ActorID: x.ActorID, ActorLabel: x.ActorLabel, OnBehalfOf: x.OnBehalfOf, ResourceType: x.ResourceType, ResourceID: x.ResourceID, ResourceSlug: x.ResourceSlug,
		Outcome: Success, IP: x.IP, UserAgent: x.UserAgent, RequestID: x.RequestID, Reason: x.Reason, Before: x.Before, After: x.After, Data: x.Data, Erased: x.Erased}, x.Salt}
	if now.begun && e.OrgID == "" {
		e.OrgID = now.orgID
	}
	if e.Time = now.follows(e.OccurredAt); x.Time != nil {
		e.Time = *x.Time
	}
	if x.Outcome != nil {
		e.Outcome = *x.Outcome
	}
	if x.Salt == nil {
		e.Salt = now.told(e.Seq)
	}
	again, err := l.write(&e)
	if err == nil {
		again, err = l.end(again, e.Seq, e.Salt, begins)
	}
	if err != nil || !bytes.Equal(line, again) { // it is written in one way only
		return e, errLine
	}
	return e, nil
}
