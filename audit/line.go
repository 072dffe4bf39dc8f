package audit

import (
	"encoding/json"
	"time"
)

// exported is an entry as a line of an export holds it: the names of [Event], without what is empty. What changes
// together stands together, so that a compressor finds it in one piece.
type exported struct {
	OrgID        string          `json:"organization_id,omitempty"`
	ActorType    ActorType       `json:"actor_type,omitempty"`
	ActorID      string          `json:"actor_id,omitempty"`
	ActorLabel   string          `json:"actor_label,omitempty"`
	OnBehalfOf   string          `json:"on_behalf_of,omitempty"`
	UserAgent    string          `json:"user_agent,omitempty"`
	IP           string          `json:"ip,omitempty"`
	Type         string          `json:"type"`
	Category     string          `json:"category,omitempty"`
	Action       string          `json:"action,omitempty"`
	Outcome      Outcome         `json:"outcome,omitempty"`
	ResourceType string          `json:"resource_type,omitempty"`
	ResourceID   string          `json:"resource_id,omitempty"`
	ResourceSlug string          `json:"resource_slug,omitempty"`
	TeamID       string          `json:"team_id,omitempty"`
	Reason       string          `json:"reason,omitempty"`
	Erased       bool            `json:"erased,omitempty"`
	Before       json.RawMessage `json:"before,omitempty"`
	After        json.RawMessage `json:"after,omitempty"`
	Data         json.RawMessage `json:"data,omitempty"`
	Seq          int64           `json:"sequence"`
	Time         time.Time       `json:"time"`
	OccurredAt   time.Time       `json:"occurred_at"`
	ID           string          `json:"id"`
	RequestID    string          `json:"request_id,omitempty"`
	Salt         []byte          `json:"salt"`
}

// line is the entry as an export writes it: the only way in which it is.
func (r *Entry) line() ([]byte, error) {
	b, err := json.Marshal(exported{r.OrgID, r.ActorType, r.ActorID, r.ActorLabel, r.OnBehalfOf, r.UserAgent, r.IP, r.Type, r.Category, r.Action, r.Outcome,
		r.ResourceType, r.ResourceID, r.ResourceSlug, r.TeamID, r.Reason, r.Erased, r.Before, r.After, r.Data, r.Seq, r.Time, r.OccurredAt, r.ID, r.RequestID, r.Salt})
	return append(b, '\n'), err
}
