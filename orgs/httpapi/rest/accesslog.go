package rest

import (
	"context"
	"net/http"

	"github.com/orgkit/orgkit/orgs"
)

// accessEntryView is an entry of the access log.
type accessEntryView struct {
	ID        string            `json:"id" doc:"of the event in the audit log"`
	Time      string            `json:"time"`
	User      string            `json:"user" doc:"e-mail address of a person; of a key, the platform or the host its id"`
	Actor     actorView         `json:"actor"`
	Action    orgs.AccessAction `json:"action" enum:"LOGIN,LOGOUT,DATA_VIEW,API_ACCESS"`
	Status    string            `json:"status" enum:"SUCCESS,FAILURE"`
	Code      *string           `json:"code" doc:"why it was refused"`
	Count     int64             `json:"count" doc:"how often, of a refused credential within a minute"`
	EventType string            `json:"event_type"`
	Resource  resourceView      `json:"resource"`
	IP        *string           `json:"ip"`
	UserAgent *string           `json:"user_agent"`
	RequestID *string           `json:"request_id"`
}

func renderAccess(a orgs.Access) accessEntryView {
	v := accessEntryView{ID: a.ID, Time: exact(a.Time), User: a.Who, Actor: actorView{a.ActorType, a.ActorID, a.ActorLabel}, Action: a.Did, Status: "FAILURE",
		Code: optional(a.Code), Count: a.Count, EventType: a.Type, Resource: resourceView{a.ResourceType, a.ResourceID, optional(a.ResourceSlug)},
		IP: optional(a.IP), UserAgent: optional(a.UserAgent), RequestID: optional(a.RequestID)}
	if a.Granted {
		v.Status = "SUCCESS"
	}
	return v
}

func (a *api) accessLog() {
	add[logQuery, none](a, http.MethodGet, "/v1/organizations/{org}/access_log", "Who signed in, looked at data or came with a credential, and who was refused",
		func(ctx context.Context, in *logQuery) (*answer[list[accessEntryView]], error) {
			f, err := in.filter()
			if err != nil {
				return nil, err
			}
			page, err := a.AccessLog(ctx, param(ctx, "org"), f)
			return listOf(page, err, always(renderAccess))
		})
}
