package rest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
)

type eventView struct {
	ID         string          `json:"id"`
	OrgID      *string         `json:"organization_id"`
	Sequence   int64           `json:"sequence"`
	Time       string          `json:"time"`
	OccurredAt string          `json:"occurred_at"`
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
	Erased     bool            `json:"erased"`
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
	return eventView{ID: e.ID, OrgID: optional(e.OrgID), Sequence: e.Seq, Time: exact(e.Time), OccurredAt: exact(e.OccurredAt), Type: e.Type, Category: e.Category, Actor: actorView{e.ActorType, e.ActorID, e.ActorLabel},
		OnBehalfOf: optional(e.OnBehalfOf), Resource: resourceView{e.ResourceType, e.ResourceID, optional(e.ResourceSlug)}, TeamID: optional(e.TeamID),
		Action: e.Action, Outcome: e.Outcome, IP: optional(e.IP), UserAgent: optional(e.UserAgent), RequestID: optional(e.RequestID),
		Reason: optional(e.Reason), Before: raw(e.Before), After: raw(e.After), Data: raw(e.Data), Erased: e.Erased}
}

// exact is a time as it is kept, so that it can be asked for.
func exact(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

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

func (q *logQuery) filter() (f audit.Filter, err error) {
	f = audit.Filter{Types: flat(q.EventTypes, q.EventTypes2), Actors: flat(q.Actors, q.Actors2), Resources: flat(q.Resources, q.Resources2),
		Outcome: audit.Outcome(q.Outcome), Limit: q.Limit, After: q.After, Ascending: q.Order == "asc"}
	if f.Start, err = instant("start_time", q.StartTime); err != nil {
		return f, err
	}
	f.End, err = instant("end_time", q.EndTime)
	return f, err
}

type checkpointView struct {
	Origin string   `json:"origin"`
	Size   int64    `json:"size"`
	Root   string   `json:"root" doc:"base64, RFC 6962"`
	Time   string   `json:"time"`
	Note   string   `json:"note" doc:"the signed text: the checkpoint itself"`
	Keys   []string `json:"keys" doc:"the public keys of who signs"`
}

type consistencyQuery struct {
	From int64 `query:"from" required:"true" minimum:"1"`
	To   int64 `query:"to" required:"true" minimum:"1"`
}

type consistencyView struct {
	From   int64        `json:"from"`
	To     int64        `json:"to"`
	Hashes []audit.Hash `json:"hashes" doc:"base64, RFC 6962, section 2.1.2"`
}

type erasure struct {
	UserID string `json:"user_id" minLength:"1" maxLength:"100" doc:"a user, also one that is gone, or an API key"`
}

type erasureView struct {
	UserID string `json:"user_id"`
	Events int    `json:"events" doc:"out of how many something was taken now"`
}

// logs serves a list of events.
func (a *api) logs(path, summary string, query func(ctx context.Context, org string, f audit.Filter) (store.Page[audit.Event], error)) {
	add[logQuery, none](a, http.MethodGet, path, summary, func(ctx context.Context, in *logQuery) (*answer[list[eventView]], error) {
		f, err := in.filter()
		if err != nil {
			return nil, err
		}
		page, err := query(ctx, param(ctx, "org"), f)
		return listOf(page, err, always(renderEvent))
	})
}

func (a *api) auditLog() {
	a.logs("/v1/organizations/{org}/audit/logs", "Query the audit log", a.AuditLog)
	a.logs("/v1/organizations/{org}/audit/descendants/logs", "Query the audit logs of all organizations below, without its own", a.AuditLogBelow)
	add[none, none](a, http.MethodGet, "/v1/organizations/{org}/audit/checkpoint", "The newest signed checkpoint of the audit log",
		func(ctx context.Context, _ *none) (*answer[checkpointView], error) {
			c, err := a.AuditCheckpoint(ctx, param(ctx, "org"))
			if err != nil {
				return nil, err
			}
			keys := append([]string{}, a.Audit().Verifiers()...)
			return ok(checkpointView{c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]), httpapi.Stamp(c.Time), c.Note, keys})
		})
	add[none, none](a, http.MethodGet, "/v1/organizations/{org}/audit/logs/{sequence}/proof", "Prove that an event is in the log",
		func(ctx context.Context, _ *none) (*answer[audit.Proof], error) {
			seq, err := strconv.ParseInt(param(ctx, "sequence"), 10, 64)
			if err != nil {
				return nil, store.ErrNotFound
			}
			p, err := a.AuditProof(ctx, param(ctx, "org"), seq)
			if err != nil {
				return nil, err
			}
			return ok(p)
		})
	add[none, erasure](a, http.MethodPost, "/v1/organizations/{org}/audit/erasures", "Take what is personal about somebody out of the audit log",
		func(ctx context.Context, _ *none) (*answer[erasureView], error) {
			at, in, err := placed[erasure](ctx, a)
			if err != nil {
				return nil, err
			}
			n, err := a.EraseFromAudit(ctx, at.OrgID, in.UserID)
			if err != nil {
				return nil, err
			}
			return ok(erasureView{in.UserID, n})
		})
	add[consistencyQuery, none](a, http.MethodGet, "/v1/organizations/{org}/audit/consistency", "Prove that one checkpoint continues another",
		func(ctx context.Context, in *consistencyQuery) (*answer[consistencyView], error) {
			hashes, err := a.AuditConsistency(ctx, param(ctx, "org"), in.From, in.To)
			if err != nil {
				return nil, err
			}
			return ok(consistencyView{in.From, in.To, append([]audit.Hash{}, hashes...)})
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
