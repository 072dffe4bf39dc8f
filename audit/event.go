package audit

import (
	"encoding/json"
	"strings"
	"time"
)

// Outcome says how what an event tells of ended.
type Outcome string

// The outcomes.
const (
	Success Outcome = "success"
	Failure Outcome = "failure"
	Denied  Outcome = "denied"
)

// Event is one entry of an organization's log. Its place in the log is Seq, and Time grows with it: lists and bounds
// go by Time.
type Event struct {
	OrgID        string          `json:"organization_id"` // "" for what concerns no organization
	Seq          int64           `json:"sequence"`        // the position in the log of the organization, from 0
	Time         time.Time       `json:"time"`            // when it occurred, but always later than that of the event before it
	OccurredAt   time.Time       `json:"occurred_at"`     // when the unit of the change began, or when it was decided
	ID           string          `json:"id"`
	TeamID       string          `json:"team_id"`
	Type         string          `json:"type"`     // noun.verb, such as team.created
	Category     string          `json:"category"` // one of the nine families, or audit; see [Category]
	Action       string          `json:"action"`   // the permission that was asked, such as teams.create
	ActorType    ActorType       `json:"actor_type"`
	ActorID      string          `json:"actor_id"`
	ActorLabel   string          `json:"actor_label"`
	OnBehalfOf   string          `json:"on_behalf_of"`
	ResourceType string          `json:"resource_type"`
	ResourceID   string          `json:"resource_id"`
	ResourceSlug string          `json:"resource_slug"`
	Outcome      Outcome         `json:"outcome"`
	IP           string          `json:"ip"`
	UserAgent    string          `json:"user_agent"`
	RequestID    string          `json:"request_id"`
	Reason       string          `json:"reason"`
	Before       json.RawMessage `json:"before"` // the fields that changed, as they were
	After        json.RawMessage `json:"after"`  // and as they are
	Data         json.RawMessage `json:"data"`   // whatever else belongs to this type
	Erased       bool            `json:"erased"` // what was personal in it is gone, see [Log.Erase]
}

// Resource is what an event is about.
type Resource struct {
	Type string // singular noun: "team"
	ID   string
	Slug string // "" where the noun has none
}

// Record is a record that the log can name. It is asked when the event is written, after the
// record got its id.
type Record interface{ AuditResource() Resource }

// Change describes a change to the log, by the function that made it.
type Change struct {
	Type     string   // event type; "" is the noun of the resource and Verb
	Verb     string   // created, updated, deleted, ...
	Resource Resource // zero: that of After or Before, which is then a [Record]
	OrgID    string   // "": the one that the change was asked for
	TeamID   string   // the team concerned, if any
	Reason   string   // why, in the words of the caller
	Outcome  Outcome  // "" is Success
	Before   any      // the record before; nil when it is new
	After    any      // the record after; nil when it is gone
	Data     any      // anything else, without secrets
}

// Created describes a new record: a pointer, so that it may still be inserted.
func Created(rec Record) Change { return Change{Verb: "created", After: rec} }

// Updated describes a changed record. Only the fields that differ are kept.
func Updated(before, after Record) Change {
	return Change{Verb: "updated", Before: before, After: after}
}

// Deleted describes a record that is gone.
func Deleted(rec Record) Change { return Change{Verb: "deleted", Before: rec} }

// As gives the change an event type of its own.
func (c Change) As(eventType string) Change {
	c.Type = eventType
	return c
}

// In names the team that the change concerns.
func (c Change) In(teamID string) Change {
	c.TeamID = teamID
	return c
}

// Of names the organization, where the change itself has made it.
func (c Change) Of(orgID string) Change {
	c.OrgID = orgID
	return c
}

// Because adds the caller's reason.
func (c Change) Because(reason string) Change {
	c.Reason = reason
	return c
}

// complete fills in what is taken from the record.
func (c Change) complete() Change {
	if c.Resource == (Resource{}) {
		for _, rec := range []any{c.After, c.Before} {
			if r, ok := rec.(Record); ok {
				c.Resource = r.AuditResource()
				break
			}
		}
	}
	if c.Type == "" {
		c.Type = c.Resource.Type + "." + c.Verb
	}
	return c
}

// families maps the noun of an event type to its category; the category's own name stands for
// itself.
var families = map[string]string{
	"session": "authentication", "approval": "authorization", "project": "team", "user": "member",
	"invitation": "member", "budget": "billing", "rate_limit": "billing", "allowance": "billing", "invoice": "billing", "payment": "billing",
	"organization": "settings", "role": "settings", "policy": "settings", "sso": "settings",
	"scim": "settings", "webhook": "settings", "token": "api_key", "analytics": "data_access", "report": "data_access",
	"export": "data_access", "compliance": "data_access",
}

// Families are the categories that every event of this library has one of, but those of the log itself, such as
// [PrunedType], which are written whatever is asked for.
func Families() []string {
	return []string{"authentication", "authorization", "api_key", "team", "member", "billing", "settings", "data_access", "security"}
}

// Category returns the family of an event type, see [Families]. A noun that is the host's own stands for itself.
func Category(eventType string) string {
	switch eventType {
	case "audit.read":
		return "data_access"
	case ConfigChangedType:
		return "settings"
	case "organization.suspended", "organization.resumed":
		return "security"
	}
	noun, _, _ := strings.Cut(eventType, ".")
	if f, ok := families[noun]; ok {
		return f
	}
	return noun
}
