package audit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// someTypes are of each family, of nouns of the host's own, and mandatory ones.
var someTypes = []string{"session.created", "authorization.denied", "approval.requested", "api_key.created", "api_key.denied", "token.revoked", "team.created",
	"team.updated", "team.deleted", "team.role_override", "project.created", "member.invited", "member.role_changed", "member.removed", "invitation.deleted", "budget.updated", "billing.alert",
	"organization.created", "organization.updated", "organization.suspended", "role.created", "policy.updated", "sso.updated", "scim.token_rotated", "audit.read", "audit.pruned",
	"report.created", "security.ip_denied", "security.anomaly", "security.break_glass", "deployment.started", "deployment.deleted"}

// mandatory is the same as in the package, written down once more (F273).
func mandatory(typ string) bool {
	switch typ {
	case "api_key.created", "token.revoked", "team.role_override", "member.role_changed", "organization.updated", "role.created", "policy.updated", "sso.updated",
		"scim.token_rotated", "audit.pruned", "audit.config_changed", "security.break_glass":
		return true
	}
	return strings.HasSuffix(typ, ".deleted")
}

// TestTheLogHoldsWhatIsLogged: for any filters, changed at any time, it is what matches the one in force, or is
// mandatory; on databases too where events are put in order long after they were written (F272, F273, F275).
func TestTheLogHoldsWhatIsLogged(t *testing.T) {
	globs := append([]string{"*", "audit.*", "project.*", "role.*", "api_key.denied", "team.updated", "deployment.started"}, audit.DefaultConfig("").EventsToLog...)
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		n := 0
		rapid.Check(t, func(r *rapid.T) {
			n++
			org, other := fmt.Sprintf("org_%d", n), fmt.Sprintf("org_other_%d", n)
			log, ctx := logs(s), as(t, alice)
			c := audit.DefaultConfig(org)
			var want []string
			for range rapid.IntRange(1, 4).Draw(r, "units") {
				var changes []audit.Change
				for range rapid.IntRange(1, 6).Draw(r, "events") {
					change, logged := audit.Change{Type: rapid.SampledFrom(someTypes).Draw(r, "type")}, true
					if rapid.IntRange(0, 3).Draw(r, "what") == 0 {
						before := c
						c.Enabled = rapid.IntRange(0, 4).Draw(r, "enabled") > 0
						c.EventsToLog = rapid.SliceOfN(rapid.SampledFrom(globs), 0, 4).Draw(r, "globs")
						change = c.Changed(before)
					} else {
						require.Equal(t, mandatory(change.Type), audit.Mandatory(change.Type), change.Type)
						logged = mandatory(change.Type) || c.Enabled && wanted(c.EventsToLog, change.Type)
					}
					if logged {
						want = append(want, change.Type)
					}
					changes = append(changes, change)
				}
				require.NoError(t, s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
					for _, change := range changes {
						if _, err := log.Append(ctx, tx, org, "x.y", change); err != nil {
							return err
						}
						if _, err := log.Append(ctx, tx, other, "x.y", audit.Change{Type: "session.created"}); err != nil {
							return err
						}
					}
					return nil
				}))
			}
			if rapid.Bool().Draw(r, "alone") && len(want) > 0 { // what stands for itself is no exception
				before := c
				c.Enabled = false
				require.NoError(t, log.Record(ctx, org, "x.y", c.Changed(before)))
				require.NoError(t, log.Record(ctx, org, "x.y", audit.Change{Type: "audit.read"}))
				want = append(want, audit.ConfigChangedType)
			}
			var got []string
			var seq int64
			for f := (audit.Filter{Ascending: true, Limit: audit.MaxPage}); ; {
				page, err := log.List(t.Context(), org, f)
				require.NoError(t, err)
				for _, e := range page.Items {
					require.Equal(t, seq, e.Seq, "without gaps")
					got, seq = append(got, e.Type), seq+1
				}
				if f.After = page.Next; f.After == "" {
					break
				}
			}
			require.Equal(t, want, got)
			page, err := log.List(t.Context(), other, audit.Filter{Limit: 1})
			require.NoError(t, err)
			require.Len(t, page.Items, 1, "of another organization")
		})
	})
}

