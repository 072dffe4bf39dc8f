package export

import (
	"encoding/json"
	"strings"

	"github.com/orgkit/orgkit/audit"
)

// ocsfVersion is the version of the Open Cybersecurity Schema Framework that [ocsf18] is of.
const ocsfVersion = "1.8.0"

// ocsfClass is an OCSF class with one of its activities.
type ocsfClass struct{ class, activity int }

// The classes of OCSF that are used.
const (
	eventLog         = 1008
	detectionFinding = 2004
	accountChange    = 3001
	authentication   = 3002
	authorizeSession = 3003
	entityManagement = 3004
	userAccess       = 3005
	groupManagement  = 3006
	apiActivity      = 6003
)

var classNames = map[int]string{eventLog: "Event Log Activity", detectionFinding: "Detection Finding", accountChange: "Account Change", authentication: "Authentication",
	authorizeSession: "Authorize Session", entityManagement: "Entity Management", userAccess: "User Access Management", groupManagement: "Group Management", apiActivity: "API Activity"}

var categoryNames = map[int]string{1: "System Activity", 2: "Findings", 3: "Identity & Access Management", 6: "Application Activity"}

// other is the activity that no number of a class says; its name is the type of the event then.
const other = 99

// alerts are the types that somebody should look at.
var alerts = map[string]bool{"budget.exceeded": true, "budget.alert": true, "budget.soft_limit_reached": true, "billing.alert": true, "security.anomaly": true, "sso.certificate_expiring": true}

