package export

import (
	"encoding/json"
	"strings"

	"github.com/orgkit/orgkit/audit"
)

// The formats of [audit.Destination].
const (
	formatJSON = "json"
	formatOCSF = "ocsf"
	formatECS  = "ecs"
)

// Render returns the records that an event is in a format: json, ocsf or ecs. They are one, but in ocsf two for the
// change of a role: that the one was taken and that the other was given.
func Render(format string, e audit.Event) ([]json.RawMessage, error) {
	var records []any
	switch format {
	case formatOCSF:
		records = ocsf(e)
	case formatECS:
		records = []any{ecs(e)}
	default:
		records = []any{e}
	}
	out := make([]json.RawMessage, len(records))
	for i, r := range records {
		b, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		out[i] = b
	}
	return out, nil
}

// Maps says whether ocsf and ecs have a place of their own for a type of event. Others, such as a host's own, are
// activity of an API there, by their verb.
func Maps(eventType string) bool {
	_, is := ocsf18[eventType]
	noun, _, _ := strings.Cut(eventType, ".")
	_, too := ecsCategories[noun]
	return is && too
}

// fields are those of a JSON object; those without a value are left out.
type fields map[string]any

func (f fields) set(name string, value any) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return
		}
	case json.RawMessage:
		if len(v) == 0 || string(v) == "null" {
			return
		}
	case fields:
		if len(v) == 0 {
			return
		}
	}
	f[name] = value
}

// message is the event in a sentence.
func message(e audit.Event) string {
	who := e.ActorLabel
	if who == "" {
		who = e.ActorID
	}
	text := e.Type + " by " + who
	if e.ResourceID != "" {
		text += ": " + strings.TrimSpace(e.ResourceType+" "+e.ResourceID)
	}
	if e.Outcome != audit.Success {
		text += " (" + string(e.Outcome) + ")"
	}
	return text
}

// rest is what neither schema has a place for.
func rest(e audit.Event) fields {
	f := fields{"type": e.Type, "category": e.Category}
	for name, value := range map[string]any{"action": e.Action, "team_id": e.TeamID, "on_behalf_of": e.OnBehalfOf, "resource_type": e.ResourceType, "resource_id": e.ResourceID,
		"resource_slug": e.ResourceSlug, "reason": e.Reason, "before": e.Before, "after": e.After, "data": e.Data} {
		f.set(name, value)
	}
	if e.Erased {
		f["erased"] = true
	}
	return f
}
