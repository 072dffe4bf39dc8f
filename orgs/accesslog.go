package orgs

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

// Access is an entry of the access log: an event of somebody who signed in or out, looked at data, or came with a
// credential, in fewer words.
type Access struct {
	audit.Event
	Who     string // a person's e-mail address as it was then; of a key, the platform or the host its id
	Did     AccessAction
	Granted bool   // else it was refused, or failed
	Code    string // why it was refused, if the event says so
	Count   int64  // how often, within a minute: of refused credentials; else 1
}

// AccessAction is what somebody did.
type AccessAction string

// The actions.
const (
	Login     AccessAction = "LOGIN" // also its second step, and what failed of it
	Logout    AccessAction = "LOGOUT"
	DataView  AccessAction = "DATA_VIEW"
	APIAccess AccessAction = "API_ACCESS"
)

// accessTypes are the types of events that the access log is made of. Of families that a host or a later part of the
// library writes into it takes all.
var accessTypes = []string{"authentication.*", "data_access.*", KeyUsedType, KeyDeniedType,
	audit.AllowedType, audit.DeniedType, IPDeniedType, SuspendedType, audit.AnomalyType}

// AccessLog lists who came in and who was kept out: signing in and out, reading what is logged as read, the first use of
// each API key in an hour, credentials and calls that were refused, and of those that were allowed as many as the
// organization has written ([audit.Decisions]). So a success of API_ACCESS that is not in it may have been one all the
// same; what is refused is in it. The filter is that of [Manager.AuditLog]; types that are no access are left out.
func (m *Manager) AccessLog(ctx context.Context, org string, f audit.Filter) (page store.Page[Access], err error) {
	orgID, err := m.readsAudit(ctx, org)
	if err != nil {
		return page, err
	}
	if err := f.Validate(); err != nil {
		return page, err
	}
	if f.Types = onlyAccess(f.Types); len(f.Types) > 0 {
		events, err := m.Audit().List(ctx, orgID, f)
		if err != nil {
			return page, err
		}
		page.Next = events.Next
		for _, e := range events.Items {
			page.Items = append(page.Items, accessOf(e))
		}
	}
	return page, m.auditWasRead(ctx, orgID, map[string]any{"events": len(page.Items), "list": "access_log"})
}

// onlyAccess are the types that both the globs and the access log name.
func onlyAccess(globs []string) (types []string) {
	if len(globs) == 0 {
		return accessTypes
	}
	for _, glob := range globs {
		for _, own := range accessTypes {
			switch {
			case audit.MatchType(glob, own): // also *, and the family itself
				types = append(types, own)
			case audit.MatchType(own, strings.Replace(glob, ".*", ".all", 1)): // a type or noun of a family
				types = append(types, glob)
			}
		}
	}
	slices.Sort(types)
	return slices.Compact(types)
}

func accessOf(e audit.Event) Access {
	a := Access{Event: e, Who: e.ActorID, Did: APIAccess, Granted: e.Outcome == audit.Success, Count: 1}
	if e.ActorType == audit.User && e.ActorLabel != "" {
		a.Who = e.ActorLabel
	}
	switch e.Category {
	case "authentication":
		a.Did = Login
		if _, verb, _ := strings.Cut(e.Type, "."); verb == "logout" {
			a.Did = Logout
		}
	case "data_access":
		a.Did = DataView
	}
	var data struct {
		Code  string
		Count int64
	}
	if json.Unmarshal(e.Data, &data) == nil {
		a.Code, a.Count = data.Code, max(1, data.Count)
	}
	return a
}
