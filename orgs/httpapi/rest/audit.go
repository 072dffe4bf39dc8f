package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

type eventView struct {
	ID         string          `json:"id"`
	Time       string          `json:"time"`
	Type       string          `json:"type"`
	Category   string          `json:"category"`
	Actor      actorView       `json:"actor"`
	OnBehalfOf *string         `json:"on_behalf_of"`
	Resource   resourceView    `json:"resource"`
	TeamID     *string         `json:"team_id"`
	Action     string          `json:"action"`
	Outcome    audit.Outcome   `json:"outcome"`
	IP         *string         `json:"ip"`
	UserAgent  *string         `json:"user_agent"`
	RequestID  *string         `json:"request_id"`
	Reason     *string         `json:"reason"`
	Before     json.RawMessage `json:"before"`
	After      json.RawMessage `json:"after"`
	Data       json.RawMessage `json:"data"`
}

type actorView struct {
	Type  audit.ActorType `json:"type"`
	ID    string          `json:"id"`
	Label string          `json:"label"`
}

type resourceView struct {
	Type string  `json:"type"`
	ID   string  `json:"id"`
	Slug *string `json:"slug"`
}

func renderEvent(e audit.Event) eventView {
	return eventView{ID: e.ID, Time: stamp(e.Time), Type: e.Type, Category: e.Category, Actor: actorView{e.ActorType, e.ActorID, e.ActorLabel},
		OnBehalfOf: optional(e.OnBehalfOf), Resource: resourceView{e.ResourceType, e.ResourceID, optional(e.ResourceSlug)}, TeamID: optional(e.TeamID),
		Action: e.Action, Outcome: e.Outcome, IP: optional(e.IP), UserAgent: optional(e.UserAgent), RequestID: optional(e.RequestID),
		Reason: optional(e.Reason), Before: raw(e.Before), After: raw(e.After), Data: raw(e.Data)}
}

// raw is null in JSON where there is nothing.
func raw(m json.RawMessage) json.RawMessage {
	if len(m) == 0 {
		return json.RawMessage("null")
	}
	return m
}

// logQuery takes lists as repeated keys, as key[] and separated by commas (F008).
type logQuery struct {
	StartTime   string   `query:"start_time"`
	EndTime     string   `query:"end_time"`
	EventTypes  []string `query:"event_types,explode"`
	EventTypes2 []string `query:"event_types[],explode"`
	Actors      []string `query:"actors,explode"`
	Actors2     []string `query:"actors[],explode"`
	Resources   []string `query:"resources,explode"`
	Resources2  []string `query:"resources[],explode"`
	Outcome     string   `query:"outcome"`
	Order       string   `query:"order" enum:"asc,desc" default:"desc"`
	Limit       int      `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After       string   `query:"after" maxLength:"1000"`
}

func (a *api) auditLog() {
	add[logQuery, none](a, http.MethodGet, "/v1/organizations/{org}/audit/logs", "Query the audit log", func(ctx context.Context, in *logQuery) (*answer[list[eventView]], error) {
		f := audit.Filter{Types: flat(in.EventTypes, in.EventTypes2), Actors: flat(in.Actors, in.Actors2), Resources: flat(in.Resources, in.Resources2),
			Outcome: audit.Outcome(in.Outcome), Limit: in.Limit, After: in.After, Ascending: in.Order == "asc"}
		var err error
		if f.Start, err = instant("start_time", in.StartTime); err != nil {
			return nil, err
		}
		if f.End, err = instant("end_time", in.EndTime); err != nil {
			return nil, err
		}
		page, err := a.AuditLog(ctx, param(ctx, "org"), f)
		return listOf(page, err, always(renderEvent))
	})
}

func instant(field, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, store.Invalid(field, "time", "must be an RFC 3339 time")
	}
	return t, nil
}

func flat(lists ...[]string) (out []string) {
	for _, l := range lists {
		for _, s := range l {
			for _, part := range strings.Split(s, ",") {
				if part = strings.TrimSpace(part); part != "" {
					out = append(out, part)
				}
			}
		}
	}
	return out
}