func wanted(globs []string, typ string) bool {
	noun, _, _ := strings.Cut(typ, ".")
	families := audit.DefaultConfig("").EventsToLog
	if !slices.ContainsFunc(families, func(f string) bool { return !slices.Contains(globs, f) }) {
		return true
	}
	for _, g := range globs {
		if g == "*" || g == typ || g == noun+".*" || g == audit.Category(typ)+".*" {
			return true
		}
	}
	return false
}

func TestAnEventThatIsNotLoggedHasNoPlace(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		off := audit.DefaultConfig("org_1")
		off.Enabled = false
		write(t, s, as(t, alice), "org_1", off.Changed(audit.DefaultConfig("org_1")))
		e := write(t, s, as(t, alice), "org_1", audit.Change{Type: "team.created"})
		require.NotEmpty(t, e.ID)
		require.Equal(t, []string{audit.ConfigChangedType}, types(t, s, "org_1", audit.Filter{}))
	})
}

// TestTheDefaultLogsEverything: also what is the host's own (F016).
func TestTheDefaultLogsEverything(t *testing.T) {
	c := audit.DefaultConfig("org_1")
	_, err := c.Validate(nil)
	require.NoError(t, err)
	require.True(t, c.Enabled)
	require.Equal(t, 365, c.RetentionDays)
	require.Len(t, c.EventsToLog, 9)
	require.Empty(t, c.Destinations)
	for _, typ := range someTypes {
		require.True(t, c.Logs(typ), typ)
	}
	c.EventsToLog = c.EventsToLog[1:]
	require.False(t, c.Logs("deployment.started"), "it is in none of the families")
	require.False(t, c.Logs("session.created"))
}

// s3 and siem are destinations that are right.
var (
	s3   = audit.Destination{Type: "s3", Bucket: "acme-audit-logs", Prefix: "parrotrouter/", Encryption: "AES256"}
	siem = audit.Destination{Type: "siem", Endpoint: "https://siem.acme.com/api/logs"}
)

// sinks are rules with which plain http may be called too, as on a host of one's own.
var sinks = &audit.Rules{CheckURL: func(u string) error {
	if strings.Contains(u, "10.0.0.1") {
		return errors.New("must name a public host")
	}
	return nil
}}