// ocsf18 are the classes of OCSF 1.8 by the type of the event.
var ocsf18 = map[string]ocsfClass{
	"user.created": {accountChange, 1}, "user.updated": {accountChange, other}, "user.deleted": {accountChange, 6},
	"user.suspended": {accountChange, 5}, "user.resumed": {accountChange, 2},
	"user.provisioned": {accountChange, 1}, "user.deprovisioned": {accountChange, 5}, "user.reprovisioned": {accountChange, 2},
	"member.invited": {accountChange, 1}, "member.invitation_resent": {accountChange, other}, "member.invitation_revoked": {accountChange, other},
	"member.invitation_expired": {accountChange, other},
	"member.declined":           {accountChange, other}, "member.joined": {accountChange, 1}, "member.removed": {accountChange, 6}, "member.updated": {accountChange, other},
	"invitation.deleted": {accountChange, other}, "invitation.expired": {accountChange, other},
	"member.role_changed":  {userAccess, 3},
	"security.break_glass": {authorizeSession, 1},

	"authentication.login": {authentication, 1}, "authentication.failed": {authentication, 1}, "authentication.mfa": {authentication, 1}, "authentication.sso": {authentication, 1},
	"authentication.logout": {authentication, 2}, "session.ended": {authentication, 2}, "session.denied": {apiActivity, other},
	"user.password_changed": {accountChange, 3}, "user.password_reset": {accountChange, 4}, "user.password_reset_requested": {accountChange, other},
	"user.mfa_enrolled": {accountChange, 10}, "user.mfa_removed": {accountChange, 11}, "user.recovery_codes": {accountChange, other},

	"team.created": {groupManagement, 6}, "team.updated": {groupManagement, 9}, "team.deleted": {groupManagement, 5}, "team.archived": {groupManagement, 9},
	"team.unarchived": {groupManagement, 9}, "team.role_override": {groupManagement, 9},
	"project.created": {groupManagement, 6}, "project.updated": {groupManagement, 9}, "project.deleted": {groupManagement, 5},

	"role.created": {entityManagement, 1}, "role.updated": {entityManagement, 3}, "role.deleted": {entityManagement, 4},
	"policy.created": {entityManagement, 1}, "policy.updated": {entityManagement, 3}, "policy.deleted": {entityManagement, 4},
	"api_key.created": {entityManagement, 1}, "api_key.updated": {entityManagement, 3}, "api_key.rotated": {entityManagement, 3}, "api_key.revoked": {entityManagement, 4},
	"api_key.deleted": {entityManagement, 4}, "api_key.enabled": {entityManagement, 8}, "api_key.disabled": {entityManagement, 9}, "api_key.expired": {entityManagement, 9},
	"token.created": {entityManagement, 1}, "token.updated": {entityManagement, 3}, "token.revoked": {entityManagement, 4}, "token.deleted": {entityManagement, 4},
	"organization.created": {entityManagement, 1}, "organization.updated": {entityManagement, 3}, "organization.deleted": {entityManagement, 4},
	"organization.restored": {entityManagement, 8}, "organization.moved": {entityManagement, 5}, "organization.transferred": {entityManagement, 3},
	"organization.suspended": {entityManagement, 12}, "organization.resumed": {entityManagement, 13},
	"approval.requested": {entityManagement, 1}, "approval.approved": {entityManagement, 3}, "approval.partly_approved": {entityManagement, 3},
	"approval.denied": {entityManagement, 3}, "approval.withdrawn": {entityManagement, 3}, "approval.expired": {entityManagement, 9}, "approval.closed": {entityManagement, 9},
	"budget.created": {entityManagement, 1}, "budget.updated": {entityManagement, 3}, "budget.suspended": {entityManagement, 3}, "budget.resumed": {entityManagement, 3}, "budget.corrected": {entityManagement, 3}, "budget.deleted": {entityManagement, 4},
	"billing.updated": {entityManagement, 3}, "billing.month_closed": {entityManagement, 3},
	"invoice.created": {entityManagement, 1}, "invoice.finalized": {entityManagement, 3}, "invoice.paid": {entityManagement, 3}, "invoice.voided": {entityManagement, 3},
	"invoice.overdue": {entityManagement, 3}, "payment.failed": {entityManagement, other}, "payment.retried": {entityManagement, other},
	"allowance.created": {entityManagement, 1}, "allowance.updated": {entityManagement, 3}, "allowance.deleted": {entityManagement, 4},
	"rate_limit.created": {entityManagement, 1}, "rate_limit.updated": {entityManagement, 3}, "rate_limit.deleted": {entityManagement, 4},
	"webhook.created": {entityManagement, 1}, "webhook.updated": {entityManagement, 3}, "webhook.deleted": {entityManagement, 4}, "webhook.rotated": {entityManagement, 3},
	"webhook.tested": {entityManagement, other}, "webhook.retried": {entityManagement, other}, "webhook.disabled": {entityManagement, 9}, "webhook.enabled": {entityManagement, 8},
	"sso.updated": {entityManagement, 3}, "sso.deleted": {entityManagement, 4}, "sso.proved": {entityManagement, 3}, "sso.tested": {entityManagement, 3}, "scim.updated": {entityManagement, 3},
	"scim.token_created": {entityManagement, 1}, "scim.token_revoked": {entityManagement, 4},
	"scim.group_created": {groupManagement, 6}, "scim.group_updated": {groupManagement, 9}, "scim.group_deleted": {groupManagement, 5},

	"budget.exceeded": {detectionFinding, 1}, "budget.soft_limit_reached": {detectionFinding, 1}, "budget.alert": {detectionFinding, 1}, "billing.alert": {detectionFinding, 1}, "security.anomaly": {detectionFinding, 1},
	"sso.certificate_expiring":   {detectionFinding, 1},
	"budget.cost_limit_exceeded": {detectionFinding, 1},

	"authorization.denied": {apiActivity, other}, "authorization.allowed": {apiActivity, other}, "api_key.denied": {apiActivity, other}, "security.ip_denied": {apiActivity, other},
	"security.suspended": {apiActivity, other}, "security.last_owner_kept": {apiActivity, other}, "token.denied": {apiActivity, other}, "api_key.used": {apiActivity, other}, "authorization.dropped": {eventLog, other},
	"billing.usage_ingested": {apiActivity, 1}, "billing.alert_sent": {apiActivity, other}, "audit.read": {apiActivity, 2}, "analytics.read": {apiActivity, 2}, "report.created": {apiActivity, 2}, "export.downloaded": {apiActivity, 2}, "compliance.read": {apiActivity, 2},

	audit.PrunedType: {eventLog, 2}, audit.ErasedType: {eventLog, 2}, audit.ConfigChangedType: {eventLog, other}, "audit.unreadable": {eventLog, other},
	audit.DeliveryFailingType: {eventLog, 3}, audit.DeliveryRecoveredType: {eventLog, 3}, audit.DeliveryRetriedType: {eventLog, 3}, audit.ExportGapType: {eventLog, 3},
	"audit.probe": {eventLog, 3},
}

// genericVerbs are the activities of an API by the verb of a type that is not known.
var genericVerbs = map[string]int{"created": 1, "read": 2, "updated": 3, "deleted": 4}

// ocsf returns the records of an event.
func ocsf(e audit.Event) []any {
	c, known := ocsf18[e.Type]
	switch {
	case !known:
		_, verb, _ := strings.Cut(e.Type, ".")
		if c = (ocsfClass{apiActivity, genericVerbs[verb]}); c.activity == 0 {
			c.activity = other
		}
	case e.TeamID != "" && e.Type == "member.joined":
		c = ocsfClass{groupManagement, 3}
	case e.TeamID != "" && e.Type == "member.removed":
		c = ocsfClass{groupManagement, 4}
	case e.Type == "member.role_changed": // the one is revoked, the other assigned
		return []any{ocsfRecord(e, ocsfClass{userAccess, 4}, e.ID+".1", e.Before), ocsfRecord(e, c, e.ID+".2", e.After)}
	}
	return []any{ocsfRecord(e, c, e.ID, nil)}
}

