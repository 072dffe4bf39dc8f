package export_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/audit/export"
)

var update = flag.Bool("update", false, "write the golden files")

// events are one of each class.
func events() []audit.Event {
	at := time.Date(2024, 3, 5, 12, 0, 0, 123456000, time.UTC)
	e := audit.Event{OrgID: "org_1", Seq: 7, Time: at, OccurredAt: at.Add(-time.Microsecond), ID: "evt_7", ActorType: audit.User, ActorID: "usr_1", ActorLabel: "ann@acme.example",
		Outcome: audit.Success, IP: "192.0.2.1", UserAgent: "curl/8", RequestID: "req_1"}
	var list []audit.Event
	for _, c := range []audit.Event{
		{Type: "team.created", Action: "teams.create", TeamID: "team_1", ResourceType: "team", ResourceID: "team_1", ResourceSlug: "crew", After: json.RawMessage(`{"name":"Crew"}`)},
		{Type: "member.invited", Action: "members.invite", ResourceType: "invitation", ResourceID: "inv_1"},
		{Type: "member.joined", Action: "members.invite", TeamID: "team_1", ResourceType: "user", ResourceID: "usr_2"},
		{Type: "member.role_changed", Action: "members.update", ResourceType: "user", ResourceID: "usr_2", Before: json.RawMessage(`{"role":"member"}`), After: json.RawMessage(`{"role":"org_admin"}`), Reason: "promoted"},
		{Type: "api_key.rotated", Action: "api_keys.update", ResourceType: "api_key", ResourceID: "key_1"},
		{Type: "authentication.login", Action: "sessions.create", ResourceType: "session", ResourceID: "ses_1"},
		{Type: "authentication.logout", Action: "sessions.delete", ResourceType: "session", ResourceID: "ses_1"},
		{Type: "authentication.failed", Action: "sessions.create", ResourceType: "user", ResourceID: "usr_1", Outcome: audit.Denied, Data: json.RawMessage(`{"code":"wrong_password"}`)},
		{Type: "security.break_glass", Action: "members.update", ResourceType: "user", ResourceID: "usr_1", Reason: "incident 7"},
		{Type: "budget.exceeded", ResourceType: "budget", ResourceID: "bud_1", Data: json.RawMessage(`{"limit":"10.00"}`)},
		{Type: "authorization.denied", Action: "teams.create", ResourceType: "organization", ResourceID: "org_1", Outcome: audit.Denied, Reason: "permission_denied"},
		{Type: "audit.pruned", Action: "audit.prune", ActorType: audit.Internal, ActorID: "retention", ActorLabel: "retention", ResourceType: "event", ResourceID: "5", IP: "-"},
		{Type: "deployment.deleted", Action: "deployments.manage", ActorType: audit.APIKey, ActorID: "key_1", OnBehalfOf: "usr_1", ResourceType: "deployment", ResourceID: "dep_1", Erased: true},
	} {
		is := e
		is.Type, is.Category, is.Action, is.TeamID, is.Reason = c.Type, audit.Category(c.Type), c.Action, c.TeamID, c.Reason
		is.ResourceType, is.ResourceID, is.ResourceSlug = c.ResourceType, c.ResourceID, c.ResourceSlug
		is.Before, is.After, is.Data, is.Erased, is.OnBehalfOf = c.Before, c.After, c.Data, c.Erased, c.OnBehalfOf
		if c.Outcome != "" {
			is.Outcome = c.Outcome
		}
		if c.ActorType != "" {
			is.ActorType, is.ActorID, is.ActorLabel = c.ActorType, c.ActorID, c.ActorLabel
		}
		if c.IP != "" {
			is.IP = ""
		}
		list = append(list, is)
	}
	return list
}

func TestFormatsAreThoseOfTheirGoldenFiles(t *testing.T) { // F292
	for _, format := range []string{"json", "ocsf", "ecs"} {
		var got bytes.Buffer
		for _, e := range events() {
			records, err := export.Render(format, e)
			require.NoError(t, err)
			for _, r := range records {
				require.NoError(t, json.Indent(&got, r, "", "  "))
				got.WriteByte('\n')
			}
		}
		name := filepath.Join("testdata", format+".golden")
		if *update {
			require.NoError(t, os.WriteFile(name, got.Bytes(), 0o600))
		}
		want, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, string(want), got.String())
	}
}

// required are the attributes that OCSF 1.8 requires of a class, beside those of all.
var required = map[int][]string{
	1008: {}, 2004: {"finding_info"}, 3001: {"user"}, 3002: {"user", "service"}, 3003: {"user", "privileges"}, 3004: {"entity"}, 3005: {"user", "privileges"}, 3006: {"group"},
	6003: {"actor", "api", "src_endpoint"},
}

func TestOCSFHasWhatItsClassesRequire(t *testing.T) {
	seen := map[int]bool{}
	for _, e := range events() {
		for _, bare := range []bool{false, true} {
			if bare { // nobody knows from where, about what and why
				e.IP, e.ResourceID, e.ResourceType, e.Action, e.UserAgent, e.RequestID, e.Before, e.After = "", "", "", "", "", "", nil, nil
			}
			records, err := export.Render("ocsf", e)
			require.NoError(t, err)
			for _, r := range records {
				var f map[string]any
				require.NoError(t, json.Unmarshal(r, &f))
				class := int(f["class_uid"].(float64))
				seen[class] = true
				for _, name := range append(required[class], "activity_id", "category_uid", "class_uid", "type_uid", "time", "severity_id", "metadata", "status_id") {
					require.NotEmpty(t, f[name], "%s: %s", e.Type, name)
				}
				require.EqualValues(t, class*100+int(f["activity_id"].(float64)), f["type_uid"])
				require.EqualValues(t, class/1000, f["category_uid"])
				require.EqualValues(t, e.Time.UnixMilli(), f["time"])
				metadata := f["metadata"].(map[string]any)
				require.Equal(t, "1.8.0", metadata["version"])
				require.NotEmpty(t, metadata["product"])
				require.EqualValues(t, e.Seq, metadata["sequence"])
				require.Contains(t, metadata["uid"], e.ID)
				if f["activity_id"] == 99.0 {
					require.Equal(t, e.Type, f["activity_name"])
				}
			}
		}
	}
	for class := range required {
		require.True(t, seen[class], "no event of the class %d", class)
	}
}