func TestFaultyConfigurationsAreRefused(t *testing.T) {
	with := func(d audit.Destination, change func(*audit.Destination)) func(*audit.Config) {
		return func(c *audit.Config) {
			change(&d)
			c.Destinations = audit.Destinations{{Type: "s3", Bucket: "the-first"}, d}
		}
	}
	const at = "export_destinations[1]."
	for i, b := range []struct {
		change      func(*audit.Config)
		field, code string
	}{
		{func(c *audit.Config) { c.RetentionDays = 0 }, "retention_days", "range"},
		{func(c *audit.Config) { c.RetentionDays = 3651 }, "retention_days", "range"},
		{func(c *audit.Config) { c.EventsToLog = []string{"*", "teams.*"} }, "events_to_log[1]", "unknown"},
		{func(c *audit.Config) { c.EventsToLog = []string{"team"} }, "events_to_log[0]", "pattern"},
		{func(c *audit.Config) { c.EventsToLog = []string{"team.up*"} }, "events_to_log[0]", "pattern"},
		{func(c *audit.Config) { c.EventsToLog = []string{""} }, "events_to_log[0]", "pattern"},
		{func(c *audit.Config) { c.EventsToLog = make([]string, audit.MaxGlobs+1) }, "events_to_log", "range"},
		{func(c *audit.Config) { c.Compliance.Standards = []string{"SOC2", "PCI"} }, "compliance.standards[1]", "enum"},
		{func(c *audit.Config) { c.Compliance.Standards = []string{"SOC2", "SOC2"} }, "compliance.standards[1]", "duplicate"},
		{func(c *audit.Config) { c.Compliance.DataResidency = "MARS" }, "compliance.data_residency", "enum"},
		{func(c *audit.Config) { c.Destinations = make(audit.Destinations, audit.MaxDestinations+1) }, "export_destinations", "range"},
		{func(c *audit.Config) { c.Destinations = audit.Destinations{s3, siem, s3} }, "export_destinations[2]", "duplicate"},
		{with(s3, func(d *audit.Destination) { d.Type = "ftp" }), at + "type", "enum"},
		{with(s3, func(d *audit.Destination) { d.Bucket = "" }), at + "bucket", "pattern"},
		{with(s3, func(d *audit.Destination) { d.Bucket = "Big" }), at + "bucket", "pattern"},
		{with(s3, func(d *audit.Destination) { d.Bucket = "a..b" }), at + "bucket", "pattern"},
		{with(s3, func(d *audit.Destination) { d.Bucket = "10.0.0.1" }), at + "bucket", "pattern"},
		{with(s3, func(d *audit.Destination) { d.Prefix = "/x" }), at + "prefix", "pattern"},
		{with(s3, func(d *audit.Destination) { d.Prefix = "x/../y" }), at + "prefix", "pattern"},
		{with(s3, func(d *audit.Destination) { d.Prefix = "x\r\ny" }), at + "prefix", "pattern"},
		{with(s3, func(d *audit.Destination) { d.Encryption = "aws:kms" }), at + "encryption", "enum"},
		{with(s3, func(d *audit.Destination) { d.Region = "us east" }), at + "region", "pattern"},
		{with(s3, func(d *audit.Destination) { d.Format = "json" }), at + "format", "unknown"},
		{with(s3, func(d *audit.Destination) { d.Endpoint = "https://10.0.0.1" }), at + "endpoint", audit.URLCode},
		{with(siem, func(d *audit.Destination) { d.Bucket = "x" }), at + "bucket", "unknown"},
		{with(siem, func(d *audit.Destination) { d.Prefix = "x" }), at + "prefix", "unknown"},
		{with(siem, func(d *audit.Destination) { d.Encryption = "AES256" }), at + "encryption", "unknown"},
		{with(siem, func(d *audit.Destination) { d.Format = "leef" }), at + "format", "enum"},
		{with(siem, func(d *audit.Destination) { d.Region = "MARS" }), at + "region", "enum"},
		{with(siem, func(d *audit.Destination) { d.Endpoint = "" }), at + "endpoint", "required"},
		{with(siem, func(d *audit.Destination) { d.Endpoint = "siem.acme.com" }), at + "endpoint", audit.URLCode},
		{with(siem, func(d *audit.Destination) { d.Endpoint = "https://u:p@siem.acme.com" }), at + "endpoint", audit.URLCode},
		{with(siem, func(d *audit.Destination) { d.Endpoint += strings.Repeat("x", 2048) }), at + "endpoint", audit.URLCode},
		{func(c *audit.Config) { // F296
			c.Compliance.EncryptionInTransit = true
			with(siem, func(d *audit.Destination) { d.Endpoint = "http://siem.acme.com" })(c)
		}, at + "endpoint", audit.URLCode},
		{func(c *audit.Config) { // F471
			c.Compliance.DataResidency = "US"
			with(siem, func(d *audit.Destination) { d.Region = "EU" })(c)
		}, at + "region", "data_residency"},
		{func(c *audit.Config) {
			c.Compliance.DataResidency = "EU"
			with(s3, func(d *audit.Destination) { d.Region = "eu-central-2" })(c) // Zurich
		}, at + "region", "data_residency"},
	} {
		c := audit.DefaultConfig("org_1")
		b.change(&c)
		_, err := c.Validate(sinks)
		var e *store.FieldError
		require.ErrorAs(t, err, &e, "%d: %s", i, b.field)
		require.Equal(t, []string{b.field, b.code}, []string{e.Field, e.Code}, e.Message)
	}
}