// ocsfRecord is one record. role is what a user access is about.
func ocsfRecord(e audit.Event, c ocsfClass, uid string, role json.RawMessage) fields {
	metadata := fields{"version": ocsfVersion, "product": fields{"name": "orgkit", "vendor_name": "orgkit"}, "uid": uid, "sequence": e.Seq, "log_name": "audit", "event_code": e.Type}
	metadata.set("tenant_uid", e.OrgID)
	metadata.set("correlation_uid", e.RequestID)
	if uid != e.ID {
		metadata["original_event_uid"] = e.ID
	}
	unmapped := rest(e)
	unmapped.set("user_agent", e.UserAgent)
	f := fields{
		"class_uid": c.class, "class_name": classNames[c.class], "category_uid": c.class / 1000, "category_name": categoryNames[c.class/1000],
		"activity_id": c.activity, "type_uid": c.class*100 + c.activity, "time": e.Time.UnixMilli(), "severity_id": severity(e),
		"status_id": 1, "status": "Success", "message": message(e), "metadata": metadata, "unmapped": unmapped, "actor": ocsfActor(e),
	}
	if c.activity == other {
		f["activity_name"] = e.Type
	}
	if e.Outcome != audit.Success {
		f["status_id"], f["status"] = 2, "Failure"
		f.set("status_detail", e.Reason)
	}
	if e.IP != "" {
		f["src_endpoint"] = fields{"ip": e.IP}
	}
	about(f, e, c.class, role)
	return f
}

// severity is 1 for information, 2 low, 3 medium.
func severity(e audit.Event) int {
	switch {
	case alerts[e.Type], e.Type == audit.ExportGapType, e.Type == audit.DeliveryFailingType:
		return 3
	case e.Outcome != audit.Success:
		return 2
	}
	return 1
}

// The types of users in OCSF.
var userTypes = map[audit.ActorType]int{audit.User: 1, audit.Platform: 2, audit.Internal: 3, audit.APIKey: 4}

func ocsfActor(e audit.Event) fields {
	user := fields{"uid": e.ActorID, "type_id": userTypes[e.ActorType]}
	user.set("name", e.ActorLabel)
	if e.ActorType == audit.APIKey {
		user["credential_uid"] = e.ActorID
		if e.OnBehalfOf != "" {
			user["uid"] = e.OnBehalfOf
		}
	}
	return fields{"user": user}
}

// about adds what the class requires of what the event is about.
func about(f fields, e audit.Event, class int, role json.RawMessage) {
	thing := nonempty("uid", e.ResourceID)
	thing.set("name", e.ResourceSlug)
	if e.ResourceID == "" {
		thing["uid"] = e.OrgID
	}
	switch class {
	case accountChange, authorizeSession, userAccess:
		f["user"] = thing
	case authentication:
		f["user"] = ocsfActor(e)["user"]
		f["service"] = fields{"name": "orgkit"}
	case groupManagement:
		if e.ResourceType == "user" {
			f["user"] = thing
			thing = fields{"uid": e.TeamID, "type": "team"}
			if strings.HasPrefix(e.TeamID, "proj_") {
				thing["type"] = "project"
			}
		} else {
			thing["type"] = e.ResourceType
		}
		f["group"] = thing
	case entityManagement:
		thing["type"] = e.ResourceType
		f["entity"] = thing
	case detectionFinding:
		f["finding_info"] = fields{"uid": e.ID, "title": e.Type, "created_time": e.Time.UnixMilli()}
		f["is_alert"] = true
	case eventLog:
		f["log_name"] = "audit"
	case apiActivity:
		operation := e.Action
		if operation == "" {
			operation = e.Type
		}
		f["api"] = fields{"operation": operation, "service": fields{"name": "orgkit"}}
		if e.IP == "" {
			f["src_endpoint"] = fields{"svc_name": "orgkit"}
		}
	}
	switch class {
	case authorizeSession, userAccess:
		f["privileges"] = privileges(e, role)
	}
}

// privileges are the role that an event is about.
func privileges(e audit.Event, role json.RawMessage) []string {
	var named struct {
		Role   string `json:"role"`
		RoleID string `json:"role_id"`
	}
	_ = json.Unmarshal(role, &named)
	for _, name := range []string{named.Role, named.RoleID} {
		if name != "" {
			return []string{name}
		}
	}
	return []string{e.Action}
}
