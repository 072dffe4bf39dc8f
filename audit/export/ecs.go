package export

import (
	"slices"
	"strings"

	"github.com/orgkit/orgkit/audit"
)

// ecsVersion is the version of the Elastic Common Schema.
const ecsVersion = "8.17.0"

// ecsCategories are event.category by the noun of the type, with the event.type that says what it is about.
var ecsCategories = map[string][2]string{
	"user": {"iam", "user"}, "member": {"iam", "user"}, "invitation": {"iam", "user"},
	"team": {"iam", "group"}, "project": {"iam", "group"},
	"role": {"iam", "admin"}, "policy": {"iam", "admin"}, "approval": {"iam", "admin"},
	"api_key": {"iam", ""}, "token": {"iam", ""},
	"session": {"authentication", ""}, "authentication": {"authentication", ""},
	"organization": {"configuration", ""}, "webhook": {"configuration", ""}, "sso": {"configuration", ""}, "scim": {"configuration", ""}, "settings": {"configuration", ""},
	"budget": {"configuration", ""}, "rate_limit": {"configuration", ""}, "allowance": {"configuration", ""}, "billing": {"configuration", ""}, "invoice": {"configuration", ""}, "payment": {"configuration", ""}, "audit": {"configuration", ""},
	"authorization": {"api", ""}, "security": {"api", ""}, "analytics": {"api", ""}, "report": {"api", ""}, "export": {"api", ""}, "compliance": {"api", ""}, "data_access": {"api", ""},
}

// verbTypes are event.type by the verb of the type.
var verbTypes = map[string]string{
	"created": "creation", "joined": "creation", "invited": "creation", "requested": "creation",
	"deleted": "deletion", "removed": "deletion", "revoked": "deletion", "declined": "deletion", "pruned": "deletion", "erased": "deletion",
	"read": "access", "denied": "denied", "ip_denied": "denied", "allowed": "allowed",
}

func ecs(e audit.Event) fields {
	noun, verb, _ := strings.Cut(e.Type, ".")
	category, known := ecsCategories[noun]
	if !known || e.Type == "audit.read" || e.Type == "api_key.denied" {
		category = [2]string{"api", ""}
	}
	kind := verbTypes[verb]
	if kind == "" {
		kind = "change"
	}
	types := []string{kind}
	if category[0] == "authentication" {
		types[0] = "info"
		switch verb {
		case "login", "sso":
			types[0] = "start"
		case "ended", "logout":
			types[0] = "end"
		}
	}
	if e.Outcome == audit.Denied && !slices.Contains(types, "denied") {
		types = append(types, "denied")
	}
	if category[1] != "" {
		types = append(types, category[1])
	}
	event := fields{"id": e.ID, "sequence": e.Seq, "kind": "event", "category": []string{category[0]}, "type": types, "outcome": "success",
		"action": e.Type, "provider": "orgkit", "module": "orgkit", "dataset": "orgkit.audit", "created": e.OccurredAt.UTC()}
	event.set("reason", e.Reason)
	if e.Outcome != audit.Success {
		event["outcome"] = "failure"
	}
	if alerts[e.Type] {
		event["kind"] = "alert"
	}
	f := fields{"@timestamp": e.Time.UTC(), "ecs": fields{"version": ecsVersion}, "event": event, "message": message(e), "orgkit": rest(e)}
	f.set("organization", nonempty("id", e.OrgID))
	user := nonempty("id", e.ActorID)
	user.set("name", e.ActorLabel)
	user["roles"] = []string{string(e.ActorType)}
	f.set("user", user)
	f.set("group", nonempty("id", e.TeamID))
	f.set("source", nonempty("ip", e.IP))
	f.set("user_agent", nonempty("original", e.UserAgent))
	if e.RequestID != "" {
		f["http"] = fields{"request": fields{"id": e.RequestID}}
	}
	return f
}

// nonempty is an object with that field, or an empty one.
func nonempty(name, value string) fields {
	f := fields{}
	f.set(name, value)
	return f
}