// TestWithoutAGuardNoURLIsTaken: there is nothing then that could call one safely.
func TestWithoutAGuardNoURLIsTaken(t *testing.T) {
	c := audit.DefaultConfig("org_1")
	c.Destinations = audit.Destinations{siem}
	_, err := c.Validate(nil)
	require.ErrorContains(t, err, "export_destinations[0].endpoint: the host has set up nothing that may call URLs")
	c.Destinations = audit.Destinations{s3}
	_, err = c.Validate(nil)
	require.NoError(t, err)
}

func TestWhatMaySurpriseIsAWarning(t *testing.T) { // F459, F471
	list := func(change func(*audit.Config)) (out []string) {
		c := audit.DefaultConfig("org_1")
		change(&c)
		warnings, err := c.Validate(sinks)
		require.NoError(t, err)
		for _, w := range warnings {
			out = append(out, w.Code+" "+w.Field)
		}
		return out
	}
	require.Empty(t, list(func(*audit.Config) {}))
	standards := func(days int) func(*audit.Config) {
		return func(c *audit.Config) {
			c.RetentionDays, c.Compliance.Standards = days, []string{"SOC2", "ISO27001", "HIPAA"}
		}
	}
	const below = "retention_below_floor retention_days"
	require.Equal(t, []string{below, below, below}, list(standards(364)))
	require.Equal(t, []string{below}, list(standards(365)))
	require.Equal(t, []string{below}, list(standards(2189)))
	require.Empty(t, list(standards(2190)))

	lies := func(residency string, regions ...string) func(*audit.Config) {
		return func(c *audit.Config) {
			c.Compliance.DataResidency = residency
			for i, region := range regions {
				c.Destinations = append(c.Destinations, audit.Destination{Type: "s3", Bucket: fmt.Sprint("bucket-", i), Region: region})
			}
		}
	}
	require.Equal(t, []string{"region_unknown export_destinations[1].region", "region_unknown export_destinations[2].region"}, list(lies("US", "us-east-1", "", "garage", "US", "us-gov-west-1")))
	require.Empty(t, list(lies("UK", "eu-west-2")))
	require.Empty(t, list(lies("", "", "eu-west-2")), "where nothing is asked")
	require.Empty(t, list(func(c *audit.Config) { c.Compliance.EncryptionAtRest = true }))
}

func TestAHostHasRegionsAndStandardsOfItsOwn(t *testing.T) {
	c := audit.DefaultConfig("org_1")
	c.Compliance = audit.Compliance{Standards: []string{"C5"}, DataResidency: "DE"}
	c.Destinations = audit.Destinations{{Type: "s3", Bucket: "bucket", Region: "fra"}}
	warnings, err := c.Validate(&audit.Rules{Regions: []string{"DE"}, Floors: map[string]int{"C5": 730}, Places: map[string]string{"fra": "DE"}})
	require.NoError(t, err)
	require.Equal(t, []store.Warning{{Code: "retention_below_floor", Field: "retention_days", Message: "for C5 events are usually kept for 730 days"}}, warnings)
	_, err = c.Validate(nil)
	require.Error(t, err)
}

func TestWhatIsHeldIsKept(t *testing.T) {
	now := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	c := audit.DefaultConfig("org_1")
	c.RetentionDays = 30
	require.Equal(t, time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), c.KeptFrom(now))
	for _, hold := range []time.Time{now.AddDate(0, 0, -1), now.AddDate(-1, 0, 0)} {
		c.HoldFrom = &hold
		require.Equal(t, slices.MinFunc([]time.Time{hold, now.AddDate(0, 0, -30)}, time.Time.Compare), c.KeptFrom(now))
	}
}
